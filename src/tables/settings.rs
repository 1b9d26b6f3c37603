//! What kind of transfer an arm is, and whether transfer falls with the distance of its source.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::base::numbers::mean;
use crate::stats::{Kendall, LEVEL, Page};
use crate::store::{RunSetting, RunStage};
use crate::transferability::score;

use super::build::{arm_fact, text};
use super::estimates::Estimated;
use super::frame::Table;
use super::gather::Verdict;

/// What the arm says of itself; else `inductive` where labels of the target are used, `transductive` if
/// only the source was learnt from labels, `unsupervised` if not even that.
pub(super) fn setting(stage: &RunStage) -> Option<String> {
    text(stage, "setting").or_else(|| derived(stage).map(str::to_owned))
}

fn derived(stage: &RunStage) -> Option<&'static str> {
    let RunSetting { target_labels, source_labels, .. } = stage.setting.as_ref()?;
    match (target_labels, source_labels) {
        (true, _) => Some("inductive"),
        (false, Some(true)) => Some("transductive"),
        (false, Some(false)) => Some("unsupervised"),
        (false, None) => None,
    }
}

/// Of inductive transfer: `multi_task_like` if the source was learnt from labels, else `self_taught`.
pub(super) fn kind(stage: &RunStage) -> Option<&'static str> {
    let known = stage.setting.as_ref().filter(|setting| setting.target_labels)?;
    Some(if known.source_labels? { "multi_task_like" } else { "self_taught" })
}

/// How the target's items differ from the source's: `feature_space` if they are made of something
/// else, `marginal` if they are spread otherwise in the features of the source model, by a
/// permutation test of the maximum mean discrepancy. Nothing where neither is seen.
pub(super) fn shift(stage: &RunStage, estimated: &[Estimated]) -> Option<&'static str> {
    if stage.setting.as_ref()?.other_features == Some(true) {
        return Some("feature_space");
    }
    let (source, target) = (text(stage, "source")?, text(stage, "target")?);
    let of_pair =
        estimated.iter().filter(|one| (&one.entry.base, &one.entry.target) == (&source, &target));
    let rows = of_pair.flat_map(|one| &one.estimates.rows);
    let mut tests = rows.filter(|row| row.family == "mmd").filter_map(|row| row.p);
    tests.any(|p| p < LEVEL).then_some("marginal")
}

/// Whether the differences of arms that differ in their source alone fall with its distance.
pub(super) struct Graded {
    verdict: String,
    target: String,
    arms: String,
    distance: String,
    /// Each source with its distance and its difference to the baseline, the nearest first.
    sources: Vec<(String, f64, f64)>,
    trend: Kendall,
    /// The same over seeds as blocks, of those in which every source has a difference.
    page: Option<Page>,
}

/// What a source gives.
#[derive(Default)]
struct Given {
    /// The difference of each arm.
    deltas: Vec<f64>,
    /// The same seed by seed.
    by_seed: Vec<Vec<Option<f64>>>,
}

impl Given {
    /// The mean over arms in a seed; nothing where one is missing.
    fn in_seed(&self, seed: usize) -> Option<f64> {
        let own: Option<Vec<f64>> =
            self.by_seed.iter().map(|arm| arm.get(seed).copied().flatten()).collect();
        own.map(|own| mean(&own))
    }
}

/// Every series of at least three sources of one target that a distance is known of.
pub(super) fn graded(verdicts: &[Verdict], estimated: &[Estimated]) -> Vec<Graded> {
    let mut all = Vec::new();
    for verdict in verdicts {
        for ((target, arms), given) in series(verdict) {
            for (distance, by_source) in distances(estimated, &target) {
                let known = given.iter().filter_map(|(source, given)| {
                    Some((source.clone(), *by_source.get(source)?, mean(&given.deltas)))
                });
                let mut sources: Vec<(String, f64, f64)> = known.collect();
                sources.sort_by(|a, b| a.1.total_cmp(&b.1));
                let pairs: Vec<(f64, f64)> = sources.iter().map(|(_, x, y)| (*x, *y)).collect();
                let Some(trend) = Kendall::of(&pairs) else { continue };
                let page = page(&sources, &given);
                all.push(Graded {
                    verdict: verdict.stage.name.clone(),
                    target: target.clone(),
                    arms: arms.clone(),
                    distance,
                    sources,
                    trend,
                    page,
                });
            }
        }
    }
    all
}

