//! The network that a stage trains: where it comes from, what of it learns.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::base::{Digest, Hasher, Seed};
use crate::data::InputRule;
use crate::onnx::freeze::{Divided, Learning, divide_by};
use crate::onnx::graph::Graph;
use crate::onnx::lora::{self, Adapter};
use crate::onnx::observe::Observation;
use crate::onnx::parameters::{Parameter, parameters};
use crate::onnx::tensor::Tensor;
use crate::onnx::tune::Tune;
use crate::onnx::{head, init};

use super::super::job::{Context, Failure};
use super::super::model::{BaseModel, ModelPart};

/// How the network comes about.
#[derive(Clone, Debug)]
pub(in super::super) enum Recipe {
    /// A base model with a new head.
    Transfer(Transfer),
    /// An architecture of ours, from random weights.
    Pretrain(Pretraining),
}

/// A base model with a new head.
#[derive(Clone, Debug)]
pub(in super::super) struct Transfer {
    /// The model, with its own weights or random ones.
    pub(in super::super) model: ModelPart,
    /// The tensor that the head reads.
    pub(in super::super) head_at: String,
    /// Number of classes.
    pub(in super::super) classes: usize,
    /// The tensor up to which everything is frozen.
    pub(in super::super) until: Option<String>,
    /// Factor on the learning rate below the head.
    pub(in super::super) body_rate: f64,
    /// What of the part that is not frozen learns.
    pub(in super::super) tuning: Tuning,
    /// Whether its weights are random throughout.
    pub(in super::super) is_scratch: bool,
}

/// What of a body learns besides the head.
#[derive(Clone, Debug)]
pub(in super::super) struct Tuning {
    /// Which parameters.
    pub(in super::super) tune: Tune,
    /// Outputs of the nodes that get low-rank additions.
    pub(in super::super) adapted: Vec<String>,
}

impl Tuning {
    /// What of it belongs into a key; nothing if all learns.
    fn key(&self) -> Option<Json> {
        let lora = match &self.tune {
            Tune::All => return None,
            Tune::Lora(lora) => json!({
                "rank": lora.rank, "alpha": lora.alpha, "adapted": self.adapted,
            }),
            _ => Json::Null,
        };
        Some(json!({ "what": self.tune.word(), "lora": lora }))
    }
}

/// An architecture of ours.
#[derive(Clone, Debug)]
pub(in super::super) struct Pretraining {
    /// The network, weights zero.
    pub(in super::super) base: Arc<BaseModel>,
}

/// Stream of the weights of a source model; other than that of a scratch body, so that a source
/// that was not trained at all is no copy of the scratch arm.
const SOURCE: &str = "source";

impl Recipe {
    /// How pixels become the network's input.
    pub(in super::super) fn input(&self) -> &InputRule {
        match self {
            Self::Transfer(transfer) => &transfer.model.base.input,
            Self::Pretrain(pretraining) => &pretraining.base.input,
        }
    }

    /// Shapes of the network's tensors for one item.
    pub(in super::super) fn seen(&self) -> &Observation {
        match self {
            Self::Transfer(transfer) => &transfer.model.base.seen,
            Self::Pretrain(pretraining) => &pretraining.base.seen,
        }
    }

    /// Factor on the learning rate below the head.
    pub(in super::super) fn body_rate(&self) -> f64 {
        match self {
            Self::Transfer(transfer) => transfer.body_rate,
            Self::Pretrain(_) => 1.0,
        }
    }

    /// What of it belongs into a key.
    pub(super) fn key(&self) -> Json {
        match self {
            Self::Transfer(transfer) => {
                let mut key = json!({
                    "model": transfer.model.key(),
                    "input": self.input(),
                    "head_at": transfer.head_at,
                    "classes": transfer.classes,
                    "until": transfer.until,
                    "body_rate": transfer.body_rate,
                });
                if let Some(tuning) = transfer.tuning.key() {
                    key["tune"] = tuning;
                }
                key
            }
            Self::Pretrain(pretraining) => json!({
                "architecture": skeleton_of(&pretraining.base.graph, &|_| true),
                "input": self.input(),
            }),
        }
    }

    /// Builds the network with the weights of a seed.
    pub(in super::super) fn build(
        &self,
        seed: Seed,
        context: &Context<'_>,
    ) -> Result<Network, Failure> {
        match self {
            Self::Transfer(transfer) => {
                let body = transfer.model.load(context)?;
                transfer.assemble(&body, seed)
            }
            Self::Pretrain(pretraining) => {
                let mut graph = pretraining.base.graph.clone();
                init::randomise(&mut graph, seed, SOURCE);
                Network::of(graph)
            }
        }
    }

    /// The model as it was before anything was done to it; nothing for one made here.
    pub(super) fn source(&self, context: &Context<'_>) -> Result<Option<Graph>, Failure> {
        match self {
            Self::Transfer(transfer) => transfer.model.load(context).map(Some),
            Self::Pretrain(_) => Ok(None),
        }
    }
}

