//! Labels and numbers, as stages know them: what training is fed, and what comes out.

use ndarray::{Array2, ArrayView1};

use crate::base::{Place, Problem, Target, numbers};
use crate::train::{Answers, Cells};

use super::artifacts::Predictions;
use super::class_weights::{ClassWeights, balanced};
use super::data::{OpenDataset, Sample};
use super::probing::told;
use super::site::Site;

/// Mean and standard deviation of a number over the training items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) mean: f64,
    pub(super) deviation: f64,
}

/// What is right about each item, as training is told.
pub(super) enum Known {
    /// The class of each item, and the weight of each class.
    Classes(Vec<usize>, Vec<f64>),
    /// Labels or standardised numbers.
    Cells(Cells),
}

impl Known {
    /// Of a sample, with these weights.
    pub(super) fn of(sample: &Sample, weights: &ClassWeights) -> Self {
        match sample.data.dataset.target() {
            Target::Classes => Self::Classes(sample.labels(), weights.of(sample)),
            Target::Labels => {
                let weights = label_weights(sample, weights);
                Self::Cells(cells(sample, |column, value| {
                    let weight = weights[column][usize::from(value > 0.5)];
                    (value, weight)
                }))
            }
            Target::Values => {
                let scales = scales(sample);
                Self::Cells(cells(sample, |column, value| {
                    ((value - scales[column].mean) / scales[column].deviation, 1.0)
                }))
            }
        }
    }

    /// As training takes it.
    pub(super) fn answers(&self) -> Answers<'_> {
        match self {
            Self::Classes(labels, weights) => Answers::Classes { labels, weights },
            Self::Cells(cells) => Answers::Cells(cells),
        }
    }
}

/// Target and weight of every cell; both 0 where it is not known.
fn cells(sample: &Sample, of: impl Fn(usize, f64) -> (f64, f64)) -> Cells {
    let dataset = &sample.data.dataset;
    let width = dataset.names().len();
    let (mut targets, mut weights) = (vec![], vec![]);
    for item in dataset.items() {
        for (column, value) in item.values.iter().enumerate() {
            let (target, weight) = value.map_or((0.0, 0.0), |value| of(column, value));
            targets.push(target as f32);
            weights.push(weight as f32);
        }
    }
    Cells { target: dataset.target(), width, targets, weights }
}

/// What not having a label weighs in the loss, and what having it does.
pub(super) fn label_weights(sample: &Sample, weights: &ClassWeights) -> Vec<[f64; 2]> {
    let of = |share: f64| match weights {
        ClassWeights::None => [1.0, 1.0],
        ClassWeights::Balanced => {
            let both = balanced(&[1.0 - share, share]);
            [both[0], both[1]]
        }
    };
    sample.prior().into_iter().map(of).collect()
}

/// The mean of what is known of each column among the training items: the share of items that have a
/// label, or the mean of a number. 0 where nothing is known.
pub(super) fn means(sample: &Sample) -> Vec<f64> {
    known(sample).into_iter().map(|values| mean(&values)).collect()
}

