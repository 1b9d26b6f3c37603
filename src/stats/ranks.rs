//! Ranks, where equal values share the mean of theirs.

/// Midranks from 1, in the order given, with the size of each set of equal values. The values are
/// no NaN.
pub(super) fn midranks(values: &[f64]) -> (Vec<f64>, Vec<usize>) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let (mut before, mut sizes) = (0, Vec::new());
    // The order is ascending, so "not less than the next" is a tie.
    for tied in order.chunk_by(|&a, &b| values[a] >= values[b]) {
        for &index in tied {
            ranks[index] = before as f64 + f64::midpoint(tied.len() as f64, 1.0);
        }
        before += tied.len();
        sizes.push(tied.len());
    }
    (ranks, sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_the_mean_of_their_ranks() {
        let (ranks, sizes) = midranks(&[0.5, -1.0, 0.5, 2.0, 0.0, -0.0]);
        assert_eq!(ranks, [4.5, 1.0, 4.5, 6.0, 2.5, 2.5]);
        assert_eq!(sizes, [1, 2, 2, 1]);
    }

    #[test]
    fn nothing_has_no_ranks() {
        assert_eq!(midranks(&[]), (vec![], vec![]));
    }
}
