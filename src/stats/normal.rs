//! The standard normal distribution, to 1e-10.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use statrs::function::erf::{erfc, erfc_inv};

/// P(Z <= x).
pub(super) fn cdf(x: f64) -> f64 {
    0.5 * erfc(-x * FRAC_1_SQRT_2)
}

/// The x with P(Z <= x) = `p`: infinite at 0 and 1, NaN outside [0, 1].
pub(super) fn quantile(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    let x = -erfc_inv(2.0 * p) / FRAC_1_SQRT_2;
    let density = (-0.5 * x * x).exp() / TAU.sqrt();
    // One step of Newton's method makes up for what the rational approximation lacks.
    let step = (cdf(x) - p) / density;
    if step.is_finite() { x - step } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::assert_close;

    #[test]
    fn known_quantiles_come_out_and_are_undone() {
        for (p, x) in [
            (0.975, 1.959_963_984_540_054),
            (0.8, 0.841_621_233_572_914),
            (0.95, 1.644_853_626_951_472),
            (0.001, -3.090_232_306_167_813),
            (0.5, 0.0),
        ] {
            assert_close(quantile(p), x, 1e-10);
            assert_close(cdf(x), p, 1e-10);
        }
    }

    #[test]
    fn the_ends_are_infinite_and_nonsense_is_nan() {
        assert!(quantile(0.0) < -1e300 && quantile(1.0) > 1e300);
        assert!(quantile(1.5).is_nan() && quantile(f64::NAN).is_nan());
    }
}
