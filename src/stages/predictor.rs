//! A model that a run wrote, used by itself: images in; labels and probabilities, or numbers, out,
//! the same as the run's own tables have.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use ndarray::{Array2, ArrayView1};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::autodiff::Link;
use crate::base::Target;
use crate::data::{InputRule, pixels_of};
use crate::onnx::graph::{Dim, Graph};
use crate::onnx::proto;
use crate::onnx::runtime::{Runtime, RuntimeError, Session, Tensor};

use super::model::{carried_input, metadata};
use super::probabilities::{best, link_of, log_probabilities, shift_prior};
use super::targets::{sigmoid, unweighted};

/// Why a file cannot predict.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NoPredictor {
    /// It is no model.
    #[error("{0}")]
    Unreadable(String),
    /// It does not carry what is needed beside the weights.
    #[error("it does not say its {missing}")]
    Bare {
        /// What is missing, in words.
        missing: &'static str,
    },
}

/// A model with its labels and the way pixels become its input.
pub struct Predictor {
    model: Vec<u8>,
    classes: Vec<String>,
    input: InputRule,
    target: Target,
    class_weights: Option<Vec<f64>>,
    /// Of several labels: of not having each and of having it.
    label_weights: Option<Vec<[f64; 2]>>,
    link: Link,
    /// The batch that the model's file fixes, if it does.
    fixed: Option<usize>,
}

/// What is said of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// Position of the class predicted; nothing if several labels or numbers are.
    pub label: Option<usize>,
    /// The probability of each class or label; nothing if the model was trained with a loss that gives
    /// none. Numbers, if these are predicted.
    pub probabilities: Option<Vec<f64>>,
}

/// What is said of one image, or why nothing can be.
pub type Answer = Result<Labelled, String>;

/// Images in a batch.
const BATCH: usize = 32;

impl Predictor {
    /// From the bytes of a model that a run wrote.
    pub fn new(model: Vec<u8>) -> Result<Self, NoPredictor> {
        let graph =
            proto::decode(&model).map_err(|error| NoPredictor::Unreadable(error.to_string()))?;
        let classes = carried(&graph, metadata::CLASSES);
        let input = carried_input(&graph);
        let fixed = match graph.inputs.first().and_then(|port| port.dims.as_ref()?.first()) {
            Some(Dim::Fixed(extent)) => Some(*extent),
            _ => None,
        };
        Ok(Self {
            classes: classes.ok_or(NoPredictor::Bare { missing: "classes" })?,
            input: input.ok_or(NoPredictor::Bare { missing: "input rule" })?,
            target: Target::of_word(graph.metadata.get(metadata::TARGET).map(String::as_str)),
            class_weights: carried(&graph, metadata::CLASS_WEIGHTS),
            label_weights: carried(&graph, metadata::CLASS_WEIGHTS),
            link: link_of(graph.metadata.get(metadata::LINK).map(String::as_str)),
            model,
            fixed,
        })
    }

    /// What is told of each image.
    pub fn target(&self) -> Target {
        self.target
    }

    /// Names of the classes, labels or numbers, in the order of probabilities.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Answers for every image, handed to `each` in the order of `images`. Images are read as they
    /// are due, so memory does not grow with their number. Ends early if `each` fails.
    pub fn answer<E: From<RuntimeError>>(
        &self,
        runtime: &Runtime,
        images: &[PathBuf],
        cores: usize,
        each: impl FnMut(usize, Answer) -> Result<(), E>,
    ) -> Result<(), E> {
        let batches = images.len().div_ceil(self.batch());
        let workers = cores.clamp(1, batches.max(1));
        let (sender, receiver) = sync_channel(workers * 2);
        let worker = Worker { predictor: self, runtime, images, next: &AtomicUsize::new(0) };
        std::thread::scope(|scope| {
            for _ in 0..workers {
                let sender = sender.clone();
                let worker = &worker;
                scope.spawn(move || worker.work(&sender));
            }
            drop(sender);
            in_order(receiver, self.batch(), each)
        })
    }

    fn batch(&self) -> usize {
        self.fixed.unwrap_or(BATCH).max(1)
    }

    /// Answers for a batch; an image that cannot be read has its own.
    fn batch_of(
        &self,
        session: &mut Session,
        images: &[PathBuf],
    ) -> Result<Vec<Answer>, RuntimeError> {
        let mut answers = Vec::with_capacity(images.len());
        let mut values = Vec::new();
        let mut read = Vec::new();
        for (position, image) in images.iter().enumerate() {
            let pixels = pixels_of(image).map_err(|error| error.to_string());
            let fitted = pixels.and_then(|pixels| {
                let told = |cause| format!("fit {} to the model's input: {cause}", image.display());
                self.input.fitted(pixels).map_err(told)
            });
            match fitted {
                Err(why) => answers.push(Err(why)),
                Ok(pixels) => {
                    let start = values.len();
                    values.resize(start + self.input.length(), 0.0);
                    self.input.normalise(pixels.samples.as_slice(), &mut values[start..]);
                    read.push(position);
                    answers.push(Err("it is not answered yet".to_owned()));
                }
            }
        }
        for (position, answer) in read.iter().zip(self.run(session, values, read.len())?) {
            answers[*position] = answer.ok_or_else(|| {
                format!("{} makes the model give no numbers", images[*position].display())
            });
        }
        Ok(answers)
    }

