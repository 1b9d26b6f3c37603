//! The work of advice before training: what is measured of each layer, and what follows from it.

mod job;
mod measuring;

pub(super) use job::{AdviseJob, Budget, Contender, SourceModel, port};
pub(super) use measuring::{Measuring, RANDOM};

/// Where the measures of a layer come out.
pub(super) const MEASURES: &str = "measures";
/// Where the advice comes out.
pub(super) const ADVICE: &str = "advice";
