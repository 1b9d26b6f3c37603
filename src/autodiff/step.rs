//! The graphs of training: one step (loss, new weights, new state) and the scores of a batch.

use std::collections::{BTreeMap, BTreeSet};

use crate::onnx::freeze::Divided;
use crate::onnx::graph::Graph;
use crate::onnx::observe::Observation;
use crate::onnx::parameters::{Parameter, Role};
use crate::onnx::tensor::{Shape, Tensor, elements};

use super::derive::{self, Passed};
use super::flat::{Flat, Slot};
use super::loss::cross_entropy;
use super::optimiser::{Optimiser, Update};
use super::site::{Mode, Refusal};
use super::tape::{Dialect, Tape, Var};

/// What a training step is built from.
pub struct Step<'a> {
    /// The model, divided by what learns.
    pub divided: &'a Divided,
    /// Shapes of the part that learns, at `batch` items.
    pub seen: &'a Observation,
    /// Items in a step.
    pub batch: usize,
    /// Factor on the learning rate of a parameter, by name.
    pub rate: &'a dyn Fn(&str) -> f32,
    /// How weights follow gradients.
    pub optimiser: &'a Optimiser,
    /// Largest norm of the whole gradient, if it is clipped.
    pub clip: Option<f32>,
    /// Whether normalisations use the statistics of the batch.
    pub batch_statistics: bool,
    /// Which of equal formulations is emitted.
    pub dialect: Dialect,
}

/// An input that carries data, by name and shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Name of the tensor in the model.
    pub name: String,
    /// Its shape for a whole batch.
    pub dims: Shape,
}

/// The graphs of training, as ordinary ONNX models.
///
/// Inputs of `train`, in order: the cuts, `targets`, `item_weights`, `weights`, the optimiser's
/// state, `statistics` (if any), `rate`, the corrections. Outputs: `loss`, new weights, new state,
/// new statistics (if any).
///
/// Inputs of `score`: the cuts, `weights`, `statistics` (if any). Output: the scores.
pub struct StepGraphs {
    /// One step.
    pub train: Graph,
    /// Scores of a batch with running statistics.
    pub score: Graph,
    /// What goes in besides weights and targets.
    pub cuts: Vec<Port>,
    /// Layout of the weights that learn.
    pub weights: Flat,
    /// Layout of running statistics that move.
    pub statistics: Flat,
    /// Number of classes.
    pub classes: usize,
}

/// Builds the graphs; every node that cannot be differentiated is told.
pub fn build(step: &Step<'_>) -> Result<StepGraphs, Vec<Refusal>> {
    let suffix = &step.divided.suffix;
    let cuts = cut_ports(step)?;
    let weights = weight_layout(step);
    let statistics = statistics_layout(suffix);
    let scores = &suffix.outputs[0].name;
    let classes = step.seen.shape(suffix, scores).and_then(|dims| dims.last()).copied();
    let Some(classes) = classes else { return Err(vec![unseen(scores)]) };
    let parts = Parts { step, cuts: &cuts, weights: &weights, statistics: &statistics };
    let train = parts.train(scores, classes)?;
    let score = parts.score(scores)?;
    Ok(StepGraphs { train, score, cuts, weights, statistics, classes })
}

fn unseen(tensor: &str) -> Refusal {
    Refusal {
        node: tensor.to_owned(),
        op: "tensor".to_owned(),
        reason: "its shape was not seen".to_owned(),
    }
}

fn cut_ports(step: &Step<'_>) -> Result<Vec<Port>, Vec<Refusal>> {
    let port = |name: &String| {
        let dims = step.seen.shape(&step.divided.suffix, name);
        let dims = dims.ok_or_else(|| vec![unseen(name)])?.to_vec();
        Ok(Port { name: name.clone(), dims })
    };
    step.divided.cuts.iter().map(port).collect()
}

fn weight_layout(step: &Step<'_>) -> Flat {
    let slot = |parameter: &Parameter| {
        let tensor = step.divided.suffix.initializers.get(&parameter.name)?;
        Some(Slot {
            name: parameter.name.clone(),
            dims: tensor.dims.clone(),
            rate: (step.rate)(&parameter.name),
            decays: matches!(parameter.role, Role::Weight { .. }),
        })
    };
    Flat::new(step.divided.trained.iter().filter_map(slot).collect())
}

/// Mean and variance of every normalisation in the part that learns.
fn statistics_layout(suffix: &Graph) -> Flat {
    let norms = suffix.nodes.iter().filter(|node| node.op == "BatchNormalization");
    let names = norms.flat_map(|node| [node.input(3), node.input(4)]).flatten();
    let slot = |name: &str| {
        let tensor = suffix.initializers.get(name)?;
        Some(Slot { name: name.to_owned(), dims: tensor.dims.clone(), rate: 0.0, decays: false })
    };
    Flat::new(names.filter_map(slot).collect())
}

