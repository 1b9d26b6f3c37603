//! Reading the keys of a map, each once, and telling the ones nobody asked for.

use super::super::{Entry, Found, Problem, Written};
use super::{Read, unexpected};

/// The keys of one map while they are being read.
pub struct Fields<'a> {
    of: String,
    written: &'a Written,
    entries: &'a [Entry],
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Opens a map; `of` names it in messages. A value that is no map is a problem.
    pub fn open(of: &str, written: &'a Written, found: &mut Found) -> Option<Self> {
        let Some(entries) = written.entries() else {
            found.add(unexpected(written, &format!("the keys of `{of}`")));
            return None;
        };
        Some(Self { of: of.to_owned(), written, entries, known: vec![] })
    }

    /// What is written, key by key, with the place of each key.
    pub fn written(&self) -> impl Iterator<Item = (&str, super::super::Place)> {
        self.entries.iter().map(|entry| (entry.key.as_str(), entry.key.place))
    }

    /// A key that must be there.
    pub fn required<T: Read>(&mut self, key: &'static str, found: &mut Found) -> Option<T> {
        if let Some(value) = self.take(key) {
            return T::read(value, found);
        }
        let message = format!("`{}` needs the key `{key}`", self.of);
        let wanted = super::words(&T::schema()).to_owned();
        found.add(Problem::at(self.written.place, message).help(format!("`{key}` is {wanted}")));
        None
    }

    /// A key that may be left out.
    pub fn or<T: Read>(
        &mut self,
        key: &'static str,
        default: impl FnOnce() -> T,
        found: &mut Found,
    ) -> Option<T> {
        match self.take(key) {
            Some(value) => T::read(value, found),
            None => Some(default()),
        }
    }

    /// Tells every key that was not asked for.
    pub fn close(self, found: &mut Found) {
        for entry in self.entries {
            if !self.known.contains(&entry.key.as_str()) {
                let message = format!("`{}` is not a key of `{}`", *entry.key, self.of);
                found.add(
                    Problem::at(entry.key.place, message)
                        .or_else_one_of(&entry.key, self.known.iter().copied()),
                );
            }
        }
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Written> {
        self.known.push(key);
        self.entries.iter().find(|entry| *entry.key == key).map(|entry| &entry.value)
    }
}
