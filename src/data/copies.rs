//! Items that are copies of each other: equal to the last value of what is decoded, whatever file
//! holds it, or images that nearly are.
//!
//! Equal images have one size and the same pixels; a grey image may be saved with one channel or with
//! three that are equal. Nearly equal images are found in two steps. The perceptual hash of an image
//! is the signs of the 8×8 lowest coefficients of the discrete cosine transform of its grey 32×32
//! version against their median; images whose hashes differ in at most [`RADIUS`] of 64 bits are
//! candidates. A candidate counts if the grey 16×16 versions of both correlate by at least
//! [`ALIKE`]. The hash alone is not enough: pictures of one kind (digits, x-rays, shirts) often share
//! it. Items without a picture (tables, token ids, signals) are compared to the last value only.
//!
//! Measured on all pairs of a data set, where pairs with different labels are surely no copies, and on
//! 500 images of each that were saved anew (JPEG at quality 90 and 50, 0.9 and 2 times the size,
//! brightness 0.8 and 1.1, contrast 1.2):
//!
//! | images | equal pairs | hashes within 4 bits | nearly equal (labels differ) | saved anew, found |
//! |---|---|---|---|---|
//! | 5,856 x-rays of 224×224 | 34 | 234 | none but the equal ones | 0.99 to 1 |
//! | the same of 28×28 | 31 | 287 | none but the equal ones | 0.96 to 1 |
//! | 70,000 digits | not counted | 640,339 | 145 (0) | 0.99 to 1 |
//! | 70,000 pieces of clothing | 0 | 189,281 | 272 (2) | 0.92 to 1 |
//!
//! Images cut by a pixel or more are found if they are large (all x-rays of 224×224, none of 28×28),
//! those cut by 2 % are not. A difference hash shares 12,715 pairs of the x-rays with no bit apart, so
//! it tells much less.

use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::base::language::choice;
use crate::base::{Digest, Hasher};

use super::dataset::{Dataset, Item};
use super::input::{InputRule, Size};
use super::pixels::{Pixels, Samples};

choice! {
    /// What happens where items of train or val are copies of test items.
    pub enum OnLeak {
        /// A warning counts them, and the table `leaks` of a run lists them.
        "warn" => Warn,
        /// The run is refused.
        "fail" => Fail,
        /// They are left out of train and val; so are training items that are copies of val items.
        "drop_from_train" => DropFromTrain,
        /// Nobody looks: finding copies of images decodes all of them once.
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
    /// Whether more images than [`MOST`] pairs look alike, so that none are told.
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

/// Hashes of nearly equal images differ in at most this many of 64 bits.
const RADIUS: usize = 4;
/// Nearly equal images correlate by at least this.
const ALIKE: f64 = 0.995;
/// With more pairs than these, all items look alike and a pair says nothing.
const MOST: usize = 100_000;
/// The side of the image that is transformed.
const SIDE: usize = 32;
/// The side of the image that is correlated.
const SMALL: usize = 16;
/// The side of the square of coefficients.
const LOW: usize = 8;

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
        let sketches = self.each(|item| self.sketch(item, are_images));
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
        let mut same: Vec<Vec<usize>> =
            by_content.into_values().filter(|group| group.len() > 1).collect();
        same.sort_unstable();
        match near(&pictures) {
            Some(near) => Copies { same, near, all_alike: false },
            None => Copies { same, near: vec![], all_alike: true },
        }
    }

    fn sketch(&self, item: &Item, are_images: bool) -> Option<Sketch> {
        if !are_images {
            let content = self.content(item).ok()?;
            return Some(Sketch { content, picture: None });
        }
        let pixels = plain(self.pixels_of(item).ok()?);
        let content = content(&pixels);
        Some(Sketch { content, picture: Picture::of(pixels) })
    }
}

/// What of an item is compared.
struct Sketch {
    content: Digest,
    picture: Option<Picture>,
}

