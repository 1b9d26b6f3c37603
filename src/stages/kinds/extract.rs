//! `extract`: features of layers of a base model, one pass over the data set, cached.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::base::language::{Count, OneOrMore, Read, Word, keys};
use crate::base::{Found, Located, Problem, Value, Written};
use crate::data::Reads;
use crate::onnx::footprint::Footprint;
use crate::onnx::graph::Port;
use crate::onnx::layers::{NoLayer, candidates};
use crate::onnx::macs;
use crate::onnx::tensor::elements;

use super::super::model::{BaseModel, ModelPart};
use super::super::names::{Name, Reference};
use super::super::preprocessing::Preprocessing;
use super::super::site::{FeaturesOffer, LayerSize, Offers, Site};
use super::Kind;
use super::fine_tune::Init;
use super::pass::{Pass, pass_runs};
use super::tokens::Tokens;

keys! {
    /// Runs a base model over a data set once and keeps features of layers.
    pub struct Extract {
        /// The base model, or a stage that makes one.
        model: Located<Reference>,
        /// The data set.
        dataset: Located<Name>,
        /// The layers: a tensor, a node, a scope with one exit, or an alias of the model.
        layers: OneOrMore<Located<Word>>,
        /// What becomes of maps of channels × height × width: `s` averages them to s × s, `all`
        /// keeps every value.
        spatial: Spatial = Spatial::Pooled(Count(1)),
        /// What becomes of sequences of tokens × features. If not said, models that read tokens give
        /// `mean`, all others `all`.
        tokens: Option<Located<Tokens>> = None,
        /// Where the model's weights start: with anything but `pretrained`, features of the same
        /// architecture that has learnt nothing, others for each seed.
        init: Init = Init::Pretrained,
    }
}

/// What becomes of maps over space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spatial {
    /// Averaged to this many rows and columns.
    Pooled(Count),
    /// Kept.
    All,
}

/// As it is read.
impl serde::Serialize for Spatial {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Pooled(side) => serde::Serialize::serialize(side, serializer),
            Self::All => serializer.serialize_str("all"),
        }
    }
}

impl Read for Spatial {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        match &written.value {
            Value::Text(word) if word == "all" => Some(Self::All),
            _ => Count::read(written, found).map(Self::Pooled),
        }
    }

    fn schema() -> Json {
        let all = json!({ "const": "all", "description": "Keeps every value." });
        json!({ "title": "a whole number of at least 1, or `all`", "oneOf": [Count::schema(), all] })
    }
}

impl Kind for Extract {
    const WORD: &'static str = "extract";

    fn references(&self) -> Vec<&Located<Reference>> {
        vec![&self.model]
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let base = site.model(&self.model);
        let data = site.dataset(&self.dataset);
        let (base, data) = (base?, data?);
        let base = site.reading(&base, &data, self.dataset.place)?;
        let mut pools = Vec::new();
        let mut tensors: Vec<String> = Vec::new();
        let mut ports = BTreeMap::new();
        let mut costs = BTreeMap::new();
        let mut sizes = BTreeMap::new();
        for layer in &self.layers.0 {
            let tensor = resolved(&base, layer.place, &layer.0, site)?;
            if base.graph.inputs.iter().any(|port| port.name == tensor) {
                let message = format!("`{}` is the model's input, not a layer", layer.0);
                let help = match base.input {
                    Reads::Image(_) => "features of pixels are what `pixel_linear` reads",
                    Reads::AsItIs => "name a layer above it",
                };
                site.problem(Problem::at(layer.place, message).help(help));
                return None;
            }
            let part = base.graph.part(&base.graph.inputs, &[Port::named(&tensor)]);
            costs.insert(tensor.clone(), macs::forward_macs(&part, &base.seen, base.items()));
            ports.insert(layer.0.clone(), tensor.clone());
            // Two names may stand for one tensor, which is handed out once.
            if !tensors.contains(&tensor) {
                let of = (&*base, tensor.as_str());
                let pool = Tokens::pool(self.tokens.as_ref(), of, &data, layer.place, site).ok()?;
                if let Some(features) = self.features(&base, &tensor, pool.is_some()) {
                    let body = Footprint::of(&part, &base.seen, base.items());
                    sizes.insert(tensor.clone(), LayerSize { body, features });
                }
                pools.push(pool);
                tensors.push(tensor);
            }
        }
        Preprocessing::check(&base, &data, site);
        let spatial = match self.spatial {
            Spatial::All => None,
            Spatial::Pooled(side) => Some(side.0),
        };
        let macs = costs.values().copied().max().unwrap_or_default();
        let model = ModelPart::of(&base);
        let data_of = Arc::clone(&data);
        let job = Pass { data: data_of, model, tensors, spatial, pools, macs, views: None };
        let random = self.init != Init::Pretrained;
        let runs = match random {
            false => {
                pass_runs(&job, site, |site, seed, inputs| site.add("", seed, job.clone(), inputs))?
            }
            true => site.for_seeds(true, |site, position, seed| {
                let mut job = job.clone();
                job.model.random = seed;
                job.model.control = self.init.control();
                let inputs = job.model.input(position).into_iter().collect();
                Some(site.add("", seed, job, inputs))
            })?,
        };
        let origin = base.origin.clone().or_else(|| Some(base.name.clone()));
        let (base, layers) = (Some(base.name.clone()), ports);
        let init = Some(self.init.word());
        let features =
            FeaturesOffer { data, runs, layers, macs: costs, base, origin, random, init, sizes };
        Some(Offers { features: Some(features), ..Offers::default() })
    }
}

impl Extract {
    /// How many features a layer hands out for an item, if its shape was seen.
    fn features(&self, base: &BaseModel, tensor: &str, is_pooled: bool) -> Option<usize> {
        let item = base.seen.shape(&base.graph, tensor)?.get(1..)?;
        Some(match (self.spatial, item) {
            (_, [_, features]) if is_pooled => *features,
            (Spatial::Pooled(side), [channels, height, width]) => {
                channels * side.0.min(*height) * side.0.min(*width)
            }
            _ => elements(item),
        })
    }
}

/// The tensor of a layer, or a problem that lists candidates.
pub(in super::super) fn resolved(
    base: &BaseModel,
    place: crate::base::Place,
    layer: &str,
    site: &mut Site,
) -> Option<String> {
    let problem = match base.resolve(layer) {
        Ok(tensor) => return Some(tensor),
        Err(NoLayer::Unknown) => {
            let known = candidates(&base.graph);
            let known: Vec<&str> = base
                .aliases
                .keys()
                .map(String::as_str)
                .chain(known.iter().map(String::as_str))
                .collect();
            let message = format!("`{}` has no layer `{layer}`", base.name);
            Problem::at(place, message).or_else_one_of(layer, known)
        }
        Err(NoLayer::ManyExits(exits)) => {
            let message =
                format!("the scope `{layer}` of `{}` hands on several tensors", base.name);
            Problem::at(place, message).help(format!("choose one: {}", exits.join(", ")))
        }
    };
    site.problem(problem);
    None
}
