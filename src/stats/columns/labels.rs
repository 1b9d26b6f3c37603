//! Metrics of several labels, each a question of its own.

use crate::stats::measured::Measured;
use crate::stats::metrics::{Direction, area, average_precision};

use super::metric::{ColumnMetric, mean_loss};
use super::view::{Column, Columns};

/// How many labels some items have and others have not: those that areas and precisions are averaged
/// over.
#[must_use]
pub fn with_both(columns: &Columns<'_>) -> usize {
    let both = |index: &usize| has_both(&columns.column(*index));
    (0..columns.count()).filter(both).count()
}

fn has_both(column: &Column) -> bool {
    let present = column.truths.iter().filter(|truth| **truth > 0.5).count();
    present > 0 && present < column.truths.len()
}

const ONE_SIDED: &str = "every item, or none, has this label";

/// Area under the receiver operating characteristic of each label (ties count half), and its mean
/// over the labels that some items have and others have not.
pub struct LabelAuroc;

impl ColumnMetric for LabelAuroc {
    fn name(&self) -> &'static str {
        "auroc"
    }

    fn direction(&self) -> Direction {
        Direction::HigherIsBetter
    }

    fn rope(&self) -> f64 {
        0.01
    }

    fn description(&self) -> &'static str {
        "probability that an item with a label outranks one without, 0 to 1, mean over labels"
    }

    fn column(&self, column: &Column) -> Measured {
        match has_both(column) {
            true => area(&column.told, &positive(column)).into(),
            false => Measured::undefined(ONE_SIDED),
        }
    }
}

/// Average precision of each label, not interpolated, and its mean over the labels that some items
/// have and others have not.
pub(super) struct LabelPrecision;

impl ColumnMetric for LabelPrecision {
    fn name(&self) -> &'static str {
        "average_precision"
    }

    fn direction(&self) -> Direction {
        Direction::HigherIsBetter
    }

    fn rope(&self) -> f64 {
        0.01
    }

    fn description(&self) -> &'static str {
        "precision averaged over recall, 0 to 1, mean over labels; guessing gives a label's share"
    }

    fn column(&self, column: &Column) -> Measured {
        match has_both(column) {
            true => average_precision(&column.told, &positive(column)).into(),
            false => Measured::undefined(ONE_SIDED),
        }
    }
}

/// Binary cross-entropy of each label in nats, and its mean over labels. Probabilities are clipped to
/// [ε, 1 − ε] with ε = 2.2e-16, as of one class.
pub(super) struct LabelLogLoss;

impl ColumnMetric for LabelLogLoss {
    fn name(&self) -> &'static str {
        "log_loss"
    }

    fn direction(&self) -> Direction {
        Direction::LowerIsBetter
    }

    fn rope(&self) -> f64 {
        0.005
    }

    fn description(&self) -> &'static str {
        "binary cross-entropy in nats, 0 up, mean over labels; one half for all gives ln 2"
    }

    fn column(&self, column: &Column) -> Measured {
        mean_loss(column, cross_entropy)
    }

    fn loss(&self) -> Option<fn(f64, f64) -> f64> {
        Some(cross_entropy)
    }
}

/// Mean squared error of the probability of each label, `(p − y)²` in \[0, 1\], and its mean over
/// labels. The metric of that name for one class sums over classes, and is twice this for two.
pub(super) struct LabelBrier;

impl ColumnMetric for LabelBrier {
    fn name(&self) -> &'static str {
        "brier"
    }

    fn direction(&self) -> Direction {
        Direction::LowerIsBetter
    }

    fn rope(&self) -> f64 {
        0.0025
    }

    fn description(&self) -> &'static str {
        "mean squared error of the probability of a label, 0 to 1, mean over labels"
    }

    fn column(&self, column: &Column) -> Measured {
        mean_loss(column, squared)
    }

    fn loss(&self) -> Option<fn(f64, f64) -> f64> {
        Some(squared)
    }
}

fn positive(column: &Column) -> Vec<bool> {
    column.truths.iter().map(|truth| *truth > 0.5).collect()
}

fn cross_entropy(truth: f64, p: f64) -> f64 {
    let right = if truth > 0.5 { p } else { 1.0 - p };
    -right.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

fn squared(truth: f64, p: f64) -> f64 {
    (p - truth).powi(2)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::stats::testing::{PRINTED, assert_close, twelve_binary_items};

    /// The twelve items with two scores as two labels, and a third label that nobody has.
    fn labels() -> (Array2<f64>, Array2<f64>) {
        let answers = twelve_binary_items();
        let other = [0.8, 0.6, 0.6, 0.4, 0.3, 0.7, 0.5, 0.6, 0.4, 0.2, 0.3, 0.1];
        let truths = Array2::from_shape_fn((12, 3), |(item, column)| match column {
            2 => 0.0,
            _ => answers.labels[item] as f64,
        });
        let told = Array2::from_shape_fn((12, 3), |(item, column)| match column {
            0 => answers.probabilities[[item, 1]],
            1 => other[item],
            _ => 0.5,
        });
        (truths, told)
    }

    #[test]
    fn the_values_of_a_label_are_those_of_scikit_learn() {
        let (truths, told) = labels();
        let columns = Columns::labels(truths.view(), told.view()).unwrap();
        let of = |metric: &dyn ColumnMetric| metric.column(&columns.column(0)).value().unwrap();
        assert_close(of(&LabelAuroc), 0.857_142_86, PRINTED);
        assert_close(of(&LabelPrecision), 0.821_111_11, PRINTED);
        assert_close(of(&LabelLogLoss), 0.476_353_80, PRINTED);
        assert_close(of(&LabelBrier), 0.155_833_33, PRINTED);
    }

    #[test]
    fn a_label_that_nobody_has_is_left_out_of_the_mean_and_counted() {
        let (truths, told) = labels();
        let columns = Columns::labels(truths.view(), told.view()).unwrap();
        assert_eq!(with_both(&columns), 2);
        let expected = f64::midpoint(0.857_142_86, 0.685_714_29);
        assert_close(LabelAuroc.value(&columns).value().unwrap(), expected, PRINTED);
        let expected = f64::midpoint(0.821_111_11, 0.64);
        assert_close(LabelPrecision.value(&columns).value().unwrap(), expected, PRINTED);
        assert_eq!(LabelAuroc.column(&columns.column(2)).reason(), Some(ONE_SIDED));
        // Of losses nothing is left out.
        let last = LabelLogLoss.column(&columns.column(2)).value().unwrap();
        assert_close(last, std::f64::consts::LN_2, 1e-12);
    }

    #[test]
    fn being_surely_wrong_costs_much_but_not_everything() {
        let columns = (array![[1.0]], array![[0.0]]);
        let columns = Columns::labels(columns.0.view(), columns.1.view()).unwrap();
        assert_close(LabelLogLoss.value(&columns).value().unwrap(), -f64::EPSILON.ln(), 1e-12);
    }
}