struct Parts<'a> {
    step: &'a Step<'a>,
    cuts: &'a [Port],
    weights: &'a Flat,
    statistics: &'a Flat,
}

impl<'a> Parts<'a> {
    fn train(&self, scores: &str, classes: usize) -> Result<Graph, Vec<Refusal>> {
        let (step, batch) = (self.step, self.step.batch);
        let length = self.weights.len();
        let mut tape = Tape::new(step.divided.suffix.opset, step.dialect);
        tape.scope("forward");
        let mut given = self.cuts(&mut tape);
        let targets = tape.input("targets", &[batch, classes]);
        let item_weights = tape.input("item_weights", &[batch]);
        let weights = tape.input("weights", &[length]);
        let state: Vec<Var> =
            step.optimiser.state().iter().map(|name| tape.input(name, &[length])).collect();
        let statistics = self.statistics_input(&mut tape);
        let rate = tape.input("rate", &[1]);
        let corrections: Vec<Var> = (0..step.optimiser.corrections(1).len())
            .map(|index| tape.input(&format!("correction_{index}"), &[1]))
            .collect();
        self.spread(&mut given, &weights, statistics.as_ref(), &mut tape);
        let mode = if step.batch_statistics { Mode::Train } else { Mode::Frozen };
        let passed = self.pass(given, mode, &mut tape)?;
        tape.scope("loss");
        let output = passed.vars.get(scores).ok_or_else(|| vec![unseen(scores)])?;
        let (loss, gradient) = cross_entropy(output, &targets, &item_weights, &mut tape);
        tape.scope("backward");
        let gradients = passed.backward(scores, gradient, &mut tape)?;
        let gradient = self.gradient(&gradients, &mut tape);
        tape.scope("update");
        let gradient = match step.clip {
            Some(most) => clipped(&gradient, most, &mut tape),
            None => gradient,
        };
        let update = Update { flat: self.weights, weights, gradient, state, rate, corrections };
        let (new, kept) = step.optimiser.emit(&update, &mut tape);
        tape.output(&loss, "loss");
        tape.output(&new, "new_weights");
        for (var, name) in kept.iter().zip(step.optimiser.state()) {
            tape.output(var, &format!("new_{name}"));
        }
        if let Some(old) = statistics {
            let new = match mode {
                Mode::Train => self.running(&old, &passed, &mut tape),
                _ => old,
            };
            tape.output(&new, "new_statistics");
        }
        Ok(tape.finish())
    }

    fn score(&self, scores: &str) -> Result<Graph, Vec<Refusal>> {
        let mut tape = Tape::new(self.step.divided.suffix.opset, self.step.dialect);
        tape.scope("forward");
        let mut given = self.cuts(&mut tape);
        let weights = tape.input("weights", &[self.weights.len()]);
        let statistics = self.statistics_input(&mut tape);
        self.spread(&mut given, &weights, statistics.as_ref(), &mut tape);
        let passed = self.pass(given, Mode::Infer, &mut tape)?;
        let output = passed.vars.get(scores).ok_or_else(|| vec![unseen(scores)])?.clone();
        tape.output(&output, "scores");
        Ok(tape.finish())
    }

    fn cuts(&self, tape: &mut Tape) -> BTreeMap<String, Var> {
        let input = |port: &Port| (port.name.clone(), tape.input(&port.name, &port.dims));
        self.cuts.iter().map(input).collect()
    }

    fn statistics_input(&self, tape: &mut Tape) -> Option<Var> {
        let length = self.statistics.len();
        (length > 0).then(|| tape.input("statistics", &[length]))
    }

    /// Hands the tensors of the vectors to the model under their names.
    fn spread(
        &self,
        given: &mut BTreeMap<String, Var>,
        weights: &Var,
        statistics: Option<&Var>,
        tape: &mut Tape,
    ) {
        let vectors = [(self.weights, Some(weights)), (self.statistics, statistics)];
        for (flat, vector) in vectors {
            let Some(vector) = vector else { continue };
            for (slot, var) in flat.slots().iter().zip(flat.split(vector, tape)) {
                given.insert(slot.name.clone(), var);
            }
        }
    }

