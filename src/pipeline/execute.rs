//! Doing a plan's work: keys, hits, locks, failures as outcomes, and what it cost.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;

use crate::events::{Event, Listener};
use crate::stages::{Context, Cores, Failure, Given, Node, Outputs};
use crate::store::{Cost, Key, Record, RunNode, RunOutcome, Spent, Store, StoreError};
use crate::train::Workshop;

use super::clock::{Clock, with_earlier};
use super::energy::Meter;
use super::engine::Work;
use super::forecast::speed;
use super::key;
use super::plan::Plan;

/// How a node ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It has a result.
    Done {
        /// Its key.
        key: Key,
        /// The result.
        record: Arc<Record>,
        /// Whether it was there already.
        hit: bool,
    },
    /// It failed.
    Failed(Failure),
    /// A node before it failed.
    Skipped {
        /// The label of the node that failed first.
        because: String,
        /// Whether it failed by diverging.
        diverged: bool,
    },
    /// Someone asked to stop.
    Cancelled,
}

/// Does the work of a plan.
pub struct Execution {
    plan: Plan,
    store: Arc<Store>,
    workshop: Workshop,
    listener: Arc<dyn Listener>,
    stop: Arc<AtomicBool>,
    jobs: usize,
    meter: Arc<Meter>,
    /// Outcomes so far, for repairing a damaged input.
    outcomes: Mutex<BTreeMap<usize, Outcome>>,
    /// Nodes that wait for another time.
    held: Mutex<BTreeSet<usize>>,
}

impl Execution {
    /// Prepares to do a plan's work on `jobs` cores.
    pub fn new(
        plan: Plan,
        store: Arc<Store>,
        workshop: Workshop,
        listener: Arc<dyn Listener>,
        stop: Arc<AtomicBool>,
        jobs: usize,
    ) -> Self {
        let (meter, outcomes, held) = (Arc::new(Meter::none()), Mutex::default(), Mutex::default());
        Self { plan, store, workshop, listener, stop, jobs, meter, outcomes, held }
    }

