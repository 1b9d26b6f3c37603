//! A NumPy archive of images and labels, as MedMNIST has them, or of arrays that models read as they
//! are; the one file that names ndarray-npy.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, IxDyn, OwnedRepr};
use ndarray_npy::{NpzReader, ReadNpyError, ReadNpyExt as _, ReadNpzError, ReadableElement};

use serde_json::{Value as Json, json};

use crate::base::language::{FilePath, OneOrMore, Read, Word, keys, unexpected};
use crate::base::{Found, Written};

use super::super::dataset::{Dataset, OpenError, ReadError};
use super::super::numbers::{NamedArray, Numbers};
use super::super::pixels::Samples;
use super::super::split::{Given, Part};
use super::arrays::{self, Block, Content, Said};
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
        values: Option<OneOrMore<Word>> = None,
        /// Arrays that a model reads as they are, by the names of its inputs, as in
        /// `{ input_ids: ids, attention_mask: mask }`; a list if they are called alike, one name for a
        /// model with one input. Each has a row for each item, or is given in parts, as `train_ids`.
        inputs: Option<Inputs> = None,
        /// The array of labels beside `inputs`; `labels` if not said.
        label: Option<Word> = None,
        /// The array of groups (persons, say) beside `inputs`: a whole number for each item.
        group: Option<Word> = None;
        .. task: Task
    }
}

/// Names of arrays by the inputs of a model that they are for.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Inputs(BTreeMap<String, String>);

const INPUTS: &str = "a name, a list of names, or names of arrays by the names of inputs";

impl Read for Inputs {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        if let Some(entries) = written.entries().filter(|entries| !entries.is_empty()) {
            let pair = |entry: &crate::base::Entry| {
                let array = Word::read(&entry.value, found)?;
                Some((entry.key.value.clone(), array.0))
            };
            return entries.iter().map(pair).collect::<Option<_>>().map(Self);
        }
        match OneOrMore::<Word>::read(written, &mut Found::default()) {
            Some(OneOrMore(words)) if words.len() == 1 && written.scalar().is_some() => {
                Some(Self([(String::new(), words[0].0.clone())].into()))
            }
            Some(OneOrMore(words)) if !words.is_empty() => {
                Some(Self(words.into_iter().map(|word| (word.0.clone(), word.0)).collect()))
            }
            _ => {
                found.add(unexpected(written, INPUTS));
                None
            }
        }
    }

    fn schema() -> Json {
        let names = json!({ "type": "object", "additionalProperties": { "type": "string" } });
        json!({ "title": INPUTS, "oneOf": [OneOrMore::<Word>::schema(), names] })
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
        let blocks = match &self.inputs {
            Some(inputs) => self.arrays(inputs, by_part, &mut archive)?,
            None => self.images(&mut archive)?,
        };
        let classes = self.classes.as_ref();
        let numbers = self.values.as_ref();
        let said = Said { path: &archive.path, classes, numbers, by_part, task: &self.task };
        arrays::dataset(blocks, &said)
    }

    fn images(&self, archive: &mut Archive) -> Result<Vec<Block>, OpenError> {
        for (key, word) in [("label", &self.label), ("group", &self.group)] {
            if word.is_some() {
                let message = format!("`{key}` names an array beside `inputs`, which is not said");
                return Err(OpenError::new(message).help("say `inputs`, or leave it out"));
            }
        }
        let mut blocks = Vec::new();
        for part in [Part::Train, Part::Val, Part::Test] {
            blocks.extend(archive.block(part, self.values.is_some())?);
        }
        if blocks.is_empty() { Err(archive.without_images()) } else { Ok(blocks) }
    }

    /// Arrays by name: whole, or in parts.
    fn arrays(
        &self,
        inputs: &Inputs,
        by_part: bool,
        archive: &mut Archive,
    ) -> Result<Vec<Block>, OpenError> {
        let label = self.label.as_ref().map_or("labels", |word| word.0.as_str());
        let group = self.group.as_ref().map(|word| word.0.as_str());
        let whole = archive.has(label);
        let in_parts = [Part::Train, Part::Val, Part::Test]
            .into_iter()
            .filter(|part| archive.has(&in_part(Some(*part), label)));
        let parts: Vec<Option<Part>> =
            if whole { vec![None] } else { in_parts.map(Some).collect() };
        if parts.is_empty() {
            return Err(archive.without(label));
        }
        if whole && by_part {
            let message = format!("`{label}` is one array, so the archive has no parts of its own");
            return Err(OpenError::new(message).help(format!(
                "draw the split: `split: {{ test: 0.2 }}`, or save `train_{label}`, `test_{label}` \
                 and the inputs alike"
            )));
        }
        let told = (label, self.values.is_some());
        parts.into_iter().map(|part| archive.arrays(part, inputs, told, group)).collect()
    }
}

/// Items of an archive without labels: the arrays that are called like the inputs of a model, or the
/// only array where it has one input.
pub fn unlabelled(path: &Path, inputs: &[&str]) -> Result<Dataset, OpenError> {
    let mut archive = Archive::open(path.to_owned())?;
    let mut arrays = Vec::new();
    let mut names: Vec<&str> = inputs.to_vec();
    names.sort_unstable();
    let alone = match (&archive.names[..], inputs) {
        ([only], [_]) => Some(only.clone()),
        _ => None,
    };
    for input in names {
        let source = alone.clone().unwrap_or_else(|| input.to_owned());
        let (item, numbers) = archive.array(&source)?;
        arrays.push(NamedArray { input: input.to_owned(), source, item, numbers, is_typed: true });
    }
    let first = arrays.first().map(|array| array.source.clone()).unwrap_or_default();
    let block = Block {
        part: None,
        images: first.clone(),
        labels: first,
        values: vec![0; arrays.first().map_or(0, NamedArray::rows)],
        content: Content::Arrays(arrays),
        groups: None,
        width: 1,
        numbers: vec![],
    };
    let task = crate::base::language::defaults();
    arrays::dataset(
        vec![block],
        &Said { path, classes: None, numbers: None, by_part: false, task: &task },
    )
}

