//! What arms ask of a device, and whether it has that.

use crate::base::Limits;
use crate::onnx::footprint::Footprint;
use crate::store::RunStage;

use super::build::{arm_fact, whole};
use super::frame::Table;

/// What an arm needs, if that is known.
pub(super) fn footprint(stage: &RunStage) -> Option<Footprint> {
    serde_json::from_value(arm_fact(stage, "size")?.clone()).ok()
}

/// What an arm needs that the budget does not have; nothing if it fits, or that is not known.
pub(super) fn lacks(stage: &RunStage, budget: Option<&Limits>) -> Option<String> {
    footprint(stage)?.lacks(budget?)
}

/// Adds the columns of sizes, and where there is a budget those that say who fits.
pub(super) fn columns(
    table: Table,
    stages: &[Option<&RunStage>],
    budget: Option<&Limits>,
) -> Table {
    let each = || stages.iter().map(|stage| stage.and_then(footprint));
    let bytes = |of: fn(Footprint) -> u64| each().map(move |size| size.map(of).map(whole));
    let table = table
        .whole("flash_f32", bytes(|size| size.flash_f32))
        .whole("flash_int8", bytes(|size| size.flash_int8))
        .whole("ram_f32", bytes(|size| size.ram_f32))
        .whole("ram_int8", bytes(|size| size.ram_int8));
    let Some(budget) = budget else { return table };
    let lacks = || each().map(|size| size.map(|size| size.lacks(budget)));
    table
        .flag("fits", lacks().map(|lacks| lacks.map(|lacks| lacks.is_none())))
        .text("lacks", lacks().map(Option::flatten))
}
