//! From scores to probabilities of classes that exclude each other.

use ndarray::{Array2, Axis};

/// Makes logarithms of softmax of each row, for scores however large; a score of −∞ stays one.
pub fn log_softmax(scores: &mut Array2<f64>) {
    for mut row in scores.axis_iter_mut(Axis(0)) {
        let most = row.fold(f64::NEG_INFINITY, |a, b| a.max(*b));
        let total = row.fold(0.0, |sum, value| sum + (value - most).exp()).ln() + most;
        row.mapv_inplace(|value| value - total);
    }
}
