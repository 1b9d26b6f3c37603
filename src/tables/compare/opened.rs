//! A run's folder, read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::store::{RUN_FILE, RunRecord};

use super::super::TableError;
use super::super::frame::Table;
use super::super::read::read;

/// A run with the tables that comparing needs.
pub struct OpenedRun {
    /// Its folder.
    pub folder: PathBuf,
    /// Its record.
    pub record: RunRecord,
    /// The metric of its verdict, if it has one.
    pub(super) verdict_metric: Option<String>,
    /// What its verdict says of each arm.
    verdicts: BTreeMap<String, String>,
    scores: Vec<Score>,
    items: BTreeMap<Tested, Vec<Item>>,
}

/// A score of a stage, of no class in particular.
struct Score {
    of: Tested,
    metric: String,
    value: Option<f64>,
}

/// A stage, its seed unless it has one result for all, and the part it was scored on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tested {
    pub(super) stage: String,
    pub(super) seed: Option<i64>,
    pub(super) split: String,
}

/// What a stage said of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) group: Option<i64>,
    pub(super) label: String,
    pub(super) predicted: String,
}

impl OpenedRun {
    /// Reads a run's folder.
    pub fn open(folder: &Path) -> Result<Self, TableError> {
        let record = RunRecord::load(folder).map_err(|error| TableError::Read {
            path: folder.join(RUN_FILE),
            cause: error.to_string(),
        })?;
        let verdict = read(folder, "transfer")?.unwrap_or_default();
        let missing = || TableError::Read {
            path: folder.join("scores.parquet"),
            cause: "the run has no table of scores".to_owned(),
        };
        let scores = read(folder, "scores")?.and_then(|table| scores(&table));
        let items = read(folder, "items")?.and_then(|table| items(&table));
        Ok(Self {
            folder: folder.to_owned(),
            record,
            verdict_metric: verdict.texts_of("metric").and_then(|all| all.into_iter().next()?),
            verdicts: verdicts(&verdict).unwrap_or_default(),
            scores: scores.ok_or_else(missing)?,
            items: items.unwrap_or_default(),
        })
    }

    /// Metrics that were scored, in the order of the table.
    pub(super) fn metrics(&self) -> Vec<String> {
        unique(self.scores.iter().map(|score| &score.metric))
    }

    /// Parts that were scored.
    pub(super) fn splits(&self) -> Vec<String> {
        unique(self.scores.iter().map(|score| &score.of.split))
    }

    /// Stages that were scored on a part by a metric.
    pub(super) fn arms(&self, metric: &str, split: &str) -> Vec<String> {
        let fits = |score: &&Score| score.metric == metric && score.of.split == split;
        unique(self.scores.iter().filter(fits).map(|score| &score.of.stage))
    }

    /// The score of a stage for a seed; that for all seeds where it has but one.
    pub(super) fn score(&self, metric: &str, of: &Tested) -> Option<f64> {
        let find = |of: &Tested| {
            self.scores.iter().find(|score| score.metric == metric && score.of == *of)
        };
        find(of).or_else(|| find(&Tested { seed: None, ..of.clone() }))?.value
    }

    /// What a stage said of the items for a seed.
    pub(super) fn items(&self, of: &Tested) -> Option<&[Item]> {
        let all = || self.items.get(&Tested { seed: None, ..of.clone() });
        self.items.get(of).or_else(all).map(Vec::as_slice)
    }

    /// What its verdict says of an arm.
    pub(super) fn verdict(&self, arm: &str) -> Option<String> {
        self.verdicts.get(arm).cloned()
    }

    /// The data set that a stage was tested on, if the record says.
    pub(super) fn target(&self, stage: &str) -> Option<&str> {
        let found = self.record.stages.iter().find(|known| known.name == stage)?;
        found.arm.as_ref()?.get("target")?.as_str()
    }
}

fn unique<'a>(words: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in words {
        if !found.contains(word) {
            found.push(word.clone());
        }
    }
    found
}

fn verdicts(table: &Table) -> Option<BTreeMap<String, String>> {
    let (arms, words) = (table.texts_of("arm")?, table.texts_of("verdict")?);
    Some(arms.into_iter().zip(words).filter_map(|(arm, word)| Some((arm?, word?))).collect())
}

fn scores(table: &Table) -> Option<Vec<Score>> {
    let (stages, seeds) = (table.texts_of("stage")?, table.wholes_of("seed")?);
    let (splits, metrics) = (table.texts_of("split")?, table.texts_of("metric")?);
    let (classes, values) = (table.texts_of("class")?, table.numbers_of("value")?);
    let row = |index: usize| {
        let of = Tested {
            stage: stages[index].clone()?,
            seed: seeds[index],
            split: splits[index].clone()?,
        };
        let metric = metrics[index].clone()?;
        classes[index].is_none().then_some(Score { of, metric, value: values[index] })
    };
    Some((0..stages.len()).filter_map(row).collect())
}

fn items(table: &Table) -> Option<BTreeMap<Tested, Vec<Item>>> {
    let (stages, seeds) = (table.texts_of("stage")?, table.wholes_of("seed")?);
    let (splits, ids) = (table.texts_of("split")?, table.texts_of("item")?);
    let (groups, labels) = (table.wholes_of("group")?, table.texts_of("label")?);
    let predicted = table.texts_of("predicted")?;
    let mut items: BTreeMap<Tested, Vec<Item>> = BTreeMap::new();
    for index in 0..stages.len() {
        let word = |column: &[Option<String>]| column[index].clone().unwrap_or_default();
        let of = Tested { stage: word(&stages), seed: seeds[index], split: word(&splits) };
        items.entry(of).or_default().push(Item {
            id: word(&ids),
            group: groups[index],
            label: word(&labels),
            predicted: word(&predicted),
        });
    }
    Some(items)
}
