//! Classifiers on features, and the choice of their strength. The only door to linfa.

mod cholesky;
pub mod gram;
mod grid;
pub mod kernel_svm;
pub mod linear_svm;
pub mod logistic;
mod newton;
mod normalise;
mod packed;
pub mod records;
mod selection;
mod svm;
pub mod threads;

pub use grid::{Cost, Grid, Named};
pub use logistic::Logistic;
pub use newton::Stop;
pub use normalise::{Normalise, Scaler};
pub use selection::{Choice, Curve, Selected, select};
pub use svm::{Kernel, Rbf, Svm};

use ndarray::{Array2, ArrayView2};
use thiserror::Error;

/// Features with labels.
#[derive(Clone, Debug)]
pub struct Labelled<'a> {
    /// Items × features.
    pub features: ArrayView2<'a, f64>,
    /// The class of each item.
    pub labels: &'a [usize],
    /// Number of classes.
    pub classes: usize,
}

/// Why there is no classifier.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProbeError {
    /// A feature is NaN or infinite.
    #[error("feature {column} of item {row} is {value}")]
    NotFinite {
        /// Row in the matrix.
        row: usize,
        /// Column in the matrix.
        column: usize,
        /// What it is.
        value: String,
    },
    /// Fewer than two classes.
    #[error("all {0} training items are of one class")]
    OneClass(usize),
    /// More items than a kernel matrix is made for.
    #[error("{items} items need a kernel matrix of {items} × {items}; at most {most} are taken")]
    TooMany {
        /// How many there are.
        items: usize,
        /// How many there may be.
        most: usize,
    },
    /// No strength could be fitted.
    #[error("no value of `c` could be fitted: {0}")]
    NoFit(String),
}

/// A fitted classifier.
pub trait Classifier {
    /// Scores of items × classes; higher is more likely.
    fn scores(&self, features: ArrayView2<'_, f64>) -> Array2<f64>;

    /// Why its scores are no probabilities, if they are none.
    fn no_probabilities(&self) -> Option<&'static str>;
}

/// Refuses features that are not numbers, and a single class.
fn check(data: &Labelled<'_>) -> Result<(), ProbeError> {
    for ((row, column), value) in data.features.indexed_iter() {
        if !value.is_finite() {
            return Err(ProbeError::NotFinite { row, column, value: value.to_string() });
        }
    }
    match data.labels.iter().any(|label| *label != data.labels[0]) {
        true => Ok(()),
        false => Err(ProbeError::OneClass(data.labels.len())),
    }
}

/// The same matrix for linfa, which is one ndarray behind.
fn for_linfa(matrix: &ArrayView2<'_, f64>) -> ndarray_linfa::Array2<f64> {
    let (rows, columns) = matrix.dim();
    ndarray_linfa::Array2::from_shape_vec((rows, columns), matrix.iter().copied().collect())
        .expect("as many values as the shape says")
}

/// A matrix of linfa's as ours.
fn from_linfa(matrix: &ndarray_linfa::Array2<f64>) -> Array2<f64> {
    let (rows, columns) = matrix.dim();
    Array2::from_shape_vec((rows, columns), matrix.iter().copied().collect())
        .expect("as many values as the shape says")
}

#[cfg(test)]
mod digits;
#[cfg(test)]
mod testing;
