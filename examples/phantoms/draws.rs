//! Random numbers whose values are ours.
//!
//! Only the words of a `ChaCha8` stream are taken from a library; every distribution is
//! worked out here. A new version of `rand` therefore cannot change a picture.

use std::ops::Range;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// A stream of draws.
#[derive(Debug)]
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    /// The stream of one patient. Streams never meet, so drawing more patients, or more
    /// for one patient, leaves the others as they were.
    pub(crate) fn of_patient(seed: u64, set: u64, patient: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&set.to_le_bytes());
        let mut stream = ChaCha8Rng::from_seed(key);
        stream.set_stream(patient);
        Self(stream)
    }

    /// Uniform in `[0, 1)`, on a grid of 2^-32.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / 4_294_967_296.0
    }

    /// Uniform within `range`.
    pub(crate) fn within(&mut self, range: Range<f64>) -> f64 {
        range.start + (range.end - range.start) * self.unit()
    }

    /// Near enough normal: mean 0, standard deviation 1, never beyond 6.
    ///
    /// The sum of twelve uniforms needs no logarithm, whose last bit differs between
    /// platforms.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// True with the given probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// -1 or 1: a side of the body.
    pub(crate) fn side(&mut self) -> f64 {
        if self.chance(0.5) { -1.0 } else { 1.0 }
    }

    /// An item by weight. The weights need not sum to one.
    pub(crate) fn weighted<T: Copy>(&mut self, items: &[(T, f64)]) -> T {
        let total: f64 = items.iter().map(|(_, weight)| weight).sum();
        let mut left = self.unit() * total;
        for &(item, weight) in items {
            left -= weight;
            if left < 0.0 {
                return item;
            }
        }
        items.last().expect("callers offer at least one item").0
    }
}
