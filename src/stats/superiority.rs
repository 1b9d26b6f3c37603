//! How often does one arm beat the other?

use super::bootstrap::{Bootstrap, Design, Over};
use super::normal;

/// P(A > B) over paired runs: the share of differences above zero, ties counting half (Bouthillier
/// et al. 2021). In \[0, 1\]; `None` without differences or with a NaN among them.
#[must_use]
pub fn superiority(differences: &[f64]) -> Option<f64> {
    if differences.is_empty() || differences.iter().any(|difference| difference.is_nan()) {
        return None;
    }
    let wins = |&difference: &f64| match difference {
        d if d > 0.0 => 1.0,
        d if d < 0.0 => 0.0,
        _ => 0.5,
    };
    Some(differences.iter().map(wins).sum::<f64>() / differences.len() as f64)
}

/// The interval of probability `level` of [`superiority`] over other seeds: percentiles of a
/// bootstrap of the paired runs. Meaningful from 0.75 on, significant where it lies above 0.5
/// (Bouthillier et al. 2021). `None` as there.
#[must_use]
pub fn superiority_interval(
    differences: &[f64],
    level: f64,
    bootstrap: &Bootstrap,
) -> Option<(f64, f64)> {
    superiority(differences)?;
    let wins: Vec<f64> = differences.iter().filter_map(|&d| superiority(&[d])).collect();
    let share = |_: &[u32], counts: &[u32]| {
        let won = wins.iter().zip(counts).map(|(win, &count)| win * f64::from(count));
        Some(won.sum::<f64>() / wins.len() as f64)
    };
    let design = Design::new(1, wins.len(), Over::Items);
    Some(bootstrap.run(&design, share)?.percentile(level))
}

/// Paired seeds for which a one-sided test at level `alpha` of P(A > B) = 1/2 finds a true
/// P(A > B) of `gamma` with probability `power` (Noether 1987):
///
/// ```text
/// S >= (z_{1-α} + z_power)² / (6 (γ - 1/2)²)
/// ```
///
/// `None` for a `gamma` that is not in (0.5, 1], and for shares outside (0, 1).
#[must_use]
pub fn seeds_for_superiority(gamma: f64, alpha: f64, power: f64) -> Option<usize> {
    let shares = [alpha, power].iter().all(|share| *share > 0.0 && *share < 1.0);
    (shares && gamma > 0.5 && gamma <= 1.0).then(|| noether(gamma, alpha, power).ceil() as usize)
}

fn noether(gamma: f64, alpha: f64, power: f64) -> f64 {
    let sum = normal::quantile(1.0 - alpha) + normal::quantile(power);
    sum * sum / (6.0 * (gamma - 0.5).powi(2))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::base::Seed;
    use crate::stats::testing::assert_close;

    #[test]
    fn seeds_follow_the_printed_table() {
        for (gamma, strict, usual) in
            [(0.75, 28.86, 16.5), (0.7, 45.1, 25.8), (0.8, 20.0, 11.4), (0.9, 11.3, 6.4)]
        {
            assert_close(noether(gamma, 0.05, 0.95), strict, 0.05);
            assert_close(noether(gamma, 0.05, 0.8), usual, 0.05);
        }
        assert_close(noether(0.75, 0.05, 0.95), 28.86, 5e-3);
        assert_eq!(seeds_for_superiority(0.75, 0.05, 0.95), Some(29));
        assert_eq!(seeds_for_superiority(0.75, 0.05, 0.8), Some(17));
        assert_eq!(seeds_for_superiority(0.5, 0.05, 0.8), None);
    }

    #[test]
    fn the_interval_over_seeds_is_that_of_a_share() {
        let threads = NonZeroUsize::MIN;
        let bootstrap = Bootstrap { resamples: 4_000, seed: Seed(1), threads };
        let runs: Vec<f64> = (0..40).map(|seed| if seed < 30 { 0.1 } else { -0.1 }).collect();
        let (low, high) = superiority_interval(&runs, 0.95, &bootstrap).unwrap();
        // 0.75 ± 1.96 √(0.75 × 0.25 / 40), to a step of one seed.
        assert_close(low, 0.616, 0.026);
        assert_close(high, 0.884, 0.026);
        assert_eq!(superiority_interval(&[], 0.95, &bootstrap), None);
        assert_eq!(superiority_interval(&[0.1; 5], 0.95, &bootstrap), Some((1.0, 1.0)));
    }

    #[test]
    fn ties_count_half() {
        assert_close(superiority(&[0.1, -0.2, 0.0, 0.3]).unwrap(), 0.625, 0.0);
    }

    #[test]
    fn always_and_never_are_the_ends() {
        assert_close(superiority(&[0.1, 0.2]).unwrap(), 1.0, 0.0);
        assert_close(superiority(&[-0.1, -0.2]).unwrap(), 0.0, 0.0);
    }

    #[test]
    fn nothing_and_nan_have_no_share() {
        assert_eq!(superiority(&[]), None);
        assert_eq!(superiority(&[0.1, f64::NAN]), None);
    }
}
