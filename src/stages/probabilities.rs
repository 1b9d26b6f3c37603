//! From what a network says to probabilities: the same for whoever trains and for whoever predicts.

use ndarray::{Array2, ArrayView1, Axis};

use crate::autodiff::Link;
use crate::probe;

/// Logarithms of probabilities, each row of which sums to 1, by what makes probabilities of scores;
/// the scores themselves if nothing does.
pub(super) fn log_probabilities(scores: Array2<f64>, link: Link) -> Array2<f64> {
    match link {
        Link::Softmax => log_softmax(scores),
        Link::Sigmoid => log_softmax(scores.mapv(log_sigmoid)),
        Link::None => scores,
    }
}

/// ln σ(s) = min(s, 0) − ln(1 + exp(−|s|)), for any s.
fn log_sigmoid(score: f64) -> f64 {
    score.min(0.0) - (-score.abs()).exp().ln_1p()
}

/// Why scores are no probabilities, if they are none.
pub(super) fn no_probabilities(link: Link) -> Option<&'static str> {
    (link == Link::None).then_some("the loss it was trained with gives no probabilities")
}

/// What makes probabilities of a model's scores, as its metadata says it; nothing for a softmax.
pub(super) fn link_word(link: Link) -> Option<&'static str> {
    match link {
        Link::Softmax => None,
        Link::Sigmoid => Some("sigmoid"),
        Link::None => Some("none"),
    }
}

/// What [`link_word`] has said.
pub(super) fn link_of(word: Option<&str>) -> Link {
    let known = [Link::Sigmoid, Link::None];
    known.into_iter().find(|link| link_word(*link) == word).unwrap_or(Link::Softmax)
}

/// ln softmax of each row.
fn log_softmax(mut scores: Array2<f64>) -> Array2<f64> {
    probe::log_softmax(&mut scores);
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
    fn sigmoids_of_classes_that_exclude_each_other_sum_to_one() {
        let found = log_probabilities(array![[0.0, 3.0_f64.ln()], [-800.0, 800.0]], Link::Sigmoid);
        // σ gives 1/2 and 3/4.
        assert!((found[[0, 0]].exp() - 0.4).abs() < 1e-12, "{found}");
        assert!((found[[1, 0]] + 800.0).abs() < 1e-9 && found[[1, 1]].abs() < 1e-12, "{found}");
    }

    #[test]
    fn what_makes_probabilities_is_known_again() {
        for link in [Link::Softmax, Link::Sigmoid, Link::None] {
            assert_eq!(link_of(link_word(link)), link);
        }
    }

    #[test]
    fn softmax_stands_large_numbers() {
        let found = log_softmax(array![[1000.0, 1000.0, -1000.0]]);
        assert!((found[[0, 0]] - 0.5_f64.ln()).abs() < 1e-12, "{found}");
        assert!(found[[0, 2]] < -1900.0, "{found}");
    }
}
