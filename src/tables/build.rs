//! Rows of every table, from records and blobs.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json, json};

use crate::base::Digest;
use crate::stages::artifacts::{
    ArmRow, Beside, Chosen, Estimates, Evaluation, FrontRows, MethodRow, Outcome, Predictions,
    TrialResult, Verdicts,
};
use crate::stats::{Direction, Measure};
use crate::store::{Record, RunEstimated, RunLeak, RunLeaks, RunNode, RunRecord, RunStage, Store};
use crate::train::{RangeStep, RangeTest};

use super::TableError;
use super::advice::{self, Told};
use super::advice_judged::{self, AdviceJudged};
use super::arms::{Advised, SCRATCH_LONG, control};
use super::audit;
use super::curves::{self, Curves};
use super::energy;
use super::estimates::{self, Estimated};
use super::fits;
use super::frame::Table;
use super::front::{self, Front};
use super::judged::{self, Judged};
use super::settings;

/// Everything a run left, in the order of its plan.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) scores: Vec<Scored>,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) trained: Vec<Trained>,
    pub(super) probed: Vec<Probed>,
    pub(super) estimated: Vec<Estimated>,
    pub(super) advice: Vec<Told>,
    pub(super) curves: Curves,
    pub(super) fronts: Vec<Front>,
    pub(super) costs: Vec<NodeCost>,
}

/// One stage scored on one part, for one seed.
pub(super) struct Scored {
    pub(super) stage: RunStage,
    pub(super) seed: Option<u64>,
    pub(super) evaluation: Evaluation,
    pub(super) items: Predictions,
}

/// One verdict stage.
pub(super) struct Verdict {
    pub(super) stage: RunStage,
    pub(super) metric: String,
    /// Each row with its arm and its baseline.
    pub(super) rows: Vec<(RunStage, RunStage, ArmRow)>,
    /// The same of what is chosen among several arms on each side.
    pub(super) methods: Vec<(RunStage, RunStage, ArmRow)>,
    /// Other tests, subgroups and changed items.
    pub(super) beside: Beside,
}

impl Verdict {
    /// The row of an arm and its baseline, with both.
    pub(super) fn row(&self, arm: usize, baseline: usize) -> Option<&(RunStage, RunStage, ArmRow)> {
        self.rows.iter().find(|(.., row)| (row.arm, row.baseline) == (arm, baseline))
    }

    /// What names an arm and its baseline in every table.
    pub(super) fn pair_id(&self, run: &RunRecord, arm: &RunStage, baseline: &RunStage) -> String {
        let parts = [&run.pipeline, &self.stage.name, &arm.name, &baseline.name, &self.metric];
        Digest::of_json(&parts).short()
    }
}

/// The trainings of one node.
pub(super) struct Trained {
    pub(super) stage: RunStage,
    pub(super) seed: Option<u64>,
    pub(super) chosen: Option<f64>,
    pub(super) trials: Vec<TrialResult>,
    /// The learning-rate range test before it, if there was one.
    pub(super) range: Vec<RangeStep>,
}

/// How the setting of one probe was chosen.
pub(super) struct Probed {
    pub(super) stage: RunStage,
    pub(super) seed: Option<u64>,
    pub(super) chosen: Chosen,
}

/// One value of a probe's setting.
struct Tried<'a> {
    probed: &'a Probed,
    /// The class that has it for itself.
    class: Option<&'a str>,
    value: f64,
    held_out: Option<f64>,
    is_chosen: bool,
}

impl Probed {
    fn tried(&self) -> Vec<Tried<'_>> {
        let Chosen { choice, classes } = &self.chosen;
        let for_all = choice.by_column.is_none();
        let common = choice.curve.iter().map(|&(value, held_out)| Tried {
            probed: self,
            class: None,
            value,
            held_out,
            is_chosen: for_all && value.total_cmp(&choice.value).is_eq(),
        });
        let own = choice.by_column.iter().flatten().zip(classes).map(|(&value, class)| Tried {
            probed: self,
            class: Some(class),
            value,
            held_out: None,
            is_chosen: true,
        });
        common.chain(own).collect()
    }
}

/// What one node cost.
pub(super) struct NodeCost {
    pub(super) node: RunNode,
    pub(super) stage: Option<RunStage>,
    pub(super) record: Record,
}

