//! A data set, whatever it was read from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use thiserror::Error;

use crate::base::{Digest, Hasher};

use super::pixels::Pixels;
use super::split::Part;

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is called: a path relative to the data set, or a row number.
    pub id: String,
    /// Index of its class.
    pub label: usize,
    /// Whatever it shares with others (a person, say).
    pub group: Option<String>,
    /// Where the data set itself puts it.
    pub part: Option<Part>,
    /// Its position in the source.
    pub row: usize,
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
}

/// A data set: items with labels, and pixels on demand.
pub struct Dataset {
    classes: Vec<String>,
    items: Vec<Item>,
    rows: usize,
    source: Box<dyn Source>,
    contents: OnceLock<Vec<Digest>>,
    fingerprint: OnceLock<Digest>,
    fingerprinting: Mutex<()>,
}

impl Dataset {
    /// Labels are indices into `classes`.
    pub(super) fn new(classes: Vec<String>, items: Vec<Item>, source: Box<dyn Source>) -> Self {
        let rows = items.len();
        Self {
            classes,
            items,
            rows,
            source,
            contents: OnceLock::new(),
            fingerprint: OnceLock::new(),
            fingerprinting: Mutex::new(()),
        }
    }

    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The items, in the order of the source.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// How many rows the source has, whatever was selected of them.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The label of each item.
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

    /// Identity of everything in it: ids, labels, groups, parts, contents; not where it lies.
    /// Reads every file, once.
    pub fn fingerprint(&self) -> Result<Digest, ReadError> {
        let contents = self.contents()?;
        Ok(*self.fingerprint.get_or_init(|| {
            let mut hasher = Hasher::default();
            self.classes.iter().for_each(|class| hasher.text(class));
            for (item, digest) in self.items.iter().zip(contents) {
                self.identify(item, *digest, &mut hasher);
            }
            hasher.finish()
        }))
    }

    fn identify(&self, item: &Item, content: Digest, hasher: &mut Hasher) {
        hasher.text(&item.id);
        hasher.text(&self.classes[item.label]);
        hasher.text(item.group.as_deref().unwrap_or("\0none"));
        hasher.text(item.part.map_or("", Part::name));
        hasher.update(content.bytes());
    }

    /// The digest of each item's content. Reads every file, once.
    pub fn contents(&self) -> Result<&[Digest], ReadError> {
        let _one_at_a_time =
            self.fingerprinting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = self.contents.get() {
            return Ok(known);
        }
        let digests = self.content_digests()?;
        Ok(self.contents.get_or_init(|| digests))
    }

    /// Identity of some of its items: ids, labels, groups, contents, whatever part they stand in.
    pub fn identity_of(&self, items: &[usize]) -> Result<Digest, ReadError> {
        let contents = self.contents()?;
        let mut hasher = Hasher::default();
        for &index in items {
            let item = Item { part: None, ..self.items[index].clone() };
            self.identify(&item, contents[index], &mut hasher);
        }
        Ok(hasher.finish())
    }

    /// Digests of all items, read by all cores.
    fn content_digests(&self) -> Result<Vec<Digest>, ReadError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let piece = self.items.len().div_ceil(cores).max(1);
        let read = |items: &[Item]| -> Result<Vec<Digest>, ReadError> {
            items.iter().map(|item| self.source.digest(item.row)).collect()
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> =
                self.items.chunks(piece).map(|items| scope.spawn(move || read(items))).collect();
            let mut all = Vec::with_capacity(self.items.len());
            for worker in workers {
                let read = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                all.extend(read?);
            }
            Ok(all)
        })
    }

    /// The same data set with some items and classes only; labels are numbered anew.
    pub(super) fn keep(mut self, keep: impl Fn(&Item) -> bool, classes: &BTreeSet<usize>) -> Self {
        let renumbered: BTreeMap<usize, usize> =
            classes.iter().enumerate().map(|(new, &old)| (old, new)).collect();
        self.items.retain(|item| renumbered.contains_key(&item.label) && keep(item));
        for item in &mut self.items {
            item.label = renumbered[&item.label];
        }
        self.classes = classes.iter().map(|&old| self.classes[old].clone()).collect();
        self.contents = OnceLock::new();
        self.fingerprint = OnceLock::new();
        self
    }
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dataset({} items, {} classes)", self.items.len(), self.classes.len())
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
