//! Accuracy.

use super::metric::{Direction, Metric, mean};
use crate::stats::measured::{Measured, Undefined};
use crate::stats::predictions::Predictions;

/// The share of items whose predicted class is the label, in \[0, 1\].
pub struct Accuracy;

impl Metric for Accuracy {
    fn name(&self) -> &'static str {
        "accuracy"
    }

    fn direction(&self) -> Direction {
        Direction::HigherIsBetter
    }

    fn rope(&self) -> f64 {
        0.01
    }

    fn description(&self) -> &'static str {
        "share of items predicted right, 0 to 1"
    }

    fn value(&self, predictions: &Predictions<'_>) -> Measured {
        Measured::Defined(mean(&hits(predictions)))
    }

    fn per_item(&self, predictions: &Predictions<'_>) -> Option<Result<Vec<f64>, Undefined>> {
        Some(Ok(hits(predictions)))
    }
}

/// 1 where the prediction is right, else 0.
fn hits(predictions: &Predictions<'_>) -> Vec<f64> {
    predictions.correct().map(|correct| f64::from(u8::from(correct))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{PRINTED, assert_close, ten_items};

    #[test]
    fn seven_of_ten_items_are_right() {
        let answers = ten_items();
        assert_close(Accuracy.value(&answers.view()).value().unwrap(), 0.7, PRINTED);
        let items = Accuracy.per_item(&answers.view()).unwrap().unwrap();
        assert_eq!(items, [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    }
}
