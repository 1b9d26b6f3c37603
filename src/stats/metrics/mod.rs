//! What a classifier's predictions are worth, one file a metric, by scikit-learn's conventions.
//!
//! To add one: a file with a unit struct that implements [`Metric`], and a line in `list.rs`. The
//! shared suite then tests it.

mod accuracy;
mod auroc;
mod balanced_accuracy;
mod brier;
mod confusion;
mod ece;
mod list;
mod log_loss;
mod macro_f1;
mod metric;
mod per_class;

pub use accuracy::Accuracy;
pub use auroc::{Auroc, OneVsRest};
pub use balanced_accuracy::BalancedAccuracy;
pub use brier::Brier;
pub use confusion::Confusion;
pub use ece::Ece;
pub(in crate::stats) use ece::calibration_gaps;
pub use list::{METRICS, metric};
pub use log_loss::LogLoss;
pub use macro_f1::MacroF1;
pub use metric::{Direction, Metric};
pub use per_class::{PerClass, per_class};
