//! Image files: how they are read, and the groups that their names tell.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ColorType, DynamicImage, ImageReader};

use crate::base::Digest;
use crate::base::language::Pattern;

use super::super::dataset::{OpenError, ReadError, Source};
use super::super::pixels::{Pixels, Samples};

/// Images by row.
pub(super) struct Images {
    paths: Vec<PathBuf>,
}

impl Images {
    /// Images of these files, one a row.
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths }
    }
}

impl Source for Images {
    fn pixels(&self, row: usize) -> Result<Pixels, ReadError> {
        pixels_of(&self.paths[row])
    }

    fn digest(&self, row: usize) -> Result<Digest, ReadError> {
        let path = &self.paths[row];
        Digest::of_file(path)
            .map_err(|cause| ReadError { path: path.clone(), cause: cause.to_string() })
    }
}

/// The pixels of a JPEG or PNG file.
pub fn pixels_of(path: &Path) -> Result<Pixels, ReadError> {
    let refused = |cause: String| ReadError { path: path.to_owned(), cause };
    let bytes = fs::read(path).map_err(|error| refused(error.to_string()))?;
    if is_cut_off_jpeg(&bytes) {
        return Err(refused("the JPEG is cut off before its end".to_owned()));
    }
    let reader = ImageReader::new(Cursor::new(bytes));
    let reader = reader.with_guessed_format().map_err(|error| refused(error.to_string()))?;
    let image = reader.decode().map_err(|error| refused(error.to_string()))?;
    plain(image).map_err(refused)
}

/// Whether a JPEG's last scan has no end. Decoders fill what is missing with grey and say nothing.
/// Neither marker can occur within the coded data of a scan.
fn is_cut_off_jpeg(bytes: &[u8]) -> bool {
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|pair| pair == marker);
    let (start_of_scan, end_of_image) = (last([0xff, 0xda]), last([0xff, 0xd9]));
    bytes.starts_with(&[0xff, 0xd8]) && end_of_image <= start_of_scan
}

/// Grey or red, green, blue, from 0 to 255; 16 bits a channel become fractions of that. Nothing is
/// dropped in silence.
fn plain(image: DynamicImage) -> Result<Pixels, String> {
    let (height, width) = (image.height() as usize, image.width() as usize);
    let image = opaque(image)?;
    let channels = usize::from(image.color().channel_count());
    let samples = match image {
        DynamicImage::ImageLuma8(grey) => Samples::Bytes(grey.into_raw()),
        DynamicImage::ImageRgb8(colour) => Samples::Bytes(colour.into_raw()),
        DynamicImage::ImageLuma16(grey) => Samples::Floats(of_16_bits(&grey)),
        DynamicImage::ImageRgb16(colour) => Samples::Floats(of_16_bits(&colour)),
        other => return Err(format!("pixels of type {:?} are not read", other.color())),
    };
    Ok(Pixels { height, width, channels, samples })
}

/// 0 to 65535 as 0 to 255, fractions kept: 257 · 255 = 65535, so white is white at either depth.
fn of_16_bits(values: &[u16]) -> Vec<f32> {
    values.iter().map(|&value| f32::from(value) / 257.0).collect()
}

/// The image without its alpha channel, which must hide nothing.
fn opaque(image: DynamicImage) -> Result<DynamicImage, String> {
    if !image.color().has_alpha() {
        return Ok(image);
    }
    if image.to_rgba16().pixels().any(|pixel| pixel.0[3] != u16::MAX) {
        return Err("it is partly transparent; save it without an alpha channel".to_owned());
    }
    Ok(match image.color() {
        ColorType::La8 => image.to_luma8().into(),
        ColorType::Rgba8 => image.to_rgb8().into(),
        ColorType::La16 => image.to_luma16().into(),
        ColorType::Rgba16 => image.to_rgb16().into(),
        _ => image,
    })
}

/// The part of a text that a pattern calls `group`; `id` names the image in messages.
pub(super) fn group(pattern: &Pattern, file: &str, id: &str) -> Result<String, OpenError> {
    if !pattern.0.capture_names().any(|name| name == Some("group")) {
        let message = format!("the pattern `{}` names no part `group`", pattern.0);
        return Err(OpenError::new(message).help("mark it as in `(?<group>p\\d+)_.*`"));
    }
    let found = pattern.0.captures(file).and_then(|captures| captures.name("group"));
    let missing = || {
        OpenError::new(format!("the pattern `{}` finds no group in `{id}`", pattern.0))
            .help("every image needs its group, or those of one person may stand on two sides")
    };
    found.map(|part| part.as_str().to_owned()).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, Luma, LumaA, Rgb, Rgba};

    use super::*;

    #[test]
    fn a_jpeg_cut_off_anywhere_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("whole.jpg");
        let shade = |x: u32, y: u32| image::Luma([(x * 7 + y * 3) as u8]);
        image::GrayImage::from_fn(32, 32, shade).save(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        let cut = folder.path().join("cut.jpg");
        let images = Images::new(vec![path, cut.clone()]);
        assert!(images.pixels(0).is_ok());
        for length in 0..whole.len() {
            crate::base::atomic::write(&cut, &whole[..length]).unwrap();
            assert!(images.pixels(1).is_err(), "cut at {length} of {}", whole.len());
        }
    }

    fn saved(image: &DynamicImage) -> Result<Pixels, ReadError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.png");
        image.save(&path).unwrap();
        Images::new(vec![path]).pixels(0)
    }

    #[test]
    fn images_of_16_bits_are_read_at_full_depth_on_the_scale_of_8() {
        let values = vec![0_u16, 257, 65535, 1];
        let grey = ImageBuffer::<Luma<u16>, _>::from_raw(2, 2, values).unwrap();
        let read = saved(&grey.into()).unwrap();
        assert_eq!(read.channels, 1);
        assert_eq!(read.samples, Samples::Floats(vec![0.0, 1.0, 255.0, 1.0 / 257.0]));
        let colour = ImageBuffer::<Rgb<u16>, _>::from_raw(1, 1, vec![65535, 514, 0]).unwrap();
        let read = saved(&colour.into()).unwrap();
        assert_eq!((read.channels, read.samples), (3, Samples::Floats(vec![255.0, 2.0, 0.0])));
    }

    #[test]
    fn an_alpha_channel_may_hide_nothing_at_either_depth() {
        let clear = |alpha| ImageBuffer::<LumaA<u16>, _>::from_raw(1, 1, vec![257, alpha]).unwrap();
        let read = saved(&clear(65535).into()).unwrap();
        assert_eq!((read.channels, read.samples), (1, Samples::Floats(vec![1.0])));
        assert!(saved(&clear(65534).into()).unwrap_err().cause.contains("transparent"));
        let glass = ImageBuffer::<Rgba<u8>, _>::from_raw(1, 1, vec![1, 2, 3, 254]).unwrap();
        assert!(saved(&glass.into()).unwrap_err().cause.contains("transparent"));
    }
}
