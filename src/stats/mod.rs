//! Metrics and statistics: what a model scored, and whether transfer helped or hurt.
//!
//! Pure functions on numbers: no files, no clock, no randomness, no printing. The way through the
//! room is [`Predictions`] → a [`Metric`] per item → differences between two arms (seeds × items)
//! → [`units`] → [`TwoWay`] → [`judge`] → [`Verdict`]. It must not know what a stage, a model or a
//! table is.

mod columns;
mod holm;
mod mcnemar;
mod measure;
mod measured;
mod metrics;
mod needed;
mod paired;
mod predictions;
mod rule;
mod student;
mod superiority;
mod two_way;
mod units;
mod verdict;

#[cfg(test)]
mod calibration;
#[cfg(test)]
mod testing;

pub use columns::{
    Column, ColumnMetric, Columns, ColumnsError, LABEL_METRICS, LabelAuroc, RSquared, Unit,
    VALUE_METRICS, with_both,
};
pub use holm::holm;
pub use mcnemar::Discordant;
pub use measure::{Judged, Measure};
pub use measured::{Measured, Undefined};
pub use metrics::{
    Accuracy, Auroc, AveragePrecision, BalancedAccuracy, Brier, Confusion, Direction, Ece, Kappa,
    LogLoss, METRICS, MacroF1, Mcc, Metric, OneVsRest, PerClass, metric, per_class,
};
pub use needed::{MAX_ITEMS, MAX_SEEDS, Needed, mde80, needed};
pub use paired::paired_interval;
pub use predictions::{Predictions, PredictionsError};
pub use rule::{Class, LEVEL, MAX_MISSING_SHARE, MIN_SEEDS, MIN_UNITS, NEUTRAL_MASS, widened_rope};
pub use student::quantile as student_quantile;
pub use superiority::superiority;
pub use two_way::{Masses, TwoWay};
pub use units::{UnitsError, units};
pub use verdict::{Comparison, Lean, Numbers, Reason, Verdict, judge};