    fn pass(
        &self,
        given: BTreeMap<String, Var>,
        mode: Mode,
        tape: &mut Tape,
    ) -> Result<Passed<'a>, Vec<Refusal>> {
        let wanted: BTreeSet<String> =
            self.weights.slots().iter().map(|slot| slot.name.clone()).collect();
        derive::forward(&self.step.divided.suffix, self.step.seen, given, &wanted, mode, tape)
    }

    /// The gradient as one vector; zeros for a parameter that does not lead to the scores.
    fn gradient(&self, gradients: &BTreeMap<String, Var>, tape: &mut Tape) -> Var {
        let tensors: Vec<Var> = self
            .weights
            .slots()
            .iter()
            .map(|slot| match gradients.get(&slot.name) {
                Some(gradient) => gradient.clone(),
                None => {
                    let zero = tape.number(0.0);
                    tape.expand(&zero, &slot.dims)
                }
            })
            .collect();
        self.weights.join(&tensors, tape)
    }

    /// Running statistics after the batch: kept · old + (1 − kept) · new, the new variance
    /// unbiased, as `torch` does it.
    fn running(&self, old: &Var, passed: &Passed<'_>, tape: &mut Tape) -> Var {
        let new = self.of_batch(passed);
        if tape.dialect() == Dialect::Kernels {
            return self.running_at_once(old, &new, tape);
        }
        let new: BTreeMap<&str, (Var, f32)> = new
            .iter()
            .map(|(name, of_batch)| {
                let value = tape.scale(&of_batch.value, of_batch.unbiased);
                (name.as_str(), (value, of_batch.kept))
            })
            .collect();
        let before = self.statistics.split(old, tape);
        let after: Vec<Var> = self
            .statistics
            .slots()
            .iter()
            .zip(before)
            .map(|(slot, before)| match new.get(slot.name.as_str()) {
                Some((value, kept)) => {
                    let value = tape.reshape(value, &slot.dims);
                    let (old, new) = (tape.scale(&before, *kept), tape.scale(&value, 1.0 - kept));
                    tape.add(&old, &new)
                }
                None => before,
            })
            .collect();
        self.statistics.join(&after, tape)
    }
}

impl Parts<'_> {
    /// Statistics of the batch, by the name of the running ones.
    fn of_batch(&self, passed: &Passed<'_>) -> BTreeMap<String, OfBatch> {
        let mut new = BTreeMap::new();
        for done in passed.steps() {
            let Some((mean, variance)) = &done.forward.statistics else { continue };
            let node = done.node();
            let kept = node.float("momentum").unwrap_or(0.9);
            let input = self.step.seen.shape(&self.step.divided.suffix, &node.inputs[0]);
            let count = input.map_or(2, |dims| elements(dims) / dims[1].max(1));
            let unbiased = count as f32 / (count.max(2) - 1) as f32;
            for (position, value, unbiased) in [(3, mean, 1.0), (4, variance, unbiased)] {
                let of_batch = OfBatch { value: value.clone(), unbiased, kept };
                new.insert(node.inputs[position].clone(), of_batch);
            }
        }
        new
    }

    /// Running statistics as two products and a sum over the whole vector: hundreds of operations
    /// on a few numbers each would take longer than some convolutions.
    fn running_at_once(&self, old: &Var, new: &BTreeMap<String, OfBatch>, tape: &mut Tape) -> Var {
        let (mut kept, mut taken, mut values) = (vec![], vec![], vec![]);
        for slot in self.statistics.slots() {
            let of_batch = new.get(&slot.name);
            let (keep, take) = match of_batch {
                Some(own) => (own.kept, (1.0 - own.kept) * own.unbiased),
                None => (1.0, 0.0),
            };
            kept.extend(std::iter::repeat_n(keep, slot.len()));
            taken.extend(std::iter::repeat_n(take, slot.len()));
            values.push(match of_batch {
                Some(own) => tape.reshape(&own.value, &slot.dims),
                None => tape.constant(Tensor::f32(&slot.dims, vec![0.0; slot.len()])),
            });
        }
        let values = self.statistics.join(&values, tape);
        let length = [kept.len()];
        let kept = tape.constant(Tensor::f32(&length, kept));
        let taken = tape.constant(Tensor::f32(&length, taken));
        let (old, new) = (tape.mul(old, &kept), tape.mul(&values, &taken));
        tape.add(&old, &new)
    }
}

/// A statistic of one batch, on its way into the running one.
struct OfBatch {
    value: Var,
    /// What makes it unbiased.
    unbiased: f32,
    /// Share of the running one that is kept.
    kept: f32,
}

/// The gradient, shortened to norm `most` if it is longer.
fn clipped(gradient: &Var, most: f32, tape: &mut Tape) -> Var {
    let sum = match tape.dialect() {
        Dialect::Kernels => tape.kernel("SquareSum", &[gradient], &[], &[&[1]]).remove(0),
        Dialect::Library | Dialect::Embedded => {
            let square = tape.mul(gradient, gradient);
            tape.reduce_sum(&square, &[0])
        }
    };
    let norm = tape.unary("Sqrt", &sum);
    let tiny = tape.number(1e-6);
    let norm = tape.add(&norm, &tiny);
    let most = tape.number(most);
    let factor = tape.div(&most, &norm);
    let one = tape.number(1.0);
    let dims = factor.dims().to_vec();
    let factor = tape.op("Min", &[&factor, &one], &[], &dims);
    tape.mul(gradient, &factor)
}
