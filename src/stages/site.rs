//! Where stages are planned: what is there already, and what a stage adds.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::base::{Found, Located, Place, Problem, Seed};
use crate::data::{InputRule, Part, Reads};
use crate::onnx::footprint::Footprint;
use crate::onnx::graph::Graph;
use crate::onnx::observe::Observation;
use crate::onnx::tensor::Shape;
use crate::stats::InterimLook;

use crate::base::language::Count;
use crate::transferability::advisor::Outcome as AdviceOutcome;

use super::data::OpenDataset;
use super::effort::Effort;
use super::job::Job;
use super::model::BaseModel;
use super::names::{Name, Reference, full_name};

/// A node's position in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NodeId(pub usize);

/// One piece of work in the plan.
#[derive(Clone)]
pub struct Node {
    /// What people see: `tuned[freeze=none] lr=0.001 seed 2`.
    pub label: String,
    /// The stage it belongs to, with its axes.
    pub stage: String,
    /// The seed it belongs to, if it draws.
    pub seed: Option<Seed>,
    /// The work.
    pub job: Arc<dyn Job>,
    /// Where its inputs come from.
    pub inputs: Vec<Input>,
}

/// An input of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// What the job calls it.
    pub port: String,
    /// The node that makes it.
    pub from: NodeId,
    /// What that node calls it.
    pub output: String,
    /// Whether the work can be done without it.
    pub optional: bool,
}

impl Input {
    /// Nothing is read; the other node only comes first.
    pub fn order(from: NodeId) -> Self {
        Self::new("", from, "")
    }

    /// Whether nothing is read.
    pub fn is_order(&self) -> bool {
        self.output.is_empty()
    }

    /// An input that must be there.
    pub fn new(port: &str, from: NodeId, output: &str) -> Self {
        Self { port: port.to_owned(), from, output: output.to_owned(), optional: false }
    }

    /// An input that may be missing because its work failed.
    pub fn optional(port: &str, from: NodeId, output: &str) -> Self {
        Self { optional: true, ..Self::new(port, from, output) }
    }
}

/// The nodes of a stage: one for all seeds, or one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runs {
    /// Nothing is drawn.
    Once(NodeId),
    /// One for each seed, in their order.
    Each(Vec<NodeId>),
}

impl Runs {
    /// The node of a seed, by its position.
    pub fn of(&self, seed: usize) -> NodeId {
        match self {
            Self::Once(node) => *node,
            Self::Each(nodes) => nodes[seed],
        }
    }

    /// Whether seeds differ.
    pub fn differ(&self) -> bool {
        matches!(self, Self::Each(_))
    }

    /// All nodes.
    pub fn all(&self) -> Vec<NodeId> {
        match self {
            Self::Once(node) => vec![*node],
            Self::Each(nodes) => nodes.clone(),
        }
    }
}

/// What a stage offers to others.
#[derive(Clone, Default)]
pub struct Offers {
    /// Features of layers.
    pub features: Option<FeaturesOffer>,
    /// Predictions.
    pub classifier: Option<ClassifierOffer>,
    /// A model.
    pub model: Option<Arc<BaseModel>>,
    /// Scores of other stages' predictions.
    pub scores: Option<ScoresOffer>,
    /// Scores of features before training.
    pub estimates: Option<EstimatesOffer>,
    /// The arms of a verdict, of advice or of a front, in the order of their numbers.
    pub verdict_of: Vec<String>,
    /// Which of these each arm of a verdict is compared with: both by their numbers.
    pub pairs: Vec<(usize, usize)>,
    /// Advice before training.
    pub advice: Option<AdviceOffer>,
}

/// Features of layers.
#[derive(Clone)]
pub struct FeaturesOffer {
    /// Items.
    pub data: Arc<OpenDataset>,
    /// The nodes.
    pub runs: Runs,
    /// Port by layer, as written.
    pub layers: BTreeMap<String, String>,
    /// Multiply–accumulates per item up to each layer, by port.
    pub macs: BTreeMap<String, u64>,
    /// What they were computed with; nothing if no model was needed.
    pub base: Option<String>,
    /// The model that this one was adapted from, or else itself.
    pub origin: Option<String>,
    /// Whether its weights were drawn anew.
    pub random: bool,
    /// The word for where its weights started, if there is one model.
    pub init: Option<&'static str>,
    /// What the model needs up to each layer, by port.
    pub sizes: BTreeMap<String, LayerSize>,
}

