//! Two trained models on the same items: the exact test of `McNemar`.
//!
//! It answers whether *these two models* differ on items like these. Whether the methods behind
//! them differ is for [`TwoWay`](super::TwoWay) to say, since another seed gives other models.

use serde::{Deserialize, Serialize};

/// On how many of some items exactly one of two models is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discordant {
    /// Items that only the candidate gets right.
    pub gained: usize,
    /// Items that only the baseline gets right.
    pub lost: usize,
}

impl Discordant {
    /// Counts the signs of candidate minus baseline over items.
    #[must_use]
    pub fn count(differences: impl IntoIterator<Item = f64>) -> Self {
        let mut counts = Self { gained: 0, lost: 0 };
        for difference in differences {
            counts.gained += usize::from(difference > 0.0);
            counts.lost += usize::from(difference < 0.0);
        }
        counts
    }

    /// Two-sided exact p-value in (0, 1]: min(1, 2 P(X <= k)) for X binomial(n, 1/2), where n is
    /// the number of discordant items and k the smaller count (`McNemar` 1947). 1 if n = 0.
    ///
    /// Fewer than six discordant items can never reach 0.05.
    #[must_use]
    pub fn exact_p(&self) -> f64 {
        let tail: f64 = self.tail().sum();
        (2.0 * tail).min(1.0)
    }

    /// The mid-p value in (0, 1]: 2 P(X <= k-1) + P(X = k), which makes up for the discreteness
    /// that keeps the exact test too strict (Fagerland, Lydersen and Laake 2013). 1 if n = 0.
    #[must_use]
    pub fn mid_p(&self) -> f64 {
        let tail: f64 = self.tail().sum();
        (2.0 * tail - self.tail().last().unwrap_or(0.0)).min(1.0)
    }

    /// Difference of the two accuracies over `items` in all, candidate minus baseline, with its
    /// standard error: D = (b - c)/N, se = √(b + c - (b - c)²/N) / N for b gained and c lost.
    ///
    /// `None` if there are fewer items than discordant ones, or none.
    #[must_use]
    pub fn difference(&self, items: usize) -> Option<(f64, f64)> {
        if items == 0 || items < self.gained + self.lost {
            return None;
        }
        let n = items as f64;
        let net = self.gained as f64 - self.lost as f64;
        let spread = (self.gained + self.lost) as f64 - net * net / n;
        Some((net / n, spread.max(0.0).sqrt() / n))
    }

    /// P(X = 0), ..., P(X = k): C(n, j) 2^-n, multiplied up in logarithms, since both factors leave
    /// the range of f64 beyond a thousand items.
    fn tail(self) -> impl Iterator<Item = f64> {
        let n = self.gained + self.lost;
        let first = -(n as f64) * std::f64::consts::LN_2;
        (0..=self.gained.min(self.lost)).scan(first, move |logarithm, j| {
            let probability = logarithm.exp();
            *logarithm += ((n - j) as f64 / (j + 1) as f64).ln();
            Some(probability)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{PRINTED, assert_close};

    #[test]
    fn exact_and_mid_p_values_agree_with_the_printed_ones() {
        let printed = [
            (4, 15, 0.019_210_82, 0.011_817_93),
            (10, 25, 0.016_673_85, 0.011_330_98),
            (0, 6, 0.031_25, 0.015_625),
            (0, 5, 0.062_5, 0.031_25),
            (30, 50, 0.032_992_62, 0.025_654_36),
            (150, 86, 3.715_94e-5, 2.893_39e-5),
            (5, 5, 1.0, 1.0),
            (0, 0, 1.0, 1.0),
        ];
        for (gained, lost, exact, mid) in printed {
            let counts = Discordant { gained, lost };
            // Small ones are printed with six digits.
            assert_close(counts.exact_p(), exact, PRINTED.min(2e-6 * exact));
            assert_close(counts.mid_p(), mid, PRINTED.min(2e-6 * mid));
        }
    }

    #[test]
    fn direction_does_not_matter() {
        let (there, back) =
            (Discordant { gained: 4, lost: 15 }, Discordant { gained: 15, lost: 4 });
        assert_close(there.exact_p(), back.exact_p(), 0.0);
    }

    #[test]
    fn many_items_neither_overflow_nor_vanish() {
        let counts = Discordant { gained: 50_400, lost: 49_600 };
        assert_close(counts.exact_p(), 0.011_514_925_490, 1e-9);
        assert_close(counts.mid_p(), 0.011_412_077_524, 1e-9);
    }

    #[test]
    fn differences_of_accuracies_have_closed_errors() {
        for (gained, lost, items, difference, se) in [
            (10, 25, 1000, -0.015, 0.005_897_03),
            (12, 30, 500, -0.036, 0.012_861_10),
            (30, 50, 624, -0.032_051_28, 0.014_276_23),
        ] {
            let found = Discordant { gained, lost }.difference(items).unwrap();
            assert_close(found.0, difference, PRINTED);
            assert_close(found.1, se, PRINTED);
        }
        let (difference, se) = Discordant { gained: 10, lost: 25 }.difference(1000).unwrap();
        assert_close(difference - 1.959_964 * se, -0.026_56, 5e-6);
        assert_close(difference + 1.959_964 * se, -0.003_44, 5e-6);
    }

    #[test]
    fn impossible_totals_have_no_difference() {
        assert_eq!(Discordant { gained: 3, lost: 4 }.difference(6), None);
        assert_eq!(Discordant { gained: 0, lost: 0 }.difference(0), None);
    }

    #[test]
    fn signs_are_counted() {
        let counts = Discordant::count([1.0, 0.0, -1.0, 2.5, 0.0]);
        assert_eq!(counts, Discordant { gained: 2, lost: 1 });
    }
}
