//! How trainings rise over their steps.

use crate::curves::Time;
use crate::stages::artifacts::{Mean, RisingRow, Risings, Span, TimesRow};
use crate::store::RunStage;

use super::super::build::text;
use super::super::frame::Table;
use super::super::gather::Gathered;
use super::super::spending::{Cache, Reached, reached_columns};
use super::{Found, with_mean, with_span};

/// The share of the baseline's end that a person reads of.
const SHARE: f64 = 0.95;

struct Placed<'a> {
    found: &'a Found<Risings>,
    row: &'a RisingRow,
}

impl<'a> Placed<'a> {
    fn all(found: &'a [Found<Risings>]) -> Vec<Self> {
        let of = |found: &'a Found<Risings>| {
            found.result.rows.iter().map(move |row| Self { found, row })
        };
        found.iter().flat_map(of).collect()
    }

    fn arm(&self) -> Option<&'a RunStage> {
        self.found.arms.get(self.row.arm)
    }

    fn baseline(&self) -> Option<&'a RunStage> {
        self.found.arms.get(self.row.baseline)
    }
}

/// A column of means.
type Column = (&'static str, fn(&RisingRow) -> Mean);

/// One row for each arm.
pub(super) fn table(found: &[Found<Risings>]) -> Table {
    let rows = Placed::all(found);
    let each = || rows.iter();
    let means =
        |of: fn(&RisingRow) -> Mean| -> Vec<Mean> { rows.iter().map(|p| of(p.row)).collect() };
    let table = Table::default()
        .text("stage", each().map(|p| Some(p.found.stage.name.as_str())))
        .text("arm", each().map(|p| Some(p.arm()?.name.as_str())))
        .text("baseline", each().map(|p| Some(p.baseline()?.name.as_str())))
        .text("source", each().map(|p| text(p.arm()?, "source")))
        .text("target", each().map(|p| text(p.arm()?, "target")))
        .text("score", each().map(|p| Some(p.found.result.score.as_str())))
        .whole("S", each().map(|p| Some(p.row.seeds as i64)))
        .number("horizon", each().map(|p| p.row.horizon));
    let columns: [Column; 7] = [
        ("jumpstart", |row| row.jumpstart),
        ("slope", |row| row.slope),
        ("slope_baseline", |row| row.slope_baseline),
        ("asymptote", |row| row.asymptote),
        ("asymptotic_gain", |row| row.asymptotic_gain),
        ("area_ratio", |row| row.area_ratio),
        ("area_ratio_above_guessing", |row| row.area_ratio_above),
    ];
    columns.into_iter().fold(table, |table, (name, of)| with_mean(table, name, &means(of)))
}

/// One row for each arm and each share of its baseline's end. Seconds and joules are those of the
/// chosen training; other learning rates of its list are not counted.
pub(super) fn time_table(found: &[Found<Risings>], gathered: &Gathered) -> Table {
    let placed = Placed::all(found);
    let rows: Vec<(&Placed<'_>, &TimesRow)> =
        placed.iter().flat_map(|p| p.row.times.iter().map(move |times| (p, times))).collect();
    let each = || rows.iter();
    let spans = |of: fn(&TimesRow) -> Option<Span>| -> Vec<Option<Span>> {
        rows.iter().map(|(_, times)| of(times)).collect()
    };
    let own = reached(&rows, gathered, |p| Some(p.arm()?.name.clone()));
    let base = reached(&rows, gathered, |p| Some(p.baseline()?.name.clone()));
    let unreached = |time: Option<Time>| match time {
        Some(Time::After(end)) => Some(end),
        _ => None,
    };
    let table = Table::default()
        .text("stage", each().map(|(p, _)| Some(p.found.stage.name.as_str())))
        .text("arm", each().map(|(p, _)| Some(p.arm()?.name.as_str())))
        .text("baseline", each().map(|(p, _)| Some(p.baseline()?.name.as_str())))
        .text("score", each().map(|(p, _)| Some(p.found.result.score.as_str())))
        .whole("S", each().map(|(p, _)| Some(p.row.seeds as i64)))
        .number("share", each().map(|(_, times)| Some(times.share)))
        .number("level", each().map(|(_, times)| Some(times.level)))
        .number("steps", each().map(|(_, times)| times.arm?.known()));
    let table = with_span(table, "steps", &spans(|times| times.arm_interval))
        .number("not_within", each().map(|(_, times)| unreached(times.arm)))
        .number("items", each().map(|(_, times)| times.arm_items));
    let table = reached_columns(table, "", &own)
        .number("baseline_steps", each().map(|(_, times)| times.baseline?.known()));
    let table = with_span(table, "baseline_steps", &spans(|times| times.baseline_interval))
        .number("baseline_not_within", each().map(|(_, times)| unreached(times.baseline)))
        .number("baseline_items", each().map(|(_, times)| times.baseline_items));
    let table = reached_columns(table, "baseline_", &base)
        .number("speed_up", each().map(|(_, times)| times.speed_up));
    with_span(table, "speed_up", &spans(|times| times.speed_up_interval))
}

/// What the arms or their baselines had used by then, warm and cold.
fn reached(
    rows: &[(&Placed<'_>, &TimesRow)],
    gathered: &Gathered,
    side: impl Fn(&Placed<'_>) -> Option<String>,
) -> Vec<[Reached; 2]> {
    let of = |(placed, times): &(&Placed<'_>, &TimesRow)| {
        let stage = side(placed).unwrap_or_default();
        [Cache::Warm, Cache::Cold].map(|cache| Reached::of(&stage, times.level, cache, gathered))
    };
    rows.iter().map(of).collect()
}

/// What a person reads of one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvergenceTable {
    /// What was looked at on val.
    pub score: String,
    /// Repetitions.
    pub seeds: usize,
    /// One row for each arm.
    pub rows: Vec<ConvergenceRow>,
}

/// One arm.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvergenceRow {
    /// Its name.
    pub arm: String,
    /// Score at the start less the baseline's, with its interval.
    pub start: Mean,
    /// Score at the end less the baseline's, with its interval.
    pub end: Mean,
    /// Area below the curve over the baseline's, less 1.
    pub area: Option<f64>,
    /// Steps to 95 % of the baseline's end, of the arm and of the baseline.
    pub steps: [Option<Time>; 2],
    /// How many times faster that is.
    pub speed_up: Option<f64>,
}

/// The summary of a stage.
pub(super) fn summary(found: &Found<Risings>) -> ConvergenceTable {
    let row = |row: &RisingRow| {
        let times = row.times.iter().find(|times| times.share.total_cmp(&SHARE).is_eq());
        ConvergenceRow {
            arm: found.arms.get(row.arm).map(|arm| arm.name.clone()).unwrap_or_default(),
            start: row.jumpstart,
            end: row.asymptotic_gain,
            area: row.area_ratio.mean,
            steps: [times.and_then(|times| times.arm), times.and_then(|times| times.baseline)],
            speed_up: times.and_then(|times| times.speed_up),
        }
    };
    let rows = &found.result.rows;
    ConvergenceTable {
        score: found.result.score.clone(),
        seeds: rows.iter().map(|row| row.seeds).max().unwrap_or_default(),
        rows: rows.iter().map(row).collect(),
    }
}
