//! `seeds: until_decided`: at which numbers of seeds a study is looked at, and whether it goes on.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::{Located, Problem, Seed, counted};
use crate::stages::artifacts::Verdicts;
use crate::stages::{Reference, Site};
use crate::stats::{Class, InterimLook, InterimLooks, Reason, Verdict};
use crate::store::{RunStage, Store};

use super::execute::Outcome;
use super::spec::UntilDecided;

/// A study that grows while its verdicts are open.
#[derive(Clone, Debug)]
pub struct Growth {
    looks: InterimLooks,
    of: Vec<Reference>,
    /// Hours of work at most.
    hours: Option<f64>,
    /// Nodes that every seed adds, and all others.
    nodes: (usize, usize),
}

/// What comes after a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This many seeds in all, and why.
    Grow {
        /// Seeds at the next look.
        seeds: usize,
        /// What a reader is told.
        text: String,
    },
    /// Nothing, and why.
    Stop {
        /// What a reader is told.
        text: String,
    },
}

impl Growth {
    /// As it is written.
    pub(super) fn new(until: &UntilDecided) -> Self {
        Self {
            looks: InterimLooks::new(until.first.0, until.most.0),
            of: until.of.iter().map(|named| named.value.clone()).collect(),
            hours: until.hours.map(crate::base::language::Above0::get),
            nodes: (0, 0),
        }
    }

    /// Numbers of seeds at which it is looked at.
    pub fn sizes(&self) -> &[usize] {
        self.looks.sizes()
    }

    /// The look at so many seeds.
    pub(super) fn look(&self, seeds: usize) -> Option<InterimLook> {
        self.looks.at(seeds)
    }

    /// With what is planned, so that the size of the whole can be told.
    pub(super) fn planned(self, site: &Site) -> Self {
        let seeded = site.nodes.iter().filter(|node| node.seed.is_some()).count();
        let each = seeded / site.seeds.len().max(1);
        Self { nodes: (each, site.nodes.len() - seeded), ..self }
    }

    /// Nodes with so many seeds.
    pub fn nodes(&self, seeds: usize) -> usize {
        self.nodes.0 * seeds + self.nodes.1
    }

    /// Seeds at most.
    pub fn most(&self) -> usize {
        self.sizes().last().copied().unwrap_or_default()
    }

    /// Tells of names that no verdict is about.
    pub(super) fn check(until: &Located<UntilDecided>, stages: &[RunStage], site: &mut Site) {
        let verdicts = || stages.iter().filter(|stage| stage.kind == "transfer");
        if verdicts().next().is_none() {
            // A verdict that could not be planned has been told.
            if site.found.is_empty() {
                let message = "no stage gives a verdict that could be decided";
                let help = format!("write `seeds: {}`, or add a `transfer` stage", until.first.0);
                site.problem(Problem::at(until.place, message).help(help));
            }
            return;
        }
        for named in &until.of {
            let known = verdicts().any(|stage| {
                is_meant(named, stage)
                    || stage.compared.iter().any(|arm| is_named(named, arm, stages))
            });
            if !known {
                let names: Vec<&str> = verdicts()
                    .flat_map(|stage| [&stage.name].into_iter().chain(&stage.compared))
                    .map(String::as_str)
                    .collect();
                let message = format!("no verdict is about `{}`", named.value);
                let problem = Problem::at(named.place, message);
                site.problem(problem.or_else_one_of(&named.stage, names));
            }
        }
    }

    /// What comes after the look at so many seeds.
    pub fn next(
        &self,
        stages: &[RunStage],
        seeds: usize,
        outcomes: &[Arc<Outcome>],
        store: &Store,
    ) -> Next {
        let stop = |text: String| Next::Stop { text };
        let Some(open) = self.open(stages, outcomes, store) else {
            return stop("there is no verdict by which seeds could be added".to_owned());
        };
        if open.is_empty() {
            return stop(format!("every verdict is decided with {}", counted(seeds, "seed")));
        }
        let wanted = open.iter().filter_map(|one| one.more.as_ref().ok()).min();
        let Some(&more) = wanted else {
            let told: Vec<String> = open.iter().map(Open::told).collect();
            return stop(format!("more seeds would not decide it: {}", told.join("; ")));
        };
        let Some(next) = self.looks.after(seeds, more) else {
            let most = counted(self.most(), "seed");
            return stop(format!("{} with {most}, which is the most", still_open(open.len())));
        };
        if let Some(hours) = self.hours
            // What is done once for all seeds is little beside the rest.
            && let expected = spent(outcomes) * next as f64 / seeds as f64
            && expected > 3600.0 * hours
        {
            return stop(format!(
                "{}; {} would come to {:.2} hours of work, and {hours} are the most",
                still_open(open.len()),
                counted(next, "seed"),
                expected / 3600.0
            ));
        }
        let text = format!("{}: {}", still_open(open.len()), counted(next - seeds, "more seed"));
        Next::Grow { seeds: next, text }
    }