/// Reads everything.
pub(super) fn gather(run: &RunRecord, store: &Store) -> Result<Gathered, TableError> {
    let reader = Reader::new(run, store);
    let mut gathered = Gathered::default();
    for stage in &run.stages {
        for (name, nodes) in &stage.scored {
            gathered.scores.extend(reader.scored(name, nodes)?);
        }
        if stage.kind == "transfer" {
            gathered.verdicts.extend(reader.verdict(stage)?);
        }
        gathered.curves.add(stage, &reader)?;
        if stage.kind == "front" {
            gathered.fronts.extend(reader.front(stage)?);
        }
        for entry in &stage.estimated {
            gathered.estimated.extend(reader.estimated(stage, entry)?);
        }
        gathered.advice.extend(reader.advice(stage)?);
        for &node in &stage.nodes {
            gathered.trained.extend(reader.trained(stage, node)?);
            gathered.probed.extend(reader.probed(stage, node)?);
        }
    }
    gathered.costs = (0..run.nodes.len()).filter_map(|node| reader.cost(node)).collect();
    Ok(gathered)
}

/// What is chosen among several arms in each seed, as if it were a stage.
const METHOD: &str = "method";

/// A row of a method with what stands for its two sides.
fn method(arm: &dyn Fn(usize) -> RunStage, row: MethodRow) -> (RunStage, RunStage, ArmRow) {
    let side = |among: &[usize]| {
        let arms: Vec<RunStage> = among.iter().map(|one| arm(*one)).collect();
        let names: Vec<&str> = arms.iter().map(|stage| stage.name.as_str()).collect();
        let known = arms.first().and_then(|first| first.arm.as_ref());
        RunStage {
            name: match names[..] {
                [only] => only.to_owned(),
                _ => format!("best of {}", names.join(", ")),
            },
            kind: METHOD.to_owned(),
            arm: known.map(|arm| json!({ "source": arm["source"], "target": arm["target"] })),
            ..RunStage::default()
        }
    };
    let sides = (side(&row.transfer), side(&row.scratch));
    let (arm, baseline) = (row.transfer[0], row.scratch[0]);
    let own = ArmRow { arm, baseline, numbers: row.numbers, verdict: row.verdict };
    (sides.0, sides.1, own)
}

/// Reads what the nodes of a run left.
pub(super) struct Reader<'a> {
    run: &'a RunRecord,
    store: &'a Store,
    records: Vec<Option<Record>>,
    stages: BTreeMap<&'a str, &'a RunStage>,
}

impl<'a> Reader<'a> {
    fn new(run: &'a RunRecord, store: &'a Store) -> Self {
        let record = |node: &RunNode| store.lookup(node.key?, &mut |_| ());
        Self {
            run,
            store,
            records: run.nodes.iter().map(record).collect(),
            stages: run.stages.iter().map(|stage| (stage.name.as_str(), stage)).collect(),
        }
    }

    /// A stage by its name with axes.
    pub(super) fn stage(&self, name: &str) -> RunStage {
        let known = self.stages.get(name).copied().cloned();
        known.unwrap_or_else(|| RunStage { name: name.to_owned(), ..RunStage::default() })
    }

    /// An artifact of a node, if the node has a result with one.
    fn bytes(&self, node: usize, port: &str) -> Result<Option<crate::store::Mapped>, TableError> {
        let Some(artifact) = self.records[node].as_ref().and_then(|r| r.outputs.get(port)) else {
            return Ok(None);
        };
        self.store.map(artifact).map(Some).map_err(|error| self.broken(node, &error))
    }

