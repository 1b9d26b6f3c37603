//! Threads that a kernel borrows.

/// Somewhere to work in parallel.
pub trait Threads {
    /// Calls `work` once with each number below `count`, on any threads, in any order.
    fn each(&self, count: usize, work: &(dyn Fn(usize) + Sync));
}

/// The thread one is on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl Threads for Serial {
    fn each(&self, count: usize, work: &(dyn Fn(usize) + Sync)) {
        (0..count).for_each(work);
    }
}