    /// The verdicts that matter and are not decided; nothing if there is none, or one is missing.
    fn open(
        &self,
        stages: &[RunStage],
        outcomes: &[Arc<Outcome>],
        store: &Store,
    ) -> Option<Vec<Open>> {
        let verdicts: Vec<&RunStage> =
            stages.iter().filter(|stage| stage.kind == "transfer").collect();
        let mut open = Vec::new();
        for stage in &verdicts {
            for row in read(stage, outcomes, store)?.rows {
                let arm = stage.compared.get(row.arm).map_or("", String::as_str);
                let matters = self.of.is_empty()
                    || self.of.iter().any(|of| is_meant(of, stage) || is_named(of, arm, stages));
                if matters && row.verdict.class == Class::Inconclusive {
                    open.push(Open { arm: arm.to_owned(), more: more_seeds(&row.verdict) });
                }
            }
        }
        (!verdicts.is_empty()).then_some(open)
    }
}

/// A verdict that is not decided.
struct Open {
    arm: String,
    /// Seeds that it is thought to lack, or why more would not decide it.
    more: Result<usize, String>,
}

impl Open {
    fn told(&self) -> String {
        format!("`{}` ({})", self.arm, self.more.as_ref().err().map_or("", String::as_str))
    }
}

/// How many more seeds an open verdict is thought to need, or why they would not decide it.
fn more_seeds(verdict: &Verdict) -> Result<usize, String> {
    if let Some(reason) = verdict.reason()
        && !verdict.reasons.iter().all(Reason::is_lack_of_seeds)
    {
        return Err(reason);
    }
    match verdict.needed {
        // There are too few seeds for any projection.
        None => Ok(1),
        Some(needed) => match (needed.more_seeds, needed.more_items) {
            (Some(more), _) => Ok(more),
            (None, Some(_)) => Err(format!("its {} test items limit it", verdict.units)),
            (None, None) => Err("its difference is as large as what just counts as one".to_owned()),
        },
    }
}

fn still_open(count: usize) -> String {
    match count {
        1 => "a verdict is open".to_owned(),
        many => format!("{many} verdicts are open"),
    }
}

/// The verdicts of a stage, if it has any.
fn read(stage: &RunStage, outcomes: &[Arc<Outcome>], store: &Store) -> Option<Verdicts> {
    let outcome = outcomes.get(*stage.nodes.first()?)?;
    let Outcome::Done { record, .. } = outcome.as_ref() else { return None };
    let bytes = store.map(record.outputs.get("verdict")?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn is_meant(reference: &Reference, stage: &RunStage) -> bool {
    reference.stage == stage.stage && reference.axes.iter().all(|axis| stage.axes.contains(axis))
}

fn is_named(reference: &Reference, arm: &str, stages: &[RunStage]) -> bool {
    stages.iter().any(|stage| stage.name == arm && is_meant(reference, stage))
}

/// Seconds that results took, whenever they were made.
fn spent(outcomes: &[Arc<Outcome>]) -> f64 {
    let mut known = BTreeSet::new();
    let cost = |outcome: &Arc<Outcome>| match outcome.as_ref() {
        Outcome::Done { key, record, .. } if known.insert(*key) => record.cost.seconds,
        _ => 0.0,
    };
    outcomes.iter().map(cost).sum()
}

/// The seeds of a look.
pub(super) fn numbers(count: usize) -> Vec<Seed> {
    (0..count as u64).map(Seed).collect()
}
