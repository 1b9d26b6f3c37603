//! An output cut into pieces that threads fill side by side.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Disjoint pieces of one slice. Each is behind a lock that nobody waits for, as long as every
/// piece of work takes its own pieces.
pub(super) struct Parts<'a, T>(Vec<Mutex<&'a mut [T]>>);

impl<'a, T> Parts<'a, T> {
    /// Pieces of this length; the last may be shorter.
    pub(super) fn new(whole: &'a mut [T], length: usize) -> Self {
        Self(whole.chunks_mut(length.max(1)).map(Mutex::new).collect())
    }

    /// Rows of one length, each cut into pieces of another, whose last may be shorter.
    pub(super) fn of_rows(whole: &'a mut [T], row: usize, length: usize) -> Self {
        let rows = whole.chunks_mut(row.max(1));
        Self(rows.flat_map(|row| row.chunks_mut(length.max(1))).map(Mutex::new).collect())
    }

    /// One piece.
    pub(super) fn take(&self, index: usize) -> MutexGuard<'_, &'a mut [T]> {
        self.0[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
