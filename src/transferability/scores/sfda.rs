//! SFDA (Shao et al. 2022): linear discriminant analysis, shrunk the more the less the classes
//! spread, fitted again after each item was mixed with what it could be mistaken for.

use ndarray::{Array1, Array2, Axis};

use super::{class_means, squares};
use crate::transferability::items::{Items, Refusal};
use crate::transferability::matrix::{Cholesky, eigenvalues, product, with_itself};
use crate::transferability::score::{Change, Number, Score};

/// Self-challenging Fisher discriminant analysis.
pub(in super::super) struct Sfda;

impl Score for Sfda {
    fn name(&self) -> &'static str {
        "sfda"
    }

    fn description(&self) -> &'static str {
        "mean probability of the true class by shrunk discriminant analysis of items that were \
         mixed with other classes, from 0 to 1 (Shao 2022)"
    }

    fn unchanged_by(&self) -> &'static [Change] {
        &[Change::Shift, Change::Rotation]
    }

    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal> {
        items.told_apart()?;
        let (features, classes) = (items.features.ncols(), items.classes);
        if features < classes {
            return Err(Refusal::FewerFeatures { features, classes });
        }
        let own = items.features.as_standard_layout().into_owned();
        let (within, means) = within(&own, items)?;
        let largest = eigenvalues(within.clone())[0];
        let shrinkage = (-5.0 * largest).exp().max(1e-10);
        let first = posteriors(&own, (within, &means), shrinkage, items)?;
        let mixed = mixed(own, &softened(first), &means, items);
        let (within, means) = self::within(&mixed, items)?;
        let second = posteriors(&mixed, (within, &means), shrinkage, items)?;
        let of_truth = items.labels.iter().enumerate().map(|(row, &label)| second[[row, label]]);
        Ok(vec![Number::new("sfda", of_truth.sum::<f64>() / items.labels.len() as f64)])
    }
}

/// Covariance within classes, and the means of classes.
fn within(
    features: &Array2<f64>,
    items: &Items<'_>,
) -> Result<(Array2<f64>, Array2<f64>), Refusal> {
    let means = class_means(features.view(), items);
    let mut from = features.clone();
    for (mut row, &label) in from.rows_mut().into_iter().zip(&items.labels) {
        row -= &means.row(label);
    }
    let within = with_itself(from.t(), items.threads) / features.nrows() as f64;
    squares(&within)?;
    Ok((within, means))
}

/// The softmax over classes of `x S⁻¹ μ − ½ μ S⁻¹ μ + ln π`, where S is `(1 − λ) S_W + λ (tr S_W / D) I`.
fn posteriors(
    features: &Array2<f64>,
    (mut within, means): (Array2<f64>, &Array2<f64>),
    shrinkage: f64,
    items: &Items<'_>,
) -> Result<Array2<f64>, Refusal> {
    let mean = within.diag().sum() / within.nrows() as f64;
    if mean <= 0.0 {
        return Err(Refusal::NoValue("the items of a class do not differ"));
    }
    within *= 1.0 - shrinkage;
    within.diag_mut().mapv_inplace(|value| value + shrinkage * mean);
    let cholesky = Cholesky::of(within);
    let cholesky = cholesky.ok_or(Refusal::NoValue("the spread within classes is singular"))?;
    // From the middle of all items: the posteriors stay the same, their digits are kept.
    let middle = features.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(features.ncols()));
    let means = means - &middle;
    let weights = cholesky.solve(means.t().as_standard_layout().into_owned());
    let count = items.labels.len() as f64;
    let bias = |class: usize, n: usize| {
        (n as f64 / count).ln() - 0.5 * means.row(class).dot(&weights.column(class))
    };
    let biases: Array1<f64> =
        items.counts().into_iter().enumerate().map(|(class, n)| bias(class, n)).collect();
    let linear = product((features - &middle).view(), weights.view(), items.threads) + &biases;
    Ok(softened(linear))
}

/// Each row made probabilities.
fn softened(mut rows: Array2<f64>) -> Array2<f64> {
    for mut row in rows.rows_mut() {
        let most = row.fold(f64::NEG_INFINITY, |most, value| most.max(*value));
        row.mapv_inplace(|value| (value - most).exp());
        row /= row.sum();
    }
    rows
}

/// p x + (1 − p) times the mean of the other classes' means, with p of the true class. The
/// published code makes probabilities of the probabilities before, so that no item stays as it is.
fn mixed(
    mut features: Array2<f64>,
    chances: &Array2<f64>,
    means: &Array2<f64>,
    items: &Items<'_>,
) -> Array2<f64> {
    let total = means.sum_axis(Axis(0));
    let others = (&total - means) / (items.classes - 1) as f64;
    for (index, (mut row, &label)) in features.rows_mut().into_iter().zip(&items.labels).enumerate()
    {
        let chance = chances[[index, label]];
        row *= chance;
        row.scaled_add(1.0 - chance, &others.row(label));
    }
    features
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transferability::testing::{assert_close, first_digits, twelve};

    fn value(features: &Array2<f64>, labels: &[usize]) -> f64 {
        let items = Items::new(features.view(), labels).unwrap().on_threads(2);
        Sfda.numbers(&items).unwrap()[0].value
    }

    /// Computed with NumPy and `scipy.linalg.eigh`, as the published code does, but with the largest
    /// eigenvalue itself instead of three steps towards it.
    #[test]
    fn items_have_the_values_of_the_published_algorithm() {
        let twelve = twelve();
        assert_close(value(&twelve.features, &twelve.labels), TWELVE, 1e-8);
        let (features, labels) = first_digits(1000);
        assert_close(value(&features, &labels), DIGITS, 1e-6);
    }
    const TWELVE: f64 = 0.990_039_695_984_868;
    const DIGITS: f64 = 0.835_779_494_555_309_4;

    #[test]
    fn the_features_given_stay_as_they_are() {
        let twelve = twelve();
        let before = twelve.features.clone();
        let first = value(&twelve.features, &twelve.labels);
        assert_eq!(twelve.features, before);
        assert_eq!(first.to_bits(), value(&twelve.features, &twelve.labels).to_bits());
    }

    #[test]
    fn fewer_features_than_classes_are_refused() {
        let twelve = twelve();
        let two = twelve.features.slice(ndarray::s![.., ..2]);
        let refusal = Sfda.numbers(&Items::new(two, &twelve.labels).unwrap()).unwrap_err();
        assert_eq!(refusal, Refusal::FewerFeatures { features: 2, classes: 3 });
    }
}
