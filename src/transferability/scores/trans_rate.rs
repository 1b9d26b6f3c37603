//! `TransRate` (Huang et al. 2022): what the labels tell about the features, by coding rates.

use ndarray::{Array2, Axis};

use super::squares;
use crate::transferability::items::{Items, Refusal};
use crate::transferability::matrix::{Cholesky, centred, each_part, with_itself};
use crate::transferability::score::{Change, Number, Score};

/// Coding rate of all items less the mean one of classes.
pub(in super::super) struct TransRate;

/// Squared distortion.
const DISTORTION: f64 = 1e-4;

impl Score for TransRate {
    fn name(&self) -> &'static str {
        "trans_rate"
    }

    fn description(&self) -> &'static str {
        "coding rate of the features less that within classes, at squared distortion 1e-4 and \
         mean squared length 1 (Huang 2022); depends on the number of features"
    }

    fn unchanged_by(&self) -> &'static [Change] {
        &[Change::Scale, Change::Shift, Change::Rotation]
    }

    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal> {
        items.told_apart()?;
        let mut centred = centred(items.features);
        let length = centred.iter().map(|value| value * value).sum::<f64>();
        if !length.is_finite() {
            return Err(Refusal::TooLarge);
        }
        let length = (length / centred.nrows() as f64).sqrt();
        let largest = items.features.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        if length <= 1e-12 * largest {
            return Err(Refusal::Same);
        }
        centred /= length;
        Ok(vec![Number::new("trans_rate", trans_rate(&centred, items, DISTORTION)?)])
    }
}

/// The rate of centred features less the mean over items of that of their class.
fn trans_rate(centred: &Array2<f64>, items: &Items<'_>, distortion: f64) -> Result<f64, Refusal> {
    let rows_of = |class: usize| -> Vec<usize> {
        (0..items.labels.len()).filter(|&row| items.labels[row] == class).collect()
    };
    let whole = rate(centred, distortion, items.threads)?;
    let within = each_part(items.threads, 0..items.classes, |_, class| {
        let rows = rows_of(class);
        let share = rows.len() as f64 / items.labels.len() as f64;
        rate(&centred.select(Axis(0), &rows), distortion, 1).map(|rate| share * rate)
    });
    Ok(whole - within.into_iter().sum::<Result<f64, _>>()?)
}

/// `½ ln det(I + ZᵀZ / (n e))`, by the smaller of the products of features and of items.
fn rate(z: &Array2<f64>, distortion: f64, threads: usize) -> Result<f64, Refusal> {
    let is_tall = z.ncols() <= z.nrows();
    let view = if is_tall { z.t() } else { z.view() };
    let mut gram = with_itself(view, threads);
    gram /= z.nrows() as f64 * distortion;
    gram.diag_mut().mapv_inplace(|value| value + 1.0);
    squares(&gram)?;
    let cholesky = Cholesky::of(gram).ok_or(Refusal::NoValue("a coding rate is not positive"))?;
    Ok(0.5 * cholesky.log_det())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transferability::testing::{assert_close, first_digits, twelve};

    fn plain(features: &Array2<f64>, labels: &[usize], distortion: f64) -> f64 {
        let items = Items::new(features.view(), labels).unwrap().on_threads(2);
        trans_rate(&centred(features.view()), &items, distortion).unwrap()
    }

    #[test]
    fn twelve_items_have_the_known_values() {
        let twelve = twelve();
        for (distortion, expected) in
            [(1e-4, 1.718_159_98), (1e-2, 1.107_493_16), (1.0, 0.065_650_33)]
        {
            assert_close(plain(&twelve.features, &twelve.labels, distortion), expected, 1e-8);
        }
        let whole = rate(&centred(twelve.features.view()), 1e-2, 1).unwrap();
        assert_close(whole, 4.823_363_09, 1e-8);
    }

    #[test]
    fn classes_count_by_their_items() {
        let labels = [0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2];
        assert_close(plain(&twelve().features, &labels, 1e-2), 0.492_575_22, 1e-8);
        // And all the same, as the paper's listing has it.
        let features = centred(twelve().features.view());
        let within = [0..6, 6..9, 9..12].map(|rows| {
            rate(&features.slice(ndarray::s![rows, ..]).to_owned(), 1e-2, 1).unwrap() / 3.0
        });
        let whole = rate(&features, 1e-2, 1).unwrap();
        assert_close(whole - within.iter().sum::<f64>(), 0.542_492_30, 1e-8);
    }

    #[test]
    fn digits_have_the_known_values() {
        let (features, labels) = first_digits(1000);
        assert_close(plain(&features, &labels, 1e-4), 33.905_378, 1e-6);
        assert_close(plain(&features, &labels, 1e-2), 13.306_572, 1e-6);
        // With all classes counting the same, as the paper's listing has it.
        let items = Items::new(features.view(), &labels).unwrap();
        let centred = centred(features.view());
        for (distortion, expected) in [(1e-4, 33.900_2), (1e-2, 13.301_1)] {
            let within = |class: usize| {
                let rows: Vec<usize> =
                    (0..1000).filter(|&row| items.labels[row] == class).collect();
                rate(&centred.select(Axis(0), &rows), distortion, 1).unwrap() / 10.0
            };
            let whole = rate(&centred, distortion, 1).unwrap();
            assert_close(whole - (0..10).map(within).sum::<f64>(), expected, 5.1e-5);
        }
    }

    #[test]
    fn both_ways_to_the_determinant_agree() {
        let z = twelve().features;
        let wide = z.t().as_standard_layout().into_owned();
        let n = z.nrows() as f64 / z.ncols() as f64;
        let (tall, wide) = (rate(&z, 1e-2, 1).unwrap(), rate(&wide, 1e-2 * n, 1).unwrap());
        assert_close(tall, wide, 1e-12);
    }
}
