//! Images, or arrays that models read as they are, held in memory as archives of arrays and idx
//! files have them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::base::language::{OneOrMore, Word};
use crate::base::{Digest, Hasher, Target};

use super::super::dataset::{Dataset, OpenError, ReadError, Source};
use super::super::numbers::NamedArray;
use super::super::pixels::{Pixels, Samples};
use super::super::split::Part;
use super::findings::{Chosen, Findings, Task};
use super::held::Held;

/// Items with their labels, as one part of a data set has them.
pub(super) struct Block {
    /// The part that the file puts them in.
    pub(super) part: Option<Part>,
    /// What the array or file of the images is called, or the first array.
    pub(super) images: String,
    /// What the array or file of the labels is called.
    pub(super) labels: String,
    /// What of an item models read.
    pub(super) content: Content,
    /// What each item shares with others, if that is said.
    pub(super) groups: Option<Vec<String>>,
    /// Labels of an image: one, or one for each finding or number.
    pub(super) width: usize,
    /// All labels, image after image.
    pub(super) values: Vec<i64>,
    /// All numbers to be predicted, image after image, in place of labels.
    pub(super) numbers: Vec<f64>,
}

/// What of items models read.
pub(super) enum Content {
    /// Images.
    Images {
        /// Height, width and channels of an image.
        dims: [usize; 3],
        /// All images, one after another.
        samples: Samples,
    },
    /// Arrays as they are.
    Arrays(Vec<NamedArray>),
}

impl Block {
    fn items(&self) -> usize {
        self.values.len().max(self.numbers.len()) / self.width.max(1)
    }

    /// What an item is called: its number, after the part if there is one.
    fn id(&self, number: usize) -> String {
        match self.part {
            Some(part) => format!("{}/{number}", part.name()),
            None => number.to_string(),
        }
    }

    /// Refuses lengths that do not fit each other.
    fn check(&self, first: &Self) -> Result<(), OpenError> {
        match &self.content {
            Content::Images { dims, samples } => self.check_images(*dims, samples)?,
            Content::Arrays(arrays) => arrays.iter().try_for_each(|array| self.holds(array))?,
        }
        let alike = match (&self.content, &first.content) {
            (Content::Images { dims, .. }, Content::Images { dims: of_first, .. }) => {
                dims == of_first
            }
            (Content::Arrays(arrays), Content::Arrays(of_first)) => {
                arrays.iter().zip(of_first).all(|(one, other)| one.item == other.item)
            }
            _ => false,
        };
        if !alike || self.width != first.width {
            let help = match self.content {
                Content::Images { .. } => {
                    "all images of a data set have one size and one number of channels"
                }
                Content::Arrays(_) => "an array has the same shape in each part",
            };
            return Err(OpenError::new(format!(
                "`{}` and `{}`, or their labels, differ in shape",
                first.images, self.images
            ))
            .help(help));
        }
        Ok(())
    }

    fn check_images(&self, dims: [usize; 3], samples: &Samples) -> Result<(), OpenError> {
        let length: usize = dims.iter().product();
        let [height, width, channels] = dims;
        if length == 0 || !matches!(channels, 1 | 3) {
            let message =
                format!("the images of `{}` are {height} × {width} × {channels}", self.images);
            return Err(OpenError::new(message)
                .help("images are height × width, or height × width × channels with 1 or 3"));
        }
        let images = samples.len() / length;
        if images != self.items() {
            return Err(OpenError::new(format!(
                "`{}` has {images} images, but `{}` has labels for {}",
                self.images,
                self.labels,
                self.items()
            ))
            .help("each image has its labels at the same place; write both anew"));
        }
        Ok(())
    }

    /// Refuses an array that has not a row for each label.
    fn holds(&self, array: &NamedArray) -> Result<(), OpenError> {
        if array.length() == 0 {
            let message = format!("a row of `{}` has the shape {:?}", array.source, array.item);
            return Err(OpenError::new(message).help("a row has at least one value"));
        }
        if array.rows() == self.items() {
            return Ok(());
        }
        Err(OpenError::new(format!(
            "`{}` has {} rows, but `{}` has labels for {}",
            array.source,
            array.rows(),
            self.labels,
            self.items()
        ))
        .help("each array has a row for each item, in the same order; write them anew"))
    }
}

