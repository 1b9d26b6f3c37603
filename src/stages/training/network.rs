//! The network that a stage trains: where it comes from, what of it learns.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::base::{Digest, Hasher, Seed};
use crate::data::Reads;
use crate::onnx::freeze::{Divided, Learning, divide_by, groups};
use crate::onnx::graph::Graph;
use crate::onnx::head::TokenPool;
use crate::onnx::lora::{self, Adapter};
use crate::onnx::observe::Observation;
use crate::onnx::parameters::{Parameter, parameters};
use crate::onnx::tensor::Tensor;
use crate::onnx::tune::Tune;
use crate::onnx::{head, init};

use super::super::job::{Context, Failure};
use super::super::model::{BaseModel, ModelPart};
use super::options::{HeadInit, Options};
use super::probe_head;

/// How the network comes about.
#[derive(Clone, Debug)]
pub(in super::super) enum Recipe {
    /// A base model with a new head.
    Transfer(Box<Transfer>),
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
    /// Number of classes, labels or numbers.
    pub(in super::super) classes: usize,
    /// The tensor up to which everything is frozen.
    pub(in super::super) until: Option<String>,
    /// Factor on the learning rate below the head.
    pub(in super::super) body_rate: f64,
    /// Where the head starts.
    pub(in super::super) head_init: HeadInit,
    /// How a sequence of tokens becomes what the head reads, if it is one.
    pub(in super::super) tokens: Option<TokenPool>,
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

/// What of it belongs into a key.
pub(in super::super) fn pool_key(pool: &TokenPool) -> Json {
    match pool {
        TokenPool::First => json!("first"),
        TokenPool::Mean(mask) => json!({ "mean": mask }),
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
    /// What the network reads of an item.
    pub(in super::super) fn input(&self) -> &Reads {
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

    /// How many items these were seen with.
    pub(super) fn items(&self) -> usize {
        match self {
            Self::Transfer(transfer) => transfer.model.base.items(),
            Self::Pretrain(pretraining) => pretraining.base.items(),
        }
    }

    /// Factor on the learning rate below the head.
    pub(in super::super) fn body_rate(&self) -> f64 {
        match self {
            Self::Transfer(transfer) => transfer.body_rate,
            Self::Pretrain(_) => 1.0,
        }
    }

    /// Whether its body starts from random weights.
    pub(in super::super) fn is_random(&self) -> bool {
        match self {
            Self::Transfer(transfer) => transfer.is_scratch,
            Self::Pretrain(_) => true,
        }
    }

    /// What of it belongs into a key. Where the head starts is an option of the training.
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
                if let Some(tokens) = &transfer.tokens {
                    key["tokens"] = pool_key(tokens);
                }
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
                let mut network = transfer.assemble(&body, seed)?;
                match transfer.head_init {
                    HeadInit::Random => {}
                    HeadInit::Zero => network.zero_head(),
                    HeadInit::Probe => probe_head::put_on(&mut network, context)?,
                }
                Ok(network)
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
        let tokens = self.tokens.as_ref();
        let mut graph = head::replace_pooled(body, seen, &self.head_at, self.classes, tokens)
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
    /// How many layer groups below the head each parameter that learns lies.
    depths: BTreeMap<String, usize>,
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
        let depths = depths(&graph, &divided);
        Ok(Self { graph, divided, head, depths, adapters, plain: None })
    }

    /// Names of weights and biases of the head.
    pub(in super::super) fn head(&self) -> (&str, &str) {
        (&self.head.0, &self.head.1)
    }

    /// Whether a parameter is the head's.
    pub(super) fn is_head(&self, name: &str) -> bool {
        name == self.head.0 || name == self.head.1
    }

    fn zero_head(&mut self) {
        for name in [&self.head.0, &self.head.1] {
            if let Some(tensor) = self.graph.initializers.get_mut(name) {
                *tensor = Tensor::f32(&tensor.dims.clone(), vec![0.0; tensor.len()]);
            }
        }
    }

    /// How many layer groups below the head a parameter lies, counting those that learn.
    pub(super) fn depth_of(&self, name: &str) -> usize {
        self.depths.get(name).copied().unwrap_or_default()
    }

    /// Layer groups below the head that learn.
    pub(in super::super) fn depth(&self) -> usize {
        self.depths.values().copied().max().unwrap_or_default()
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

    /// Factor on the learning rate of a parameter: 1 for the head. So many groups below it, the
    /// body's factor by qᵍ (Howard & Ruder 2018), or such that the lowest group has what is asked
    /// for.
    pub(super) fn rate(&self, name: &str, body_rate: f64, training: &Options) -> f32 {
        if self.is_head(name) {
            return 1.0;
        }
        let depth = self.depth_of(name) as f64;
        let decay = match (&training.decay_per_group, &training.lowest_lr) {
            (Some(q), _) => q.get().powf(-depth),
            (None, Some(lowest)) => lowest.get().powf(depth / self.depth().max(1) as f64),
            (None, None) => 1.0,
        };
        (body_rate * decay) as f32
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

/// For each parameter that learns, how many layer groups lie above it: 0 in the head and wherever no
/// group is. Groups in which nothing learns do not count.
fn depths(graph: &Graph, divided: &Divided) -> BTreeMap<String, usize> {
    let Some(read) = graph.nodes.last().and_then(|node| node.input(0)) else {
        return BTreeMap::new();
    };
    let mut left: Vec<&Parameter> = divided.trained.iter().collect();
    let mut from_below: Vec<Vec<&Parameter>> = Vec::new();
    for group in groups(graph, read) {
        let below = graph.ancestors([group.end.as_str()]);
        let (here, above): (Vec<&Parameter>, Vec<&Parameter>) =
            left.into_iter().partition(|parameter| below.contains(&parameter.node));
        left = above;
        if !here.is_empty() {
            from_below.push(here);
        }
    }
    let count = from_below.len();
    let deep = from_below.into_iter().enumerate().flat_map(|(index, group)| {
        group.into_iter().map(move |parameter| (parameter.name.clone(), count - index))
    });
    left.iter().map(|parameter| (parameter.name.clone(), 0)).chain(deep).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::language::{Above0, Fraction, defaults};
    use crate::base::{Located, Place};
    use crate::onnx::architecture::Architecture;

    /// Rates of the groups of a network of four, from the top, where the head has 0.01.
    fn rates(body: f64, options: &Options) -> Vec<f64> {
        let graph = Architecture::ResidualCnn(defaults()).build([1, 8, 8], 2).unwrap();
        let network = Network::of(graph).unwrap();
        let of_depth = |depth: usize| {
            let found = network.depths.iter().find(|(_, known)| **known == depth);
            let (name, _) = found.expect("there is a group so deep");
            0.01 * f64::from(network.rate(name, body, options))
        };
        assert_eq!(network.depth(), 4);
        (0..=4).map(of_depth).collect()
    }

    fn assert_near(found: &[f64], expected: [f64; 5]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-8, "{found} {expected}");
        }
    }

    #[test]
    fn rates_fall_by_the_decay_from_group_to_group() {
        let decay = Above0::new(2.6).map(|q| Located::new(q, Place::default()));
        let options = Options { decay_per_group: decay, ..defaults() };
        let expected = [0.01, 0.003_846_15, 0.001_479_29, 0.000_568_96, 0.000_218_83];
        assert_near(&rates(1.0, &options), expected);
        assert_near(
            &rates(0.5, &options),
            [0.01, 0.001_923_08, 0.000_739_64, 0.000_284_48, 0.000_109_41],
        );
    }

    #[test]
    fn rates_lie_evenly_between_the_head_and_the_lowest() {
        let lowest = Fraction::new(0.01).map(|rate| Located::new(rate, Place::default()));
        let options = Options { lowest_lr: lowest, ..defaults() };
        let expected = [0.01, 0.003_162_277_7, 0.001, 0.000_316_227_77, 0.0001];
        assert_near(&rates(1.0, &options), expected);
        assert_near(&rates(1.0, &defaults()), [0.01; 5]);
    }
}
