//! Copies among the items of data sets that are tested on: what is learnt of an item is no test of
//! its copy, whether it is learnt in the same data set or in another.

mod across;

use std::collections::BTreeSet;

use crate::base::{Problem, Seed, Target, counted};
use crate::data::{Copies, Dataset, FindCopies, Item, OnLeak, Pair, Part};
use crate::stages::{OpenDataset, Site};
use crate::store::{MOST_LEAKS, RunLeak, RunLeaks};

use super::spec::{DatasetSpec, Document};

pub(super) use across::across;

/// Looks at every data set that something is tested on; adds what may be wrong to `warnings`, or
/// problems where the file says `on_leak: fail`.
pub(super) fn found(
    document: &Document,
    find: &FindCopies,
    site: &mut Site,
    warnings: &mut Vec<(String, String)>,
) -> Vec<RunLeaks> {
    let tested = tested(site);
    let mut all = Vec::new();
    for (name, spec) in &document.datasets.entries {
        let Some(Some(data)) = site.datasets.get(&name.0).cloned() else { continue };
        if !tested.contains(&name.0) || spec.on_leak.value == OnLeak::Ignore {
            continue;
        }
        let copies = find(&data.dataset, data.is_images);
        let Some(sides) = Sides::of(&data, &site.seeds) else { continue };
        let leaks = sides.leaks(&data, &copies);
        tell(&leaks, &copies, spec, site, warnings);
        all.extend((!leaks.pairs.is_empty()).then_some(leaks));
    }
    all
}

/// Names of data sets on whose test part something is scored.
fn tested(site: &Site) -> BTreeSet<String> {
    let scores = site.planned.iter().filter_map(|planned| planned.offers.as_ref()?.scores.as_ref());
    let on_test = scores.filter(|scores| scores.part == Part::Test);
    on_test.flat_map(|scores| &scores.arms).map(|arm| arm.data.name.clone()).collect()
}

/// Where the items of a data set stand.
struct Sides {
    /// The part of each item in the first seed that has it in one.
    parts: Vec<Option<Part>>,
}

impl Sides {
    /// Nothing if some seed has no split, which is told elsewhere.
    fn of(data: &OpenDataset, seeds: &[Seed]) -> Option<Self> {
        let mut parts = vec![None; data.dataset.items().len()];
        for &seed in seeds {
            let split = data.split(seed).ok()?;
            for part in [Part::Test, Part::Val, Part::Train] {
                for &item in split.part(part) {
                    parts[item].get_or_insert(part);
                }
            }
        }
        Some(Self { parts })
    }

    fn is_tested(&self, item: usize) -> bool {
        self.parts[item] == Some(Part::Test)
    }

    /// Whether one of two items is tested and the other learnt from.
    fn crosses(&self, pair: &Pair) -> bool {
        let stand = self.parts[pair.a].is_some() && self.parts[pair.b].is_some();
        stand && self.is_tested(pair.a) != self.is_tested(pair.b)
    }

    /// Whether both are tested, or both are learnt from.
    fn are_beside(&self, pair: &Pair) -> bool {
        let stand = self.parts[pair.a].is_some() && self.parts[pair.b].is_some();
        stand && self.is_tested(pair.a) == self.is_tested(pair.b)
    }

    fn leaks(&self, data: &OpenDataset, copies: &Copies) -> RunLeaks {
        let dataset = &data.dataset;
        let open: Vec<usize> = (0..self.parts.len())
            .filter(|&item| self.parts[item].is_some() && !self.is_tested(item))
            .collect();
        let count = |copies: &Copies| {
            let found = copies.of(&open, self.parts.len());
            found
                .iter()
                .enumerate()
                .filter(|(item, found)| **found && self.is_tested(*item))
                .count()
        };
        let same = count(&Copies { same: copies.same.clone(), ..Copies::default() });
        let near = count(copies) - same;
        let mut pairs = copies.pairs(|item| (self.is_tested(item), self.parts[item]));
        let within = pairs.iter().filter(|pair| self.are_beside(pair)).count();
        let labels = |pair: &Pair| [pair.a, pair.b].map(|item| label(dataset, item));
        let contradicting = pairs.iter().filter(|pair| labels(pair)[0] != labels(pair)[1]).count();
        pairs.sort_by_key(|pair| !self.crosses(pair));
        let kept = pairs.iter().take(MOST_LEAKS).map(|pair| self.told(dataset, pair)).collect();
        let dataset = data.name.clone();
        RunLeaks { dataset, learnt_on: None, same, near, within, contradicting, pairs: kept }
    }

