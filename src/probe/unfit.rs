//! Why data cannot be fitted.

use ndarray::ArrayView2;
use thiserror::Error;

/// What stands in the way of a fit, told by what a person can look up.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unfit {
    /// A feature is NaN or infinite.
    #[error("feature {column} of item {row} is {value}")]
    NotFinite {
        /// Row in the matrix, from 0.
        row: usize,
        /// Column in the matrix, from 0.
        column: usize,
        /// What it is.
        value: String,
    },
    /// A target is NaN or infinite.
    #[error("target {column} of item {row} is {value}")]
    NotFiniteTarget {
        /// Row in the matrix, from 0.
        row: usize,
        /// Column in the matrix, from 0.
        column: usize,
        /// What it is.
        value: String,
    },
    /// There is nothing to learn from.
    #[error("there are no training items")]
    NoItems,
    /// There is nothing to learn from.
    #[error("the training items have no features")]
    NoFeatures,
    /// There is nothing to compare.
    #[error("there is only one training item")]
    OneItem,
    /// Fewer than two classes.
    #[error("all {0} training items are of one class")]
    OneClass(usize),
    /// A label is no class.
    #[error("item {row} has the label {label}, but there are {classes} classes")]
    NoSuchClass {
        /// Row of the item, from 0.
        row: usize,
        /// Its label.
        label: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// Two things that go together are not of one length.
    #[error("{found} {what} for {expected} training items")]
    Length {
        /// What there should be one of for each item.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// Items to predict have other features than those of training.
    #[error("items with {found} features for a fit on {expected} features")]
    Width {
        /// Features of the items.
        found: usize,
        /// Features of training.
        expected: usize,
    },
    /// A setting out of its range.
    #[error("`{name}` is {value}, but {range}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        range: &'static str,
    },
    /// Numbers that no arithmetic of 64 bits can hold.
    #[error("features as large as {largest} leave the range of numbers; scale them")]
    TooLarge {
        /// The largest of them.
        largest: String,
    },
    /// A decomposition that would take hours and more memory than there is.
    #[error("a matrix of {size} × {size} would be decomposed; at most {most} × {most} are")]
    TooLargeToDecompose {
        /// Rows of the matrix.
        size: usize,
        /// How many there may be.
        most: usize,
    },
    /// Too little for a division into folds.
    #[error("{units} {what} cannot be divided into 2 folds or more")]
    NoFolds {
        /// How many units there are.
        units: usize,
        /// Items or groups.
        what: &'static str,
    },
}

/// Products of two features stay finite up to here, and so do sums of 10¹⁶ of them.
const LARGEST: f64 = 1e140;

/// Refuses no items, no features, and features that are not finite or too large to be squared.
pub(super) fn check_features(features: &ArrayView2<'_, f64>) -> Result<(), Unfit> {
    if features.nrows() == 0 {
        return Err(Unfit::NoItems);
    }
    if features.ncols() == 0 {
        return Err(Unfit::NoFeatures);
    }
    check_finite(features)
}

/// Refuses features that are not finite or too large to be squared; there may be none.
pub(super) fn check_finite(features: &ArrayView2<'_, f64>) -> Result<(), Unfit> {
    // NaN is not below anything.
    if features.iter().all(|value| value.abs() <= LARGEST) {
        return Ok(());
    }
    for ((row, column), value) in features.indexed_iter() {
        if !value.is_finite() {
            return Err(Unfit::NotFinite { row, column, value: value.to_string() });
        }
        if value.abs() > LARGEST {
            return Err(Unfit::TooLarge { largest: format!("{:e}", value.abs()) });
        }
    }
    Ok(())
}

/// Rows of a matrix that is decomposed at most: that of 10,000 takes 800 MB and some minutes.
const MOST_ROWS: usize = 10_000;

/// Refuses a matrix that is too large to be decomposed.
pub(super) fn check_size(size: usize) -> Result<(), Unfit> {
    match size <= MOST_ROWS {
        true => Ok(()),
        false => Err(Unfit::TooLargeToDecompose { size, most: MOST_ROWS }),
    }
}

/// Refuses targets that are not finite or not one for each item.
pub(super) fn check_targets(targets: &ArrayView2<'_, f64>, items: usize) -> Result<(), Unfit> {
    check_length("targets", targets.nrows(), items)?;
    for ((row, column), value) in targets.indexed_iter() {
        if !value.is_finite() || value.abs() > LARGEST {
            return Err(Unfit::NotFiniteTarget { row, column, value: value.to_string() });
        }
    }
    Ok(())
}

/// Refuses labels that are no classes or not one for each item.
pub(super) fn check_labels(labels: &[usize], classes: usize, items: usize) -> Result<(), Unfit> {
    check_length("labels", labels.len(), items)?;
    match labels.iter().position(|&label| label >= classes) {
        Some(row) => Err(Unfit::NoSuchClass { row, label: labels[row], classes }),
        None => Ok(()),
    }
}

/// Refuses a single class.
pub(super) fn check_classes(labels: &[usize]) -> Result<(), Unfit> {
    match labels.iter().any(|label| *label != labels[0]) {
        true => Ok(()),
        false => Err(Unfit::OneClass(labels.len())),
    }
}

/// Refuses a list that is not as long as there are items.
pub(super) fn check_length(what: &'static str, found: usize, expected: usize) -> Result<(), Unfit> {
    match found == expected {
        true => Ok(()),
        false => Err(Unfit::Length { what, found, expected }),
    }
}

/// Refuses items to predict that do not have the features of training, or not finite ones.
pub(super) fn check_width(features: &ArrayView2<'_, f64>, expected: usize) -> Result<(), Unfit> {
    match features.ncols() == expected {
        true => check_finite(features),
        false => Err(Unfit::Width { found: features.ncols(), expected }),
    }
}