/// An image in grey without its colour where that says nothing, and in bytes where it has some.
fn plain(pixels: Pixels) -> Pixels {
    fn is_grey<T: PartialEq>(values: &[T]) -> bool {
        values.chunks_exact(3).all(|rgb| rgb[0] == rgb[1] && rgb[1] == rgb[2])
    }
    fn first<T: Copy>(values: &[T]) -> Vec<T> {
        values.iter().step_by(3).copied().collect()
    }
    let is_grey = pixels.channels == 3
        && match &pixels.samples {
            Samples::Bytes(values) => is_grey(values),
            Samples::Floats(values) => is_grey(values),
        };
    if !is_grey {
        return pixels;
    }
    let samples = match &pixels.samples {
        Samples::Bytes(values) => Samples::Bytes(first(values)),
        Samples::Floats(values) => Samples::Floats(first(values)),
    };
    Pixels { channels: 1, samples, ..pixels }
}

/// Identity of what is decoded: bytes and floats of the same values are equal.
fn content(pixels: &Pixels) -> Digest {
    let mut hasher = Hasher::default();
    for extent in [pixels.height, pixels.width, pixels.channels] {
        hasher.update(&(extent as u64).to_le_bytes());
    }
    match &pixels.samples {
        Samples::Bytes(values) => hasher.update(values),
        Samples::Floats(values) => match whole(values) {
            Some(bytes) => hasher.update(&bytes),
            None => hasher.update(bytemuck::cast_slice(values)),
        },
    }
    hasher.finish()
}

/// Floats as bytes, if all of them are whole numbers from 0 to 255.
fn whole(values: &[f32]) -> Option<Vec<u8>> {
    let byte = |value: &f32| {
        let byte = *value as u8;
        (f32::from(byte).total_cmp(value).is_eq()).then_some(byte)
    };
    values.iter().map(byte).collect()
}

/// An image made small.
struct Picture {
    hash: u64,
    /// Grey, of mean 0 and length 1.
    small: Vec<f32>,
}

