//! Random changes of images while a network is trained: each draws from named streams, by seed,
//! epoch and item, so that arms of one study see the same images.

mod colour;
mod warp;

use crate::base::Seed;
use crate::base::language::{Above0, Count, Share, choice, keys};

use self::warp::Warp;
use super::input::{InputRule, SampleSlice};

keys! {
    /// Random changes of training images, drawn anew in each epoch. Items of val and test stay as
    /// they are. They are made on images of the model's size, before values are scaled; where
    /// something lies outside of the image there are zeros.
    pub struct Augment {
        /// Mirrored, or not, with equal chance.
        flip: Option<Flip> = None,
        /// Moved by whole pixels, up to this share of height and width.
        shift: Option<Share> = None,
        /// Cut out.
        crop: Option<Crop> = None,
        /// Turned by up to this many degrees, either way.
        rotate: Option<Above0> = None,
        /// Values times a factor that differs from 1 by up to this much.
        brightness: Option<Share> = None,
        /// Distances from the image's mean times a factor that differs from 1 by up to this much.
        contrast: Option<Share> = None,
        /// Normal noise of this standard deviation, as a share of the range of values.
        noise: Option<Above0> = None,
        /// Changed copies of each item where the lower part of a model is frozen: they pass through
        /// it once, and epochs take turns. Elsewhere every epoch draws its own.
        views: Count = Count(4),
    }
}

choice! {
    /// Along which axes images are mirrored.
    pub enum Flip {
        /// Left and right change places.
        "horizontal" => Horizontal,
        /// Top and bottom change places.
        "vertical" => Vertical,
        /// Either, each by itself.
        "both" => Both,
    }
}

choice! {
    /// What is cut out of an image.
    pub enum Crop {
        /// A window of the image's size, after this many pixels are added on each side.
        "padded" => Padded(Count),
        /// A window of at least this share of the area, of proportions from 3:4 to 4:3, stretched to
        /// the image's size.
        "resized" => Resized(Share),
    }
}

/// Streams, one for each purpose: adding a change leaves the others as they are.
const PURPOSES: [&str; 7] = [
    "augment flip",
    "augment shift",
    "augment crop",
    "augment rotate",
    "augment brightness",
    "augment contrast",
    "augment noise",
];

/// Which of an item's changed images is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The repetition.
    pub seed: Seed,
    /// The epoch, from 0.
    pub epoch: usize,
    /// The item's position in its data set.
    pub item: usize,
}

impl View {
    /// The stream of a purpose.
    fn stream(self, purpose: usize) -> crate::base::Stream {
        self.seed.stream(PURPOSES[purpose], &format!("epoch {} item {}", self.epoch, self.item))
    }
}

impl Augment {
    /// Whether images would stay as they are.
    pub fn is_nothing(&self) -> bool {
        !self.moves()
            && self.brightness.is_none()
            && self.contrast.is_none()
            && self.noise.is_none()
    }

    /// Whether pixels change their places.
    pub fn moves(&self) -> bool {
        let Self { flip, shift, crop, rotate, .. } = self;
        flip.is_some() || shift.is_some() || crop.is_some() || rotate.is_some()
    }

    /// Why images of this rule cannot be changed so.
    pub fn contradiction(&self, rule: &InputRule) -> Option<String> {
        let [_, height, width] = rule.extents();
        if self.is_nothing() {
            return Some("`augment` says nothing that changes an image".to_owned());
        }
        (self.moves() && (height == 1 || width == 1)).then(|| {
            format!(
                "items of {height}×{width} values are no images: they cannot be flipped, shifted, \
                 cropped or rotated"
            )
        })
    }

    /// A view of a fitted image, height × width × channels, row-major; values from 0 to 255 where
    /// they are bytes, else in the range that the rule scales by.
    pub fn apply(&self, samples: SampleSlice<'_>, rule: &InputRule, view: View) -> Vec<f32> {
        let [channels, height, width] = rule.extents();
        let (floats, range, limits) = match samples {
            SampleSlice::Bytes(bytes) => {
                let floats: Vec<f32> = bytes.iter().map(|value| f32::from(*value)).collect();
                (floats, 255.0, Some((0.0, 255.0)))
            }
            SampleSlice::Floats(floats) => (floats.to_vec(), rule.scale.get() as f32, None),
        };
        let warp = self.warp(height, width, view);
        let mut image = warp.apply(floats, (height, width, channels));
        self.recolour(&mut image, (range, limits), view);
        image
    }

