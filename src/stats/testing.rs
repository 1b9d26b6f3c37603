//! What the tests of this room share: comparing numbers, a fixture, and seeded draws.

use ndarray::{Array2, array};

use super::predictions::Predictions;

/// The printed check values carry eight or nine digits.
pub(super) const PRINTED: f64 = 1e-8;

/// Panics with both numbers unless they are within `tolerance` of each other.
#[track_caller]
pub(super) fn assert_close(actual: f64, expected: f64, tolerance: f64) {
    assert!(
        (actual - expected).abs() <= tolerance,
        "{actual} is not within {tolerance} of {expected}"
    );
}

/// Owned arrays that a [`Predictions`] can view.
#[derive(Clone)]
pub(super) struct Answers {
    pub(super) labels: Vec<usize>,
    pub(super) predicted: Vec<usize>,
    pub(super) probabilities: Array2<f64>,
}

impl Answers {
    /// Predicts the most probable class; the lowest of several.
    pub(super) fn new(labels: &[usize], probabilities: Array2<f64>) -> Self {
        let most_probable = |row: ndarray::ArrayView1<'_, f64>| {
            (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap()
        };
        let predicted = probabilities.rows().into_iter().map(most_probable).collect();
        Self { labels: labels.to_vec(), predicted, probabilities }
    }

    /// Answers that are right and sure of it.
    pub(super) fn perfect(labels: &[usize], classes: usize) -> Self {
        let sure = |(row, class)| f64::from(u8::from(labels[row] == class));
        Self::new(labels, Array2::from_shape_fn((labels.len(), classes), sure))
    }

    /// Two classes, from the probability of class 1.
    pub(super) fn binary(labels: &[usize], positive: &[f64]) -> Self {
        let column = |(row, class)| {
            if class == 1 { positive[row] } else { 1.0 - positive[row] }
        };
        Self::new(labels, Array2::from_shape_fn((labels.len(), 2), column))
    }

    /// The same items in another order.
    pub(super) fn reordered(&self, order: &[usize]) -> Self {
        Self {
            labels: order.iter().map(|&row| self.labels[row]).collect(),
            predicted: order.iter().map(|&row| self.predicted[row]).collect(),
            probabilities: self.probabilities.select(ndarray::Axis(0), order),
        }
    }

    /// The checked view; the probabilities are the scores too.
    pub(super) fn view(&self) -> Predictions<'_> {
        let rows = self.probabilities.view();
        Predictions::new(&self.labels, &self.predicted, rows, Ok(rows), rows.ncols()).unwrap()
    }
}

/// Ten items of three classes; the expected values in the tests come from scikit-learn 1.9.
pub(super) fn ten_items() -> Answers {
    Answers::new(
        &[0, 0, 0, 0, 1, 1, 1, 2, 2, 2],
        array![
            [0.7, 0.2, 0.1],
            [0.6, 0.3, 0.1],
            [0.3, 0.5, 0.2],
            [0.8, 0.1, 0.1],
            [0.2, 0.7, 0.1],
            [0.1, 0.8, 0.1],
            [0.1, 0.4, 0.5],
            [0.1, 0.2, 0.7],
            [0.5, 0.2, 0.3],
            [0.05, 0.05, 0.9],
        ],
    )
}

/// Five positives, then seven negatives, with two ties across the classes.
pub(super) fn twelve_binary_items() -> Answers {
    Answers::binary(
        &[1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
        &[0.9, 0.8, 0.7, 0.6, 0.3, 0.7, 0.5, 0.4, 0.3, 0.2, 0.2, 0.1],
    )
}

/// Reproducible draws: the `SplitMix64` generator (Steele, Lea and Flood 2014).
pub(super) struct Draws(u64);

impl Draws {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform on (0, 1).
    pub(super) fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal, by Box and Muller.
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// True with the given probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// 0..n in random order, by Fisher and Yates.
    pub(super) fn order(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            order.swap(last, (self.uniform() * (last + 1) as f64) as usize);
        }
        order
    }
}
