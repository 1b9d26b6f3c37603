//! Copies of test items in another data set that a model was trained on before.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Problem;
use crate::data::{Copies, Dataset, FindAcross, Near, OnLeak, Part, Taken};
use crate::stages::{NodeId, OpenDataset, ScoredArm, Site, Source, full_name};
use crate::store::{MOST_LEAKS, RunLeak, RunLeaks};

use super::super::spec::{DatasetSpec, Document};
use super::{Sides, copied, label, look_alike, shown};

/// Looks at every data set that something is tested on whose model was trained on another; adds
/// what may be wrong to `warnings`, or problems where the file says `on_leak: fail`. Nobody looks
/// where one of both says `on_leak: ignore`.
pub(in super::super) fn across(
    document: &Document,
    find: &FindAcross,
    site: &mut Site,
    warnings: &mut Vec<(String, String)>,
) -> Vec<RunLeaks> {
    let spec = |name: &str| {
        let mut entries = document.datasets.entries.iter();
        let spec = &entries.find(|(known, _)| known.0 == name)?.1;
        (spec.on_leak.value != OnLeak::Ignore).then_some(spec)
    };
    let mut all = Vec::new();
    for ([tested, learnt], stage) in paths(site) {
        let open = |name: &str| site.datasets.get(name).cloned().flatten();
        let (Some(spec), Some(_)) = (spec(&tested), spec(&learnt)) else { continue };
        let (Some(tested), Some(learnt)) = (open(&tested), open(&learnt)) else { continue };
        let Some(pair) = Across::of(&learnt, &tested, site) else { continue };
        let copies = find(pair.learnt.taken(), pair.tested.taken());
        let leaks = pair.leaks(&copies);
        if copies.all_alike {
            site.note(look_alike(&format!("{} and {}", tested.name, learnt.name)));
        }
        if !leaks.pairs.is_empty() {
            tell(&leaks, &stage, spec, site, warnings);
            all.push(leaks);
        }
    }
    all
}

/// Each data set that is tested on with another that was learnt on before, and the first stage that
/// learnt there.
fn paths(site: &Site) -> BTreeMap<[String; 2], String> {
    let scores = site.planned.iter().filter_map(|planned| planned.offers.as_ref()?.scores.as_ref());
    let on_test = scores.filter(|scores| scores.part == Part::Test);
    let mut arms: BTreeMap<&str, Vec<&ScoredArm>> = BTreeMap::new();
    for arm in on_test.flat_map(|scores| &scores.arms) {
        arms.entry(arm.data.origin()).or_default().push(arm);
    }
    let mut paths = BTreeMap::new();
    for (tested, arms) in arms {
        let reached = reached(&arms, site);
        let models = models(site).filter(|model| model.nodes.iter().any(|n| reached.contains(n)));
        let models = models.map(|model| (model.learnt_on, model.stage));
        let probes = arms.iter().filter_map(|arm| Some((arm.arm.train_on.clone()?, arm.name())));
        for (learnt, stage) in models.chain(probes) {
            if learnt != tested {
                paths.entry([tested.to_owned(), learnt]).or_insert(stage);
            }
        }
    }
    paths
}

/// All work that predictions of these arms come from.
fn reached(arms: &[&ScoredArm], site: &Site) -> BTreeSet<NodeId> {
    let mut next: Vec<NodeId> = arms.iter().flat_map(|arm| arm.predictions.all()).collect();
    let mut reached = BTreeSet::new();
    while let Some(node) = next.pop() {
        if reached.insert(node) {
            let inputs = site.nodes[node.0].inputs.iter();
            next.extend(inputs.filter(|input| !input.is_order()).map(|input| input.from));
        }
    }
    reached
}

/// A model that a stage trains.
struct Trained {
    stage: String,
    learnt_on: String,
    nodes: Vec<NodeId>,
}

fn models(site: &Site) -> impl Iterator<Item = Trained> {
    site.planned.iter().filter_map(|planned| {
        let offers = planned.offers.as_ref()?;
        let Source::Made(runs) = &offers.model.as_ref()?.source else { return None };
        let trained = offers.classifier.as_ref().filter(|trained| trained.runs == *runs)?;
        Some(Trained {
            stage: full_name(&planned.stage, &planned.axes),
            learnt_on: trained.data.origin().to_owned(),
            nodes: runs.all(),
        })
    })
}

