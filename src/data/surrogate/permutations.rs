//! Orders of tiles that lie far apart.

use crate::base::Seed;

/// So many permutations of 0..n: the first is drawn, each further one differs in as many places as
/// can be from the nearest of those before (the greedy choice of Noroozi & Favaro 2016); of several
/// as good one is drawn. `count` must not exceed n!.
pub(super) fn far_apart(n: usize, count: usize, seed: Seed) -> Vec<Vec<usize>> {
    let all = orders(n);
    let mut stream = seed.stream("jigsaw", "permutations");
    let mut nearest = vec![usize::MAX; all.len()];
    let mut chosen: Vec<Vec<usize>> = Vec::new();
    let mut next = stream.below(all.len());
    while chosen.len() < count.min(all.len()) {
        let last = &all[next];
        for (order, distance) in all.iter().zip(&mut nearest) {
            *distance = (*distance).min(differing(order, last));
        }
        chosen.push(last.clone());
        let farthest = nearest.iter().copied().max().unwrap_or_default();
        let best: Vec<usize> = (0..all.len()).filter(|&index| nearest[index] == farthest).collect();
        next = best[stream.below(best.len())];
    }
    chosen
}

/// Hamming distance: places that hold something else.
fn differing(a: &[usize], b: &[usize]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a != b).count()
}

/// All permutations of 0..n.
fn orders(n: usize) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for _ in 0..n {
        let longer = |order: Vec<usize>| {
            let free = (0..n).filter(|next| !order.contains(next)).collect::<Vec<_>>();
            free.into_iter().map(move |next| [order.as_slice(), &[next]].concat())
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn smallest_distance(orders: &[Vec<usize>]) -> usize {
        let pairs = orders.iter().enumerate();
        let apart = pairs.flat_map(|(at, a)| orders[..at].iter().map(move |b| differing(a, b)));
        apart.min().unwrap_or_default()
    }

    #[test]
    fn the_first_few_lie_as_far_apart_as_permutations_can() {
        // Four permutations of four can differ in every place (a Latin square); a fifth shares
        // places with some of them.
        assert_eq!(smallest_distance(&far_apart(4, 4, Seed(0))), 4);
        assert!((2..4).contains(&smallest_distance(&far_apart(4, 5, Seed(0)))));
    }

    #[test]
    fn all_of_them_are_all_permutations() {
        let all: BTreeSet<Vec<usize>> = far_apart(4, 24, Seed(1)).into_iter().collect();
        assert_eq!(all.len(), 24);
        assert_eq!(far_apart(3, 9, Seed(1)).len(), 6);
    }

    #[test]
    fn the_choice_is_that_of_the_seed() {
        assert_eq!(far_apart(4, 6, Seed(2)), far_apart(4, 6, Seed(2)));
        assert_ne!(far_apart(4, 6, Seed(2)), far_apart(4, 6, Seed(3)));
    }
}
