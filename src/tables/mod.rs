//! From the record of a run to its tables. The only door to polars. Reads records and blobs from
//! disk, so that tables of last month's run need no new run.

mod advice;
mod advice_judged;
mod advice_summary;
mod agreement;
mod arms;
mod audit;
mod beside;
mod build;
mod claims;
mod compare;
mod curves;
mod drift;
mod energy;
mod estimates;
mod fits;
mod frame;
mod front;
mod gather;
mod judged;
mod looks;
mod read;
mod record;
mod runs;
mod settings;
mod spending;
mod summary;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::base::atomic;
use crate::store::{RunRecord, Store};

pub use advice_summary::AdviceTable;
pub use agreement::Agreement;
pub use compare::{
    ArmComparison, Change, CompareError, OpenedRun, RunComparison, Scope, TestsDiffer, compare,
};
pub use curves::{
    ConvergenceRow, ConvergenceTable, CurveSummary, CurveTable, DepthRow, FreezingTable,
};
pub use energy::EnergyTotal;
pub use estimates::{EstimateRow, EstimateTable};
pub use front::{FrontLine, FrontTable};
pub use looks::{is_scored, look};
pub use record::{
    AdviceLine, CalibrationBin, CaseTally, Lines, Question, RunningRecord, ScoreLine, Tally,
    outcomes, running_record,
};
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
    let gathered = gather::gather(run, store)?;
    let judged = judged::judged(run, &gathered.estimated, &gathered.scores);
    let advised =
        advice_judged::judged(run, &gathered.advice, &gathered.verdicts, &gathered.scores);
    for (name, table) in gathered.tables(run, (&judged, &advised)) {
        let refused = |cause: String| TableError::Write { table: name.to_owned(), cause };
        let (parquet, csv) = table.files().map_err(refused)?;
        atomic::write(&folder.join(format!("{name}.parquet")), &parquet)?;
        atomic::write(&folder.join(format!("{name}.csv")), &csv)?;
    }
    let metrics = serde_json::to_vec_pretty(&gathered.metrics())
        .map_err(|error| TableError::Io(error.into()))?;
    atomic::write(&folder.join("metrics.json"), &metrics)?;
    let lines = record::lines(run, &gathered, &judged, &advised);
    Ok(Summary {
        advice: advice_summary::summaries(&gathered.advice, &advised),
        lines,
        energy: energy::total(run),
        ..summary::summarise(run, &gathered)
    })
}