    /// An artifact of a node from JSON, if the node has a result with one.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        node: usize,
        port: &str,
    ) -> Result<Option<T>, TableError> {
        let Some(bytes) = self.bytes(node, port)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| self.broken(node, &error))
    }

    fn broken(&self, node: usize, cause: &dyn std::fmt::Display) -> TableError {
        TableError::Result { label: self.run.nodes[node].label.clone(), cause: cause.to_string() }
    }

    fn scored(&self, name: &str, nodes: &[usize]) -> Result<Vec<Scored>, TableError> {
        let mut scored = Vec::new();
        for &node in nodes {
            let evaluation: Option<Evaluation> = self.json(node, "scores")?;
            let items = self.bytes(node, "items")?;
            let (Some(evaluation), Some(items)) = (evaluation, items) else { continue };
            let items = Predictions::load(&items).map_err(|error| self.broken(node, &error))?;
            let (stage, seed) = (self.stage(name), self.run.nodes[node].seed);
            scored.push(Scored { stage, seed, evaluation, items });
        }
        Ok(scored)
    }

    fn verdict(&self, stage: &RunStage) -> Result<Option<Verdict>, TableError> {
        let Some(&node) = stage.nodes.first() else { return Ok(None) };
        let Some(verdicts) = self.json::<Verdicts>(node, "verdict")? else { return Ok(None) };
        let arm = |index: usize| self.stage(stage.compared.get(index).map_or("", String::as_str));
        let rows = verdicts.rows.into_iter().map(|row| (arm(row.arm), arm(row.baseline), row));
        let rows = rows.collect();
        // Verdicts of earlier versions have nothing beside them.
        let beside = self.json::<Beside>(node, "beside")?.unwrap_or_default();
        let methods = verdicts.methods.into_iter().map(|row| method(&arm, row)).collect();
        Ok(Some(Verdict { stage: stage.clone(), metric: verdicts.metric, rows, methods, beside }))
    }

    fn front(&self, stage: &RunStage) -> Result<Option<Front>, TableError> {
        let Some(&node) = stage.nodes.first() else { return Ok(None) };
        let Some(found) = self.json::<FrontRows>(node, "front")? else { return Ok(None) };
        let arm = |index: usize| self.stage(stage.compared.get(index).map_or("", String::as_str));
        let rows = found.rows.into_iter().map(|row| (arm(row.arm), row.full.map(arm), row));
        let (metric, higher, rows) = (found.metric, found.higher, rows.collect());
        Ok(Some(Front { stage: stage.clone(), metric, higher, rows }))
    }

    fn trained(&self, stage: &RunStage, node: usize) -> Result<Option<Trained>, TableError> {
        let Some(trials) = self.json(node, "trials")? else { return Ok(None) };
        let chosen = self.records[node].as_ref().and_then(|r| r.facts.get("lr")?.as_f64());
        let seed = self.run.nodes[node].seed;
        let range: Option<RangeTest> = self.json(node, "range")?;
        let range = range.map(|test| test.curve).unwrap_or_default();
        Ok(Some(Trained { stage: stage.clone(), seed, chosen, trials, range }))
    }

    fn probed(&self, stage: &RunStage, node: usize) -> Result<Option<Probed>, TableError> {
        let Some(chosen) = self.json(node, "selection")? else { return Ok(None) };
        let seed = self.run.nodes[node].seed;
        Ok(Some(Probed { stage: stage.clone(), seed, chosen }))
    }

    fn estimated(
        &self,
        stage: &RunStage,
        entry: &RunEstimated,
    ) -> Result<Vec<Estimated>, TableError> {
        let read = |node: &usize| self.json::<Estimates>(*node, "estimates");
        let random = entry.random.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let mut all = Vec::new();
        for (position, &node) in entry.nodes.iter().enumerate() {
            let (Some(estimates), Some(record)) = (read(&node)?, &self.records[node]) else {
                continue;
            };
            // Seed by seed where both differ between seeds, else all of them.
            let is_paired = random.len() == entry.nodes.len();
            let random = match is_paired {
                true => random[position].iter().cloned().collect(),
                false => random.iter().flatten().cloned().collect(),
            };
            let (seed, record) = (self.run.nodes[node].seed, record.clone());
            let (stage, entry) = (stage.clone(), entry.clone());
            all.push(Estimated { stage, seed, entry, estimates, random, record });
        }
        Ok(all)
    }

    fn advice(&self, stage: &RunStage) -> Result<Option<Told>, TableError> {
        let (Some(about), Some(&node)) = (&stage.advised, stage.nodes.last()) else {
            return Ok(None);
        };
        let (advice, record) = (self.json(node, "advice")?, self.records[node].clone());
        let (Some(advice), Some(record)) = (advice, record) else { return Ok(None) };
        Ok(Some(Told { stage: stage.clone(), about: about.clone(), advice, record }))
    }

    fn cost(&self, node: usize) -> Option<NodeCost> {
        let record = self.records[node].clone()?;
        let entry = self.run.nodes[node].clone();
        let stage = self.stages.get(entry.stage.as_str()).map(|stage| (*stage).clone());
        let stage = stage.filter(|stage| stage.nodes.contains(&node));
        Some(NodeCost { node: entry, stage, record })
    }
}

/// What a data set says of an item in a column; nothing if it has no such column, or the cell is
/// empty.
fn cell(scored: &Scored, column: &str, item: usize) -> Option<String> {
    let (_, cells) = scored.items.columns.iter().find(|(name, _)| name == column)?;
    Some(cells[item].clone()).filter(|cell| !cell.is_empty())
}

fn skipped_table(run: &RunRecord) -> Table {
    let each = || run.skipped.iter();
    Table::default()
        .text("dataset", each().map(|skipped| Some(skipped.dataset.as_str())))
        .text("item", each().map(|skipped| Some(skipped.item.as_str())))
        .text("reason", each().map(|skipped| Some(skipped.reason.as_str())))
}

