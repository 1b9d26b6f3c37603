//! A NumPy archive of images and labels, as MedMNIST has them; the one file that names
//! ndarray-npy.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, IxDyn, OwnedRepr};
use ndarray_npy::{NpzReader, ReadNpyError, ReadNpzError, ReadableElement};

use crate::base::language::{FilePath, OneOrMore, Word, keys};

use super::super::dataset::{Dataset, OpenError};
use super::super::pixels::Samples;
use super::super::split::{Given, Part};
use super::arrays::{self, Block, Said};
use super::findings::Task;

keys! {
    /// A NumPy archive of images and labels, as MedMNIST has them.
    pub struct Npz {
        /// The file.
        path: FilePath,
        /// Names of the classes in the order of their numbers (of the findings, if items have
        /// several labels); the numbers themselves if not said.
        classes: Option<OneOrMore<Word>> = None,
        /// Names of the numbers to be predicted, if labels are numbers rather than classes: one an
        /// item, or several in the order of the columns; `nan` where one is not known.
        values: Option<OneOrMore<Word>> = None;
        .. task: Task
    }
}

impl Npz {
    /// Reads the archive.
    pub fn open(&self, beside: &Path, given: Option<&Given>) -> Result<Dataset, OpenError> {
        let by_part = match given {
            None => false,
            Some(Given::Parts) => true,
            Some(given) => return Err(given.refused("an archive of arrays", "parts")),
        };
        if let (Some(_), Some(_)) = (&self.classes, &self.values) {
            return Err(OpenError::new("both `classes` and `values` are said")
                .help("labels are classes or numbers; leave out `classes` or `values`"));
        }
        let mut archive = Archive::open(self.path.resolve(beside))?;
        let mut blocks = Vec::new();
        for part in [Part::Train, Part::Val, Part::Test] {
            blocks.extend(archive.block(part, self.values.is_some())?);
        }
        if blocks.is_empty() {
            return Err(archive.without_images());
        }
        let classes = self.classes.as_ref();
        let numbers = self.values.as_ref();
        let said = Said { path: &archive.path, classes, numbers, by_part, task: &self.task };
        arrays::dataset(blocks, &said)
    }
}

/// An array of whole numbers; nothing if its values are of another type.
type Widened = Option<ArrayD<i128>>;

/// An open archive.
struct Archive {
    path: PathBuf,
    reader: NpzReader<BufReader<File>>,
    names: Vec<String>,
}

impl Archive {
    fn open(path: PathBuf) -> Result<Self, OpenError> {
        let file = File::open(&path).map_err(|cause| {
            OpenError::new(format!("read {}: {cause}", path.display())).help(FilePath::HELP)
        })?;
        let broken = |error: ReadNpzError| {
            OpenError::new(format!("{} is no whole NumPy archive: {error}", path.display()))
                .help("write it with `numpy.savez` or `numpy.savez_compressed`")
        };
        let mut reader = NpzReader::new(BufReader::new(file)).map_err(broken)?;
        let names = reader.names().map_err(broken)?;
        Ok(Self { path, reader, names })
    }

    /// The images and labels of a part, if it has any.
    fn block(&mut self, part: Part, are_numbers: bool) -> Result<Option<Block>, OpenError> {
        let [images, labels] = ["images", "labels"].map(|what| format!("{}_{what}", part.name()));
        let has = |name: &String| self.names.contains(name);
        match (has(&images), has(&labels)) {
            (false, false) => return Ok(None),
            (true, true) => {}
            (has_images, _) => {
                let (there, missing) = if has_images { (images, labels) } else { (labels, images) };
                return Err(OpenError::new(format!(
                    "{} has `{there}`, but no `{missing}`",
                    self.path.display()
                ))
                .help("images and labels go together"));
            }
        }
        let (dims, samples) = self.images(&images)?;
        let (width, values, numbers) = match are_numbers {
            false => {
                let (width, values) = self.labels(&labels)?;
                (width, values, vec![])
            }
            true => {
                let (width, numbers) = self.numbers(&labels)?;
                (width, vec![], numbers)
            }
        };
        Ok(Some(Block { part: Some(part), images, labels, dims, samples, width, values, numbers }))
    }

    fn images(&mut self, name: &str) -> Result<([usize; 3], Samples), OpenError> {
        let (shape, samples) = if let Some(bytes) = self.read::<u8>(name)? {
            (bytes.shape().to_vec(), Samples::Bytes(flat(bytes)))
        } else if let Some(floats) = self.read::<f32>(name)? {
            (floats.shape().to_vec(), Samples::Floats(flat(floats)))
        } else if let Some(floats) = self.read::<f64>(name)? {
            (floats.shape().to_vec(), Samples::Floats(flat(floats.mapv(|value| value as f32))))
        } else {
            return Err(self
                .refused(name, "has values of a type that is not read")
                .help("save images as `uint8`, `float32` or `float64`"));
        };
        let dims = match shape[..] {
            [_, height, width] => [height, width, 1],
            [_, height, width, channels] => [height, width, channels],
            _ => {
                let why = format!("has the shape {shape:?}");
                return Err(self
                    .refused(name, &why)
                    .help("images are N × height × width, or N × height × width × channels"));
            }
        };
        Ok((dims, samples))
    }

