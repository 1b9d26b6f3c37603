//! Kendall's coefficient of concordance: how far several judges put the same things in one order.

/// Kendall's W of judges who each give every thing a number: 1 where all put them in the same order,
/// about 0 where they have nothing in common; ties share their mean rank (Kendall & Babington Smith
/// 1939). Nothing of fewer than two judges or three things, or where a judge finds all equal.
#[must_use]
pub fn concordance(judges: &[Vec<f64>]) -> Option<f64> {
    let (count, things) = (judges.len() as f64, judges.first()?.len());
    if judges.len() < 2 || things < 3 || judges.iter().any(|told| told.len() != things) {
        return None;
    }
    let all: Vec<(Vec<f64>, f64)> = judges.iter().map(|told| ranks(told)).collect();
    let n = things as f64;
    let whole = n * n * n - n;
    if all.iter().any(|(_, ties)| *ties >= whole) {
        return None;
    }
    let sums: Vec<f64> =
        (0..things).map(|at| all.iter().map(|(ranks, _)| ranks[at]).sum()).collect();
    let mean = count * (n + 1.0) / 2.0;
    let spread: f64 = sums.iter().map(|sum| (sum - mean).powi(2)).sum();
    let ties: f64 = all.iter().map(|(_, ties)| ties).sum();
    Some(12.0 * spread / (count * count * whole - count * ties))
}

/// Ranks from 1, equal numbers sharing their mean, and Σ(t³ − t) over sets of equals.
fn ranks(values: &[f64]) -> (Vec<f64>, f64) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let (mut ranks, mut ties, mut before) = (vec![0.0; values.len()], 0.0, 0.0);
    for set in order.chunk_by(|&a, &b| values[a].total_cmp(&values[b]).is_eq()) {
        let size = set.len() as f64;
        for &at in set {
            ranks[at] = before + f64::midpoint(1.0, size);
        }
        ties += size * size * size - size;
        before += size;
    }
    (ranks, ties)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(found: Option<f64>, expected: f64) {
        assert!((found.unwrap() - expected).abs() < 1e-8, "{found:?} is not {expected}");
    }

    #[test]
    fn one_order_is_1_and_two_opposite_orders_are_0() {
        let up = vec![0.1, 0.4, 0.5, 7.0];
        let down: Vec<f64> = up.iter().map(|value| -value).collect();
        assert_close(concordance(&[up.clone(), up.clone(), up.clone()]), 1.0);
        assert_close(concordance(&[up, down]), 0.0);
    }

    /// Sums of ranks 8, 9, 7, 6 about 7.5: spread 5; 12 · 5 / (9 · 60).
    #[test]
    fn three_orders_that_agree_in_part_lie_between() {
        let judges = [[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0], [3.0, 4.0, 2.0, 1.0]];
        let judges: Vec<Vec<f64>> = judges.iter().map(|told| told.to_vec()).collect();
        assert_close(concordance(&judges), 60.0 / 540.0);
    }

    /// Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: sums 2, 4.5, 5.5, 8, spread 18.5; 12 · 18.5 / (4 · 60 − 2 · 6).
    #[test]
    fn equal_numbers_share_their_rank() {
        let judges = [vec![0.0, 1.0, 1.0, 2.0], vec![0.0, 1.0, 2.0, 3.0]];
        assert_close(concordance(&judges), 222.0 / 228.0);
    }

    #[test]
    fn too_few_or_all_equal_say_nothing() {
        assert_eq!(concordance(&[]), None);
        assert_eq!(concordance(&[vec![1.0, 2.0, 3.0]]), None);
        assert_eq!(concordance(&[vec![1.0, 2.0], vec![1.0, 2.0]]), None);
        assert_eq!(concordance(&[vec![1.0, 1.0, 1.0], vec![1.0, 2.0, 3.0]]), None);
    }
}