fn leak_table(run: &RunRecord) -> Table {
    let of_data = |leaks: &'_ RunLeaks| {
        leaks.pairs.iter().map(|pair| (leaks.dataset.clone(), pair.clone())).collect::<Vec<_>>()
    };
    let rows: Vec<(String, RunLeak)> = run.leaks.iter().flat_map(of_data).collect();
    let each = || rows.iter();
    let kind = |pair: &RunLeak| if pair.distance.is_some() { "near" } else { "same" };
    Table::default()
        .text("dataset", each().map(|(dataset, _)| Some(dataset.as_str())))
        .text("kind", each().map(|(_, pair)| Some(kind(pair))))
        .text("part_a", each().map(|(_, pair)| pair.parts[0].clone()))
        .text("item_a", each().map(|(_, pair)| Some(pair.items[0].as_str())))
        .text("label_a", each().map(|(_, pair)| Some(pair.labels[0].as_str())))
        .text("part_b", each().map(|(_, pair)| pair.parts[1].clone()))
        .text("item_b", each().map(|(_, pair)| Some(pair.items[1].as_str())))
        .text("label_b", each().map(|(_, pair)| Some(pair.labels[1].as_str())))
        .whole("distance", each().map(|(_, pair)| pair.distance.map(i64::from)))
        .number("correlation", each().map(|(_, pair)| pair.correlation))
}

/// A fact about an arm, as the plan has it.
pub(super) fn arm_fact<'a>(stage: &'a RunStage, name: &str) -> Option<&'a Json> {
    stage.arm.as_ref()?.get(name).filter(|value| !value.is_null())
}

fn text(stage: &RunStage, name: &str) -> Option<String> {
    arm_fact(stage, name)?.as_str().map(str::to_owned)
}

/// Which labels an arm has seen; those of the target's training items if nothing else is said.
fn setting(stage: &RunStage) -> String {
    text(stage, "setting").unwrap_or_else(|| "inductive".to_owned())
}

fn number(stage: &RunStage, name: &str) -> Option<f64> {
    arm_fact(stage, name)?.as_f64()
}

/// A difference as a share of what the baseline leaves to gain up to the metric's best value: 1, or
/// 0 of what is better the lower it is.
pub(super) fn relative(metric: &str, delta: f64, baseline: f64) -> Option<f64> {
    let left = match Measure::named(metric)?.direction() {
        Direction::HigherIsBetter => 1.0 - baseline,
        Direction::LowerIsBetter => baseline,
    };
    (left > 0.0).then_some(delta / left)
}

/// What a row speaks of.
fn scope(arm: &RunStage) -> &'static str {
    if arm.kind == METHOD { METHOD } else { "arm" }
}

/// The flags of a verdict, and whether its baseline had less to spend.
fn flags(arm: &RunStage, baseline: &RunStage, row: &ArmRow) -> Vec<String> {
    let had_less = audit::baseline_had_less(arm, baseline).map(|_| "baseline_had_less".to_owned());
    row.verdict.flags.iter().cloned().chain(had_less).collect()
}

pub(super) fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn axes(stage: &RunStage) -> Option<String> {
    let axes: Vec<String> =
        stage.axes.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
    (!axes.is_empty()).then(|| axes.join(","))
}

impl Gathered {
    /// All tables by name.
    pub(super) fn tables(
        &self,
        run: &RunRecord,
        (judged, advised): (&[Judged], &[AdviceJudged]),
    ) -> Vec<(&'static str, Table)> {
        let tables = vec![
            ("scores", self.score_table()),
            ("confusion", self.confusion_table()),
            ("items", self.item_table()),
            ("transfer", self.transfer_table(run)),
            ("convergence", self.convergence_table()),
            ("skipped", skipped_table(run)),
            ("costs", self.cost_table(run)),
        ];
        // Not every study has probes or range tests: there is no table without them.
        let probed = (!self.probed.is_empty()).then(|| ("selection", self.selection_table()));
        let tested = self.trained.iter().any(|trained| !trained.range.is_empty());
        let range = tested.then(|| ("lr_range", self.range_table()));
        let front = (!self.fronts.is_empty()).then(|| ("front", front::table(&self.fronts, run)));
        let beside = super::beside::tables(&self.verdicts, run);
        let leaks = (!run.leaks.is_empty()).then(|| ("leaks", leak_table(run)));
        let looks = (!run.looks.is_empty()).then(|| ("looks", super::looks::table(run)));
        let audit = audit::table(&self.verdicts, run).map(|table| ("audit", table));
        // Nor scores before training, and less often what they were worth.
        let scored = !self.estimated.is_empty();
        let scored = scored.then(|| ("transferability", estimates::table(&self.estimated)));
        let judged = (!judged.is_empty()).then(|| ("judged", judged::table(judged)));
        let advice = (!self.advice.is_empty()).then(|| ("advice", advice::table(&self.advice)));
        let advised =
            (!advised.is_empty()).then(|| ("advice_judged", advice_judged::table(advised)));
        let graded = settings::graded(&self.verdicts, &self.estimated);
        let graded = (!graded.is_empty()).then(|| ("graded", settings::table(&graded)));
        tables
            .into_iter()
            .chain(beside)
            .chain(audit)
            .chain(probed)
            .chain(range)
            .chain(leaks)
            .chain(looks)
            .chain(scored)
            .chain(judged)
            .chain(graded)
            .chain(advice)
            .chain(advised)
            .chain(curves::tables(self))
            .chain(front)
            .collect()
    }