/// Page's test of the trend over seeds.
fn page(sources: &[(String, f64, f64)], given: &BTreeMap<String, Given>) -> Option<Page> {
    let columns: Vec<f64> = sources.iter().map(|(_, distance, _)| *distance).collect();
    let seeds = given.values().flat_map(|given| &given.by_seed).map(Vec::len).max()?;
    let block = |seed: usize| -> Option<Vec<f64>> {
        sources.iter().map(|(source, ..)| given.get(source)?.in_seed(seed)).collect()
    };
    Page::of(&columns, &(0..seeds).filter_map(block).collect::<Vec<_>>())
}

type Series = BTreeMap<(String, String), BTreeMap<String, Given>>;

/// Differences by source of arms that are alike in all else; by target and what they share.
fn series(verdict: &Verdict) -> Series {
    let mut series = Series::new();
    for (arm, _, row) in &verdict.rows {
        let (Some(source), Some(target), true) =
            (text(arm, "source"), text(arm, "target"), arm.setting.is_some())
        else {
            continue;
        };
        let Some(numbers) = row.verdict.numbers else { continue };
        let n_train = row.numbers.n_train.map_or(Json::Null, Json::from);
        let facts = ["freeze", "tune", "transfer_depth", "body_rate"]
            .map(|name| (name, arm_fact(arm, name).cloned().unwrap_or_default()));
        let shared = facts.into_iter().chain([("n_train", n_train)]);
        let plain = |value: &Json| value.as_str().map_or(value.to_string(), str::to_owned);
        let shared = shared.filter(|(_, value)| !value.is_null());
        let shared: Vec<String> =
            shared.map(|(name, value)| format!("{name}={}", plain(&value))).collect();
        let arms = format!("{}[{}]", arm.kind, shared.join(","));
        let sources = series.entry((target, arms)).or_default();
        let given = sources.entry(source).or_default();
        given.deltas.push(numbers.delta);
        given.by_seed.push(row.numbers.by_seed.clone());
    }
    series
}

/// Each distance of a target's sources; of several layers of a model the smallest counts, each a mean
/// over seeds.
fn distances(estimated: &[Estimated], target: &str) -> BTreeMap<String, BTreeMap<String, f64>> {
    let mut by_layer: BTreeMap<(String, String, String), Vec<f64>> = BTreeMap::new();
    for one in estimated.iter().filter(|one| one.entry.target == target) {
        for row in one.estimates.rows.iter().filter(|row| is_distance(&row.family)) {
            let Some(value) = row.value else { continue };
            let layer = (row.score.clone(), one.entry.base.clone(), one.entry.features.clone());
            by_layer.entry(layer).or_default().push(value);
        }
    }
    let mut all: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    for ((score, base, _), values) in by_layer {
        let mean = mean(&values);
        let known = all.entry(score).or_default().entry(base).or_insert(mean);
        *known = known.min(mean);
    }
    all
}

fn is_distance(family: &str) -> bool {
    score(family).is_some_and(|score| score.needs() == crate::transferability::Needs::Other)
}

pub(super) fn table(all: &[Graded]) -> Table {
    let each = || all.iter();
    let page = || all.iter().map(|one| one.page);
    let direction = |page: Page| match page.falls {
        Some(true) => "falls",
        Some(false) => "rises",
        None => "neither",
    };
    let names = |one: &Graded| one.sources.iter().map(|(name, ..)| name.clone()).collect();
    let column = |of: fn(&(String, f64, f64)) -> f64| {
        each().map(move |one| Some(one.sources.iter().map(of).collect::<Vec<f64>>()))
    };
    Table::default()
        .text("verdict", each().map(|one| Some(one.verdict.as_str())))
        .text("target", each().map(|one| Some(one.target.as_str())))
        .text("arms", each().map(|one| Some(one.arms.as_str())))
        .text("distance", each().map(|one| Some(one.distance.as_str())))
        .whole("n", each().map(|one| Some(one.sources.len() as i64)))
        .texts("sources", each().map(names))
        .numbers("distances", column(|(_, distance, _)| *distance))
        .numbers("deltas", column(|(.., delta)| *delta))
        .number("tau", each().map(|one| Some(one.trend.tau)))
        .number("p_falls", each().map(|one| Some(one.trend.p_falls)))
        .flag("exact", each().map(|one| Some(one.trend.is_exact)))
        .whole("seeds", page().map(|page| page.map(|page| page.blocks as i64)))
        .number("page_l", page().map(|page| page.map(|page| page.l)))
        .number("page_p", page().map(|page| page.map(|page| page.p())))
        .flag("page_exact", page().map(|page| page.map(|page| page.is_exact)))
        .text("direction", page().map(|page| page.map(direction)))
}
