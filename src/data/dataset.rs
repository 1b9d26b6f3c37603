//! A data set, whatever it was read from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use thiserror::Error;

use crate::base::{Digest, Hasher, Target};

use super::numbers::NamedArray;
use super::pixels::Pixels;
use super::split::Part;

/// One item.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What it is called: a path relative to the data set, or a row number.
    pub id: String,
    /// Index of its class; 0 where the data set has no classes.
    pub label: usize,
    /// For each label 1 or 0 (has it, has it not), or its numbers, in the order of
    /// [`Dataset::names`]; nothing where it is not known. Empty where the data set has classes.
    pub values: Vec<Option<f64>>,
    /// Whatever it shares with others (a person, say).
    pub group: Option<String>,
    /// Where the data set itself puts it.
    pub part: Option<Part>,
    /// Its position in the source.
    pub row: usize,
    /// What else the source says of it, one text for each of [`Dataset::columns`].
    pub cells: Vec<String>,
}

/// Why a data set cannot be opened.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct OpenError {
    /// What is wrong.
    pub message: String,
    /// A way out.
    pub help: Option<String>,
}

impl OpenError {
    /// Something is wrong.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// With a way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Why an item cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("read {}: {cause}", path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub cause: String,
}

/// Where pixels come from.
pub(super) trait Source: Send + Sync {
    /// The pixels of the item at a position of the source.
    fn pixels(&self, row: usize) -> Result<Pixels, ReadError>;

    /// The digest of that item's content.
    fn digest(&self, row: usize) -> Result<Digest, ReadError>;

    /// What is wrong with that item, if anything.
    fn readable(&self, row: usize) -> Result<(), ReadError> {
        self.pixels(row).map(drop)
    }

    /// Arrays that models read as they are, with a row for each row of the source.
    fn arrays(&self) -> &[NamedArray] {
        &[]
    }
}

/// An item that was left out because it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// What it is called.
    pub id: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A data set: items with labels, and pixels on demand.
pub struct Dataset {
    target: Target,
    /// Of classes, labels or numbers.
    names: Vec<String>,
    items: Vec<Item>,
    rows: usize,
    columns: Vec<String>,
    notes: Vec<String>,
    skipped: Vec<Skipped>,
    source: Box<dyn Source>,
    /// Of each item's content, once they have been read.
    digests: OnceLock<Vec<Digest>>,
    reading: Mutex<()>,
    fingerprint: OnceLock<Digest>,
}

impl Dataset {
    /// Labels are indices into `names`, which are those of classes.
    pub(super) fn new(names: Vec<String>, items: Vec<Item>, source: Box<dyn Source>) -> Self {
        Self {
            target: Target::Classes,
            names,
            rows: items.len(),
            items,
            columns: vec![],
            notes: vec![],
            skipped: vec![],
            source,
            digests: OnceLock::new(),
            reading: Mutex::default(),
            fingerprint: OnceLock::new(),
        }
    }

    /// The same with something else to be told of its items than one class.
    pub(super) fn with_target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// With names for the cells of its items.
    pub(super) fn with_columns(mut self, columns: Vec<String>) -> Self {
        self.columns = columns;
        self
    }