    fn score_table(&self) -> Table {
        let rows: Vec<(&Scored, &crate::stages::artifacts::Score)> = self
            .scores
            .iter()
            .flat_map(|scored| scored.evaluation.scores.iter().map(move |score| (scored, score)))
            .collect();
        let each = || rows.iter();
        Table::default()
            .text("stage", each().map(|(s, _)| Some(s.stage.name.as_str())))
            .text("name", each().map(|(s, _)| Some(s.stage.stage.as_str())))
            .text("axes", each().map(|(s, _)| axes(&s.stage)))
            .text("kind", each().map(|(s, _)| Some(s.stage.kind.as_str())))
            .text("control", each().map(|(s, _)| control(&s.stage)))
            .text("source", each().map(|(s, _)| text(&s.stage, "source")))
            .text("target", each().map(|(s, _)| text(&s.stage, "target")))
            .text("setting", each().map(|(s, _)| Some(setting(&s.stage))))
            .text("train_on", each().map(|(s, _)| text(&s.stage, "train_on")))
            .text("adapt", each().map(|(s, _)| text(&s.stage, "adapt")))
            .number("label_noise", each().map(|(s, _)| number(&s.stage, "label_noise")))
            .whole("seed", each().map(|(s, _)| s.seed.map(whole)))
            .text("split", each().map(|(s, _)| Some(s.evaluation.part.as_str())))
            .whole("n_train", each().map(|(s, _)| Some(s.items.trained_on as i64)))
            .whole("n_items", each().map(|(s, _)| Some(s.evaluation.items as i64)))
            .text("metric", each().map(|(_, score)| Some(score.metric.as_str())))
            .text("class", each().map(|(_, score)| score.class.clone()))
            .number("value", each().map(|(_, score)| score.value))
            .text("reason", each().map(|(_, score)| score.reason.clone()))
    }

    fn confusion_table(&self) -> Table {
        let rows: Vec<(&Scored, &crate::stages::artifacts::ClassScore)> = self
            .scores
            .iter()
            .flat_map(|scored| scored.evaluation.confusion.iter().map(move |cell| (scored, cell)))
            .collect();
        let each = || rows.iter();
        Table::default()
            .text("stage", each().map(|(s, _)| Some(s.stage.name.as_str())))
            .whole("seed", each().map(|(s, _)| s.seed.map(whole)))
            .text("split", each().map(|(s, _)| Some(s.evaluation.part.as_str())))
            .text("truth", each().map(|(_, cell)| Some(cell.truth.as_str())))
            .text("predicted", each().map(|(_, cell)| Some(cell.predicted.as_str())))
            .whole("count", each().map(|(_, cell)| Some(cell.count as i64)))
    }

    fn item_table(&self) -> Table {
        let rows: Vec<(&Scored, usize)> = self
            .scores
            .iter()
            .flat_map(|scored| (0..scored.items.ids.len()).map(move |item| (scored, item)))
            .collect();
        let each = || rows.iter();
        let probabilities = |s: &Scored, i: usize| {
            s.items.probabilities.as_ref().ok().map(|matrix| matrix.row(i).to_vec())
        };
        let group = |s: &Scored, i: usize| s.items.grouped.then(|| s.items.groups[i] as i64);
        let table = Table::default()
            .text("stage", each().map(|(s, _)| Some(s.stage.name.as_str())))
            .whole("seed", each().map(|(s, _)| s.seed.map(whole)))
            .text("split", each().map(|(s, _)| Some(s.evaluation.part.as_str())))
            .text("item", each().map(|(s, i)| Some(s.items.ids[*i].as_str())))
            .whole("group", each().map(|(s, i)| group(s, *i)))
            .text("label", each().map(|(s, i)| s.items.label(*i)))
            .text("predicted", each().map(|(s, i)| s.items.told(*i)))
            .flag("correct", each().map(|(s, i)| s.items.is_right(*i)))
            .numbers("probabilities", each().map(|(s, i)| probabilities(s, *i)));
        self.further_columns().into_iter().fold(table, |table, name| {
            let cell = |(scored, item): &(&Scored, usize)| cell(scored, &name, *item);
            let fresh = table.free_name(&name);
            table.text(&fresh, each().map(cell))
        })
    }

