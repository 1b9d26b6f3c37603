//! Predictions of several labels or of numbers, one column each, and what they are worth.
//!
//! To add a metric: a unit struct that implements [`ColumnMetric`] in a file here, and a line in
//! `list.rs`. The shared suite then tests it.

mod labels;
mod list;
mod metric;
mod values;
mod view;

pub use labels::{LabelAuroc, with_both};
pub use list::{LABEL_METRICS, VALUE_METRICS};
pub use metric::{ColumnMetric, Unit};
pub use values::RSquared;
pub use view::{Column, Columns, ColumnsError};
