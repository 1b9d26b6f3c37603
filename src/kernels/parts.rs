//! An output cut into pieces that threads fill side by side.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Threads;

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

/// Calls `work` once for every part, which it alone holds.
pub(super) fn each_part<T: Send>(
    threads: &dyn Threads,
    parts: impl IntoIterator<Item = T>,
    work: impl Fn(usize, T) + Sync,
) {
    let parts: Vec<Mutex<Option<T>>> =
        parts.into_iter().map(|part| Mutex::new(Some(part))).collect();
    threads.each(parts.len(), &|index| {
        let part = parts[index].lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(part) = part {
            work(index, part);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Serial;

    #[test]
    fn every_part_is_worked_on_once() {
        let mut values = [0, 0, 0, 0, 0];
        each_part(&Serial, values.chunks_mut(2), |index, part| {
            for value in part {
                *value += index + 1;
            }
        });
        assert_eq!(values, [1, 1, 2, 2, 3]);
    }
}