    /// Names of what data sets say of their items beside label and group, each once.
    fn further_columns(&self) -> Vec<String> {
        let mut names: Vec<String> = vec![];
        for (name, _) in self.scores.iter().flat_map(|scored| &scored.items.columns) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    fn transfer_table(&self, run: &RunRecord) -> Table {
        let rows: Vec<(&Verdict, &RunStage, &RunStage, &ArmRow)> = self
            .verdicts
            .iter()
            .flat_map(|v| {
                let all = v.rows.iter().chain(&v.methods);
                all.map(move |(arm, base, row)| (v, arm, base, row))
            })
            .collect();
        let each = || rows.iter().copied();
        let numbers = |row: &ArmRow| row.verdict.numbers;
        let word = |json: Json| json.as_str().map(str::to_owned);
        let advised = |verdict: &Verdict, row: &ArmRow| {
            (self.advised(verdict, row)? == Advised::Add).then_some(SCRATCH_LONG)
        };
        let share = |(v, _, _, row): (&Verdict, &RunStage, &RunStage, &ArmRow)| {
            relative(&v.metric, numbers(row)?.delta, row.numbers.m_scratch?)
        };
        let table = Table::default()
            .text("pair_id", each().map(|(v, arm, base, _)| Some(v.pair_id(run, arm, base))))
            .text("source", each().map(|(_, arm, ..)| text(arm, "source")))
            .text("target", each().map(|(_, arm, ..)| text(arm, "target")))
            .text("setting", each().map(|(_, arm, ..)| settings::setting(arm)))
            .text("setting_kind", each().map(|(_, arm, ..)| settings::kind(arm)))
            .flag("same_domain", each().map(|(_, arm, ..)| arm.setting.as_ref()?.same_domain))
            .flag("same_task", each().map(|(_, arm, ..)| arm.setting.as_ref()?.same_task))
            .text("shift_kind", each().map(|(_, arm, ..)| settings::shift(arm, &self.estimated)))
            .text("train_on", each().map(|(_, arm, ..)| text(arm, "train_on")))
            .text("adapt", each().map(|(_, arm, ..)| text(arm, "adapt")))
            .number("label_noise", each().map(|(_, arm, ..)| number(arm, "label_noise")))
            .whole("n_train", each().map(|(.., row)| row.numbers.n_train.map(|n| n as i64)))
            .text("arm", each().map(|(_, arm, ..)| Some(arm.name.as_str())))
            .text("baseline", each().map(|(_, _, base, _)| Some(base.name.as_str())))
            .text("freeze_depth", each().map(|(_, arm, ..)| text(arm, "freeze")))
            .text("transfer_depth", each().map(|(_, arm, ..)| text(arm, "transfer_depth")))
            .text("init", each().map(|(_, arm, ..)| text(arm, "init")))
            .text("control", each().map(|(_, arm, base, _)| self.control(arm, base)))
            .number(
                "lr_body",
                each()
                    .map(|(_, arm, _, row)| Some(row.numbers.lr_head? * number(arm, "body_rate")?)),
            )
            .number("lr_head", each().map(|(.., row)| row.numbers.lr_head))
            .number("c", each().map(|(.., row)| row.numbers.c))
            .text("metric", each().map(|(v, ..)| Some(v.metric.as_str())))
            .whole("S", each().map(|(.., row)| Some(row.verdict.seeds as i64)))
            .whole("N", each().map(|(.., row)| Some(row.numbers.items as i64)))
            .whole("units", each().map(|(.., row)| Some(row.verdict.units as i64)))
            .number("m_transfer", each().map(|(.., row)| row.numbers.m_transfer))
            .number("m_scratch", each().map(|(.., row)| row.numbers.m_scratch))
            .number("sd_scratch", each().map(|(.., row)| row.numbers.sd_scratch))
            .number("m_majority", each().map(|(.., row)| row.numbers.m_majority))
            .number("delta", each().map(|(.., row)| numbers(row).map(|n| n.delta)))
            .number("relative", each().map(share))
            .number("se", each().map(|(.., row)| numbers(row).map(|n| n.se)))
            .number("df", each().map(|(.., row)| numbers(row).map(|n| n.df)))
            .number("ci_lo", each().map(|(.., row)| numbers(row).map(|n| n.ci_lo)))
            .number("ci_hi", each().map(|(.., row)| numbers(row).map(|n| n.ci_hi)))
            .number("p", each().map(|(.., row)| numbers(row).map(|n| n.p)))
            .number("p_neg", each().map(|(.., row)| numbers(row).map(|n| n.p_neg)))
            .number("p_rope", each().map(|(.., row)| numbers(row).map(|n| n.p_rope)))
            .number("p_pos", each().map(|(.., row)| numbers(row).map(|n| n.p_pos)))
            .number("p_holm_neg", each().map(|(.., row)| numbers(row).map(|n| n.q_neg_holm)))
            .number("p_holm_pos", each().map(|(.., row)| numbers(row).map(|n| n.q_pos_holm)))
            .text("verdict", each().map(|(.., row)| word(json!(row.verdict.class))))
            .text("lean", each().map(|(.., row)| word(json!(row.verdict.lean))))
            .text("reason", each().map(|(.., row)| row.verdict.reason()))
            .text("advised", each().map(|(v, .., row)| advised(v, row)))
            .whole("n01", each().map(|(.., row)| row.numbers.n01.map(|n| n as i64)))
            .whole("n10", each().map(|(.., row)| row.numbers.n10.map(|n| n as i64)))
            .number("mcnemar_p", each().map(|(.., row)| row.numbers.mcnemar_p))
            .number("p_gt", each().map(|(.., row)| row.numbers.p_gt))
            .number("mde80", each().map(|(.., row)| numbers(row).map(|n| n.mde80)))
            .number("eps", each().map(|(.., row)| Some(row.verdict.eps)))
            .text("scope", each().map(|(_, arm, ..)| Some(scope(arm))))
            .text("test", each().map(|(.., row)| word(json!(row.verdict.decider))))
            .texts("flags", each().map(|(_, arm, base, row)| flags(arm, base, row)));
        // Where there was one look, there is nothing to say of it.
        if each().all(|(.., row)| row.verdict.look.is_none()) {
            return table;
        }
        let look = |row: &ArmRow| row.verdict.look;
        table
            .whole("look", each().map(|(.., row)| look(row).map(|look| look.number as i64)))
            .whole("looks", each().map(|(.., row)| look(row).map(|look| look.of as i64)))
            .number("alpha", each().map(|(.., row)| look(row).map(|look| look.level)))
            .number("alpha_spent", each().map(|(.., row)| look(row).map(|look| look.spent)))
    }

    fn convergence_table(&self) -> Table {
        let mut rows = Vec::new();
        for trained in &self.trained {
            for trial in &trained.trials {
                let Outcome::Trained { curve, .. } = &trial.outcome else { continue };
                rows.extend(curve.iter().map(|point| (trained, trial, point)));
            }
        }
        let each = || rows.iter();
        let chosen = |trained: &Trained, trial: &TrialResult| {
            trained.chosen.is_some_and(|rate| rate.total_cmp(&trial.rate).is_eq())
        };
        let table = Table::default()
            .text("stage", each().map(|(t, ..)| Some(t.stage.name.as_str())))
            .whole("seed", each().map(|(t, ..)| t.seed.map(whole)))
            .number("lr", each().map(|(_, trial, _)| Some(trial.rate)))
            .flag("chosen", each().map(|(t, trial, _)| Some(chosen(t, trial))))
            .whole("step", each().map(|(.., p)| Some(p.step as i64)))
            .number("train_loss", each().map(|(.., p)| p.train_loss))
            .number("val_loss", each().map(|(.., p)| Some(p.val_loss)))
            .number("val_accuracy", each().map(|(.., p)| p.val_accuracy))
            .number("val_balanced_accuracy", each().map(|(.., p)| p.val_balanced_accuracy))
            .number("rate", each().map(|(.., p)| Some(p.rate)));
        // Where there are classes alone, there is no such column.
        match each().any(|(.., p)| p.val_score.is_some()) {
            true => table.number("val_score", each().map(|(.., p)| p.val_score)),
            false => table,
        }
    }

    /// What every value gave on items held out, then the value of each class that has its own.
    fn selection_table(&self) -> Table {
        let rows: Vec<Tried<'_>> = self.probed.iter().flat_map(Probed::tried).collect();
        let each = || rows.iter();
        let choice = |tried: &Tried<'_>| tried.probed.chosen.choice.clone();
        let at_edge = |tried: &Tried<'_>| tried.is_chosen && choice(tried).at_edge;
        Table::default()
            .text("stage", each().map(|t| Some(t.probed.stage.name.as_str())))
            .whole("seed", each().map(|t| t.probed.seed.map(whole)))
            .text("setting", each().map(|t| Some(choice(t).setting)))
            .text("class", each().map(|t| t.class))
            .number("value", each().map(|t| Some(t.value)))
            .text("criterion", each().map(|t| Some(choice(t).criterion)))
            .number("held_out", each().map(|t| t.held_out))
            .flag("chosen", each().map(|t| Some(t.is_chosen)))
            .flag("at_edge", each().map(|t| Some(at_edge(t))))
    }

    fn range_table<'a>(&'a self) -> Table {
        let steps = |trained: &'a Trained| trained.range.iter().map(move |step| (trained, step));
        let rows: Vec<(&Trained, &RangeStep)> = self.trained.iter().flat_map(steps).collect();
        let each = || rows.iter();
        Table::default()
            .text("stage", each().map(|(t, _)| Some(t.stage.name.as_str())))
            .whole("seed", each().map(|(t, _)| t.seed.map(whole)))
            .whole("step", each().map(|(_, step)| Some(step.step as i64)))
            .number("lr", each().map(|(_, step)| Some(step.rate)))
            .number("loss", each().map(|(_, step)| Some(step.loss)))
            .number("smoothed", each().map(|(_, step)| Some(step.smoothed)))
    }

