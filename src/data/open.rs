//! The items that may teach and choose.

use super::split::Split;

/// Training items and val items of a split. Whatever learns or chooses is handed these and no other
/// items; only a [`Split`] makes them, of its own train and val parts, so no choice sees a test item.
#[derive(Clone, Copy, Debug)]
pub struct Open<'a> {
    train: &'a [usize],
    val: &'a [usize],
}

impl<'a> Open<'a> {
    /// Items trained on.
    pub fn train(self) -> &'a [usize] {
        self.train
    }

    /// Items that choose.
    pub fn val(self) -> &'a [usize] {
        self.val
    }

    /// All of them: those of train, then those of val.
    pub fn all(self) -> impl Iterator<Item = usize> + Clone + 'a {
        self.train.iter().chain(self.val).copied()
    }

    /// Items of no split.
    #[cfg(test)]
    pub(crate) fn made_up(train: &'a [usize], val: &'a [usize]) -> Self {
        Self { train, val }
    }
}

impl Split {
    /// The items that may teach and choose, with these of the training items.
    ///
    /// # Panics
    /// If one of them is no training item; a mistake of the caller.
    pub fn open<'a>(&'a self, train: &'a [usize]) -> Open<'a> {
        let is_known = |item: &usize| self.train.binary_search(item).is_ok();
        assert!(train.iter().all(is_known), "only training items are trained on");
        Open { train, val: &self.val }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split() -> Split {
        Split { train: vec![0, 2, 4], val: vec![1, 5], test: vec![3, 6], ..Split::default() }
    }

    #[test]
    fn what_is_open_are_training_items_and_those_of_val() {
        let split = split();
        let open = split.open(&split.train[1..]);
        assert_eq!(open.all().collect::<Vec<_>>(), [2, 4, 1, 5]);
    }

    #[test]
    #[should_panic(expected = "only training items are trained on")]
    fn no_test_item_is_ever_open() {
        split().open(&[0, 3]);
    }
}
