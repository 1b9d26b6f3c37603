//! How far what a model sees is from what it saw in training, and how much its scores tell.

use crate::onnx::graph::{Graph, Node};
use crate::onnx::runtime::Tensor;

/// What a `BatchNormalization` has stored.
pub(super) struct Stored {
    mean: Vec<f32>,
    variance: Vec<f32>,
    epsilon: f64,
}

impl Stored {
    pub(super) fn of(graph: &Graph, node: &Node) -> Option<Self> {
        let constant = |position: usize| -> Option<Vec<f32>> {
            Some(graph.initializers.get(node.input(position)?)?.floats()?.to_vec())
        };
        let epsilon = f64::from(node.float("epsilon").unwrap_or(1e-5));
        Some(Self { mean: constant(3)?, variance: constant(4)?, epsilon })
    }
}

/// Outputs of a batch, with how many of its rows are items.
pub(super) type Batch = (usize, Vec<Tensor>);

/// Layers that see little but pixels.
pub(super) const FIRST: usize = 3;

/// How far what enters the normalisations is from what they have stored.
pub(super) fn distance(stored: &[Stored], batches: &[Batch]) -> f64 {
    let of_layer = |(layer, stored): (usize, &Stored)| {
        let channels = stored.mean.len();
        let mut sums = vec![(0.0_f64, 0.0_f64); channels];
        let mut count = 0.0;
        for (items, outputs) in batches {
            let dims = outputs[layer].dims();
            let Some(values) = outputs[layer].floats() else { continue };
            if dims.len() < 2 || dims[1] != channels {
                return f64::NAN;
            }
            let plane: usize = dims[2..].iter().product();
            count += (items * plane) as f64;
            let maps = values.chunks_exact(plane.max(1)).take(items * channels);
            for (index, map) in maps.enumerate() {
                let sum = &mut sums[index % channels];
                for value in map.iter().map(|value| f64::from(*value)) {
                    *sum = (sum.0 + value, sum.1 + value * value);
                }
            }
        }
        let divergences = sums.iter().enumerate().map(|(channel, (sum, squares))| {
            let mean = sum / count;
            let now = (mean, (squares / count - mean * mean).max(0.0) + stored.epsilon);
            let variance = f64::from(stored.variance[channel]) + stored.epsilon;
            divergence(now, (f64::from(stored.mean[channel]), variance))
        });
        median(divergences.collect())
    };
    let layers: Vec<f64> = stored.iter().enumerate().map(of_layer).collect();
    let first = &layers[..layers.len().min(FIRST)];
    let first = first.iter().sum::<f64>() / first.len() as f64;
    (first * median(layers)).sqrt()
}

/// Kullback–Leibler divergence from one Gaussian (mean, variance) to another.
fn divergence(now: (f64, f64), stored: (f64, f64)) -> f64 {
    let apart = (now.0 - stored.0).powi(2);
    0.5 * ((stored.1 / now.1).ln() + (now.1 + apart) / stored.1 - 1.0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[half],
        _ => f64::midpoint(values[half - 1], values[half]),
    }
}

/// Mutual information between items and predicted classes, as a share of ln(classes).
pub(super) fn information(batches: &[Batch]) -> f64 {
    let mut sum: Vec<f64> = Vec::new();
    let (mut entropies, mut items) = (0.0, 0);
    for (count, outputs) in batches {
        let Some(values) = outputs.first().and_then(Tensor::floats) else { return f64::NAN };
        let classes = values.len() / outputs[0].dims().first().copied().unwrap_or(1).max(1);
        if classes < 2 || (!sum.is_empty() && sum.len() != classes) {
            return f64::NAN;
        }
        sum.resize(classes, 0.0);
        for row in values.chunks_exact(classes).take(*count) {
            let shares = shares(row);
            entropies += entropy(&shares);
            sum.iter_mut().zip(&shares).for_each(|(sum, share)| *sum += share);
            items += 1;
        }
    }
    let items = f64::from(items);
    let mean: Vec<f64> = sum.iter().map(|sum| sum / items).collect();
    (entropy(&mean) - entropies / items) / (mean.len() as f64).ln()
}

/// Whether scores are shares of one.
pub(super) fn are_shares(scores: &[f64]) -> bool {
    (scores.iter().sum::<f64>() - 1.0).abs() < 1e-3 && scores.iter().all(|score| *score >= 0.0)
}

/// Probabilities: the scores themselves if they are some, else their softmax.
pub(super) fn shares(scores: &[f32]) -> Vec<f64> {
    let scores: Vec<f64> = scores.iter().map(|score| f64::from(*score)).collect();
    if are_shares(&scores) {
        return scores;
    }
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let raised: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
    let total: f64 = raised.iter().sum();
    raised.iter().map(|value| value / total).collect()
}

fn entropy(shares: &[f64]) -> f64 {
    -shares.iter().filter(|share| **share > 0.0).map(|share| share * share.ln()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_divergence_of_gaussians_is_as_in_the_books() {
        assert!(divergence((1.5, 2.0), (1.5, 2.0)).abs() < 1e-12);
        // ½(ln(1/4) + 4 + 1 − 1) for N(1, 4) from N(0, 1).
        assert!((divergence((1.0, 4.0), (0.0, 1.0)) - 1.306_852_819).abs() < 1e-8);
    }

    #[test]
    fn scores_become_probabilities_unless_they_are_some() {
        assert_eq!(shares(&[0.25, 0.75]), [0.25, 0.75]);
        let even = shares(&[3.0, 3.0]);
        assert_eq!(even, [0.5, 0.5]);
        assert!((entropy(&even) - 2.0_f64.ln()).abs() < 1e-12);
    }
}
