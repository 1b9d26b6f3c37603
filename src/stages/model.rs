//! A base model as stages use it: read from a file, or made by a stage.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::base::{Digest, Entry, Found, Located, Origin, Place, Seed, Target, Value, Written};
use crate::data::{Pixels, Reads};
use crate::onnx::control::{Control, disguise};
use crate::onnx::graph::Graph;
use crate::onnx::init::Drawn;
use crate::onnx::observe::Observation;
use crate::onnx::{init, layers, proto, upgrade};

use super::data::OpenDataset;
use super::job::{Context, Failure};
use super::site::{Input, Runs};

/// Keys of the metadata of models that we write.
pub mod metadata {
    /// Names of the classes, of the labels or of the numbers, a JSON list.
    pub const CLASSES: &str = "tl-run.classes";
    /// How pixels become its input, or that it reads arrays as they are; JSON in the words of the
    /// language.
    pub const INPUT: &str = "tl-run.input";
    /// The weight of each class in the loss it was trained with, a JSON list; none where all
    /// counted the same. Its probabilities are divided by them.
    pub const CLASS_WEIGHTS: &str = "tl-run.class_weights";
    /// What makes probabilities of its scores: `sigmoid`, or `none` if nothing does; not there if a
    /// softmax does.
    pub const LINK: &str = "tl-run.link";
    /// What it tells of each item if not one class: `labels` or `values`. Weights of classes are then
    /// pairs, of not having a label and of having it.
    pub const TARGET: &str = "tl-run.target";
    /// What wrote it.
    pub const WRITER: &str = "tl-run.version";
}

/// A base model.
#[derive(Clone, Debug)]
pub struct BaseModel {
    /// What the file calls it.
    pub name: String,
    /// Where it comes from.
    pub source: Source,
    /// The graph; of a model that is yet to be made, its architecture with weights of zero.
    pub graph: Graph,
    /// What it reads of an item.
    pub input: Reads,
    /// Inputs that the file gives a number for; they are constants of the graph.
    pub constants: BTreeMap<String, f64>,
    /// Names given to layers by the file.
    pub aliases: BTreeMap<String, String>,
    /// The output that the head ends in, if there are several.
    pub output: Option<String>,
    /// Shapes of its tensors for one item, or for its fixed batch.
    pub seen: Observation,
    /// An image with what the model says of it, if the file has one.
    pub example: Option<Arc<Example>>,
    /// What its scores are of, as far as that is known.
    pub tells: Option<Tells>,
    /// The model that it was adapted from, whose features mean the same.
    pub origin: Option<String>,
    /// How many items it takes at a time.
    pub batch: Batch,
    /// Whether it was rewritten to take images of any size.
    pub is_fully_convolutional: bool,
}

/// An image with what a model says of it where it was trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The name of the image's file.
    pub image: String,
    /// The image, of the model's size and channels.
    pub pixels: Pixels,
    /// What the model says.
    pub output: Vec<f64>,
    /// Of both files.
    pub digests: [Digest; 2],
}

/// What the scores of a model are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tells {
    /// What is told of an item.
    pub target: Target,
    /// Names of the classes, labels or numbers, in the order of the scores.
    pub names: Vec<String>,
}

impl Tells {
    /// What a model of ours carries in its metadata.
    pub fn carried(graph: &Graph) -> Option<Self> {
        let names = serde_json::from_str(graph.metadata.get(metadata::CLASSES)?).ok()?;
        let word = graph.metadata.get(metadata::TARGET).map(String::as_str);
        Some(Self { target: Target::of_word(word), names })
    }

    /// What a model tells that was trained on a data set.
    pub(super) fn of(data: &OpenDataset) -> Self {
        Self { target: data.dataset.target(), names: data.dataset.names().to_vec() }
    }
}

/// How many items a model takes at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Batch {
    /// Any number, as its file says.
    Free,
    /// Any number: its file fixes it, but freed it was seen to compute the same.
    Freed,
    /// This many, as freeing it changes what it computes.
    Fixed {
        /// Items at a time.
        items: usize,
        /// What stands in the way of more.
        because: String,
    },
}

/// Where a base model comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file with this content.
    File(Digest),
    /// Stages, one for each seed or one for all.
    Made(Runs),
}

impl BaseModel {
    /// The items that its tensors were seen with.
    pub fn items(&self) -> usize {
        match self.batch {
            Batch::Fixed { items, .. } => items,
            Batch::Free | Batch::Freed => 1,
        }
    }

    /// The tensor that a layer's name stands for.
    pub fn resolve(&self, layer: &str) -> Result<String, layers::NoLayer> {
        layers::resolve(&self.graph, &self.aliases, layer)
    }
}

/// The input rule that a model of ours carries in its metadata.
pub fn carried_input(graph: &Graph) -> Option<Reads> {
    let text = graph.metadata.get(metadata::INPUT)?;
    let json: Json = serde_json::from_str(text).ok()?;
    crate::base::language::Read::read(&as_written(&json), &mut Found::default())
}

