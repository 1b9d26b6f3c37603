//! Average precision.

use super::metric::{Direction, Metric, mean};
use crate::stats::measured::{Measured, Undefined};
use crate::stats::predictions::Predictions;

/// Precision averaged over recall, `Σ_k (R_k − R_{k−1}) P_k` over the distinct scores in descending
/// order; in \[0, 1\], guessing gives the share of the class. Nothing is interpolated, so that a curve
/// is no better than its points; this is no trapezoid.
///
/// Two classes: of class 1, from its column of the scores. More: the mean over the classes that
/// occur, each against the rest.
pub struct AveragePrecision;

impl Metric for AveragePrecision {
    fn name(&self) -> &'static str {
        "average_precision"
    }

    fn direction(&self) -> Direction {
        Direction::HigherIsBetter
    }

    fn rope(&self) -> f64 {
        0.01
    }

    fn description(&self) -> &'static str {
        "precision averaged over recall, 0 to 1; guessing gives the share of the class"
    }

    fn is_usual(&self) -> bool {
        false
    }

    fn value(&self, predictions: &Predictions<'_>) -> Measured {
        let of_class = |class: usize| {
            let scores = predictions.scores().column(class).to_vec();
            let positive: Vec<bool> =
                predictions.labels().iter().map(|&label| label == class).collect();
            average_precision(&scores, &positive)
        };
        if predictions.classes() == 2 {
            return of_class(1).into();
        }
        let known: Vec<f64> =
            (0..predictions.classes()).filter_map(|class| of_class(class).ok()).collect();
        Measured::Defined(mean(&known))
    }
}

/// The average precision of scores for being positive; undefined without a positive item.
pub fn average_precision(scores: &[f64], positive: &[bool]) -> Result<f64, Undefined> {
    let all = positive.iter().filter(|&&positive| positive).count();
    if all == 0 {
        return Err(Undefined::new("no item has this class"));
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let (mut seen, mut hits, mut sum) = (0, 0, 0.0);
    // The order is descending, so "not more than the next" is a tie.
    for tied in order.chunk_by(|&a, &b| scores[a] <= scores[b]) {
        let gained = tied.iter().filter(|&&item| positive[item]).count();
        seen += tied.len();
        hits += gained;
        sum += gained as f64 * hits as f64 / seen as f64;
    }
    Ok(sum / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{Answers, PRINTED, assert_close, twelve_binary_items};

    fn precision(answers: &Answers) -> Measured {
        AveragePrecision.value(&answers.view())
    }

    #[test]
    fn the_curve_is_not_interpolated() {
        let first = twelve_binary_items();
        assert_close(precision(&first).value().unwrap(), 0.821_111_11, PRINTED);
        let other = [0.8, 0.6, 0.6, 0.4, 0.3, 0.7, 0.5, 0.6, 0.4, 0.2, 0.3, 0.1];
        let other = Answers::binary(&first.labels, &other);
        assert_close(precision(&other).value().unwrap(), 0.64, PRINTED);
    }

    #[test]
    fn a_constant_score_gives_the_share_of_the_class() {
        let answers = Answers::binary(&[0, 1, 0, 0], &[0.3; 4]);
        assert_close(precision(&answers).value().unwrap(), 0.25, 1e-15);
    }

    #[test]
    fn without_a_positive_item_there_is_none() {
        let answers = Answers::binary(&[0, 0], &[0.3, 0.4]);
        assert_eq!(precision(&answers).reason(), Some("no item has this class"));
    }
}
