//! Support vector machines on a kernel matrix that classes, costs and folds share. Items are rows of
//! the matrix, named by index.
//!
//! linfa-svm's solver would compute the matrix for each class anew, entry by entry.

mod classification;
mod machine;
mod regression;
mod smo;

pub use classification::{Among, Classifier, ClassifierPath};
pub use machine::Machine;
pub use regression::{Regression, RegressionPath};

/// Items at most: the kernel matrix takes 4 n² bytes.
pub const MOST_ITEMS: usize = 10_000;

/// When a machine is good enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Violation of the optimality conditions, as LIBSVM's.
    pub tolerance: f64,
    /// Pairs of multipliers that are moved, at most; for each machine.
    pub most_steps: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { tolerance: 1e-3, most_steps: 1_000_000 }
    }
}

#[cfg(test)]
mod tests;
