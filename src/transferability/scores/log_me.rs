//! `LogME` (You et al. 2021): the log evidence of the labels under a Bayesian linear model of the
//! features, its two precisions chosen by the fixed point of You et al. 2022.
//!
//! The authors' fixed-point code leaves (D − r) ln α out of the log determinant, which is right only
//! for features of full column rank; here it is in.

use ndarray::{Array2, ArrayView1, s};

use super::squares;
use crate::base::Target;
use crate::transferability::items::{Items, Refusal};
use crate::transferability::matrix::{eigen, product, with_itself};
use crate::transferability::score::{ANYTHING, Change, Number, Score};

/// Log of maximum evidence.
pub(in super::super) struct LogMe;

impl Score for LogMe {
    fn name(&self) -> &'static str {
        "log_me"
    }

    fn description(&self) -> &'static str {
        "log evidence for each item of a Bayesian linear model of the labels, mean over classes, \
         labels or numbers (You 2021)"
    }

    fn tells(&self) -> &'static [Target] {
        ANYTHING
    }

    /// Not by a shift: the model has no intercept. By a scale but for the 1e-5 of its fixed point.
    fn unchanged_by(&self) -> &'static [Change] {
        &[Change::Scale, Change::Rotation]
    }

    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal> {
        items.differ()?;
        let spectrum = Spectrum::of(items)?;
        let fits: Result<Vec<Fit>, _> = spectrum
            .along
            .columns()
            .into_iter()
            .zip(items.targets.columns())
            .map(|(x, y)| spectrum.fit(x, y.dot(&y)))
            .collect();
        let evidence: f64 = fits?.iter().map(|fit| fit.evidence).sum();
        Ok(vec![Number::new("log_me", evidence / items.targets.ncols() as f64)])
    }
}

/// Singular values of the features, and labels along their left vectors.
struct Spectrum {
    items: f64,
    features: f64,
    /// Squares of the singular values that are not zero.
    values: Vec<f64>,
    /// Uᵀ Y, one column for each class.
    along: Array2<f64>,
}

/// Precisions and evidence for one class.
#[cfg_attr(test, derive(Debug))]
struct Fit {
    #[cfg(test)]
    alpha: f64,
    #[cfg(test)]
    beta: f64,
    evidence: f64,
}

/// Squares of singular values below this share of the largest are zero.
const RANK: f64 = 1e-12;
/// Steps of the fixed point at most.
const MOST_STEPS: usize = 100;
/// Relative change of α / β at which it stops.
const TOLERANCE: f64 = 1e-3;

impl Spectrum {
    /// By the smaller of the products of features and of items.
    fn of(items: &Items<'_>) -> Result<Self, Refusal> {
        let (count, features) = items.features.dim();
        let labels = items.targets.clone();
        let is_tall = features <= count;
        let (gram, right) = match is_tall {
            true => {
                let transposed = items.features.t();
                let right = product(transposed, labels.view(), items.threads);
                (with_itself(transposed, items.threads), right)
            }
            false => (with_itself(items.features, items.threads), labels),
        };
        squares(&gram)?;
        let (mut values, mut along) = eigen(gram, &right, items.threads);
        let largest = values.first().copied().unwrap_or_default();
        values.retain(|&value| value > RANK * largest);
        if values.is_empty() {
            return Err(Refusal::Same);
        }
        along = along.slice_move(s![..values.len(), ..]);
        if is_tall {
            for (mut row, value) in along.rows_mut().into_iter().zip(&values) {
                row /= value.sqrt();
            }
        }
        Ok(Self { items: count as f64, features: features as f64, values, along })
    }