    /// With what a reader should know.
    pub(super) fn with_notes(mut self, notes: Vec<String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// What a reader should know about how it was read.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Names of what else the source says of each item.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Items left out because they cannot be read.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// What is to be told of each item.
    pub fn target(&self) -> Target {
        self.target
    }

    /// Names of the classes, of the labels or of the numbers: of whatever a model has outputs for.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Names of the classes; none where items have several labels or numbers.
    pub fn classes(&self) -> &[String] {
        match self.target {
            Target::Classes => &self.names,
            Target::Labels | Target::Values => &[],
        }
    }

    /// The items, in the order of the source.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// How many rows the source has, whatever was selected of them.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The class of each item; 0 where there are no classes.
    pub fn labels(&self) -> Vec<usize> {
        self.items.iter().map(|item| item.label).collect()
    }

    /// Whether items have groups.
    pub fn has_groups(&self) -> bool {
        self.items.iter().any(|item| item.group.is_some())
    }

    /// The group of each item as a number; an item without one is its own.
    pub fn groups(&self) -> Vec<usize> {
        let mut numbers = BTreeMap::new();
        let mut number = |name: String| {
            let next = numbers.len();
            *numbers.entry(name).or_insert(next)
        };
        self.items
            .iter()
            .map(|item| match &item.group {
                Some(group) => number(format!("group {group}")),
                None => number(format!("item {}", item.id)),
            })
            .collect()
    }

    /// The pixels of an item, as the source has them.
    pub fn pixels(&self, index: usize) -> Result<Pixels, ReadError> {
        self.source.pixels(self.items[index].row)
    }

    /// The pixels of one of its items.
    pub(super) fn pixels_of(&self, item: &Item) -> Result<Pixels, ReadError> {
        self.source.pixels(item.row)
    }

    /// The digest of one item's content.
    pub(super) fn content(&self, item: &Item) -> Result<Digest, ReadError> {
        self.source.digest(item.row)
    }

    /// Arrays that models read as they are; the row of an item is its [`Item::row`].
    pub fn arrays(&self) -> &[NamedArray] {
        self.source.arrays()
    }

    /// Identity of everything in it: ids, labels, groups, parts, cells, contents; not where it
    /// lies. Reads every file, once.
    pub fn fingerprint(&self) -> Result<Digest, ReadError> {
        let digests = self.contents()?;
        Ok(*self.fingerprint.get_or_init(|| self.hashed(digests)))
    }

    fn hashed(&self, digests: &[Digest]) -> Digest {
        let mut hasher = Hasher::default();
        if self.target != Target::Classes {
            hasher.text(self.target.word());
        }
        self.names.iter().for_each(|name| hasher.text(name));
        for (item, digest) in self.items.iter().zip(digests) {
            self.identify(item, item.part, *digest, &mut hasher);
        }
        for (index, column) in self.columns.iter().enumerate() {
            hasher.text(column);
            self.items.iter().for_each(|item| hasher.text(&item.cells[index]));
        }
        hasher.finish()
    }

    fn identify(&self, item: &Item, part: Option<Part>, content: Digest, hasher: &mut Hasher) {
        hasher.text(&item.id);
        match self.target {
            Target::Classes => hasher.text(&self.names[item.label]),
            Target::Labels | Target::Values => {
                let value = |value: &Option<f64>| value.unwrap_or(f64::NAN).to_bits().to_le_bytes();
                item.values.iter().for_each(|cell| hasher.update(&value(cell)));
            }
        }
        hasher.text(item.group.as_deref().unwrap_or("\0none"));
        hasher.text(part.map_or("", Part::name));
        hasher.update(content.bytes());
    }

    /// Identity of some of its items: ids, labels, groups, contents, whatever part they stand in.
    pub fn identity_of(&self, items: &[usize]) -> Result<Digest, ReadError> {
        let contents = self.contents()?;
        let mut hasher = Hasher::default();
        for &index in items {
            self.identify(&self.items[index], None, contents[index], &mut hasher);
        }
        Ok(hasher.finish())
    }

    /// The digest of each item's content; every file is read once, by all cores.
    pub fn contents(&self) -> Result<&[Digest], ReadError> {
        let _one_at_a_time = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.digests.get() {
            return Ok(known);
        }
        let digests = self.each(|item| self.source.digest(item.row));
        let digests = digests.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(self.digests.get_or_init(|| digests))
    }

    /// What is wrong with each item, if it cannot be decoded; all cores look.
    pub(super) fn decoded(&self) -> Vec<Option<ReadError>> {
        self.each(|item| self.source.readable(item.row).err())
    }

    /// Something for each item, in their order, done by all cores.
    pub(super) fn each<T: Send>(&self, work: impl Fn(&Item) -> T + Sync) -> Vec<T> {
        let all: Vec<usize> = (0..self.items.len()).collect();
        self.each_of(&all, work)
    }

    /// The same for the items at these positions, in their order.
    pub(super) fn each_of<T: Send>(
        &self,
        positions: &[usize],
        work: impl Fn(&Item) -> T + Sync,
    ) -> Vec<T> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let piece = positions.len().div_ceil(cores).max(1);
        let work = &work;
        std::thread::scope(|scope| {
            let done = |share: &[usize]| share.iter().map(|&at| work(&self.items[at])).collect();
            let share = |share| scope.spawn(move || -> Vec<T> { done(share) });
            let workers: Vec<_> = positions.chunks(piece).map(share).collect();
            let done = workers.into_iter().map(|worker| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            done.flatten().collect()
        })
    }

    /// The same data set with the items at these positions only; classes stay what they are.
    #[must_use]
    pub fn only(mut self, positions: &BTreeSet<usize>) -> Self {
        let rows: BTreeSet<usize> = positions.iter().map(|&index| self.items[index].row).collect();
        self.retain(|item| rows.contains(&item.row));
        self
    }

    /// The same data set with some items only.
    pub(super) fn keep_items(mut self, keep: impl Fn(&Item) -> bool) -> Self {
        self.retain(keep);
        self
    }

    /// The same data set with some items and classes only; labels are numbered anew.
    pub(super) fn keep(mut self, keep: impl Fn(&Item) -> bool, classes: &BTreeSet<usize>) -> Self {
        let renumbered: BTreeMap<usize, usize> =
            classes.iter().enumerate().map(|(new, &old)| (old, new)).collect();
        self.retain(|item| renumbered.contains_key(&item.label) && keep(item));
        for item in &mut self.items {
            item.label = renumbered[&item.label];
        }
        self.names = classes.iter().map(|&old| self.names[old].clone()).collect();
        self
    }

    /// The same data set without some rows of its source.
    pub(super) fn without(mut self, rows: &BTreeSet<usize>) -> Self {
        self.retain(|item| !rows.contains(&item.row));
        self
    }

    /// The same data set without items that cannot be read, by index with the reason.
    pub(super) fn skip(mut self, unreadable: &BTreeMap<usize, String>) -> Self {
        let rows = unreadable.keys().map(|&index| self.items[index].row).collect();
        self.skipped = unreadable
            .iter()
            .map(|(&index, reason)| Skipped {
                id: self.items[index].id.clone(),
                reason: reason.clone(),
            })
            .collect();
        self.without(&rows)
    }

    fn retain(&mut self, keep: impl Fn(&Item) -> bool) {
        fn of<T>(all: Vec<T>, kept: &[bool]) -> Vec<T> {
            all.into_iter().zip(kept).filter_map(|(one, kept)| kept.then_some(one)).collect()
        }
        let kept: Vec<bool> = self.items.iter().map(keep).collect();
        self.fingerprint = OnceLock::new();
        self.items = of(std::mem::take(&mut self.items), &kept);
        if let Some(digests) = self.digests.take() {
            self.digests = OnceLock::from(of(digests, &kept));
        }
    }
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (items, outputs) = (self.items.len(), self.names.len());
        write!(f, "Dataset({items} items, {outputs} {})", self.target.word())
    }
}

/// Sorts class names: as numbers where all are numbers, else as text.
pub(super) fn sort_classes(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let unique: BTreeSet<String> = names.into_iter().collect();
    let mut names: Vec<String> = unique.into_iter().collect();
    let numbers: Option<Vec<f64>> = names.iter().map(|name| name.parse().ok()).collect();
    if numbers.is_some() {
        let value = |name: &String| name.parse::<f64>().unwrap_or_default();
        names.sort_by(|a, b| value(a).total_cmp(&value(b)));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_sorted_as_numbers_where_they_are_numbers() {
        let sorted = |names: &[&str]| sort_classes(names.iter().map(|&name| name.to_owned()));
        assert_eq!(sorted(&["10", "9", "9"]), ["9", "10"]);
        assert_eq!(sorted(&["b", "10", "9"]), ["10", "9", "b"]);
    }
}
