//! Training: batches, learning rates over time, early stopping, and the loop that runs the step
//! graph. Knows nothing of stages or of where examples come from.

mod batches;
mod budget;
mod checkpoint;
mod course;
mod examples;
mod laps;
mod look;
mod mixing;
mod monitor;
mod prepared;
mod range_test;
mod schedule;
mod stepping;
mod trial;

pub use batches::{batch_size, piece_size};
pub use budget::{Budget, Length};
pub use checkpoint::{Draft, NoDraft};
pub use course::{Course, Unfreeze};
pub use examples::{Answers, Cells, Examples, Rows, Values, gather};
pub use look::{Point, score};
pub use mixing::Mixing;
pub use monitor::Monitor;
pub use prepared::{Preparation, PrepareError, Prepared, Workshop, batch_statistics_from};
pub use range_test::{RangeStep, RangeTest, range_test};
pub use schedule::{Moment, Schedule};
pub use trial::{Settings, Start, TrainError, Trained, Watch, train};
