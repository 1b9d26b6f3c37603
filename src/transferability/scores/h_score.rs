//! H-score (Bao et al. 2019), and the same with a shrunk covariance (Ibrahim et al. 2021, after
//! Ledoit and Wolf).

use ndarray::Array2;

use super::{class_means, squares};
use crate::transferability::items::{Items, Refusal};
use crate::transferability::matrix::{centred, eigen, product, with_itself};
use crate::transferability::score::{Change, Number, Score};

/// Spread between classes over spread of all.
pub(in super::super) struct HScore;

impl Score for HScore {
    fn name(&self) -> &'static str {
        "h_score"
    }

    fn description(&self) -> &'static str {
        "tr(cov(F)⁺ cov(E[F | Y])), from 0 to C − 1 (Bao 2019); `h_score_shrunk` with the \
         covariance of Ledoit and Wolf (Ibrahim 2021) is the one to read below ten items a feature"
    }

    fn unchanged_by(&self) -> &'static [Change] {
        &[Change::Scale, Change::Shift, Change::Rotation]
    }

    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal> {
        items.told_apart()?;
        let (count, features) = items.features.dim();
        let spread = Spread::of(items)?;
        let plain = spread.plain().min((items.classes - 1) as f64);
        let few = count < 10 * features;
        let warning = few.then_some("fewer than ten items for each feature: too high");
        Ok(vec![
            Number { warning, ..Number::new("h_score", plain) },
            Number::new("h_score_shrunk", spread.shrunk()),
        ])
    }
}

/// Eigenvalues of the covariance, and how far the class means lie along each eigenvector.
struct Spread {
    values: Vec<f64>,
    /// The mean over items of the squared coordinate of their class.
    between: Vec<f64>,
    features: f64,
    /// Weight of m I in the shrunk covariance.
    weight: f64,
}

/// Eigenvalues below this share of the largest are zero.
const RANK: f64 = 1e-10;

impl Spread {
    fn of(items: &Items<'_>) -> Result<Self, Refusal> {
        let (count, features) = items.features.dim();
        let centred = centred(items.features);
        let mut means = class_means(centred.view(), items);
        for (mut mean, n) in means.rows_mut().into_iter().zip(items.counts()) {
            mean *= (n as f64 / count as f64).sqrt();
        }
        let is_tall = features <= count;
        let (gram, right) = match is_tall {
            true => (with_itself(centred.t(), items.threads), means.t().to_owned()),
            false => {
                let right = product(centred.view(), means.t(), items.threads);
                (with_itself(centred.view(), items.threads), right / (count as f64).sqrt())
            }
        };
        let covariance = gram / count as f64;
        squares(&covariance)?;
        let (mut values, along) = eigen(covariance, &right, items.threads);
        let largest = values.first().copied().unwrap_or_default();
        values.retain(|&value| value > RANK * largest);
        if values.is_empty() {
            return Err(Refusal::Same);
        }
        let squared = |(row, value): (ndarray::ArrayView1<'_, f64>, &f64)| {
            row.dot(&row) / if is_tall { 1.0 } else { *value }
        };
        let between = along.rows().into_iter().zip(&values).map(squared).collect();
        let weight = shrinkage(&centred, &values);
        Ok(Self { values, between, features: features as f64, weight })
    }

    fn plain(&self) -> f64 {
        self.between.iter().zip(&self.values).map(|(between, value)| between / value).sum()
    }

    fn shrunk(&self) -> f64 {
        let (a, mean) = (self.weight, self.values.iter().sum::<f64>() / self.features);
        let along = |(between, value): (&f64, &f64)| between / ((1.0 - a) * value + a * mean);
        (1.0 - a) * self.between.iter().zip(&self.values).map(along).sum::<f64>()
    }
}

/// b² / d² with d² = ‖S − mI‖² and b² = min(d², (Σ ‖x‖⁴ − N ‖S‖²) / N²), from the eigenvalues of S.
fn shrinkage(centred: &Array2<f64>, values: &[f64]) -> f64 {
    let (count, features) = (centred.nrows() as f64, centred.ncols() as f64);
    let mean = values.iter().sum::<f64>() / features;
    let squared: f64 = values.iter().map(|value| value * value).sum();
    let distance = squared - features * mean * mean;
    let fourth: f64 = centred.rows().into_iter().map(|row| row.dot(&row).powi(2)).sum();
    let noise = (fourth / count - squared) / count;
    // All eigenvalues the same: nothing to shrink to.
    if distance <= 1e-14 * squared { 0.0 } else { (noise / distance).clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transferability::testing::{assert_close, clusters, digits, first_digits, twelve};

    fn numbers(features: &Array2<f64>, labels: &[usize]) -> [f64; 2] {
        let items = Items::new(features.view(), labels).unwrap().on_threads(2);
        let numbers = HScore.numbers(&items).unwrap();
        [numbers[0].value, numbers[1].value]
    }

    #[test]
    fn twelve_items_have_the_known_values() {
        let twelve = twelve();
        let [plain, shrunk] = numbers(&twelve.features, &twelve.labels);
        assert_close(plain, 1.854_065_61, 1e-8);
        assert_close(shrunk, 1.566_644_69, 1e-8);
        // The authors divide the means' covariance by N − 1.
        assert_close(shrunk * 12.0 / 11.0, 1.709_066_93, 1e-8);
        let spread = Spread::of(&twelve.items()).unwrap();
        assert_close(spread.weight, 0.172_865_34, 1e-8);
    }

    #[test]
    fn digits_have_the_known_values() {
        let (features, labels) = first_digits(1000);
        let [plain, shrunk] = numbers(&features, &labels);
        assert_close(plain, 6.131_8, 1e-4);
        assert_close(shrunk * 1000.0 / 999.0, 6.012_6, 1e-4);
        let items = Items::new(features.view(), &labels).unwrap();
        assert_eq!(Spread::of(&items).unwrap().values.len(), 61);
    }

    #[test]
    fn forty_digits_saturate_it_but_not_the_shrunk_one() {
        let (features, labels) = digits();
        let few = features.slice(ndarray::s![..40, ..]).to_owned();
        let [plain, shrunk] = numbers(&few, &labels[..40]);
        assert_close(plain, 9.0, 1e-9);
        assert_close(shrunk * 40.0 / 39.0, 7.189_0, 1e-4);
        let items = Items::new(few.view(), &labels[..40]).unwrap();
        assert!(HScore.numbers(&items).unwrap()[0].warning.is_some());
    }

    #[test]
    fn it_lies_between_zero_and_what_classes_and_features_allow() {
        for (items, features, classes) in [(60, 12, 4), (60, 2, 5), (20, 40, 3), (12, 12, 6)] {
            for seed in 0..5 {
                let (values, labels) = clusters((items, features, classes), 0.5, seed);
                let spread = Spread::of(&Items::new(values.view(), &labels).unwrap()).unwrap();
                let most = (classes - 1).min(spread.values.len()) as f64;
                assert!((-1e-9..=most + 1e-9).contains(&spread.plain()), "{}", spread.plain());
                assert!((0.0..=most).contains(&spread.shrunk()), "{}", spread.shrunk());
            }
        }
    }

    #[test]
    fn one_feature_is_not_shrunk() {
        let [plain, shrunk] = numbers(&ndarray::array![[0.0], [1.0], [3.0], [4.0]], &[0, 0, 1, 1]);
        assert_close(plain, 0.9, 1e-12);
        assert_close(shrunk, 0.9, 1e-12);
    }
}
