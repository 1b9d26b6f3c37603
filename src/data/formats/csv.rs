//! A table of numbers with a label column, perhaps gzipped.

use std::path::{Path, PathBuf};

use ::csv::{ReaderBuilder, StringRecord};
use serde_json::{Value as Json, json};

use crate::base::language::{Count, FilePath, OneOrMore, Read, Word, keys, unexpected};
use crate::base::{Digest, Found, Hasher, Value, Written};

use super::super::dataset::{Dataset, Item, OpenError, ReadError, Source, sort_classes};
use super::super::numbers::{NamedArray, Numbers};
use super::super::pixels::{Pixels, Samples};
use super::super::split::{Given, Part};
use super::gzip;

keys! {
    /// A table of numbers; every column that is not named here is a value.
    pub struct Csv {
        /// The file; gzipped if its name ends in `.gz`.
        path: FilePath,
        /// The column that holds the class.
        label: Column,
        /// Whether the first line names the columns.
        header: bool = true,
        /// The column that holds the group (a person, say).
        group: Option<Column> = None,
        /// Height and width, or channels, height and width, if a row is an image.
        shape: Option<OneOrMore<Count>> = None,
    }
}

/// A column: its name, its number from 0, or `last`.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// By name, as in the header.
    Name(String),
    /// By number, from 0.
    Number(usize),
    /// The last one.
    Last,
}

impl Read for Column {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        match &written.value {
            Value::Integer(number) if *number >= 0 => Some(Self::Number(*number as usize)),
            Value::Text(word) if word == "last" => Some(Self::Last),
            _ => match Word::read(written, &mut Found::default()) {
                Some(word) => Some(Self::Name(word.0)),
                None => {
                    found.add(unexpected(written, COLUMN));
                    None
                }
            },
        }
    }

    fn schema() -> Json {
        json!({ "title": COLUMN, "type": ["string", "integer"] })
    }
}

const COLUMN: &str = "a column: its name, its number from 0, or `last`";

impl Column {
    /// Its number from 0 among `count` columns.
    pub(super) fn position(
        &self,
        header: Option<&StringRecord>,
        count: usize,
    ) -> Result<usize, OpenError> {
        match (self, header) {
            (Self::Last, _) => Ok(count - 1),
            (Self::Number(number), _) if *number < count => Ok(*number),
            (Self::Number(number), _) => {
                Err(OpenError::new(format!("there is no column {number}; there are {count}")))
            }
            (Self::Name(name), Some(header)) => {
                let found = header.iter().position(|known| known == name);
                found.ok_or_else(|| {
                    let known: Vec<&str> = header.iter().take(20).collect();
                    OpenError::new(format!("there is no column `{name}`"))
                        .help(format!("the columns are {}", known.join(", ")))
                })
            }
            (Self::Name(name), None) => {
                let message = format!("the column `{name}` has no number, and there is no header");
                Err(OpenError::new(message).help("write its number from 0, or `header: true`"))
            }
        }
    }
}

/// Which column holds what.
struct Columns {
    label: usize,
    group: Option<usize>,
    part: Option<usize>,
}

impl Csv {
    /// Reads the table.
    pub fn open(&self, beside: &Path, given: Option<&Given>) -> Result<Dataset, OpenError> {
        let path = self.path.resolve(beside);
        let text = gzip::text(&path)
            .map_err(|cause| OpenError::new(format!("read {}: {cause}", path.display())))
            .map_err(|error| error.help(FilePath::HELP))?;
        let mut reader = ReaderBuilder::new().has_headers(self.header).from_reader(text.as_bytes());
        let broken = |error: ::csv::Error| {
            OpenError::new(format!("{} is no table: {error}", path.display()))
        };
        let header = reader.headers().map_err(broken)?.clone();
        let columns = self.columns(&header, given)?;
        let mut table = Table::new(path.clone());
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(broken)?;
            rows.push(table.add(&record, &columns)?);
        }
        if rows.is_empty() {
            return Err(OpenError::new(format!("{} has no rows", path.display())));
        }
        table.dims = self.dims(table.width)?;
        table.array[0].item = match &self.shape {
            None => vec![table.width],
            Some(shape) => shape.0.iter().map(|extent| extent.0).collect(),
        };
        let classes = sort_classes(rows.iter().map(|row| row.class.clone()));
        let item = |(row, read): (usize, Row)| Item {
            id: row.to_string(),
            label: classes.iter().position(|class| *class == read.class).unwrap_or_default(),
            group: read.group,
            part: read.part,
            row,
            cells: vec![],
        };
        let items = rows.into_iter().enumerate().map(item).collect();
        Ok(Dataset::new(classes, items, Box::new(table)))
    }

    fn columns(&self, first: &StringRecord, given: Option<&Given>) -> Result<Columns, OpenError> {
        let header = self.header.then_some(first);
        let count = first.len();
        if count == 0 {
            return Err(OpenError::new("the table has no columns"));
        }
        let part = match given {
            None => None,
            Some(Given::Column(word)) => {
                Some(Column::Name(word.0.clone()).position(header, count)?)
            }
            Some(given) => return Err(given.refused("a table", "{ column: NAME }")),
        };
        Ok(Columns {
            label: self.label.position(header, count)?,
            group: self.group.as_ref().map(|g| g.position(header, count)).transpose()?,
            part,
        })
    }

    /// Channels, height and width of a row.
    fn dims(&self, width: usize) -> Result<[usize; 3], OpenError> {
        let Some(shape) = &self.shape else { return Ok([1, 1, width]) };
        let extents: Vec<usize> = shape.0.iter().map(|extent| extent.0).collect();
        let dims = match extents[..] {
            [height, width] => [1, height, width],
            [channels, height, width] => [channels, height, width],
            _ => {
                return Err(OpenError::new(
                    "`shape` is `[height, width]` or `[channels, height, \
                                           width]`",
                ));
            }
        };
        if dims.iter().product::<usize>() != width {
            let message = format!("a row has {width} values, which are no {extents:?}");
            return Err(OpenError::new(message).help("a column may be left that is no pixel"));
        }
        Ok(dims)
    }
}

