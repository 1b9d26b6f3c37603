//! Items that are copies of each other: equal to the last value of what is decoded, whatever file
//! holds it, or images that nearly are.
//!
//! Equal images have one size and the same pixels; a grey image may be saved with one channel or with
//! three that are equal. Nearly equal images are found in two steps. The perceptual hash of an image
//! is the signs of the 8×8 lowest coefficients of the discrete cosine transform of its grey 32×32
//! version against their median; images whose hashes differ in at most `RADIUS` of 64 bits are
//! candidates, and an index by shares of their bits misses none of these. A candidate counts if the
//! grey 16×16 versions of both, the means of 2×2 pixels of the 32×32 ones, correlate by at least
//! `ALIKE`. The hash alone is not enough: pictures of one kind (digits, x-rays, shirts) often share
//! it. Items without a picture (tables, token ids, signals) are compared to the last value only.
//!
//! Measured on all pairs of a data set, where pairs with different labels are surely no copies, and on
//! 500 images of each that were saved anew (at 0.9 times the size; JPEG at quality 90 and 50, twice
//! the size, brightness 0.8 and 1.1, contrast 1.2):
//!
//! | images | equal pairs | hashes within 4 bits | nearly equal (labels differ) | at 0.9 | else |
//! |---|---|---|---|---|---|
//! | 5,856 x-rays of 224×224 | 34 | 234 | none but the equal ones | 1 | 0.99 to 1 |
//! | the same of 28×28 | 31 | 287 | none but the equal ones | 1 | 0.89 to 1 |
//! | 70,000 digits of 28×28 | 0 | 640,339 | 45 (0) | 0.70 | 0.99 to 1 |
//! | 70,000 pieces of clothing of 28×28 | 0 | 189,281 | 187 (1) | 0.78 | 0.89 to 1 |
//! | 9,298 digits of 16×16 | 0 | 4,304 | 37 (0) | 0.14 | 0.88 to 1 |
//!
//! By NumPy and Pillow; where another program rounds otherwise when it resizes, a pair that lies at
//! the threshold may fall on its other side. Of the digits of 28×28, 9 pairs lie across the 60,000
//! given for training and the 10,000 for tests, of which they name 7. A small version made by
//! triangle weights is smoother. Made of the 32×32 one it tells 411 pairs of these digits, for 0.97
//! found at 0.9 times the size, and 436 of the clothing, 16 of them with different labels: too many
//! that are nothing but alike. Made of the image itself it tells 145 for 0.98, but finds none of
//! the digits of 16×16 at twice the size.
//!
//! Images cut by a pixel or more are found if they are large (all x-rays of 224×224, none of 28×28),
//! those cut by 2 % are not. A difference hash shares 12,715 pairs of the x-rays with no bit apart, so
//! it tells much less.

mod across;
mod near;
mod sketch;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::Digest;
use crate::base::language::choice;

use self::near::near;
use self::sketch::{As, Picture, Sketch};
use super::dataset::Dataset;

pub use across::{FindAcross, Taken};

choice! {
    /// What happens where items of train or val are copies of test items, or items of another data
    /// set that a model of the file learns from before it is tested.
    pub enum OnLeak {
        /// A warning counts them, and the table `leaks` of a run lists them.
        "warn" => Warn,
        /// The run is refused.
        "fail" => Fail,
        /// They are left out of train and val; so are training items that are copies of val items.
        /// Of another data set nothing is left out: a warning counts them.
        "drop_from_train" => DropFromTrain,
        /// Nobody looks, neither here nor across this and another data set: finding copies of
        /// images decodes all of them once.
        "ignore" => Ignore,
    }
}

/// Copies among the items of a data set, by index.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Copies {
    /// Items that are equal: each list in ascending order, of two or more.
    pub same: Vec<Vec<usize>>,
    /// Images that are nearly equal; of equal ones the first stands for all.
    pub near: Vec<Near>,
    /// Whether so many images look alike that none are told.
    pub all_alike: bool,
}

/// Two images that are nearly equal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Near {
    /// The one that comes first.
    pub a: usize,
    /// The other.
    pub b: usize,
    /// In how many of 64 bits their hashes differ.
    pub distance: u32,
    /// How much their small grey versions correlate.
    pub correlation: f64,
}

/// Two items that are copies of each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// One item.
    pub a: usize,
    /// The other.
    pub b: usize,
    /// How near they are, if they are not equal.
    pub near: Option<Near>,
}

/// Finds the copies in a data set, of which the second tells whether items are images. Given by
/// whoever can remember what was found.
pub type FindCopies = Box<dyn Fn(&Dataset, bool) -> Copies>;

