//! From what a network says to probabilities: the same for whoever trains and for whoever predicts.

use ndarray::{Array2, ArrayView1, Axis};

/// ln softmax of each row.
pub(super) fn log_softmax(mut scores: Array2<f64>) -> Array2<f64> {
    for mut row in scores.axis_iter_mut(Axis(0)) {
        let most = row.fold(f64::NEG_INFINITY, |a, b| a.max(*b));
        let total = row.fold(0.0, |sum, value| sum + (value - most).exp()).ln() + most;
        row.mapv_inplace(|value| value - total);
    }
    scores
}

/// Training with class weights w teaches probabilities for a prior ∝ π·w; dividing w out again
/// gives those for the prior π of the data (Saerens et al. 2002).
pub(super) fn shift_prior(log_p: &Array2<f64>, weights: &[f64]) -> Array2<f64> {
    debug_assert_eq!(log_p.ncols(), weights.len());
    let mut shifted = log_p.mapv(f64::exp);
    for mut row in shifted.axis_iter_mut(Axis(0)) {
        row.iter_mut().zip(weights).for_each(|(p, weight)| *p /= weight);
        let total = row.sum();
        row /= total;
    }
    shifted
}

/// The class with the highest score; the first of equals.
pub(super) fn best(scores: &ArrayView1<'_, f64>) -> usize {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = class;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn dividing_the_weights_out_gives_back_the_prior() {
        // A network that knows nothing, trained with balanced weights, says one half each.
        let shifted = shift_prior(&array![[0.5_f64.ln(), 0.5_f64.ln()]], &[0.625, 2.5]);
        assert!((shifted[[0, 0]] - 0.8).abs() < 1e-12, "{shifted}");
    }

    #[test]
    fn softmax_stands_large_numbers() {
        let found = log_softmax(array![[1000.0, 1000.0, -1000.0]]);
        assert!((found[[0, 0]] - 0.5_f64.ln()).abs() < 1e-12, "{found}");
        assert!(found[[0, 2]] < -1900.0, "{found}");
    }
}
