//! What resampling gave: a distribution, and intervals from it.

use serde::{Deserialize, Serialize};

use crate::stats::normal;
use crate::stats::two_way::Masses;

use super::{Design, Over};

/// The resampled values of a statistic.
#[derive(Clone, Debug, PartialEq)]
pub struct Bootstrapped {
    /// The statistic of the sample itself.
    pub estimate: f64,
    /// Resamples for which the statistic has no value; they are left out.
    pub undefined: usize,
    /// What it speaks of.
    pub over: Over,
    /// Ascending, at least one.
    sorted: Vec<f64>,
    /// Of the `BCa` interval; none where leaving one out changes nothing, or leaves nothing defined.
    acceleration: Option<f64>,
    /// Variance of the estimate by leaving out single units, and by leaving out single seeds.
    pub(super) jackknife: [f64; 2],
}

/// A bias-corrected and accelerated interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bca {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// The correction was impossible, since all resamples lie on one side of the estimate or none
    /// differs when one item is left out: it is the percentile interval.
    pub is_percentile: bool,
}

impl Bootstrapped {
    /// Keeps the values that exist; NaN marks those that do not.
    pub(super) fn new(
        estimate: f64,
        drawn: &[f64],
        left_out: &[f64],
        design: &Design,
    ) -> Option<Self> {
        let mut sorted: Vec<f64> = drawn.iter().copied().filter(|value| !value.is_nan()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let undefined = drawn.len() - sorted.len();
        let axes = design.axes(left_out);
        let (acceleration, jackknife) = (acceleration(&axes), axes.map(jackknife));
        let over = design.over();
        let found = Self { estimate, undefined, over, sorted, acceleration, jackknife };
        (!found.sorted.is_empty()).then_some(found)
    }

    /// The same with every value moved by `to`, which keeps their order.
    pub(super) fn moved(&self, to: impl Fn(f64) -> f64) -> Self {
        Self { sorted: self.sorted.iter().map(|value| to(*value)).collect(), ..self.clone() }
    }

    /// How many resamples have a value.
    #[must_use]
    pub fn resamples(&self) -> usize {
        self.sorted.len()
    }

    /// Standard deviation of the resampled values: the standard error of the estimate. 0 for one.
    #[must_use]
    pub fn se(&self) -> f64 {
        let (count, mean) = (self.sorted.len() as f64, self.mean());
        let squares: f64 = self.sorted.iter().map(|value| (value - mean).powi(2)).sum();
        (squares / (count - 1.0).max(1.0)).sqrt()
    }

    /// Mean of the resampled values.
    pub(super) fn mean(&self) -> f64 {
        self.sorted.iter().sum::<f64>() / self.sorted.len() as f64
    }

    /// The value below which a share `p` of the resamples lies, linear between order statistics.
    #[must_use]
    pub fn quantile(&self, p: f64) -> f64 {
        let position = p.clamp(0.0, 1.0) * (self.sorted.len() - 1) as f64;
        let below = position.floor() as usize;
        let above = (below + 1).min(self.sorted.len() - 1);
        let share = position - below as f64;
        self.sorted[below] + share * (self.sorted[above] - self.sorted[below])
    }

    /// The percentile interval of probability `level`.
    #[must_use]
    pub fn percentile(&self, level: f64) -> (f64, f64) {
        let tail = 0.5 * (1.0 - level.clamp(0.0, 1.0));
        (self.quantile(tail), self.quantile(1.0 - tail))
    }

    /// The bias-corrected and accelerated interval of probability `level` (Efron 1987). Over seeds
    /// and items the acceleration pools the influence of both, as for several independent samples
    /// (Davison and Hinkley 1997, section 5.3.2).
    #[must_use]
    pub fn bca(&self, level: f64) -> Bca {
        let tail = 0.5 * (1.0 - level.clamp(0.0, 1.0));
        let z0 = self.bias();
        let (Some(a), true) = (self.acceleration, z0.is_finite()) else {
            let (low, high) = self.percentile(level);
            return Bca { low, high, is_percentile: true };
        };
        let end = |p| self.quantile(corrected_level(p, z0, a));
        Bca { low: end(tail), high: end(1.0 - tail), is_percentile: false }
    }

    /// `z0 = Φ⁻¹( (#{θ* < θ̂} + #{θ* = θ̂} / 2) / B )`
    fn bias(&self) -> f64 {
        let (below, equal) = self.sides(self.estimate);
        normal::quantile((below + 0.5 * equal) / self.sorted.len() as f64)
    }

    /// Resamples below a value and at it.
    fn sides(&self, value: f64) -> (f64, f64) {
        // What differs by rounding alone is equal.
        let margin = 1e-12 * value.abs().max(1e-3);
        let below = self.sorted.partition_point(|found| *found < value - margin);
        let up_to = self.sorted.partition_point(|found| *found <= value + margin);
        (below as f64, (up_to - below) as f64)
    }

    /// Two-sided p-value of "no difference": twice the smaller share of resamples on one side of 0,
    /// where the sample itself counts as one more resample on either (Davison and Hinkley 1997,
    /// section 4.2).
    #[must_use]
    pub fn p(&self) -> f64 {
        let (below, equal) = self.sides(0.0);
        let count = self.sorted.len() as f64;
        let least = (below + equal).min(count - below);
        (2.0 * (least + 1.0) / (count + 1.0)).min(1.0)
    }

    /// The shares of resamples below -`eps`, within and above `eps`; on an `eps` of 0, values of
    /// zero count half on each side.
    #[must_use]
    pub fn masses(&self, eps: f64) -> Masses {
        let count = self.sorted.len() as f64;
        let (below, at_lower) = self.sides(-eps);
        let (up_to, at_upper) = self.sides(eps);
        if eps <= 0.0 {
            let below = (below + 0.5 * at_lower) / count;
            return Masses { below, within: 0.0, above: 1.0 - below };
        }
        let (below, above) = (below / count, (count - up_to - at_upper) / count);
        Masses { below, within: (1.0 - below - above).max(0.0), above }
    }
}

/// `Φ( z0 + (z0 + z_p) / (1 - a (z0 + z_p)) )`
fn corrected_level(p: f64, z0: f64, a: f64) -> f64 {
    let shifted = z0 + normal::quantile(p);
    normal::cdf(z0 + shifted / (1.0 - a * shifted))
}

/// `a = Σ u³ / (6 (Σ u²)^1.5)` with `u_j = mean - θ̂_(-j)` within each axis. None where no value
/// differs, or where one is undefined.
fn acceleration(axes: &[&[f64]]) -> Option<f64> {
    let (mut squares, mut cubes) = (0.0, 0.0);
    for left_out in axes.iter().filter(|axis| !axis.is_empty()) {
        let mean = left_out.iter().sum::<f64>() / left_out.len() as f64;
        squares += left_out.iter().map(|value| (mean - value).powi(2)).sum::<f64>();
        cubes += left_out.iter().map(|value| (mean - value).powi(3)).sum::<f64>();
    }
    (squares > 0.0 && cubes.is_finite()).then(|| cubes / (6.0 * squares.powf(1.5)))
}

/// `(n - 1) / n Σ (θ̂_(-j) - mean)²`; 0 for fewer than two values. Parts without which there is no
/// value are left out.
fn jackknife(left_out: &[f64]) -> f64 {
    let known: Vec<f64> = left_out.iter().copied().filter(|value| !value.is_nan()).collect();
    if known.len() < 2 {
        return 0.0;
    }
    let count = known.len() as f64;
    let mean = known.iter().sum::<f64>() / count;
    (count - 1.0) / count * known.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{PRINTED, assert_close};

    fn found(estimate: f64, drawn: &[f64], left_out: &[f64]) -> Bootstrapped {
        let design = Design::new(1, left_out.len(), Over::Items);
        Bootstrapped::new(estimate, drawn, left_out, &design).unwrap()
    }

    #[test]
    fn levels_are_shifted_by_bias_and_acceleration() {
        for (z0, a, low, high) in [
            (0.0, 0.0, 0.025, 0.975),
            (0.1, 0.02, 0.045_203_36, 0.987_727_19),
            (-0.05, 0.1, 0.042_391_81, 0.989_580_38),
        ] {
            assert_close(corrected_level(0.025, z0, a), low, PRINTED);
            assert_close(corrected_level(0.975, z0, a), high, PRINTED);
        }
    }

    #[test]
    fn leaving_one_out_gives_the_acceleration() {
        let data = [1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 5.0, 8.0, 15.0];
        let left_out: Vec<f64> = data.iter().map(|value| (46.0 - value) / 9.0).collect();
        assert_close(acceleration(&[&left_out, &[]]).unwrap(), 0.092_945_66, PRINTED);
    }

    #[test]
    fn quantiles_are_linear_between_order_statistics() {
        let found = found(2.0, &[4.0, 1.0, f64::NAN, 2.0, 3.0], &[1.0, 2.0]);
        assert_eq!((found.resamples(), found.undefined), (4, 1));
        assert_close(found.quantile(0.5), 2.5, 1e-12);
        assert_close(found.quantile(0.1), 1.3, 1e-12);
        assert_close(found.quantile(1.0), 4.0, 0.0);
        assert_close(found.se(), (5.0_f64 / 3.0).sqrt(), 1e-12);
    }

    #[test]
    fn resamples_on_one_side_leave_the_percentile_interval() {
        let one_side = found(0.0, &[1.0, 2.0, 3.0], &[0.1, 0.2]);
        let interval = one_side.bca(0.95);
        assert!(interval.is_percentile);
        assert_eq!((interval.low, interval.high), one_side.percentile(0.95));
        assert!(found(2.0, &[1.0, 2.0, 3.0], &[2.0, 2.0]).bca(0.95).is_percentile);
    }

    #[test]
    fn masses_count_edges_as_within() {
        let found = found(0.0, &[-0.02, -0.01, 0.0, 0.01, 0.02, 0.03], &[0.1, 0.2]);
        let masses = found.masses(0.01);
        assert_close(masses.below, 1.0 / 6.0, 1e-12);
        assert_close(masses.above, 2.0 / 6.0, 1e-12);
        assert_close(masses.within, 0.5, 1e-12);
        let masses = found.masses(0.0);
        assert_close(masses.below, 2.5 / 6.0, 1e-12);
        assert_close(masses.above, 3.5 / 6.0, 1e-12);
    }

    #[test]
    fn the_p_value_counts_resamples_on_the_far_side() {
        let drawn: Vec<f64> = (-4..95).map(f64::from).collect();
        let p = found(45.0, &drawn, &[0.1, 0.2]).p();
        // Four below zero and one at it of 99, and the sample itself.
        assert_close(p, 2.0 * 6.0 / 100.0, 1e-12);
        assert_close(found(0.0, &[0.0; 9], &[0.1, 0.2]).p(), 1.0, 0.0);
    }

    #[test]
    fn no_resample_with_a_value_is_nothing() {
        let design = Design::new(1, 2, Over::Items);
        assert_eq!(Bootstrapped::new(0.0, &[f64::NAN], &[0.1, 0.2], &design), None);
    }
}
