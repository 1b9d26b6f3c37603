//! Lists of learning rates that grow: where the best of a list stands at its end, a decade beyond is
//! tried, too, by the arm and by all that is compared with it, so that nobody may spend more than
//! the others. A plan has the lists as far as they have grown; what its trials give tells whether
//! another plan with longer lists takes its place.

use std::collections::{BTreeMap, BTreeSet};

use crate::onnx::runtime::Runtime;
use crate::stages::artifacts::{End, TrialResult, edge};
use crate::stages::{Node, Search};
use crate::store::{Record, RunStage, Store};

use super::forecast;
use super::plan::Plan;

/// How often a list may grow.
const MOST: usize = 2;

/// By what lists have grown so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extensions {
    /// By the stage with its axes.
    lists: BTreeMap<String, Grown>,
    notes: Vec<String>,
}

/// By what one list has grown.
#[derive(Clone, Debug, Default, PartialEq)]
struct Grown {
    rates: Vec<f64>,
    times: usize,
}

impl Extensions {
    /// Rates by which each list has grown, by the stage with its axes.
    pub(super) fn rates(&self) -> BTreeMap<String, Vec<f64>> {
        self.lists.iter().map(|(name, grown)| (name.clone(), grown.rates.clone())).collect()
    }

    /// What a reader is told of it: a line for each time that lists have grown.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    fn times(&self, group: &Group) -> usize {
        self.lists.get(&group.arms[0].name).map_or(0, |grown| grown.times)
    }

    /// Grows the list of a group at these ends, at each of which the arm named has its best.
    fn grow(&mut self, group: &Group, ends: &BTreeMap<End, &str>) {
        let own = &group.arms[0].search.rates;
        let beyond: Vec<f64> = ends.keys().flat_map(|end| beyond(own, *end)).collect();
        for arm in &group.arms {
            let grown = self.lists.entry(arm.name.clone()).or_default();
            grown.rates.extend(&beyond);
            grown.times += 1;
        }
        for (end, of) in ends {
            let (which, best) = match end {
                End::Below => ("smallest", own.first()),
                End::Above => ("largest", own.last()),
            };
            let best = best.copied().unwrap_or_default();
            let more: Vec<String> = beyond_in_words(own, *end);
            self.notes.push(format!(
                "the best learning rate of `{of}` is the {which} of its list, {best}: {} try {}, too",
                group.told(),
                more.join(" and ")
            ));
        }
    }
}

fn beyond_in_words(rates: &[f64], end: End) -> Vec<String> {
    beyond(rates, end).iter().map(ToString::to_string).collect()
}

/// The decade beyond an end of a list: as many rates as the list has in the decade before that end,
/// ten times as large or as small.
fn beyond(rates: &[f64], end: End) -> Vec<f64> {
    // What is nearly a decade away, as 0.1 and 0.01 are, is one.
    const NEARLY: f64 = 1e-9;
    let last = match end {
        End::Below => rates.first(),
        End::Above => rates.last(),
    };
    let Some(last) = last.copied() else { return vec![] };
    let own = rates.iter().filter(|rate| match end {
        End::Below => **rate < last * 10.0 * (1.0 - NEARLY),
        End::Above => **rate > last / 10.0 * (1.0 + NEARLY),
    });
    let moved = own.map(|rate| match end {
        End::Below => rate / 10.0,
        End::Above => rate * 10.0,
    });
    moved.map(rounded).collect()
}

/// As it would be written by hand: 0.03, not ten times 0.003 with its last bit.
fn rounded(rate: f64) -> f64 {
    format!("{rate:.12e}").parse().unwrap_or(rate)
}

impl Plan {
    /// What comes next, given what trials have left so far: another plan, a part of this one, or all
    /// of it.
    pub fn next(&self, result: Results<'_>) -> Then {
        next(&self.groups, &self.nodes, &self.extensions, result)
    }

    /// By what lists of learning rates have grown, if what is in the store lets them grow further.
    pub fn longer(&self, store: &Store, runtime: &Runtime) -> Option<Extensions> {
        if self.groups.is_empty() {
            return None;
        }
        let there = forecast::there(self, store, runtime);
        let result = |node: usize| self::result(there.get(node)?.as_ref()?, store);
        match self.next(&result) {
            Then::Extend(longer) => Some(longer),
            Then::Hold(_) | Then::Go => None,
        }
    }

    /// Trials that lists of learning rates may grow by at most, given what is there.
    pub(super) fn further(&self, result: Results<'_>) -> usize {
        further(&self.groups, &self.extensions, result)
    }

