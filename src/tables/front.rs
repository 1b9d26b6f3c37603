//! What arms score beside what they ask of a device, and which of them are worth having.

use crate::base::Limits;
use crate::onnx::footprint::Footprint;
use crate::stages::artifacts::FrontRow;
use crate::stats::beaten_by;
use crate::store::{RunRecord, RunStage};

use super::build::{text, whole};
use super::fits::{columns, footprint};
use super::frame::Table;

/// One `front` stage.
pub(super) struct Front {
    pub(super) stage: RunStage,
    pub(super) metric: String,
    /// Whether a higher value is better.
    pub(super) higher: bool,
    /// Each row with its arm, and the whole model it is compared with.
    pub(super) rows: Vec<(RunStage, Option<RunStage>, FrontRow)>,
}

/// An arm among others.
struct Placed<'a> {
    front: &'a Front,
    arm: &'a RunStage,
    full: Option<&'a RunStage>,
    row: &'a FrontRow,
    standing: Standing,
}

/// Whether an arm is worth having.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// It has no score, or nobody knows its size.
    Unknown,
    /// No other is at least as good in score, flash, RAM and multiply–accumulates and better in one.
    OnFront,
    /// This one is.
    BeatenBy(String),
}

/// One `front` stage for a reader.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontTable {
    /// The metric.
    pub metric: String,
    /// Whether sizes are those of 8 bits.
    pub int8: bool,
    /// One row for each arm whose size is known.
    pub rows: Vec<FrontLine>,
}

/// One arm for a reader.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontLine {
    /// Its name.
    pub arm: String,
    /// Mean and standard deviation over seeds.
    pub score: (Option<f64>, Option<f64>),
    /// The difference to the whole model, with its interval.
    pub damage: Option<(f64, Option<(f64, f64)>)>,
    /// Bytes of flash and RAM, and multiply–accumulates.
    pub needs: (u64, u64, u64),
    /// Whether it is on the front.
    pub on_front: bool,
    /// What is to be known of it.
    pub remark: String,
}

/// Sizes are those of 8 bits unless the budget says otherwise.
fn int8(budget: Option<&Limits>) -> bool {
    budget.is_none_or(|budget| budget.int8)
}

impl Front {
    fn placed(&self, budget: Option<&Limits>) -> Vec<Placed<'_>> {
        let sign = if self.higher { 1.0 } else { -1.0 };
        let point = |row: &(RunStage, Option<RunStage>, FrontRow)| {
            let (size, score) = (footprint(&row.0)?, row.2.score?);
            let (flash, ram) = size.memory(int8(budget));
            Some(vec![sign * score, -(flash as f64), -(ram as f64), -(size.macs as f64)])
        };
        let known: Vec<(usize, Vec<f64>)> = self
            .rows
            .iter()
            .enumerate()
            .filter_map(|(index, row)| Some((index, point(row)?)))
            .collect();
        let points: Vec<Vec<f64>> = known.iter().map(|(_, point)| point.clone()).collect();
        let beaten = beaten_by(&points);
        let standing = |index: usize| {
            let Some(at) = known.iter().position(|(known, _)| *known == index) else {
                return Standing::Unknown;
            };
            match beaten[at] {
                None => Standing::OnFront,
                Some(by) => Standing::BeatenBy(self.rows[known[by].0].0.name.clone()),
            }
        };
        self.rows
            .iter()
            .enumerate()
            .map(|(index, (arm, full, row))| Placed {
                front: self,
                arm,
                full: full.as_ref(),
                row,
                standing: standing(index),
            })
            .collect()
    }
}

/// The table of all `front` stages.
pub(super) fn table(fronts: &[Front], run: &RunRecord) -> Table {
    let budget = run.budget.as_ref();
    let rows: Vec<Placed<'_>> = fronts.iter().flat_map(|front| front.placed(budget)).collect();
    let each = || rows.iter();
    let size = |of: fn(Footprint) -> u64| {
        rows.iter().map(move |placed| footprint(placed.arm).map(of).map(whole))
    };
    let damage = |of: fn(&crate::stages::artifacts::Damage) -> Option<f64>| {
        rows.iter().map(move |placed| placed.row.damage.as_ref().and_then(of))
    };
    let table = Table::default()
        .text("front", each().map(|placed| Some(placed.front.stage.name.as_str())))
        .text("arm", each().map(|placed| Some(placed.arm.name.as_str())))
        .text("source", each().map(|placed| text(placed.arm, "source")))
        .text("target", each().map(|placed| text(placed.arm, "target")))
        .text("head", each().map(|placed| text(placed.arm, "head")))
        .text("metric", each().map(|placed| Some(placed.front.metric.as_str())))
        .whole("S", each().map(|placed| Some(placed.row.seeds as i64)))
        .whole("N", each().map(|placed| Some(placed.row.items as i64)))
        .number("score", each().map(|placed| placed.row.score))
        .number("sd", each().map(|placed| placed.row.deviation))
        .text("full", each().map(|placed| placed.full.map(|full| full.name.as_str())))
        .number("damage", damage(|damage| Some(damage.delta)))
        .number("damage_lo", damage(|damage| damage.lo))
        .number("damage_hi", damage(|damage| damage.hi))
        .number("damage_p", damage(|damage| damage.p))
        .whole("constants", size(|size| size.constants))
        .whole("macs", size(|size| size.macs));
    let arms: Vec<Option<&RunStage>> = each().map(|placed| Some(placed.arm)).collect();
    let on_front = |placed: &Placed<'_>| match placed.standing {
        Standing::Unknown => None,
        Standing::OnFront => Some(true),
        Standing::BeatenBy(_) => Some(false),
    };
    let beaten = |placed: &Placed<'_>| match &placed.standing {
        Standing::BeatenBy(arm) => Some(arm.clone()),
        _ => None,
    };
    columns(table, &arms, budget)
        .flag("on_front", each().map(on_front))
        .text("beaten_by", each().map(beaten))
}

/// For a reader, arms of unknown size left out, the smallest first.
pub(super) fn summary(front: &Front, run: &RunRecord) -> FrontTable {
    let budget = run.budget.as_ref();
    let line = |placed: &Placed<'_>| {
        let size = footprint(placed.arm)?;
        let (flash, ram) = size.memory(int8(budget));
        let lacks = budget.and_then(|budget| size.lacks(budget));
        let beaten = match &placed.standing {
            Standing::BeatenBy(arm) => Some(format!("`{arm}` is no larger and no worse")),
            _ => None,
        };
        let lacks = lacks.map(|lacks| format!("does not fit: {lacks}"));
        let remarks: Vec<String> = lacks.into_iter().chain(beaten).collect();
        let damage = placed.row.damage.map(|damage| (damage.delta, damage.lo.zip(damage.hi)));
        Some(FrontLine {
            arm: placed.arm.name.clone(),
            score: (placed.row.score, placed.row.deviation),
            damage,
            needs: (flash, ram, size.macs),
            on_front: placed.standing == Standing::OnFront,
            remark: remarks.join("; "),
        })
    };
    let mut rows: Vec<FrontLine> = front.placed(budget).iter().filter_map(line).collect();
    rows.sort_by_key(|row| row.needs);
    FrontTable { metric: front.metric.clone(), int8: int8(budget), rows }
}
