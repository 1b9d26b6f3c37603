//! Images that are nearly equal, found without a look at all pairs.

use std::collections::BTreeMap;

use super::Near;
use super::sketch::Picture;

/// Hashes of nearly equal images differ in at most this many of 64 bits.
const RADIUS: usize = 4;
/// Nearly equal images correlate by at least this.
const ALIKE: f64 = 0.995;
/// With more pairs than these, all items look alike and a pair says nothing.
const MOST: usize = 100_000;
/// With more comparisons of hashes than these, which take seconds, most items look alike.
const MOST_COMPARED: usize = 10_000_000_000;

/// Pairs that are nearly equal, in order; nothing if there are too many. Hashes that differ in at most
/// `RADIUS` bits agree in at least one of `RADIUS + 1` shares of their bits, so only those that do
/// are compared, and none is missed. Of two data sets, whose second begins at the item `second`, only
/// pairs across are told; of one that is 0.
pub(super) fn near(pictures: &[(usize, &Picture)], second: usize) -> Option<Vec<Near>> {
    let split = pictures.partition_point(|(item, _)| *item < second);
    let masks = shares();
    let mut found = Vec::new();
    let mut compared = 0;
    for (number, mask) in masks.iter().enumerate() {
        let mut buckets: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (at, (_, picture)) in pictures.iter().enumerate() {
            buckets.entry(picture.hash & mask).or_default().push(at);
        }
        for bucket in buckets.values() {
            let from = bucket.partition_point(|&at| at < split);
            let ones = if second == 0 { bucket.len() } else { from };
            compared += ones * (bucket.len() - from);
            if compared > MOST_COMPARED {
                return None;
            }
            for (position, &at) in bucket[..ones].iter().enumerate() {
                let others = bucket[from.max(position + 1)..].iter().map(|&other| pictures[other]);
                // A pair that agrees in an earlier share was compared there.
                let earlier = &masks[..number];
                found.extend(others.filter_map(|other| alike(pictures[at], other, earlier)));
                if found.len() > MOST {
                    return None;
                }
            }
        }
    }
    found.sort_by_key(|pair| (pair.a, pair.b));
    Some(found)
}

/// The bits of a hash in `RADIUS + 1` shares.
fn shares() -> Vec<u64> {
    let shares = RADIUS + 1;
    let bits = |number: usize| (0..64).filter(move |bit| bit % shares == number);
    (0..shares).map(|number| bits(number).fold(0, |mask, bit| mask | 1 << bit)).collect()
}

/// Two images, if they are nearly equal and their hashes agree in none of these shares.
fn alike(
    (a, one): (usize, &Picture),
    (b, other): (usize, &Picture),
    shares: &[u64],
) -> Option<Near> {
    let differing = one.hash ^ other.hash;
    let distance = differing.count_ones();
    if distance as usize > RADIUS || shares.iter().any(|share| differing & share == 0) {
        return None;
    }
    let correlation = one.correlation(other);
    (correlation >= ALIKE).then_some(Near { a, b, distance, correlation })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::sketch::drawn::{noise, picture};
    use super::*;

    #[test]
    fn lighter_and_larger_images_are_near_and_others_are_not() {
        let images = [noise(1, 28, 0), noise(1, 28, 9), noise(1, 56, 0), noise(2, 28, 0)];
        let pictures: Vec<Picture> = images.into_iter().filter_map(Picture::of).collect();
        let numbered: Vec<(usize, &Picture)> = pictures.iter().enumerate().collect();
        let found = near(&numbered, 0).unwrap();
        let pairs: Vec<(usize, usize)> = found.iter().map(|near| (near.a, near.b)).collect();
        assert_eq!(pairs, [(0, 1), (0, 2), (1, 2)]);
        assert!(Picture::of(picture(|_, _| 7, 28)).is_none(), "one shade has no features");
    }

    /// 240 images, 6 of each of 40 kinds, whose hashes differ in any bits: in one more from each of a
    /// kind to the next.
    fn spotted() -> Vec<Picture> {
        let image = |kind: usize, changed: usize| {
            let mut picture = Picture::of(noise(kind, 28, 0)).unwrap();
            for bit in 0..changed {
                picture.hash ^= 1 << ((kind * 11 + bit * bit * 7) % 64);
            }
            picture
        };
        (0..240).map(|at| image(at / 6, at % 6)).collect()
    }

    #[test]
    fn no_pair_is_missed_that_a_look_at_all_pairs_finds() {
        let pictures = spotted();
        let numbered: Vec<(usize, &Picture)> = pictures.iter().enumerate().collect();
        let all = |second: usize| -> Vec<Near> {
            let pair = |a: usize| (a + 1..pictures.len()).map(move |b| (a, b));
            let pairs = (0..pictures.len()).flat_map(pair);
            let across = pairs.filter(|(a, b)| second == 0 || (*a < second && *b >= second));
            across.filter_map(|(a, b)| alike(numbered[a], numbered[b], &[])).collect()
        };
        for second in [0, 99] {
            assert_eq!(near(&numbered, second).unwrap(), all(second));
        }
        let told: BTreeSet<u32> = all(0).iter().map(|near| near.distance).collect();
        assert_eq!(told, (0..=4).collect(), "hashes at every distance are there");
        assert!(!all(99).is_empty(), "some lie across");
    }
}