    /// By what lists of learning rates have grown.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }
}

/// Arms that are compared and choose from the same list, whose list grows for all of them alike.
#[derive(Clone, Debug)]
pub struct Group {
    arms: Vec<Arm>,
}

/// One that chooses.
#[derive(Clone, Debug)]
struct Arm {
    name: String,
    search: Search,
    /// The node of each seed that chooses.
    choices: Vec<usize>,
    /// The trials of each seed, in the order of the rates.
    trials: Vec<Vec<usize>>,
}

impl Arm {
    /// The arm of that name, if it chooses from a list that may grow.
    fn named(name: &str, stages: &[RunStage], nodes: &[Node]) -> Option<Self> {
        let stage = stages.iter().find(|stage| stage.name == name)?;
        let search = nodes[*stage.nodes.first()?].job.searches()?;
        let trial = |choice: usize, port: &String| {
            let input = nodes[choice].inputs.iter().find(|input| input.port == *port);
            input.map(|input| input.from.0)
        };
        let trials = |&choice: &usize| -> Option<Vec<usize>> {
            search.ports.iter().map(|port| trial(choice, port)).collect()
        };
        let trials = stage.nodes.iter().map(trials).collect::<Option<_>>()?;
        Some(Self { name: name.to_owned(), search, choices: stage.nodes.clone(), trials })
    }

    /// The end of its list at which its best stands; `Err` while a trial has no result. Seeds in which
    /// everything diverged say nothing.
    fn end(&self, result: Results<'_>) -> Result<Option<End>, NotYet> {
        let mut curves: Vec<Vec<(f64, Option<f64>)>> = Vec::new();
        for trials in &self.trials {
            let mut curve = Vec::with_capacity(trials.len());
            for &trial in trials {
                let trial = result(trial).ok_or(NotYet)?;
                curve.push((trial.rate, self.search.error(&trial)));
            }
            if curve.iter().any(|(_, error)| error.is_some()) {
                curves.push(curve);
            }
        }
        Ok(edge(&curves.iter().map(Vec::as_slice).collect::<Vec<_>>()))
    }
}

/// What a trial has left, by its node; nothing if it has left nothing yet.
pub type Results<'a> = &'a dyn Fn(usize) -> Option<TrialResult>;

/// A trial has left nothing yet.
struct NotYet;

