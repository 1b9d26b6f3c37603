//! Logarithmic loss.

use ndarray::ArrayRef1;

use super::metric::{Direction, Metric, mean};
use crate::stats::measured::{Measured, Undefined};
use crate::stats::predictions::Predictions;

/// The mean of -ln of the probability given to the label, in nats; 0 is perfect, ln C is guessing.
///
/// As in scikit-learn, probabilities are clipped to [ε, 1-ε] with ε = 2.2e-16, the spacing of f64
/// at 1, and rows made to sum to one again; so the loss of an item is at most about 36.
pub struct LogLoss;

impl Metric for LogLoss {
    fn name(&self) -> &'static str {
        "log_loss"
    }

    fn direction(&self) -> Direction {
        Direction::LowerIsBetter
    }

    fn rope(&self) -> f64 {
        0.02
    }

    fn description(&self) -> &'static str {
        "mean of -ln of the label's probability, in nats, 0 up; guessing gives ln(classes)"
    }

    fn value(&self, predictions: &Predictions<'_>) -> Measured {
        log_likelihoods(predictions).map(|items| -mean(&items)).into()
    }

    fn per_item(&self, predictions: &Predictions<'_>) -> Option<Result<Vec<f64>, Undefined>> {
        Some(log_likelihoods(predictions))
    }
}

/// ln p of each item's label, at most 0.
fn log_likelihoods(predictions: &Predictions<'_>) -> Result<Vec<f64>, Undefined> {
    let rows = predictions.probabilities()?;
    let items = rows.rows().into_iter().zip(predictions.labels());
    Ok(items.map(|(row, &label)| log_likelihood(&row, label)).collect())
}

/// `ln( clip(p_label) / Σ_c clip(p_c) )`
fn log_likelihood(row: &ArrayRef1<f64>, label: usize) -> f64 {
    let clip = |p: f64| p.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    (clip(row[label]) / row.iter().map(|&p| clip(p)).sum::<f64>()).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{Answers, PRINTED, assert_close, ten_items, twelve_binary_items};

    fn log_loss(answers: &Answers) -> f64 {
        LogLoss.value(&answers.view()).value().unwrap()
    }

    #[test]
    fn the_loss_agrees_with_scikit_learn() {
        assert_close(log_loss(&ten_items()), 0.545_673_44, PRINTED);
        assert_close(log_loss(&twelve_binary_items()), 0.476_353_80, PRINTED);
    }

    #[test]
    fn guessing_costs_ln_two() {
        let answers = Answers::binary(&[0, 1, 0], &[0.5; 3]);
        assert_close(log_loss(&answers), std::f64::consts::LN_2, 1e-12);
    }

    #[test]
    fn being_surely_wrong_costs_much_but_not_everything() {
        let answers = Answers::binary(&[1], &[0.0]);
        assert_close(log_loss(&answers), -f64::EPSILON.ln(), 1e-12);
    }
}