    /// Draws where pixels go.
    fn warp(&self, height: usize, width: usize, view: View) -> Warp {
        let mut warp = Warp::new(height, width);
        if let Some(crop) = &self.crop {
            let mut stream = view.stream(2);
            match crop {
                Crop::Padded(pad) => {
                    let mut offset = || stream.below(2 * pad.0 + 1) as f64 - pad.0 as f64;
                    let (down, right) = (offset(), offset());
                    warp.shift(down, right);
                }
                Crop::Resized(least) => warp.window(least.get(), &mut stream),
            }
        }
        if let Some(degrees) = self.rotate {
            let turn = 2.0 * view.stream(3).uniform() - 1.0;
            warp.rotate((turn * degrees.get()).to_radians());
        }
        if let Some(share) = self.shift {
            let mut stream = view.stream(1);
            let mut offset = |extent: usize| {
                let most = (share.get() * extent as f64).floor() as usize;
                stream.below(2 * most + 1) as f64 - most as f64
            };
            let (down, right) = (offset(height), offset(width));
            warp.shift(down, right);
        }
        if let Some(flip) = &self.flip {
            let mut stream = view.stream(0);
            let [first, second] = [stream.below(2) == 1, stream.below(2) == 1];
            warp.flip(match flip {
                Flip::Horizontal => (false, first),
                Flip::Vertical => (first, false),
                Flip::Both => (second, first),
            });
        }
        warp
    }

    /// Changes values, brightness first, noise last.
    fn recolour(&self, image: &mut [f32], (range, limits): (f32, Option<(f32, f32)>), view: View) {
        let factor = |share: Share, purpose: usize| {
            (1.0 + share.get() * (2.0 * view.stream(purpose).uniform() - 1.0)) as f32
        };
        if let Some(share) = self.brightness {
            colour::brightness(image, factor(share, 4));
        }
        if let Some(share) = self.contrast {
            colour::contrast(image, factor(share, 5));
        }
        if let Some(deviation) = self.noise {
            colour::noise(image, deviation.get() * f64::from(range), &mut view.stream(6));
        }
        if let Some((least, most)) = limits {
            for value in image {
                *value = value.clamp(least, most);
            }
        }
    }