    fn told(&self, dataset: &Dataset, pair: &Pair) -> RunLeak {
        let both = [pair.a, pair.b];
        RunLeak {
            parts: both.map(|item| self.parts[item].map(|part| part.name().to_owned())),
            items: both.map(|item| dataset.items()[item].id.clone()),
            labels: both.map(|item| label(dataset, item)),
            distance: pair.near.map(|near| near.distance),
            correlation: pair.near.map(|near| near.correlation),
        }
    }
}

/// What is true of an item: its class, the labels it has, or its numbers.
fn label(dataset: &Dataset, item: usize) -> String {
    let Item { label, values, .. } = &dataset.items()[item];
    match dataset.target() {
        Target::Classes => dataset.names()[*label].clone(),
        Target::Labels => {
            let has = dataset.names().iter().zip(values).filter(|(_, value)| **value == Some(1.0));
            has.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ")
        }
        Target::Values => {
            let number = |value: &Option<f64>| value.map_or("?".to_owned(), |v| v.to_string());
            values.iter().map(number).collect::<Vec<_>>().join(" ")
        }
    }
}

fn tell(
    leaks: &RunLeaks,
    copies: &Copies,
    spec: &DatasetSpec,
    site: &mut Site,
    warnings: &mut Vec<(String, String)>,
) {
    let name = &leaks.dataset;
    let mut warn = |text: String| warnings.push((name.clone(), text));
    if leaks.same + leaks.near > 0 {
        let message = crossing(leaks);
        match spec.on_leak.value {
            OnLeak::Fail => {
                let problem =
                    Problem::at(spec.on_leak.place, format!("data set `{name}`: {message}"));
                let help = "write `on_leak: drop_from_train` to leave their copies out of train and \
                            val, or mend the data set";
                site.problem(problem.help(help));
            }
            _ => warn(format!("{message}; write `on_leak: drop_from_train` to leave these out")),
        }
    }
    if leaks.contradicting > 0 {
        let pair = leaks.pairs.iter().find(|pair| pair.labels[0] != pair.labels[1]);
        warn(format!(
            "{} with different labels{}",
            counted_of(leaks.contradicting, "pair", "of copies"),
            pair.map(|pair| format!(", the first {}", shown(pair))).unwrap_or_default()
        ));
    }
    if leaks.within > 0 {
        let pairs = counted_of(leaks.within, "pair", "of copies");
        site.note(format!("{name}: {pairs} on one side of the test part; see the table `leaks`"));
    }
    if copies.all_alike {
        site.note(look_alike(name));
    }
}

fn look_alike(name: &str) -> String {
    format!("{name}: most images look alike when they are small, so only equal ones are told")
}

/// "2 pairs of copies".
fn counted_of(number: usize, what: &str, of: &str) -> String {
    format!("{} {of}", counted(number, what))
}

/// How many test items have copies, and of what kind.
fn copied(leaks: &RunLeaks) -> String {
    match (&leaks.same, &leaks.near) {
        (same, 0) => format!("{} equal", counted(*same, "test item")),
        (0, near) => format!("{} nearly equal", counted(*near, "test item")),
        (same, near) => {
            format!("{} equal and {near} more nearly equal", counted(*same, "test item"))
        }
    }
}

/// How many test items have copies in train or val.
fn crossing(leaks: &RunLeaks) -> String {
    let first = leaks.pairs.first().map(shown).unwrap_or_default();
    let counts = copied(leaks);
    format!(
        "{counts} to items of train or val (the first {first}): what is learnt is tested on itself"
    )
}

fn shown(pair: &RunLeak) -> String {
    format!("`{}` and `{}`", pair.items[0], pair.items[1])
}
