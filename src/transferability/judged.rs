//! What scores were worth, once it is known how the models did.

/// Kendall's τ with hyperbolic weights of ranks (Vigna 2015), as the literature on transferability
/// uses it: agreement among the best counts most. Mean of the two ways to rank. `None` if either
/// side is all the same, or sides differ in length.
pub fn weighted_tau(scores: &[f64], outcomes: &[f64]) -> Option<f64> {
    if scores.len() != outcomes.len() {
        return None;
    }
    Some(0.5 * (ranked_by(scores, outcomes)? + ranked_by(outcomes, scores)?))
}

/// τ with ranks by `first`, ties by `second`, the largest first.
fn ranked_by(first: &[f64], second: &[f64]) -> Option<f64> {
    let mut order: Vec<usize> = (0..first.len()).collect();
    order.sort_by(|&a, &b| {
        first[b].total_cmp(&first[a]).then(second[b].total_cmp(&second[a])).then(a.cmp(&b))
    });
    let weight = |rank: usize| 1.0 / (1.0 + rank as f64);
    let sign = |a: f64, b: f64| f64::from(u8::from(a > b)) - f64::from(u8::from(a < b));
    let (mut both, mut of_first, mut of_second) = (0.0, 0.0, 0.0);
    for (high, &i) in order.iter().enumerate() {
        for (low, &j) in order.iter().enumerate().skip(high + 1) {
            let w = weight(high) + weight(low);
            let (x, y) = (sign(first[i], first[j]), sign(second[i], second[j]));
            both += w * x * y;
            of_first += w * x * x;
            of_second += w * y * y;
        }
    }
    let size = (of_first * of_second).sqrt();
    (size > 0.0).then(|| both / size)
}

/// What choosing by score costs: the best outcome less that of the highest score; of several
/// highest scores, the mean of their outcomes. `None` without any.
pub fn regret(scores: &[f64], outcomes: &[f64]) -> Option<f64> {
    let largest = |values: &[f64]| values.iter().copied().reduce(f64::max);
    let (highest, best) = (largest(scores)?, largest(outcomes)?);
    let chosen = scores.iter().zip(outcomes).filter(|(score, _)| **score >= highest);
    let chosen: Vec<f64> = chosen.map(|(_, outcome)| *outcome).collect();
    Some(best - chosen.iter().sum::<f64>() / chosen.len() as f64)
}

/// Pearson's correlation. `None` if either side is all the same.
pub(super) fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut both, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        both += a * b;
        of_a += a * a;
        of_b += b * b;
    }
    (of_a > 0.0 && of_b > 0.0).then(|| both / (of_a * of_b).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transferability::testing::assert_close;

    const ACCURACY: [f64; 10] = [96.2, 97.5, 96.8, 97.7, 97.9, 97.2, 97.4, 97.4, 95.7, 96.8];

    #[test]
    fn a_public_table_of_ten_models_on_cifar_10_is_ranked_as_printed() {
        let tables = [
            (0.800, 0.839, [5.911, 6.363, 6.567, 6.901, 6.945, 6.210, 6.547, 6.706, 5.928, 6.018]),
            (
                0.638,
                0.603,
                [-1.385, -1.259, -1.010, -0.829, -0.838, -1.035, -0.934, -0.888, -1.100, -1.066],
            ),
            (0.785, 0.731, [0.293, 0.349, 0.388, 0.463, 0.469, 0.302, 0.343, 0.369, 0.291, 0.304]),
            (
                0.714,
                0.785,
                [-1.139, -1.060, -1.007, -0.838, -0.851, -1.006, -0.946, -0.866, -1.089, -1.086],
            ),
        ];
        for (tau, correlation, scores) in tables {
            assert_close(weighted_tau(&scores, &ACCURACY).unwrap(), tau, 5.1e-4);
            assert_close(pearson(&scores, &ACCURACY).unwrap(), correlation, 5.1e-4);
        }
        assert_eq!(pearson(&[1.0; 10], &ACCURACY), None);
    }

    #[test]
    fn full_agreement_is_one_and_the_reverse_minus_one() {
        let falling = [4.0, 3.0, 2.0, 1.0];
        assert_eq!(weighted_tau(&falling, &[9.0, 8.0, 1.0, 0.0]), Some(1.0));
        assert_eq!(weighted_tau(&falling, &[0.0, 1.0, 8.0, 9.0]), Some(-1.0));
        assert_eq!(weighted_tau(&falling, &[1.0; 4]), None);
        assert_eq!(weighted_tau(&[1.0], &[1.0]), None);
        assert_eq!(weighted_tau(&falling, &[1.0]), None);
    }

    #[test]
    fn regret_is_what_the_choice_costs() {
        assert_eq!(regret(&[0.1, 0.9, 0.5], &[0.7, 0.5, 1.0]), Some(0.5));
        assert_eq!(regret(&[0.1, 0.2], &[0.25, 0.5]), Some(0.0));
        assert_eq!(regret(&[1.0, 1.0], &[0.0, 1.0]), Some(0.5));
        assert_eq!(regret(&[], &[]), None);
    }
}