/// What a model needs up to a layer.
#[derive(Clone, Copy, Debug)]
pub struct LayerSize {
    /// Everything below.
    pub body: Footprint,
    /// How many features it hands out for an item.
    pub features: usize,
}

/// Advice before training.
#[derive(Clone)]
pub struct AdviceOffer {
    /// The data set that arms are advised for.
    pub target: String,
    /// The node that offers `advice`.
    pub node: NodeId,
    /// Each source model with its layers as they are written, the lowest first.
    pub models: Vec<(String, Vec<String>)>,
    /// How similar the file takes the sources to be.
    pub believed: Option<&'static str>,
    /// Where each arm is named, in the order of the arms.
    pub places: Vec<Place>,
}

/// Scores of features before training.
#[derive(Clone)]
pub struct EstimatesOffer {
    /// The data set whose labels they are for.
    pub target: String,
    /// Training items that were looked at; all of the split's if nothing is said.
    pub train_size: Option<Located<Count>>,
    /// Each layer that was scored.
    pub features: Vec<Estimated>,
}

/// One layer that was scored.
#[derive(Clone)]
pub struct Estimated {
    /// As it is written.
    pub features: String,
    /// The model.
    pub base: String,
    /// Nodes that offer `estimates`.
    pub runs: Runs,
    /// The same for the model with random weights.
    pub random: Option<Runs>,
    /// The features themselves.
    pub layer: LayerOffer,
    /// Those of the model with random weights.
    pub random_layer: Option<LayerOffer>,
}

/// Features of one layer.
#[derive(Clone)]
pub struct LayerOffer {
    /// All layers that came with it.
    pub features: FeaturesOffer,
    /// What this one is called.
    pub port: String,
}

/// Predictions.
#[derive(Clone)]
pub struct ClassifierOffer {
    /// Items.
    pub data: Arc<OpenDataset>,
    /// The nodes.
    pub runs: Runs,
    /// What tables tell about the arm.
    pub arm: Arm,
    /// Further predictions that it is compared with at once, and the nodes that make them.
    pub beside: Option<(Beside, Runs)>,
}

/// Predictions beside those of an arm: scored on the same part, and what lies between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Beside {
    /// Where they come out.
    pub port: &'static str,
    /// What their scores are called: `accuracy_on_source` for `on_source`.
    pub own: &'static str,
    /// What lies between is called: `accuracy_drop` for `drop`.
    pub between: &'static str,
    /// Whether it says how much better the arm is; if not, how much worse.
    pub is_gain: bool,
}

impl Beside {
    /// What a probe says of the items that it has learnt on, and how much is lost on others.
    pub const AT_HOME: Self =
        Self { port: super::probing::AT_HOME, own: "on_source", between: "drop", is_gain: false };
    /// What a classifier says of the data set that it comes from, and how much is lost on another.
    pub const OF_SOURCE: Self = Self { port: "predictions", ..Self::AT_HOME };
}

/// What tables tell about an arm.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Arm {
    /// The stage's kind.
    pub kind: String,
    /// The base model.
    pub source: Option<String>,
    /// The data set.
    pub target: String,
    /// What is frozen.
    pub freeze: Option<String>,
    /// Which parameters learn.
    pub tune: Option<String>,
    /// How much of the source's weights it starts with; nothing if that is all and nobody said so.
    pub transfer_depth: Option<String>,
    /// How random weights were scaled, if not by their layer alone.
    pub scratch_init: Option<String>,
    /// Float constants that no random start touches, as they are no parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub untouched: Vec<String>,
    /// The tensor that its new head reads.
    pub head: Option<String>,
    /// Whether its weights were random.
    pub random: bool,
    /// The word for where its weights started, if it has any.
    pub init: Option<String>,
    /// Which labels it has seen, where that is not the usual: those of the target's training items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setting: Option<Setting>,
    /// The data set it has learnt on, if not on its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_on: Option<String>,
    /// How features of that data set were brought nearer to its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapt: Option<String>,
    /// Share of the labels of its training items that were flipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_noise: Option<f64>,
    /// Factor on the learning rate below the head.
    pub body_rate: Option<f64>,
    /// Parameters of the whole model.
    pub parameters: Option<usize>,
    /// Parameters that learn.
    pub trained_parameters: Option<usize>,
    /// Multiply–accumulates of one prediction.
    pub macs: Option<u64>,
    /// What it asks of a device, where that follows from its graph.
    pub size: Option<Footprint>,
    /// What it may spend on training and on choosing.
    #[serde(skip_serializing_if = "Effort::is_none")]
    pub effort: Effort,
    /// How it uses its source, for advice.
    #[serde(skip)]
    pub manner: Manner,
}

