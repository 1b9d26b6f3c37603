//! Differences over several splits of one data set: the corrected resampled t-test, and the same
//! numbers read as a posterior.

use serde::{Deserialize, Serialize};

use super::student;
use super::two_way::Masses;

/// The mean difference over J train/test splits that share their training items, so that the
/// differences are correlated and their plain variance is too small.
///
/// ```text
/// se = √( s² (1/J + ρ) )      t = d̄ / se      df = J - 1      ρ = test items / training items
/// ```
///
/// Nadeau and Bengio (2003). Read as a posterior it is the Bayesian correlated t-test of Benavoli
/// et al. (2017): Δ is distributed as d̄ + se T(J - 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resampled {
    /// Mean difference d̄.
    pub mean: f64,
    /// Variance s² of the differences, divisor J - 1.
    pub variance: f64,
    /// J, at least 2.
    pub splits: usize,
    /// ρ.
    pub ratio: f64,
    /// Corrected standard error of the mean.
    pub se: f64,
    /// J - 1.
    pub df: f64,
    /// mean / se; none when degenerate.
    pub t: Option<f64>,
    /// Two-sided p-value of "no difference".
    pub p: f64,
    /// All differences are equal.
    pub degenerate: bool,
}

/// ρ of k-fold cross-validation, repeated or not: 1 / (k - 1). `None` for fewer than two folds.
#[must_use]
pub fn fold_ratio(folds: usize) -> Option<f64> {
    (folds >= 2).then(|| 1.0 / (folds - 1) as f64)
}

impl Resampled {
    /// Analyses one difference for each split, with ρ = `ratio`; 0 gives the plain paired t.
    ///
    /// `None` for fewer than two differences, for some that are not finite, and for a ratio that is
    /// negative or not finite.
    #[must_use]
    pub fn of(differences: &[f64], ratio: f64) -> Option<Self> {
        let finite = differences.iter().all(|difference| difference.is_finite());
        if differences.len() < 2 || !finite || !ratio.is_finite() || ratio < 0.0 {
            return None;
        }
        let count = differences.len() as f64;
        let degenerate = differences.iter().all(|difference| difference - differences[0] == 0.0);
        let mean =
            if degenerate { differences[0] } else { differences.iter().sum::<f64>() / count };
        let squares = differences.iter().map(|difference| (difference - mean).powi(2));
        let variance = squares.sum::<f64>() / (count - 1.0);
        let (se, df) = ((variance * (1.0 / count + ratio)).sqrt(), count - 1.0);
        let t = (!degenerate).then(|| mean / se);
        let certain = f64::from(u8::from(mean == 0.0));
        let p = t.map_or(certain, |t| (2.0 * student::cdf(-t.abs(), df)).min(1.0));
        Some(Self { mean, variance, splits: differences.len(), ratio, se, df, t, p, degenerate })
    }

    /// The interval that covers the true mean with probability `level`.
    #[must_use]
    pub fn interval(&self, level: f64) -> (f64, f64) {
        if self.degenerate {
            return (self.mean, self.mean);
        }
        let quantile = student::quantile(f64::midpoint(1.0, level.clamp(0.0, 1.0)), self.df);
        (self.mean - quantile * self.se, self.mean + quantile * self.se)
    }

    /// Splits the posterior at -`eps` and `eps` >= 0, the region of practical equivalence. A point
    /// mass on an edge counts as within; on an `eps` of 0 it counts half on each side.
    #[must_use]
    pub fn masses(&self, eps: f64) -> Masses {
        if self.degenerate {
            return point_masses(self.mean, eps);
        }
        let below = student::cdf((-eps - self.mean) / self.se, self.df);
        let above = student::cdf((self.mean - eps) / self.se, self.df);
        Masses { below, within: (1.0 - below - above).max(0.0), above }
    }
}

