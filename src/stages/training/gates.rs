//! Whether random weights are a fair start: a baseline that begins far off says nothing about its
//! architecture.

use crate::autodiff::Loss;
use crate::base::Target;
use crate::data::Part;
use crate::onnx::lsuv::{Layer, normalises, variances};
use crate::stats::Measure;
use crate::train::gather;

use super::super::artifacts::{Outcome, Predictions, TrialResult};
use super::super::job::{Context, Failure};
use super::super::kinds::always_majority;
use super::{Network, Recipe, Task};

/// Variances that a layer's output may have at the start.
const VARIANCES: std::ops::RangeInclusive<f64> = 0.1..=10.0;

/// How far the loss may be from that of equal scores, as a share of it.
const LOSS: f64 = 0.2;

/// Training items that are looked at.
const ITEMS: usize = 32;

/// What a reader should know about the start of a training from random weights.
pub(super) fn warnings(
    task: &Task,
    network: &Network,
    (trial, predictions): (&TrialResult, &Predictions),
    context: &Context<'_>,
) -> Result<Vec<String>, Failure> {
    let Recipe::Transfer(transfer) = &task.recipe else { return Ok(vec![]) };
    if !transfer.is_scratch {
        return Ok(vec![]);
    }
    let even = even(&task.training.loss, task.target(), transfer.classes);
    let mut told: Vec<String> = even.and_then(|even| of_loss(trial, even)).into_iter().collect();
    // Statistics of the batch keep layers apart from each other; running ones tell nothing yet.
    if !normalises(&network.graph) {
        let mut layers = layers(task, network, context)?;
        // A new head is drawn small on purpose.
        layers.retain(|layer| !network.graph.outputs.iter().any(|port| port.name == layer.output));
        told.extend(of_variances(&layers));
    }
    let (_, steps) = task.lengths();
    if steps > 0 {
        told.extend(of_training(&predictions.of(Part::Train))?);
    }
    Ok(told)
}

/// A baseline that has not learnt even the items it was trained on is none.
fn of_training(trained: &Predictions) -> Result<Option<String>, Failure> {
    let metric = match trained.target {
        Target::Classes => "balanced_accuracy",
        Target::Labels => "log_loss",
        Target::Values => "mse",
    };
    let Some(measure) = Measure::find(metric, trained.target) else { return Ok(None) };
    let majority = always_majority(trained);
    let value = |of: &Predictions| Ok::<_, Failure>(measure.value(&of.judged()?).value());
    let (Some(own), Some(floor)) = (value(trained)?, value(&majority)?) else { return Ok(None) };
    let ahead = (own - floor) * measure.direction().sign();
    Ok((ahead <= 0.0).then(|| {
        let metric = metric.replace('_', " ");
        let floor = match trained.target {
            Target::Classes => "the majority class",
            Target::Labels => "the share of each label",
            Target::Values => "the mean of each number",
        };
        format!(
            "trained from random weights, it is no better than {floor} on its own training items \
             ({metric} {own:.3}): it has not learnt anything yet; train longer, or \
             at other rates"
        )
    }))
}

/// How many answers there are between which a network that knows nothing stands: its loss is the
/// logarithm of that. Nothing for losses that are no logarithms.
fn even(loss: &Loss, target: Target, classes: usize) -> Option<usize> {
    match (loss, target) {
        (Loss::CrossEntropy, Target::Classes) => Some(classes),
        (Loss::BinaryCrossEntropy, _) => Some(2),
        _ => None,
    }
}

/// Scores that are about equal give a loss of ln C.
fn of_loss(trial: &TrialResult, classes: usize) -> Option<String> {
    let Outcome::Trained { curve, .. } = &trial.outcome else { return None };
    let loss = curve.first().filter(|point| point.step == 0)?.val_loss;
    let even = (classes as f64).ln();
    ((loss - even).abs() > LOSS * even).then(|| {
        format!(
            "random weights start at a loss of {loss:.2} on val, not near ln {classes} = \
             {even:.2}: a baseline that starts badly may end badly"
        )
    })
}

fn of_variances(layers: &[Layer]) -> Option<String> {
    let is_off = |layer: &&Layer| !VARIANCES.contains(&layer.variance);
    let off = layers.iter().filter(is_off).count();
    let worst = layers.iter().filter(is_off).max_by(|a, b| {
        let distance = |layer: &Layer| layer.variance.ln().abs();
        distance(a).total_cmp(&distance(b))
    })?;
    Some(format!(
        "random weights give {off} of {} layers an output of variance below 0.1 or above 10, at \
         `{}` {:.1e}: a baseline that starts badly may end badly",
        layers.len(),
        worst.output,
        worst.variance
    ))
}

/// Variances of layers of the part that learns, on training items.
fn layers(task: &Task, network: &Network, context: &Context<'_>) -> Result<Vec<Layer>, Failure> {
    let items = &task.sample.train[..task.sample.train.len().min(ITEMS)];
    let sources = task.open(context)?;
    let mut inputs = Vec::new();
    for (source, item) in sources.iter().zip(task.item_shapes(context)?) {
        let dims: Vec<usize> = std::iter::once(items.len()).chain(item).collect();
        inputs.push(gather(source.as_ref(), items, items.len()).tensor(&dims)?);
    }
    Ok(variances(context.workshop.runtime(), &network.divided.suffix, &inputs)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Point;

    fn trial(loss: f64) -> TrialResult {
        let start = Point {
            step: 0,
            train_loss: None,
            val_loss: loss,
            val_accuracy: None,
            val_balanced_accuracy: None,
            val_score: None,
            rate: 0.0,
        };
        let curve = vec![start];
        let outcome = Outcome::Trained { best: start, stopped_at: 0, total: 0, curve };
        TrialResult { rate: 1e-3, outcome }
    }

    #[test]
    fn a_start_far_from_even_scores_is_told() {
        assert_eq!(of_loss(&trial(2.7), 10), None);
        let told = of_loss(&trial(2.8), 10).unwrap();
        assert!(told.starts_with("random weights start at a loss of 2.80 on val"), "{told}");
        assert!(of_loss(&trial(1.8), 10).is_some());
    }

    #[test]
    fn a_layer_that_explodes_is_told_by_name() {
        let layer = |output: &str, variance| Layer { output: output.to_owned(), variance };
        assert_eq!(of_variances(&[layer("a", 0.1), layer("b", 10.0)]), None);
        let told = of_variances(&[layer("a", 1.0), layer("b", 11.0), layer("c", 0.001)]).unwrap();
        assert!(told.starts_with("random weights give 2 of 3 layers"), "{told}");
        assert!(told.contains("at `c` 1.0e-3"), "{told}");
    }
}