/// How an arm uses its source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manner {
    /// The features it reads, by what their node calls them.
    pub layer: Option<String>,
    /// Share of the layer groups below its head that are frozen, if it is trained.
    pub frozen: Option<f64>,
    /// Whether what lies below the head is tuned gently.
    pub gentle: bool,
    /// Whether upper layers were cut off.
    pub cut: bool,
}

/// Which labels an arm has seen (Pan & Yang 2010), where these are none of the target's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// Those of the source alone.
    Transductive,
    /// None at all.
    Unsupervised,
}

/// Scores of other stages' predictions.
#[derive(Clone)]
pub struct ScoresOffer {
    /// One entry for each stage that was scored.
    pub arms: Vec<ScoredArm>,
    /// The part they were scored on.
    pub part: Part,
}

/// One stage that was scored.
#[derive(Clone)]
pub struct ScoredArm {
    /// The stage, without its axes.
    pub stage: String,
    /// Its axes.
    pub axes: Vec<(String, String)>,
    /// Nodes that offer `items`.
    pub runs: Runs,
    /// Nodes that offer `predictions` of all parts.
    pub predictions: Runs,
    /// Where the items come from.
    pub data: Arc<OpenDataset>,
    /// What it was.
    pub arm: Arm,
}

impl ScoredArm {
    /// `tuned[freeze=none]`.
    pub fn name(&self) -> String {
        full_name(&self.stage, &self.axes)
    }
}

/// A stage that has been planned.
#[derive(Clone)]
pub struct Planned {
    /// Its name, without axes.
    pub stage: String,
    /// Its axes, in the order written.
    pub axes: Vec<(String, String)>,
    /// What it offers; nothing if something is wrong with it.
    pub offers: Option<Offers>,
}

/// Looks at models. Given by whoever knows how a model is tried safely.
pub trait Looker {
    /// The shape of every tensor for inputs of these shapes.
    fn observe(&self, graph: &Graph, shapes: &[Shape]) -> Result<Observation, String>;

    /// Whether a model whose batch was freed computes the same as with its own batch, whose inputs
    /// have these shapes; if not, why.
    fn agree(&self, fixed: &Graph, freed: &Graph, shapes: &[Shape]) -> Result<(), String>;
}

/// Whoever looks at models.
pub type Look = Arc<dyn Looker>;

/// The state of planning.
pub struct Site {
    /// Repetitions.
    pub seeds: Vec<Seed>,
    /// Which of several looks at a growing number of repetitions this is.
    pub interim: Option<InterimLook>,
    /// Data sets by name; nothing for one with a problem.
    pub datasets: BTreeMap<String, Option<Arc<OpenDataset>>>,
    /// Data sets whose items are all of one class, with the problem that this is for whoever tells
    /// classes apart.
    pub alike: BTreeMap<String, Problem>,
    /// Models by name; nothing for one with a problem.
    pub models: BTreeMap<String, Option<Arc<BaseModel>>>,
    /// Models fitted to the arrays of data sets, by both names; nothing for two that do not fit.
    pub fitted: BTreeMap<(String, String), Option<Arc<BaseModel>>>,
    /// Stages planned so far.
    pub planned: Vec<Planned>,
    /// Names of all stages of the file.
    pub stage_names: Vec<String>,
    /// Nodes so far.
    pub nodes: Vec<Node>,
    /// Nodes that several stages share, by label and seed.
    pub shared: BTreeMap<(String, Option<Seed>), NodeId>,
    /// Problems so far.
    pub found: Found,
    /// Notes so far.
    pub notes: Vec<String>,
    /// The stage being planned, with its axes.
    pub stage: String,
    /// Where the stage being planned is written.
    pub place: Place,
    /// Looks at models.
    pub look: Look,
    /// What came of earlier advice.
    pub outcomes: Vec<AdviceOutcome>,
    /// Learning rates by which lists have grown, by the stage with its axes.
    pub extended: BTreeMap<String, Vec<f64>>,
}

