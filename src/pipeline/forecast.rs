//! What a run would do: which results are there, what is to be done and what has changed, and how
//! long it would take, judged by what was measured before. Does no work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value as Json;

use crate::onnx::runtime::{Backend, Runtime};
use crate::stages::{Cores, Given, Node, Speed};
use crate::store::{Key, Record, Store};

use super::execute::share;
use super::extension;
use super::growth::Growth;
use super::key;
use super::plan::Plan;

/// What a run would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// The pipeline's name.
    pub pipeline: String,
    /// Every node, in the order of the plan.
    pub nodes: Vec<Expected>,
    /// Cores it was judged for.
    pub jobs: usize,
    /// Seconds the run is thought to take.
    pub seconds: f64,
    /// Whether most of that is a first guess, as nothing like it has been measured here.
    pub guessed: bool,
    /// Trials that may be added where the best learning rate of a list is at its end; at most.
    #[serde(skip_serializing_if = "is_none")]
    pub further: usize,
    /// What it may come to if seeds are added until the verdicts are decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<Most>,
}

/// What a study may come to that grows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Most {
    /// Seeds at each look.
    pub looks: Vec<usize>,
    /// Nodes at the last one.
    pub nodes: usize,
    /// Seconds up to the last one.
    pub seconds: f64,
}

/// What would become of one node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Expected {
    /// What people see.
    pub label: String,
    /// The stage it belongs to.
    pub stage: String,
    /// The seed it belongs to.
    pub seed: Option<u64>,
    /// Labels of the nodes it reads from.
    pub after: Vec<String>,
    /// What would become of it.
    #[serde(flatten)]
    pub state: State,
    /// Seconds of one core that it is thought to take; 0 if its result is there.
    pub core_seconds: f64,
}

/// What would become of a node.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Its result is there.
    Hit,
    /// It is to be done.
    Miss {
        /// Where it differs from the most similar result that is there; nothing if there is none.
        changed: Vec<Change>,
    },
    /// It comes after nodes that are to be done; if those leave the same bytes as ever, its result
    /// may be there after all.
    Later,
    /// What it would read cannot be read.
    Broken {
        /// Why not.
        message: String,
    },
}

/// A field of a key that has another value now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The field.
    pub field: String,
    /// Its value in the most similar result that is there.
    pub before: Option<String>,
    /// Its value now.
    pub now: Option<String>,
}

/// What a runtime is thought to compute on one core of an ordinary machine.
pub(super) fn speed(backend: Backend) -> Speed {
    match backend {
        Backend::Library => Speed { macs: 1e10 },
        Backend::Embedded => Speed { macs: 3e9 },
    }
}

/// Looks at every node of a plan.
pub fn of(plan: &Plan, store: &Store, runtime: &Runtime, jobs: usize) -> Forecast {
    let mut looking = Looking {
        plan,
        store,
        runtime,
        jobs,
        found: vec![None; plan.nodes.len()],
        past: None,
        guessed: 0.0,
    };
    let nodes: Vec<Expected> = (0..plan.nodes.len()).map(|node| looking.expect(node)).collect();
    let seconds = looking.wall(&nodes);
    let total: f64 = nodes.iter().map(|node| node.core_seconds).sum();
    let guessed = looking.guessed > 0.5 * total;
    let most = plan.growth.as_ref().map(|growth| looking.most(growth, &nodes, seconds));
    let result = |node: usize| extension::result(looking.found.get(node)?.as_ref()?, store);
    let further = plan.further(&result);
    Forecast { pipeline: plan.name.clone(), nodes, jobs, seconds, guessed, further, most }
}

/// The results that are there of a plan's nodes, as far as those before them are.
pub fn there(plan: &Plan, store: &Store, runtime: &Runtime) -> Vec<Option<Arc<Record>>> {
    let found = vec![None; plan.nodes.len()];
    let mut looking = Looking { plan, store, runtime, jobs: 1, found, past: None, guessed: 0.0 };
    for (index, node) in plan.nodes.iter().enumerate() {
        let Some(given) = looking.given(node) else { continue };
        if let Ok(fields) = key::fields(node.job.as_ref(), &given, runtime) {
            looking.is_there(index, &fields);
        }
    }
    looking.found
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

impl Forecast {
    /// How many results are there.
    pub fn hits(&self) -> usize {
        self.nodes.iter().filter(|node| node.state == State::Hit).count()
    }
}

struct Looking<'a> {
    plan: &'a Plan,
    store: &'a Store,
    runtime: &'a Runtime,
    jobs: usize,
    /// Results that are there.
    found: Vec<Option<Arc<Record>>>,
    /// What was done before; read once something is to be done.
    past: Option<Vec<Past>>,
    /// Seconds that no measurement stands behind.
    guessed: f64,
}

/// The fields of a key, each by its path.
type Leaves = BTreeMap<String, String>;