struct Row {
    class: String,
    group: Option<String>,
    part: Option<Part>,
}

/// The values of all rows.
struct Table {
    path: PathBuf,
    width: usize,
    dims: [usize; 3],
    /// All values, as the one array that there is.
    array: [NamedArray; 1],
}

impl Table {
    fn new(path: PathBuf) -> Self {
        let array = NamedArray {
            input: String::new(),
            source: "the columns".to_owned(),
            item: vec![],
            numbers: Numbers::Floats(vec![]),
            is_typed: false,
        };
        Self { path, width: 0, dims: [0; 3], array: [array] }
    }

    fn add(&mut self, record: &StringRecord, columns: &Columns) -> Result<Row, OpenError> {
        let line = record.position().map_or(0, ::csv::Position::line);
        let place = |column: usize| format!("{}:{line}, column {column}", self.path.display());
        let named = [Some(columns.label), columns.group, columns.part];
        let mut values = Vec::with_capacity(record.len());
        for (index, text) in record.iter().enumerate() {
            if named.contains(&Some(index)) {
                continue;
            }
            let value: Option<f32> = text.trim().parse().ok();
            let Some(value) = value.filter(|value| value.is_finite()) else {
                return Err(OpenError::new(format!("{}: `{text}` is no number", place(index)))
                    .help("every column but label, group and split must hold finite numbers"));
            };
            values.push(value);
        }
        let class = record[columns.label].trim();
        if class.is_empty() {
            return Err(OpenError::new(format!("{}: the label is empty", place(columns.label))));
        }
        let group = columns.group.map(|column| record[column].trim().to_owned());
        if let (Some(column), Some("")) = (columns.group, group.as_deref()) {
            return Err(OpenError::new(format!("{}: the group is empty", place(column)))
                .help("give rows that belong to nobody else a group of their own"));
        }
        let part = columns.part.map(|column| (column, Part::from_word(record[column].trim())));
        if let Some((column, None)) = part {
            let word = &record[column];
            return Err(OpenError::new(format!(
                "{}: `{word}` is not `train`, `val` or `test`",
                place(column)
            )));
        }
        self.width = values.len();
        if let Numbers::Floats(all) = &mut self.array[0].numbers {
            all.extend(values);
        }
        Ok(Row { class: class.to_owned(), group, part: part.and_then(|(_, part)| part) })
    }

    fn row(&self, row: usize) -> &[f32] {
        match &self.array[0].numbers {
            Numbers::Floats(values) => &values[row * self.width..(row + 1) * self.width],
            Numbers::Whole(_) => &[],
        }
    }
}

impl Source for Table {
    fn pixels(&self, row: usize) -> Result<Pixels, ReadError> {
        let [channels, height, width] = self.dims;
        let plane = height * width;
        let values = self.row(row);
        // Tables hold channel after channel; pixels hold channels side by side.
        let side_by_side = (0..plane)
            .flat_map(|pixel| (0..channels).map(move |channel| values[channel * plane + pixel]))
            .collect();
        Ok(Pixels { height, width, channels, samples: Samples::Floats(side_by_side) })
    }

    fn digest(&self, row: usize) -> Result<Digest, ReadError> {
        let mut hasher = Hasher::default();
        self.dims.iter().for_each(|extent| hasher.update(&(*extent as u64).to_le_bytes()));
        self.row(row).iter().for_each(|value| hasher.update(&value.to_le_bytes()));
        Ok(hasher.finish())
    }

    fn arrays(&self) -> &[NamedArray] {
        &self.array
    }
}
