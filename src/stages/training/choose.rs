//! The node of a stage that trains: takes the best trial, predicts, writes the model.

use ndarray::{Array2, ArrayView1};
use serde_json::{Value as Json, json};

use crate::autodiff::Link;
use crate::base::Target;
use crate::base::numbers::mean_if_any;
use crate::onnx::graph::Graph;
use crate::onnx::proto;
use crate::onnx::tensor::Data;
use crate::train::{self, Point};

use super::super::artifacts::{
    Outcome, Predictions, Selection, TrialResult, get_json, put_json, read_vectors,
};
use super::super::class_weights::ClassWeights;
use super::super::job::{Context, Failure, Job, Learning, Outputs, Search, Speed};
use super::super::model::metadata;
use super::super::probabilities::{link_word, log_probabilities, no_probabilities, shift_prior};
use super::super::probing::told;
use super::super::targets::{
    in_own_unit, label_weights, scales, sigmoid, told_labels, told_values, unweighted,
};
use super::drift::drifts;
use super::proof::Proof;
use super::trial::{STATISTICS, WEIGHTS};
use super::{Network, Task, gates, range_test};

/// Takes the best of several trainings.
pub(super) struct Choose {
    pub(super) task: Task,
    pub(super) kind: &'static str,
}

/// Ports of a trial.
pub(super) fn trial_ports(index: usize) -> [String; 2] {
    [format!("trial_{index}"), format!("weights_{index}")]
}

impl Job for Choose {
    fn kind(&self) -> &'static str {
        self.kind
    }

    /// 1: first. 2: a model carries the class weights that its probabilities are to be freed of.
    /// 3: and what makes probabilities of its scores; frozen constants are proved.
    /// 4: a baseline that has not learnt its own training items is told.
    /// 5: how far weights came is kept.
    fn version(&self) -> u32 {
        5
    }

    fn parameters(&self) -> Result<Json, Failure> {
        let classes = self.task.sample.data.dataset.names();
        Ok(json!({ "task": self.task.key()?, "classes": classes }))
    }

    fn computes(&self) -> bool {
        true
    }

    fn trains(&self) -> bool {
        true
    }

    fn learns(&self) -> Option<Learning> {
        Some(Learning { items: self.task.sample.train.len(), batch: Some(self.task.batch()) })
    }

    fn searches(&self) -> Option<Search> {
        let training = &self.task.training;
        let rates = Some(training.lr.listed()).filter(|_| training.may_extend())?;
        let ports = (0..rates.len()).map(|index| trial_ports(index)[0].clone()).collect();
        Some(Search { rates, ports, monitor: training.monitor.clone() })
    }

    fn expected(&self, speed: Speed) -> f64 {
        speed.seconds(self.task.sample.everyone().len(), self.task.macs)
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let task = &self.task;
        let trials: Vec<TrialResult> = (0..task.training.lr.tried().len())
            .map(|index| get_json(context, &trial_ports(index)[0]))
            .collect::<Result<_, _>>()?;
        let best = self.best(&trials)?;
        let weights = context.bytes(&trial_ports(best)[1])?;
        let (weights, statistics) =
            (read_vectors(&weights, WEIGHTS)?, read_vectors(&weights, STATISTICS)?);
        let network = task.recipe.build(task.seed, context)?;
        let prepared = task.prepare_whole(&network, context)?;
        let mut trained = network.graph.clone();
        prepared.weights.scatter(&weights, &mut trained);
        prepared.statistics.scatter(&statistics, &mut trained);
        let mut merged = network.written(trained.clone());
        let drift = drifts(&network.graph, &merged);
        self.in_own_unit(&network, &mut merged);
        self.describe(&mut merged);
        let model = proto::encode(&merged);
        let source = task.recipe.source(context)?;
        let proved = Proof::of(&network, source.as_ref(), task.batch()).holds(&trained, &model)?;
        let predictions = self.predict(&trials, best, &prepared, &weights, &statistics, context)?;
        let (all, learning) = network.parameters();
        let warnings = gates::warnings(task, &network, (&trials[best], &predictions), context)?;
        let mut outputs = Outputs::default()
            .with("model", context.store.put("model", &model)?)
            .with("predictions", predictions.save(context.store)?)
            .with("trials", put_json(context.store, "trials", &trials)?)
            .with("drift", put_json(context.store, "drift", &drift)?)
            .fact("lr", trials[best].rate)
            .fact("val_loss", trials[best].best().map(|point| point.val_loss))
            .fact("trained_on", task.sample.train.len())
            .fact("parameters", all)
            .fact("trained_parameters", learning)
            .fact("frozen_tensors_identical", proved);
        if let Ok(curve) = context.artifact(range_test::CURVE) {
            outputs = outputs.with(range_test::CURVE, curve.clone());
        }
        if let Outcome::Trained { best, stopped_at, total, .. } = &trials[best].outcome {
            outputs = outputs
                .fact("best_step", best.step)
                .fact("stopped_at", *stopped_at)
                .fact("steps", *total);
        }
        outputs.warnings = warnings;
        Ok(task.sample.with_flipped(outputs))
    }
}