/// What an array is called in a part.
fn in_part(part: Option<Part>, name: &str) -> String {
    match part {
        None => name.to_owned(),
        Some(part) => format!("{}_{name}", part.name()),
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
        let (width, values, numbers) = self.told(&labels, are_numbers)?;
        let content = Content::Images { dims, samples };
        let groups = None;
        let part = Some(part);
        Ok(Some(Block { part, images, labels, content, groups, width, values, numbers }))
    }

    /// Labels of all items, or numbers: how many an item has, and either of them.
    fn told(
        &mut self,
        labels: &str,
        are_numbers: bool,
    ) -> Result<(usize, Vec<i64>, Vec<f64>), OpenError> {
        if are_numbers {
            let (width, numbers) = self.numbers(labels)?;
            return Ok((width, vec![], numbers));
        }
        let (width, values) = self.labels(labels)?;
        Ok((width, values, vec![]))
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    /// Arrays as they are, with their labels.
    fn arrays(
        &mut self,
        part: Option<Part>,
        inputs: &Inputs,
        (label, are_numbers): (&str, bool),
        group: Option<&str>,
    ) -> Result<Block, OpenError> {
        let mut arrays = Vec::new();
        for (input, array) in &inputs.0 {
            let source = in_part(part, array);
            let (item, numbers) = self.array(&source)?;
            let input = input.clone();
            arrays.push(NamedArray { input, source, item, numbers, is_typed: true });
        }
        let labels = in_part(part, label);
        let (width, values, numbers) = self.told(&labels, are_numbers)?;
        let items = values.len().max(numbers.len()) / width;
        let groups = match group {
            None => None,
            Some(group) => Some(self.groups(&in_part(part, group), items)?),
        };
        let images = arrays.first().map(|array| array.source.clone()).unwrap_or_default();
        let content = Content::Arrays(arrays);
        Ok(Block { part, images, labels, content, groups, width, values, numbers })
    }

    /// The shape of a row of an array, and all its values.
    fn array(&mut self, name: &str) -> Result<(Vec<usize>, Numbers), OpenError> {
        if !self.has(name) {
            return Err(self.without(name));
        }
        let (shape, numbers) = if let Some(floats) = self.read::<f32>(name)? {
            (floats.shape().to_vec(), Numbers::Floats(flat(floats)))
        } else if let Some(floats) = self.read::<f64>(name)? {
            (floats.shape().to_vec(), Numbers::Floats(flat(floats.mapv(|value| value as f32))))
        } else if let Some(whole) = self.read::<i64>(name)? {
            (whole.shape().to_vec(), Numbers::Whole(flat(whole)))
        } else if let Some(whole) = self.whole_numbers(name)? {
            let narrow = |value: i128| i64::try_from(value).ok();
            let shape = whole.shape().to_vec();
            let values: Option<Vec<i64>> = flat(whole).into_iter().map(narrow).collect();
            let values = values.ok_or_else(|| self.refused(name, "has numbers beyond 64 bits"))?;
            (shape, Numbers::Whole(values))
        } else {
            return Err(self
                .refused(name, "has values of a type that is not read")
                .help("save whole numbers as integers, all others as `float32` or `float64`"));
        };
        match shape.split_first() {
            Some((_, item)) => Ok((item.to_vec(), numbers)),
            None => Err(self
                .refused(name, "is a single value")
                .help("an array has a row for each item")),
        }
    }

    /// The group of each item.
    fn groups(&mut self, name: &str, items: usize) -> Result<Vec<String>, OpenError> {
        let Some(numbers) = self.whole_numbers(name)? else {
            return Err(self
                .refused(name, "does not hold whole numbers")
                .help("number the groups: one whole number for each item"));
        };
        if numbers.len() != items {
            let why = format!("has {} values for {items} items", numbers.len());
            return Err(self.refused(name, &why).help("each item has one group"));
        }
        Ok(flat(numbers).into_iter().map(|number| number.to_string()).collect())
    }

    fn without(&self, name: &str) -> OpenError {
        let message = format!("{} has no array `{name}`", self.path.display());
        OpenError::new(message).help(format!("it has {}", self.known()))
    }

    fn known(&self) -> String {
        let known: Vec<String> =
            self.names.iter().take(12).map(|name| format!("`{name}`")).collect();
        if known.is_empty() { "nothing".to_owned() } else { known.join(", ") }
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
        let known = self.known();
        OpenError::new(format!("{} has no array `train_images`", self.path.display())).help(
            format!(
                "it has {known}; it needs `train_images`, `train_labels`, and perhaps the same of \
             `val` and `test`"
            ),
        )
    }
}

/// The floats of a `.npy` file, of either precision, in the order of their indices.
pub fn floats_of(path: &Path) -> Result<Vec<f64>, ReadError> {
    let refused = |cause: String| ReadError { path: path.to_owned(), cause };
    let file = || File::open(path).map_err(|error| refused(error.to_string()));
    match ArrayD::<f32>::read_npy(file()?) {
        Ok(array) => Ok(flat(array).into_iter().map(f64::from).collect()),
        Err(ReadNpyError::WrongDescriptor(_)) => ArrayD::<f64>::read_npy(file()?)
            .map(flat)
            .map_err(|error| refused(format!("its values are no floats: {error}"))),
        Err(error) => Err(refused(error.to_string())),
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
