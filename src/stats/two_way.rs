//! Seeds x items: does the *method* differ, rather than these few trained models on these items?
//!
//! Both the seeds that trained the arms and the items that tested them are samples. A paired t over
//! seeds forgets that the items could have been others; a test over items of one trained pair
//! forgets that the seed could have been another. The two-way random-effects model counts both, as
//! multi-reader multi-case studies do with readers and cases.

use ndarray::{ArrayRef2, Axis};
use serde::{Deserialize, Serialize};

use super::student;

/// Below this share of the residual mean square, a variance estimate is rounding error.
const ROUNDING: f64 = 1e-12;

/// The mean of paired differences over S seeds (rows) and N items (columns), with its uncertainty.
///
/// ```text
/// MS_S = N Σ_s (d̄_s. - d̄)² / (S-1)        MS_I = S Σ_i (d̄_.i - d̄)² / (N-1)
/// MS_R = Σ_si (d_si - d̄_s. - d̄_.i + d̄)² / ((S-1)(N-1))
/// v    = max(MS_S + MS_I - MS_R, MS_S, MS_I)
/// se   = √(v / (S N))       df = min(v² (S-1) / MS_S², N-1)       t = d̄ / se
/// ```
///
/// After Dorfman, Berbaum and Metz (1992) with the degrees of freedom of Hillis (2007). The floor
/// of `v` keeps a negative variance component from shrinking it; the cap N-1 keeps a tiny `MS_S`
/// from promising more than the items can give. Both are choices of this program.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TwoWay {
    /// Mean difference d̄, in the unit of the metric.
    pub mean: f64,
    /// S, at least 2.
    pub seeds: usize,
    /// N, at least 2: items, or groups of items.
    pub items: usize,
    /// Mean square between seeds, >= 0.
    pub ms_seeds: f64,
    /// Mean square between items, >= 0.
    pub ms_items: f64,
    /// Mean square of what seeds and items leave, >= 0.
    pub ms_residual: f64,
    /// Variance of the mean, times S N.
    pub v: f64,
    /// Standard error of the mean.
    pub se: f64,
    /// Degrees of freedom, not an integer in general, in \[1, N-1\].
    pub df: f64,
    /// mean / se; none when degenerate.
    pub t: Option<f64>,
    /// Two-sided p-value of "no difference", in \[0, 1\].
    pub p: f64,
    /// All differences are equal: the mean is known without error, as far as these data can tell.
    pub degenerate: bool,
}

/// How much probability lies below, within and above the region of practical equivalence.
/// Adds up to one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Masses {
    /// P(Δ < -eps)
    pub below: f64,
    /// P(-eps <= Δ <= eps)
    pub within: f64,
    /// P(Δ > eps)
    pub above: f64,
}

/// The three mean squares of a two-way table.
#[derive(Clone, Copy)]
pub(super) struct MeanSquares {
    pub(super) seeds: f64,
    pub(super) items: f64,
    pub(super) residual: f64,
}

impl TwoWay {
    /// Analyses `d[seed, item]`, differences oriented so that positive means better.
    ///
    /// `None` for fewer than two seeds or items, and for differences that are not finite.
    #[must_use]
    pub fn of(d: &ArrayRef2<f64>) -> Option<Self> {
        let (seeds, items) = d.dim();
        if seeds < 2 || items < 2 || d.iter().any(|difference| !difference.is_finite()) {
            return None;
        }
        if let Some(constant) = constant(d) {
            return Some(Self::point(constant, seeds, items));
        }
        let (mean, squares) = analyse(d)?;
        Some(Self::from_mean_squares(mean, seeds, items, squares))
            .filter(|found| found.v.is_finite())
    }

    /// The interval that covers the true mean with probability `level`: mean ± t se.
    ///
    /// `level` is clamped to \[0, 1\]; at 1 the interval is infinite. Around a degenerate mean it
    /// has no width.
    #[must_use]
    pub fn interval(&self, level: f64) -> (f64, f64) {
        if self.degenerate {
            return (self.mean, self.mean);
        }
        let half_width = self.quantile(f64::midpoint(1.0, level.clamp(0.0, 1.0))) * self.se;
        (self.mean - half_width, self.mean + half_width)
    }