impl Choose {
    /// The trial that is best by what is monitored; the smallest rate of equals.
    fn best(&self, trials: &[TrialResult]) -> Result<usize, Failure> {
        let monitor = &self.task.training.monitor;
        let found = trials.iter().enumerate().filter_map(|(i, trial)| Some((i, trial.best()?)));
        let best = found.rev().max_by(|a, b| monitor.compare(a.1, b.1)).map(|(index, _)| index);
        best.ok_or_else(|| {
            let told: Vec<String> = trials
                .iter()
                .map(|trial| match &trial.outcome {
                    Outcome::Diverged { step, loss } => {
                        format!("at lr {} the loss became {loss} at step {step}", trial.rate)
                    }
                    Outcome::Trained { .. } => String::new(),
                })
                .collect();
            let at_once = trials.iter().all(|trial| {
                matches!(trial.outcome, Outcome::Diverged { step: 0, .. })
            });
            Failure::Diverged {
                message: format!("train with seed {}: {}", self.task.seed.0, told.join("; ")),
                help: match at_once {
                    true => "nothing was trained yet: check the model's input rule and weights",
                    false => {
                        "take smaller values of `lr`, set `clip: 1`, or check the model's input rule"
                    }
                }
                .to_owned(),
            }
        })
    }

    /// Writes all that is needed to use the model by itself into its metadata.
    fn describe(&self, graph: &mut Graph) {
        let text = |value: Json| value.to_string();
        let classes = self.task.sample.data.dataset.names();
        let pairs = [
            (metadata::CLASSES, text(json!(classes))),
            (metadata::INPUT, text(json!(self.task.recipe.input()))),
            (metadata::WRITER, env!("CARGO_PKG_VERSION").to_owned()),
        ];
        graph.metadata = pairs.map(|(key, value)| (key.to_owned(), value)).into();
        let mut insert = |key: &str, text: String| graph.metadata.insert(key.to_owned(), text);
        let target = self.task.target();
        if target != Target::Classes {
            insert(metadata::TARGET, target.word().to_owned());
        }
        if self.task.training.class_weights == ClassWeights::Balanced {
            let weights = match target {
                Target::Labels => json!(self.label_weights()),
                _ => json!(self.class_weights()),
            };
            insert(metadata::CLASS_WEIGHTS, text(weights));
        }
        if let Some(link) = link_word(self.task.training.loss.link()) {
            insert(metadata::LINK, link.to_owned());
        }
    }

    fn predict(
        &self,
        trials: &[TrialResult],
        best: usize,
        prepared: &train::Prepared,
        weights: &[f32],
        statistics: &[f32],
        context: &Context<'_>,
    ) -> Result<Predictions, Failure> {
        let task = &self.task;
        let sources = task.open(context)?;
        let known = task.known();
        let examples = task.examples(&sources, &known);
        let items: Vec<usize> = task.sample.everyone().iter().map(|(index, _)| *index).collect();
        let scores = train::score(
            context.workshop,
            prepared,
            &examples,
            &items,
            weights,
            statistics,
            context.cores,
        )?;
        let outputs = task.sample.data.outputs();
        let scores = scores.into_iter().map(f64::from).collect();
        let scores = Array2::from_shape_vec((items.len(), outputs), scores)
            .map_err(|error| Failure::new(error.to_string()))?;
        let mut predictions = self.told(scores);
        let setting = "lr".to_owned();
        let curve = trials
            .iter()
            .map(|trial| (trial.rate, trial.best().map(|best| task.training.monitor.error(best))))
            .collect();
        predictions.selection = Some(Selection { setting, chosen: trials[best].rate, curve });
        predictions.still_rising = still_rising(&trials[best]);
        Ok(predictions)
    }
}

