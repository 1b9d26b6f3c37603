//! Fréchet distance of the Gaussians of two domains (Dowson and Landau 1982).

use ndarray::{Array2, ArrayView2, Axis, s};

use super::{MOST_ITEMS, Samples, covariance, pooled};
use crate::stats::Direction;
use crate::transferability::items::{Items, Refusal};
use crate::transferability::matrix::{Keep, eigen, eigenvalues, principal, product};
use crate::transferability::score::{Change, Needs, Number, Score};

/// Distance of means and covariances.
pub(in super::super) struct Frechet;

impl Score for Frechet {
    fn name(&self) -> &'static str {
        "frechet"
    }

    fn description(&self) -> &'static str {
        "squared distance of the Gaussians of two domains, from 0; not scale-free, too high by \
         features / items (Dowson 1982)"
    }

    fn direction(&self) -> Direction {
        Direction::LowerIsBetter
    }

    fn needs(&self) -> Needs {
        Needs::Other
    }

    fn unchanged_by(&self) -> &'static [Change] {
        &[Change::Shift, Change::Rotation]
    }

    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal> {
        let samples = Samples::draw(items, MOST_ITEMS)?;
        let number = samples.measure("frechet", |x, y| {
            let few = x.nrows();
            if few > x.ncols() {
                return frechet(x, y, items.threads);
            }
            // A covariance of more features than items says little: fewer components than items.
            let both = principal(pooled(x, y).view(), Keep::Most(few / 2), items.threads);
            frechet(both.slice(s![..few, ..]), both.slice(s![few.., ..]), items.threads)
        })?;
        Ok(vec![number])
    }
}

/// ‖μ₁ − μ₂‖² + tr(C₁ + C₂ − 2 (C₁^½ C₂ C₁^½)^½).
fn frechet(x: ArrayView2<'_, f64>, y: ArrayView2<'_, f64>, threads: usize) -> Result<f64, Refusal> {
    let (Some(mean_x), Some(mean_y)) = (x.mean_axis(Axis(0)), y.mean_axis(Axis(0))) else {
        return Err(Refusal::TooFew { items: 0, least: 2 });
    };
    let apart = &mean_x - &mean_y;
    let (of_x, of_y) = (covariance(x, threads), covariance(y, threads));
    let traces = of_x.diag().sum() + of_y.diag().sum();
    if !traces.is_finite() {
        return Err(Refusal::TooLarge);
    }
    let (values, axes) = eigen(of_x, &Array2::eye(x.ncols()), threads);
    // C₁^½ C₂ C₁^½, seen along the axes of C₁.
    let mut root = axes;
    for (mut axis, value) in root.rows_mut().into_iter().zip(values) {
        axis *= value.max(0.0).sqrt();
    }
    let half = product(root.view(), of_y.view(), threads);
    let both = product(half.view(), root.t(), threads);
    let shared: f64 = eigenvalues(both).into_iter().map(|value| value.max(0.0).sqrt()).sum();
    Ok((apart.dot(&apart) + traces - 2.0 * shared).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transferability::testing::{assert_close, domains};

    #[test]
    fn two_small_domains_have_the_known_distance() {
        let (here, there) = domains();
        let distance = |x: &Array2<f64>, y: &Array2<f64>| frechet(x.view(), y.view(), 1).unwrap();
        assert_close(distance(&here, &there), 6.696_452_34, 1e-8);
        assert_close(distance(&there, &here), 6.696_452_34, 1e-8);
        // What is left when the means are brought together is all but the part of the means.
        let apart = [1.95, 1.65];
        let moved = &here + &ndarray::arr1(&apart);
        assert_close(distance(&here, &there) - distance(&moved, &there), 6.525, 1e-8);
        assert_close(distance(&here, &here), 0.0, 1e-12);
        assert_close(distance(&here, &(&here + 2.0)), 8.0, 1e-12);
    }
}
