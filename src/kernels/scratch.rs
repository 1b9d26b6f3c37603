//! Working memory that is kept from call to call: fresh pages cost more than what is computed in
//! them.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of a cache line.
const LINE: usize = 64;

/// Buffers that nobody uses now.
static SPARE: Mutex<Vec<Vec<f32>>> = Mutex::new(vec![]);

/// Floats that begin on a cache line. What they hold at first is arbitrary.
pub(crate) struct Scratch {
    memory: Vec<f32>,
    first: usize,
    length: usize,
}

impl Scratch {
    /// The smallest spare buffer that is large enough; else the largest one makes way for a new
    /// one, so that there are never more buffers than were in use at once.
    pub(crate) fn of(length: usize) -> Self {
        let needed = length + LINE / size_of::<f32>();
        let memory = {
            let mut spare = spare();
            let fits = |buffer: &Vec<f32>| (buffer.len() >= needed, buffer.len());
            let order = |buffer: &Vec<f32>| match fits(buffer) {
                (true, length) => (0, length),
                (false, length) => (1, usize::MAX - length),
            };
            let best = (0..spare.len()).min_by_key(|&index| order(&spare[index]));
            best.map(|index| spare.swap_remove(index))
        };
        let memory = memory.filter(|memory| memory.len() >= needed);
        let memory = memory.unwrap_or_else(|| vec![0.0; needed]);
        let first = memory.as_ptr().align_offset(LINE).min(LINE / size_of::<f32>());
        Self { memory, first, length }
    }

    /// Floats that begin on a cache line, all 0.
    pub(crate) fn zeroed(length: usize) -> Self {
        let mut scratch = Self::of(length);
        scratch.fill(0.0);
        scratch
    }
}

fn spare() -> MutexGuard<'static, Vec<Vec<f32>>> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[self.first..self.first + self.length]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.first..self.first + self.length]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        spare().push(std::mem::take(&mut self.memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_has_its_length_and_begins_on_a_line() {
        for length in [0, 1, 1000, 64] {
            let scratch = Scratch::zeroed(length);
            assert_eq!(scratch.to_vec(), vec![0.0; length]);
            assert_eq!(scratch.as_ptr() as usize % LINE, 0);
        }
    }
}
