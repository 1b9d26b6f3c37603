//! Sliced Wasserstein distances (Rabin et al. 2012): transport along random directions.

use ndarray::{Array2, ArrayView2};

use super::{MOST_ITEMS, Samples};
use crate::base::Seed;
use crate::stats::Direction;
use crate::transferability::items::{Items, Refusal};
use crate::transferability::matrix::{each_part, product};
use crate::transferability::score::{Change, Needs, Number, Score};

/// Mean transport along directions.
pub(in super::super) struct SlicedWasserstein;

/// Directions.
const DIRECTIONS: usize = 100;

impl Score for SlicedWasserstein {
    fn name(&self) -> &'static str {
        "sliced_wasserstein"
    }

    fn description(&self) -> &'static str {
        "mean distance that items of one domain are moved to become the other, along 100 random \
         directions, from 0; `sliced_wasserstein_2` by squares (Rabin 2012)"
    }

    fn direction(&self) -> Direction {
        Direction::LowerIsBetter
    }

    fn needs(&self) -> Needs {
        Needs::Other
    }

    fn unchanged_by(&self) -> &'static [Change] {
        &[Change::Shift]
    }

    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal> {
        let samples = Samples::draw(items, MOST_ITEMS)?;
        let directions = directions(items.features.ncols(), items.seed);
        let number = |name, at: usize| {
            samples.measure(name, |x, y| Ok(sliced(x, y, &directions, items.threads)[at]))
        };
        Ok(vec![number("sliced_wasserstein", 0)?, number("sliced_wasserstein_2", 1)?])
    }
}

/// Random unit vectors: features × directions.
fn directions(features: usize, seed: Seed) -> Array2<f64> {
    let mut stream = seed.stream("transferability", "directions");
    let mut all = Array2::from_shape_simple_fn((features, DIRECTIONS), || stream.normal());
    for mut direction in all.columns_mut() {
        let length = direction.dot(&direction).sqrt();
        direction /= length;
    }
    all
}

/// The mean over directions of W₁, and the root of that of W₂².
fn sliced(
    x: ArrayView2<'_, f64>,
    y: ArrayView2<'_, f64>,
    directions: &Array2<f64>,
    threads: usize,
) -> [f64; 2] {
    let (x, y) = (product(x, directions.view(), threads), product(y, directions.view(), threads));
    let along = each_part(threads, 0..directions.ncols(), |_, direction| {
        let sorted = |table: &Array2<f64>| {
            let mut values = table.column(direction).to_vec();
            values.sort_unstable_by(f64::total_cmp);
            values
        };
        transport(&sorted(&x), &sorted(&y))
    });
    let mean = |at: fn(&(f64, f64)) -> f64| along.iter().map(at).sum::<f64>() / along.len() as f64;
    [mean(|moved| moved.0), mean(|moved| moved.1).sqrt()]
}

/// ∫ |Q₁ − Q₂| and ∫ (Q₁ − Q₂)² over quantile functions of sorted values.
fn transport(x: &[f64], y: &[f64]) -> (f64, f64) {
    let (of_x, of_y) = (x.len(), y.len());
    let (mut i, mut j, mut from) = (0, 0, 0);
    let (mut first, mut second) = (0.0, 0.0);
    // Quantiles in parts so small that all steps are whole.
    while i < of_x && j < of_y {
        let to = ((i + 1) * of_y).min((j + 1) * of_x);
        let (share, far) = ((to - from) as f64 / (of_x * of_y) as f64, (x[i] - y[j]).abs());
        first += share * far;
        second += share * far * far;
        i += usize::from(to == (i + 1) * of_y);
        j += usize::from(to == (j + 1) * of_x);
        from = to;
    }
    (first, second)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::transferability::testing::{assert_close, domains};

    #[test]
    fn two_small_domains_have_the_known_distances() {
        let (here, there) = domains();
        let eight = Array2::from_shape_fn((2, 8), |(axis, k)| {
            let angle = k as f64 * std::f64::consts::PI / 8.0;
            if axis == 0 { angle.cos() } else { angle.sin() }
        });
        let [first, second] = sliced(here.view(), there.view(), &eight, 2);
        assert_close(first, 1.635_044_97, 1e-8);
        assert_close(second, 1.840_410_20, 1e-8);
    }

    #[test]
    fn along_the_axes_they_are_moved_by_known_amounts() {
        let (here, there) = domains();
        for (axis, (first, second)) in [(1.95, 3.95), (1.65, 2.95)].into_iter().enumerate() {
            let sorted = |table: &Array2<f64>| {
                let mut values = table.column(axis).to_vec();
                values.sort_by(f64::total_cmp);
                values
            };
            let moved = transport(&sorted(&here), &sorted(&there));
            assert_close(moved.0, first, 1e-12);
            assert_close(moved.1, second, 1e-12);
        }
    }

    #[test]
    fn a_shift_moves_all_items_by_as_much() {
        let moved = transport(&[0.0, 1.0, 5.0], &[2.0, 3.0, 7.0]);
        assert_close(moved.0, 2.0, 1e-15);
        assert_close(moved.1, 4.0, 1e-15);
        let along =
            sliced(array![[0.0], [1.0]].view(), array![[3.0], [4.0]].view(), &array![[1.0]], 1);
        for moved in along {
            assert_close(moved, 3.0, 1e-15);
        }
    }
}
