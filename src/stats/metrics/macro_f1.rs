//! Macro-averaged F1.

use super::confusion::Confusion;
use super::metric::{Direction, Metric, mean};
use crate::stats::measured::Measured;
use crate::stats::predictions::Predictions;

/// The mean over classes of F1 = 2 TP / (2 TP + FP + FN), in \[0, 1\].
///
/// The classes are those that occur among the labels. scikit-learn adds classes that were only
/// predicted, with an F1 of 0; then two arms on the same items could be averaged over different
/// classes, and their difference would mean little.
pub struct MacroF1;

impl Metric for MacroF1 {
    fn name(&self) -> &'static str {
        "macro_f1"
    }

    fn direction(&self) -> Direction {
        Direction::HigherIsBetter
    }

    fn rope(&self) -> f64 {
        0.01
    }

    fn description(&self) -> &'static str {
        "mean over the classes present of the harmonic mean of precision and recall, 0 to 1"
    }

    fn value(&self, predictions: &Predictions<'_>) -> Measured {
        let confusion = Confusion::of(predictions);
        let scores: Vec<f64> = confusion.present().map(|class| f1(&confusion, class)).collect();
        Measured::Defined(mean(&scores))
    }
}

/// 2 TP + FP + FN is what is labelled plus what is predicted as the class; never 0 for a class
/// that is present.
fn f1(confusion: &Confusion, class: usize) -> f64 {
    let both = confusion.labelled(class) + confusion.predicted(class);
    2.0 * confusion.hits(class) as f64 / both as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{PRINTED, assert_close, ten_items};

    #[test]
    fn every_class_has_its_own_f1() {
        let confusion = Confusion::of(&ten_items().view());
        assert_close(f1(&confusion, 0), 0.75, PRINTED);
        assert_close(f1(&confusion, 1), 2.0 / 3.0, PRINTED);
        assert_close(f1(&confusion, 2), 2.0 / 3.0, PRINTED);
    }

    #[test]
    fn the_mean_is_over_classes() {
        let mut answers = ten_items();
        assert_close(MacroF1.value(&answers.view()).value().unwrap(), 0.694_444_44, PRINTED);
        // Class 2 is never predicted: its F1 is 0 and counts.
        answers.predicted = vec![0, 0, 1, 0, 1, 1, 1, 0, 0, 1];
        assert_close(MacroF1.value(&answers.view()).value().unwrap(), 0.472_222_22, PRINTED);
    }

    #[test]
    fn a_class_that_is_only_predicted_lowers_the_others_but_is_none_itself() {
        let mut answers = ten_items();
        answers.labels = vec![0; 10];
        answers.predicted = vec![0, 0, 0, 0, 0, 0, 0, 0, 1, 2];
        let expected = 2.0 * 8.0 / (10.0 + 8.0);
        assert_close(MacroF1.value(&answers.view()).value().unwrap(), expected, PRINTED);
    }
}
