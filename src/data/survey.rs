//! Which items of a data set cannot be read: found before anything is drawn from it, so that every
//! seed and every stage sees the same items.

use std::collections::BTreeMap;

use crate::base::Digest;
use crate::base::language::choice;

use super::dataset::{Dataset, OpenError};

choice! {
    /// What happens to items that cannot be read.
    pub enum OnBad {
        /// Whatever reads one fails and names it.
        "fail" => Fail,
        /// They are found before the split is drawn and left out; a note counts them, and the table
        /// `skipped` of a run lists them.
        "skip" => Skip,
    }
}

/// What is wrong with items that cannot be read, by index.
pub type Unreadable = BTreeMap<usize, String>;

/// Finds the items that cannot be read. Given by whoever can remember what was found.
pub type Survey = Box<dyn Fn(&Dataset) -> Unreadable>;

impl Dataset {
    /// Decodes every item with all cores.
    pub fn unreadable(&self) -> Unreadable {
        let decoded = self.decoded().into_iter().enumerate();
        decoded.filter_map(|(index, error)| Some((index, error?.cause))).collect()
    }

    /// Identity of what decides which items can be read; nothing if a file cannot even be opened.
    pub fn readable_by(&self) -> Option<Digest> {
        self.contents().ok().map(|digests| Digest::of_json(&digests))
    }

    /// The data set without the items that cannot be read, and a note of them if there are any.
    pub fn skipping(self, unreadable: &Unreadable) -> Result<Self, OpenError> {
        let count = self.items().len();
        let Some((&first, reason)) = unreadable.first_key_value() else { return Ok(self) };
        let first = &self.items()[first].id;
        if unreadable.len() == count {
            return Err(OpenError::new(format!("no item can be read; `{first}`: {reason}"))
                .help("JPEG and PNG images are read"));
        }
        let note = format!(
            "{} of {count} items cannot be read and are left out, the first `{first}`: {reason}",
            unreadable.len()
        );
        Ok(self.skip(unreadable).with_notes(vec![note]))
    }
}
