//! Had the baseline as much to spend as the arm? What both may spend on training and on choosing,
//! side by side.

use std::cmp::Ordering;

use serde_json::Value as Json;

use crate::store::{RunRecord, RunStage};

use super::frame::Table;
use super::gather::Verdict;

/// One thing that a side may spend.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Compared {
    /// What: `trials`, `steps`.
    pub(super) name: String,
    /// Nothing where it has no meaning for the arm.
    of_arm: Option<String>,
    /// The same of the baseline.
    of_baseline: Option<String>,
    /// The side that has less of it; nothing where there is no less.
    pub(super) less: Option<Side>,
    /// What the baseline has of it as a share of what the arm has.
    share: Option<f64>,
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Arm,
    Baseline,
}

impl Side {
    fn word(self) -> &'static str {
        match self {
            Self::Arm => "arm",
            Self::Baseline => "baseline",
        }
    }
}

/// Everything that an arm and its baseline may spend. What only one of them can have an amount of,
/// as trainings beside fits of a probe, is told and not compared; any other thing that has no meaning
/// for one of them is left out.
pub(super) fn compared(arm: &RunStage, baseline: &RunStage) -> Vec<Compared> {
    let aspects = |stage: &RunStage| -> Vec<Json> {
        let effort = stage.arm.as_ref().and_then(|arm| arm.get("effort")?.as_array().cloned());
        effort.unwrap_or_default()
    };
    let (own, other) = (aspects(arm), aspects(baseline));
    let alone = own.is_empty() || other.is_empty();
    let like =
        |one: &Json, among: &[Json]| among.iter().find(|it| it["name"] == one["name"]).cloned();
    let of_arm = own.iter().map(|one| (Some(one.clone()), like(one, &other)));
    let rest = other.iter().filter(|one| like(one, &own).is_none());
    let all = of_arm.chain(rest.map(|one| (None, Some(one.clone()))));
    let has_amount = |one: &Option<Json>| one.as_ref().is_some_and(|one| one["size"].is_number());
    all.filter(|(own, other)| {
        let both = own.is_some() && other.is_some();
        both || (!alone && (has_amount(own) || has_amount(other)))
    })
    .filter_map(|(own, other)| one(own.as_ref(), other.as_ref()))
    .collect()
}

fn one(own: Option<&Json>, other: Option<&Json>) -> Option<Compared> {
    let word = |aspect: Option<&Json>, key: &str| Some(aspect?[key].as_str()?.to_owned());
    let size = |aspect: Option<&Json>| aspect?["size"].as_f64();
    let both = size(own).zip(size(other));
    let less = both.and_then(|(arm, baseline)| match arm.total_cmp(&baseline) {
        Ordering::Less => Some(Side::Arm),
        Ordering::Equal => None,
        Ordering::Greater => Some(Side::Baseline),
    });
    Some(Compared {
        name: word(own.or(other), "name")?,
        of_arm: word(own, "told"),
        of_baseline: word(other, "told"),
        less,
        share: both.map(|(arm, baseline)| baseline / arm),
    })
}

/// What follows from trials, steps and batches, and is told where these do not say it.
const NETWORK_MACS: &str = "network_macs";

/// A baseline whose network computes at least this share of the arm's has as much for a summary: so
/// little more is what adapters add, or another head.
const AS_MUCH: f64 = 0.9;

/// What the baseline had less of, in words; nothing if of nothing.
pub(super) fn baseline_had_less(arm: &RunStage, baseline: &RunStage) -> Option<String> {
    let less: Vec<Compared> = compared(arm, baseline)
        .into_iter()
        .filter(|aspect| aspect.less == Some(Side::Baseline))
        .collect();
    let explains = |aspect: &Compared| ["trials", "steps", "batch"].contains(&&*aspect.name);
    let is_explained = less.iter().any(explains);
    let is_told = |aspect: &&Compared| {
        let is_much = aspect.share.is_some_and(|share| share < AS_MUCH);
        aspect.name != NETWORK_MACS || (is_much && !is_explained)
    };
    let told = less.iter().filter(is_told);
    let words = |aspect: &Compared| {
        let name = match aspect.name.as_str() {
            NETWORK_MACS => "MACs of the network".to_owned(),
            name => name.replace('_', " "),
        };
        Some(format!(
            "{name} {} instead of {}",
            aspect.of_baseline.as_ref()?,
            aspect.of_arm.as_ref()?
        ))
    };
    let told: Vec<String> = told.filter_map(words).collect();
    (!told.is_empty()).then(|| format!("the baseline had less: {}", told.join(", ")))
}

/// Whether both have as much; nothing where one of them has none.
fn same(aspect: &Compared) -> Option<bool> {
    Some(aspect.of_arm.as_ref()? == aspect.of_baseline.as_ref()?)
}

/// The table; nothing where nothing is trained.
pub(super) fn table(verdicts: &[Verdict], run: &RunRecord) -> Option<Table> {
    let mut rows = Vec::new();
    for verdict in verdicts {
        for (arm, baseline, _) in &verdict.rows {
            let id = verdict.pair_id(run, arm, baseline);
            let told = compared(arm, baseline).into_iter();
            rows.extend(told.map(|aspect| (id.clone(), arm, baseline, aspect)));
        }
    }
    if rows.is_empty() {
        return None;
    }
    let each = || rows.iter();
    let table = Table::default()
        .text("pair_id", each().map(|(id, ..)| Some(id.as_str())))
        .text("arm", each().map(|(_, arm, ..)| Some(arm.name.as_str())))
        .text("baseline", each().map(|(_, _, baseline, _)| Some(baseline.name.as_str())))
        .text("aspect", each().map(|(.., aspect)| Some(aspect.name.as_str())))
        .text("of_arm", each().map(|(.., aspect)| aspect.of_arm.clone()))
        .text("of_baseline", each().map(|(.., aspect)| aspect.of_baseline.clone()))
        .flag("same", each().map(|(.., aspect)| same(aspect)))
        .text("less", each().map(|(.., aspect)| aspect.less.map(Side::word)));
    Some(table)
}