/// A result that is there, whatever run it was made in.
struct Past {
    kind: String,
    leaves: Leaves,
    /// Seconds of cores that it took for each second it was thought to take.
    ratio: Option<f64>,
}

/// Similar results whose times are looked at.
const NEIGHBOURS: usize = 5;

impl Looking<'_> {
    fn expect(&mut self, index: usize) -> Expected {
        let node = &self.plan.nodes[index];
        let given = self.given(node);
        let waits = given.is_none();
        let job = node.job.as_ref();
        let fields = key::fields(job, &given.unwrap_or_default(), self.runtime);
        let mut core_seconds = 0.0;
        let state = match fields {
            Err(failure) => State::Broken { message: failure.to_string() },
            Ok(fields) if !waits && self.is_there(index, &fields) => State::Hit,
            Ok(fields) => {
                let leaves = leaves(&fields);
                core_seconds = self.core_seconds(node, &leaves);
                match waits {
                    true => State::Later,
                    false => State::Miss { changed: self.changed(job.kind(), &leaves) },
                }
            }
        };
        let after: BTreeSet<usize> = node.inputs.iter().map(|input| input.from.0).collect();
        Expected {
            label: node.label.clone(),
            stage: node.stage.clone(),
            seed: node.seed.map(|seed| seed.0),
            after: after.iter().map(|&node| self.plan.nodes[node].label.clone()).collect(),
            state,
            core_seconds,
        }
    }

    /// What each port would be given; nothing if that is yet to be made.
    fn given(&self, node: &Node) -> Option<BTreeMap<String, Given>> {
        let mut given = BTreeMap::new();
        for input in &node.inputs {
            let record = self.found[input.from.0].as_ref()?;
            if !input.is_order() {
                let artifact = record.outputs.get(&input.output)?.clone();
                given.insert(input.port.clone(), Given::Artifact(artifact));
            }
        }
        Some(given)
    }

    fn is_there(&mut self, index: usize, fields: &Json) -> bool {
        self.found[index] = self.store.peek(Key::of(fields)).map(Arc::new);
        self.found[index].is_some()
    }

    fn past(&mut self) -> &[Past] {
        let (store, plan) = (self.store, self.plan);
        self.past.get_or_insert_with(|| {
            let kinds: BTreeSet<&str> = plan.nodes.iter().map(|node| node.job.kind()).collect();
            let records = store.records().into_iter();
            records.filter_map(|record| past(&record, &kinds)).collect()
        })
    }

    /// Where a node differs from the most similar result of its kind.
    fn changed(&mut self, kind: &str, now: &Leaves) -> Vec<Change> {
        let of_kind = self.past().iter().filter(|past| past.kind == kind);
        let differences = of_kind.map(|past| differences(&past.leaves, now, &|_| true));
        let least = differences.min_by_key(Vec::len).unwrap_or_default();
        least.into_iter().map(Change::in_words).collect()
    }

    /// Core seconds of a node, by the most similar ones that were measured.
    fn core_seconds(&mut self, node: &Node, now: &Leaves) -> f64 {
        let kind = node.job.kind();
        let expected = node.job.expected(speed(self.runtime.backend));
        // What it is given may not be known yet, and matters little for how long it takes.
        let is_said = |path: &str| !path.starts_with("inputs.");
        let mut near: Vec<(usize, f64)> = self
            .past()
            .iter()
            .filter(|past| past.kind == kind && past.leaves.get("runtime") == now.get("runtime"))
            .filter_map(|past| Some((differences(&past.leaves, now, &is_said).len(), past.ratio?)))
            .collect();
        near.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        near.truncate(NEIGHBOURS);
        let mut ratios: Vec<f64> = near.into_iter().map(|(_, ratio)| ratio).collect();
        ratios.sort_by(f64::total_cmp);
        match ratios.get(ratios.len() / 2) {
            Some(ratio) => expected * ratio,
            None => {
                self.guessed += expected;
                expected
            }
        }
    }

    /// What it may come to: further seeds cost what the first ones did, whether or not those are
    /// there already.
    fn most(&mut self, growth: &Growth, nodes: &[Expected], seconds: f64) -> Most {
        let mut seeded = 0.0;
        for (index, node) in nodes.iter().enumerate().filter(|(_, node)| node.seed.is_some()) {
            seeded += match node.state {
                State::Hit => self.found[index]
                    .as_ref()
                    .map_or(0.0, |record| record.cost.seconds * record.cost.cores as f64),
                _ => node.core_seconds,
            };
        }
        let (first, most) = (self.plan.seeds.len(), growth.most());
        let further = seeded / first as f64 * (most - first) as f64 / self.jobs as f64;
        Most {
            looks: growth.sizes().to_vec(),
            nodes: growth.nodes(most),
            seconds: seconds + further,
        }
    }

    /// Seconds of the whole: all cores busy, or the longest way through, whichever is longer.
    fn wall(&self, nodes: &[Expected]) -> f64 {
        let share = share(&self.plan.nodes, self.jobs);
        let mut ends: Vec<f64> = Vec::with_capacity(nodes.len());
        for (node, expected) in self.plan.nodes.iter().zip(nodes) {
            let cores = match node.job.cores() {
                Cores::One => 1,
                Cores::All => self.jobs,
                Cores::Share => share,
            };
            let begins = node.inputs.iter().map(|input| ends[input.from.0]).fold(0.0, f64::max);
            ends.push(begins + expected.core_seconds / cores as f64);
        }
        let work: f64 = nodes.iter().map(|node| node.core_seconds).sum();
        ends.into_iter().fold(work / self.jobs as f64, f64::max)
    }
}

