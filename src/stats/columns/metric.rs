//! What every metric of labels or numbers can say.

use crate::stats::measured::{Measured, Undefined};
use crate::stats::metrics::{Direction, mean};

use super::view::{Column, Columns};

/// What a metric is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of its own: a probability, nats.
    Own,
    /// The unit of the numbers predicted.
    Predicted,
    /// The square of that.
    Squared,
}

/// A number for each column, and their plain mean over the columns that have one.
pub trait ColumnMetric: Sync {
    /// The word used in pipelines and tables.
    fn name(&self) -> &'static str;

    /// Which way is better.
    fn direction(&self) -> Direction;

    /// What it is measured in.
    fn unit(&self) -> Unit {
        Unit::Own
    }

    /// Half the width of the region of practical equivalence; of a metric in the unit of the numbers
    /// (or its square), as a share of their standard deviation (or variance).
    fn rope(&self) -> f64;

    /// What it measures, with range, in a sentence.
    fn description(&self) -> &'static str;

    /// The value of a column; never NaN.
    fn column(&self, column: &Column) -> Measured;

    /// The loss of what was told for what is true, if a column's value is the mean of it.
    fn loss(&self) -> Option<fn(f64, f64) -> f64> {
        None
    }

    /// The plain mean over the columns that have a value; undefined if none has.
    fn value(&self, columns: &Columns<'_>) -> Measured {
        let of = |index: usize| self.column(&columns.column(index));
        let all: Vec<Measured> = (0..columns.count()).map(of).collect();
        let known: Vec<f64> = all.iter().filter_map(Measured::value).collect();
        match (known.is_empty(), all.into_iter().next()) {
            (true, Some(first)) => first,
            _ => Measured::Defined(mean(&known)),
        }
    }

    /// For a metric that is a mean of losses: the contribution of each of the N items, higher being
    /// better, such that their plain mean is the negated value. A loss of one of the `n_c` items of
    /// which a column is known, among K columns of which any is known, counts `N / (K n_c)`.
    fn per_item(&self, columns: &Columns<'_>) -> Option<Result<Vec<f64>, Undefined>> {
        let loss = self.loss()?;
        let known: Vec<Column> = (0..columns.count())
            .map(|index| columns.column(index))
            .filter(|column| !column.items.is_empty())
            .collect();
        if known.is_empty() {
            return Some(Err(Undefined::new("nothing is known of any item")));
        }
        let mut items = vec![0.0; columns.items()];
        for column in &known {
            let share = columns.items() as f64 / (known.len() * column.items.len()) as f64;
            let pairs = column.truths.iter().zip(&column.told);
            for (&item, (&truth, &told)) in column.items.iter().zip(pairs) {
                items[item] -= share * loss(truth, told);
            }
        }
        Some(Ok(items))
    }
}

/// The mean of a loss over what is known of a column.
pub(super) fn mean_loss(column: &Column, loss: fn(f64, f64) -> f64) -> Measured {
    if column.items.is_empty() {
        return Measured::undefined("it is not known of any item");
    }
    let losses = column.truths.iter().zip(&column.told).map(|(&truth, &told)| loss(truth, told));
    Measured::Defined(mean(&losses.collect::<Vec<f64>>()))
}