    /// What it does, on one line, for labels.
    pub fn words(&self) -> String {
        let json = serde_json::json!(self);
        let said = json.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let pair = |(key, value): (&String, &serde_json::Value)| {
            let value = value.to_string();
            format!("{key} {}", value.replace(['"', '{', '}'], "").replace(':', " "))
        };
        said.map(pair).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::Size;
    use super::*;

    fn view(epoch: usize, item: usize) -> View {
        View { seed: Seed(0), epoch, item }
    }

    fn nothing() -> Augment {
        crate::base::language::defaults()
    }

    fn rule(height: usize, width: usize, channels: usize) -> InputRule {
        InputRule::plain(Size { height, width }, channels)
    }

    fn ramp(length: usize) -> Vec<f32> {
        (0..length).map(|value| value as f32).collect()
    }

    fn views(augment: &Augment, count: usize) -> Vec<Vec<f32>> {
        let image = ramp(12);
        let slice = SampleSlice::Floats(&image);
        (0..count).map(|epoch| augment.apply(slice, &rule(3, 4, 1), view(epoch, 0))).collect()
    }

    #[test]
    fn an_image_is_mirrored_about_half_of_the_time() {
        let flip = Augment { flip: Some(Flip::Horizontal), ..nothing() };
        let mirrored = vec![3., 2., 1., 0., 7., 6., 5., 4., 11., 10., 9., 8.];
        let all = views(&flip, 100);
        let count = all.iter().filter(|image| **image == mirrored).count();
        assert!(all.iter().all(|image| *image == mirrored || *image == ramp(12)));
        // Five standard deviations of a fair coin.
        assert!((25..=75).contains(&count), "{count}");
        let flip = Augment { flip: Some(Flip::Vertical), ..nothing() };
        let turned = vec![8., 9., 10., 11., 4., 5., 6., 7., 0., 1., 2., 3.];
        assert!(views(&flip, 20).contains(&turned));
        let both = Augment { flip: Some(Flip::Both), ..nothing() };
        let distinct: std::collections::BTreeSet<String> =
            views(&both, 40).iter().map(|image| format!("{image:?}")).collect();
        assert_eq!(distinct.len(), 4);
    }

    #[test]
    fn what_is_moved_in_from_outside_is_zero() {
        let crop = Augment { crop: Some(Crop::Padded(Count(1))), ..nothing() };
        let up_left = vec![5., 6., 7., 0., 9., 10., 11., 0., 0., 0., 0., 0.];
        let all = views(&crop, 200);
        assert!(all.contains(&up_left) && all.contains(&ramp(12)));
        let shift = Augment { shift: Share::new(0.34), ..nothing() };
        let all = views(&shift, 200);
        assert!(all.contains(&up_left));
        assert!(all.iter().all(|image| image.iter().all(|value| value.fract() == 0.0)));
    }

    #[test]
    fn a_view_is_fixed_by_seed_epoch_and_item_and_another_change_leaves_it() {
        let crop = Augment { crop: Some(Crop::Padded(Count(2))), ..nothing() };
        let image = ramp(64);
        let of = |augment: &Augment, view| {
            augment.apply(SampleSlice::Floats(&image), &rule(8, 8, 1), view)
        };
        assert_eq!(of(&crop, view(3, 5)), of(&crop, view(3, 5)));
        let others = [view(4, 5), view(3, 6), View { seed: Seed(1), ..view(3, 5) }];
        assert!(others.iter().any(|other| of(&crop, *other) != of(&crop, view(3, 5))));
        let brighter = Augment { brightness: Share::new(0.5), ..crop.clone() };
        let (plain, bright) = (of(&crop, view(3, 5)), of(&brighter, view(3, 5)));
        let index = plain.iter().position(|value| *value > 0.0).unwrap();
        let factor = bright[index] / plain[index];
        assert!((factor - 1.0).abs() > 1e-4 && (factor - 1.0).abs() <= 0.5, "{factor}");
        let near = plain.iter().zip(&bright).all(|(a, b)| (a * factor - b).abs() < 1e-3);
        assert!(near, "{plain:?} {bright:?}");
    }

    #[test]
    fn bytes_stay_in_their_range() {
        let noisy = Augment { noise: Above0::new(1.0), ..nothing() };
        let bytes = [0_u8, 255].repeat(32);
        let image = noisy.apply(SampleSlice::Bytes(&bytes), &rule(8, 8, 1), view(0, 0));
        assert!(image.iter().all(|value| (0.0..=255.0).contains(value)), "{image:?}");
        assert!(image.iter().any(|value| value.fract() > 0.0), "{image:?}");
    }

    #[test]
    fn rows_of_numbers_are_no_images() {
        let flip = Augment { flip: Some(Flip::Both), ..nothing() };
        let told = flip.contradiction(&rule(1, 30, 1)).unwrap();
        assert!(told.starts_with("items of 1×30 values are no images"), "{told}");
        let noise = Augment { noise: Above0::new(0.1), ..nothing() };
        assert_eq!(noise.contradiction(&rule(1, 30, 1)), None);
        assert!(nothing().contradiction(&rule(8, 8, 1)).is_some());
    }

    #[test]
    fn words_tell_all_that_makes_a_difference() {
        let both = Augment {
            flip: Some(Flip::Horizontal),
            crop: Some(Crop::Padded(Count(4))),
            ..nothing()
        };
        assert_eq!(both.words(), "crop padded 4, flip horizontal, views 4");
    }
}
