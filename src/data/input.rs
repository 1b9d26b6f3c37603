//! What a model wants to see: size, channels, order, scale, mean and standard deviation.

use fast_image_resize as resize;
use serde_json::{Value as Json, json};

use crate::base::language::{Above0, Count, OneOrMore, Read, choice, keys, unexpected};
use crate::base::{Found, Written};

use super::pixels::{Pixels, Samples};

keys! {
    /// How pixels become the input of a model: (value / scale − mean) / std, channel by channel,
    /// after resizing. Must be what the model was trained with.
    pub struct InputRule {
        /// Height and width; one number for a square.
        size: Size,
        /// 1 for grey, 3 for colour. Grey is repeated; colour is weighted by BT.601.
        channels: Count = Count(3),
        /// Order of the three channels.
        order: ChannelOrder = ChannelOrder::Rgb,
        /// What values are divided by first; 255 turns bytes into 0 to 1, and images of 16 bits
        /// too, as they are read on the same scale.
        scale: Above0 = Above0::new(255.0).expect("a default above 0"),
        /// What is subtracted then; one number, or one for each channel.
        mean: Values = Values(vec![0.0]),
        /// What is divided by last; one number, or one for each channel.
        std: Values = Values(vec![1.0]),
        /// How an image of another shape is fitted.
        fit: Fit = Fit::Stretch,
    }
}

choice! {
    /// Order of colour channels.
    pub enum ChannelOrder {
        /// Red, green, blue.
        "rgb" => Rgb,
        /// Blue, green, red.
        "bgr" => Bgr,
    }
}

choice! {
    /// How an image is fitted into another shape.
    pub enum Fit {
        /// Stretched to the size; nothing is lost, proportions change.
        "stretch" => Stretch,
        /// Scaled until it covers the size, then the middle is cut out.
        "cover" => Cover,
    }
}

/// Height and width in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// As it is read.
impl serde::Serialize for Size {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.height == self.width {
            true => serde::Serialize::serialize(&self.height, serializer),
            false => serde::Serialize::serialize(&[self.height, self.width], serializer),
        }
    }
}

impl Read for Size {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        let numbers = OneOrMore::<Count>::read(written, found)?;
        match numbers.0[..] {
            [side] => Some(Self { height: side.0, width: side.0 }),
            [height, width] => Some(Self { height: height.0, width: width.0 }),
            _ => {
                found.add(unexpected(written, "one number, or height and width"));
                None
            }
        }
    }

    fn schema() -> Json {
        let mut schema = OneOrMore::<Count>::schema();
        schema["title"] = json!("a number of pixels, or `[height, width]`");
        schema
    }
}

/// One number, or one for each channel.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Values(pub Vec<f64>);

impl Values {
    fn of(&self, channel: usize) -> f32 {
        self.0.get(channel).or(self.0.first()).copied().unwrap_or_default() as f32
    }
}

impl Read for Values {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        OneOrMore::<f64>::read(written, found).map(|values| Self(values.0))
    }

    fn schema() -> Json {
        let mut schema = OneOrMore::<f64>::schema();
        schema["title"] = json!("a number, or a list with one for each channel");
        schema
    }
}

impl InputRule {
    /// Pixels of a size as they are, neither scaled nor shifted.
    pub fn plain(size: Size, channels: usize) -> Self {
        Self {
            size,
            channels: Count(channels),
            order: ChannelOrder::Rgb,
            scale: Above0::ONE,
            mean: Values(vec![0.0]),
            std: Values(vec![1.0]),
            fit: Fit::Stretch,
        }
    }

    /// What is wrong with the rule as a whole.
    pub fn contradiction(&self) -> Option<String> {
        let channels = self.channels.0;
        let fits = |values: &Values| values.0.len() == 1 || values.0.len() == channels;
        if self.order == ChannelOrder::Bgr && channels != 3 {
            return Some("`order: bgr` needs 3 channels".to_owned());
        }
        if !fits(&self.mean) || !fits(&self.std) {
            return Some(format!(
                "`mean` and `std` have one number, or one for each of {channels}"
            ));
        }
        self.std.0.contains(&0.0).then(|| "`std` must not be 0".to_owned())
    }

    /// Shape of one item as models have it: channels × height × width.
    pub fn item(&self) -> [usize; 3] {
        [self.channels.0, self.size.height, self.size.width]
    }

    /// Number of values of one item.
    pub fn length(&self) -> usize {
        self.item().iter().product()
    }

    /// An image at the model's size and channels, not scaled yet.
    pub fn fitted(&self, pixels: Pixels) -> Result<Pixels, String> {
        let pixels = pixels.with_channels(self.channels.0)?;
        if (pixels.height, pixels.width) == (self.size.height, self.size.width) {
            return Ok(pixels);
        }
        resized(&pixels, self.size, &self.fit)
    }

    /// Writes a fitted image as the model wants it: channel by channel, normalised.
    ///
    /// # Panics
    /// If `into` has not the length of one item; a mistake of the caller.
    pub fn normalise(&self, samples: SampleSlice<'_>, into: &mut [f32]) {
        let channels = self.channels.0;
        let plane = self.size.height * self.size.width;
        assert_eq!(into.len(), plane * channels);
        let scale = self.scale.get() as f32;
        for channel in 0..channels {
            let from = match self.order {
                ChannelOrder::Rgb => channel,
                ChannelOrder::Bgr => channels - 1 - channel,
            };
            let (mean, std) = (self.mean.of(channel), self.std.of(channel));
            let target = &mut into[channel * plane..(channel + 1) * plane];
            let normal = |value: f32| (value / scale - mean) / std;
            match samples {
                SampleSlice::Bytes(bytes) => {
                    for (to, pixel) in target.iter_mut().zip(bytes.chunks_exact(channels)) {
                        *to = normal(f32::from(pixel[from]));
                    }
                }
                SampleSlice::Floats(floats) => {
                    for (to, pixel) in target.iter_mut().zip(floats.chunks_exact(channels)) {
                        *to = normal(pixel[from]);
                    }
                }
            }
        }
    }
}