fn past(record: &Record, kinds: &BTreeSet<&str>) -> Option<Past> {
    let kind = record.fields.get("kind")?.as_str()?.to_owned();
    if !kinds.contains(kind.as_str()) {
        return None;
    }
    let cost = &record.cost;
    let expected = cost.expected.filter(|expected| *expected > 0.0 && cost.cores > 0);
    let ratio = expected.map(|expected| cost.seconds * cost.cores as f64 / expected);
    Some(Past { kind, leaves: leaves(&record.fields), ratio })
}

/// The fields of a key by their paths; a list of plain values is one.
fn leaves(fields: &Json) -> Leaves {
    fn walk(path: &str, value: &Json, leaves: &mut Leaves) {
        match value {
            Json::Object(pairs) => {
                for (name, value) in pairs {
                    let path =
                        if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    walk(&path, value, leaves);
                }
            }
            Json::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
                for (index, value) in items.iter().enumerate() {
                    walk(&format!("{path}[{index}]"), value, leaves);
                }
            }
            Json::Null => {}
            Json::String(text) => {
                leaves.insert(path.to_owned(), text.clone());
            }
            other => {
                leaves.insert(path.to_owned(), other.to_string());
            }
        }
    }
    let mut found = Leaves::new();
    walk("", fields, &mut found);
    found
}

/// Fields with another value, or without one on one side.
fn differences(before: &Leaves, now: &Leaves, counts: &dyn Fn(&str) -> bool) -> Vec<Change> {
    let paths: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    paths
        .into_iter()
        .filter(|path| counts(path) && before.get(*path) != now.get(*path))
        .map(|path| Change {
            field: path.clone(),
            before: before.get(path).cloned(),
            now: now.get(path).cloned(),
        })
        .collect()
}

/// Fields that hold a digest, and what it is of.
const DIGESTS: [(&str, &str); 8] = [
    ("parameters.dataset", "content of the data set"),
    ("sample.dataset", "content of the data set"),
    ("sample.split", "the split"),
    ("sample.train", "the items trained on"),
    ("recipe.model.model", "content of the model"),
    ("parameters.model.model", "content of the model"),
    ("recipe.architecture", "the architecture"),
    ("version", "how this version of tl-run does it"),
];

impl Change {
    /// With the field as a person would call it, digests shortened.
    fn in_words(self) -> Self {
        let known = DIGESTS.iter().find(|(end, _)| self.field.ends_with(end));
        let field = match known {
            Some((_, words)) => (*words).to_owned(),
            None => match self.field.strip_prefix("inputs.") {
                Some(port) => format!("input `{port}`"),
                None => {
                    let field = self.field.trim_start_matches("parameters.");
                    field.trim_start_matches("task.").to_owned()
                }
            },
        };
        let short = |value: String| match is_digest(&value) {
            true => value.chars().take(8).collect(),
            false => value,
        };
        Self { field, before: self.before.map(short), now: self.now.map(short) }
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.chars().all(|letter| letter.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changes(before: &Json, now: &Json) -> Vec<String> {
        let found = differences(&leaves(before), &leaves(now), &|_| true);
        let told = |change: Change| {
            let change = change.in_words();
            let side = |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
            format!("{}: {} → {}", change.field, side(change.before), side(change.now))
        };
        found.into_iter().map(told).collect()
    }

    #[test]
    fn a_change_names_the_field_with_both_values() {
        let fields = |epochs: u32, dataset: &str, clip: Json| {
            json!({
                "kind": "trial",
                "parameters": { "task": {
                    "sample": { "dataset": dataset },
                    "training": { "epochs": epochs, "lr": [0.1, 0.3], "clip": clip },
                }},
                "inputs": { "cut_0": "ab".repeat(32) },
            })
        };
        let (old, new) = ("12".repeat(32), "34".repeat(32));
        assert_eq!(
            changes(&fields(48, &old, Json::Null), &fields(96, &new, json!(1.5))),
            [
                "content of the data set: 12121212 → 34343434",
                "training.clip: nothing → 1.5",
                "training.epochs: 48 → 96",
            ]
        );
        assert!(changes(&fields(48, &old, Json::Null), &fields(48, &old, Json::Null)).is_empty());
    }
}