impl Site {
    /// Nothing is planned yet.
    pub fn new(seeds: Vec<Seed>, found: Found, look: Look) -> Self {
        Self {
            seeds,
            interim: None,
            found,
            look,
            datasets: BTreeMap::new(),
            alike: BTreeMap::new(),
            models: BTreeMap::new(),
            fitted: BTreeMap::new(),
            planned: vec![],
            stage_names: vec![],
            nodes: vec![],
            shared: BTreeMap::new(),
            notes: vec![],
            stage: String::new(),
            place: Place::default(),
            outcomes: vec![],
            extended: BTreeMap::new(),
        }
    }

    /// Adds a problem.
    pub fn problem(&mut self, problem: Problem) {
        self.found.add(problem);
    }

    /// Adds a note for the reader; the same note once.
    pub fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Adds a node of the stage being planned.
    pub fn add(
        &mut self,
        role: &str,
        seed: Option<Seed>,
        job: impl Job + 'static,
        inputs: Vec<Input>,
    ) -> NodeId {
        let mut label = self.stage.clone();
        if !role.is_empty() {
            label = format!("{label} {role}");
        }
        let stage = self.stage.clone();
        self.push(label, stage, seed, Arc::new(job), inputs)
    }

    /// A node that several stages share, found again by its label.
    pub fn shared(
        &mut self,
        label: &str,
        seed: Option<Seed>,
        job: impl Job + 'static,
        inputs: Vec<Input>,
    ) -> NodeId {
        let known = self.shared.get(&(label.to_owned(), seed)).copied();
        known.unwrap_or_else(|| {
            let id = self.push(label.to_owned(), label.to_owned(), seed, Arc::new(job), inputs);
            self.shared.insert((label.to_owned(), seed), id);
            id
        })
    }

    fn push(
        &mut self,
        mut label: String,
        stage: String,
        seed: Option<Seed>,
        job: Arc<dyn Job>,
        inputs: Vec<Input>,
    ) -> NodeId {
        if let Some(seed) = seed {
            label = format!("{label} seed {}", seed.0);
        }
        self.nodes.push(Node { label, stage, seed, job, inputs });
        NodeId(self.nodes.len() - 1)
    }

    /// A data set by name, whose items can be told apart.
    pub fn dataset(&mut self, name: &Located<Name>) -> Option<Arc<OpenDataset>> {
        if let Some(problem) = self.alike.remove(&name.0) {
            self.found.add(problem);
            self.datasets.insert(name.0.clone(), None);
        }
        self.images(name)
    }

    /// A data set by name; its items may all be of one class.
    pub fn images(&mut self, name: &Located<Name>) -> Option<Arc<OpenDataset>> {
        if let Some(known) = self.datasets.get(&name.0) {
            return known.clone();
        }
        let problem = Problem::at(name.place, format!("no data set is called `{}`", name.0));
        if self.stage_names.contains(&name.0) {
            let help = format!("`{}` is a stage; name a data set under `datasets`", name.0);
            self.found.add(problem.help(help));
            return None;
        }
        let known: Vec<&str> = self.datasets.keys().map(String::as_str).collect();
        self.found.add(problem.or_else_one_of(&name.0, known));
        None
    }

    /// A model as it reads the items of a data set, if it can.
    pub fn reading(
        &mut self,
        base: &Arc<BaseModel>,
        data: &Arc<OpenDataset>,
        place: Place,
    ) -> Option<Arc<BaseModel>> {
        match &base.input {
            Reads::Image(rule) => self.fitting(data, rule, place).map(|()| Arc::clone(base)),
            Reads::AsItIs => super::feeding::fitted(base, data, place, self),
        }
    }

    /// Whether the items of a data set, as far as its first one shows, can become a model's input.
    pub fn fitting(&mut self, data: &OpenDataset, rule: &InputRule, place: Place) -> Option<()> {
        if let Err(error) = data.has_pixels() {
            self.found.add(
                Problem::at(place, error)
                    .help("for a model that reads them, write `input: as_it_is`"),
            );
            return None;
        }
        // An item that cannot be read is told with its name by whoever reads them all.
        let Ok(first) = data.dataset.pixels(0) else { return Some(()) };
        let Err(cause) = rule.fitted(first) else { return Some(()) };
        let message = format!("the items of `{}` do not fit the input: {cause}", data.name);
        let help = "check `size` and `channels`, of the stage or of its model's input";
        self.found.add(Problem::at(place, message).help(help));
        None
    }