impl Picture {
    /// Nothing for an image of one shade, which has no features to compare.
    fn of(pixels: Pixels) -> Option<Self> {
        let rule = InputRule::plain(Size { height: SIDE, width: SIDE }, 1);
        let grey = rule.fitted(pixels).ok()?.samples.into_floats();
        let mean = |y: usize, x: usize| {
            let at = |dy: usize, dx: usize| grey[(2 * y + dy) * SIDE + 2 * x + dx];
            (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4.0
        };
        let small: Vec<f32> =
            (0..SMALL * SMALL).map(|index| mean(index / SMALL, index % SMALL)).collect();
        let middle = small.iter().sum::<f32>() / small.len() as f32;
        let most = small.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let length = small.iter().map(|value| (value - middle).powi(2)).sum::<f32>().sqrt();
        if length <= 1e-4 * most || !length.is_finite() {
            return None;
        }
        let small = small.iter().map(|value| (value - middle) / length).collect();
        Some(Self { hash: hash(&grey), small })
    }

    fn correlation(&self, other: &Self) -> f64 {
        let products = self.small.iter().zip(&other.small);
        products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }
}

/// The cosines of the lowest frequencies at the points of a row.
static WAVES: LazyLock<[[f64; SIDE]; LOW]> = LazyLock::new(|| {
    let wave = |frequency: usize, at: usize| {
        (PI * frequency as f64 * (2 * at + 1) as f64 / (2 * SIDE) as f64).cos()
    };
    std::array::from_fn(|frequency| std::array::from_fn(|at| wave(frequency, at)))
});

/// Which of the lowest coefficients of the discrete cosine transform lie above their median.
fn hash(grey: &[f32]) -> u64 {
    let mut rows = [[0.0_f64; LOW]; SIDE];
    for (row, values) in rows.iter_mut().zip(grey.chunks_exact(SIDE)) {
        for (sum, wave) in row.iter_mut().zip(WAVES.iter()) {
            *sum = wave.iter().zip(values).map(|(w, v)| w * f64::from(*v)).sum();
        }
    }
    let mut all = [0.0_f64; LOW * LOW];
    for (at, coefficient) in all.iter_mut().enumerate() {
        let down = WAVES[at / LOW].iter().zip(&rows);
        *coefficient = down.map(|(w, row)| w * row[at % LOW]).sum();
    }
    let mut sorted = all;
    sorted.sort_by(f64::total_cmp);
    let median = f64::midpoint(sorted[31], sorted[32]);
    all.iter().enumerate().fold(0, |hash, (at, value)| hash | (u64::from(*value > median) << at))
}

/// Pairs that are nearly equal, in order; nothing if there are too many. Hashes that differ in at most
/// `RADIUS` bits agree in at least one of `RADIUS + 1` shares of their bits, so only those that do
/// are compared.
fn near(pictures: &[(usize, &Picture)]) -> Option<Vec<Near>> {
    let shares = RADIUS + 1;
    let masks: Vec<u64> = (0..shares)
        .map(|number| {
            (0..64).filter(|bit| bit % shares == number).fold(0, |mask, bit| mask | 1 << bit)
        })
        .collect();
    let mut found = Vec::new();
    for (number, mask) in masks.iter().enumerate() {
        let mut buckets: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (at, (_, picture)) in pictures.iter().enumerate() {
            buckets.entry(picture.hash & mask).or_default().push(at);
        }
        for bucket in buckets.values() {
            for (position, &at) in bucket.iter().enumerate() {
                let (a, first) = pictures[at];
                for &other in &bucket[position + 1..] {
                    let (b, second) = pictures[other];
                    let differing = first.hash ^ second.hash;
                    let distance = differing.count_ones();
                    // A pair that agrees in an earlier share was compared there.
                    let is_known = masks[..number].iter().any(|mask| differing & mask == 0);
                    if distance as usize > RADIUS || is_known {
                        continue;
                    }
                    let correlation = first.correlation(second);
                    if correlation >= ALIKE {
                        found.push(Near { a, b, distance, correlation });
                    }
                }
                if found.len() > MOST {
                    return None;
                }
            }
        }
    }
    found.sort_by_key(|pair| (pair.a, pair.b));
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(shade: impl Fn(usize, usize) -> u8, side: usize) -> Pixels {
        let values = (0..side * side).map(|at| shade(at / side, at % side)).collect();
        Pixels { height: side, width: side, channels: 1, samples: Samples::Bytes(values) }
    }

    /// Noise in blocks of a seventh of the side, another for each seed.
    fn noise(seed: usize, side: usize, lighter: u8) -> Pixels {
        let shade = |y: usize, x: usize| {
            let block = (y * 7 / side * 7 + x * 7 / side + seed * 49 + 1) as u32;
            (block.wrapping_mul(2_654_435_761) >> 25) as u8 + lighter
        };
        picture(shade, side)
    }

    #[test]
    fn the_hash_is_that_of_the_transform_of_other_programs() {
        // Bits of `scipy.fft.dctn(image)[:8, :8] > median`, row by row, of 7x + 3y² mod 251.
        let grey: Vec<f32> = (0..1024_usize)
            .map(|at| ((7 * (at % 32) + 3 * (at / 32).pow(2)) % 251) as f32)
            .collect();
        assert_eq!(hash(&grey), 0xf43c_d4d4_78b1_e099);
    }

    #[test]
    fn equal_images_are_found_whatever_holds_them() {
        let grey = noise(1, 28, 0);
        let floats =
            Pixels { samples: Samples::Floats(grey.samples.clone().into_floats()), ..grey.clone() };
        let colour = grey.clone().with_channels(3).unwrap();
        let digest = |pixels: &Pixels| content(&plain(pixels.clone()));
        assert_eq!([digest(&floats), digest(&colour)], [digest(&grey), digest(&grey)]);
        assert_ne!(digest(&noise(1, 28, 1)), digest(&grey));
        let wider = Pixels { height: 14, width: 56, ..grey.clone() };
        assert_ne!(digest(&wider), digest(&grey));
    }

    #[test]
    fn lighter_and_larger_images_are_near_and_others_are_not() {
        let images = [noise(1, 28, 0), noise(1, 28, 9), noise(1, 56, 0), noise(2, 28, 0)];
        let pictures: Vec<Picture> = images.into_iter().filter_map(Picture::of).collect();
        let numbered: Vec<(usize, &Picture)> = pictures.iter().enumerate().collect();
        let found = near(&numbered).unwrap();
        let pairs: Vec<(usize, usize)> = found.iter().map(|near| (near.a, near.b)).collect();
        assert_eq!(pairs, [(0, 1), (0, 2), (1, 2)]);
        assert!(Picture::of(picture(|_, _| 7, 28)).is_none(), "one shade has no features");
    }

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
