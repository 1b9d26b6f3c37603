//! Curves: of errors over sizes, of freezing over depths, of trainings over steps.

mod convergence;
mod freezing;
mod sizes;

use serde::de::DeserializeOwned;

use crate::stages::artifacts::{FreezeSweeps, LearningCurves, Mean, Risings, Span};
use crate::stages::full_name;
use crate::store::RunStage;

use super::TableError;
use super::frame::Table;
use super::gather::{Gathered, Reader, shared_axes};

pub use convergence::{ConvergenceRow, ConvergenceTable};
pub use freezing::{DepthRow, FreezingTable};
pub use sizes::CurveTable;

/// What a stage found, with its arms in the order of their numbers.
pub(super) struct Found<T> {
    pub(super) stage: RunStage,
    pub(super) arms: Vec<RunStage>,
    pub(super) result: T,
}

/// What all stages of curves of a run found.
#[derive(Default)]
pub(super) struct Curves {
    pub(super) sizes: Vec<Found<LearningCurves>>,
    pub(super) freezing: Vec<Found<FreezeSweeps>>,
    pub(super) rising: Vec<Found<Risings>>,
}

impl Curves {
    /// Adds what a stage found, if it is one of curves.
    pub(super) fn add(&mut self, stage: &RunStage, reader: &Reader<'_>) -> Result<(), TableError> {
        match stage.kind.as_str() {
            "learning_curve" => self.sizes.extend(found(stage, "curves", reader)?),
            "freeze_sweep" => self.freezing.extend(found(stage, "sweeps", reader)?),
            "convergence" => self.rising.extend(found(stage, "risings", reader)?),
            _ => {}
        }
        Ok(())
    }
}

fn found<T: DeserializeOwned>(
    stage: &RunStage,
    port: &str,
    reader: &Reader<'_>,
) -> Result<Option<Found<T>>, TableError> {
    let Some(&node) = stage.nodes.first() else { return Ok(None) };
    let Some(result) = reader.json(node, port)? else { return Ok(None) };
    let arms = stage.compared.iter().map(|name| reader.stage(name)).collect();
    Ok(Some(Found { stage: stage.clone(), arms, result }))
}

/// The tables by name; only those of stages that there are.
pub(super) fn tables(gathered: &Gathered) -> Vec<(&'static str, Table)> {
    let curves = &gathered.curves;
    let mut tables = Vec::new();
    if !curves.sizes.is_empty() {
        tables.push(("learning_curve", sizes::curve_table(&curves.sizes)));
        tables.push(("crossover", sizes::crossover_table(&curves.sizes)));
    }
    if !curves.freezing.is_empty() {
        tables.push(("freeze_sweep", freezing::table(&curves.freezing)));
    }
    if !curves.rising.is_empty() {
        tables.push(("trifecta", convergence::table(&curves.rising)));
        tables.push(("time_to_threshold", convergence::time_table(&curves.rising, gathered)));
    }
    tables
}

/// What a person reads of curves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CurveSummary {
    /// Learning curves.
    pub sizes: Vec<CurveTable>,
    /// Sweeps over depths.
    pub freezing: Vec<FreezingTable>,
    /// How trainings rise.
    pub rising: Vec<ConvergenceTable>,
}

/// The summaries of all stages of curves.
pub(super) fn summaries(gathered: &Gathered) -> CurveSummary {
    let curves = &gathered.curves;
    CurveSummary {
        sizes: curves.sizes.iter().map(|found| sizes::summary(found, &gathered.verdicts)).collect(),
        freezing: curves.freezing.iter().flat_map(freezing::summaries).collect(),
        rising: curves.rising.iter().map(convergence::summary).collect(),
    }
}

/// What several combinations of a stage are called together: the stage with the axes on which they
/// agree.
fn common_name(arms: &[&RunStage]) -> String {
    let Some(first) = arms.first() else { return String::new() };
    full_name(&first.stage, &shared_axes(arms))
}

/// A column of means, and two of their intervals.
fn with_mean(table: Table, name: &str, means: &[Mean]) -> Table {
    let each = || means.iter();
    table
        .number(name, each().map(|mean| mean.mean))
        .number(&format!("{name}_lo"), each().map(|mean| Some(mean.interval?.0)))
        .number(&format!("{name}_hi"), each().map(|mean| Some(mean.interval?.1)))
}

/// Two columns of an interval.
fn with_span(table: Table, name: &str, spans: &[Option<Span>]) -> Table {
    let each = || spans.iter();
    table
        .number(&format!("{name}_lo"), each().map(|span| span.as_ref()?.lo))
        .number(&format!("{name}_hi"), each().map(|span| span.as_ref()?.hi))
}