impl Transfer {
    /// Puts a new head on a body.
    pub(in super::super) fn assemble(&self, body: &Graph, seed: Seed) -> Result<Network, Failure> {
        let seen = &self.model.base.seen;
        let mut graph = head::replace(body, seen, &self.head_at, self.classes)
            .map_err(|error| Failure::new(error.to_string()))?;
        if let Some((weight, bias)) = head::parameters(&graph) {
            init::randomise_head(&mut graph, &weight, &bias, seed);
        }
        let until = self.until.as_deref();
        match &self.tuning.tune {
            Tune::Lora(low_rank) => {
                let mut adapted = graph.clone();
                let (rank, alpha) = (low_rank.rank.0, low_rank.alpha.get());
                let adapters = lora::add(&mut adapted, &self.tuning.adapted, rank, alpha);
                lora::draw(&mut adapted, &adapters, seed);
                let network = Network::new(adapted, until, &self.tuning.tune, adapters)?;
                Ok(Network { plain: Some(graph), ..network })
            }
            tune => Network::new(graph, until, tune, vec![]),
        }
    }
}

/// A network ready to be trained.
#[derive(Debug)]
pub(in super::super) struct Network {
    /// All of it.
    pub(in super::super) graph: Graph,
    /// Split by what learns.
    pub(in super::super) divided: Divided,
    head: (String, String),
    /// Low-rank additions to its matrices.
    pub(super) adapters: Vec<Adapter>,
    /// All of it without additions, if it has some.
    plain: Option<Graph>,
}

impl Network {
    fn new(
        graph: Graph,
        until: Option<&str>,
        tune: &Tune,
        adapters: Vec<Adapter>,
    ) -> Result<Self, Failure> {
        let head = head::parameters(&graph)
            .ok_or_else(|| Failure::new("the network does not end in a linear layer"))?;
        let learns = |parameter: &Parameter| {
            let name = &parameter.name;
            let is_new = *name == head.0 || *name == head.1;
            let is_added = adapters.iter().any(|adapter| *name == adapter.a || *name == adapter.b);
            is_new || is_added || tune.learns(&graph, parameter)
        };
        let choice = Learning { learns: &learns, moves_statistics: tune.moves_statistics() };
        let divided = divide_by(&graph, until, &choice);
        Ok(Self { graph, divided, head, adapters, plain: None })
    }

    /// A network that ends in its head and learns as a whole.
    pub(in super::super) fn of(graph: Graph) -> Result<Self, Failure> {
        Self::new(graph, None, &Tune::All, vec![])
    }

    /// The model that is written of a trained network: additions become part of their matrices.
    pub(super) fn written(&self, trained: Graph) -> Graph {
        let Some(plain) = &self.plain else { return trained };
        let mut written = plain.clone();
        for (name, tensor) in &mut written.initializers {
            if let Some(learnt) = trained.initializers.get(name) {
                tensor.clone_from(learnt);
            }
        }
        lora::merge(&mut written, &trained, &self.adapters);
        written
    }

    /// All of it without additions.
    pub(in super::super) fn base(&self) -> &Graph {
        self.plain.as_ref().unwrap_or(&self.graph)
    }

    /// Whether a constant is one of low-rank additions.
    fn is_added(&self, name: &str) -> bool {
        self.adapters.iter().any(|adapter| name == adapter.a || name == adapter.b)
    }

    /// Factor on the learning rate of a parameter.
    pub(super) fn rate(&self, name: &str, body_rate: f64) -> f32 {
        if name == self.head.0 || name == self.head.1 { 1.0 } else { body_rate as f32 }
    }

    /// Parameters of all of it, without running statistics, and of what learns.
    pub(in super::super) fn parameters(&self) -> (usize, usize) {
        let size = |name: &str| self.graph.initializers.get(name).map_or(0, Tensor::len);
        let trained = self.divided.trained.iter().map(|parameter| size(&parameter.name)).sum();
        let all = parameters(&self.graph).into_iter();
        let all = all.filter(|found| found.role.is_trained() && !self.is_added(&found.name));
        (all.map(|found| size(&found.name)).sum(), trained)
    }

    /// Identity of the part that learns but for the values that learn: networks of one skeleton
    /// share their step graphs.
    pub(super) fn skeleton(&self) -> Digest {
        let learns = |name: &str| {
            self.divided.trained.iter().any(|parameter| parameter.name == name)
                || !self.divided.frozen.iter().any(|frozen| frozen == name)
        };
        skeleton_of(&self.divided.suffix, &learns)
    }
}

/// A graph's nodes, the shapes of all its constants, and the values of those that are not skipped.
fn skeleton_of(graph: &Graph, skip: &dyn Fn(&str) -> bool) -> Digest {
    let mut hasher = Hasher::default();
    hasher.text(&format!("{:?} {:?} {:?}", graph.opset, graph.inputs, graph.outputs));
    for node in &graph.nodes {
        hasher.text(&format!("{node:?}"));
    }
    for (name, tensor) in &graph.initializers {
        hasher.text(name);
        hasher.text(&format!("{:?}", tensor.dims));
        if !skip(name) {
            hasher.update(&tensor.bytes());
        }
    }
    hasher.finish()
}