    /// P(Δ < x), strictly, with Δ distributed as mean + se T(df).
    #[must_use]
    pub fn probability_below(&self, x: f64) -> f64 {
        if self.degenerate {
            return f64::from(u8::from(self.mean < x));
        }
        student::cdf((x - self.mean) / self.se, self.df)
    }

    /// P(Δ > x), strictly.
    #[must_use]
    pub fn probability_above(&self, x: f64) -> f64 {
        if self.degenerate {
            return f64::from(u8::from(self.mean > x));
        }
        student::cdf((self.mean - x) / self.se, self.df)
    }

    /// Splits the probability at -`eps` and `eps` >= 0, the region of practical equivalence
    /// (Benavoli et al. 2017).
    ///
    /// A point mass on an edge counts as within; on an `eps` of 0 it counts half on each side,
    /// since a region without width holds nothing.
    #[must_use]
    pub fn masses(&self, eps: f64) -> Masses {
        if self.degenerate && eps <= 0.0 && self.mean == 0.0 {
            return Masses { below: 0.5, within: 0.0, above: 0.5 };
        }
        let (below, above) = (self.probability_below(-eps), self.probability_above(eps));
        Masses { below, within: (1.0 - below - above).max(0.0), above }
    }

    /// The t quantile of probability `p` at these degrees of freedom.
    pub(super) fn quantile(&self, p: f64) -> f64 {
        student::quantile(p, self.df)
    }

    /// What the same mean would look like with other numbers of seeds and items.
    ///
    /// Variance components by the method of moments, floored at 0, and the mean squares that they
    /// lead to expect for S' seeds and N' items:
    ///
    /// ```text
    /// σ_R² = MS_R     σ_S² = (MS_S - MS_R) / N     σ_I² = (MS_I - MS_R) / S
    /// MS_S' = σ_R² + N' σ_S²     MS_I' = σ_R² + S' σ_I²     MS_R' = σ_R²
    /// ```
    ///
    /// At the present sizes this is never more certain than the data were, because of the floors.
    pub(super) fn projected(&self, seeds: usize, items: usize) -> Self {
        if self.degenerate {
            return Self::point(self.mean, seeds, items);
        }
        Self::from_mean_squares(self.mean, seeds, items, self.squares_for(seeds, items))
    }

    /// The mean squares that the variance components lead to expect for other sizes.
    pub(super) fn squares_for(&self, seeds: usize, items: usize) -> MeanSquares {
        let of_seeds = (self.ms_seeds - self.ms_residual).max(0.0) / self.items as f64;
        let of_items = (self.ms_items - self.ms_residual).max(0.0) / self.seeds as f64;
        MeanSquares {
            seeds: self.ms_residual + items as f64 * of_seeds,
            items: self.ms_residual + seeds as f64 * of_items,
            residual: self.ms_residual,
        }
    }

    fn from_mean_squares(mean: f64, seeds: usize, items: usize, squares: MeanSquares) -> Self {
        Self::with_variance(mean, seeds, items, squares, variance(squares))
    }

    /// With a variance of the mean, times S N, that is known from elsewhere.
    pub(super) fn with_variance(
        mean: f64,
        seeds: usize,
        items: usize,
        squares: MeanSquares,
        v: f64,
    ) -> Self {
        let se = (v / (seeds as f64 * items as f64)).sqrt();
        let hillis = (v / squares.seeds).powi(2) * (seeds - 1) as f64;
        let df = hillis.min((items - 1) as f64);
        let t = mean / se;
        Self {
            mean,
            seeds,
            items,
            ms_seeds: squares.seeds,
            ms_items: squares.items,
            ms_residual: squares.residual,
            v,
            se,
            df,
            t: Some(t),
            p: (2.0 * student::cdf(-t.abs(), df)).min(1.0),
            degenerate: false,
        }
    }

    /// All differences equal `mean`.
    pub(super) fn point(mean: f64, seeds: usize, items: usize) -> Self {
        Self {
            mean,
            seeds,
            items,
            ms_seeds: 0.0,
            ms_items: 0.0,
            ms_residual: 0.0,
            v: 0.0,
            se: 0.0,
            df: (items - 1) as f64,
            t: None,
            p: f64::from(u8::from(mean == 0.0)),
            degenerate: true,
        }
    }
}

