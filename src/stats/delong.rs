//! Two trained models on the same items: do their areas under the receiver operating
//! characteristic differ?
//!
//! As with `McNemar`'s test the seeds are not in the variance: it speaks of these two models on
//! other items. For the methods behind them, resample seeds too: [`Bootstrap`](super::Bootstrap).

use serde::{Deserialize, Serialize};

use super::normal;
use super::ranks::midranks;

/// Two correlated areas with their covariance (`DeLong`, `DeLong` and Clarke-Pearson 1988), by
/// midranks in O(N log N) (Sun and Xu 2014).
///
/// For m positives X and n negatives Y, with midranks `T_Z` among all, `T_X` and `T_Y` among their
/// own:
///
/// ```text
/// AUC   = Σ T_Z(X) / (m n) - (m + 1) / (2 n)
/// V10_i = (T_Z(X_i) - T_X(X_i)) / n          V01_j = 1 - (T_Z(Y_j) - T_Y(Y_j)) / m
/// S     = cov(V10) / m + cov(V01) / n        z = (A_1 - A_2) / √(S_11 + S_22 - 2 S_12)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeLong {
    /// Both areas, in \[0, 1\].
    pub areas: [f64; 2],
    /// The variance of each area.
    pub variances: [f64; 2],
    /// The covariance of the areas.
    pub covariance: f64,
    /// First area minus second.
    pub difference: f64,
    /// Standard error of the difference.
    pub se: f64,
    /// difference / se; none where se is 0.
    pub z: Option<f64>,
    /// Two-sided p-value of equal areas; where se is 0, 1 for equal areas and 0 for others.
    pub p: f64,
}

impl DeLong {
    /// Compares two scores of the same items, higher meaning more likely positive.
    ///
    /// `None` for fewer than two positives or negatives, for lengths that differ, and for scores
    /// that are not finite.
    #[must_use]
    pub fn of(first: &[f64], second: &[f64], positive: &[bool]) -> Option<Self> {
        let (one, other) = (Placements::of(first, positive)?, Placements::of(second, positive)?);
        let variances = [one.covariance(&one), other.covariance(&other)];
        let covariance = one.covariance(&other);
        let difference = one.area - other.area;
        let se = (variances[0] + variances[1] - 2.0 * covariance).max(0.0).sqrt();
        // What is left of equal variances after subtraction is rounding.
        let known = se > 1e-9 * (variances[0] + variances[1]).sqrt();
        let z = known.then(|| difference / se);
        let certain = f64::from(u8::from(difference.abs() <= f64::EPSILON));
        let p = z.map_or(certain, |z| 2.0 * normal::cdf(-z.abs()));
        let se = if known { se } else { 0.0 };
        Some(Self { areas: [one.area, other.area], variances, covariance, difference, se, z, p })
    }

    /// The interval that covers the first (0) or second (1) true area with probability `level`,
    /// made on the scale of ln(A / (1 - A)), so that it stays within \[0, 1\].
    ///
    /// `None` for an area of 0 or 1, which has no such scale, and for another index.
    #[must_use]
    pub fn interval(&self, which: usize, level: f64) -> Option<(f64, f64)> {
        let (area, variance) = (*self.areas.get(which)?, *self.variances.get(which)?);
        if area <= 0.0 || area >= 1.0 {
            return None;
        }
        let centre = (area / (1.0 - area)).ln();
        let se = variance.max(0.0).sqrt() / (area * (1.0 - area));
        let half_width = normal::quantile(f64::midpoint(1.0, level.clamp(0.0, 1.0))) * se;
        let back = |x: f64| 1.0 / (1.0 + (-x).exp());
        Some((back(centre - half_width), back(centre + half_width)))
    }
}

/// How each positive stands among the negatives, and each negative among the positives.
struct Placements {
    area: f64,
    of_positives: Vec<f64>,
    of_negatives: Vec<f64>,
}

impl Placements {
    fn of(scores: &[f64], positive: &[bool]) -> Option<Self> {
        let fits = scores.len() == positive.len() && scores.iter().all(|score| score.is_finite());
        let m = positive.iter().filter(|&&positive| positive).count();
        let n = positive.len() - m;
        if !fits || m < 2 || n < 2 {
            return None;
        }
        let (among_all, _) = midranks(scores);
        let placed = |side: bool, others: usize| -> Vec<f64> {
            let members = || (0..scores.len()).filter(|&item| positive[item] == side);
            let own: Vec<f64> = members().map(|item| scores[item]).collect();
            let (among_own, _) = midranks(&own);
            let below = members().zip(among_own).map(|(item, rank)| among_all[item] - rank);
            below.map(|below| below / others as f64).collect()
        };
        let of_positives = placed(true, n);
        let of_negatives = placed(false, m).into_iter().map(|below| 1.0 - below).collect();
        let area = of_positives.iter().sum::<f64>() / m as f64;
        Some(Self { area, of_positives, of_negatives })
    }

    fn covariance(&self, other: &Self) -> f64 {
        let (m, n) = (self.of_positives.len() as f64, self.of_negatives.len() as f64);
        covariance(&self.of_positives, &other.of_positives) / m
            + covariance(&self.of_negatives, &other.of_negatives) / n
    }
}