/// Items of a data set that stand on one side.
struct Side<'a> {
    data: &'a OpenDataset,
    sides: Sides,
    items: Vec<usize>,
}

impl<'a> Side<'a> {
    /// Those tested, or those learnt from; nothing if there are none.
    fn of(data: &'a OpenDataset, is_tested: bool, site: &Site) -> Option<Self> {
        let sides = Sides::of(data, &site.seeds)?;
        let stands =
            |item: &usize| sides.parts[*item].is_some_and(|part| (part == Part::Test) == is_tested);
        let items: Vec<usize> = (0..sides.parts.len()).filter(stands).collect();
        (!items.is_empty()).then_some(Self { data, sides, items })
    }

    fn taken(&self) -> Taken<'_> {
        let OpenDataset { dataset, is_images, .. } = self.data;
        Taken { dataset, items: &self.items, are_images: *is_images }
    }

    /// The part, the name and the label of an item at a position.
    fn told(&self, position: usize) -> (Option<String>, String, String) {
        let item = self.items[position];
        let dataset: &Dataset = &self.data.dataset;
        let part = self.sides.parts[item].map(|part| part.name().to_owned());
        (part, dataset.items()[item].id.clone(), label(dataset, item))
    }
}

/// What is learnt from in one data set and tested in another.
struct Across<'a> {
    learnt: Side<'a>,
    tested: Side<'a>,
}

impl<'a> Across<'a> {
    fn of(learnt: &'a OpenDataset, tested: &'a OpenDataset, site: &Site) -> Option<Self> {
        let learnt = Side::of(learnt, false, site)?;
        Some(Self { learnt, tested: Side::of(tested, true, site)? })
    }

    fn leaks(&self, copies: &Copies) -> RunLeaks {
        let first = self.learnt.items.len();
        let count = first + self.tested.items.len();
        let learnt: Vec<usize> = (0..first).collect();
        let tested = |copies: &Copies| {
            let found = copies.of(&learnt, count);
            found[first..].iter().filter(|found| **found).count()
        };
        let same = tested(&Copies { same: copies.same.clone(), ..Copies::default() });
        // Equal items each with the first that is learnt from.
        let equal = copies.same.iter().flat_map(|group| {
            group.iter().filter(|item| **item >= first).map(|item| (group[0], *item, None))
        });
        let near = copies.near.iter().map(|near| (near.a, near.b, Some(near)));
        let mut pairs: Vec<(usize, usize, Option<&Near>)> = equal.chain(near).collect();
        pairs.sort_by_key(|(a, b, _)| (*a, *b));
        let pairs = pairs.into_iter().take(MOST_LEAKS);
        RunLeaks {
            dataset: self.tested.data.name.clone(),
            learnt_on: Some(self.learnt.data.name.clone()),
            same,
            near: tested(copies) - same,
            pairs: pairs.map(|(a, b, near)| self.told(a, b - first, near)).collect(),
            ..RunLeaks::default()
        }
    }

    fn told(&self, learnt: usize, tested: usize, near: Option<&Near>) -> RunLeak {
        let (part_a, item_a, label_a) = self.learnt.told(learnt);
        let (part_b, item_b, label_b) = self.tested.told(tested);
        RunLeak {
            parts: [part_a, part_b],
            items: [item_a, item_b],
            labels: [label_a, label_b],
            distance: near.map(|near| near.distance),
            correlation: near.map(|near| near.correlation),
        }
    }
}

fn tell(
    leaks: &RunLeaks,
    stage: &str,
    spec: &DatasetSpec,
    site: &mut Site,
    warnings: &mut Vec<(String, String)>,
) {
    let name = &leaks.dataset;
    let source = leaks.learnt_on.as_deref().unwrap_or_default();
    let first = leaks.pairs.first().map(shown).unwrap_or_default();
    let message = format!(
        "{} to items of `{source}` that `{stage}` learns from (the first {first}): what is learnt \
         is tested on itself",
        copied(leaks)
    );
    if spec.on_leak.value == OnLeak::Fail {
        let problem = Problem::at(spec.on_leak.place, format!("data set `{name}`: {message}"));
        let help = "leave these items out of one of both data sets; with `on_leak: warn` the table \
                    `leaks` of a run lists them";
        site.problem(problem.help(help));
    } else {
        let way_out = "leave these out of one of both data sets, see the table `leaks`";
        warnings.push((name.clone(), format!("{message}; {way_out}")));
    }
}
