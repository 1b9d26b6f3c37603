//! From the record of a run to its tables. The only door to polars. Reads records and blobs from
//! disk, so that tables of last month's run need no new run.

mod arms;
mod beside;
mod build;
mod compare;
mod estimates;
mod fits;
mod frame;
mod front;
mod judged;
mod read;
mod runs;
mod summary;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::base::atomic;
use crate::store::{RunRecord, Store};

pub use compare::{
    ArmComparison, Change, CompareError, OpenedRun, RunComparison, Scope, TestsDiffer, compare,
};
pub use estimates::{EstimateRow, EstimateTable};
pub use front::{FrontLine, FrontTable};
pub use runs::{BestArm, Ended, RunEntry, RunRow, list, row, word_of};
pub use summary::{ScoreRow, Summary, VerdictRow, VerdictTable, Word};

/// Why tables cannot be made.
#[derive(Debug, Error)]
pub enum TableError {
    /// A result cannot be read.
    #[error("read the results of `{label}`: {cause}")]
    Result {
        /// The node.
        label: String,
        /// Why not.
        cause: String,
    },
    /// A file of a run cannot be read.
    #[error("read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// A table cannot be written.
    #[error("write the table `{table}`: {cause}")]
    Write {
        /// The table.
        table: String,
        /// Why not.
        cause: String,
    },
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes every table of a run into its folder, as Parquet and CSV, with `metrics.json` in the
/// form of DVC's metrics commands; tells what a person reads at the end.
pub fn write(run: &RunRecord, store: &Store, folder: &Path) -> Result<Summary, TableError> {
    let gathered = build::gather(run, store)?;
    for (name, table) in gathered.tables(run) {
        let refused = |cause: String| TableError::Write { table: name.to_owned(), cause };
        let (parquet, csv) = table.files().map_err(refused)?;
        atomic::write(&folder.join(format!("{name}.parquet")), &parquet)?;
        atomic::write(&folder.join(format!("{name}.csv")), &csv)?;
    }
    let metrics = serde_json::to_vec_pretty(&gathered.metrics())
        .map_err(|error| TableError::Io(error.into()))?;
    atomic::write(&folder.join("metrics.json"), &metrics)?;
    Ok(summary::summarise(run, &gathered))
}