/// Sample covariance, divisor n - 1.
fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let count = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / count, b.iter().sum::<f64>() / count);
    let products = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b));
    products.sum::<f64>() / (count - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{Draws, PRINTED, assert_close};

    const A: [f64; 12] = [0.9, 0.8, 0.7, 0.6, 0.3, 0.7, 0.5, 0.4, 0.3, 0.2, 0.2, 0.1];
    const B: [f64; 12] = [0.8, 0.6, 0.6, 0.4, 0.3, 0.7, 0.5, 0.6, 0.4, 0.2, 0.3, 0.1];

    fn five_of_twelve() -> Vec<bool> {
        (0..12).map(|item| item < 5).collect()
    }

    #[test]
    fn the_worked_example_comes_out() {
        let found = DeLong::of(&A, &B, &five_of_twelve()).unwrap();
        assert_close(found.areas[0], 0.857_142_86, PRINTED);
        assert_close(found.areas[1], 0.685_714_29, PRINTED);
        assert_close(found.variances[0], 0.013_367_35, PRINTED);
        assert_close(found.covariance, 0.016_700_68, PRINTED);
        assert_close(found.variances[1], 0.026_598_64, PRINTED);
        assert_close(found.difference, 0.171_428_57, PRINTED);
        assert_close(found.se, 0.081_022_38, PRINTED);
        assert_close(found.z.unwrap(), 2.115_817_56, PRINTED);
        assert_close(found.p, 0.034_360_33, PRINTED);
    }

    /// The 120 test items of iris (one fifth trained on, seed 42) by ascending probability of
    /// versicolor that scikit-learn's logistic regression gives them; + is versicolor.
    const IRIS: &str = concat!(
        "---------------------+------------+----+----+----+----------",
        "+++--+++--+-+----++----++-+--+-+-+-+++-+-+-+-+++++--+++++-++",
    );

    #[test]
    fn the_published_variance_of_iris_comes_out() {
        let positive: Vec<bool> = IRIS.chars().map(|mark| mark == '+').collect();
        let order: Vec<f64> = (0..positive.len()).map(|place| place as f64).collect();
        let found = DeLong::of(&order, &order, &positive).unwrap();
        assert_close(found.areas[0], 0.817_663_817_663_817_7, 1e-12);
        assert_close(found.variances[0], 0.001_535_981_48, 1e-10);
    }

    #[test]
    fn the_interval_of_an_area_stays_within_its_range() {
        let found = DeLong::of(&A, &B, &five_of_twelve()).unwrap();
        // On the scale of areas it would not.
        let half_width = normal::quantile(0.975) * found.variances[0].sqrt();
        assert_close(found.areas[0] - half_width, 0.630_5, 5e-5);
        assert_close(found.areas[0] + half_width, 1.083_7, 5e-5);
        let (low, high) = found.interval(0, 0.95).unwrap();
        assert_close(low, 0.485_3, 5e-5);
        assert_close(high, 0.974_5, 5e-5);
        assert_eq!(found.interval(2, 0.95), None);
    }

    #[test]
    fn placements_agree_with_counting_pairs() {
        let mut draws = Draws::seeded(4);
        // Few distinct values, so that many are tied.
        let mut scores = || (0..60).map(|_| (8.0 * draws.uniform()).floor()).collect::<Vec<f64>>();
        let (first, second) = (scores(), scores());
        let positive: Vec<bool> = (0..60).map(|item| item % 3 == 0).collect();
        let found = DeLong::of(&first, &second, &positive).unwrap();
        let wins = |a: f64, b: f64| {
            if a > b {
                1.0
            } else if a < b {
                0.0
            } else {
                0.5
            }
        };
        let mut total = 0.0;
        for x in (0..60).filter(|&item| positive[item]) {
            for y in (0..60).filter(|&item| !positive[item]) {
                total += wins(first[x], first[y]);
            }
        }
        assert_close(found.areas[0], total / (20.0 * 40.0), 1e-12);
    }

    #[test]
    fn equal_scores_are_equal_with_certainty() {
        let found = DeLong::of(&A, &A, &five_of_twelve()).unwrap();
        assert_eq!((found.z, found.p), (None, 1.0));
        // The same order is the same area, whatever the numbers.
        let doubled = A.map(|score| 2.0 * score);
        assert_eq!(DeLong::of(&A, &doubled, &five_of_twelve()).unwrap().z, None);
        let perfect = five_of_twelve();
        let ideal: Vec<f64> = perfect.iter().map(|&yes| f64::from(u8::from(yes))).collect();
        let reversed: Vec<f64> = ideal.iter().map(|score| -score).collect();
        let found = DeLong::of(&ideal, &reversed, &perfect).unwrap();
        assert_eq!((found.difference, found.z, found.p), (1.0, None, 0.0));
        assert_eq!(found.interval(0, 0.95), None);
    }

    #[test]
    fn one_positive_and_scores_that_are_no_numbers_have_no_variance() {
        let one: Vec<bool> = (0..12).map(|item| item == 0).collect();
        assert_eq!(DeLong::of(&A, &B, &one), None);
        assert_eq!(DeLong::of(&A[..11], &B, &five_of_twelve()), None);
        let mut broken = A;
        broken[3] = f64::NAN;
        assert_eq!(DeLong::of(&broken, &B, &five_of_twelve()), None);
    }
}
