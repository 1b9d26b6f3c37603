//! What a run left, read from its records and blobs.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::json;

use crate::base::Digest;
use crate::stages::artifacts::{
    ArmRow, Beside, Chosen, Drift, Estimates, Evaluation, FrontRows, MethodRow, Predictions,
    TrialResult, Verdicts,
};
use crate::store::{Record, RunEstimated, RunNode, RunRecord, RunStage, Spent, Store};
use crate::train::{RangeStep, RangeTest};

use super::TableError;
use super::advice::Told;
use super::curves::Curves;
use super::estimates::Estimated;
use super::front::Front;
use super::spending::{self, Spending};

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
    /// For each of these, the arms to choose among, with the number of seeds that chose each: those
    /// that transfer, and those from scratch.
    pub(super) choices: Vec<[Choices; 2]>,
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
#[derive(Clone)]
pub(super) struct Trained {
    pub(super) stage: RunStage,
    pub(super) seed: Option<u64>,
    pub(super) chosen: Option<f64>,
    pub(super) trials: Vec<TrialResult>,
    /// What each had used at its looks; or why that is not known.
    pub(super) spending: Vec<Result<Spending, String>>,
    /// The learning-rate range test before it, if there was one.
    pub(super) range: Vec<RangeStep>,
    /// How far the weights that are kept came, layer group by layer group.
    pub(super) drift: Vec<Drift>,
}

impl Trained {
    /// Whether a training is the one that was chosen.
    pub(super) fn is_chosen(&self, trial: &TrialResult) -> bool {
        self.chosen.is_some_and(|rate| rate.total_cmp(&trial.rate).is_eq())
    }
}

/// How the setting of one probe was chosen.
pub(super) struct Probed {
    pub(super) stage: RunStage,
    pub(super) seed: Option<u64>,
    pub(super) chosen: Chosen,
}

/// One value of a probe's setting.
pub(super) struct Tried<'a> {
    pub(super) probed: &'a Probed,
    /// The class that has it for itself.
    pub(super) class: Option<&'a str>,
    pub(super) value: f64,
    pub(super) held_out: Option<f64>,
    pub(super) is_chosen: bool,
}

impl Probed {
    pub(super) fn tried(&self) -> Vec<Tried<'_>> {
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
    /// What the training of its source took; or why that is not known.
    pub(super) source: Result<Spent, String>,
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

/// Arms to choose among, by name, with the number of seeds that chose each.
pub(super) type Choices = Vec<(String, usize)>;

/// How often each arm was chosen.
fn choices(arm: &dyn Fn(usize) -> RunStage, row: &MethodRow) -> [Choices; 2] {
    let side = |among: &[usize], chosen: &[Option<usize>]| {
        let times = |one: &usize| chosen.iter().filter(|it| **it == Some(*one)).count();
        among.iter().map(|one| (arm(*one).name, times(one))).collect()
    };
    [side(&row.transfer, &row.chosen_transfer), side(&row.scratch, &row.chosen_scratch)]
}

/// The axes on which all arms agree.
pub(super) fn shared_axes(arms: &[&RunStage]) -> Vec<(String, String)> {
    let Some(first) = arms.first() else { return vec![] };
    let shared = first.axes.iter().filter(|axis| arms.iter().all(|arm| arm.axes.contains(axis)));
    shared.cloned().collect()
}

/// What is chosen among several arms in each seed, as if it were a stage.
pub(super) const METHOD: &str = "method";

/// A row of a method with what stands for its two sides.
fn method(arm: &dyn Fn(usize) -> RunStage, row: MethodRow) -> (RunStage, RunStage, ArmRow) {
    let side = |among: &[usize]| {
        let arms: Vec<RunStage> = among.iter().map(|one| arm(*one)).collect();
        let names: Vec<&str> = arms.iter().map(|stage| stage.name.as_str()).collect();
        let known = arms.first().and_then(|first| first.arm.as_ref());
        RunStage {
            axes: shared_axes(&arms.iter().collect::<Vec<_>>()),
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
        let choices = verdicts.methods.iter().map(|row| choices(&arm, row)).collect();
        let methods = verdicts.methods.into_iter().map(|row| method(&arm, row)).collect();
        let (stage, metric) = (stage.clone(), verdicts.metric);
        Ok(Some(Verdict { stage, metric, rows, methods, choices, beside }))
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
        let Some(trials): Option<Vec<TrialResult>> = self.json(node, "trials")? else {
            return Ok(None);
        };
        let spending = Spending::of_trials((self.run, &self.records), node, &trials);
        let chosen = self.records[node].as_ref().and_then(|r| r.facts.get("lr")?.as_f64());
        let seed = self.run.nodes[node].seed;
        let range: Option<RangeTest> = self.json(node, "range")?;
        let range = range.map(|test| test.curve).unwrap_or_default();
        // Trainings of earlier versions do not tell.
        let drift = self.json(node, "drift")?.unwrap_or_default();
        let stage = stage.clone();
        Ok(Some(Trained { stage, seed, chosen, trials, spending, range, drift }))
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
        let source = match stage.as_ref().and_then(|stage| stage.arm.as_ref()) {
            None => Err("it is no arm".to_owned()),
            Some(arm) if arm["init"] == "random" => Err("it starts from random weights".to_owned()),
            Some(_) => spending::of_source((self.run, &self.records), node),
        };
        let stage = stage.filter(|stage| stage.nodes.contains(&node));
        Some(NodeCost { node: entry, stage, record, source })
    }
}
