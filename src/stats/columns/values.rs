//! Metrics of numbers.

use crate::stats::measured::Measured;
use crate::stats::metrics::{Direction, mean};

use super::metric::{ColumnMetric, Unit, mean_loss};
use super::view::Column;

/// The square root of the mean squared error, in the unit of the numbers.
pub(super) struct RootMeanSquared;

impl ColumnMetric for RootMeanSquared {
    fn name(&self) -> &'static str {
        "rmse"
    }

    fn direction(&self) -> Direction {
        Direction::LowerIsBetter
    }

    fn unit(&self) -> Unit {
        Unit::Predicted
    }

    fn rope(&self) -> f64 {
        0.01
    }

    fn description(&self) -> &'static str {
        "root of the mean squared error, in the unit of the numbers, 0 up"
    }

    fn column(&self, column: &Column) -> Measured {
        match mean_loss(column, squared) {
            Measured::Defined(value) => Measured::Defined(value.sqrt()),
            undefined @ Measured::Undefined(_) => undefined,
        }
    }
}

/// The mean squared error, in the squared unit of the numbers.
pub(super) struct MeanSquared;

impl ColumnMetric for MeanSquared {
    fn name(&self) -> &'static str {
        "mse"
    }

    fn direction(&self) -> Direction {
        Direction::LowerIsBetter
    }

    fn unit(&self) -> Unit {
        Unit::Squared
    }

    fn rope(&self) -> f64 {
        0.01
    }

    fn description(&self) -> &'static str {
        "mean squared error, in the squared unit of the numbers, 0 up"
    }

    fn column(&self, column: &Column) -> Measured {
        mean_loss(column, squared)
    }

    fn loss(&self) -> Option<fn(f64, f64) -> f64> {
        Some(squared)
    }
}

/// The mean distance from what is true, in the unit of the numbers.
pub(super) struct MeanAbsolute;

impl ColumnMetric for MeanAbsolute {
    fn name(&self) -> &'static str {
        "mae"
    }

    fn direction(&self) -> Direction {
        Direction::LowerIsBetter
    }

    fn unit(&self) -> Unit {
        Unit::Predicted
    }

    fn rope(&self) -> f64 {
        0.01
    }

    fn description(&self) -> &'static str {
        "mean distance from what is true, in the unit of the numbers, 0 up"
    }

    fn column(&self, column: &Column) -> Measured {
        mean_loss(column, absolute)
    }

    fn loss(&self) -> Option<fn(f64, f64) -> f64> {
        Some(absolute)
    }
}

/// The share of the variance that is explained, `1 − Σ (y − ŷ)² / Σ (y − ȳ)²` with ȳ the mean of these
/// items; at most 1, and 0 for whoever always says ȳ. Undefined where all numbers are the same
/// (scikit-learn says 1 or 0 there).
pub struct RSquared;

impl ColumnMetric for RSquared {
    fn name(&self) -> &'static str {
        "r2"
    }

    fn direction(&self) -> Direction {
        Direction::HigherIsBetter
    }

    fn rope(&self) -> f64 {
        0.01
    }

    fn description(&self) -> &'static str {
        "share of the variance that is explained, at most 1; the mean of the items gives 0"
    }

    fn column(&self, column: &Column) -> Measured {
        if column.truths.is_empty() {
            return Measured::undefined("it is not known of any item");
        }
        let centre = mean(&column.truths);
        let around: f64 = column.truths.iter().map(|truth| squared(*truth, centre)).sum();
        if around <= 0.0 {
            return Measured::undefined("it is the same for every item");
        }
        let pairs = column.truths.iter().zip(&column.told);
        let left: f64 = pairs.map(|(truth, told)| squared(*truth, *told)).sum();
        Measured::Defined(1.0 - left / around)
    }
}

fn squared(truth: f64, told: f64) -> f64 {
    (told - truth).powi(2)
}

fn absolute(truth: f64, told: f64) -> f64 {
    (told - truth).abs()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::super::view::Columns;
    use super::*;
    use crate::stats::testing::assert_close;

    /// The example of scikit-learn's guide: mse 0.375, mae 0.5, r² 0.948608137.
    #[test]
    fn the_values_are_those_of_scikit_learn() {
        let (truths, told) =
            (array![[3.0], [-0.5], [2.0], [7.0]], array![[2.5], [0.0], [2.0], [8.0]]);
        let columns = Columns::values(truths.view(), told.view()).unwrap();
        let of = |metric: &dyn ColumnMetric| metric.value(&columns).value().unwrap();
        assert_close(of(&MeanSquared), 0.375, 1e-12);
        assert_close(of(&RootMeanSquared), 0.612_372_435_7, 1e-9);
        assert_close(of(&MeanAbsolute), 0.5, 1e-12);
        assert_close(of(&RSquared), 0.948_608_137_0, 1e-9);
    }

    #[test]
    fn numbers_that_are_all_the_same_leave_nothing_to_explain() {
        let (truths, told) = (array![[2.0], [2.0]], array![[2.0], [2.0]]);
        let columns = Columns::values(truths.view(), told.view()).unwrap();
        assert_eq!(RSquared.value(&columns).reason(), Some("it is the same for every item"));
        assert_close(MeanSquared.value(&columns).value().unwrap(), 0.0, 0.0);
    }
}
