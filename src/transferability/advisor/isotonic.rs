//! Isotonic regression: probabilities brought to what came of them, without changing their order.

/// Points between which probabilities are mapped along straight lines, ascending; before the first
/// and after the last, their values hold. Pools neighbours that fall until none does (Ayer et al.
/// 1955): of all rising functions the one with the least squared error.
pub(super) fn isotonic(told: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut sorted = told.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut pools: Vec<Pool> = Vec::new();
    for same in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let sum = same.iter().map(|(_, came)| came).sum();
        let mut pool = Pool { from: same[0].0, to: same[0].0, sum, count: same.len() as f64 };
        while let Some(before) = pools.pop_if(|before| before.mean() >= pool.mean()) {
            let (sum, count) = (before.sum + pool.sum, before.count + pool.count);
            pool = Pool { from: before.from, to: pool.to, sum, count };
        }
        pools.push(pool);
    }
    let ends = |pool: &Pool| [(pool.from, pool.mean()), (pool.to, pool.mean())];
    let mut points: Vec<(f64, f64)> = pools.iter().flat_map(ends).collect();
    points.dedup();
    points
}

/// Where a probability comes to on these points; itself if there are none.
pub(super) fn mapped(points: &[(f64, f64)], p: f64) -> f64 {
    let after = points.partition_point(|(at, _)| *at < p);
    match (after.checked_sub(1).map(|before| points[before]), points.get(after).copied()) {
        (None, None) => p,
        (None, Some((_, value))) | (Some((_, value)), None) => value,
        (Some((from, low)), Some((to, high))) => low + (high - low) * (p - from) / (to - from),
    }
}

/// Neighbours that share one value.
struct Pool {
    from: f64,
    to: f64,
    sum: f64,
    count: f64,
}

impl Pool {
    fn mean(&self) -> f64 {
        self.sum / self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_falls_is_pooled_and_what_rises_stays() {
        let told = [(0.1, 0.0), (0.2, 1.0), (0.3, 0.0), (0.4, 0.0), (0.9, 1.0)];
        let third = 1.0 / 3.0;
        assert_eq!(isotonic(&told), [(0.1, 0.0), (0.2, third), (0.4, third), (0.9, 1.0)]);
    }

    #[test]
    fn equal_probabilities_are_one() {
        assert_eq!(isotonic(&[(0.5, 1.0), (0.5, 0.0), (0.7, 1.0)]), [(0.5, 0.5), (0.7, 1.0)]);
    }

    #[test]
    fn between_points_lies_a_line_and_beyond_them_their_value() {
        let points = [(0.2, 0.1), (0.4, 0.5)];
        let found = [0.0, 0.2, 0.3, 0.4, 0.9].map(|p| mapped(&points, p));
        for (found, expected) in found.into_iter().zip([0.1, 0.1, 0.3, 0.5, 0.5]) {
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
        assert!((mapped(&[], 0.3) - 0.3).abs() < 1e-12);
    }
}
