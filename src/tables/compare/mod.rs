//! Two runs compared: each arm with itself, over the seeds and items that both runs share. Reads run
//! folders alone, so a folder that somebody sent is enough.

mod arms;
mod opened;
mod tested;

use serde::Serialize;

use crate::pipeline::spec::{Setting, changes};
use crate::stats::Measure;
use crate::store::RunRecord;

use super::TableError;

pub use opened::OpenedRun;
pub use tested::TestsDiffer;

/// One run against another, which is the reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunComparison {
    /// The pipeline of the run.
    pub pipeline: String,
    /// Id of the reference.
    pub reference: String,
    /// Id of the run.
    pub run: String,
    /// The metric compared.
    pub metric: String,
    /// The part of the data sets that was scored.
    pub split: String,
    /// Seeds that both runs have.
    pub seeds: Vec<u64>,
    /// Arms that both runs have.
    pub arms: Vec<ArmComparison>,
    /// Arms of the reference alone.
    pub only_in_reference: Vec<String>,
    /// Arms of the run alone.
    pub only_in_run: Vec<String>,
    /// What is set otherwise in the run.
    pub changes: Vec<Setting>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// One arm of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmComparison {
    /// Its name with its axes.
    pub arm: String,
    /// Mean over the shared seeds in the reference.
    pub before: Option<f64>,
    /// Mean over the shared seeds in the run.
    pub after: Option<f64>,
    /// Their difference; positive is better, whichever way the metric goes.
    pub delta: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// What the interval speaks of.
    pub scope: Scope,
    /// Seeds in which both have a score.
    pub seeds: usize,
    /// Test items.
    pub items: Option<usize>,
    /// Groups of test items, where they have groups.
    pub groups: Option<usize>,
    /// What may be said.
    pub word: Change,
    /// What belongs beside that.
    pub remark: String,
    /// What the reference said of the arm against its baseline.
    pub verdict_before: Option<String>,
    /// What the run says of the arm against its baseline.
    pub verdict_after: Option<String>,
}

/// What an interval speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Other seeds and other items: the two-way test.
    SeedsAndItems,
    /// Other seeds on these items: a paired t.
    Seeds,
}

/// What may be said of an arm from one run to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It got better.
    Better,
    /// No difference that matters.
    Same,
    /// It got worse.
    Worse,
    /// Cannot be told.
    Open,
}

/// Why runs cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A folder cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// They were tested on other items.
    #[error(transparent)]
    Tests(#[from] TestsDiffer),
    /// The metric is not there.
    #[error("{message}")]
    Metric {
        /// What is wrong.
        message: String,
        /// What there is.
        known: Vec<String>,
    },
}

/// Compares a run with a reference, on `metric` or on that of the reference's verdict.
pub fn compare(
    reference: &OpenedRun,
    run: &OpenedRun,
    metric: Option<&str>,
) -> Result<RunComparison, CompareError> {
    let metric = chosen(reference, run, metric)?;
    let split = split_of(reference);
    let mut notes = tested::check(reference, run, &split)?;
    let seeds = shared_seeds(reference, run);
    let both = arms::of(reference, run, metric, &split, &seeds);
    let names = |one: &OpenedRun| one.arms(metric.name(), &split);
    let (before, after) = (names(reference), names(run));
    let without = |these: &[String], others: &[String]| -> Vec<String> {
        these.iter().filter(|name| !others.contains(name)).cloned().collect()
    };
    if seeds.is_empty() {
        notes.push("the runs share no seed".to_owned());
    }
    let mut changes = settings(&reference.record, &run.record, &mut notes);
    changes.extend(circumstances(&reference.record, &run.record));
    Ok(RunComparison {
        pipeline: run.record.pipeline.clone(),
        reference: reference.record.run.clone(),
        run: run.record.run.clone(),
        metric: metric.name().to_owned(),
        split,
        seeds,
        arms: both,
        only_in_reference: without(&before, &after),
        only_in_run: without(&after, &before),
        changes,
        notes,
    })
}

/// The metric that is asked for, else that of the verdict, else the first that was scored.
fn chosen(
    reference: &OpenedRun,
    run: &OpenedRun,
    asked: Option<&str>,
) -> Result<Measure, CompareError> {
    let known: Vec<String> = reference.metrics();
    let refused = |message: String| CompareError::Metric { message, known: known.clone() };
    let word = match asked.or(reference.verdict_metric.as_deref()) {
        Some(word) => word.to_owned(),
        None => {
            let usual = "balanced_accuracy".to_owned();
            let first = known.first().ok_or_else(|| refused(nothing_scored(reference)))?;
            if known.contains(&usual) { usual } else { first.clone() }
        }
    };
    for one in [reference, run] {
        if !one.metrics().contains(&word) {
            let shown = &one.record.run;
            return Err(refused(format!("`{word}` was not scored in {shown}")));
        }
    }
    Measure::named(&word).ok_or_else(|| refused(format!("no metric is called `{word}`")))
}

fn nothing_scored(run: &OpenedRun) -> String {
    format!("{} has no scores to compare", run.record.run)
}

/// The test part, unless the reference scored only another.
fn split_of(run: &OpenedRun) -> String {
    let known = run.splits();
    match known.iter().find(|split| *split == "test").or(known.first()) {
        Some(split) => split.clone(),
        None => "test".to_owned(),
    }
}

fn shared_seeds(reference: &OpenedRun, run: &OpenedRun) -> Vec<u64> {
    let others = &run.record.seeds;
    reference.record.seeds.iter().copied().filter(|seed| others.contains(seed)).collect()
}

/// What the pipelines set otherwise.
fn settings(before: &RunRecord, after: &RunRecord, notes: &mut Vec<String>) -> Vec<Setting> {
    let found = changes((&before.text, &before.sets), (&after.text, &after.sets));
    found.unwrap_or_else(|| {
        if before.text != after.text {
            notes.push("the pipelines differ, but one of them cannot be read any more".to_owned());
        }
        vec![]
    })
}

/// What differs beside the pipeline.
fn circumstances(before: &RunRecord, after: &RunRecord) -> Vec<Setting> {
    let sets = |run: &RunRecord| {
        let pairs: Vec<String> = run.sets.iter().map(|(name, v)| format!("{name}={v}")).collect();
        (!pairs.is_empty()).then(|| pairs.join(" "))
    };
    let seeds = |run: &RunRecord| {
        let numbers: Vec<String> = run.seeds.iter().map(ToString::to_string).collect();
        Some(format!("[{}]", numbers.join(", ")))
    };
    let of = |what: &str, value: &dyn Fn(&RunRecord) -> Option<String>| Setting {
        what: what.to_owned(),
        before: value(before),
        after: value(after),
    };
    let all = [
        of("--set", &sets),
        of("seeds", &seeds),
        of("version", &|run| Some(run.version.clone())),
        of("runtime", &|run| Some(run.runtime.clone())),
        of("host", &|run| Some(run.host.clone())),
        of("revision", &|run| run.revision.clone()),
    ];
    all.into_iter().filter(|setting| setting.before != setting.after).collect()
}
