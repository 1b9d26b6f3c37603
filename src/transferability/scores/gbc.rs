//! GBC (Pándy et al. 2022): how far Gaussians of the classes overlap.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::class_means;
use crate::transferability::items::{Items, Refusal};
use crate::transferability::matrix::{Keep, principal};
use crate::transferability::score::{Change, Number, Score};

/// Gaussian Bhattacharyya coefficient.
pub(in super::super) struct Gbc;

/// Features that are kept.
const MOST_FEATURES: usize = 64;
/// Least variance of a class along a feature.
const LEAST_VARIANCE: f64 = 1e-4;

impl Score for Gbc {
    fn name(&self) -> &'static str {
        "gbc"
    }

    fn description(&self) -> &'static str {
        "minus the overlap of Gaussians of the classes over at most 64 principal components, from \
         −C(C − 1) to 0 (Pándy 2022); `gbc_diagonal` with a variance for each component"
    }

    fn unchanged_by(&self) -> &'static [Change] {
        &[Change::Shift]
    }

    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal> {
        items.told_apart()?;
        let keep = Keep::Most(MOST_FEATURES);
        let features = match items.features.ncols() {
            0..=MOST_FEATURES => items.features.to_owned(),
            _ => principal(items.features, keep, items.threads),
        };
        if features.ncols() == 0 {
            return Err(Refusal::Same);
        }
        let [spherical, diagonal] = gbc(features.view(), items);
        if !(spherical.is_finite() && diagonal.is_finite()) {
            return Err(Refusal::TooLarge);
        }
        Ok(vec![Number::new("gbc", spherical), Number::new("gbc_diagonal", diagonal)])
    }
}

/// With one variance for all features, and with one for each.
fn gbc(features: ArrayView2<'_, f64>, items: &Items<'_>) -> [f64; 2] {
    let means = class_means(features, items);
    let mut squares = Array2::zeros(means.dim());
    for (row, &label) in features.rows().into_iter().zip(&items.labels) {
        let from = &row - &means.row(label);
        let mut into = squares.row_mut(label);
        into += &(&from * &from);
    }
    for (mut row, count) in squares.rows_mut().into_iter().zip(items.counts()) {
        row /= count as f64;
    }
    let diagonal = squares.mapv(|variance| f64::max(variance, LEAST_VARIANCE));
    let mean = squares.mean_axis(Axis(1)).unwrap_or_else(|| Array1::zeros(items.classes));
    let mean = mean.mapv(|variance| f64::max(variance, LEAST_VARIANCE)).insert_axis(Axis(1));
    let spherical = mean.broadcast(means.dim()).expect("one for each class").to_owned();
    [overlap(&means, &spherical), overlap(&means, &diagonal)]
}

/// Minus the sum over ordered pairs of classes of exp(−D), D Bhattacharyya's distance.
fn overlap(means: &Array2<f64>, variances: &Array2<f64>) -> f64 {
    let classes = means.nrows();
    let distance = |i: usize, j: usize| -> f64 {
        let (here, there) = (means.row(i), means.row(j));
        let along = |k: usize| {
            let (a, b) = (variances[[i, k]], variances[[j, k]]);
            let both = 0.5 * (a + b);
            (here[k] - there[k]).powi(2) / (8.0 * both)
                + 0.5 * (both.ln() - 0.5 * a.ln() - 0.5 * b.ln())
        };
        (0..means.ncols()).map(along).sum()
    };
    let pairs = (0..classes).flat_map(|i| (0..i).map(move |j| (i, j)));
    -2.0 * pairs.map(|(i, j)| (-distance(i, j)).exp()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::transferability::testing::{assert_close, twelve};

    #[test]
    fn two_clouds_of_four_points_have_the_known_values() {
        let points = array![
            [0.0, 0.0],
            [2.0, 0.0],
            [1.0, 1.0],
            [1.0, -1.0],
            [3.0, 0.0],
            [5.0, 0.0],
            [4.0, 2.0],
            [4.0, -2.0],
        ];
        let items = Items::new(points.view(), &[0, 0, 0, 0, 1, 1, 1, 1]).unwrap();
        let [spherical, diagonal] = gbc(points.view(), &items);
        assert_close(spherical, -0.499_555_02, 1e-8);
        assert_close(diagonal, -0.188_543_86, 1e-8);
    }

    #[test]
    fn twelve_items_have_the_known_values() {
        let twelve = twelve();
        let [spherical, diagonal] = gbc(twelve.features.view(), &twelve.items());
        assert_close(spherical, -0.003_579_97, 1e-8);
        assert_close(diagonal, -0.002_401_25, 1e-8);
    }
}
