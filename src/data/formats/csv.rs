//! A table of numbers with a label column, perhaps gzipped.

use std::path::{Path, PathBuf};

use ::csv::{ReaderBuilder, StringRecord};
use serde_json::{Value as Json, json};

use crate::base::language::{Count, FilePath, OneOrMore, Read, Word, keys, unexpected};
use crate::base::{Digest, Found, Hasher, Target, Value, Written};

use super::super::dataset::{Dataset, OpenError, ReadError, Source, sort_classes};
use super::super::pixels::{Pixels, Samples};
use super::super::split::{Given, Part};
use super::findings::{Chosen, Findings, Task};
use super::gzip;

keys! {
    /// A table of numbers; every column that is not named here is a value.
    pub struct Csv {
        /// The file; gzipped if its name ends in `.gz`.
        path: FilePath,
        /// The column that holds the class.
        label: Option<Column> = None,
        /// Columns of 0 and 1, one for each of several labels, in place of `label`.
        labels: Option<OneOrMore<Column>> = None,
        /// Columns of numbers to be predicted, in place of `label`; empty where one is not known.
        values: Option<OneOrMore<Column>> = None,
        /// Whether the first line names the columns.
        header: bool = true,
        /// The column that holds the group (a person, say).
        group: Option<Column> = None,
        /// Height and width, or channels, height and width, if a row is an image.
        shape: Option<OneOrMore<Count>> = None;
        .. task: Task
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
    target: Target,
    /// The column with the class; or those of labels or numbers.
    asked: Vec<usize>,
    /// What they are called.
    names: Vec<String>,
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
        let mut table = Table { path: path.clone(), width: 0, dims: [0; 3], values: vec![] };
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(broken)?;
            rows.push(table.add(&record, &columns)?);
        }
        if rows.is_empty() {
            return Err(OpenError::new(format!("{} has no rows", path.display())));
        }
        table.dims = self.dims(table.width)?;
        let asked = rows.iter_mut().map(|row| std::mem::take(&mut row.asked)).collect();
        let mut chosen = self.chosen(&columns, asked, |row| {
            format!("{}:{}", table.path.display(), rows[row].line)
        })?;
        let item = |(row, read): (usize, Row)| {
            let mut item = chosen.item(row, row.to_string());
            (item.group, item.part) = (read.group, read.part);
            item
        };
        let items = rows.into_iter().enumerate().map(item).collect();
        let dataset = Dataset::new(chosen.names, items, Box::new(table)).with_target(chosen.target);
        Ok(dataset.with_columns(chosen.columns).with_notes(chosen.notes).without(&chosen.dropped))
    }

    /// What is to be told of each row, from the cells of the columns that say it.
    fn chosen(
        &self,
        columns: &Columns,
        cells: Vec<Vec<String>>,
        place: impl Fn(usize) -> String,
    ) -> Result<Chosen, OpenError> {
        let names = columns.names.clone();
        match columns.target {
            Target::Labels => return self.task.choose(Findings { names, cells }, place),
            Target::Values => {
                self.task.nothing_to_choose(Target::Values.told())?;
                return Chosen::numbers(names, cells, place);
            }
            Target::Classes => self.task.nothing_to_choose("one label each")?,
        }
        let words: Vec<String> = cells.into_iter().flatten().collect();
        let classes = sort_classes(words.iter().cloned());
        let label = |word: &String| classes.iter().position(|class| class == word);
        let labels = words.iter().map(|word| label(word).unwrap_or_default()).collect();
        Ok(Chosen::plain(classes, labels))
    }

    /// The columns that say what is to be told.
    fn asked(&self) -> Result<(Target, Vec<&Column>), OpenError> {
        let said = [
            ("label", Target::Classes, self.label.as_ref().map(|label| vec![label])),
            ("labels", Target::Labels, self.labels.as_ref().map(|all| all.0.iter().collect())),
            ("values", Target::Values, self.values.as_ref().map(|all| all.0.iter().collect())),
        ];
        let mut said = said.into_iter().filter_map(|(key, target, all)| Some((key, target, all?)));
        match (said.next(), said.next()) {
            (Some((_, target, columns)), None) => Ok((target, columns)),
            (Some((one, ..)), Some((other, ..))) => {
                Err(OpenError::new(format!("both `{one}` and `{other}` are said"))
                    .help(format!("leave out `{one}` or `{other}`")))
            }
            (None, _) => Err(OpenError::new("no column is said to hold the label").help(
                "name the column of the class with `label`, those of several labels with `labels`, \
                 or those of numbers to be predicted with `values`",
            )),
        }
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
        let (target, asked) = self.asked()?;
        let asked = asked.into_iter().map(|column| column.position(header, count));
        let asked = asked.collect::<Result<Vec<usize>, _>>()?;
        let name = |&column: &usize| match header {
            Some(header) => header[column].trim().to_owned(),
            None => column.to_string(),
        };
        Ok(Columns {
            target,
            names: asked.iter().map(name).collect(),
            asked,
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
    line: u64,
    /// Cells of the columns that say what is to be told.
    asked: Vec<String>,
    group: Option<String>,
    part: Option<Part>,
}

/// The values of all rows.
struct Table {
    path: PathBuf,
    width: usize,
    dims: [usize; 3],
    values: Vec<f32>,
}

impl Table {
    fn add(&mut self, record: &StringRecord, columns: &Columns) -> Result<Row, OpenError> {
        let line = record.position().map_or(0, ::csv::Position::line);
        let place = |column: usize| format!("{}:{line}, column {column}", self.path.display());
        let named = [columns.group, columns.part];
        let mut values = Vec::with_capacity(record.len());
        for (index, text) in record.iter().enumerate() {
            if named.contains(&Some(index)) || columns.asked.contains(&index) {
                continue;
            }
            let value: Option<f32> = text.trim().parse().ok();
            let Some(value) = value.filter(|value| value.is_finite()) else {
                return Err(OpenError::new(format!("{}: `{text}` is no number", place(index)))
                    .help("every column but label, group and split must hold finite numbers"));
            };
            values.push(value);
        }
        let asked: Vec<String> =
            columns.asked.iter().map(|&column| record[column].trim().to_owned()).collect();
        if let (Target::Classes, Some("")) = (columns.target, asked.first().map(String::as_str)) {
            let place = place(columns.asked[0]);
            return Err(OpenError::new(format!("{place}: the label is empty")));
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
        self.values.extend(values);
        Ok(Row { line, asked, group, part: part.and_then(|(_, part)| part) })
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
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
}