/// Mean and standard deviation of each number over the training items; a number that does not vary
/// has a deviation of 1.
pub(super) fn scales(sample: &Sample) -> Vec<Scale> {
    let scale = |values: Vec<f64>| {
        let mean = mean(&values);
        let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (square / values.len().max(1) as f64).sqrt();
        Scale { mean, deviation: if deviation > 0.0 { deviation } else { 1.0 } }
    };
    known(sample).into_iter().map(scale).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// What is known of each column among the training items.
fn known(sample: &Sample) -> Vec<Vec<f64>> {
    let items = sample.data.dataset.items();
    let column = |column: usize| {
        sample.train.iter().filter_map(|&index| items[index].values[column]).collect()
    };
    (0..sample.data.outputs()).map(column).collect()
}

/// Log-odds of labels, freed of the weights w of the loss: training with them teaches odds that are
/// `w₁ / w₀` times too high.
pub(super) fn unweighted(mut log_odds: Array2<f64>, weights: &[[f64; 2]]) -> Array2<f64> {
    for mut row in log_odds.rows_mut() {
        let shifts = weights.iter().map(|[without, with]| (with / without).ln());
        row.iter_mut().zip(shifts).for_each(|(score, shift)| *score -= shift);
    }
    log_odds
}

/// Probabilities of labels.
pub(super) fn sigmoid(log_odds: &Array2<f64>) -> Array2<f64> {
    log_odds.mapv(numbers::sigmoid)
}

/// Predictions of labels, from their log-odds and probabilities, in the order of
/// [`Sample::everyone`].
pub(super) fn told_labels(
    sample: &Sample,
    log_odds: Array2<f64>,
    probabilities: Array2<f64>,
) -> Predictions {
    Predictions { probabilities: Ok(probabilities), ..told_columns(sample, log_odds) }
}

/// Predictions of numbers.
pub(super) fn told_values(sample: &Sample, values: Array2<f64>) -> Predictions {
    told_columns(sample, values)
}

/// Predictions of labels or numbers; labels get their probabilities by themselves.
pub(super) fn told_columns(sample: &Sample, scores: Array2<f64>) -> Predictions {
    let dataset = &sample.data.dataset;
    let everyone = sample.everyone();
    let truths = Array2::from_shape_fn(scores.dim(), |(row, column)| {
        dataset.items()[everyone[row].0].values[column].unwrap_or(f64::NAN)
    });
    Predictions {
        target: dataset.target(),
        classes: dataset.names().to_vec(),
        labels: vec![],
        predicted: vec![],
        truths,
        ..told(sample, scores, Some("numbers have no probabilities"))
    }
}

/// The same for every item: base rates of labels, means of numbers.
pub(super) fn always(sample: &Sample) -> Predictions {
    let prior = sample.prior();
    let shape = (sample.everyone().len(), prior.len());
    let rows = Array2::from_shape_fn(shape, |(_, column)| prior[column]);
    match sample.data.dataset.target() {
        Target::Labels => told_labels(sample, rows.mapv(log_odds), rows),
        _ => told_values(sample, rows),
    }
}

/// ln p / (1 − p), finite.
pub(super) fn log_odds(p: f64) -> f64 {
    let p = p.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    (p / (1.0 - p)).ln()
}

/// Numbers in their own unit.
pub(super) fn in_own_unit(row: &ArrayView1<'_, f64>, scales: &[Scale]) -> Vec<f64> {
    row.iter().zip(scales).map(|(score, scale)| score * scale.deviation + scale.mean).collect()
}

/// Refuses items of which a stage cannot tell what they have; `place` is where they are named.
pub(super) fn needs_one_of(
    tells: &[Target],
    word: &str,
    data: &OpenDataset,
    place: Place,
    site: &mut Site,
) -> Option<()> {
    let target = data.dataset.target();
    if tells.contains(&target) {
        return Some(());
    }
    let told: Vec<&str> = tells.iter().map(|target| target.what()).collect();
    let told = told.join(" or ");
    let message =
        format!("`{word}` tells {told}, but items of `{}` have {}", data.name, target.told());
    let help = match target {
        Target::Values => "`ridge`, `knn`, `svm` and `fine_tune` predict numbers",
        _ => {
            "`linear_probe`, `svm`, `ridge`, `knn` and `fine_tune` tell several labels; or choose \
              one `finding`"
        }
    };
    site.problem(Problem::at(place, message).help(help));
    None
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn odds_are_freed_of_weights() {
        // A network that knows nothing, trained with balanced weights, gives odds of 1; one item in
        // five has the label.
        let weights = balanced(&[0.8, 0.2]);
        let freed = sigmoid(&unweighted(array![[0.0]], &[[weights[0], weights[1]]]));
        assert!((freed[[0, 0]] - 0.2).abs() < 1e-12, "{freed}");
    }

    #[test]
    fn log_odds_are_finite_whatever_the_share() {
        assert!(log_odds(0.0).is_finite() && log_odds(1.0).is_finite());
        assert!((log_odds(0.75) - 3.0_f64.ln()).abs() < 1e-12);
    }
}
