//! What scores before training were worth: how they ranked the models against how these did.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::numbers::mean;
use crate::stats::{Direction, metric};
use crate::store::RunRecord;
use crate::transferability::{regret, weighted_tau};

use super::build::arm_fact;
use super::estimates::Estimated;
use super::frame::Table;
use super::gather::Scored;
use super::looks::stood_before;

/// One score against one outcome.
pub(super) struct Judged {
    /// The stage that scored.
    stage: String,
    pub(super) target: String,
    pub(super) score: String,
    /// Whether the value counts, or its difference to random weights.
    reading: &'static str,
    /// Whether this is the reading that counts where there are both: the difference.
    pub(super) is_final: bool,
    /// How the models were used: the best stage of this kind counts for each.
    pub(super) kind: String,
    pub(super) metric: String,
    pub(super) part: String,
    models: usize,
    tau: Option<f64>,
    pub(super) regret: Option<f64>,
    /// The model with the highest score, and the one that did best.
    chosen: String,
    best: String,
    /// Score and outcome of each model.
    pub(super) pairs: Vec<(f64, f64)>,
    /// Whether the scores stood before any of the arms was first scored on test; nothing where that is
    /// not known.
    pub(super) in_time: Option<bool>,
}

/// A number for each model.
type ByModel = BTreeMap<String, f64>;

/// Arms that were scored, and how models did with them.
#[derive(Default)]
struct Outcomes {
    models: ByModel,
    arms: BTreeSet<String>,
}

/// Every score that at least two models have, against every outcome that all of these have.
pub(super) fn judged(run: &RunRecord, estimated: &[Estimated], scored: &[Scored]) -> Vec<Judged> {
    let mut all = Vec::new();
    let predicted = predicted(estimated);
    for ((stage, target, score, reading), scores) in &predicted {
        let other = (stage.clone(), target.clone(), score.clone(), "difference");
        let is_final = *reading == "difference" || !predicted.contains_key(&other);
        for ((kind, metric, part), outcomes) in outcomes(scored, target) {
            let known = scores.iter().filter_map(|(model, score)| {
                Some((model.clone(), *score, *outcomes.models.get(model)?))
            });
            let known: Vec<(String, f64, f64)> = known.collect();
            if known.len() < 2 || known.len() < scores.len() {
                continue;
            }
            let values: Vec<f64> = known.iter().map(|(_, score, _)| *score).collect();
            let did: Vec<f64> = known.iter().map(|(.., outcome)| *outcome).collect();
            let first = |by: &[f64]| {
                let better = |best: usize, at: usize| if by[at] > by[best] { at } else { best };
                (0..by.len()).reduce(better).map(|at| known[at].0.clone()).unwrap_or_default()
            };
            let in_time = match part.as_str() {
                "test" => in_time(run, estimated, (stage, target), &outcomes.arms),
                _ => None,
            };
            all.push(Judged {
                in_time,
                stage: stage.clone(),
                target: target.clone(),
                score: score.clone(),
                reading,
                is_final,
                kind,
                metric,
                part,
                models: known.len(),
                tau: weighted_tau(&values, &did),
                regret: regret(&values, &did),
                chosen: first(&values),
                best: first(&did),
                pairs: values.iter().copied().zip(did.iter().copied()).collect(),
            });
        }
    }
    all
}

/// Whether all that a stage said of a target stood before any of these arms was scored on test.
fn in_time(
    run: &RunRecord,
    estimated: &[Estimated],
    (stage, target): (&str, &str),
    arms: &BTreeSet<String>,
) -> Option<bool> {
    let own = estimated.iter().filter(|one| one.stage.name == stage && one.entry.target == target);
    let sealed: Option<Vec<String>> = own.map(Estimated::sealed).collect();
    let stood =
        |sealed: &String| stood_before(run, target, arms.iter().map(String::as_str), sealed);
    let all: Option<Vec<bool>> = sealed?.iter().map(stood).collect();
    Some(all?.into_iter().all(|stood| stood))
}

