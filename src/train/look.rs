//! Looking at val: scores of items and what they say.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::autodiff::Loss;
use crate::base::Target;
use crate::onnx::runtime::{RuntimeError, Session, Tensor};
use crate::stats::{ColumnMetric, Columns, LabelAuroc, RSquared};

use super::examples::{Answers, Cells, Examples};
use super::prepared::{Prepared, Workshop};

/// One look at the val part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps done.
    pub step: usize,
    /// Mean training loss since the look before; of the first batch at the start.
    pub train_loss: Option<f64>,
    /// Weighted mean loss on val, without smoothing, mixing and penalties.
    pub val_loss: f64,
    /// Share of val items predicted right; nothing where there are no classes.
    pub val_accuracy: Option<f64>,
    /// Mean over classes of the share predicted right; nothing where there are none.
    pub val_balanced_accuracy: Option<f64>,
    /// Of labels, the mean area under their ROC curves on val; of numbers, the share of their
    /// variance that is explained; nothing where there are classes, or where neither is defined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_score: Option<f64>,
    /// Learning rate of the next step.
    pub rate: f64,
}

/// What the scores of val say.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) loss: f64,
    pub(super) accuracy: Option<f64>,
    pub(super) balanced_accuracy: Option<f64>,
    pub(super) score: Option<f64>,
}

impl Seen {
    pub(super) fn of(
        scores: &[f32],
        items: &[usize],
        examples: &Examples<'_>,
        (of, classes): (&Loss, usize),
    ) -> Self {
        match &examples.answers {
            Answers::Classes { labels, weights } => {
                Self::of_classes(scores, items, (labels, weights), (of, classes))
            }
            Answers::Cells(cells) => Self::of_cells(scores, items, cells, of),
        }
    }

    /// The loss is the weighted mean over what is known.
    fn of_cells(scores: &[f32], items: &[usize], cells: &Cells, of: &Loss) -> Self {
        let (mut loss, mut weight_sum) = (0.0, 0.0);
        let shape = (items.len(), cells.width);
        let mut truths = Array2::from_elem(shape, f64::NAN);
        let mut told = Array2::zeros(shape);
        for (row, &item) in items.iter().enumerate() {
            let (targets, weights) = cells.of(item);
            for column in 0..cells.width {
                let score = f64::from(scores[row * cells.width + column]);
                let target = f64::from(targets[column]);
                let weight = f64::from(weights[column]);
                told[[row, column]] = score;
                if weight > 0.0 {
                    loss += weight * of.of_score(score, target);
                    weight_sum += weight;
                    truths[[row, column]] = target;
                }
            }
        }
        Self {
            loss: loss / weight_sum,
            score: score_of(cells.target, &truths, &told),
            ..Self::default()
        }
    }

    fn of_classes(
        scores: &[f32],
        items: &[usize],
        (labels, weights): (&[usize], &[f64]),
        (of, classes): (&Loss, usize),
    ) -> Self {
        let (mut loss, mut weight_sum) = (0.0, 0.0);
        let mut right = vec![0.0; classes];
        let mut counts = vec![0.0; classes];
        for (row, &item) in scores.chunks_exact(classes).zip(items) {
            let label = labels[item];
            let weight = weights[label];
            loss += weight * of.of_label(row, label);
            weight_sum += weight;
            counts[label] += 1.0;
            right[label] += f64::from(u8::from(best_class(row) == label));
        }
        let present: Vec<f64> =
            right.iter().zip(&counts).filter(|(_, n)| **n > 0.0).map(|(r, n)| r / n).collect();
        Self {
            loss: loss / weight_sum,
            accuracy: Some(right.iter().sum::<f64>() / items.len() as f64),
            balanced_accuracy: Some(present.iter().sum::<f64>() / present.len() as f64),
            score: None,
        }
    }
}

/// How well scores tell labels apart, or explain numbers.
fn score_of(target: Target, truths: &Array2<f64>, told: &Array2<f64>) -> Option<f64> {
    let metric: &dyn ColumnMetric = if target == Target::Labels { &LabelAuroc } else { &RSquared };
    let columns = Columns::values(truths.view(), told.view()).ok()?;
    metric.value(&columns).value()
}

/// The class with the highest score; the first of equals.
fn best_class(scores: &[f32]) -> usize {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = class;
        }
    }
    best
}

/// Scores of items with given weights, items × classes.
pub fn score(
    workshop: &Workshop,
    prepared: &Prepared,
    examples: &Examples<'_>,
    items: &[usize],
    weights: &[f32],
    statistics: &[f32],
    threads: usize,
) -> Result<Vec<f32>, RuntimeError> {
    let vector = |values: &[f32]| Tensor::f32(&[values.len()], values.to_vec());
    let statistics = match prepared.statistics.is_empty() {
        true => None,
        false => Some(vector(statistics)?),
    };
    let mut session = workshop.session(&prepared.score, threads)?;
    let weights = vector(weights)?;
    run_scores(&mut session, prepared, examples, items, &weights, statistics.as_ref())
}

pub(super) fn run_scores(
    session: &mut Session,
    prepared: &Prepared,
    examples: &Examples<'_>,
    items: &[usize],
    weights: &Tensor,
    statistics: Option<&Tensor>,
) -> Result<Vec<f32>, RuntimeError> {
    let (batch, classes) = (prepared.batch, prepared.classes);
    let mut scores = Vec::with_capacity(items.len() * classes);
    for piece in items.chunks(batch) {
        let mut fed: Vec<Tensor> = Vec::new();
        for (source, port) in prepared.cuts.iter().enumerate() {
            fed.push(Tensor::f32(&port.dims, examples.gather(source, piece, batch))?);
        }
        let inputs: Vec<&Tensor> =
            fed.iter().chain(std::iter::once(weights)).chain(statistics).collect();
        let outputs = session.run(&inputs)?;
        let values = outputs[0].floats().unwrap_or_default();
        scores.extend_from_slice(&values[..(piece.len() * classes).min(values.len())]);
    }
    Ok(scores)
}