    fn cost_table(&self, run: &RunRecord) -> Table {
        let each = || self.costs.iter();
        let stage = |cost: &NodeCost, name: &str| {
            cost.stage.as_ref().and_then(|stage| number(stage, name)).map(|value| value as i64)
        };
        let proved = |cost: &NodeCost| cost.record.facts.get("frozen_tensors_identical")?.as_i64();
        let outcome = |cost: &NodeCost| json!(cost.node.outcome).as_str().map(str::to_owned);
        let table = Table::default()
            .text("node", each().map(|c| Some(c.node.label.as_str())))
            .text("stage", each().map(|c| Some(c.node.stage.as_str())))
            .whole("seed", each().map(|c| c.node.seed.map(whole)))
            .text("outcome", each().map(outcome))
            .number("seconds", each().map(|c| Some(c.record.cost.seconds)))
            .number("cpu_seconds", each().map(|c| c.record.cost.cpu_seconds))
            .text(
                "cpu_reason",
                each().map(|c| {
                    c.record.cost.cpu_seconds.is_none().then_some("several threads worked on it")
                }),
            )
            .whole("peak_bytes", each().map(|c| c.record.cost.peak_bytes.map(whole)))
            .whole("macs", each().map(|c| stage(c, "macs")))
            .whole("parameters", each().map(|c| stage(c, "parameters")))
            .whole("trained_parameters", each().map(|c| stage(c, "trained_parameters")));
        let stages: Vec<Option<&RunStage>> = each().map(|c| c.stage.as_ref()).collect();
        fits::columns(table, &stages, run.budget.as_ref())
            .text("tune", each().map(|c| c.stage.as_ref().and_then(|stage| text(stage, "tune"))))
            .text("init", each().map(|c| c.stage.as_ref().and_then(|stage| text(stage, "init"))))
            .text("control", each().map(|c| c.stage.as_ref().and_then(control)))
            .text(
                "scratch_init",
                each().map(|c| c.stage.as_ref().and_then(|stage| text(stage, "scratch_init"))),
            )
            .whole("frozen_tensors_proved", each().map(proved))
            .also(energy::columns(&self.costs, run))
    }

    /// Means over seeds by stage and metric, nested as DVC's metrics commands read them.
    pub(super) fn metrics(&self) -> Json {
        let mut stages = Map::new();
        for ((stage, part, metric), values) in self.means() {
            let stage = stages.entry(stage).or_insert_with(|| json!({}));
            let parts = stage.as_object_mut().map(|map| map.entry(part).or_insert(json!({})));
            if let Some(Json::Object(metrics)) = parts {
                metrics.insert(metric, json!(values.iter().sum::<f64>() / values.len() as f64));
            }
        }
        Json::Object(stages)
    }

    fn means(&self) -> BTreeMap<(String, String, String), Vec<f64>> {
        let mut means: BTreeMap<(String, String, String), Vec<f64>> = BTreeMap::new();
        for scored in &self.scores {
            for score in scored.evaluation.scores.iter().filter(|score| score.class.is_none()) {
                let Some(value) = score.value else { continue };
                let part = scored.evaluation.part.clone();
                let key = (scored.stage.name.clone(), part, score.metric.clone());
                means.entry(key).or_default().push(value);
            }
        }
        means
    }
}