impl Choose {
    fn class_weights(&self) -> Vec<f64> {
        self.task.training.class_weights.of(&self.task.sample)
    }

    fn label_weights(&self) -> Vec<[f64; 2]> {
        label_weights(&self.task.sample, &self.task.training.class_weights)
    }

    /// Predictions from what the network says of everyone.
    fn told(&self, scores: Array2<f64>) -> Predictions {
        let sample = &self.task.sample;
        match self.task.target() {
            Target::Classes => self.told_classes(scores),
            Target::Labels => {
                let log_odds = unweighted(scores, &self.label_weights());
                let probabilities = sigmoid(&log_odds);
                told_labels(sample, log_odds, probabilities)
            }
            Target::Values => {
                let scales = scales(sample);
                let mut values = scores;
                for mut row in values.rows_mut() {
                    let own = in_own_unit(&row.view(), &scales);
                    row.assign(&ArrayView1::from(&own));
                }
                told_values(sample, values)
            }
        }
    }

    fn told_classes(&self, scores: Array2<f64>) -> Predictions {
        let link = self.task.training.loss.link();
        let scores = log_probabilities(scores, link);
        let mut predictions = told(&self.task.sample, scores, no_probabilities(link));
        let is_weighted = self.task.training.class_weights == ClassWeights::Balanced;
        if is_weighted && link != Link::None {
            let shifted = shift_prior(&predictions.scores, &self.class_weights());
            predictions.probabilities = Ok(shifted);
        }
        predictions
    }

    /// A model of numbers says them in their own unit: its head takes over what they were
    /// standardised by.
    fn in_own_unit(&self, network: &Network, model: &mut Graph) {
        if self.task.target() != Target::Values {
            return;
        }
        let scales = scales(&self.task.sample);
        let (weight, bias) = network.head();
        for (name, shifts) in [(weight, false), (bias, true)] {
            let Some(tensor) = model.initializers.get_mut(name) else { continue };
            let Data::F32(values) = &mut tensor.data else { continue };
            let length = (values.len() / scales.len().max(1)).max(1);
            for (row, scale) in values.chunks_exact_mut(length).zip(&scales) {
                let shift = if shifts { scale.mean } else { 0.0 };
                for value in row {
                    *value = (f64::from(*value) * scale.deviation + shift) as f32;
                }
            }
        }
    }
}

/// How far the val score still rose at the end: the mean of the last tenth of the steps less that
/// of the tenth before. Nothing if training stopped before its end.
fn still_rising(trial: &TrialResult) -> Option<f64> {
    let Outcome::Trained { stopped_at, total, curve, .. } = &trial.outcome else { return None };
    if stopped_at < total || *total < 20 {
        return None;
    }
    let tenth = *total as f64 / 10.0;
    let mean = |from: f64, to: f64| {
        let inside = curve.iter().filter(|point| {
            let step = point.step as f64;
            step > from && step <= to
        });
        let score = |point: &Point| point.val_balanced_accuracy.or(point.val_score);
        let values: Vec<f64> = inside.filter_map(score).collect();
        mean_if_any(&values)
    };
    let end = *total as f64;
    Some(mean(end - tenth, end)? - mean(end - 2.0 * tenth, end - tenth)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(scores: &[f64], stopped_at: usize) -> TrialResult {
        let point = |(look, score): (usize, &f64)| Point {
            step: (look + 1) * 10,
            train_loss: None,
            val_loss: 0.0,
            val_accuracy: None,
            val_balanced_accuracy: Some(*score),
            val_score: None,
            rate: 0.0,
        };
        let curve: Vec<Point> = scores.iter().enumerate().map(point).collect();
        let outcome = Outcome::Trained { best: curve[0], stopped_at, total: 200, curve };
        TrialResult { rate: 1e-3, outcome }
    }

    #[test]
    fn a_curve_that_still_rises_at_its_end_is_seen() {
        let mut scores = [0.5; 20];
        scores[18..].fill(0.6);
        assert!((still_rising(&trial(&scores, 200)).unwrap() - 0.1).abs() < 1e-12);
        assert_eq!(still_rising(&trial(&scores, 180)), None);
    }
}
