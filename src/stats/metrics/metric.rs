//! What every metric can say of itself and of predictions.

use serde::{Deserialize, Serialize};

use super::confusion::Confusion;
pub(in crate::stats) use crate::base::numbers::mean;
use crate::stats::measured::{Measured, Undefined};
use crate::stats::predictions::Predictions;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A score.
    HigherIsBetter,
    /// A loss.
    LowerIsBetter,
}

impl Direction {
    /// 1 for a score, -1 for a loss: times this, higher is better.
    #[must_use]
    pub fn sign(self) -> f64 {
        match self {
            Self::HigherIsBetter => 1.0,
            Self::LowerIsBetter => -1.0,
        }
    }
}

/// A number for some predictions.
pub trait Metric: Sync {
    /// The word used in pipelines and tables.
    fn name(&self) -> &'static str;

    /// Which way is better.
    fn direction(&self) -> Direction;

    /// Half the width of the region of practical equivalence, in the metric's unit: differences up
    /// to this are not worth a decision. A default; users may set their own.
    fn rope(&self) -> f64;

    /// What it measures, with unit and range, in a sentence.
    fn description(&self) -> &'static str;

    /// Whether it is told where nobody says which metrics to tell.
    fn is_usual(&self) -> bool {
        true
    }

    /// The value, or why there is none. Never NaN.
    fn value(&self, predictions: &Predictions<'_>) -> Measured;

    /// For a metric that counts of labels against predicted classes tell: its value from these, such
    /// that a resample needs no copies of items. `None` for any other metric.
    fn of_confusion(&self, _confusion: &Confusion) -> Option<Measured> {
        None
    }

    /// For a metric that is a mean over items: the contribution of each item, oriented so that
    /// higher is better, such that their plain mean is the value (the negated value of a loss).
    /// `None` for any other metric.
    fn per_item(&self, _predictions: &Predictions<'_>) -> Option<Result<Vec<f64>, Undefined>> {
        None
    }
}
