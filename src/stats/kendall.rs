//! Kendall's rank correlation, with the exact chance of a fall as steep as the one seen.

/// How far one number falls or rises with another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kendall {
    /// τ-b, from −1 (always falls) to 1 (always rises); ties count for neither.
    pub tau: f64,
    /// The chance of a fall at least as steep if the two had nothing to do with each other.
    pub p_falls: f64,
    /// Whether that chance is exact; else that of a normal distribution (with ties, or many points).
    pub is_exact: bool,
}

/// With ties, orders are counted one by one up to so many points.
const FEW: usize = 8;
/// Without ties, orders are counted by recursion up to so many points.
const MANY: usize = 100;

impl Kendall {
    /// Of pairs; nothing of fewer than three, or if one side is all the same.
    pub fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let n = pairs.len();
        let score = |order: &[usize]| {
            let mut score = 0_i64;
            for i in 0..n {
                for j in i + 1..n {
                    let x = pairs[j].0.total_cmp(&pairs[i].0) as i64;
                    let y = pairs[order[j]].1.total_cmp(&pairs[order[i]].1) as i64;
                    score += x * y;
                }
            }
            score
        };
        let mut order: Vec<usize> = (0..n).collect();
        let seen = score(&order);
        let all = (n * n.saturating_sub(1) / 2) as f64;
        let tied = [ties(pairs.iter().map(|pair| pair.0)), ties(pairs.iter().map(|pair| pair.1))];
        let pairs_tied =
            tied.clone().map(|sizes| sizes.iter().map(|t| t * (t - 1.0) / 2.0).sum::<f64>());
        let size = ((all - pairs_tied[0]) * (all - pairs_tied[1])).sqrt();
        if n < 3 || size <= 0.0 {
            return None;
        }
        let has_ties = pairs_tied.iter().any(|tied| *tied > 0.0);
        let (p_falls, is_exact) = match has_ties {
            false if n <= MANY => (share_of_orders(n, seen), true),
            true if n <= FEW => {
                let (mut steep, mut count) = (0.0, 0.0);
                every_order(&mut order, 0, &mut |order| {
                    count += 1.0;
                    steep += f64::from(u8::from(score(order) <= seen));
                });
                (steep / count, true)
            }
            _ => (super::normal::cdf(seen as f64 / variance(n, &tied).sqrt()), false),
        };
        Some(Self { tau: seen as f64 / size, p_falls, is_exact })
    }
}

/// Sizes of sets of equal numbers.
fn ties(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let sets = values.chunk_by(|a, b| a.total_cmp(b).is_eq());
    sets.map(|set| set.len() as f64).collect()
}

/// The share of orders of n different numbers whose score is at most this: orders with k inversions
/// are counted by adding one number after the other, which makes 0 to n − 1 more of them.
fn share_of_orders(n: usize, score: i64) -> f64 {
    let mut shares = vec![1.0];
    for added in 1..n {
        let mut next = vec![0.0; shares.len() + added];
        for (inversions, share) in shares.iter().enumerate() {
            for more in 0..=added {
                next[inversions + more] += share / (added + 1) as f64;
            }
        }
        shares = next;
    }
    let all = shares.len() as i64 - 1;
    let falls = |inversions: &usize| all - 2 * (*inversions as i64) <= score;
    (0..shares.len()).filter(falls).map(|inversions| shares[inversions]).sum()
}

/// Every order of what is there, each once.
pub(super) fn every_order(order: &mut Vec<usize>, at: usize, each: &mut impl FnMut(&[usize])) {
    if at == order.len() {
        return each(order);
    }
    for other in at..order.len() {
        order.swap(at, other);
        every_order(order, at + 1, each);
        order.swap(at, other);
    }
}

/// Variance of the score with ties (Kendall 1970).
fn variance(n: usize, tied: &[Vec<f64>; 2]) -> f64 {
    let n = n as f64;
    let sum =
        |of: &dyn Fn(f64) -> f64| tied.clone().map(|sizes| sizes.into_iter().map(of).sum::<f64>());
    let first = sum(&|t| t * (t - 1.0) * (2.0 * t + 5.0));
    let second = sum(&|t| t * (t - 1.0) * (t - 2.0));
    let third = sum(&|t| t * (t - 1.0));
    (n * (n - 1.0) * (2.0 * n + 5.0) - first[0] - first[1]) / 18.0
        + second[0] * second[1] / (9.0 * n * (n - 1.0) * (n - 2.0))
        + third[0] * third[1] / (2.0 * n * (n - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(x: &[f64], y: &[f64]) -> Kendall {
        let pairs: Vec<(f64, f64)> = x.iter().copied().zip(y.iter().copied()).collect();
        Kendall::of(&pairs).unwrap()
    }

    #[test]
    fn it_is_that_of_scipy() {
        let five = of(&[1.0, 2.0, 3.0, 4.0, 5.0], &[9.0, 7.0, 8.0, 3.0, 1.0]);
        assert!((five.tau + 0.8).abs() < 1e-12 && (five.p_falls - 1.0 / 24.0).abs() < 1e-12);
        let four = of(&[1.0, 2.0, 3.0, 4.0], &[4.0, 3.0, 2.0, 1.0]);
        assert!((four.tau + 1.0).abs() < 1e-12 && (four.p_falls - 1.0 / 24.0).abs() < 1e-12);
        let x: Vec<f64> = (0..12).map(f64::from).collect();
        let y = [11.0, 9.0, 10.0, 8.0, 7.0, 3.0, 6.0, 5.0, 4.0, 1.0, 2.0, 0.0];
        let twelve = of(&x, &y);
        assert!((twelve.tau + 0.848_484_848_484_848_4).abs() < 1e-12);
        assert!((twelve.p_falls - 8.171_162_685_051_574e-6).abs() < 1e-15 && twelve.is_exact);
        // With ties scipy takes the normal distribution, which gives 0.0057; all 720 orders, 4.
        let tied = of(&[0.1, 0.5, 0.5, 0.9, 1.2, 2.0], &[3.0, 2.0, 2.5, 2.0, 1.0, 0.5]);
        assert!((tied.tau + 0.928_571_428_571_428_6).abs() < 1e-12);
        assert!((tied.p_falls - 4.0 / 720.0).abs() < 1e-12 && tied.is_exact);
    }

    #[test]
    fn many_ties_have_the_chance_of_a_normal_distribution() {
        let pairs: Vec<f64> = [0.1, 0.5, 0.5, 0.9, 1.2, 2.0].into_iter().collect();
        let tied = [ties(pairs.into_iter()), ties([3.0, 2.0, 2.5, 2.0, 1.0, 0.5].into_iter())];
        let p = super::super::normal::cdf(-13.0 / variance(6, &tied).sqrt());
        assert!((p - 0.005_701_150_607_240_142).abs() < 1e-9, "{p}");
        let x: Vec<f64> = (0..20).map(|at| f64::from(at / 2)).collect();
        let falling: Vec<f64> = x.iter().map(|x| -x).collect();
        let many = of(&x, &falling);
        assert!(!many.is_exact && many.p_falls < 1e-6 && (many.tau + 1.0).abs() < 1e-12);
    }

    #[test]
    fn too_few_or_all_the_same_have_none() {
        assert_eq!(Kendall::of(&[(1.0, 2.0), (2.0, 1.0)]), None);
        assert_eq!(Kendall::of(&[(1.0, 2.0), (2.0, 2.0), (3.0, 2.0)]), None);
        let rises = of(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]);
        assert!((rises.p_falls - 1.0).abs() < 1e-12);
    }
}
