//! How large a study must be before there is one: test items for a difference of accuracies, seeds
//! for a difference of means.

use std::f64::consts::LN_2;

use statrs::function::gamma::ln_gamma;

use super::{normal, student};

/// Nobody is told to take more than this.
const MOST: usize = 1_000_000;

/// Test items for which `McNemar`'s test at two-sided level `alpha` finds a difference of
/// accuracies of `difference` with probability `power`, when the models disagree in being right on
/// a share `discordant` of the items (Connor 1987):
///
/// ```text
/// N = ( z_{1-α/2} √p_d + z_power √(p_d - δ²) )² / δ²
/// ```
///
/// `None` where models that agree so often cannot differ so much, and for shares outside (0, 1).
#[must_use]
pub fn items_needed(discordant: f64, difference: f64, alpha: f64, power: f64) -> Option<usize> {
    let shares = [discordant, alpha, power];
    let possible = difference.abs() > 0.0 && difference.abs() <= discordant;
    if !possible || shares.iter().any(|share| !(*share > 0.0 && *share < 1.0)) {
        return None;
    }
    Some(connor(discordant, difference, alpha, power).ceil() as usize)
}

/// The smallest difference of accuracies that `items` test items would find, by the same formula;
/// at most `discordant`. `None` for no items and for shares outside (0, 1).
#[must_use]
pub fn difference_detectable(discordant: f64, items: usize, alpha: f64, power: f64) -> Option<f64> {
    items_needed(discordant, discordant, alpha, power)?;
    let fewer = |difference| connor(discordant, difference, alpha, power) <= items as f64;
    let (mut missed, mut found) = (0.0, discordant);
    if items == 0 || !fewer(found) {
        return (items > 0).then_some(discordant);
    }
    for _ in 0..60 {
        let middle = f64::midpoint(missed, found);
        if fewer(middle) {
            found = middle;
        } else {
            missed = middle;
        }
    }
    Some(found)
}

fn connor(discordant: f64, difference: f64, alpha: f64, power: f64) -> f64 {
    let spread = (discordant - difference * difference).max(0.0);
    let root = normal::quantile(1.0 - alpha / 2.0) * discordant.sqrt()
        + normal::quantile(power) * spread.sqrt();
    (root / difference).powi(2)
}

/// Paired seeds for which a two-sided t-test at level `alpha` finds a mean difference of `effect`
/// standard deviations with probability `power`. `None` if a million would not do, and for shares
/// outside (0, 1).
#[must_use]
pub fn seeds_needed(effect: f64, alpha: f64, power: f64) -> Option<usize> {
    let enough = |seeds: usize| power_of_seeds(effect, seeds, alpha).is_some_and(|p| p >= power);
    if !(power > 0.0 && power < 1.0 && enough(MOST)) {
        return None;
    }
    let (mut few, mut many) = (1, MOST);
    while many - few > 1 {
        let middle = usize::midpoint(few, many);
        if enough(middle) {
            many = middle;
        } else {
            few = middle;
        }
    }
    Some(many)
}

/// The probability that a two-sided paired t-test over `seeds` finds a mean difference of `effect`
/// standard deviations: P(|T| > t_{1-α/2}) for T noncentral with S - 1 degrees of freedom and
/// noncentrality effect √S. `None` for fewer than two seeds, an effect that is not finite, and a
/// level outside (0, 1).
#[must_use]
pub fn power_of_seeds(effect: f64, seeds: usize, alpha: f64) -> Option<f64> {
    if seeds < 2 || !effect.is_finite() || !(alpha > 0.0 && alpha < 1.0) {
        return None;
    }
    let df = (seeds - 1) as f64;
    let bound = student::quantile(1.0 - alpha / 2.0, df);
    let shift = effect.abs() * (seeds as f64).sqrt();
    let beyond = |s: f64| normal::cdf(shift - bound * s) + normal::cdf(-shift - bound * s);
    Some(mean_over_deviations(beyond, df).min(1.0))
}

