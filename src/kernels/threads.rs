//! Work in units that do not depend on how many threads there are.

use std::sync::{Mutex, PoisonError};

/// Whoever runs units of work: a pool of threads, or the caller alone.
pub trait Threads: Sync {
    /// Calls `work` once for every number below `units`, in any order and at any time until it
    /// returns.
    fn each(&self, units: usize, work: &(dyn Fn(usize) + Sync));
}

/// The calling thread.
pub struct Serial;

impl Threads for Serial {
    fn each(&self, units: usize, work: &(dyn Fn(usize) + Sync)) {
        (0..units).for_each(work);
    }
}

/// Calls `work` once for every part, which it alone holds.
pub(crate) fn each_part<T: Send>(
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

    #[test]
    fn every_part_is_worked_on_once() {
        let mut values = [0, 0, 0, 0, 0];
        each_part(&Serial, values.chunks_mut(2), |index, part| {
            part.iter_mut().for_each(|value| *value += index + 1);
        });
        assert_eq!(values, [1, 1, 2, 2, 3]);
    }
}
