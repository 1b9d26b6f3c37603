//! Balanced accuracy.

use super::confusion::Confusion;
use super::metric::{Direction, Metric, mean};
use crate::stats::measured::{Measured, Undefined};
use crate::stats::predictions::Predictions;

/// The mean recall of the classes that occur among the labels, in \[0, 1\]; as in scikit-learn,
/// classes without an item do not count.
pub struct BalancedAccuracy;

impl Metric for BalancedAccuracy {
    fn name(&self) -> &'static str {
        "balanced_accuracy"
    }

    fn direction(&self) -> Direction {
        Direction::HigherIsBetter
    }

    fn rope(&self) -> f64 {
        0.01
    }

    fn description(&self) -> &'static str {
        "mean recall over the classes present, 0 to 1; guessing gives 1 / classes"
    }

    fn value(&self, predictions: &Predictions<'_>) -> Measured {
        let confusion = Confusion::of(predictions);
        let recalls: Vec<f64> = confusion
            .present()
            .map(|class| confusion.hits(class) as f64 / confusion.labelled(class) as f64)
            .collect();
        Measured::Defined(mean(&recalls))
    }

    /// `correct_i N / (C_present N_c)` for an item of class c: each class has the same weight.
    fn per_item(&self, predictions: &Predictions<'_>) -> Option<Result<Vec<f64>, Undefined>> {
        let confusion = Confusion::of(predictions);
        let share = predictions.items() as f64 / confusion.present().count() as f64;
        let weights: Vec<f64> = (0..confusion.classes())
            .map(|class| share / confusion.labelled(class) as f64)
            .collect();
        let weigh = |(correct, &class): (bool, &usize)| if correct { weights[class] } else { 0.0 };
        Some(Ok(predictions.correct().zip(predictions.labels()).map(weigh).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{Answers, PRINTED, assert_close, ten_items};

    #[test]
    fn each_class_weighs_the_same() {
        let answers = ten_items();
        let value = BalancedAccuracy.value(&answers.view()).value().unwrap();
        assert_close(value, 0.694_444_44, PRINTED);
    }

    #[test]
    fn an_item_of_a_rare_class_weighs_more() {
        let answers = ten_items();
        let items = BalancedAccuracy.per_item(&answers.view()).unwrap().unwrap();
        assert_close(items[0], 10.0 / (3.0 * 4.0), PRINTED);
        assert_close(items[4], 10.0 / (3.0 * 3.0), PRINTED);
        assert_close(items[2], 0.0, 0.0);
    }

    #[test]
    fn a_class_without_items_does_not_count() {
        let answers = Answers::perfect(&[0, 0, 2], 4);
        assert_close(BalancedAccuracy.value(&answers.view()).value().unwrap(), 1.0, PRINTED);
    }
}
