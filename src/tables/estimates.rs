//! Scores before training: their table, and what a person reads of them.

use std::collections::BTreeSet;

use crate::base::numbers::mean_if_any;
use crate::stages::artifacts::{Estimate, Estimates};
use crate::store::{Record, RunEstimated, RunStage};

use super::frame::Table;

/// What one node said of one layer.
pub(super) struct Estimated {
    pub(super) stage: RunStage,
    pub(super) seed: Option<u64>,
    /// What was scored.
    pub(super) entry: RunEstimated,
    pub(super) estimates: Estimates,
    /// What the same scores say of the model with random weights, for each of its seeds that counts
    /// here.
    pub(super) random: Vec<Estimates>,
    /// The node's record, with when it was done and how long each score took.
    pub(super) record: Record,
}

impl Estimated {
    /// The mean value on random weights, if all of them have one.
    fn on_random(&self, score: &str) -> Option<f64> {
        let of = |all: &Estimates| all.rows.iter().find(|row| row.score == score)?.value;
        let values: Option<Vec<f64>> = self.random.iter().map(of).collect();
        mean_if_any(&values?)
    }

    /// The value less that on random weights.
    pub(super) fn difference(&self, row: &Estimate) -> Option<f64> {
        Some(row.value? - self.on_random(&row.score)?)
    }

    /// How long the whole family of a score took.
    fn seconds(&self, row: &Estimate) -> Option<f64> {
        self.record.facts.get("seconds")?.get(&row.family)?.as_f64()
    }

    /// When it stood, RFC 3339.
    pub(super) fn sealed(&self) -> Option<String> {
        self.record.facts.get("sealed")?.as_str().map(str::to_owned)
    }

    fn digest(&self) -> Option<String> {
        Some(self.record.outputs.get("estimates")?.digest.to_string())
    }
}

/// One row for each number.
pub(super) fn table(all: &[Estimated]) -> Table {
    let rows: Vec<(&Estimated, &Estimate)> =
        all.iter().flat_map(|one| one.estimates.rows.iter().map(move |row| (one, row))).collect();
    let each = || rows.iter();
    let better = |row: &Estimate| if row.higher_is_better { "higher" } else { "lower" };
    Table::default()
        .text("stage", each().map(|(one, _)| Some(one.stage.name.as_str())))
        .text("features", each().map(|(one, _)| Some(one.entry.features.as_str())))
        .text("source", each().map(|(one, _)| Some(one.entry.base.as_str())))
        .text("target", each().map(|(one, _)| Some(one.entry.target.as_str())))
        .whole("seed", each().map(|(one, _)| one.seed.and_then(|seed| i64::try_from(seed).ok())))
        .text("score", each().map(|(_, row)| Some(row.score.as_str())))
        .text("better", each().map(|(_, row)| Some(better(row))))
        .number("value", each().map(|(_, row)| row.value))
        .number("on_random", each().map(|(one, row)| one.on_random(&row.score)))
        .number("difference", each().map(|(one, row)| one.difference(row)))
        .number("null", each().map(|(_, row)| row.null))
        .number("p", each().map(|(_, row)| row.p))
        .number("deviation", each().map(|(_, row)| row.deviation))
        .whole("n", each().map(|(one, _)| Some(one.estimates.items as i64)))
        .whole("D", each().map(|(one, _)| Some(one.estimates.features as i64)))
        .whole("classes", each().map(|(one, _)| Some(one.estimates.classes as i64)))
        .text("remark", each().map(|(_, row)| row.remark.clone()))
        .number("seconds", each().map(|(one, row)| one.seconds(row)))
        .text("sealed", each().map(|(one, _)| one.sealed()))
        .text("digest", each().map(|(one, _)| one.digest()))
}

/// What a person reads of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct EstimateTable {
    /// The layer.
    pub features: String,
    /// The data set whose labels it was scored for.
    pub target: String,
    /// Training items that were looked at.
    pub items: usize,
    /// Features of an item.
    pub size: usize,
    /// The first number of each score.
    pub rows: Vec<EstimateRow>,
}

/// A score, means over seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct EstimateRow {
    /// What it is called.
    pub score: String,
    /// Its value.
    pub value: Option<f64>,
    /// The same on random weights.
    pub on_random: Option<f64>,
    /// The same distance within the other domain.
    pub null: Option<f64>,
    /// Why there is none, or what a reader should know.
    pub remark: Option<String>,
}

/// One table for each layer of each stage, in the order of the plan.
pub(super) fn summaries(all: &[Estimated]) -> Vec<EstimateTable> {
    let mut seen = BTreeSet::new();
    let firsts = all.iter().filter(|one| seen.insert((&one.stage.name, &one.entry.features)));
    let summary = |first: &Estimated| {
        let same = |one: &&Estimated| {
            one.stage.name == first.stage.name && one.entry.features == first.entry.features
        };
        let seeds: Vec<&Estimated> = all.iter().filter(same).collect();
        let mut families = BTreeSet::new();
        let rows = first.estimates.rows.iter().filter(|row| families.insert(&row.family));
        EstimateTable {
            features: first.entry.features.clone(),
            target: first.entry.target.clone(),
            items: first.estimates.items,
            size: first.estimates.features,
            rows: rows.map(|row| summary_row(row, &seeds)).collect(),
        }
    };
    firsts.map(summary).collect()
}

fn summary_row(row: &Estimate, seeds: &[&Estimated]) -> EstimateRow {
    let of = |one: &Estimated, number: fn(&Estimate) -> Option<f64>| {
        number(one.estimates.rows.iter().find(|other| other.score == row.score)?)
    };
    let mean = |values: Vec<Option<f64>>| {
        let known: Option<Vec<f64>> = values.into_iter().collect();
        mean_if_any(&known?)
    };
    EstimateRow {
        score: row.score.clone(),
        value: mean(seeds.iter().map(|one| of(one, |row| row.value)).collect()),
        on_random: mean(seeds.iter().map(|one| one.on_random(&row.score)).collect()),
        null: mean(seeds.iter().map(|one| of(one, |row| row.null)).collect()),
        remark: row.remark.clone(),
    }
}