    /// Runs the model on the input values of some images; none for those it gives no numbers for.
    fn run(
        &self,
        session: &mut Session,
        mut values: Vec<f32>,
        count: usize,
    ) -> Result<Vec<Option<Labelled>>, RuntimeError> {
        if count == 0 {
            return Ok(vec![]);
        }
        // A model with a free batch gets just what there is.
        let rows = self.fixed.unwrap_or(count);
        values.resize(rows * self.input.length(), 0.0);
        let dims: Vec<usize> = std::iter::once(rows).chain(self.input.item()).collect();
        let outputs = session.run(&[&Tensor::f32(&dims, values)?])?;
        let classes = self.classes.len();
        let logits = outputs.first().and_then(Tensor::floats).unwrap_or_default();
        if logits.len() != rows * classes {
            return Err(RuntimeError::Run {
                runtime: "the model".to_owned(),
                cause: format!("{} values for {rows} images of {classes} classes", logits.len()),
            });
        }
        let logits = logits[..count * classes].iter().copied().map(f64::from).collect();
        let logits = Array2::from_shape_vec((count, classes), logits);
        Ok(self.labelled(logits.unwrap_or_default()))
    }

    /// Probabilities of labels, or numbers as they are.
    fn columns(&self, outputs: Array2<f64>) -> Vec<Option<Labelled>> {
        let told = match (self.target, &self.label_weights) {
            (Target::Labels, Some(weights)) => sigmoid(&unweighted(outputs, weights)),
            (Target::Labels, None) => sigmoid(&outputs),
            _ => outputs,
        };
        let row = |row: ArrayView1<'_, f64>| {
            let finite = row.iter().all(|value| value.is_finite());
            finite.then(|| Labelled { label: None, probabilities: Some(row.to_vec()) })
        };
        told.rows().into_iter().map(row).collect()
    }

    fn labelled(&self, logits: Array2<f64>) -> Vec<Option<Labelled>> {
        if self.target != Target::Classes {
            return self.columns(logits);
        }
        let scores = log_probabilities(logits, self.link);
        let probabilities = match &self.class_weights {
            _ if self.link == Link::None => None,
            None => Some(scores.mapv(f64::exp)),
            Some(weights) => Some(shift_prior(&scores, weights)),
        };
        let rows = scores.rows().into_iter().enumerate();
        rows.map(|(item, scores)| {
            let probabilities = probabilities.as_ref().map(|all| all.row(item).to_vec());
            let told = probabilities.clone().unwrap_or_else(|| scores.to_vec());
            let finite = told.iter().all(|value| value.is_finite());
            finite.then(|| Labelled { label: Some(best(&scores)), probabilities })
        })
        .collect()
    }
}

/// A list that a model carries as JSON.
fn carried<T: DeserializeOwned>(graph: &Graph, key: &str) -> Option<Vec<T>> {
    serde_json::from_str(graph.metadata.get(key)?).ok()
}

/// A batch with its number.
type Answered = (usize, Result<Vec<Answer>, RuntimeError>);

struct Worker<'a> {
    predictor: &'a Predictor,
    runtime: &'a Runtime,
    images: &'a [PathBuf],
    next: &'a AtomicUsize,
}

impl Worker<'_> {
    /// Takes batches until there are none; stops when nobody listens any more.
    fn work(&self, sender: &SyncSender<Answered>) {
        let mut session = match self.runtime.load(&self.predictor.model, 1) {
            Ok(session) => session,
            Err(error) => {
                // Whoever listens has gone only if another worker has said the same.
                let _ = sender.send((0, Err(error)));
                return;
            }
        };
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(images) = self.images.chunks(self.predictor.batch()).nth(number) else {
                return;
            };
            let answers = self.predictor.batch_of(&mut session, images);
            let failed = answers.is_err();
            if sender.send((number, answers)).is_err() || failed {
                return;
            }
        }
    }
}

/// Hands answers on in the order of their images. Takes the receiver, so that workers stop once it
/// has ended.
fn in_order<E: From<RuntimeError>>(
    receiver: Receiver<Answered>,
    batch: usize,
    mut each: impl FnMut(usize, Answer) -> Result<(), E>,
) -> Result<(), E> {
    let mut waiting = BTreeMap::new();
    let mut due = 0;
    for (number, answers) in receiver {
        waiting.insert(number, answers?);
        while let Some(answers) = waiting.remove(&due) {
            for (position, answer) in answers.into_iter().enumerate() {
                each(due * batch + position, answer)?;
            }
            due += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::graph::{Node, Port};

    fn bare(pairs: &[(&str, &str)]) -> Vec<u8> {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let graph = Graph {
            name: "double".into(),
            opset: 18,
            inputs: vec![Port::batch_of_floats("x", &[2])],
            outputs: vec![Port::batch_of_floats("y", &[2])],
            nodes: vec![Node::new("double", "Add", &["x", "x"], "y")],
            metadata: pairs.collect(),
            ..Graph::default()
        };
        proto::encode(&graph)
    }

    fn refusal(model: Vec<u8>) -> String {
        Predictor::new(model).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_model_without_labels_or_input_rule_is_refused() {
        let classes = (metadata::CLASSES, r#"["cat","dog"]"#);
        assert_eq!(refusal(bare(&[])), "it does not say its classes");
        assert_eq!(refusal(bare(&[classes])), "it does not say its input rule");
        let input = (metadata::INPUT, r#"{"size":8}"#);
        assert_eq!(refusal(bare(&[classes, input])), "");
    }
}