    /// With what measures energy.
    #[must_use]
    pub fn metered(self, meter: Arc<Meter>) -> Self {
        Self { meter, ..self }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Lets these nodes wait, and all others work: what has an outcome keeps it when an engine comes
    /// again.
    pub fn hold(&self, nodes: BTreeSet<usize>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = nodes;
    }

    fn is_held(&self, index: usize) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).contains(&index)
    }

    fn node(&self, index: usize) -> &Node {
        &self.plan.nodes[index]
    }

    fn label(&self, index: usize) -> String {
        self.node(index).label.clone()
    }

    fn outcomes(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Outcome>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each port is given, or why the node cannot run.
    fn given(&self, index: usize) -> Result<BTreeMap<String, Given>, Outcome> {
        let outcomes = self.outcomes();
        let mut given = BTreeMap::new();
        for input in &self.node(index).inputs {
            let from = input.from.0;
            let missing = match outcomes.get(&from) {
                Some(Outcome::Done { record, .. }) => {
                    if input.is_order() {
                        continue;
                    }
                    match record.outputs.get(&input.output) {
                        Some(artifact) => {
                            given.insert(input.port.clone(), Given::Artifact(artifact.clone()));
                            continue;
                        }
                        None => {
                            let message =
                                format!("`{}` left no `{}`", self.label(from), input.output);
                            return Err(Outcome::Failed(Failure::new(message)));
                        }
                    }
                }
                Some(Outcome::Cancelled) | None => return Err(Outcome::Cancelled),
                Some(Outcome::Failed(failure)) => {
                    (self.label(from), matches!(failure, Failure::Diverged { .. }))
                }
                Some(Outcome::Skipped { because, diverged }) => (because.clone(), *diverged),
            };
            let (because, diverged) = missing;
            if input.optional && input.is_order() {
                continue;
            }
            if !input.optional {
                // What was to be trained or computed from something that diverged has not diverged
                // itself; what only looks at it passes on that it has.
                let diverged = diverged && !self.node(index).job.computes();
                return Err(Outcome::Skipped { because, diverged });
            }
            given.insert(input.port.clone(), Given::Missing { diverged });
        }
        Ok(given)
    }

    fn fields(&self, index: usize, given: &BTreeMap<String, Given>) -> Result<Json, Failure> {
        key::fields(self.node(index).job.as_ref(), given, self.workshop.runtime())
    }

    fn lookup(&self, key: Key, index: usize) -> Option<Outcome> {
        let label = self.label(index);
        let mut damaged = |text: String| {
            let text = format!("{text}; it is made again");
            self.listener.hear(&Event::Warning { label: label.clone(), text });
        };
        let record = self.store.lookup(key, &mut damaged)?;
        tracing::debug!(node = label, %key, "is there already");
        Some(Outcome::Done { key, record: Arc::new(record), hit: true })
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn note(&self, index: usize, outcome: &Outcome) {
        self.outcomes().insert(index, outcome.clone());
        let (node, label) = (index, self.label(index));
        let event = match outcome {
            Outcome::Done { hit: true, record, .. } => {
                self.warn(&label, record);
                Event::Hit { node, label }
            }
            Outcome::Done { hit: false, record, .. } => {
                self.warn(&label, record);
                Event::Done { node, label, seconds: record.cost.seconds }
            }
            Outcome::Failed(failure) => Event::Failed {
                node,
                label,
                message: failure.to_string(),
                help: match failure {
                    Failure::Failed { help, .. } => help.clone(),
                    Failure::Diverged { help, .. } => Some(help.clone()),
                    _ => None,
                },
            },
            Outcome::Skipped { because, .. } => {
                Event::Skipped { node, label, because: because.clone() }
            }
            Outcome::Cancelled => Event::Cancelled { node, label },
        };
        self.listener.hear(&event);
    }

    fn warn(&self, label: &str, record: &Record) {
        for text in &record.warnings {
            self.listener.hear(&Event::Warning { label: label.to_owned(), text: text.clone() });
        }
    }

    /// Makes a node's result on these cores, unless someone else has made it meanwhile.
    fn make(&self, index: usize, cores: usize) -> Result<Outcome, Failure> {
        let given = match self.given(index) {
            Ok(given) => given,
            Err(outcome) => return Ok(outcome),
        };
        let fields = self.fields(index, &given)?;
        let key = Key::of(&fields);
        let lock = self.store.lock(key, &self.stop)?;
        if let Some(outcome) = self.lookup(key, index) {
            return Ok(outcome);
        }
        tracing::debug!(node = self.label(index), %key, cores, "is to be made");
        self.repair_inputs(index, &given)?;
        self.listener.hear(&Event::Started { node: index, label: self.label(index) });
        let expected = self.node(index).job.expected(speed(self.workshop.runtime().backend));
        let clock = Clock::start(cores, &self.meter);
        let outputs = self.work(index, &given, cores, Some((key, &clock)))?;
        let cost = Cost { expected: Some(expected), ..clock.stop() };
        let record = Record {
            fields,
            outputs: outputs.artifacts,
            facts: outputs.facts,
            warnings: outputs.warnings,
            cost: outputs.earlier.into_iter().fold(cost, with_earlier),
        };
        lock.save(&record)?;
        Ok(Outcome::Done { key, record: Arc::new(record), hit: false })
    }

    fn work(
        &self,
        index: usize,
        given: &BTreeMap<String, Given>,
        cores: usize,
        held: Option<(Key, &Clock<'_>)>,
    ) -> Result<Outputs, Failure> {
        let progress = |done: usize, total: usize, note: &str| {
            let note = note.to_owned();
            self.listener.hear(&Event::Progress { node: index, done, total, note });
        };
        let clock = held.map(|(_, clock)| clock);
        let spent = clock.map(|clock| || clock.so_far());
        let context = Context {
            inputs: given,
            store: &self.store,
            workshop: &self.workshop,
            cores,
            progress: &progress,
            stop: &self.stop,
            key: held.map(|(key, _)| key),
            spent: spent.as_ref().map(|spent| spent as &(dyn Fn() -> Spent + Sync)),
        };
        let job = &self.node(index).job;
        let result = catch_unwind(AssertUnwindSafe(|| job.run(&context)));
        result.unwrap_or_else(|panic| {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no words");
            Err(Failure::with_help(
                format!("finish: it panicked ({text})"),
                "this is a mistake in tl-run; please report it with the pipeline file",
            ))
        })
    }

    /// Compares every input with its digest; a damaged one is made again.
    fn repair_inputs(&self, index: usize, given: &BTreeMap<String, Given>) -> Result<(), Failure> {
        for input in &self.node(index).inputs {
            let Some(Given::Artifact(artifact)) = given.get(&input.port) else { continue };
            match self.store.verify(artifact) {
                Ok(()) => {}
                Err(StoreError::Damaged(_)) => self.make_again(input.from.0)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Makes the result of a node again whose artifacts were damaged after it was found.
    fn make_again(&self, index: usize) -> Result<(), Failure> {
        let label = self.label(index);
        let text = "a result was damaged; it is made again".to_owned();
        self.listener.hear(&Event::Warning { label, text });
        let given = self.given(index).map_err(|_| Failure::DamagedInput)?;
        self.repair_inputs(index, &given)?;
        self.work(index, &given, 1, None).map(drop)
    }

    /// What `run.json` keeps of each node.
    pub fn run_nodes(&self, outcomes: &[Arc<Outcome>]) -> Vec<RunNode> {
        let entry = |(node, outcome): (&Node, &Arc<Outcome>)| {
            let (key, outcome, message) = match outcome.as_ref() {
                Outcome::Done { key, hit, .. } => {
                    (Some(*key), if *hit { RunOutcome::Hit } else { RunOutcome::Done }, None)
                }
                Outcome::Failed(failure) => (None, RunOutcome::Failed, Some(failure.to_string())),
                Outcome::Skipped { because, .. } => {
                    (None, RunOutcome::Skipped, Some(format!("`{because}` failed")))
                }
                Outcome::Cancelled => (None, RunOutcome::Cancelled, None),
            };
            RunNode {
                label: node.label.clone(),
                stage: node.stage.clone(),
                seed: node.seed.map(|seed| seed.0),
                key,
                outcome,
                message,
                reads: reads(node),
            }
        };
        self.plan.nodes.iter().zip(outcomes).map(entry).collect()
    }
}

impl Work for Execution {
    type Outcome = Outcome;

    fn before(&self) -> Vec<Vec<usize>> {
        let before = |node: &Node| {
            let mut before: Vec<usize> = node.inputs.iter().map(|input| input.from.0).collect();
            before.sort_unstable();
            before.dedup();
            before
        };
        self.plan.nodes.iter().map(before).collect()
    }

    fn look(&self, index: usize, _: &[Arc<Outcome>]) -> Option<Outcome> {
        let known = self.outcomes().get(&index).cloned();
        if known.is_some() || self.is_held(index) {
            return Some(known.unwrap_or(Outcome::Cancelled));
        }
        let outcome = match self.given(index) {
            // What is there already is found even while stopping: it costs nothing.
            Ok(given) => match self.fields(index, &given) {
                Ok(fields) => self.lookup(Key::of(&fields), index),
                Err(failure) => Some(Outcome::Failed(failure)),
            },
            Err(outcome) => Some(outcome),
        };
        let outcome = outcome.or_else(|| self.stopped().then_some(Outcome::Cancelled))?;
        self.note(index, &outcome);
        Some(outcome)
    }

    fn cores(&self, index: usize) -> usize {
        match self.node(index).job.cores() {
            Cores::One => 1,
            Cores::All => self.jobs,
            Cores::Share => share(&self.plan.nodes, self.jobs),
        }
    }

    fn run(&self, index: usize, _: &[Arc<Outcome>], cores: usize) -> Outcome {
        let outcome = match self.stopped() {
            true => Outcome::Cancelled,
            false => match self.make(index, cores) {
                Ok(outcome) => outcome,
                Err(Failure::Interrupted) => Outcome::Cancelled,
                Err(failure) => Outcome::Failed(failure),
            },
        };
        self.note(index, &outcome);
        outcome
    }
}

/// The nodes whose results a node reads, each once, in the order of its inputs.
fn reads(node: &Node) -> Vec<usize> {
    let mut reads = Vec::new();
    for input in node.inputs.iter().filter(|input| !input.is_order()) {
        if !reads.contains(&input.from.0) {
            reads.push(input.from.0);
        }
    }
    reads
}

/// Cores of each of the nodes that share them.
pub(super) fn share(nodes: &[Node], jobs: usize) -> usize {
    let beside = nodes.iter().filter(|node| node.job.cores() == Cores::Share).count();
    (jobs / beside.max(1)).max(1)
}
