//! What a classifier's predictions are worth, one file a metric, by scikit-learn's conventions.
//!
//! To add one: a file with a unit struct that implements [`Metric`], and a line in `list.rs`. The
//! shared suite then tests it.

mod accuracy;
mod auroc;
mod average_precision;
mod balanced_accuracy;
mod brier;
mod clusters;
mod confusion;
mod ece;
mod kappa;
mod list;
mod log_loss;
mod macro_f1;
mod mcc;
mod metric;
mod per_class;

pub use accuracy::Accuracy;
pub(super) use auroc::area;
pub use auroc::{Auroc, OneVsRest};
pub use average_precision::{AveragePrecision, average_precision};
pub use balanced_accuracy::BalancedAccuracy;
pub use brier::Brier;
pub use confusion::Confusion;
pub use ece::Ece;
pub(in crate::stats) use ece::calibration_gaps;
pub use kappa::Kappa;
pub use list::{METRICS, metric};
pub use log_loss::LogLoss;
pub use macro_f1::MacroF1;
pub use mcc::Mcc;
pub(super) use metric::mean;
pub use metric::{Direction, Metric};
pub use per_class::{PerClass, per_class};