/// The mean of a function of s, where df s² is distributed as χ² with `df` degrees of freedom: by
/// Simpson's rule over eight standard deviations around 1.
fn mean_over_deviations(of: impl Fn(f64) -> f64, df: f64) -> f64 {
    const STEPS: usize = 2_000;
    let scale = df / 2.0 * (df / 2.0).ln() - ln_gamma(df / 2.0) + LN_2;
    let density = |s: f64| match s > 0.0 {
        true => (scale + (df - 1.0) * s.ln() - df * s * s / 2.0).exp(),
        false if df <= 1.0 => scale.exp(),
        false => 0.0,
    };
    let reach = 8.0 / (2.0 * df).sqrt();
    let (low, high) = ((1.0 - reach).max(0.0), 1.0 + reach);
    let width = (high - low) / STEPS as f64;
    let term = |step: usize| {
        let s = low + width * step as f64;
        let weight = match step {
            0 | STEPS => 1.0,
            odd if odd % 2 == 1 => 4.0,
            _ => 2.0,
        };
        weight * of(s) * density(s)
    };
    (0..=STEPS).map(term).sum::<f64>() * width / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::assert_close;

    #[test]
    fn items_follow_the_printed_table() {
        for (discordant, difference, expected) in [
            (0.05, 0.01, 3922),
            (0.05, 0.02, 979),
            (0.1, 0.01, 7847),
            (0.1, 0.02, 1960),
            (0.1, 0.03, 870),
            (0.1, 0.05, 312),
            (0.2, 0.02, 3922),
            (0.2, 0.05, 626),
        ] {
            // Printed to the nearest item; what is needed is never less.
            let exact = connor(discordant, difference, 0.05, 0.8);
            assert_close(exact, f64::from(expected), 0.5);
            let needed = items_needed(discordant, difference, 0.05, 0.8).unwrap();
            assert_close(needed as f64, exact.ceil(), 0.0);
        }
    }

    #[test]
    fn detectable_differences_follow_the_printed_table() {
        for (items, expected) in [
            (156, [0.050, 0.070, 0.100]),
            (200, [0.044, 0.062, 0.088]),
            (400, [0.031, 0.044, 0.063]),
            (624, [0.025, 0.035, 0.050]),
            (1000, [0.020, 0.028, 0.040]),
            (2000, [0.014, 0.020, 0.028]),
            (10_000, [0.006, 0.009, 0.013]),
        ] {
            for (discordant, expected) in [0.05, 0.1, 0.2].into_iter().zip(expected) {
                let found = difference_detectable(discordant, items, 0.05, 0.8).unwrap();
                assert_close(found, expected, 6e-4);
            }
        }
    }

    #[test]
    fn too_few_items_find_no_difference_below_all_that_there_is() {
        assert_close(difference_detectable(0.1, 20, 0.05, 0.8).unwrap(), 0.1, 0.0);
        assert_eq!(difference_detectable(0.1, 0, 0.05, 0.8), None);
    }

    #[test]
    fn seeds_follow_the_printed_table() {
        for (effect, expected) in [(0.5, 34), (0.8, 15), (1.0, 10), (1.5, 6), (2.0, 5)] {
            assert_eq!(seeds_needed(effect, 0.05, 0.8), Some(expected), "{effect}");
        }
        assert_eq!(seeds_needed(0.0, 0.05, 0.8), None);
    }

    #[test]
    fn power_agrees_with_the_noncentral_t_distribution() {
        // SciPy 1.17.
        assert_close(power_of_seeds(1.0, 10, 0.05).unwrap(), 0.803_096_856_632_721_9, 1e-9);
        assert_close(power_of_seeds(-0.5, 34, 0.05).unwrap(), 0.807_777_501_279_273_8, 1e-9);
        assert_close(power_of_seeds(2.0, 5, 0.05).unwrap(), 0.908_884_868_100_944_1, 1e-9);
        // Without an effect it is the level.
        assert_close(power_of_seeds(0.0, 2, 0.05).unwrap(), 0.05, 1e-6);
        assert_close(power_of_seeds(0.0, 30, 0.05).unwrap(), 0.05, 1e-9);
    }

    #[test]
    fn impossible_questions_have_no_answer() {
        assert_eq!(items_needed(0.05, 0.06, 0.05, 0.8), None);
        assert_eq!(items_needed(0.05, 0.0, 0.05, 0.8), None);
        assert_eq!(items_needed(0.05, 0.01, 0.0, 0.8), None);
        assert_eq!(power_of_seeds(1.0, 1, 0.05), None);
        assert_eq!(seeds_needed(f64::NAN, 0.05, 0.8), None);
    }
}
