//! Brier score.

use ndarray::ArrayRef1;

use super::metric::{Direction, Metric, mean};
use crate::stats::measured::{Measured, Undefined};
use crate::stats::predictions::Predictions;

/// The mean over items of `Σ_c (p_c - y_c)²`, y being 1 for the label and 0 elsewhere; in \[0, 2\].
///
/// Brier's (1950) own form, a sum over all classes. With two classes it is twice the
/// `(p_1 - y_1)²` that is often quoted, whose range is \[0, 1\] (scikit-learn's `scale_by_half`).
pub struct Brier;

impl Metric for Brier {
    fn name(&self) -> &'static str {
        "brier"
    }

    fn direction(&self) -> Direction {
        Direction::LowerIsBetter
    }

    fn rope(&self) -> f64 {
        0.005
    }

    fn description(&self) -> &'static str {
        "mean squared error of the probabilities, summed over all classes, 0 to 2"
    }

    fn value(&self, predictions: &Predictions<'_>) -> Measured {
        negated_errors(predictions).map(|items| -mean(&items)).into()
    }

    fn per_item(&self, predictions: &Predictions<'_>) -> Option<Result<Vec<f64>, Undefined>> {
        Some(negated_errors(predictions))
    }
}

/// The squared error of each item's probabilities, times -1.
fn negated_errors(predictions: &Predictions<'_>) -> Result<Vec<f64>, Undefined> {
    let rows = predictions.probabilities()?;
    let items = rows.rows().into_iter().zip(predictions.labels());
    Ok(items.map(|(row, &label)| -squared_error(&row, label)).collect())
}

/// `Σ_c (p_c - y_c)²`
fn squared_error(row: &ArrayRef1<f64>, label: usize) -> f64 {
    let truth = |class| f64::from(u8::from(class == label));
    row.iter().enumerate().map(|(class, &p)| (p - truth(class)).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{Answers, PRINTED, assert_close, ten_items, twelve_binary_items};

    fn brier(answers: &Answers) -> f64 {
        Brier.value(&answers.view()).value().unwrap()
    }

    #[test]
    fn errors_are_summed_over_classes() {
        assert_close(brier(&ten_items()), 0.299_5, PRINTED);
    }

    #[test]
    fn two_classes_give_twice_the_binary_score() {
        assert_close(brier(&twelve_binary_items()), 2.0 * 0.155_833_33, 2.0 * PRINTED);
    }

    #[test]
    fn being_surely_wrong_costs_two() {
        assert_close(brier(&Answers::binary(&[1], &[0.0])), 2.0, 0.0);
    }
}
