//! The record of one run: which nodes there were and which keys they had. Tables and reports are
//! made from it, last month's too.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::base::{Digest, Limits, atomic};

use super::{Energy, Key, Looks};

/// One run, as `run.json` keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of this format.
    pub format: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// The run's id.
    pub run: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// Version of tl-run.
    pub version: String,
    /// Name and version of the runtime.
    pub runtime: String,
    /// Cores that were used at most.
    pub jobs: usize,
    /// The machine: system, processor, cores.
    pub host: String,
    /// The revision of the folder's git repository, if it lies in one.
    pub revision: Option<String>,
    /// The file as it was.
    pub text: String,
    /// `--set` of the command line.
    pub sets: Vec<(String, String)>,
    /// `--limit` of the command line.
    #[serde(default)]
    pub limit: Option<usize>,
    /// `--only` of the command line.
    #[serde(default)]
    pub only: Vec<String>,
    /// Repetitions.
    pub seeds: Vec<u64>,
    /// Notes before any work.
    pub notes: Vec<String>,
    /// Items left out because they cannot be read.
    #[serde(default)]
    pub skipped: Vec<RunSkipped>,
    /// Copies among the items of data sets that are tested on.
    #[serde(default)]
    pub leaks: Vec<RunLeaks>,
    /// Base models of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<RunModel>,
    /// Stages with their combinations.
    pub stages: Vec<RunStage>,
    /// Nodes.
    pub nodes: Vec<RunNode>,
    /// What a small device has, if the file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Limits>,
    /// Who was tested, for each data set that could be read; runs of older versions do not say.
    #[serde(default)]
    pub tests: Vec<RunTest>,
    /// All looks at each test part that was scored, this run's among them.
    #[serde(default)]
    pub looks: Vec<Looks>,
    /// Energy of the machine while it went on.
    #[serde(default)]
    pub energy: RunEnergy,
}

/// Energy of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunEnergy {
    /// What the machine used, whoever used it.
    pub measured: Option<Energy>,
    /// Why that is not known.
    pub reason: Option<String>,
    /// Seconds that it was measured for.
    pub seconds: f64,
    /// Grams of CO₂ equivalent for each kilowatt-hour, if the file says.
    pub carbon: Option<f64>,
    /// Whether the file allows guesses.
    pub allow_estimate: bool,
    /// Watts of the machine at rest before the run, if the file asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_w: Option<f64>,
    /// Why those are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_reason: Option<String>,
}

/// The test part of a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunTest {
    /// What the file calls the data set.
    pub dataset: String,
    /// Number of items.
    pub items: usize,
    /// Identity of ids, labels, groups and contents.
    pub digest: String,
    /// The first eight hexadecimal digits of each item's content, one after the other.
    pub contents: String,
}

/// Copies among the items of a data set that is tested on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunLeaks {
    /// The data set.
    pub dataset: String,
    /// The data set that some model was trained on before, if the copies are among its items; the
    /// first item of each pair is one of these. If not, both are of one data set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learnt_on: Option<String>,
    /// Test items that are equal to an item of train or val of some seed.
    pub same: usize,
    /// Further test items that are nearly equal to one.
    pub near: usize,
    /// Pairs of copies of which both are tested or both learnt from.
    pub within: usize,
    /// Pairs of copies whose labels differ.
    pub contradicting: usize,
    /// Pairs of copies, the first [`MOST_LEAKS`]; those with a test item come first.
    pub pairs: Vec<RunLeak>,
}

impl RunTest {
    /// Identity of the test items' contents, whatever they are called and in whatever order.
    pub fn content(&self) -> Digest {
        let mut contents: Vec<&[u8]> = self.contents.as_bytes().chunks(8).collect();
        contents.sort_unstable();
        Digest::of(&contents.concat())
    }
}

/// At most so many pairs of copies of a data set are kept.
pub const MOST_LEAKS: usize = 10_000;

