//! Images and labels in the idx format of MNIST, perhaps gzipped.
//!
//! A file begins with two zeros, the type of its values (8: bytes) and the number of its extents;
//! then each extent as a big-endian number of 32 bits, then the values
//! (<http://yann.lecun.com/exdb/mnist>).

use std::path::{Path, PathBuf};

use crate::base::language::{FilePath, OneOrMore, Word, defaults, keys};

use super::super::dataset::{Dataset, OpenError};
use super::super::pixels::Samples;
use super::super::split::{Given, Part};
use super::arrays::{self, Block, Said};
use super::gzip;

keys! {
    /// Images and labels in the idx format of MNIST.
    pub struct Idx {
        /// A folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same of
        /// `t10k`, perhaps each with `.gz`; the unpacked file is read where both are there.
        path: Option<FilePath> = None,
        /// A file of images, in place of a folder.
        images: Option<FilePath> = None,
        /// The file of their labels.
        labels: Option<FilePath> = None,
        /// Names of the classes in the order of their numbers; the numbers themselves if not said.
        classes: Option<OneOrMore<Word>> = None,
    }
}

impl Idx {
    /// Reads the files.
    pub fn open(&self, beside: &Path, given: Option<&Given>) -> Result<Dataset, OpenError> {
        let by_part = self.by_part(given)?;
        let (path, blocks) = match (&self.path, &self.images, &self.labels) {
            (Some(folder), None, None) => {
                let folder = folder.resolve(beside);
                let blocks = of_folder(&folder)?;
                (folder, blocks)
            }
            (None, Some(images), Some(labels)) => {
                let (images, labels) = (images.resolve(beside), labels.resolve(beside));
                let block = block(None, &images, &labels)?;
                (images, vec![block])
            }
            _ => {
                return Err(OpenError::new("idx needs a folder, or one file of each kind")
                    .help("write `path: FOLDER`, or `images: FILE` and `labels: FILE`"));
            }
        };
        let classes = self.classes.as_ref();
        arrays::dataset(
            blocks,
            &Said { path: &path, classes, numbers: None, by_part, task: &defaults() },
        )
    }

    /// Whether the files say who is trained on and who is tested.
    fn by_part(&self, given: Option<&Given>) -> Result<bool, OpenError> {
        match given {
            None => Ok(false),
            Some(Given::Parts) if self.images.is_none() => Ok(true),
            Some(_) if self.images.is_some() => {
                Err(OpenError::new("one file of images has no split of its own")
                    .help("draw the split: `split: { test: 0.2 }`"))
            }
            Some(given) => Err(given.refused("a folder of idx files", "parts")),
        }
    }
}

/// The parts that a folder has.
fn of_folder(folder: &Path) -> Result<Vec<Block>, OpenError> {
    let mut blocks = Vec::new();
    for (part, word) in [(Part::Train, "train"), (Part::Test, "t10k")] {
        let names = [format!("{word}-images-idx3-ubyte"), format!("{word}-labels-idx1-ubyte")];
        match names.each_ref().map(|name| lying(folder, name)) {
            [Some(images), Some(labels)] => blocks.push(block(Some(part), &images, &labels)?),
            [None, None] => {}
            [images, _] => {
                let missing = &names[usize::from(images.is_some())];
                let message = format!("there is no `{missing}` in {}", folder.display());
                return Err(OpenError::new(message).help("images and labels go together"));
            }
        }
    }
    if blocks.is_empty() {
        let message = format!("there is no `train-images-idx3-ubyte` in {}", folder.display());
        return Err(OpenError::new(message).help(
            "name files of other names with `images` and `labels`; paths in the file are relative \
             to it",
        ));
    }
    Ok(blocks)
}

/// The file of a usual name, with a dot or a hyphen before `idx`, unpacked or gzipped.
fn lying(folder: &Path, name: &str) -> Option<PathBuf> {
    let dotted = name.replace("-idx", ".idx");
    let names =
        [name, &dotted].into_iter().flat_map(|name| [name.to_owned(), format!("{name}.gz")]);
    names.map(|name| folder.join(name)).find(|path| path.is_file())
}

fn block(part: Option<Part>, images: &Path, labels: &Path) -> Result<Block, OpenError> {
    let (extents, samples) = read::<3>(images, "images")?;
    let (_, values) = read::<1>(labels, "labels")?;
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Block {
        part,
        images: name(images),
        labels: name(labels),
        dims: [extents[1], extents[2], 1],
        samples: Samples::Bytes(samples),
        width: 1,
        values: values.into_iter().map(i64::from).collect(),
        numbers: vec![],
    })
}

/// The extents and the values of a file with this number of extents.
fn read<const RANK: usize>(path: &Path, what: &str) -> Result<([usize; RANK], Vec<u8>), OpenError> {
    let mut bytes = gzip::bytes(path).map_err(|cause| {
        OpenError::new(format!("read {}: {cause}", path.display())).help(FilePath::HELP)
    })?;
    let magic = [0, 0, 8, RANK as u8];
    let begin = 4 + 4 * RANK;
    if bytes.len() < begin || bytes[..4] != magic {
        let shown = |bytes: &[u8]| {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
        };
        return Err(OpenError::new(format!(
            "{} is no idx file of {what}: it begins with {}, not with {}",
            path.display(),
            shown(&bytes[..bytes.len().min(4)]),
            shown(&magic)
        ))
        .help("images are bytes with three extents, labels bytes with one"));
    }
    let mut extents = [0; RANK];
    for (extent, four) in extents.iter_mut().zip(bytes[4..begin].chunks_exact(4)) {
        *extent = u32::from_be_bytes([four[0], four[1], four[2], four[3]]) as usize;
    }
    bytes.drain(..begin);
    let length = extents.iter().try_fold(1_usize, |length, &extent| length.checked_mul(extent));
    if length != Some(bytes.len()) {
        let shape = extents.map(|extent| extent.to_string()).join(" × ");
        return Err(OpenError::new(format!(
            "{} should hold {shape} values, but holds {}",
            path.display(),
            bytes.len()
        ))
        .help("it may be cut off; fetch it again"));
    }
    Ok((extents, bytes))
}
