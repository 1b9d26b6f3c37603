//! Labels of training items that are wrong on purpose: how much does it cost, and whom?

use std::collections::BTreeMap;

use crate::base::{Digest, Seed};

use super::data::Sample;

/// Classes that training is told in place of the true ones, by item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flipped(BTreeMap<usize, usize>);

/// An item whose label may be flipped.
struct Labelled<'a> {
    item: usize,
    id: &'a str,
    class: usize,
}

impl Flipped {
    /// Another class for a share of the training items of a sample, rounded to whole items.
    pub(super) fn draw(sample: &Sample, share: f64, seed: Seed) -> Self {
        let items = sample.data.dataset.items();
        let labelled =
            |&item: &usize| Labelled { item, id: &items[item].id, class: items[item].label };
        Self::of_items(sample.train.iter().map(labelled), sample.data.classes(), share, seed)
    }

    /// Each item has a stream of its own, so that to what it is flipped does not depend on who else
    /// is trained on, and a larger share flips whomever a smaller one does, to the same class.
    fn of_items<'a>(
        items: impl Iterator<Item = Labelled<'a>>,
        classes: usize,
        share: f64,
        seed: Seed,
    ) -> Self {
        let drawn = items.map(|Labelled { item, id, class }| {
            let mut stream = seed.stream("label noise", id);
            let (rank, other) = (stream.uniform(), stream.below(classes.saturating_sub(1)));
            (rank, item, if other < class { other } else { other + 1 })
        });
        let mut drawn: Vec<(f64, usize, usize)> = drawn.collect();
        drawn.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let count = (share * drawn.len() as f64).round() as usize;
        Self(drawn.into_iter().take(count).map(|(_, item, class)| (item, class)).collect())
    }

    /// Whether every label is the true one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many labels are others.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The class that training is told of an item, if it is another.
    pub fn of(&self, item: usize) -> Option<usize> {
        self.0.get(&item).copied()
    }

    /// Identity of what is flipped, for keys.
    pub(super) fn digest(&self, sample: &Sample) -> Digest {
        let items = sample.data.dataset.items();
        let pairs: Vec<(&str, usize)> =
            self.0.iter().map(|(&item, &class)| (items[item].id.as_str(), class)).collect();
        Digest::of_json(&pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many items, of which one in four is of each class, those at the step asked for.
    fn flipped(items: usize, step: usize, share: f64, seed: u64) -> Flipped {
        let ids: Vec<String> = (0..items).map(|item| format!("row {item}")).collect();
        let labelled = (0..items).step_by(step);
        let labelled = labelled.map(|item| Labelled { item, id: &ids[item], class: item % 4 });
        Flipped::of_items(labelled, 4, share, Seed(seed))
    }

    #[test]
    fn a_share_of_the_labels_becomes_another_class_each_as_likely() {
        let found = flipped(4000, 1, 0.3, 1);
        assert_eq!(found.count(), 1200);
        let mut counts = [[0_usize; 4]; 4];
        for (item, class) in &found.0 {
            assert_ne!(item % 4, *class, "{item}");
            counts[item % 4][*class] += 1;
        }
        for count in counts.as_flattened().iter().filter(|count| **count > 0) {
            // One hundred of each are expected; five standard deviations of a count like that.
            assert!((50..150).contains(count), "{counts:?}");
        }
        assert_ne!(found, flipped(4000, 1, 0.3, 2));
    }

    #[test]
    fn more_noise_flips_whomever_less_does_and_the_same_way() {
        let (less, more) = (flipped(200, 1, 0.1, 3), flipped(200, 1, 0.4, 3));
        assert_eq!((less.count(), more.count()), (20, 80));
        assert!(less.0.iter().all(|(&item, &class)| more.of(item) == Some(class)));
        assert!(flipped(200, 1, 0.0, 3).is_empty());
    }

    #[test]
    fn what_an_item_is_flipped_to_does_not_depend_on_the_others() {
        let (all, some) = (flipped(200, 1, 1.0, 4), flipped(200, 3, 1.0, 4));
        assert!(some.0.iter().all(|(&item, &class)| all.of(item) == Some(class)));
    }
}
