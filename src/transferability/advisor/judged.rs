//! What probabilities of negative transfer were worth.

use crate::stats::student_quantile;

/// A Brier score with what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Brier {
    /// Mean square of p less outcome; 0 is best.
    pub score: f64,
    /// The same of whoever always tells the share of outcomes.
    pub base: f64,
    /// 1 less their ratio; nothing where all outcomes are the same.
    pub skill: Option<f64>,
    /// How many outcomes there were.
    pub count: usize,
}

/// The Brier score of probabilities with their outcomes (0 to 1). Nothing without any.
pub fn brier(told: &[(f64, f64)]) -> Option<Brier> {
    if told.is_empty() {
        return None;
    }
    let count = told.len() as f64;
    let score = told.iter().map(|(p, outcome)| (p - outcome).powi(2)).sum::<f64>() / count;
    let base = base_rate_brier(told);
    Some(Brier { score, base, skill: (base > 0.0).then(|| 1.0 - score / base), count: told.len() })
}

/// The score of whoever always tells the mean outcome: its variance.
pub fn base_rate_brier(told: &[(f64, f64)]) -> f64 {
    let count = told.len().max(1) as f64;
    let mean = told.iter().map(|(_, outcome)| outcome).sum::<f64>() / count;
    told.iter().map(|(_, outcome)| (outcome - mean).powi(2)).sum::<f64>() / count
}

/// Probabilities of one fifth, and what came of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Where it begins.
    pub from: f64,
    /// How many probabilities fell into it.
    pub count: usize,
    /// Their mean.
    pub told: f64,
    /// The mean of their outcomes.
    pub came: f64,
}

/// Probabilities with outcomes in five bins; those that nothing fell into are left out.
pub fn calibration(told: &[(f64, f64)]) -> Vec<Bin> {
    let bin = |p: f64| ((p * 5.0) as usize).min(4);
    let of_bin = |index: usize| {
        let inside: Vec<&(f64, f64)> = told.iter().filter(|(p, _)| bin(*p) == index).collect();
        let count = inside.len();
        let mean = |of: fn(&(f64, f64)) -> f64| {
            inside.iter().map(|one| of(one)).sum::<f64>() / count as f64
        };
        (count > 0).then(|| Bin {
            from: index as f64 / 5.0,
            count,
            told: mean(|one| one.0),
            came: mean(|one| one.1),
        })
    };
    (0..5).filter_map(of_bin).collect()
}

/// Wilson's 95 % interval of a share of `hits` in `count`; nothing of none.
pub fn wilson(hits: usize, count: usize) -> Option<(f64, f64)> {
    if count == 0 {
        return None;
    }
    // So many degrees of freedom are a normal distribution.
    let z = student_quantile(0.975, 1e9);
    let (n, share) = (count as f64, hits as f64 / count as f64);
    let middle = share + z * z / (2.0 * n);
    let wide = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let over = 1.0 + z * z / n;
    Some((((middle - wide) / over).max(0.0), ((middle + wide) / over).min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transferability::testing::assert_close;

    #[test]
    fn five_probabilities_have_the_known_score() {
        let told = [(0.8, 1.0), (0.1, 0.0), (0.3, 0.0), (0.6, 1.0), (0.05, 0.0)];
        let brier = brier(&told).unwrap();
        assert_close(brier.score, 0.0605, 1e-12);
        assert_close(brier.base, 0.24, 1e-12);
        assert_close(brier.skill.unwrap(), 0.747_916_667, 1e-9);
        assert_eq!(brier.count, 5);
    }

    #[test]
    fn outcomes_that_are_all_the_same_leave_no_skill() {
        assert_eq!(brier(&[]), None);
        assert_eq!(brier(&[(0.2, 0.0), (0.3, 0.0)]).unwrap().skill, None);
    }

    #[test]
    fn probabilities_fall_into_fifths() {
        let bins = calibration(&[(0.0, 0.0), (0.1, 1.0), (0.2, 0.0), (1.0, 1.0)]);
        let told: Vec<(usize, f64)> = bins.iter().map(|bin| (bin.count, bin.came)).collect();
        assert_eq!(told, [(2, 0.5), (1, 0.0), (1, 1.0)]);
        assert_close(bins[0].told, 0.05, 1e-12);
    }

    /// Of 3 in 10: 0.1078 to 0.6032.
    #[test]
    fn the_interval_of_a_share_is_wilsons() {
        let (low, high) = wilson(3, 10).unwrap();
        assert_close(low, 0.107_789, 1e-5);
        assert_close(high, 0.603_222, 1e-5);
        assert_eq!(wilson(0, 0), None);
        assert_close(wilson(0, 5).unwrap().0, 0.0, 1e-12);
    }
}