/// Two items that are copies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunLeak {
    /// The part of each, as the first seed has it; nothing if no seed has it in any.
    pub parts: [Option<String>; 2],
    /// What each is called.
    pub items: [String; 2],
    /// What is true of each.
    pub labels: [String; 2],
    /// In how many of 64 bits their perceptual hashes differ; nothing for equal items.
    pub distance: Option<u32>,
    /// How much their small grey versions correlate; nothing for equal items.
    pub correlation: Option<f64>,
}

/// The format of `run.json`.
pub const RUN_FORMAT: u32 = 1;

/// An item left out because it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSkipped {
    /// The data set.
    pub dataset: String,
    /// What the item is called.
    pub item: String,
    /// What is wrong with it.
    pub reason: String,
}

/// One combination of a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunStage {
    /// Its name with its axes.
    pub name: String,
    /// Its name.
    pub stage: String,
    /// Its axes.
    pub axes: Vec<(String, String)>,
    /// Its kind.
    pub kind: String,
    /// What tables tell of it, if it predicts.
    pub arm: Option<Json>,
    /// What was transferred from where to where, if anything was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setting: Option<RunSetting>,
    /// Positions of its nodes: one, or one for each seed.
    pub nodes: Vec<usize>,
    /// For an evaluation: each stage scored, with the positions of the nodes that scored it.
    pub scored: Vec<(String, Vec<usize>)>,
    /// For a verdict: the arms, as its rows number them.
    pub compared: Vec<String>,
    /// For scores before training: each layer that was scored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub estimated: Vec<RunEstimated>,
    /// For advice before training: what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advised: Option<RunAdvised>,
}

/// A base model, so that it can be had again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunModel {
    /// What the file calls it.
    pub name: String,
    /// Digest of its ONNX file with all its weights.
    pub digest: String,
    /// Its licence, if the file says.
    pub licence: Option<String>,
    /// How items become its input.
    pub input: Json,
}

/// What advice before training is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAdvised {
    /// The data set that arms are advised for.
    pub target: String,
    /// Each source model with its layers as they are written, the lowest first.
    pub models: Vec<(String, Vec<String>)>,
    /// How similar the file takes the sources to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub believed: Option<String>,
}

/// What was transferred from where to where; nothing where it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSetting {
    /// Whether source and target are of one domain.
    pub same_domain: Option<bool>,
    /// Whether source and target are of one task.
    pub same_task: Option<bool>,
    /// Whether the source was learnt from labels.
    pub source_labels: Option<bool>,
    /// Whether labels of the target are used.
    pub target_labels: bool,
    /// Whether items of source and target have other channels, or are other kinds of things.
    pub other_features: Option<bool>,
}

/// A layer that was scored before training.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEstimated {
    /// As it is written.
    pub features: String,
    /// The model.
    pub base: String,
    /// The data set whose labels it was scored for.
    pub target: String,
    /// Positions of the nodes that scored it.
    pub nodes: Vec<usize>,
    /// The same for the model with random weights.
    pub random: Vec<usize>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunNode {
    /// What people saw.
    pub label: String,
    /// The stage it belongs to.
    pub stage: String,
    /// The seed it belongs to.
    pub seed: Option<u64>,
    /// Its key, if it had one.
    pub key: Option<Key>,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Why, if it did not end well.
    pub message: Option<String>,
    /// Positions of the nodes whose results it reads; runs of older versions do not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<usize>,
}

/// How a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// It worked.
    Done,
    /// Its result was there already.
    Hit,
    /// It failed.
    Failed,
    /// It could not run.
    Skipped,
    /// It was interrupted.
    Cancelled,
}

/// Name of the file in a run's folder.
pub const RUN_FILE: &str = "run.json";

impl RunRecord {
    /// Writes it into a run's folder.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        atomic::write(&folder.join(RUN_FILE), &serde_json::to_vec_pretty(self)?)
    }

    /// Reads it from a run's folder.
    pub fn load(folder: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(folder.join(RUN_FILE))?)?)
    }
}