fn point_masses(mean: f64, eps: f64) -> Masses {
    if eps <= 0.0 && mean == 0.0 {
        return Masses { below: 0.5, within: 0.0, above: 0.5 };
    }
    let below = f64::from(u8::from(mean < -eps));
    let above = f64::from(u8::from(mean > eps));
    Masses { below, within: 1.0 - below - above, above }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{PRINTED, assert_close};

    const TEN: [f64; 10] = [0.02, -0.01, 0.03, 0.0, 0.01, 0.02, -0.02, 0.04, 0.01, 0.0];
    const NINTH: f64 = 1.0 / 9.0;

    fn assert_masses(found: Masses, below: f64, within: f64, above: f64, tolerance: f64) {
        assert_close(found.below, below, tolerance);
        assert_close(found.within, within, tolerance);
        assert_close(found.above, above, tolerance);
    }

    #[test]
    fn the_worked_example_comes_out() {
        let found = Resampled::of(&TEN, NINTH).unwrap();
        assert_close(found.mean, 0.01, PRINTED);
        assert_close(found.variance, 3.333_333_33e-4, PRINTED);
        assert_close(found.se, 0.008_388_70, PRINTED);
        assert_close(found.t.unwrap(), 1.192_079_12, PRINTED);
        assert_close(found.p, 0.263_713_28, PRINTED);
        let (low, high) = found.interval(0.95);
        assert_close(low, -0.008_976_57, PRINTED);
        assert_close(high, 0.028_976_57, PRINTED);
    }

    #[test]
    fn more_shared_training_items_mean_less_certainty() {
        let quarter = Resampled::of(&TEN, 0.25).unwrap();
        assert_close(quarter.se, 0.010_801_23, PRINTED);
        assert_close(quarter.t.unwrap(), 0.925_820_10, PRINTED);
        assert_close(quarter.p, 0.378_696_11, PRINTED);
        let plain = Resampled::of(&TEN, 0.0).unwrap();
        assert_close(plain.t.unwrap(), 1.732_050_81, PRINTED);
        assert_close(plain.p, 0.117_306_80, PRINTED);
    }

    #[test]
    fn the_posterior_is_split_by_the_region() {
        let ninth = Resampled::of(&TEN, NINTH).unwrap();
        assert_masses(ninth.masses(0.01), 0.020_473_82, 0.479_526_18, 0.5, PRINTED);
        assert_masses(ninth.masses(0.005), 0.053_694_96, 0.229_222_81, 0.717_082_23, PRINTED);
        let quarter = Resampled::of(&TEN, 0.25).unwrap();
        assert_masses(quarter.masses(0.01), 0.048_548_60, 0.451_451_40, 0.5, PRINTED);
    }

    #[test]
    fn runs_and_folds_give_the_ratio() {
        let one_run = Resampled::of(&[1.0, 5.0, -3.0], fold_ratio(3).unwrap()).unwrap();
        assert_close(one_run.mean, 1.0, 0.0);
        assert_close(one_run.se.powi(2), 16.0 * (1.0 / 3.0 + 1.0 / 2.0), 1e-12);
        assert_close(one_run.df, 2.0, 0.0);
        let two_runs = Resampled::of(&[1.0, 5.0, -3.0, 1.0], fold_ratio(2).unwrap()).unwrap();
        assert_close(two_runs.se.powi(2), 32.0 / 3.0 * (1.0 / 4.0 + 1.0), 1e-12);
        assert_eq!(fold_ratio(1), None);
    }

    #[test]
    fn equal_differences_are_a_point_mass() {
        let same = Resampled::of(&[0.1; 3], 0.5).unwrap();
        assert!(same.degenerate && same.t.is_none());
        assert_close(same.p, 0.0, 0.0);
        assert_masses(same.masses(0.1), 0.0, 1.0, 0.0, 0.0);
        assert_masses(same.masses(0.05), 0.0, 0.0, 1.0, 0.0);
        let none = Resampled::of(&[0.0; 3], 0.5).unwrap();
        assert_close(none.p, 1.0, 0.0);
        assert_masses(none.masses(0.0), 0.5, 0.0, 0.5, 0.0);
        assert_eq!(none.interval(0.95), (0.0, 0.0));
    }

    #[test]
    fn one_split_or_nonsense_cannot_be_analysed() {
        assert_eq!(Resampled::of(&[0.1], 0.5), None);
        assert_eq!(Resampled::of(&[0.1, f64::NAN], 0.5), None);
        assert_eq!(Resampled::of(&[0.1, 0.2], -0.5), None);
    }

    /// Ten runs of ten folds, a text each: items of a fold that another classifier gets right beyond
    /// naive Bayes (a digit), or naive Bayes beyond it (a letter, `a` for one), from the accuracies
    /// published with baycomp, in percent of the folds' sizes.
    fn published(gained: [&str; 10], sizes: [f64; 10]) -> Resampled {
        let items = |mark: char| match mark {
            'a'..='d' => -1.0 - f64::from(u32::from(mark) - u32::from('a')),
            '.' => 0.0,
            digit => f64::from(digit.to_digit(10).unwrap()),
        };
        let percent = |(mark, size): (char, f64)| 100.0 * items(mark) / size;
        let folds = gained.iter().flat_map(|run| run.chars().zip(sizes).map(percent));
        Resampled::of(&folds.collect::<Vec<f64>>(), NINTH).unwrap()
    }

    #[test]
    fn published_accuracies_give_their_published_posteriors() {
        let anneal = [
            "2121111023",
            "1121111660",
            "3324111014",
            "2214051322",
            "0121314005",
            "3320231231",
            "1120512021",
            "0211121013",
            "1112321042",
            "2026201220",
        ];
        let found = published(anneal, [90.0, 90.0, 90.0, 90.0, 90.0, 90.0, 90.0, 90.0, 89.0, 89.0]);
        assert_close(found.mean, 1.938_820, 1e-5);
        assert_close(found.se, 0.550_797, 2e-5);
        assert_masses(found.masses(1.0), 0.0, 0.045_714, 0.954_286, 1e-5);
        let audiology = [
            "..1.......",
            ".......a.1",
            "1.........",
            "..........",
            "....1.....",
            "...a......",
            "..1..1....",
            ".........1",
            ".1...1....",
            "......a...",
        ];
        let found =
            published(audiology, [23.0, 23.0, 23.0, 23.0, 23.0, 23.0, 22.0, 22.0, 22.0, 22.0]);
        assert_masses(found.masses(1.0), 0.009_312, 0.908_725, 0.081_963, 1e-5);
        // J48 here, AODE above.
        let hepatitis = [
            "bd0a002b11",
            "a0babac100",
            "d0baa1aa0b",
            "0a01ba0aa0",
            "00aaab00ab",
            "0a0acaab11",
            "0a1c000bbc",
            "ac01aaa0ba",
            "aa1bba200b",
            "ca0da11ba0",
        ];
        let found =
            published(hepatitis, [16.0, 16.0, 16.0, 16.0, 16.0, 15.0, 15.0, 15.0, 15.0, 15.0]);
        assert_masses(found.masses(1.0), 0.925_829, 0.057_757, 0.016_414, 1e-5);
    }
}
