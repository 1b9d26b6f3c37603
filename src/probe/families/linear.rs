//! What is linear in the features.

use ndarray::{Array1, Array2, ArrayView2};

use super::super::family::Fitted;
use super::super::softmax::log_softmax;

/// What weights and biases give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Logarithms of probabilities of classes that exclude each other.
    Softmax,
    /// Logarithms of probabilities of labels.
    Sigmoid,
    /// Distances from borders.
    Margins,
    /// Values.
    Values,
}

/// Features · weights + biases.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    /// Features × columns.
    pub(super) weights: Array2<f64>,
    /// One for each column; −∞ for a class that was not in training.
    pub(super) biases: Array1<f64>,
    pub(super) link: Link,
}

impl Linear {
    /// Scores of items × features.
    pub(super) fn of(&self, features: &ArrayView2<'_, f64>) -> Array2<f64> {
        let mut scores = features.dot(&self.weights) + &self.biases;
        match self.link {
            Link::Softmax => log_softmax(&mut scores),
            Link::Sigmoid => scores.mapv_inplace(|s| s.min(0.0) - (-s.abs()).exp().ln_1p()),
            Link::Margins | Link::Values => {}
        }
        scores
    }
}

impl Fitted for Linear {
    fn scores(&self, features: ArrayView2<'_, f64>) -> Array2<f64> {
        self.of(&features)
    }

    fn no_probabilities(&self) -> Option<&'static str> {
        match self.link {
            Link::Softmax | Link::Sigmoid => None,
            Link::Margins => Some("it gives distances from borders, not probabilities"),
            Link::Values => Some("it gives values, not probabilities"),
        }
    }

    /// A class that was not in training has zeros.
    fn linear(&self) -> Option<(Array2<f64>, Array1<f64>)> {
        let biases = self.biases.mapv(|bias| if bias.is_finite() { bias } else { 0.0 });
        Some((self.weights.clone(), biases))
    }
}
