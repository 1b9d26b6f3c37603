//! The bootstrap over seeds and items as the test that decides, for metrics that are no means over
//! items.

use crate::stats::two_way::{Masses, MeanSquares, TwoWay};
use crate::stats::{normal, student};

use super::{Bootstrapped, Design, Over};

/// From this many seeds on, seeds are drawn too: fewer are no sample to draw from.
pub const SEEDS_TO_DRAW: usize = 5;

/// Resamples of seeds and items, widened for what few seeds hide.
///
/// A few seeds that are drawn with replacement differ less from each other than fresh ones would: by
/// a factor `(S - 1) / S` of their variance. And the shares of resamples beyond a border are those of
/// a normal distribution where Student's is right, as the variance itself is only estimated. Both
/// make too many claims at five seeds, so that each resample is moved away from the estimate:
///
/// ```text
/// V_S  variance of the estimate by leaving out single seeds (that of seed means, over S)
/// V*   variance of the resamples, which lacks V_S / S
/// V  = max(V* + V_S / S, V_S, V_I)                df = min(V² (S-1) / V_S², N-1)
/// θ*  ->  θ̂ + √V T_df⁻¹( Φ( (θ* - mean θ*) / √V* ) )
/// ```
///
/// Resamples of a normal distribution become Student's with the degrees of freedom of Hillis (2007),
/// as in the two-way test; skewness stays. What resampling shifts by itself is no difference, so that
/// the resamples are centred on the estimate. The variance that seeds and items leave is counted
/// about three times (Owen 2007), which is not taken back: the test is cautious where that is large.
#[derive(Clone, Debug, PartialEq)]
pub struct TwoWayBootstrap {
    plain: Bootstrapped,
    widened: Bootstrapped,
    summary: TwoWay,
}

impl TwoWayBootstrap {
    /// Widens resamples of `design`; none unless seeds were drawn too, at least [`SEEDS_TO_DRAW`].
    #[must_use]
    pub fn of(plain: &Bootstrapped, design: &Design) -> Option<Self> {
        let (seeds, units) = design.sizes();
        if plain.over != Over::SeedsAndItems || seeds < SEEDS_TO_DRAW || units < 2 {
            return None;
        }
        let [of_units, of_seeds] = plain.jackknife;
        let (drawn, centre, estimate) = (plain.se(), plain.mean(), plain.estimate);
        // What differs by rounding alone is equal.
        if drawn <= 1e-12 * estimate.abs().max(1e-3) {
            let widened = plain.moved(|_| estimate);
            let summary = TwoWay::point(estimate, seeds, units);
            return Some(Self { plain: plain.clone(), widened, summary });
        }
        let total = (drawn * drawn + of_seeds / seeds as f64).max(of_seeds).max(of_units);
        let cells = (seeds * units) as f64;
        let squares = MeanSquares {
            seeds: of_seeds * cells,
            items: of_units * cells,
            residual: (total - of_seeds - of_units).max(0.0) * cells,
        };
        let summary = TwoWay::with_variance(estimate, seeds, units, squares, total * cells);
        let widened = plain.moved(|value| {
            let z = (value - centre) / drawn;
            let t = student::quantile(normal::cdf(-z.abs()), summary.df).abs();
            estimate + summary.se * t.copysign(z)
        });
        let p = widened.p();
        Some(Self { plain: plain.clone(), widened, summary: TwoWay { p, ..summary } })
    }

    /// The resamples as they were drawn.
    #[must_use]
    pub fn plain(&self) -> &Bootstrapped {
        &self.plain
    }

    /// Estimate, standard error and degrees of freedom; the p-value is that of the widened
    /// resamples.
    #[must_use]
    pub fn summary(&self) -> &TwoWay {
        &self.summary
    }

    /// The interval that holds a share `level` of the widened resamples.
    #[must_use]
    pub fn interval(&self, level: f64) -> (f64, f64) {
        self.widened.percentile(level)
    }

    /// The shares of widened resamples below -`eps` and above `eps`, where one more resample counts
    /// against either claim: 1 less a share is the p-value `(1 + #) / (1 + B)` of the opposite
    /// (Davison and Hinkley 1997, section 4.2). The rest is within.
    #[must_use]
    pub fn masses(&self, eps: f64) -> Masses {
        let Masses { below, above, .. } = self.widened.masses(eps);
        let count = self.widened.resamples() as f64;
        let [below, above] = [below, above].map(|share| share * count / (count + 1.0));
        if eps <= 0.0 {
            return Masses { below, within: 0.0, above };
        }
        Masses { below, within: (1.0 - below - above).max(0.0), above }
    }

    /// What Student's distribution would say of the same estimate at other sizes, with the variance
    /// that seeds and items leave counted as resamples count it.
    #[must_use]
    pub fn projected(&self, seeds: usize, items: usize) -> TwoWay {
        if self.summary.degenerate {
            return TwoWay::point(self.summary.mean, seeds, items);
        }
        let squares = self.summary.squares_for(seeds, items);
        let v = squares.seeds + squares.items + squares.residual;
        TwoWay::with_variance(self.summary.mean, seeds, items, squares, v)
    }
}