/// What is said of a data set of arrays beside its blocks.
pub(super) struct Said<'a> {
    /// The file or folder, for messages.
    pub(super) path: &'a Path,
    /// Names of the classes, or of the findings.
    pub(super) classes: Option<&'a OneOrMore<Word>>,
    /// Names of the numbers to be predicted, if labels are numbers.
    pub(super) numbers: Option<&'a OneOrMore<Word>>,
    /// Whether the parts are those of a given split.
    pub(super) by_part: bool,
    /// Which of several labels is told apart.
    pub(super) task: &'a Task,
}

/// The data set of some blocks.
pub(super) fn dataset(blocks: Vec<Block>, said: &Said<'_>) -> Result<Dataset, OpenError> {
    let told = |error: OpenError| OpenError {
        message: format!("{}: {}", said.path.display(), error.message),
        ..error
    };
    let count: usize = blocks.iter().map(Block::items).sum();
    let Some(first) = blocks.first().filter(|_| count > 0) else {
        let what = match blocks.first().map(|block| &block.content) {
            Some(Content::Arrays(_)) => "items",
            _ => "images",
        };
        return Err(told(OpenError::new(format!("there are no {what}"))));
    };
    blocks.iter().try_for_each(|block| block.check(first)).map_err(told)?;
    let mut labels = labels(&blocks, said).map_err(told)?;
    let mut items = Vec::with_capacity(count);
    for block in &blocks {
        for number in 0..block.items() {
            let mut item = labels.item(items.len(), block.id(number));
            item.part = block.part.filter(|_| said.by_part);
            item.group = block.groups.as_ref().map(|groups| groups[number].clone());
            items.push(item);
        }
    }
    let source = source(said.path, blocks).map_err(told)?;
    let dataset = Dataset::new(labels.names, items, source).with_target(labels.target);
    Ok(dataset.with_columns(labels.columns).with_notes(labels.notes).without(&labels.dropped))
}

/// One label an item: the only one, or the finding that was chosen.
fn labels(blocks: &[Block], said: &Said<'_>) -> Result<Chosen, OpenError> {
    let width = blocks.first().map_or(1, |block| block.width);
    if let Some(names) = said.numbers {
        said.task.nothing_to_choose(Target::Values.told())?;
        return numbers(blocks, width, names);
    }
    let names: Option<Vec<String>> =
        said.classes.map(|names| names.0.iter().map(|name| name.0.clone()).collect());
    if width == 1 {
        said.task.nothing_to_choose("one label each")?;
        return classes(blocks, names);
    }
    let names = names.unwrap_or_else(|| (0..width).map(|number| number.to_string()).collect());
    if names.len() != width {
        let message = format!("an item has {width} labels, but `classes` names {}", names.len());
        return Err(OpenError::new(message).help("name each label, in the order of the columns"));
    }
    let rows = blocks.iter().flat_map(|block| block.values.chunks_exact(width));
    let cells = rows.map(|row| row.iter().map(ToString::to_string).collect()).collect();
    said.task.choose(Findings { names, cells }, |row| place(blocks, row))
}

/// Numbers an item, under these names.
fn numbers(blocks: &[Block], width: usize, names: &OneOrMore<Word>) -> Result<Chosen, OpenError> {
    let names: Vec<String> = names.0.iter().map(|name| name.0.clone()).collect();
    if names.len() != width {
        let message = format!("an item has {width} labels, but `values` names {}", names.len());
        return Err(OpenError::new(message).help("name each number, in the order of the columns"));
    }
    let rows = blocks.iter().flat_map(|block| block.numbers.chunks_exact(width));
    let cells = rows.map(|row| row.iter().map(ToString::to_string).collect()).collect();
    Chosen::numbers(names, cells, |row| place(blocks, row))
}

/// Where the labels of a row stand.
fn place(blocks: &[Block], row: usize) -> String {
    let mut left = row;
    for block in blocks {
        if left < block.items() {
            return format!("`{}`, row {left}", block.labels);
        }
        left -= block.items();
    }
    String::new()
}