/// JSON as if it had been written in a pipeline.
fn as_written(json: &Json) -> Written {
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Integer(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(as_written).collect()),
        Json::Object(pairs) => {
            let entry = |(key, value): (&String, &Json)| Entry {
                key: Located::new(key.clone(), Place::default()),
                value: as_written(value),
            };
            Value::Map(pairs.iter().map(entry).collect())
        }
    };
    Written { value, place: Place::default(), origin: Origin::File }
}

/// The port at which a job gets a model that was made by a stage.
const MODEL_PORT: &str = "model";

/// A base model as one job uses it.
#[derive(Clone, Debug)]
pub(super) struct ModelPart {
    /// The model.
    pub base: Arc<BaseModel>,
    /// Drawn anew with this seed instead of its own weights.
    pub random: Option<Seed>,
    /// The tensor up to which it has its own weights where the rest is drawn.
    pub kept: Option<String>,
    /// What stays of its own weights where they are drawn, if anything.
    pub control: Option<Control>,
}

/// Stream of random weights of a body.
pub(super) const BODY: &str = "body";

impl ModelPart {
    /// What of it belongs into a key; a model made by a stage is an input and is there already,
    /// unless it is only an architecture to draw weights for.
    pub(super) fn key(&self) -> Json {
        let content = match (&self.base.source, self.made_by()) {
            (Source::File(digest), _) => json!(digest),
            (Source::Made(_), Some(_)) => json!("input"),
            (Source::Made(_), None) => json!(Digest::of(&proto::encode(&self.base.graph))),
        };
        let mut key = json!({ "model": content, "random": self.random });
        if let Some(kept) = &self.kept {
            key["kept"] = json!(kept);
        }
        if let Some(control) = self.control {
            key["control"] = json!(control.word());
        }
        if self.base.batch == Batch::Freed {
            key["batch"] = json!("freed");
        }
        if !self.base.constants.is_empty() {
            key["constants"] = json!(self.base.constants);
        }
        if self.base.is_fully_convolutional {
            key["form"] = json!("fully convolutional");
        }
        key
    }

    /// The stage whose weights it has.
    pub(super) fn made_by(&self) -> Option<&Runs> {
        match &self.base.source {
            Source::Made(runs) if !self.forgets_all() => Some(runs),
            // Random weights are drawn for the architecture alone, whatever the stage has learnt.
            _ => None,
        }
    }

    /// Whether nothing of the weights that the model has plays a part.
    fn forgets_all(&self) -> bool {
        self.random.is_some() && self.kept.is_none() && self.control.is_none()
    }

    /// The model with its own weights.
    pub(super) fn of(base: &Arc<BaseModel>) -> Self {
        Self { base: Arc::clone(base), random: None, kept: None, control: None }
    }

    /// The same as far as these tensors tell: with its own weights if nothing they depend on is
    /// drawn.
    pub(super) fn up_to(&self, tensors: &[&String]) -> Self {
        let Some(kept) = &self.kept else { return self.clone() };
        let graph = &self.base.graph;
        let own = graph.ancestors([kept.as_str()]);
        let needed = graph.ancestors(tensors.iter().map(|name| name.as_str()));
        if needed.is_subset(&own) { Self::of(&self.base) } else { self.clone() }
    }

    /// The model's input of a seed's node, if a stage makes it.
    pub(super) fn input(&self, position: usize) -> Option<Input> {
        self.made_by().map(|runs| Input::new(MODEL_PORT, runs.of(position), "model"))
    }

    /// The model at opset 18, with its own weights or random ones.
    pub(super) fn load(&self, context: &Context<'_>) -> Result<Graph, Failure> {
        self.draw(context).map(|(graph, _)| graph)
    }

    /// The same, with what was drawn.
    pub(super) fn draw(&self, context: &Context<'_>) -> Result<(Graph, Drawn), Failure> {
        let graph = match self.made_by() {
            None => self.base.graph.clone(),
            Some(_) => proto::decode(&context.bytes(MODEL_PORT)?)
                .map_err(|error| Failure::new(error.to_string()))?,
        };
        let mut graph = upgrade::upgrade(graph).map_err(|error| Failure::new(error.to_string()))?;
        let kept = self.kept.as_deref();
        let drawn = self.random.map(|seed| match self.control {
            Some(control) => disguise(&mut graph, control, seed, BODY),
            None => init::randomise_above(&mut graph, kept, seed, BODY),
        });
        Ok((graph, drawn.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_rule_is_carried_by_a_model_and_read_back() {
        let text = |rule: &Reads| json!(rule).to_string();
        for size in [json!(48), json!([64, 48])] {
            let written = json!({
                "size": size, "channels": 3, "order": "bgr", "scale": 127.5, "mean": [1, 1, 0.5],
                "std": 2, "fit": "cover",
            });
            let mut found = Found::default();
            let rule = crate::base::language::Read::read(&as_written(&written), &mut found);
            let rule: Reads = rule.expect("the rule is right");
            let metadata = [(metadata::INPUT.to_owned(), text(&rule))].into();
            let carried = carried_input(&Graph { metadata, ..Graph::default() });
            assert_eq!(carried.as_ref().map(text), Some(text(&rule)));
        }
    }
}
