//! The contract of work: what a node of the plan does, and all it may touch.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value as Json;
use thiserror::Error;

use crate::store::{ArtifactRef, Key, Mapped, Spent, Store, StoreError};
use crate::train::{Draft, Monitor, Workshop};

use super::artifacts::TrialResult;

/// Work that can be planned, cached and explained.
pub trait Job: Send + Sync {
    /// What kind of work it is; part of the key.
    fn kind(&self) -> &'static str;

    /// Raised when the same parameters would now give other bytes; part of the key.
    fn version(&self) -> u32;

    /// Everything else that can change its bytes and is known before its inputs: checked
    /// parameters, digests of files, the seed if it draws.
    fn parameters(&self) -> Result<Json, Failure>;

    /// Whether its bytes depend on the runtime.
    fn computes(&self) -> bool {
        false
    }

    /// Whether it runs training steps, which kernels of our own may serve.
    fn trains(&self) -> bool {
        false
    }

    /// What it learns from, as tables of curves want it; nothing if it learns nothing.
    fn learns(&self) -> Option<Learning> {
        None
    }

    /// What it chooses among, if that may grow at its ends; nothing if it chooses nothing.
    fn searches(&self) -> Option<Search> {
        None
    }

    /// How many cores it can use.
    fn cores(&self) -> Cores {
        Cores::One
    }

    /// Seconds it is thought to take on one core before anything like it has been measured. Being
    /// in proportion matters more than being right: measured work corrects it.
    fn expected(&self, _speed: Speed) -> f64 {
        0.02
    }

    /// Does the work. Blocking; reads only what the context offers, so the key stays honest.
    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure>;
}

/// What work learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learning {
    /// Items that it learns from.
    pub items: usize,
    /// Items in a step, where it takes steps.
    pub batch: Option<usize>,
}

/// Learning rates that work chooses among, each tried by work before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// The rates, ascending.
    pub rates: Vec<f64>,
    /// The port at which what came of each comes in.
    pub ports: Vec<String>,
    /// What on val decides.
    pub monitor: Monitor,
}

impl Search {
    /// What a trial gave on val, lower being better; nothing if it diverged.
    pub fn error(&self, trial: &TrialResult) -> Option<f64> {
        trial.best().map(|point| self.monitor.error(point))
    }
}

/// How many cores work can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// One.
    One,
    /// A share of all, as there are other nodes of its kind to work beside it.
    Share,
    /// All.
    All,
}

/// How fast a runtime is thought to be on one core of an ordinary machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Multiply–accumulates a second.
    pub macs: f64,
}

impl Speed {
    /// Seconds to read, decode and fit one image, whatever the runtime.
    pub const DECODE: f64 = 1e-3;

    /// Seconds of this many multiply–accumulates for each of this many items.
    pub fn seconds(self, items: usize, macs: u64) -> f64 {
        items as f64 * macs as f64 / self.macs
    }
}

/// Why work has no result.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// It failed.
    #[error("{message}")]
    Failed {
        /// What went wrong; reads after "failed to".
        message: String,
        /// A way out.
        help: Option<String>,
    },
    /// Training diverged at every learning rate.
    #[error("{message}")]
    Diverged {
        /// What happened.
        message: String,
        /// A way out.
        help: String,
    },
    /// Someone asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// An input turned out to be damaged; it has been put aside and must be made again.
    #[error("an input is damaged")]
    DamagedInput,
}

impl Failure {
    /// It failed.
    pub fn new(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), help: None }
    }

    /// It failed, and this is a way out.
    pub fn with_help(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), help: Some(help.into()) }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Interrupted => Self::Interrupted,
            StoreError::Damaged(_) => Self::DamagedInput,
            StoreError::Io { .. } => Self::new(error.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(format!("write to the store: {error}"))
    }
}

impl From<crate::onnx::runtime::RuntimeError> for Failure {
    fn from(error: crate::onnx::runtime::RuntimeError) -> Self {
        Self::new(format!("compute: {error}"))
    }
}

impl From<crate::data::ReadError> for Failure {
    fn from(error: crate::data::ReadError) -> Self {
        Self::with_help(error.to_string(), "repair or remove the file, then run again")
    }
}

/// What an input port was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// An artifact.
    Artifact(ArtifactRef),
    /// Nothing, because the work before failed; only ports that allow it see this.
    Missing {
        /// Whether that was a divergence.
        diverged: bool,
    },
}

/// What work leaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// Artifacts by port.
    pub artifacts: BTreeMap<String, ArtifactRef>,
    /// Plain facts: counts, choices, flags.
    pub facts: BTreeMap<String, Json>,
    /// What a reader should know.
    pub warnings: Vec<String>,
    /// What earlier runs had used on the work that this one took up.
    pub earlier: Option<Spent>,
}

impl Outputs {
    /// With an artifact.
    #[must_use]
    pub fn with(mut self, port: &str, artifact: ArtifactRef) -> Self {
        self.artifacts.insert(port.to_owned(), artifact);
        self
    }

    /// With a fact.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}

/// All that work may touch.
pub struct Context<'a> {
    /// What the input ports were given.
    pub inputs: &'a BTreeMap<String, Given>,
    /// Where results go.
    pub store: &'a Store,
    /// Sessions.
    pub workshop: &'a Workshop,
    /// Cores it may use.
    pub cores: usize,
    /// Hears of progress: done, total, note.
    pub progress: &'a (dyn Fn(usize, usize, &str) + Sync),
    /// Whether to stop.
    pub stop: &'a AtomicBool,
    /// The key whose lock is held, under which unfinished work can be left.
    pub key: Option<Key>,
    /// Tells what the work has used so far; nothing where nobody counts.
    pub spent: Option<&'a (dyn Fn() -> Spent + Sync)>,
}

impl Draft for Context<'_> {
    fn read(&self) -> Option<Vec<u8>> {
        self.store.read_draft(self.key?)
    }

    fn write(&self, bytes: &[u8]) {
        let Some(key) = self.key else { return };
        if let Err(error) = self.store.write_draft(key, bytes) {
            tracing::warn!(%key, %error, "unfinished work was not kept");
        }
    }

    fn spent(&self) -> Option<Spent> {
        self.spent.map(|spent| spent())
    }
}

impl Context<'_> {
    /// The artifact at a port.
    pub fn artifact(&self, port: &str) -> Result<&ArtifactRef, Failure> {
        match self.inputs.get(port) {
            Some(Given::Artifact(artifact)) => Ok(artifact),
            _ => Err(Failure::new(format!("no input `{port}`; the plan is wrong"))),
        }
    }

    /// The bytes at a port.
    pub fn bytes(&self, port: &str) -> Result<Mapped, Failure> {
        Ok(self.store.map(self.artifact(port)?)?)
    }

    /// `Err` once someone asked to stop.
    pub fn go_on(&self) -> Result<(), Failure> {
        if self.stopped() { Err(Failure::Interrupted) } else { Ok(()) }
    }

    /// Whether someone asked to stop.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