/// What came of a trial, as its record keeps it.
pub fn result(record: &Record, store: &Store) -> Option<TrialResult> {
    let bytes = store.map(record.outputs.get(RESULT)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The port at which a trial leaves what came of it.
const RESULT: &str = "result";

impl Group {
    fn trials(&self) -> impl Iterator<Item = usize> {
        self.arms.iter().flat_map(|arm| arm.trials.iter().flatten().copied())
    }

    /// The ends of the list at which an arm has its best, each with the first such arm.
    fn ends(&self, result: Results<'_>) -> Result<BTreeMap<End, &str>, NotYet> {
        let mut ends = BTreeMap::new();
        for arm in &self.arms {
            if let Some(end) = arm.end(result)? {
                ends.entry(end).or_insert(arm.name.as_str());
            }
        }
        Ok(ends)
    }

    /// How many trials it may come to beyond those there are.
    fn further(&self, times: usize) -> usize {
        let each = |arm: &Arm| {
            let ends = [End::Below, End::Above].map(|end| beyond(&arm.search.rates, end).len());
            arm.choices.len() * ends.iter().sum::<usize>()
        };
        MOST.saturating_sub(times) * self.arms.iter().map(each).sum::<usize>()
    }

    /// Its arms, in words.
    fn told(&self) -> String {
        const MOST_NAMES: usize = 4;
        let names: Vec<String> = self.arms.iter().map(|arm| format!("`{}`", arm.name)).collect();
        match names.split_at_checked(MOST_NAMES) {
            Some((first, more)) if !more.is_empty() => {
                format!("{} and {} more", first.join(", "), more.len())
            }
            _ => match names.split_last() {
                Some((last, others)) if !others.is_empty() => {
                    format!("{} and {last}", others.join(", "))
                }
                _ => names.join(", "),
            },
        }
    }
}

/// The groups of a plan: arms that are joined by verdicts, directly or through others, and whose lists
/// were the same as the file has them.
pub(super) fn groups(
    pairs: &[[String; 2]],
    stages: &[RunStage],
    nodes: &[Node],
    extensions: &Extensions,
) -> Vec<Group> {
    let said = |arm: &Arm| -> Vec<f64> {
        let grown = extensions.lists.get(&arm.name);
        let is_new = |rate: &f64| grown.is_some_and(|grown| grown.rates.contains(rate));
        arm.search.rates.iter().filter(|rate| !is_new(rate)).copied().collect()
    };
    let mut groups: Vec<Group> = Vec::new();
    for [arm, baseline] in pairs {
        let found = |name: &str| Arm::named(name, stages, nodes);
        let (Some(arm), Some(baseline)) = (found(arm), found(baseline)) else { continue };
        if said(&arm) != said(&baseline) {
            continue;
        }
        let is_of = |group: &Group, arm: &Arm| group.arms.iter().any(|own| own.name == arm.name);
        let (joined, others): (Vec<Group>, Vec<Group>) =
            groups.into_iter().partition(|group| is_of(group, &arm) || is_of(group, &baseline));
        groups = others;
        let mut arms: Vec<Arm> = joined.into_iter().flat_map(|group| group.arms).collect();
        for new in [baseline, arm] {
            if !arms.iter().any(|known| known.name == new.name) {
                arms.push(new);
            }
        }
        groups.push(Group { arms });
    }
    groups
}

/// How many trials lists may grow by at most, of those of which it is not known yet.
fn further(groups: &[Group], known: &Extensions, result: Results<'_>) -> usize {
    let open = groups.iter().filter(|group| group.ends(result).is_err());
    open.map(|group| group.further(known.times(group))).sum()
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    /// A plan with lists that have grown this far.
    Extend(Extensions),
    /// All of the plan but these nodes: whether lists grow is not known yet.
    Hold(BTreeSet<usize>),
    /// All of the plan: nothing grows any more.
    Go,
}

/// What comes next, given what trials have left so far. The same trials come to the same end, whatever
/// was there before and in whatever order they were done.
fn next(groups: &[Group], nodes: &[Node], known: &Extensions, result: Results<'_>) -> Then {
    let mut open: Vec<&Group> = groups.iter().collect();
    let mut grown = known.clone();
    loop {
        if open.is_empty() {
            return Then::Go;
        }
        // What is trained on a model that is yet to be chosen decides nothing before.
        let held = held(&open, nodes);
        let is_ready = |group: &Group| group.trials().all(|trial| !held.contains(&trial));
        let (ready, mut left): (Vec<&Group>, Vec<&Group>) =
            open.iter().partition(|group| is_ready(group));
        let mut is_settled = false;
        for group in ready {
            match group.ends(result) {
                Err(NotYet) => left.push(group),
                Ok(ends) if ends.is_empty() || known.times(group) >= MOST => is_settled = true,
                Ok(ends) => grown.grow(group, &ends),
            }
        }
        if grown != *known {
            return Then::Extend(grown);
        }
        if !is_settled {
            return Then::Hold(held);
        }
        open = left;
    }
}

/// The nodes that choose, and all that come after them.
fn held(groups: &[&Group], nodes: &[Node]) -> BTreeSet<usize> {
    let arms = groups.iter().flat_map(|group| &group.arms);
    let mut held: BTreeSet<usize> = arms.flat_map(|arm| arm.choices.iter().copied()).collect();
    // Nodes come after those they read from, so one way through finds all of them.
    for (index, node) in nodes.iter().enumerate() {
        if node.inputs.iter().any(|input| held.contains(&input.from.0)) {
            held.insert(index);
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_grows_by_a_decade_as_it_was_written() {
        let above = |rates: &[f64]| beyond(rates, End::Above);
        assert_eq!(above(&[3e-4, 1e-3, 3e-3]), [1e-2, 3e-2]);
        assert_eq!(above(&[1e-3, 1e-2]), [1e-1]);
        assert_eq!(above(&[1e-3, 3e-3, 1e-2, 3e-2, 1e-1]), [3e-1, 1.0]);
        assert_eq!(above(&[1e-4, 2e-3]), [2e-2]);
        let below = |rates: &[f64]| beyond(rates, End::Below);
        assert_eq!(below(&[3e-4, 1e-3, 3e-3]), [3e-5, 1e-4]);
        assert_eq!(below(&[1e-3, 1e-2, 2e-2]), [1e-4]);
    }

    #[test]
    fn a_list_grows_at_its_new_end_the_second_time() {
        let once = [&[3e-4, 1e-3, 3e-3][..], &beyond(&[3e-4, 1e-3, 3e-3], End::Above)].concat();
        assert_eq!(beyond(&once, End::Above), [1e-1, 3e-1]);
    }
}
