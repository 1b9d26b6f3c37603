//! Which items make up each step.

use crate::base::Seed;

/// The size of a batch: what was asked for, but never more than there are items.
pub fn batch_size(asked: usize, items: usize) -> usize {
    asked.min(items).max(1)
}

/// The size of the pieces that a batch comes in: as many as needed of at most `most` items, as equal
/// as can be.
pub fn piece_size(batch: usize, most: Option<usize>) -> usize {
    let pieces = most.map_or(1, |most| batch.div_ceil(most.max(1)));
    batch.div_ceil(pieces.max(1)).max(1)
}

/// Batches without end: full ones, in an order drawn anew each epoch. What does not fill a batch
/// waits for an epoch in which it comes earlier.
pub(super) struct Batches<'a> {
    items: &'a [usize],
    size: usize,
    seed: Seed,
    epoch: usize,
    order: Vec<usize>,
    next: usize,
}

impl<'a> Batches<'a> {
    pub(super) fn new(items: &'a [usize], size: usize, seed: Seed) -> Self {
        Self { items, size, seed, epoch: 0, order: vec![], next: items.len() }
    }

    /// Steps in an epoch.
    pub(super) fn per_epoch(items: usize, size: usize) -> usize {
        (items / size).max(1)
    }

    /// The items of the next step.
    pub(super) fn next(&mut self) -> &[usize] {
        if self.next + self.size > self.items.len() {
            self.order = self.items.to_vec();
            self.seed.stream("batch order", &self.epoch.to_string()).shuffle(&mut self.order);
            self.epoch += 1;
            self.next = 0;
        }
        let batch = &self.order[self.next..self.next + self.size];
        self.next += self.size;
        batch
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_epoch_meets_each_item_at_most_once_and_the_next_is_another_order() {
        let items: Vec<usize> = (100..110).collect();
        let mut batches = Batches::new(&items, 3, Seed(0));
        let mut epoch = || -> Vec<usize> { (0..3).flat_map(|_| batches.next().to_vec()).collect() };
        let (first, second) = (epoch(), epoch());
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 9);
        assert_ne!(first, second);
        assert_eq!(Batches::per_epoch(10, 3), 3);
    }

    #[test]
    fn a_batch_is_never_larger_than_the_training_set() {
        assert_eq!(batch_size(32, 10), 10);
        assert_eq!(batch_size(32, 100), 32);
    }

    #[test]
    fn pieces_of_a_batch_are_nearly_equal() {
        assert_eq!(piece_size(32, None), 32);
        assert_eq!(piece_size(32, Some(64)), 32);
        assert_eq!(piece_size(32, Some(16)), 16);
        assert_eq!(piece_size(33, Some(16)), 11);
        assert_eq!(piece_size(7, Some(1)), 1);
    }
}
