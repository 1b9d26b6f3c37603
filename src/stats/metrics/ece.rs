//! Expected calibration error.

use super::metric::{Direction, Metric};
use crate::stats::measured::{Measured, Undefined};
use crate::stats::predictions::Predictions;

/// Guo et al. (2017) use fifteen bins.
const BINS: usize = 15;

/// How far confidence is from accuracy, in \[0, 1\] (Guo et al. 2017).
///
/// ```text
/// ECE = Σ_b |B_b| / N  | accuracy(B_b) - confidence(B_b) |
/// ```
///
/// over M = 15 bins of equal width, (lo, hi], of the largest probability of each item; accuracy is
/// how often that class (the lowest of several) is the label. Biased upward where items are few:
/// compare arms on the same items only.
pub struct Ece;

impl Metric for Ece {
    fn name(&self) -> &'static str {
        "ece"
    }

    fn direction(&self) -> Direction {
        Direction::LowerIsBetter
    }

    fn rope(&self) -> f64 {
        0.01
    }

    fn description(&self) -> &'static str {
        "mean distance of confidence from accuracy over 15 bins of confidence, 0 to 1"
    }

    fn value(&self, predictions: &Predictions<'_>) -> Measured {
        calibration_error(predictions, BINS).into()
    }
}

/// Sums correct - confidence within each bin; |B| cancels against the means.
fn calibration_error(predictions: &Predictions<'_>, bins: usize) -> Result<f64, Undefined> {
    let mut gaps = vec![0.0; bins];
    for (bin, gap) in gaps_by_bin(predictions, bins)? {
        gaps[bin] += gap;
    }
    let total: f64 = gaps.iter().map(|gap| gap.abs()).sum();
    Ok(total / predictions.items() as f64)
}

/// The bin of each item, and whether it was right (1 or 0) less how sure it was.
pub(in crate::stats) fn calibration_gaps(
    predictions: &Predictions<'_>,
) -> Result<Vec<(usize, f64)>, Undefined> {
    gaps_by_bin(predictions, BINS)
}

fn gaps_by_bin(predictions: &Predictions<'_>, bins: usize) -> Result<Vec<(usize, f64)>, Undefined> {
    let rows = predictions.probabilities()?;
    let items = rows.rows().into_iter().zip(predictions.labels()).map(|(row, &label)| {
        let (class, confidence) = top(row.iter().copied());
        (bin(confidence, bins), f64::from(u8::from(class == label)) - confidence)
    });
    Ok(items.collect())
}

/// The most probable class, the lowest of several, and its probability.
fn top(row: impl Iterator<Item = f64>) -> (usize, f64) {
    row.enumerate().fold((0, 0.0), |best, (class, p)| if p > best.1 { (class, p) } else { best })
}

/// The bin (lo, hi] of a confidence in (0, 1]; a hair above 1 is in the last bin.
fn bin(confidence: f64, bins: usize) -> usize {
    let upper = (confidence * bins as f64).ceil() as usize;
    upper.clamp(1, bins) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{Answers, PRINTED, assert_close, ten_items};

    #[test]
    fn ten_items_are_off_by_a_third() {
        let answers = ten_items();
        assert_close(Ece.value(&answers.view()).value().unwrap(), 0.33, PRINTED);
        assert_close(calibration_error(&answers.view(), 5).unwrap(), 0.25, PRINTED);
    }

    #[test]
    fn bins_are_closed_above() {
        assert_eq!([0.2, 0.2 + 1e-9, 1.0, 1.0 + 1e-9].map(|p| bin(p, 5)), [0, 1, 4, 4]);
    }

    #[test]
    fn honest_confidence_has_no_error() {
        let answers = Answers::binary(&[1, 1, 1, 0], &[0.75; 4]);
        assert_close(Ece.value(&answers.view()).value().unwrap(), 0.0, 1e-12);
    }

    #[test]
    fn ties_go_to_the_lowest_class() {
        assert_eq!(top([0.4, 0.4, 0.2].into_iter()), (0, 0.4));
    }
}
