//! Files that only grow: one line for each thing that happened, whichever run saw it.
//!
//! Whoever tells the same thing again adds nothing. Several processes may add lines; each adds its own
//! in one write under a lock. A crash leaves a torn last line at most,
//! which nobody reads.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Store, StoreError};

/// A file of lines that only grows.
#[derive(Clone, Debug)]
pub struct Journal {
    path: PathBuf,
}

/// A line of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line<T> {
    /// Identity of what it tells.
    pub key: String,
    /// When it was told, RFC 3339.
    pub time: String,
    /// What it tells.
    pub entry: T,
}

impl Store {
    /// The journal of this name; there is no file before its first line.
    pub fn journal(&self, name: &str) -> Journal {
        Journal { path: self.root.join("journals").join(format!("{name}.jsonl")) }
    }
}

impl Journal {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds what is not there yet, each with its key; tells how many lines that were.
    pub fn append<T: Serialize>(&self, entries: &[(String, T)]) -> Result<usize, StoreError> {
        if entries.is_empty() {
            return Ok(0);
        }
        let time = jiff::Timestamp::now().to_string();
        let line = |(key, entry): &(String, T)| {
            let entry = serde_json::to_value(entry).map_err(|error| self.refused(error.into()))?;
            Ok(Line { key: key.clone(), time: time.clone(), entry })
        };
        let told: Vec<Line<Json>> = entries.iter().map(line).collect::<Result<_, StoreError>>()?;
        let mut added = 0;
        self.grow(|there: &[Line<Json>]| {
            let mut known: BTreeSet<String> = there.iter().map(|line| line.key.clone()).collect();
            let fresh: Vec<Line<Json>> =
                told.into_iter().filter(|line| known.insert(line.key.clone())).collect();
            added = fresh.len();
            fresh
        })?;
        Ok(added)
    }

    /// Adds the lines that `fresh` makes of those that are there and can be read as `T`; gives all of
    /// them. Waits for others that are at it.
    pub fn grow<T: Serialize + DeserializeOwned>(
        &self,
        fresh: impl FnOnce(&[T]) -> Vec<T>,
    ) -> Result<Vec<T>, StoreError> {
        let refused = |cause| self.refused(cause);
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(refused)?;
        }
        let file = File::options().create(true).read(true).append(true).open(&self.path);
        let mut file = file.map_err(refused)?;
        // Let go when the file is closed, by the system if the process dies.
        file.lock().map_err(refused)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(refused)?;
        let mut all: Vec<T> = lines(&bytes).collect();
        let fresh = fresh(&all);
        let mut added = Vec::new();
        // What a crash tore off must not tear the next line too.
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            added.push(b'\n');
        }
        for line in &fresh {
            serde_json::to_writer(&mut added, line).map_err(|error| refused(error.into()))?;
            added.push(b'\n');
        }
        if !fresh.is_empty() {
            file.write_all(&added).map_err(refused)?;
            file.sync_data().map_err(refused)?;
        }
        all.extend(fresh);
        Ok(all)
    }

    /// Every line that can be read as `T`, the oldest first. None where there is no file.
    pub fn read<T: DeserializeOwned>(&self) -> Result<Vec<T>, StoreError> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(lines(&bytes).collect()),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(vec![]),
            Err(cause) => Err(self.refused(cause)),
        }
    }

    fn refused(&self, cause: std::io::Error) -> StoreError {
        StoreError::Io { path: self.path.clone(), cause }
    }
}

fn lines<T: DeserializeOwned>(bytes: &[u8]) -> impl Iterator<Item = T> {
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: i32) -> (String, i32) {
        (key.to_owned(), value)
    }

    fn values(journal: &Journal) -> Vec<i32> {
        journal.read().unwrap().into_iter().map(|line: Line<i32>| line.entry).collect()
    }

    #[test]
    fn what_is_told_again_adds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Store::open(folder.path()).unwrap().journal("things");
        assert!(values(&journal).is_empty() && !journal.path().exists());
        assert_eq!(journal.append(&[entry("a", 1), entry("b", 2), entry("a", 3)]).unwrap(), 2);
        let before = std::fs::read(journal.path()).unwrap();
        assert_eq!(journal.append(&[entry("b", 2)]).unwrap(), 0);
        assert_eq!(std::fs::read(journal.path()).unwrap(), before);
        assert_eq!(journal.append(&[entry("c", 4)]).unwrap(), 1);
        assert_eq!(values(&journal), [1, 2, 4]);
    }

    #[test]
    fn a_torn_line_is_read_by_nobody_and_tears_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Store::open(folder.path()).unwrap().journal("things");
        journal.append(&[entry("a", 1), entry("b", 2)]).unwrap();
        let whole = std::fs::read(journal.path()).unwrap();
        let torn = File::options().write(true).open(journal.path()).unwrap();
        torn.set_len(whole.len() as u64 - 4).unwrap();
        assert_eq!(values(&journal), [1]);
        // What was torn is told again.
        assert_eq!(journal.append(&[entry("b", 2), entry("c", 3)]).unwrap(), 2);
        assert_eq!(values(&journal), [1, 2, 3]);
    }

    #[test]
    fn several_at_a_time_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let journal = store.journal("things");
                scope.spawn(move || {
                    for number in 0..25 {
                        // Half of the keys are common to all.
                        let own = if number % 2 == 0 { writer } else { 0 };
                        journal.append(&[entry(&format!("{own} {number}"), number)]).unwrap();
                    }
                });
            }
        });
        let lines: Vec<Line<i32>> = store.journal("things").read().unwrap();
        let keys: BTreeSet<&String> = lines.iter().map(|line| &line.key).collect();
        assert_eq!((lines.len(), keys.len()), (4 * 13 + 12, 4 * 13 + 12));
    }
}