    /// α, β and the evidence for one class, of so many items.
    fn fit(&self, x: ArrayView1<'_, f64>, squared: f64) -> Result<Fit, Refusal> {
        let squares: Vec<f64> = x.iter().map(|x| x * x).collect();
        let outside = (squared - squares.iter().sum::<f64>()).max(0.0);
        let (mut alpha, mut beta) = (1.0, 1.0);
        let mut evidence = f64::NAN;
        for _ in 0..MOST_STEPS {
            let ratio = alpha / beta;
            let [gamma, weights, residual] = self.sums(&squares, outside, ratio);
            let next = (gamma / (weights + 1e-5), (self.items - gamma) / (residual + 1e-5));
            let value = self.evidence(next, residual, weights);
            if !value.is_finite() {
                break;
            }
            (alpha, beta) = next;
            evidence = value;
            if (alpha / beta - ratio).abs() <= TOLERANCE * ratio {
                break;
            }
        }
        if evidence.is_nan() {
            return Err(Refusal::NoValue("its fixed point leaves the numbers at once"));
        }
        Ok(Fit {
            #[cfg(test)]
            alpha,
            #[cfg(test)]
            beta,
            evidence,
        })
    }

    /// γ, the squared length of the weights, and the squared residual for a ratio α / β; `outside` is
    /// the squared length of the labels that no features reach.
    fn sums(&self, squares: &[f64], outside: f64, ratio: f64) -> [f64; 3] {
        let (mut gamma, mut weights, mut residual) = (0.0, 0.0, outside);
        for (&value, &square) in self.values.iter().zip(squares) {
            gamma += value / (value + ratio);
            weights += value * square / (ratio + value).powi(2);
            residual += square / (1.0 + value / ratio).powi(2);
        }
        [gamma, weights, residual]
    }

