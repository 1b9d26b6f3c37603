//! Does one way win over many data sets? Wilcoxon's signed ranks.

use serde::{Deserialize, Serialize};

use super::normal;
use super::ranks::midranks;

/// With more differences than this the p-value is a normal approximation.
const MOST_EXACT: usize = 50;

/// What becomes of differences of exactly zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Zeros {
    /// They are left out before ranking (Wilcoxon 1945).
    Dropped,
    /// They are ranked, and their ranks are left out after (Pratt 1959).
    Ranked,
}

/// The signed-rank statistic of paired differences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wilcoxon {
    /// Sum of the ranks of positive differences.
    pub plus: f64,
    /// Sum of the ranks of negative differences.
    pub minus: f64,
    /// Differences that are not zero.
    pub count: usize,
    /// Differences that are zero.
    pub zeros: usize,
    /// Two-sided p-value of "as often above zero as below, and as far".
    pub p: f64,
    /// p-value of "not above": small where differences are above zero.
    pub p_greater: f64,
    /// p-value of "not below": small where differences are below zero.
    pub p_less: f64,
    /// Two-sided p-value by the normal approximation, corrected for ties, without continuity.
    pub p_normal: f64,
    /// Whether the p-values count all patterns of signs.
    pub exact: bool,
}

impl Wilcoxon {
    /// Ranks the sizes of the differences, ties sharing the mean of their ranks.
    ///
    /// Up to 50 differences the p-values are exact, with ties too: each pattern of signs is equally
    /// likely, and the patterns are counted by their rank sum. Beyond, they come from the normal
    /// distribution. `None` without a difference that is not zero, or with one that is not finite.
    #[must_use]
    pub fn of(differences: &[f64], zeros: Zeros) -> Option<Self> {
        if differences.iter().any(|difference| !difference.is_finite()) {
            return None;
        }
        let ranked: Vec<f64> = match zeros {
            Zeros::Dropped => differences.iter().copied().filter(|d| *d != 0.0).collect(),
            Zeros::Ranked => differences.to_vec(),
        };
        let sizes: Vec<f64> = ranked.iter().map(|difference| difference.abs()).collect();
        let (ranks, _) = midranks(&sizes);
        let signed: Vec<(f64, f64)> =
            ranked.into_iter().zip(ranks).filter(|(difference, _)| *difference != 0.0).collect();
        if signed.is_empty() {
            return None;
        }
        let sum = |side: fn(f64) -> bool| -> f64 {
            let chosen = signed.iter().filter(|(difference, _)| side(*difference));
            chosen.fold(0.0, |sum, (_, rank)| sum + rank)
        };
        let (plus, minus) = (sum(|d| d > 0.0), sum(|d| d < 0.0));
        let ranks: Vec<f64> = signed.iter().map(|(_, rank)| *rank).collect();
        let exact = signed.len() <= MOST_EXACT;
        let at_least = |sum: f64| match exact {
            true => exact_at_least(&ranks, sum),
            false => normal_at_least(&ranks, sum, 0.0),
        };
        let (p_greater, p_less) = (at_least(plus), at_least(minus));
        Some(Self {
            plus,
            minus,
            count: signed.len(),
            zeros: differences.len() - signed.len(),
            p: (2.0 * p_greater.min(p_less)).min(1.0),
            p_greater,
            p_less,
            p_normal: (2.0 * normal_at_least(&ranks, plus.max(minus), 0.0)).min(1.0),
            exact,
        })
    }

    /// The smaller of both sums, the statistic of most tables.
    #[must_use]
    pub fn statistic(&self) -> f64 {
        self.plus.min(self.minus)
    }
}

/// P(sum of the ranks with positive sign >= `sum`), where each sign is a fair coin.
///
/// Midranks are halves of whole numbers, so that doubled sums are whole and can be counted.
fn exact_at_least(ranks: &[f64], sum: f64) -> f64 {
    let doubled: Vec<usize> = ranks.iter().map(|rank| (2.0 * rank).round() as usize).collect();
    let mut patterns = vec![0.0; doubled.iter().sum::<usize>() + 1];
    patterns[0] = 1.0;
    let mut reached = 0;
    for rank in doubled {
        reached += rank;
        for total in (rank..=reached).rev() {
            patterns[total] += patterns[total - rank];
        }
    }
    let least = (2.0 * sum).round() as usize;
    let favourable: f64 = patterns[least.min(reached + 1)..].iter().sum();
    favourable / (ranks.len() as f64).exp2()
}