/// `v = max(MS_S + MS_I - MS_R, MS_S, MS_I)`.
///
/// If seeds agree and items agree while their cells do not (a checkerboard), that is 0 although
/// the mean is not known without error; what is left to measure it by is the residual.
fn variance(squares: MeanSquares) -> f64 {
    let MeanSquares { seeds, items, residual } = squares;
    let v = (seeds + items - residual).max(seeds).max(items);
    if v > ROUNDING * residual { v } else { residual }
}

/// The value that all differences share, if they do. Asked before any arithmetic, since the mean of
/// equal numbers may be rounded and leave a tiny variance behind.
fn constant(d: &ArrayRef2<f64>) -> Option<f64> {
    let first = *d.first()?;
    d.iter().all(|&difference| difference - first == 0.0).then_some(first)
}

/// The mean and the mean squares of a table with at least two rows and columns.
fn analyse(d: &ArrayRef2<f64>) -> Option<(f64, MeanSquares)> {
    let (seeds, items) = (d.nrows() as f64, d.ncols() as f64);
    let mean = d.mean()?;
    let seed_effects = d.mean_axis(Axis(1))? - mean;
    let item_effects = d.mean_axis(Axis(0))? - mean;
    let mut residual = 0.0;
    for (row, &seed_effect) in d.rows().into_iter().zip(&seed_effects) {
        for (&difference, &item_effect) in row.iter().zip(&item_effects) {
            residual += (difference - mean - seed_effect - item_effect).powi(2);
        }
    }
    let squares = MeanSquares {
        seeds: items * seed_effects.pow2().sum() / (seeds - 1.0),
        items: seeds * item_effects.pow2().sum() / (items - 1.0),
        residual: residual / ((seeds - 1.0) * (items - 1.0)),
    };
    Some((mean, squares))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::stats::testing::{Draws, PRINTED, assert_close};

    fn three_by_eight() -> Array2<f64> {
        array![
            [0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        ]
    }

    fn noise(seeds: usize, items: usize) -> Array2<f64> {
        let mut draws = Draws::seeded(3);
        Array2::from_shape_simple_fn((seeds, items), || draws.normal())
    }

    /// Of right and wrong answers, four of five right: √(0.16 / (n − 1)), which falls with the root of
    /// the number of items.
    #[test]
    fn the_error_of_an_accuracy_falls_with_the_root_of_the_items() {
        for (items, error) in [(100, 0.040), (300, 0.0231), (1000, 0.0126)] {
            let right = |(_, item): (usize, usize)| if item % 5 == 0 { 0.0 } else { 1.0 };
            let found = TwoWay::of(&Array2::from_shape_fn((3, items), right)).unwrap();
            assert_close(found.mean, 0.8, PRINTED);
            assert!((found.se - error).abs() < 3e-4, "{items}: {}", found.se);
        }
    }

    #[test]
    fn the_worked_example_comes_out() {
        let found = TwoWay::of(&three_by_eight()).unwrap();
        assert_close(found.mean, 0.25, PRINTED);
        assert_close(found.ms_seeds, 0.125, PRINTED);
        assert_close(found.ms_items, 0.071_428_57, PRINTED);
        assert_close(found.ms_residual, 0.267_857_14, PRINTED);
        assert_close(found.v, 0.125, PRINTED);
        assert_close(found.se, 0.072_168_78, PRINTED);
        assert_close(found.df, 2.0, PRINTED);
        assert_close(found.t.unwrap(), 3.464_101_62, PRINTED);
        assert_close(found.p, 0.074_179_90, PRINTED);
        let (low, high) = found.interval(0.95);
        assert_close(low, -0.060_517_21, PRINTED);
        assert_close(high, 0.560_517_21, PRINTED);
    }

    #[test]
    fn swapping_the_arms_changes_signs_only() {
        let d = three_by_eight();
        let (there, back) = (TwoWay::of(&d).unwrap(), TwoWay::of(&-d).unwrap());
        assert_close(back.mean, -there.mean, 0.0);
        assert_close(back.se, there.se, 1e-15);
        assert_close(back.p, there.p, 1e-15);
        assert_close(back.masses(0.01).below, there.masses(0.01).above, 1e-15);
    }

    #[test]
    fn without_seed_variance_the_items_decide() {
        let row = [1.0, 0.0, -1.0, 1.0, 0.0];
        let d = Array2::from_shape_fn((4, 5), |(_, item)| row[item]);
        let found = TwoWay::of(&d).unwrap();
        assert_close(found.df, 4.0, 0.0);
        // The same as a one-sample t over the items: sd / √N.
        let sd = (2.8_f64 / 4.0).sqrt();
        assert_close(found.se, sd / 5.0_f64.sqrt(), 1e-12);
    }

    #[test]
    fn variance_never_falls_below_that_of_seeds_or_items() {
        for seed in 0..50 {
            let mut draws = Draws::seeded(seed);
            let d = Array2::from_shape_simple_fn((3, 6), || draws.normal());
            let found = TwoWay::of(&d).unwrap();
            assert!(found.v >= found.ms_seeds && found.v >= found.ms_items);
            assert!((1.0..=5.0).contains(&found.df));
        }
    }

    #[test]
    fn equal_differences_are_a_point_mass() {
        // The mean of nine 0.1 is not 0.1 in binary; that must not look like variance.
        let found = TwoWay::of(&Array2::from_elem((3, 3), 0.1)).unwrap();
        assert!(found.degenerate && found.t.is_none());
        assert_close(found.p, 0.0, 0.0);
        assert_eq!(found.interval(0.95), (0.1, 0.1));
        assert_eq!(found.masses(0.1), Masses { below: 0.0, within: 1.0, above: 0.0 });
        assert_eq!(found.masses(0.01), Masses { below: 0.0, within: 0.0, above: 1.0 });
    }

    #[test]
    fn arms_that_never_differ_are_equal_with_certainty() {
        let found = TwoWay::of(&Array2::zeros((3, 60))).unwrap();
        assert!(found.degenerate);
        assert_close(found.p, 1.0, 0.0);
        assert_eq!(found.masses(0.01), Masses { below: 0.0, within: 1.0, above: 0.0 });
        assert_eq!(found.masses(0.0), Masses { below: 0.5, within: 0.0, above: 0.5 });
    }

    #[test]
    fn a_checkerboard_is_not_certainty() {
        let d = Array2::from_shape_fn((4, 4), |(s, i)| ((s + i) % 2) as f64);
        let found = TwoWay::of(&d).unwrap();
        assert!(!found.degenerate);
        assert_close(found.v, found.ms_residual, 0.0);
        assert!(found.se > 0.1);
    }

    #[test]
    fn one_seed_one_item_or_a_nan_cannot_be_analysed() {
        assert_eq!(TwoWay::of(&Array2::zeros((1, 9))), None);
        assert_eq!(TwoWay::of(&Array2::zeros((9, 1))), None);
        assert_eq!(TwoWay::of(&array![[0.0, 1.0], [f64::NAN, 0.0]]), None);
    }

    #[test]
    fn masses_add_up_and_follow_the_region() {
        let found = TwoWay::of(&noise(5, 40)).unwrap();
        let (narrow, wide) = (found.masses(0.01), found.masses(0.5));
        assert_close(narrow.below + narrow.within + narrow.above, 1.0, 1e-12);
        assert!(wide.within > narrow.within);
        assert_close(found.probability_below(found.mean), 0.5, 1e-12);
        let (low, _) = found.interval(0.95);
        assert_close(found.probability_below(low), 0.025, 1e-9);
    }

    #[test]
    fn a_projection_to_the_present_sizes_is_never_more_certain() {
        for seed in 0..50 {
            let mut draws = Draws::seeded(seed);
            let d = Array2::from_shape_simple_fn((4, 9), || draws.normal());
            let found = TwoWay::of(&d).unwrap();
            let projected = found.projected(4, 9);
            assert!(projected.se >= found.se * (1.0 - 1e-12));
            assert!(projected.df <= found.df * (1.0 + 1e-12));
        }
    }
}
