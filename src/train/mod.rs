//! Training: batches, learning rates over time, early stopping, and the loop that runs the step
//! graph. Knows nothing of stages or of where examples come from.

mod batches;
mod budget;
mod examples;
mod monitor;
mod prepared;
mod schedule;
mod trial;

pub use batches::batch_size;
pub use budget::{Budget, Length};
pub use examples::{Examples, Rows};
pub use monitor::Monitor;
pub use prepared::{Preparation, PrepareError, Prepared, Workshop, batch_statistics_from};
pub use schedule::Schedule;
pub use trial::{Point, Settings, Start, TrainError, Trained, Watch, score, train};