/// The same by a normal distribution with mean Σ r / 2 and variance Σ r² / 4. For midranks that
/// variance is n (n + 1)(2 n + 1) / 24 - Σ (t³ - t) / 48 over sets of t ties. A `continuity` of a
/// half makes up for sums being whole.
fn normal_at_least(ranks: &[f64], sum: f64, continuity: f64) -> f64 {
    let mean = ranks.iter().sum::<f64>() / 2.0;
    let variance = ranks.iter().map(|rank| rank * rank).sum::<f64>() / 4.0;
    normal::cdf((mean - sum + continuity) / variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{Draws, PRINTED, assert_close};

    const EIGHT: [f64; 8] = [1.1, 2.2, -0.5, 3.3, 0.9, 1.7, -1.2, 2.5];
    const TIED: [f64; 8] = [0.02, -0.02, 0.06, 0.0, 0.05, 0.08, -0.01, 0.11];

    #[test]
    fn small_samples_are_counted_out() {
        let found = Wilcoxon::of(&EIGHT, Zeros::Dropped).unwrap();
        assert_close(found.statistic(), 5.0, 0.0);
        assert_close(found.p, 0.078_125, 1e-15);
        assert_close(found.p_less, 0.972_656_25, 1e-15);
        assert!(found.exact);
        let ranks: Vec<f64> = (1..=8).map(f64::from).collect();
        assert_close(2.0 * normal_at_least(&ranks, found.plus, 0.5), 0.080_057_92, PRINTED);
    }

    #[test]
    fn ties_and_zeros_are_counted_out_too() {
        let dropped = Wilcoxon::of(&TIED, Zeros::Dropped).unwrap();
        assert_close(dropped.statistic(), 3.5, 0.0);
        assert_close(dropped.p, 0.093_75, 1e-15);
        assert_close(dropped.p_normal, 0.075_403_56, PRINTED);
        assert_eq!((dropped.count, dropped.zeros), (7, 1));
        let ranked = Wilcoxon::of(&TIED, Zeros::Ranked).unwrap();
        assert_close(ranked.statistic(), 5.5, 0.0);
        assert_close(ranked.p, 0.109_375, 1e-15);
    }

    #[test]
    fn counting_sums_agrees_with_flipping_every_sign() {
        let mut draws = Draws::seeded(8);
        for _ in 0..5 {
            let d: Vec<f64> = (0..10).map(|_| (6.0 * draws.uniform()).ceil() - 2.0).collect();
            let found = Wilcoxon::of(&d, Zeros::Ranked).unwrap();
            let sizes: Vec<f64> = d.iter().map(|d| d.abs()).collect();
            let ranks: Vec<f64> = midranks(&sizes)
                .0
                .into_iter()
                .zip(&d)
                .filter(|(_, d)| **d != 0.0)
                .map(|r| r.0)
                .collect();
            let patterns = 1_u32 << ranks.len();
            let sum = |pattern: u32| -> f64 {
                (0..ranks.len()).filter(|bit| pattern >> bit & 1 == 1).map(|bit| ranks[bit]).sum()
            };
            let above = (0..patterns).filter(|&pattern| sum(pattern) >= found.plus - 1e-9).count();
            assert_close(found.p_greater, above as f64 / f64::from(patterns), 1e-12);
        }
    }

    #[test]
    fn the_normal_approximation_meets_the_exact_value_where_there_are_many() {
        let mut draws = Draws::seeded(2);
        let d: Vec<f64> = (0..50).map(|_| 0.2 + draws.normal()).collect();
        let found = Wilcoxon::of(&d, Zeros::Dropped).unwrap();
        assert!(found.exact);
        assert_close(found.p, found.p_normal, 0.01);
        let more: Vec<f64> = (0..51).map(|_| 0.2 + draws.normal()).collect();
        let found = Wilcoxon::of(&more, Zeros::Dropped).unwrap();
        assert!(!found.exact);
        assert_close(found.p, found.p_normal, 1e-12);
    }

    /// Accuracies of classifiers on 53 data sets, as published with baycomp: of naive Bayes against
    /// AODE and against J48 51 differ, without ties.
    #[test]
    fn published_rank_sums_give_their_published_p_values() {
        let ranks: Vec<f64> = (1..=51).map(f64::from).collect();
        let two_sided = |least: f64| 2.0 * normal_at_least(&ranks, 51.0 * 52.0 / 2.0 - least, 0.0);
        assert_close(two_sided(159.0), 2.309_92e-6, 1e-11);
        assert_close(two_sided(589.0), 0.487_910_17, PRINTED);
    }

    #[test]
    fn swapping_the_arms_swaps_the_sides() {
        let there = Wilcoxon::of(&EIGHT, Zeros::Dropped).unwrap();
        let back = Wilcoxon::of(&EIGHT.map(|d| -d), Zeros::Dropped).unwrap();
        assert_eq!((there.plus, there.p_greater), (back.minus, back.p_less));
        assert_close(there.p, back.p, 0.0);
    }

    #[test]
    fn nothing_but_zeros_has_no_ranks() {
        assert_eq!(Wilcoxon::of(&[0.0, -0.0], Zeros::Ranked), None);
        assert_eq!(Wilcoxon::of(&[], Zeros::Dropped), None);
        assert_eq!(Wilcoxon::of(&[1.0, f64::NAN], Zeros::Dropped), None);
    }
}