/// Classes by number; their names are the numbers unless others are given.
fn classes(blocks: &[Block], names: Option<Vec<String>>) -> Result<Chosen, OpenError> {
    let labels = || blocks.iter().flat_map(|block| block.values.iter().copied());
    let Some(names) = names else {
        let numbers: Vec<i64> = labels().collect::<BTreeSet<i64>>().into_iter().collect();
        let position = |label| numbers.binary_search(&label).unwrap_or_default();
        let labels = labels().map(position).collect();
        return Ok(Chosen::plain(numbers.iter().map(ToString::to_string).collect(), labels));
    };
    let named = |(row, label): (usize, i64)| {
        let index = usize::try_from(label).ok().filter(|index| *index < names.len());
        index.ok_or_else(|| {
            let message = format!("{}: the label {label} has no name", place(blocks, row));
            OpenError::new(message).help(format!("`classes` names labels 0 to {}", names.len() - 1))
        })
    };
    let labels = labels().enumerate().map(named).collect::<Result<_, _>>()?;
    Ok(Chosen::plain(names, labels))
}

/// Where images or arrays are read from.
fn source(path: &Path, blocks: Vec<Block>) -> Result<Box<dyn Source>, OpenError> {
    let mut joined: Vec<NamedArray> = Vec::new();
    let mut images = Vec::new();
    for block in blocks {
        let items = block.items();
        match block.content {
            Content::Images { dims, samples } => images.push((dims, items, samples)),
            Content::Arrays(arrays) if joined.is_empty() => joined = arrays,
            Content::Arrays(arrays) => {
                for (all, more) in joined.iter_mut().zip(arrays) {
                    let names = format!("`{}` and `{}`", all.source, more.source);
                    if !all.numbers.extend(more.numbers) {
                        let message = format!("{names} hold values of different types");
                        return Err(OpenError::new(message).help("save both with one type"));
                    }
                }
            }
        }
    }
    Ok(match joined.is_empty() {
        true => Box::new(Images::new(path, images)),
        false => Box::new(Held { path: path.to_owned(), arrays: joined }),
    })
}

/// The images themselves.
struct Images {
    path: PathBuf,
    dims: [usize; 3],
    /// The row that each begins with, and its values.
    blocks: Vec<(usize, Samples)>,
}

impl Images {
    fn new(path: &Path, blocks: Vec<([usize; 3], usize, Samples)>) -> Self {
        let dims = blocks.first().map_or([0; 3], |(dims, ..)| *dims);
        let mut begin = 0;
        let placed = blocks.into_iter().map(|(_, items, samples)| {
            let first = begin;
            begin += items;
            (first, samples)
        });
        Self { path: path.to_owned(), dims, blocks: placed.collect() }
    }

    fn samples(&self, row: usize) -> Samples {
        let length: usize = self.dims.iter().product();
        let block = self.blocks.partition_point(|(first, _)| *first <= row) - 1;
        let (first, samples) = &self.blocks[block];
        let range = (row - first) * length..(row - first + 1) * length;
        match samples {
            Samples::Bytes(values) => Samples::Bytes(values[range].to_vec()),
            Samples::Floats(values) => Samples::Floats(values[range].to_vec()),
        }
    }
}

impl Source for Images {
    fn pixels(&self, row: usize) -> Result<Pixels, ReadError> {
        let [height, width, channels] = self.dims;
        let samples = self.samples(row);
        let is_finite = match &samples {
            Samples::Bytes(_) => true,
            Samples::Floats(values) => values.iter().all(|value| value.is_finite()),
        };
        if !is_finite {
            let cause = format!("image {row} has values that are no finite numbers");
            return Err(ReadError { path: self.path.clone(), cause });
        }
        Ok(Pixels { height, width, channels, samples })
    }

    fn digest(&self, row: usize) -> Result<Digest, ReadError> {
        let mut hasher = Hasher::default();
        self.dims.iter().for_each(|extent| hasher.update(&(*extent as u64).to_le_bytes()));
        match self.samples(row) {
            Samples::Bytes(values) => hasher.update(&values),
            Samples::Floats(values) => hasher.update(bytemuck::cast_slice(&values)),
        }
        Ok(hasher.finish())
    }
}