    /// A model by name: one of the file's, or one that a stage makes.
    pub fn model(&mut self, reference: &Located<Reference>) -> Option<Arc<BaseModel>> {
        if reference.axes.is_empty() && reference.layer.is_none() {
            if let Some(known) = self.models.get(&reference.stage) {
                return known.clone();
            }
            if !self.stage_names.contains(&reference.stage) {
                let name = &reference.stage;
                let problem = Problem::at(reference.place, format!("no model is called `{name}`"));
                let known: Vec<&str> =
                    self.models.keys().chain(&self.stage_names).map(String::as_str).collect();
                self.found.add(problem.or_else_one_of(name, known));
                return None;
            }
        }
        let planned = self.one(reference)?;
        let model = planned.offers?.model;
        if model.is_none() {
            let message = format!("`{}` makes no model", reference.value);
            let help = "name a model of the file, or a stage that trains or adapts one";
            self.found.add(Problem::at(reference.place, message).help(help));
        }
        model
    }

    /// The one planned stage that a reference names; nothing if something is wrong with it.
    pub fn one(&mut self, reference: &Located<Reference>) -> Option<Planned> {
        let found = self.matching(reference)?;
        match &found[..] {
            [only] => Some(only.clone()),
            many => {
                let names: Vec<String> = many
                    .iter()
                    .take(3)
                    .map(|planned| format!("`{}`", full_name(&planned.stage, &planned.axes)))
                    .collect();
                let message = format!(
                    "`{}` names {} stages, but one is wanted here",
                    reference.value,
                    many.len()
                );
                let axis = many[0].axes.first().map_or("axis", |(axis, _)| axis.as_str());
                self.found.add(
                    Problem::at(reference.place, message)
                        .help(format!("choose one, such as {}", names.join(", ")))
                        .help(format!(
                            "or give this stage the same axis and write `{}[{axis}=${{matrix.\
                             {axis}}}]`",
                            reference.stage
                        )),
                );
                None
            }
        }
    }

    /// All planned stages that a reference names, one for each combination of axes.
    pub fn matching(&mut self, reference: &Located<Reference>) -> Option<Vec<Planned>> {
        let of_name: Vec<Planned> =
            self.planned.iter().filter(|p| p.stage == reference.stage).cloned().collect();
        if of_name.is_empty() {
            // A stage that is there but not planned has a problem of its own, told elsewhere.
            if !self.stage_names.contains(&reference.stage) {
                let problem = self.no_stage(reference);
                self.found.add(problem);
            }
            return None;
        }
        let fits =
            |planned: &&Planned| reference.axes.iter().all(|axis| planned.axes.contains(axis));
        let fitting: Vec<Planned> = of_name.iter().filter(fits).cloned().collect();
        if fitting.is_empty() {
            let known: Vec<String> = of_name.iter().map(|p| full_name(&p.stage, &p.axes)).collect();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let text = reference.value.to_string();
            let message = format!("`{}` has no such combination", reference.stage);
            self.found.add(Problem::at(reference.place, message).or_else_one_of(&text, known));
            return None;
        }
        Some(fitting)
    }

    /// A name that no stage has; it may be that of something else.
    fn no_stage(&self, reference: &Located<Reference>) -> Problem {
        let name = &reference.stage;
        let problem = Problem::at(reference.place, format!("no stage is called `{name}`"));
        if self.datasets.contains_key(name) {
            return problem
                .help(format!("`{name}` is a data set; name a stage that makes something of it"));
        }
        if self.models.contains_key(name) {
            let help = format!("`{name}` is a model; name a stage that makes something of it");
            return problem.help(help);
        }
        problem.or_else_one_of(name, self.stage_names.iter().map(String::as_str))
    }

    /// One node for each seed if `differ`, else one for all; the closure gets the seed and its
    /// position.
    pub fn for_seeds(
        &mut self,
        differ: bool,
        mut node: impl FnMut(&mut Self, usize, Option<Seed>) -> Option<NodeId>,
    ) -> Option<Runs> {
        if !differ {
            return node(self, 0, None).map(Runs::Once);
        }
        let seeds = self.seeds.clone();
        let nodes = seeds.iter().enumerate().map(|(i, seed)| node(self, i, Some(*seed)));
        nodes.collect::<Option<Vec<_>>>().map(Runs::Each)
    }
}
