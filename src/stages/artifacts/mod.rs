//! What travels between stages, and how it is kept.

mod advice;
mod array;
mod beside;
mod chosen;
mod curves;
mod edge;
mod estimates;
mod evaluation;
mod front;
mod predictions;
mod trial;
mod verdict;
mod views;

pub use advice::{Advice, Advised, Evidence, Measured};
pub use array::{ArrayRows, ArrayWriter, Element, PixelRows};
pub use beside::{Beside, ChangedRow, LabelRow, SubgroupRow, TestRow};
pub use chosen::Chosen;
pub use curves::{
    CrossingRow, CurveRow, FreezeSweeps, LawRow, LearningCurves, Mean, RisingRow, Risings, SizeRow,
    Span, SweepRow, TimesRow,
};
pub use edge::{End, edge};
pub use estimates::{Estimate, Estimates};
pub use evaluation::{ClassScore, Evaluation, Score};
pub use front::{Damage, FrontRow, FrontRows};
pub use predictions::{Predictions, Selection};
pub use trial::{Drift, Outcome, TrialResult, read_vectors, write_vectors};
pub use verdict::{ArmNumbers, ArmRow, MethodRow, Verdicts};
pub use views::{ChangedRows, ViewRows};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::{ArtifactRef, Store};

use super::job::{Context, Failure};

/// Stores a value as JSON.
pub(super) fn put_json(
    store: &Store,
    kind: &str,
    value: &impl Serialize,
) -> Result<ArtifactRef, Failure> {
    let text = serde_json::to_vec(value).map_err(|error| Failure::new(error.to_string()))?;
    Ok(store.put(kind, &text)?)
}

/// Reads a value from JSON at a port.
pub(super) fn get_json<T: DeserializeOwned>(
    context: &Context<'_>,
    port: &str,
) -> Result<T, Failure> {
    let bytes = context.bytes(port)?;
    serde_json::from_slice(&bytes).map_err(|error| Failure::new(format!("read `{port}`: {error}")))
}
