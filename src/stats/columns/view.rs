//! What was said of several labels or numbers of some items, checked once.

use ndarray::{ArrayRef2, ArrayView2};
use thiserror::Error;

use crate::base::Target;

/// Answers for N ≥ 1 items and C ≥ 1 columns, one for each label or number; what is true is NaN where
/// nobody knows.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    target: Target,
    truths: ArrayView2<'a, f64>,
    told: ArrayView2<'a, f64>,
}

/// What is known of one column, item by item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// Which items these are.
    pub items: Vec<usize>,
    /// What is true: 0 and 1 of a label.
    pub truths: Vec<f64>,
    /// What was told: the probability of a label, or a number.
    pub told: Vec<f64>,
}

/// Why some arrays are no [`Columns`]. Rows and columns count from 0.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ColumnsError {
    /// There is nothing to score.
    #[error("there are no items to score")]
    Empty,
    /// The arrays are not parallel.
    #[error("answers are {} x {}, expected {} x {}", found.0, found.1, expected.0, expected.1)]
    Shape {
        /// Rows and columns of the answers.
        found: (usize, usize),
        /// Items and columns.
        expected: (usize, usize),
    },
    /// A number is not finite, a probability not between 0 and 1, a label neither 0 nor 1.
    #[error("column {column} of item {row} is {value}")]
    Value {
        /// The item.
        row: usize,
        /// The column.
        column: usize,
        /// What it is.
        value: f64,
    },
}

impl<'a> Columns<'a> {
    /// Several labels: 0, 1 or NaN each, and their probabilities.
    ///
    /// # Errors
    /// The first thing found wrong.
    #[expect(clippy::needless_pass_by_value, reason = "views are copied, as slices are")]
    pub fn labels(
        truths: ArrayView2<'a, f64>,
        probabilities: ArrayView2<'a, f64>,
    ) -> Result<Self, ColumnsError> {
        let columns = Self { target: Target::Labels, truths, told: probabilities };
        columns.check(|truth| truth <= 0.0 || truth >= 1.0)?;
        let is_share = |p: f64| (0.0..=1.0).contains(&p);
        all(&columns.told, is_share)?;
        all(&columns.truths, |truth| truth.is_nan() || is_share(truth))?;
        Ok(columns)
    }

    /// Numbers, finite or NaN each, and what was predicted.
    ///
    /// # Errors
    /// The first thing found wrong.
    #[expect(clippy::needless_pass_by_value, reason = "views are copied, as slices are")]
    pub fn values(
        truths: ArrayView2<'a, f64>,
        told: ArrayView2<'a, f64>,
    ) -> Result<Self, ColumnsError> {
        let columns = Self { target: Target::Values, truths, told };
        columns.check(f64::is_finite)?;
        Ok(columns)
    }

    fn check(&self, is_truth: impl Fn(f64) -> bool) -> Result<(), ColumnsError> {
        if self.truths.is_empty() {
            return Err(ColumnsError::Empty);
        }
        let (found, expected) = (self.told.dim(), self.truths.dim());
        if found != expected {
            return Err(ColumnsError::Shape { found, expected });
        }
        all(&self.told, f64::is_finite)?;
        all(&self.truths, |truth| truth.is_nan() || is_truth(truth))
    }

    /// What the columns are.
    #[must_use]
    pub fn target(&self) -> Target {
        self.target
    }

    /// The number of items N, at least one.
    #[must_use]
    pub fn items(&self) -> usize {
        self.truths.nrows()
    }

    /// The number of columns C, at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.truths.ncols()
    }

    /// A column, as far as it is known.
    #[must_use]
    pub fn column(&self, index: usize) -> Column {
        let mut column = Column::default();
        let pairs = self.truths.column(index).into_iter().zip(self.told.column(index));
        for (item, (truth, told)) in pairs.enumerate() {
            if !truth.is_nan() {
                column.items.push(item);
                column.truths.push(*truth);
                column.told.push(*told);
            }
        }
        column
    }
}

fn all(values: &ArrayRef2<f64>, fine: impl Fn(f64) -> bool) -> Result<(), ColumnsError> {
    match values.indexed_iter().find(|(_, value)| !fine(**value)) {
        Some(((row, column), &value)) => Err(ColumnsError::Value { row, column, value }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn what_is_not_known_is_left_out_of_a_column() {
        let truths = array![[1.0, 0.0], [f64::NAN, 1.0]];
        let told = array![[0.25, 0.5], [0.75, 1.0]];
        let columns = Columns::labels(truths.view(), told.view()).unwrap();
        let first = Column { items: vec![0], truths: vec![1.0], told: vec![0.25] };
        assert_eq!(columns.column(0), first);
        assert_eq!(columns.column(1).items, [0, 1]);
    }

    #[test]
    fn answers_that_cannot_be_are_told() {
        let one = |truth: f64, told: f64| {
            let (truths, told) = (array![[truth]], array![[told]]);
            let labels = Columns::labels(truths.view(), told.view()).err();
            let values = Columns::values(truths.view(), told.view()).err();
            [labels.is_none(), values.is_none()]
        };
        assert_eq!(one(1.0, 0.5), [true, true]);
        assert_eq!(one(f64::NAN, 0.5), [true, true]);
        assert_eq!(one(0.5, 0.5), [false, true]);
        assert_eq!(one(1.0, 1.5), [false, true]);
        assert_eq!(one(1.0, f64::NAN), [false, false]);
        assert_eq!(one(f64::INFINITY, 1.0), [false, false]);
    }
}
