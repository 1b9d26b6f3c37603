//! Images held in memory, as archives of arrays and idx files have them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::base::language::{OneOrMore, Word};
use crate::base::{Digest, Hasher, Target};

use super::super::dataset::{Dataset, OpenError, ReadError, Source};
use super::super::pixels::{Pixels, Samples};
use super::super::split::Part;
use super::findings::{Chosen, Findings, Task};

/// Images with their labels, as one part of a data set has them.
pub(super) struct Block {
    /// The part that the file puts them in.
    pub(super) part: Option<Part>,
    /// What the array or file of the images is called.
    pub(super) images: String,
    /// What the array or file of the labels is called.
    pub(super) labels: String,
    /// Height, width and channels of an image.
    pub(super) dims: [usize; 3],
    /// All images, one after another.
    pub(super) samples: Samples,
    /// Labels of an image: one, or one for each finding or number.
    pub(super) width: usize,
    /// All labels, image after image.
    pub(super) values: Vec<i64>,
    /// All numbers to be predicted, image after image, in place of labels.
    pub(super) numbers: Vec<f64>,
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
        let length: usize = self.dims.iter().product();
        let [height, width, channels] = self.dims;
        if length == 0 || !matches!(channels, 1 | 3) {
            let message =
                format!("the images of `{}` are {height} × {width} × {channels}", self.images);
            return Err(OpenError::new(message)
                .help("images are height × width, or height × width × channels with 1 or 3"));
        }
        let images = self.samples.len() / length;
        if images != self.items() {
            return Err(OpenError::new(format!(
                "`{}` has {images} images, but `{}` has labels for {}",
                self.images,
                self.labels,
                self.items()
            ))
            .help("each image has its labels at the same place; write both anew"));
        }
        if (self.dims, self.width) != (first.dims, first.width) {
            return Err(OpenError::new(format!(
                "`{}` and `{}`, or their labels, differ in shape",
                first.images, self.images
            ))
            .help("all images of a data set have one size and one number of channels"));
        }
        Ok(())
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
        return Err(told(OpenError::new("there are no images")));
    };
    blocks.iter().try_for_each(|block| block.check(first)).map_err(told)?;
    let mut labels = labels(&blocks, said).map_err(told)?;
    let mut items = Vec::with_capacity(count);
    for block in &blocks {
        for number in 0..block.items() {
            let mut item = labels.item(items.len(), block.id(number));
            item.part = block.part.filter(|_| said.by_part);
            items.push(item);
        }
    }
    let source = Arrays::new(said.path, blocks);
    let dataset = Dataset::new(labels.names, items, Box::new(source)).with_target(labels.target);
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

/// The images themselves.
struct Arrays {
    path: PathBuf,
    dims: [usize; 3],
    /// The row that each begins with, and its values.
    blocks: Vec<(usize, Samples)>,
}

impl Arrays {
    fn new(path: &Path, blocks: Vec<Block>) -> Self {
        let dims = blocks.first().map_or([0; 3], |block| block.dims);
        let mut begin = 0;
        let placed = blocks.into_iter().map(|block| {
            let first = begin;
            begin += block.items();
            (first, block.samples)
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

impl Source for Arrays {
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