    /// Labels an item, and all labels.
    fn labels(&mut self, name: &str) -> Result<(usize, Vec<i64>), OpenError> {
        let Some(numbers) = self.whole_numbers(name)? else {
            return Err(self.refused(name, "does not hold whole numbers").help(
                "save labels as integers, the number of the class of each image; or name numbers \
                       to be predicted with `values`",
            ));
        };
        let width = self.width(name, numbers.shape())?;
        let whole = |number: i128| i64::try_from(number).ok();
        let values: Option<Vec<i64>> = flat(numbers).into_iter().map(whole).collect();
        let values = values.ok_or_else(|| self.refused(name, "has numbers beyond 64 bits"))?;
        Ok((width, values))
    }

    /// Numbers to be predicted an item, and all of them.
    fn numbers(&mut self, name: &str) -> Result<(usize, Vec<f64>), OpenError> {
        let floats = match self.read::<f64>(name)? {
            Some(floats) => Some(floats),
            None => self.read::<f32>(name)?.map(|floats| floats.mapv(f64::from)),
        };
        let numbers = match floats {
            Some(floats) => Some(floats),
            None => self.whole_numbers(name)?.map(|whole| whole.mapv(|number| number as f64)),
        };
        let Some(numbers) = numbers else {
            let message = "has values of a type that is not read";
            return Err(self.refused(name, message).help("save numbers as `float32` or `float64`"));
        };
        Ok((self.width(name, numbers.shape())?, flat(numbers)))
    }

    /// Labels of an image in an array of this shape.
    fn width(&self, name: &str, shape: &[usize]) -> Result<usize, OpenError> {
        match shape {
            [_] => Ok(1),
            [_, width] if *width > 0 => Ok(*width),
            other => Err(self
                .refused(name, &format!("has the shape {other:?}"))
                .help("labels are N, N × 1, or N × K for K findings")),
        }
    }

    fn whole_numbers(&mut self, name: &str) -> Result<Widened, OpenError> {
        let readers = [
            Self::widened::<u8> as fn(&mut Self, &str) -> Result<Widened, OpenError>,
            Self::widened::<i8>,
            Self::widened::<i64>,
            Self::widened::<i32>,
            Self::widened::<i16>,
            Self::widened::<u64>,
            Self::widened::<u32>,
            Self::widened::<u16>,
            Self::widened::<bool>,
        ];
        for read in readers {
            if let Some(numbers) = read(self, name)? {
                return Ok(Some(numbers));
            }
        }
        Ok(None)
    }

    fn widened<T>(&mut self, name: &str) -> Result<Widened, OpenError>
    where
        T: ReadableElement + Copy,
        i128: From<T>,
    {
        Ok(self.read::<T>(name)?.map(|array| array.mapv(i128::from)))
    }

    /// An array; nothing if its values are of another type.
    fn read<T: ReadableElement>(&mut self, name: &str) -> Result<Option<ArrayD<T>>, OpenError> {
        match self.reader.by_name::<OwnedRepr<T>, IxDyn>(name) {
            Ok(array) => Ok(Some(array)),
            Err(ReadNpzError::Npy(ReadNpyError::WrongDescriptor(_))) => Ok(None),
            Err(error) => Err(self
                .refused(name, &format!("cannot be read: {error}"))
                .help("the archive may be damaged; fetch or write it again")),
        }
    }

    fn refused(&self, name: &str, why: &str) -> OpenError {
        OpenError::new(format!("{}: the array `{name}` {why}", self.path.display()))
    }

    fn without_images(&self) -> OpenError {
        let known: Vec<String> =
            self.names.iter().take(12).map(|name| format!("`{name}`")).collect();
        let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
        OpenError::new(format!("{} has no array `train_images`", self.path.display())).help(
            format!(
                "it has {known}; it needs `train_images`, `train_labels`, and perhaps the same of \
             `val` and `test`"
            ),
        )
    }
}

/// Values in the order of their indices.
fn flat<T: Clone>(array: ArrayD<T>) -> Vec<T> {
    if array.is_standard_layout() {
        return array.into_raw_vec_and_offset().0;
    }
    array.iter().cloned().collect()
}

/// Writes four images of 4 × 4 pixels of the classes 0, 0, 1, 1.
#[cfg(test)]
pub(super) fn write_small(path: &Path) {
    let images = |first: usize| {
        ndarray::Array3::from_shape_fn((2, 4, 4), |(n, y, x)| ((first + n) * 16 + y * 4 + x) as u8)
    };
    let mut archive = ndarray_npy::NpzWriter::new(File::create_new(path).unwrap());
    archive.add_array("train_images", &images(0)).unwrap();
    archive.add_array("train_labels", &ndarray::array![[0_u8], [0]]).unwrap();
    archive.add_array("test_images", &images(2)).unwrap();
    archive.add_array("test_labels", &ndarray::array![1_i64, 1]).unwrap();
    archive.finish().unwrap();
}

/// Writes four images with two labels or numbers each, of which the first of image 2 is not known.
#[cfg(test)]
pub(super) fn write_columns(path: &Path, are_numbers: bool) {
    let images = ndarray::Array3::from_shape_fn((4, 4, 4), |(n, y, x)| (n * 16 + y * 4 + x) as u8);
    let numbers = ndarray::array![[1.0_f32, 0.0], [0.0, 1.0], [f32::NAN, 1.0], [1.0, 1.0]];
    let mut archive = ndarray_npy::NpzWriter::new(File::create_new(path).unwrap());
    archive.add_array("train_images", &images).unwrap();
    if are_numbers {
        archive.add_array("train_labels", &numbers).unwrap();
    } else {
        let labels = numbers.mapv(|number| if number.is_nan() { -1 } else { number as i8 });
        archive.add_array("train_labels", &labels).unwrap();
    }
    archive.finish().unwrap();
}
