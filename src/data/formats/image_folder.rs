//! A folder of images: `[train|val|test/]CLASS/…/image.png`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ColorType, DynamicImage, ImageReader};

use crate::base::Digest;
use crate::base::language::{FilePath, Pattern, choice, keys};

use super::super::dataset::{Dataset, Item, OpenError, ReadError, Source, sort_classes};
use super::super::pixels::{Pixels, Samples};
use super::super::split::{Given, Part};

keys! {
    /// A folder of JPEG and PNG images.
    pub struct ImageFolder {
        /// The folder.
        path: FilePath,
        /// Where the class of an image is found.
        labels: Labels = Labels::ParentDir,
        /// Finds the group (a person, say) in an image's file name: the part named `group`, as in
        /// `(?<group>p\d+)_.*`. Images whose name does not match are an error.
        group: Option<Pattern> = None,
    }
}

choice! {
    /// Where the class of an image is found.
    pub enum Labels {
        /// The name of the folder that holds the image.
        "parent_dir" => ParentDir,
    }
}

impl ImageFolder {
    /// Lists the images; reads none.
    pub fn open(&self, beside: &Path, given: Option<&Given>) -> Result<Dataset, OpenError> {
        let root = self.path.resolve(beside);
        if !root.is_dir() {
            return Err(OpenError::new(format!("there is no folder {}", root.display()))
                .help(FilePath::HELP));
        }
        let by_folder = match given {
            None => false,
            Some(Given::Folders) => true,
            Some(Given::Column(_)) => {
                return Err(OpenError::new("a folder of images has no columns")
                    .help("write `given: folders`"));
            }
        };
        let mut files = Vec::new();
        list(&root, &mut BTreeSet::new(), &mut files).map_err(|cause| {
            OpenError::new(format!("the folder {} cannot be listed: {cause}", root.display()))
        })?;
        files.sort();
        let mut found = Vec::new();
        for path in files {
            found.push(self.describe(&root, path, by_folder)?);
        }
        if found.is_empty() {
            let message = format!("there is no JPEG or PNG image below {}", root.display());
            return Err(OpenError::new(message).help("images lie in a folder for each class"));
        }
        let classes = sort_classes(found.iter().map(|image| image.class.clone()));
        let (items, paths) = found
            .into_iter()
            .enumerate()
            .map(|(row, image)| {
                let label = classes.iter().position(|class| *class == image.class);
                let label = label.unwrap_or_default();
                let item = Item { id: image.id, label, group: image.group, part: image.part, row };
                (item, image.path)
            })
            .unzip();
        Ok(Dataset::new(classes, items, Box::new(Images { paths })))
    }

    fn describe(&self, root: &Path, path: PathBuf, by_folder: bool) -> Result<Found, OpenError> {
        let relative = path.strip_prefix(root).unwrap_or(&path);
        let names: Vec<String> =
            relative.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        let id = names.join("/");
        let [folders @ .., file] = &names[..] else {
            return Err(OpenError::new("an image has no name"));
        };
        let Some(class) = folders.last() else {
            return Err(OpenError::new(format!("the image `{id}` lies in no class folder"))
                .help("put each image into a folder named after its class"));
        };
        let part = match folders {
            [first, _, ..] if by_folder => Part::from_word(first),
            _ => None,
        };
        if by_folder && part.is_none() {
            return Err(OpenError::new(format!(
                "`{id}` lies in no folder `train`, `val` or `test`"
            ))
            .help("with `given: folders` images lie as in `train/CLASS/image.png`"));
        }
        let group = self.group.as_ref().map(|pattern| group(pattern, file, &id)).transpose()?;
        Ok(Found { id, class: class.clone(), part, group, path })
    }
}

struct Found {
    id: String,
    class: String,
    part: Option<Part>,
    group: Option<String>,
    path: PathBuf,
}

fn group(pattern: &Pattern, file: &str, id: &str) -> Result<String, OpenError> {
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

/// Images below a folder; folders that links lead to again are left out.
fn list(
    folder: &Path,
    seen: &mut BTreeSet<PathBuf>,
    files: &mut Vec<PathBuf>,
) -> std::io::Result<()> {
    if !seen.insert(folder.canonicalize()?) {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            list(&path, seen, files)?;
        } else if is_image(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg"))
}

struct Images {
    paths: Vec<PathBuf>,
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

/// JPEG and PNG files below a folder, in the order of their paths.
pub fn images_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    list(folder, &mut BTreeSet::new(), &mut files)?;
    files.sort();
    Ok(files)
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

/// Whether a JPEG's last scan has no end. Decoders fill what is missing with grey and say nothing.
/// Neither marker can occur within the coded data of a scan.
fn is_cut_off_jpeg(bytes: &[u8]) -> bool {
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|pair| pair == marker);
    let (start_of_scan, end_of_image) = (last([0xff, 0xda]), last([0xff, 0xd9]));
    bytes.starts_with(&[0xff, 0xd8]) && end_of_image <= start_of_scan
}

/// Grey or red, green, blue of 8 bits; nothing is dropped in silence.
fn plain(image: DynamicImage) -> Result<Pixels, String> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (channels, values) = match image.color() {
        ColorType::L8 => (1, image.into_luma8().into_raw()),
        ColorType::Rgb8 => (3, image.into_rgb8().into_raw()),
        ColorType::La8 | ColorType::Rgba8 => opaque(&image)?,
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            return Err("it has 16 bits a channel; 8 are read, save it with 8".to_owned());
        }
        other => return Err(format!("pixels of type {other:?} are not read")),
    };
    Ok(Pixels { height, width, channels, samples: Samples::Bytes(values) })
}

/// An image with an alpha channel that hides nothing.
fn opaque(image: &DynamicImage) -> Result<(usize, Vec<u8>), String> {
    let coloured = image.to_rgba8();
    if coloured.pixels().any(|pixel| pixel.0[3] != 255) {
        return Err("it is partly transparent; save it without an alpha channel".to_owned());
    }
    Ok(match image.color() {
        ColorType::La8 => (1, image.to_luma8().into_raw()),
        _ => (3, image.to_rgb8().into_raw()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jpeg_cut_off_anywhere_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("whole.jpg");
        let shade = |x: u32, y: u32| image::Luma([(x * 7 + y * 3) as u8]);
        image::GrayImage::from_fn(32, 32, shade).save(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        let cut = folder.path().join("cut.jpg");
        let images = Images { paths: vec![path, cut.clone()] };
        assert!(images.pixels(0).is_ok());
        for length in 0..whole.len() {
            crate::base::atomic::write(&cut, &whole[..length]).unwrap();
            assert!(images.pixels(1).is_err(), "cut at {length} of {}", whole.len());
        }
    }
}
