//! Who is worth having where several things count: a point is, unless another is at least as good in
//! all of them and better in one.

/// For each point the position of one that leaves no reason to take it: at least as good everywhere,
/// better somewhere, and best in the first place among these (the earliest of equals). `None` for
/// the points of the Pareto front. Higher is better in every place; points of one length.
#[must_use]
pub fn beaten_by(points: &[Vec<f64>]) -> Vec<Option<usize>> {
    let by = |point: &Vec<f64>| {
        let others = (0..points.len()).filter(|&other| dominates(&points[other], point));
        // The last of equals is what `max_by` gives, so the order is turned round.
        others.rev().max_by(|&a, &b| points[a][0].total_cmp(&points[b][0]))
    };
    points.iter().map(by).collect()
}

fn dominates(a: &[f64], b: &[f64]) -> bool {
    let mut pairs = a.iter().zip(b);
    pairs.clone().all(|(a, b)| a >= b) && pairs.any(|(a, b)| a > b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_beaten_by_one_that_is_nowhere_worse_and_somewhere_better() {
        // Score and (negative) size.
        let points = [[0.9, -10.0], [0.8, -2.0], [0.8, -3.0], [0.7, -2.0], [0.9, -10.0]];
        let points: Vec<Vec<f64>> = points.iter().map(|point| point.to_vec()).collect();
        assert_eq!(beaten_by(&points), [None, None, Some(1), Some(1), None]);
    }

    #[test]
    fn of_several_that_beat_it_the_best_is_named() {
        let points = [[0.5, 1.0], [0.6, 1.0], [0.8, 2.0], [0.8, 1.5]];
        let points: Vec<Vec<f64>> = points.iter().map(|point| point.to_vec()).collect();
        assert_eq!(beaten_by(&points), [Some(2), Some(2), None, Some(2)]);
        assert_eq!(beaten_by(&[]), []);
    }
}
