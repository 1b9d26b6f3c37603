//! Linear centred kernel alignment (Kornblith et al. 2019) between features and labels.

use ndarray::{Array2, ArrayView2, Axis};

use crate::base::Target;
use crate::transferability::items::{Items, Refusal};
use crate::transferability::matrix::{centred, product, with_itself};
use crate::transferability::score::{ANYTHING, Change, Number, Score};

/// Linear CKA with the one-hot labels.
pub(in super::super) struct Cka;

impl Score for Cka {
    fn name(&self) -> &'static str {
        "cka"
    }

    fn description(&self) -> &'static str {
        "linear kernel alignment of features and labels without bias, up to 1 (Kornblith 2019); \
         `cka_biased`, from 0 to 1, is too high for more features than items"
    }

    fn tells(&self) -> &'static [Target] {
        ANYTHING
    }

    fn unchanged_by(&self) -> &'static [Change] {
        &[Change::Scale, Change::Shift, Change::Rotation]
    }

    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal> {
        items.differ()?;
        let count = items.features.nrows();
        if count < 4 {
            return Err(Refusal::TooFew { items: count, least: 4 });
        }
        let [plain, biased] = cka(items.features, items.targets.view(), items.threads)?;
        Ok(vec![Number::new("cka", plain), Number::new("cka_biased", biased)])
    }
}

/// Without bias and biased, of two tables of the same items.
fn cka(
    x: ArrayView2<'_, f64>,
    y: ArrayView2<'_, f64>,
    threads: usize,
) -> Result<[f64; 2], Refusal> {
    let (x, y) = (centred(x), centred(y));
    let pairs = [(&x, &y), (&x, &x), (&y, &y)].map(|(a, b)| alignment(a, b, threads));
    if pairs.iter().flatten().any(|value| !value.is_finite()) {
        return Err(Refusal::TooLarge);
    }
    let ratio = |at: usize| {
        let [both, of_x, of_y] = pairs.map(|pair| pair[at]);
        (of_x > 0.0 && of_y > 0.0).then(|| both / (of_x * of_y).sqrt())
    };
    let none = Refusal::NoValue("features or labels are not aligned with themselves");
    match (ratio(0), ratio(1)) {
        (Some(plain), Some(biased)) => Ok([plain, biased]),
        _ => Err(none),
    }
}

/// HSIC₁ of linear kernels K and L, and ‖YᵀX‖², for centred tables. With rows that sum to zero,
/// whatever the kernels without their diagonals hold follows from sums over items.
fn alignment(x: &Array2<f64>, y: &Array2<f64>, threads: usize) -> [f64; 2] {
    let n = x.nrows() as f64;
    let squares = |table: &Array2<f64>| -> Vec<f64> {
        table.rows().into_iter().map(|row| row.dot(&row)).collect()
    };
    let (kx, ky) = (squares(x), squares(y));
    let product = norm_of_product(x, y, threads);
    let both: f64 = kx.iter().zip(&ky).map(|(a, b)| a * b).sum();
    let (sum_x, sum_y): (f64, f64) = (kx.iter().sum(), ky.iter().sum());
    // Row i of K without its diagonal sums to −kᵢᵢ.
    let trace = product - both;
    let hsic = trace + sum_x * sum_y / ((n - 1.0) * (n - 2.0)) - 2.0 * both / (n - 2.0);
    [hsic / (n * (n - 3.0)), product]
}

/// ‖YᵀX‖², by the cheaper of features and pairs of items.
fn norm_of_product(x: &Array2<f64>, y: &Array2<f64>, threads: usize) -> f64 {
    let (n, columns) = (x.nrows(), x.ncols().max(y.ncols()));
    if columns <= n || y.ncols() < x.ncols() {
        let small = if x.ncols() <= y.ncols() {
            product(x.t(), y.view(), threads)
        } else {
            product(y.t(), x.view(), threads)
        };
        return small.iter().map(|value| value * value).sum();
    }
    let kernels = [with_itself(x.view(), threads), with_itself(y.view(), threads)];
    (&kernels[0] * &kernels[1]).sum_axis(Axis(1)).sum()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::transferability::testing::{assert_close, clusters, twelve};

    fn one_hot(labels: &[usize]) -> Array2<f64> {
        Array2::from_shape_fn((labels.len(), 3), |(i, c)| f64::from(u8::from(labels[i] == c)))
    }

    #[test]
    fn twelve_items_have_the_known_values() {
        let twelve = twelve();
        let (x, y) = (twelve.features.view(), twelve.source.view());
        let [plain, biased] = cka(x, y, 1).unwrap();
        assert_close(biased, 0.869_164_24, 1e-8);
        assert_close(plain, 0.867_547_48, 1e-8);
        let (x, y) = (centred(x), centred(y));
        let hsic = [(&x, &y), (&x, &x), (&y, &y)].map(|(a, b)| alignment(a, b, 1)[0]);
        for (found, known) in hsic.into_iter().zip([0.122_048_70, 1.241_022_53, 0.015_947_78]) {
            assert_close(found, known, 1e-8);
        }
        let [plain, biased] =
            cka(twelve.features.view(), one_hot(&twelve.labels).view(), 1).unwrap();
        assert_close(biased, 0.847_506_01, 1e-8);
        assert_close(plain, 0.832_295_11, 1e-8);
        let numbers = Cka.numbers(&twelve.items()).unwrap();
        assert_close(numbers[0].value, plain, 1e-15);
        assert_close(numbers[1].value, biased, 1e-15);
    }

    #[test]
    fn turned_scaled_and_shifted_features_are_the_same() {
        let x = twelve().features;
        let (sine, cosine) = (0.6, 0.8);
        let turn = array![[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, -1.0]];
        let y = 3.0 * x.dot(&turn) + 1.0;
        for value in cka(x.view(), y.view(), 1).unwrap() {
            assert_close(value, 1.0, 1e-12);
        }
    }

    #[test]
    fn two_batches_have_the_known_mean() {
        let twelve = twelve();
        let mut sums = [0.0; 3];
        for first in 0..2 {
            let rows: Vec<usize> = (first..12).step_by(2).collect();
            let x = centred(twelve.features.select(Axis(0), &rows).view());
            let y = centred(twelve.source.select(Axis(0), &rows).view());
            let hsic = [(&x, &y), (&x, &x), (&y, &y)].map(|(a, b)| alignment(a, b, 1)[0]);
            sums.iter_mut().zip(hsic).for_each(|(sum, value)| *sum += value);
        }
        assert_close(sums[0] / (sums[1] * sums[2]).sqrt(), 0.848_006_29, 1e-8);
    }

    #[test]
    fn more_features_than_items_are_compared_by_pairs_of_items() {
        let (x, _) = clusters((10, 40, 2), 1.0, 1);
        let (y, _) = clusters((10, 30, 2), 1.0, 2);
        let direct = x.t().dot(&y).iter().map(|value| value * value).sum::<f64>();
        assert_close(norm_of_product(&x, &y, 2), direct, 1e-9 * direct);
    }
}