/// Scores of models, higher is better, means over seeds; of several layers of a model the best one
/// counts.
fn predicted(estimated: &[Estimated]) -> BTreeMap<(String, String, String, &'static str), ByModel> {
    let mut by_layer: BTreeMap<_, BTreeMap<(String, String), Vec<f64>>> = BTreeMap::new();
    for one in estimated {
        for row in &one.estimates.rows {
            let sign = if row.higher_is_better { 1.0 } else { -1.0 };
            let readings = [("value", row.value), ("difference", one.difference(row))];
            for (reading, value) in readings {
                let Some(value) = value else { continue };
                let entry = &one.entry;
                let key =
                    (one.stage.name.clone(), entry.target.clone(), row.score.clone(), reading);
                let layer = (entry.base.clone(), entry.features.clone());
                let layers = by_layer.entry(key).or_default();
                layers.entry(layer).or_default().push(sign * value);
            }
        }
    }
    let best = |layers: BTreeMap<(String, String), Vec<f64>>| {
        let mut models = ByModel::new();
        for ((model, _), values) in layers {
            keep_largest(&mut models, model, mean(&values));
        }
        models
    };
    by_layer.into_iter().map(|(key, layers)| (key, best(layers))).collect()
}

/// How models did on a target, higher is better, means over seeds, by kind, metric and part.
fn outcomes(scored: &[Scored], target: &str) -> BTreeMap<(String, String, String), Outcomes> {
    let mut by_stage: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for one in scored {
        let text = |name: &str| arm_fact(&one.stage, name)?.as_str().map(str::to_owned);
        let is_random = arm_fact(&one.stage, "random").is_some_and(|random| *random == true);
        let (Some(source), false) = (text("source"), is_random) else { continue };
        if text("target").as_deref() != Some(target) {
            continue;
        }
        for score in one.evaluation.scores.iter().filter(|score| score.class.is_none()) {
            let (Some(value), Some(metric)) = (score.value, metric(&score.metric)) else {
                continue;
            };
            let key = (one.stage.kind.clone(), score.metric.clone(), one.evaluation.part.clone());
            let value = metric.direction().sign() * value;
            let stage = (key, source.clone(), one.stage.name.clone());
            by_stage.entry(stage).or_default().push(value);
        }
    }
    let mut all: BTreeMap<(String, String, String), Outcomes> = BTreeMap::new();
    for ((key, source, arm), values) in by_stage {
        let outcomes = all.entry(key).or_default();
        keep_largest(&mut outcomes.models, source, mean(&values));
        outcomes.arms.insert(arm);
    }
    all
}

fn keep_largest(models: &mut ByModel, model: String, value: f64) {
    let kept = models.entry(model).or_insert(value);
    *kept = kept.max(value);
}

/// One row for each score and each outcome.
pub(super) fn table(all: &[Judged]) -> Table {
    let each = || all.iter();
    let better = |judged: &Judged| match metric(&judged.metric) {
        Some(metric) if metric.direction() == Direction::LowerIsBetter => "lower",
        _ => "higher",
    };
    Table::default()
        .text("stage", each().map(|j| Some(j.stage.as_str())))
        .text("target", each().map(|j| Some(j.target.as_str())))
        .text("score", each().map(|j| Some(j.score.as_str())))
        .text("reading", each().map(|j| Some(j.reading)))
        .text("kind", each().map(|j| Some(j.kind.as_str())))
        .text("metric", each().map(|j| Some(j.metric.as_str())))
        .text("better", each().map(|j| Some(better(j))))
        .text("split", each().map(|j| Some(j.part.as_str())))
        .whole("models", each().map(|j| Some(j.models as i64)))
        .number("weighted_tau", each().map(|j| j.tau))
        .number("regret", each().map(|j| j.regret))
        .text("chosen", each().map(|j| Some(j.chosen.as_str())))
        .text("best", each().map(|j| Some(j.best.as_str())))
        .flag("in_time", each().map(|j| j.in_time))
}
