//! Running a graph of work in the right order. Two engines do the same: one by dagrs in parallel,
//! a serial one as its oracle.

mod dagrs_engine;
mod serial;

use std::sync::Arc;

pub use dagrs_engine::Parallel;
pub use serial::Serial;

/// Work to be ordered.
pub trait Work: Send + Sync + 'static {
    /// What a node leaves for those after it; failures are such a result too.
    type Outcome: Send + Sync + 'static;

    /// Nodes before each node; each lies before it in the list.
    fn before(&self) -> Vec<Vec<usize>>;

    /// Whether a node's result is there already. Quick; needs no cores.
    fn look(&self, node: usize, before: &[Arc<Self::Outcome>]) -> Option<Self::Outcome>;

    /// How many cores a node wants.
    fn cores(&self, node: usize) -> usize;

    /// Does a node's work on this many cores. Never panics.
    fn run(&self, node: usize, before: &[Arc<Self::Outcome>], cores: usize) -> Self::Outcome;
}

/// Something that runs work.
pub trait Engine {
    /// Runs every node after those before it; outcomes in the order of the nodes.
    fn run<W: Work>(&self, work: &Arc<W>) -> Vec<Arc<W::Outcome>>;
}

#[cfg(test)]
mod tests;
