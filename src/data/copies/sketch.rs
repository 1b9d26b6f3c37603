//! What of an item is compared: what is decoded, and a small picture of images.

use std::f64::consts::PI;
use std::sync::LazyLock;

use crate::base::{Digest, Hasher};

use super::super::dataset::{Dataset, Item};
use super::super::input::{InputRule, Size};
use super::super::pixels::{Pixels, Samples};

/// The side of the image that is transformed.
const SIDE: usize = 32;
/// The side of the image that is correlated.
const SMALL: usize = 16;
/// The side of the square of coefficients.
const LOW: usize = 8;

/// As what items are compared.
#[derive(Clone, Copy)]
pub(super) enum As {
    /// Images: equal ones, and nearly equal ones.
    Images,
    /// Whatever the source holds, to the last value.
    Contents,
    /// Rows of values, whatever shape and source they have.
    Rows,
}

/// What of an item is compared.
pub(super) struct Sketch {
    /// Identity of all of it.
    pub content: Digest,
    /// What it looks like, if it is an image of more than one shade.
    pub picture: Option<Picture>,
}

impl Sketch {
    /// Nothing for an item that cannot be read.
    pub(super) fn of(dataset: &Dataset, item: &Item, compared: As) -> Option<Self> {
        match compared {
            As::Contents => Some(Self { content: dataset.content(item).ok()?, picture: None }),
            As::Rows => {
                let pixels = dataset.pixels_of(item).ok()?;
                let values = pixels.samples.into_floats();
                let row = Pixels {
                    height: 1,
                    width: values.len(),
                    channels: 1,
                    samples: Samples::Floats(values),
                };
                Some(Self { content: content(&row), picture: None })
            }
            As::Images => {
                let pixels = plain(dataset.pixels_of(item).ok()?);
                Some(Self { content: content(&pixels), picture: Picture::of(pixels) })
            }
        }
    }
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
pub(super) struct Picture {
    /// Signs of its lowest frequencies.
    pub hash: u64,
    /// Grey, of mean 0 and length 1.
    small: Vec<f32>,
}

impl Picture {
    /// Nothing for an image of one shade, which has no features to compare.
    pub(super) fn of(pixels: Pixels) -> Option<Self> {
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

    /// How much the small grey versions of two images correlate.
    pub(super) fn correlation(&self, other: &Self) -> f64 {
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

#[cfg(test)]
pub(super) mod drawn {
    //! Images to compare.

    use super::{Pixels, Samples};

    /// An image of these shades.
    pub(in super::super) fn picture(shade: impl Fn(usize, usize) -> u8, side: usize) -> Pixels {
        let values = (0..side * side).map(|at| shade(at / side, at % side)).collect();
        Pixels { height: side, width: side, channels: 1, samples: Samples::Bytes(values) }
    }

    /// Noise in blocks of a seventh of the side, another for each seed.
    pub(in super::super) fn noise(seed: usize, side: usize, lighter: u8) -> Pixels {
        let shade = |y: usize, x: usize| {
            let block = (y * 7 / side * 7 + x * 7 / side + seed * 49 + 1) as u32;
            (block.wrapping_mul(2_654_435_761) >> 25) as u8 + lighter
        };
        picture(shade, side)
    }
}

#[cfg(test)]
mod tests {
    use super::drawn::noise;
    use super::*;

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
}
