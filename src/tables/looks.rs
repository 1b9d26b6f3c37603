//! Looks at test parts: what a run scored there goes into the store's ledger, and what the ledger
//! says goes into a table and a line for a person.

use std::collections::BTreeMap;

use crate::base::{Digest, counted};
use crate::stages::artifacts::Evaluation;
use crate::store::{Look, LookedArm, Looks, RunOutcome, RunRecord, Store, StoreError};

use super::build::arm_fact;
use super::frame::Table;
use super::gather::Verdict;

/// Whether a run scored anything.
pub fn is_scored(run: &RunRecord) -> bool {
    let scored = run.stages.iter().flat_map(|stage| &stage.scored);
    let mut nodes = scored.flat_map(|(_, nodes)| nodes);
    let there = |node: &usize| {
        let outcome = run.nodes.get(*node).map(|node| node.outcome);
        matches!(outcome, Some(RunOutcome::Done | RunOutcome::Hit))
    };
    nodes.any(there)
}

/// Notes in the ledger what a run scored on test parts; tells all looks at each of them, in the order
/// of the run's data sets.
pub fn look(run: &RunRecord, store: &Store) -> Result<Vec<Looks>, StoreError> {
    let mut arms: BTreeMap<String, Vec<LookedArm>> = BTreeMap::new();
    for (name, nodes) in run.stages.iter().flat_map(|stage| &stage.scored) {
        let stage = run.stages.iter().find(|stage| stage.name == *name);
        let target = stage.and_then(|stage| arm_fact(stage, "target")?.as_str());
        let (Some(target), Some(arm)) = (target, looked_at(run, store, name, nodes)) else {
            continue;
        };
        arms.entry(target.to_owned()).or_default().push(arm);
    }
    let time = jiff::Timestamp::now().to_string();
    let tested = run.tests.iter().filter_map(|test| {
        let arms = arms.remove(&test.dataset)?;
        Some(Look {
            test: test.content(),
            dataset: test.dataset.clone(),
            items: test.items,
            pipeline: run.pipeline.clone(),
            run: run.run.clone(),
            time: time.clone(),
            arms,
        })
    });
    tested.collect::<Vec<_>>().iter().map(|look| store.look(look)).collect()
}

/// What of an arm was scored on test; nothing if nothing was.
fn looked_at(run: &RunRecord, store: &Store, name: &str, nodes: &[usize]) -> Option<LookedArm> {
    let mut metrics: Vec<String> = Vec::new();
    let mut predictions: Vec<Digest> = Vec::new();
    for node in nodes.iter().filter_map(|node| run.nodes.get(*node)) {
        let Some(record) = node.key.and_then(|key| store.peek(key)) else { continue };
        let outputs = &record.outputs;
        let (Some(scores), Some(items)) = (outputs.get("scores"), outputs.get("items")) else {
            continue;
        };
        let Ok(bytes) = store.map(scores) else { continue };
        let Ok(evaluation) = serde_json::from_slice::<Evaluation>(&bytes) else { continue };
        if evaluation.part != "test" {
            continue;
        }
        predictions.push(items.digest);
        let told = evaluation.scores.into_iter().filter(|score| score.class.is_none());
        for metric in told.map(|score| score.metric) {
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
    }
    (!predictions.is_empty()).then(|| LookedArm { name: name.to_owned(), metrics, predictions })
}

/// Whether what was sealed stood before any of these arms was first scored on the test part of a data
/// set; nothing where that is not known.
pub(super) fn stood_before<'a>(
    run: &RunRecord,
    dataset: &str,
    arms: impl IntoIterator<Item = &'a str>,
    sealed: &str,
) -> Option<bool> {
    let looks = run.looks.iter().find(|looks| looks.dataset == dataset)?;
    let sealed: jiff::Timestamp = sealed.parse().ok()?;
    let firsts = arms.into_iter().filter_map(|arm| looks.since.get(arm)?.parse().ok());
    Some(sealed <= firsts.min()?)
}

/// How many standard errors the best of so many equal arms is expected to seem ahead: the expected
/// largest of k independent standard normal numbers is about √(2 ln k), and no more.
pub(super) fn luck(arms: usize) -> f64 {
    (2.0 * (arms.max(1) as f64).ln()).sqrt()
}

pub(super) fn table(run: &RunRecord) -> Table {
    let each = || run.looks.iter();
    Table::default()
        .text("dataset", each().map(|looks| Some(looks.dataset.as_str())))
        .text("test", each().map(|looks| looks.test.get(..8)))
        .whole("items", each().map(|looks| Some(looks.items as i64)))
        .whole("looks", each().map(|looks| Some(looks.looks as i64)))
        .whole("arms", each().map(|looks| Some(looks.arms as i64)))
        .number("luck", each().map(|looks| Some(luck(looks.arms))))
}

/// With so many arms it has to be said what that means.
const MANY: usize = 20;

/// A line for each test part that was looked at before, and what that means where many arms were.
pub(super) fn doubts(run: &RunRecord, verdicts: &[Verdict]) -> Vec<String> {
    let again = run.looks.iter().filter(|looks| looks.looks > 1 || looks.arms >= MANY);
    let told = again.map(|looks| {
        let Looks { dataset, arms, .. } = looks;
        let often = counted(looks.looks, "time");
        let seen = format!(
            "{dataset}: this test part has been looked at {often} with {}",
            counted(*arms, "arm")
        );
        if *arms < MANY {
            return seen;
        }
        let ahead = match standard_error(dataset, verdicts) {
            Some(error) => format!("about {:.3}", luck(*arms) * error),
            None => format!("about {:.1} standard errors", luck(*arms)),
        };
        format!("{seen}: the best of so many equal ones is expected to seem better by {ahead}")
    });
    told.collect()
}

/// The median standard error of differences on a data set.
fn standard_error(dataset: &str, verdicts: &[Verdict]) -> Option<f64> {
    let rows = verdicts.iter().flat_map(|verdict| &verdict.rows);
    let of_data = rows.filter(|(arm, ..)| {
        arm_fact(arm, "target").and_then(serde_json::Value::as_str) == Some(dataset)
    });
    let mut errors: Vec<f64> =
        of_data.filter_map(|(.., row)| Some(row.verdict.numbers?.se)).collect();
    errors.sort_by(f64::total_cmp);
    errors.get(errors.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luck_is_that_of_the_best_of_equal_arms() {
        assert!(luck(0).abs() < 1e-12 && luck(1).abs() < 1e-12);
        assert!((luck(43) - 2.742_7).abs() < 1e-4);
        // A bound on the mean of the largest of k normal numbers: 1.538753 for ten (David and
        // Nagaraja, 2003).
        assert!(luck(10) > 1.538_753);
    }
}
