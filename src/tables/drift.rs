//! How far trained weights came from where they started.

use crate::stages::artifacts::Drift;

use super::build::whole;
use super::frame::Table;
use super::gather::Trained;

/// One row for each layer group of each training, from the input on.
pub(super) fn table(all: &[Trained]) -> Table {
    let of_training = |trained: &'_ Trained| {
        let numbered = trained.drift.iter().enumerate();
        numbered.map(|(index, drift)| (index, drift.clone())).collect::<Vec<_>>()
    };
    let rows: Vec<(&Trained, usize, Drift)> = all
        .iter()
        .flat_map(|trained| of_training(trained).into_iter().map(move |(i, d)| (trained, i, d)))
        .collect();
    let each = || rows.iter();
    let relative = |drift: &Drift| (drift.start > 0.0).then(|| drift.moved / drift.start);
    Table::default()
        .text("stage", each().map(|(t, ..)| Some(t.stage.name.as_str())))
        .whole("seed", each().map(|(t, ..)| t.seed.map(whole)))
        .whole("group", each().map(|(_, index, _)| Some(*index as i64 + 1)))
        .text("layer", each().map(|(.., drift)| Some(drift.layer.as_str())))
        .text("first_weight", each().map(|(.., drift)| Some(drift.first.as_str())))
        .whole("parameters", each().map(|(.., drift)| Some(drift.parameters as i64)))
        .number("start", each().map(|(.., drift)| Some(drift.start)))
        .number("moved", each().map(|(.., drift)| Some(drift.moved)))
        .number("drift", each().map(|(.., drift)| relative(drift)))
}