impl Copies {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.same.is_empty() && self.near.is_empty()
    }

    /// For each of `count` items whether it is a copy of one of `items`, or one of them itself.
    pub fn of(&self, items: &[usize], count: usize) -> Vec<bool> {
        let mut asked = vec![false; count];
        for &item in items {
            asked[item] = true;
        }
        let alike = self.alike();
        let any = |first: usize| match alike.get(&first) {
            Some(group) => group.iter().any(|&item| asked[item]),
            None => asked[first],
        };
        let mut firsts: Vec<usize> =
            self.same.iter().map(|group| group[0]).filter(|&first| any(first)).collect();
        for near in &self.near {
            firsts.extend(any(near.a).then_some(near.b));
            firsts.extend(any(near.b).then_some(near.a));
        }
        let mut found = asked.clone();
        for first in firsts {
            match alike.get(&first) {
                Some(group) => group.iter().for_each(|&item| found[item] = true),
                None => found[first] = true,
            }
        }
        found
    }

    /// The list of equal items by its first.
    fn alike(&self) -> BTreeMap<usize, &[usize]> {
        self.same.iter().map(|group| (group[0], &group[..])).collect()
    }

    /// Pairs of copies that tell all: equal items each with the first of its part and with the first
    /// of all, nearly equal ones as they were found, in the order of the items. `part` names the part
    /// of an item.
    pub fn pairs<P: Ord>(&self, part: impl Fn(usize) -> P) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for group in &self.same {
            let mut firsts: BTreeMap<P, usize> = BTreeMap::new();
            for &item in group {
                let known = firsts.len();
                let first = *firsts.entry(part(item)).or_insert(item);
                // The first of a part beyond the first is paired with the first of all.
                let a = if first == item { group[0] } else { first };
                if known > 0 {
                    pairs.push(Pair { a, b: item, near: None });
                }
            }
        }
        let near = |near: &Near| Pair { a: near.a, b: near.b, near: Some(*near) };
        pairs.extend(self.near.iter().map(near));
        pairs.sort_by_key(|pair| (pair.a, pair.b));
        pairs
    }
}

/// Takes copies of some items out of others, and tells how many if there are any.
pub(super) fn parted(
    copies: &Copies,
    items: &[usize],
    (part, others): (&str, &str),
    count: usize,
    pools: &mut [&mut Vec<usize>],
) -> Option<String> {
    let found = copies.of(items, count);
    let mut dropped = 0;
    for pool in pools {
        let before = pool.len();
        pool.retain(|&item| !found[item]);
        dropped += before - pool.len();
    }
    (dropped > 0).then(|| {
        format!("{dropped} items that are copies of {part} items were dropped from {others}")
    })
}

impl Dataset {
    /// The copies among its items; all cores look. Items that cannot be read are copies of none.
    pub fn copies(&self, are_images: bool) -> Copies {
        let compared = if are_images { As::Images } else { As::Contents };
        found(&self.each(|item| Sketch::of(self, item, compared)), 0)
    }
}

/// The copies among items, of two data sets if the second begins at the item `second`: then each
/// list and each pair has items of both. That is 0 for one data set.
fn found(sketches: &[Option<Sketch>], second: usize) -> Copies {
    let mut by_content: BTreeMap<Digest, Vec<usize>> = BTreeMap::new();
    for (index, sketch) in sketches.iter().enumerate() {
        if let Some(sketch) = sketch {
            by_content.entry(sketch.content).or_default().push(index);
        }
    }
    let mut firsts: Vec<usize> = by_content.values().map(|group| group[0]).collect();
    firsts.sort_unstable();
    let picture = |index: usize| Some((index, sketches[index].as_ref()?.picture.as_ref()?));
    let pictures: Vec<(usize, &Picture)> = firsts.into_iter().filter_map(picture).collect();
    let is_told = |group: &Vec<usize>| match second {
        0 => group.len() > 1,
        second => group[0] < second && group.iter().any(|&item| item >= second),
    };
    let mut same: Vec<Vec<usize>> = by_content.into_values().filter(is_told).collect();
    same.sort_unstable();
    match near(&pictures, second) {
        Some(near) => Copies { same, near, all_alike: false },
        None => Copies { same, near: vec![], all_alike: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_items_are_found_through_equal_and_near_ones() {
        let near = |a, b| Near { a, b, distance: 2, correlation: 0.999 };
        let copies = Copies {
            same: vec![vec![0, 3], vec![4, 6, 7]],
            near: vec![near(0, 4), near(5, 8)],
            all_alike: false,
        };
        let of = |items: &[usize]| {
            let found = copies.of(items, 9);
            (0..9).filter(|&item| found[item]).collect::<Vec<usize>>()
        };
        assert_eq!(of(&[3]), [0, 3, 4, 6, 7]);
        assert_eq!(of(&[7]), [0, 3, 4, 6, 7]);
        assert_eq!(of(&[8]), [5, 8]);
        assert_eq!(of(&[1, 2]), [1, 2]);
        // Items 6 and 7 are on the other side: each side is told once, and how they meet.
        let pairs = copies.pairs(|item| item >= 6);
        let pairs: Vec<(usize, usize)> = pairs.iter().map(|pair| (pair.a, pair.b)).collect();
        assert_eq!(pairs, [(0, 3), (0, 4), (4, 6), (5, 8), (6, 7)]);
    }
}