/// Borrowed values of a fitted image.
#[derive(Clone, Copy, Debug)]
pub enum SampleSlice<'a> {
    /// 0 to 255.
    Bytes(&'a [u8]),
    /// Any numbers.
    Floats(&'a [f32]),
}

impl Samples {
    /// Borrows the values.
    pub fn as_slice(&self) -> SampleSlice<'_> {
        match self {
            Self::Bytes(values) => SampleSlice::Bytes(values),
            Self::Floats(values) => SampleSlice::Floats(values),
        }
    }
}

/// Antialiased bilinear resizing with pixel centres at halves.
fn resized(pixels: &Pixels, size: Size, fit: &Fit) -> Result<Pixels, String> {
    use resize::images::Image;
    let kind = match (&pixels.samples, pixels.channels) {
        (Samples::Bytes(_), 1) => resize::PixelType::U8,
        (Samples::Bytes(_), 3) => resize::PixelType::U8x3,
        (Samples::Floats(_), 1) => resize::PixelType::F32,
        (Samples::Floats(_), 3) => resize::PixelType::F32x3,
        (_, channels) => return Err(format!("{channels} channels cannot be resized")),
    };
    let bytes = match &pixels.samples {
        Samples::Bytes(values) => values.clone(),
        Samples::Floats(values) => values.iter().flat_map(|v| v.to_ne_bytes()).collect(),
    };
    let told = |error: &dyn std::fmt::Display| format!("it cannot be resized: {error}");
    let (width, height) = (pixels.width as u32, pixels.height as u32);
    let from = Image::from_vec_u8(width, height, bytes, kind).map_err(|e| told(&e))?;
    let mut to = Image::new(size.width as u32, size.height as u32, kind);
    let bilinear = resize::ResizeAlg::Convolution(resize::FilterType::Bilinear);
    let options = resize::ResizeOptions::new().resize_alg(bilinear);
    let options = match fit {
        Fit::Stretch => options,
        Fit::Cover => options.fit_into_destination(None),
    };
    resize::Resizer::new().resize(&from, &mut to, Some(&options)).map_err(|e| told(&e))?;
    let samples = match pixels.samples {
        Samples::Bytes(_) => Samples::Bytes(to.into_vec()),
        Samples::Floats(_) => {
            let floats = to.buffer().chunks_exact(4);
            let read = |piece: &[u8]| f32::from_ne_bytes([piece[0], piece[1], piece[2], piece[3]]);
            Samples::Floats(floats.map(read).collect())
        }
    };
    Ok(Pixels { height: size.height, width: size.width, channels: pixels.channels, samples })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(size: usize, channels: usize) -> InputRule {
        InputRule {
            size: Size { height: size, width: size },
            channels: Count(channels),
            order: ChannelOrder::Rgb,
            scale: Above0::new(255.0).unwrap(),
            mean: Values(vec![0.5]),
            std: Values(vec![0.25]),
            fit: Fit::Stretch,
        }
    }

    /// Whether two pixels agree up to the rounding of single precision.
    fn near(found: [f32; 3], expected: [f32; 3]) -> bool {
        found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6)
    }

    #[test]
    fn pixels_are_scaled_then_shifted_then_divided_channel_by_channel() {
        let rule = InputRule { mean: Values(vec![0.0, 0.5, 1.0]), ..rule(1, 3) };
        let mut out = [0.0; 3];
        rule.normalise(SampleSlice::Bytes(&[255, 0, 51]), &mut out);
        assert!(near(out, [4.0, -2.0, -3.2]), "{out:?}");
        let bgr = InputRule { order: ChannelOrder::Bgr, mean: Values(vec![0.0]), ..rule };
        bgr.normalise(SampleSlice::Bytes(&[255, 0, 51]), &mut out);
        assert!(near(out, [0.8, 0.0, 4.0]), "{out:?}");
    }

    #[test]
    fn halving_averages_and_keeps_flat_areas_flat() {
        let values = vec![0, 0, 100, 100, 0, 0, 100, 100, 50, 50, 50, 50, 50, 50, 50, 50];
        let image = Pixels { height: 4, width: 4, channels: 1, samples: Samples::Bytes(values) };
        let small = rule(2, 1).fitted(image).unwrap();
        let Samples::Bytes(values) = small.samples else { panic!() };
        // The antialiasing triangle reaches one pixel beyond each 2×2 block.
        assert!(values[0] < values[1] && values[0] < 30 && values[1] > 70, "{values:?}");
        assert!((45..=55).contains(&values[2]), "{values:?}");
    }

    #[test]
    fn floats_are_resized_like_bytes() {
        let floats: Vec<f32> = (0..16).map(|value| value as f32).collect();
        let image = Pixels { height: 4, width: 4, channels: 1, samples: Samples::Floats(floats) };
        let Samples::Floats(values) = rule(8, 1).fitted(image).unwrap().samples else { panic!() };
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!((mean - 7.5).abs() < 1e-4, "{mean}");
    }

    #[test]
    fn a_rule_that_contradicts_itself_is_told() {
        assert!(InputRule { order: ChannelOrder::Bgr, ..rule(1, 1) }.contradiction().is_some());
        assert!(InputRule { mean: Values(vec![0.0, 1.0]), ..rule(1, 3) }.contradiction().is_some());
        assert!(InputRule { std: Values(vec![0.0]), ..rule(1, 1) }.contradiction().is_some());
        assert!(rule(1, 3).contradiction().is_none());
    }
}
