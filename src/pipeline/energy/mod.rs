//! What work costs in energy, where the machine tells. A counter that cannot be read gives no
//! number and a reason, never 0.
//!
//! The counters speak of the whole machine. While one node works alone, all of it is its own; while
//! several do, each gets its share by cores, and its record says so.

mod gpu;
mod load;
mod meter;
mod powercap;

pub use meter::{Meter, Reading, Span, at_rest};

use std::path::PathBuf;

/// Names another folder of counters than the system's.
const FOLDER: &str = "TL_RUN_POWERCAP";

/// Where the system keeps its counters.
fn counters() -> PathBuf {
    std::env::var_os(FOLDER).map_or_else(|| "/sys/class/powercap".into(), PathBuf::from)
}