    /// With (D − r) ln α for the directions that the features do not reach.
    fn evidence(&self, (alpha, beta): (f64, f64), residual: f64, weights: f64) -> f64 {
        let reached: f64 = self.values.iter().map(|value| (alpha + beta * value).ln()).sum();
        let unreached = (self.features - self.values.len() as f64) * alpha.ln();
        let (features, items) = (self.features, self.items);
        let sum = 0.5 * (features * alpha.ln() + items * beta.ln() - reached - unreached)
            - 0.5 * (beta * residual + alpha * weights + items * std::f64::consts::TAU.ln());
        sum / items
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transferability::matrix::Cholesky;
    use crate::transferability::testing::{assert_close, digits, first_digits, twelve};

    fn value(features: &Array2<f64>, labels: &[usize]) -> f64 {
        let items = Items::new(features.view(), labels).unwrap().on_threads(2);
        LogMe.numbers(&items).unwrap()[0].value
    }

    #[test]
    fn twelve_items_have_the_known_precisions_and_evidence() {
        let twelve = twelve();
        assert_close(value(&twelve.features, &twelve.labels), -0.666_497_03, 1e-8);
        let spectrum = Spectrum::of(&twelve.items()).unwrap();
        let known = [
            (5.748_277, 6.247_874, -0.698_889_35),
            (5.410_815, 6.904_098, -0.663_046_02),
            (10.590_116, 6.428_708, -0.637_555_72),
        ];
        for (class, (alpha, beta, evidence)) in known.into_iter().enumerate() {
            let fit = spectrum.fit(spectrum.along.column(class), 4.0).unwrap();
            assert_close(fit.alpha, alpha, 1e-6);
            assert_close(fit.beta, beta, 1e-6);
            assert_close(fit.evidence, evidence, 1e-8);
        }
    }

    #[test]
    fn the_first_step_and_the_fixed_point_have_the_known_values() {
        let twelve = twelve();
        let spectrum = Spectrum::of(&twelve.items()).unwrap();
        let mut fixed = 0.0;
        for class in 0..3 {
            let squares: Vec<f64> = spectrum.along.column(class).iter().map(|x| x * x).collect();
            let outside = 4.0 - squares.iter().sum::<f64>();
            let first = spectrum.sums(&squares, outside, 1.0);
            if class == 0 {
                for (found, known) in
                    first.into_iter().zip([2.036_134_91, 0.348_504_97, 1.600_482_03])
                {
                    assert_close(found, known, 1e-8);
                }
            }
            // To the end, and without the 1e-5 that keeps divisors from 0.
            let (mut precisions, mut told) = ((1.0, 1.0), f64::NAN);
            for _ in 0..40 {
                let ratio = precisions.0 / precisions.1;
                let [gamma, weights, residual] = spectrum.sums(&squares, outside, ratio);
                precisions = (gamma / weights, (12.0 - gamma) / residual);
                told = spectrum.evidence(precisions, residual, weights);
            }
            fixed += told / 3.0;
        }
        assert_close(fixed, -0.666_497_02, 1e-8);
    }

    #[test]
    fn a_thousand_digits_have_the_known_evidence() {
        let (features, labels) = first_digits(1000);
        assert_close(value(&features, &labels), 0.264_368_62, 1e-7);
    }

    #[test]
    fn directions_that_no_item_reaches_count_as_the_authors_fixed_point_forgets() {
        let (features, labels) = digits();
        let few = features.slice(s![..40, ..]).to_owned();
        let full = value(&few, &labels[..40]);
        assert_close(full, -0.013_088_24, 1e-7);
        // What leaving out (D − r) ln α would give: 1.2382 after the authors' eleven steps.
        let items = Items::new(few.view(), &labels[..40]).unwrap();
        let spectrum = Spectrum::of(&items).unwrap();
        let unreached = 64.0 - spectrum.values.len() as f64;
        let (mut without, mut classes) = (0.0, 0.0);
        for (x, count) in spectrum.along.columns().into_iter().zip(items.counts()) {
            let fit = spectrum.fit(x, count as f64).unwrap();
            without += fit.evidence + 0.5 * unreached * fit.alpha.ln() / 40.0;
            classes += 1.0;
        }
        assert_close(without / classes, 1.238_334_83, 1e-8);
    }

    #[test]
    fn the_evidence_is_the_density_of_the_labels() {
        let twelve = twelve();
        for features in [twelve.features.clone(), twelve.features.slice(s![..2, ..]).to_owned()] {
            let count = features.nrows();
            let labels: Vec<usize> = (0..count).map(|row| row % 2).collect();
            let items = Items::new(features.view(), &labels).unwrap();
            let spectrum = Spectrum::of(&items).unwrap();
            let (alpha, beta) = (2.0, 3.0);
            let ratio = alpha / beta;
            let y = Array2::from_shape_fn((count, 1), |(row, _)| f64::from(u8::from(row % 2 == 0)));
            let x = spectrum.along.column(0);
            let squares: Vec<f64> = x.iter().map(|x| x * x).collect();
            let outside = y.sum() - squares.iter().sum::<f64>();
            let each = || spectrum.values.iter().zip(&squares);
            let residual: f64 =
                each().map(|(v, x)| x / (1.0 + v / ratio).powi(2)).sum::<f64>() + outside;
            let weights = each().map(|(v, x)| v * x / (ratio + v).powi(2)).sum();
            let covariance = Array2::<f64>::eye(count) / beta + features.dot(&features.t()) / alpha;
            let cholesky = Cholesky::of(covariance).unwrap();
            let distance = (&y * &cholesky.solve(y.clone())).sum();
            let scale = count as f64 * std::f64::consts::TAU.ln();
            let density = -0.5 * (cholesky.log_det() + distance + scale) / count as f64;
            assert_close(spectrum.evidence((alpha, beta), residual, weights), density, 1e-12);
        }
    }

    #[test]
    fn a_shift_changes_it_as_there_is_no_intercept() {
        let twelve = twelve();
        let shifted = &twelve.features + 1.0;
        let change = value(&shifted, &twelve.labels) - value(&twelve.features, &twelve.labels);
        assert!(change.abs() > 0.01, "{change}");
    }
}
