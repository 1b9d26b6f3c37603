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
        /// Order of the axes of an item.
        layout: Layout = Layout::Nchw,
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
    /// Order of the axes of an item.
    pub enum Layout {
        /// Channels, height, width; most models that come from `PyTorch`.
        "nchw" => Nchw,
        /// Height, width, channels; most models that come from `TensorFlow`.
        "nhwc" => Nhwc,
        /// One row of all values, in the order of `nchw`.
        "flat" => Flat,
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
            layout: Layout::Nchw,
            scale: Above0::ONE,
            mean: Values(vec![0.0]),
            std: Values(vec![1.0]),
            fit: Fit::Stretch,
        }
    }

    /// The rule as it would be written, on one line, without what goes without saying.
    pub fn written(&self) -> String {
        let number = |value: f64| value.to_string();
        let list = |values: &Values| match values.0[..] {
            [only] => number(only),
            ref many => {
                format!("[{}]", many.iter().map(|&v| number(v)).collect::<Vec<_>>().join(", "))
            }
        };
        let Size { height, width } = self.size;
        let size = match height == width {
            true => height.to_string(),
            false => format!("[{height}, {width}]"),
        };
        let plain =
            Self { scale: Above0::new(255.0).unwrap_or(Above0::ONE), ..Self::plain(self.size, 3) };
        let word = |json: Json| json.as_str().unwrap_or_default().to_owned();
        let pairs = [
            ("size", Some(size)),
            ("channels", Some(self.channels.0.to_string())),
            ("order", (self.order != plain.order).then(|| word(json!(self.order)))),
            ("layout", (self.layout != plain.layout).then(|| word(json!(self.layout)))),
            ("scale", (self.scale != plain.scale).then(|| number(self.scale.get()))),
            ("mean", (self.mean != plain.mean).then(|| list(&self.mean))),
            ("std", (self.std != plain.std).then(|| list(&self.std))),
            ("fit", (self.fit != plain.fit).then(|| word(json!(self.fit)))),
        ];
        let said = pairs.into_iter().filter_map(|(key, value)| Some(format!("{key}: {}", value?)));
        format!("{{ {} }}", said.collect::<Vec<_>>().join(", "))
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

    /// Channels, height and width of one item, whatever the order of its axes.
    pub fn extents(&self) -> [usize; 3] {
        [self.channels.0, self.size.height, self.size.width]
    }

    /// Shape of one item as the model has it, without the batch.
    pub fn item(&self) -> Vec<usize> {
        let [channels, height, width] = self.extents();
        match self.layout {
            Layout::Nchw => vec![channels, height, width],
            Layout::Nhwc => vec![height, width, channels],
            Layout::Flat => vec![channels * height * width],
        }
    }

    /// Number of values of one item.
    pub fn length(&self) -> usize {
        self.extents().iter().product()
    }

    /// An image at the model's size and channels, not scaled yet.
    pub fn fitted(&self, pixels: Pixels) -> Result<Pixels, String> {
        let pixels = pixels.with_channels(self.channels.0)?;
        if (pixels.height, pixels.width) == (self.size.height, self.size.width) {
            return Ok(pixels);
        }
        resized(&pixels, self.size, &self.fit)
    }

    /// Writes a fitted image as the model wants it: in its layout, normalised.
    ///
    /// # Panics
    /// If `into` has not the length of one item; a mistake of the caller.
    pub fn normalise(&self, samples: SampleSlice<'_>, into: &mut [f32]) {
        let channels = self.channels.0;
        let plane = self.size.height * self.size.width;
        assert_eq!(into.len(), plane * channels);
        let scale = self.scale.get() as f32;
        // Where the first value of a channel goes, and how far each is from the next.
        let (start, step) = match self.layout {
            Layout::Nchw | Layout::Flat => (plane, 1),
            Layout::Nhwc => (1, channels),
        };
        for channel in 0..channels {
            let from = match self.order {
                ChannelOrder::Rgb => channel,
                ChannelOrder::Bgr => channels - 1 - channel,
            };
            let (mean, std) = (self.mean.of(channel), self.std.of(channel));
            let target = into[channel * start..].iter_mut().step_by(step);
            let normal = |value: f32| (value / scale - mean) / std;
            match samples {
                SampleSlice::Bytes(bytes) => {
                    for (to, pixel) in target.zip(bytes.chunks_exact(channels)) {
                        *to = normal(f32::from(pixel[from]));
                    }
                }
                SampleSlice::Floats(floats) => {
                    for (to, pixel) in target.zip(floats.chunks_exact(channels)) {
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
            layout: Layout::Nchw,
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
    #[expect(clippy::float_cmp, reason = "values are copied, not computed")]
    fn values_lie_in_the_order_of_the_layout() {
        let mut rule = InputRule {
            size: Size { height: 1, width: 2 },
            ..InputRule::plain(rule(1, 1).size, 3)
        };
        let pixels = SampleSlice::Bytes(&[1, 2, 3, 4, 5, 6]);
        let mut out = [0.0; 6];
        for (layout, shape, values) in [
            (Layout::Nchw, vec![3, 1, 2], [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]),
            (Layout::Nhwc, vec![1, 2, 3], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            (Layout::Flat, vec![6], [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]),
        ] {
            rule.layout = layout;
            rule.normalise(pixels, &mut out);
            assert_eq!((rule.item(), out), (shape, values));
        }
        rule = InputRule { layout: Layout::Nhwc, order: ChannelOrder::Bgr, ..rule };
        rule.normalise(pixels, &mut out);
        assert_eq!(out, [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
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
