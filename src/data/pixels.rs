//! Pixels as a source has them.

/// An image, or a row of numbers seen as one: height × width × channels, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 for grey, 3 for red, green, blue; anything for numbers.
    pub channels: usize,
    /// The values.
    pub samples: Samples,
}

/// Values of pixels.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// 0 to 255.
    Bytes(Vec<u8>),
    /// Any numbers.
    Floats(Vec<f32>),
}

impl Samples {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(values) => values.len(),
            Self::Floats(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as floats.
    #[must_use]
    pub fn into_floats(self) -> Vec<f32> {
        match self {
            Self::Bytes(values) => values.into_iter().map(f32::from).collect(),
            Self::Floats(values) => values,
        }
    }

    /// Adds values; all become floats as soon as some are.
    pub fn extend(&mut self, more: Self) {
        match (&mut *self, more) {
            (Self::Bytes(values), Self::Bytes(more)) => values.extend(more),
            (Self::Floats(values), more) => values.extend(more.into_floats()),
            (Self::Bytes(values), Self::Floats(more)) => {
                let mut floats = Self::Bytes(std::mem::take(values)).into_floats();
                floats.extend(more);
                *self = Self::Floats(floats);
            }
        }
    }
}

impl Pixels {
    /// With one channel or three: grey is repeated, colour is weighted by BT.601
    /// (0.299 R + 0.587 G + 0.114 B).
    pub fn with_channels(self, channels: usize) -> Result<Self, String> {
        match (self.channels, channels) {
            (have, want) if have == want => Ok(self),
            (1, 3) => Ok(self.repeated()),
            (3, 1) => Ok(self.grey()),
            (have, want) => Err(format!("it has {have} channels and cannot be turned into {want}")),
        }
    }

    fn repeated(self) -> Self {
        fn three<T: Copy>(values: &[T]) -> Vec<T> {
            values.iter().flat_map(|&value| [value; 3]).collect()
        }
        let samples = match &self.samples {
            Samples::Bytes(values) => Samples::Bytes(three(values)),
            Samples::Floats(values) => Samples::Floats(three(values)),
        };
        Self { channels: 3, samples, ..self }
    }

    fn grey(self) -> Self {
        fn weighted(r: f32, g: f32, b: f32) -> f32 {
            0.299 * r + 0.587 * g + 0.114 * b
        }
        let samples = match &self.samples {
            Samples::Bytes(values) => {
                let grey = |rgb: &[u8]| {
                    weighted(f32::from(rgb[0]), f32::from(rgb[1]), f32::from(rgb[2])).round() as u8
                };
                Samples::Bytes(values.chunks_exact(3).map(grey).collect())
            }
            Samples::Floats(values) => {
                let grey = |rgb: &[f32]| weighted(rgb[0], rgb[1], rgb[2]);
                Samples::Floats(values.chunks_exact(3).map(grey).collect())
            }
        };
        Self { channels: 1, samples, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_floats_beside_floats() {
        let mut samples = Samples::Bytes(vec![1, 255]);
        samples.extend(Samples::Bytes(vec![2]));
        assert_eq!(samples, Samples::Bytes(vec![1, 255, 2]));
        samples.extend(Samples::Floats(vec![0.5]));
        samples.extend(Samples::Bytes(vec![3]));
        assert_eq!(samples, Samples::Floats(vec![1.0, 255.0, 2.0, 0.5, 3.0]));
    }

    #[test]
    fn grey_is_repeated_and_colour_is_weighted() {
        let grey =
            Pixels { height: 1, width: 2, channels: 1, samples: Samples::Bytes(vec![10, 200]) };
        let colour = grey.clone().with_channels(3).unwrap();
        assert_eq!(colour.samples, Samples::Bytes(vec![10, 10, 10, 200, 200, 200]));
        assert_eq!(colour.with_channels(1).unwrap(), grey);
        let red =
            Pixels { height: 1, width: 1, channels: 3, samples: Samples::Bytes(vec![255, 0, 0]) };
        assert_eq!(red.with_channels(1).unwrap().samples, Samples::Bytes(vec![76]));
    }
}
