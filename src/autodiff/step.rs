//! The graphs of training: one step (loss, new weights, new state) and the scores of a batch.

use std::collections::{BTreeMap, BTreeSet};

use crate::onnx::fold::fold;
use crate::onnx::freeze::Divided;
use crate::onnx::graph::Graph;
use crate::onnx::observe::Observation;
use crate::onnx::parameters::{Parameter, Role};
use crate::onnx::tensor::{Shape, Tensor, elements};

use super::derive::{self, Learning, Passed};
use super::flat::{Flat, Slot};
use super::loss::{Loss, shares};
use super::optimiser::Optimiser;
use super::site::{Mode, Refusal};
use super::tape::{Dialect, Tape, Var};
use super::update::Updating;

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
    /// What is made small, who learns, and how a step is put together.
    pub terms: &'a Terms<'a>,
}

/// What a step makes small, who learns, and whether it comes in pieces.
pub struct Terms<'a> {
    /// What is made small.
    pub loss: Loss,
    /// How strongly a parameter is pulled to where it started, by name; `None` if none is.
    pub pull: Option<&'a dyn Fn(&str) -> f32>,
    /// Which of the cohorts a parameter belongs to, by name: they begin to learn one after the
    /// other, the first at once.
    pub cohort: &'a dyn Fn(&str) -> usize,
    /// Cohorts that learn: those before this one. The others stay as they are, with their state and
    /// statistics.
    pub learning: usize,
    /// Whether gradients of several batches are summed before an update.
    pub summed: bool,
    /// Whether each score has a weight of its own, row by row, instead of one for each item.
    pub by_score: bool,
}

impl Default for Terms<'_> {
    /// Cross-entropy; everything learns, a batch at a time.
    fn default() -> Self {
        Self {
            loss: Loss::CrossEntropy,
            pull: None,
            cohort: &|_| 0,
            learning: usize::MAX,
            summed: false,
            by_score: false,
        }
    }
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
/// state, `statistics` (if any), `start` (if weights are pulled there), `rate`, the corrections of
/// each cohort that learns. `item_weights` are one for each item, or one for each score. Outputs: `loss`, new weights, new state, new statistics (if any).
///
/// If gradients are summed, `item_weights` are the items' shares of the whole step, and `train` only
/// adds to the sum. Its inputs: the cuts, `targets`, `item_weights`, `weights`, `sum`, `statistics`
/// (if any). Outputs: `loss`, the new sum, new statistics (if any). Inputs of `update`: `sum`,
/// `weights`, the state, `start` (if any), `rate`, the corrections. Outputs: new weights, new state.
///
/// Inputs of `score`: the cuts, `weights`, `statistics` (if any). Output: the scores.
pub struct StepGraphs {
    /// One step, or what one batch adds to it.
    pub train: Graph,
    /// What ends a step whose gradient was summed.
    pub update: Option<Graph>,
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
    let weights = weight_layout(step);
    let statistics = statistics_layout(&step.divided.suffix);
    let folded = folded(step, &weights, &statistics);
    let step = &Step { divided: &folded, ..*step };
    let suffix = &folded.suffix;
    let cuts = cut_ports(step)?;
    let scores = &suffix.outputs[0].name;
    let classes = step.seen.shape(suffix, scores).and_then(|dims| dims.last()).copied();
    let Some(classes) = classes else { return Err(vec![unseen(scores)]) };
    let parts = Parts { step, cuts: &cuts, weights: &weights, statistics: &statistics };
    let (train, update) = match step.terms.summed {
        true => (parts.sum(scores, classes)?, Some(parts.update())),
        false => (parts.train(scores, classes)?, None),
    };
    let score = parts.score(scores)?;
    Ok(StepGraphs { train, update, score, cuts, weights, statistics, classes })
}

/// The model with shapes as they are at this batch; what moves while training stays.
fn folded(step: &Step<'_>, weights: &Flat, statistics: &Flat) -> Divided {
    let mut folded = step.divided.clone();
    let moving = weights.slots().iter().chain(statistics.slots());
    let moving: BTreeSet<&str> = moving.map(|slot| slot.name.as_str()).collect();
    fold(&mut folded.suffix, step.seen, &moving);
    folded
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
            decays: matches!(parameter.role, Role::Weight { .. }) && step.terms.pull.is_none(),
            pull: step.terms.pull.map_or(0.0, |pull| pull(&parameter.name)),
            cohort: (step.terms.cohort)(&parameter.name),
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
        Some(Slot {
            name: name.to_owned(),
            dims: tensor.dims.clone(),
            rate: 0.0,
            decays: false,
            pull: 0.0,
            cohort: 0,
        })
    };
    Flat::new(names.filter_map(slot).collect())
}

struct Parts<'a> {
    step: &'a Step<'a>,
    cuts: &'a [Port],
    weights: &'a Flat,
    statistics: &'a Flat,
}

/// What the first half of a step leaves.
struct Differentiated {
    loss: Var,
    /// Of the slots that learn, as one vector.
    gradient: Var,
    /// New running statistics, if there are any.
    statistics: Option<Var>,
}

/// What the first half of a step is emitted from.
struct Fed {
    given: BTreeMap<String, Var>,
    targets: Var,
    /// Share of each item in the loss, items × 1; or weights, from which shares are computed.
    item_weights: Var,
    weights: Var,
    statistics: Option<Var>,
}

impl<'a> Parts<'a> {
    fn tape(&self) -> Tape {
        Tape::new(self.step.divided.suffix.opset, self.step.dialect)
    }

    /// One step in one graph.
    fn train(&self, scores: &str, classes: usize) -> Result<Graph, Vec<Refusal>> {
        let (step, batch) = (self.step, self.step.batch);
        let mut tape = self.tape();
        tape.scope("forward");
        let given = self.cuts(&mut tape);
        let targets = tape.input("targets", &[batch, classes]);
        let item_weights = tape.input("item_weights", &[batch * self.weighed(classes)]);
        let weights = tape.input("weights", &[self.weights.len()]);
        let state = self.state(&mut tape);
        let statistics = self.statistics_input(&mut tape);
        let start = self.start(&mut tape);
        let rate = tape.input("rate", &[1]);
        let fed = Fed { given, targets, item_weights, weights: weights.clone(), statistics };
        let done = self.differentiate(fed, scores, &mut tape)?;
        tape.scope("update");
        let updating = self.updating(weights, start, state, rate);
        let (new, kept) = updating.emit(&done.gradient, &mut tape);
        tape.output(&done.loss, "loss");
        tape.output(&new, "new_weights");
        for (var, name) in kept.iter().zip(step.optimiser.state()) {
            tape.output(var, &format!("new_{name}"));
        }
        if let Some(new) = done.statistics {
            tape.output(&new, "new_statistics");
        }
        Ok(tape.finish())
    }

    /// What one batch adds to the gradient of a step.
    fn sum(&self, scores: &str, classes: usize) -> Result<Graph, Vec<Refusal>> {
        let batch = self.step.batch;
        let mut tape = self.tape();
        tape.scope("forward");
        let given = self.cuts(&mut tape);
        let targets = tape.input("targets", &[batch, classes]);
        let item_weights = tape.input("item_weights", &[batch * self.weighed(classes)]);
        let weights = tape.input("weights", &[self.weights.len()]);
        let sum = tape.input("sum", &[self.learning().len()]);
        let statistics = self.statistics_input(&mut tape);
        let fed = Fed { given, targets, item_weights, weights, statistics };
        let done = self.differentiate(fed, scores, &mut tape)?;
        let sum = tape.add(&sum, &done.gradient);
        tape.output(&done.loss, "loss");
        tape.output(&sum, "new_sum");
        if let Some(new) = done.statistics {
            tape.output(&new, "new_statistics");
        }
        Ok(tape.finish())
    }

    /// What ends a step whose gradient was summed.
    fn update(&self) -> Graph {
        let mut tape = self.tape();
        tape.scope("update");
        let sum = tape.input("sum", &[self.learning().len()]);
        let weights = tape.input("weights", &[self.weights.len()]);
        let state = self.state(&mut tape);
        let start = self.start(&mut tape);
        let rate = tape.input("rate", &[1]);
        let (new, kept) = self.updating(weights, start, state, rate).emit(&sum, &mut tape);
        tape.output(&new, "new_weights");
        for (var, name) in kept.iter().zip(self.step.optimiser.state()) {
            tape.output(var, &format!("new_{name}"));
        }
        tape.finish()
    }

    /// Slots that learn.
    fn learning(&self) -> Flat {
        self.weights.cohorts(self.step.terms.learning)
    }

    fn state(&self, tape: &mut Tape) -> Vec<Var> {
        let length = self.weights.len();
        let names = self.step.optimiser.state().iter();
        names.map(|name| tape.input(name, &[length])).collect()
    }

    fn start(&self, tape: &mut Tape) -> Option<Var> {
        let length = self.weights.len();
        self.step.terms.pull.map(|_| tape.input("start", &[length]))
    }

    fn updating(
        &self,
        weights: Var,
        start: Option<Var>,
        state: Vec<Var>,
        rate: Var,
    ) -> Updating<'a> {
        Updating {
            flat: self.weights,
            learning: self.step.terms.learning,
            optimiser: self.step.optimiser,
            clip: self.step.clip,
            weights,
            start,
            state,
            rate,
        }
    }

    /// Weights of an item.
    fn weighed(&self, classes: usize) -> usize {
        if self.step.terms.by_score { classes } else { 1 }
    }

    /// Loss, gradient and new statistics of a batch.
    fn differentiate(
        &self,
        fed: Fed,
        scores: &str,
        tape: &mut Tape,
    ) -> Result<Differentiated, Vec<Refusal>> {
        let (step, batch) = (self.step, self.step.batch);
        let mut given = fed.given;
        self.spread(&mut given, &fed.weights, fed.statistics.as_ref(), tape);
        let mode = if step.batch_statistics { Mode::Train } else { Mode::Frozen };
        let learning = self.learning();
        let passed = self.pass(given, &learning, mode, tape)?;
        tape.scope("loss");
        let output = passed.vars.get(scores).ok_or_else(|| vec![unseen(scores)])?;
        let weighed = self.weighed(fed.targets.dims()[1]);
        let share = match step.terms.summed {
            true => tape.reshape(&fed.item_weights, &[batch, weighed]),
            false => shares(&fed.item_weights, weighed, tape),
        };
        let (loss, gradient) = step.terms.loss.emit(output, &fed.targets, &share, tape);
        tape.scope("backward");
        let gradients = passed.backward(scores, gradient, tape)?;
        let gradient = gradient_of(&learning, &gradients, tape);
        let statistics = fed.statistics.map(|old| match mode {
            Mode::Train => self.running(&old, &passed, tape),
            _ => old,
        });
        Ok(Differentiated { loss, gradient, statistics })
    }

    fn score(&self, scores: &str) -> Result<Graph, Vec<Refusal>> {
        let mut tape = self.tape();
        tape.scope("forward");
        let mut given = self.cuts(&mut tape);
        let weights = tape.input("weights", &[self.weights.len()]);
        let statistics = self.statistics_input(&mut tape);
        self.spread(&mut given, &weights, statistics.as_ref(), &mut tape);
        let (graph, wanted) = (&self.step.divided.suffix, names(self.weights));
        let seen = self.step.seen;
        let passed = derive::forward(graph, seen, given, &wanted, Mode::Infer, &mut tape)?;
        let output = passed.vars.get(scores).ok_or_else(|| vec![unseen(scores)])?.clone();
        tape.output(&output, "scores");
        Ok(tape.finish())
    }

    fn cuts(&self, tape: &mut Tape) -> BTreeMap<String, Var> {
        let declared = &self.step.divided.suffix.inputs;
        let input = |port: &Port| {
            let kind = declared.iter().find(|known| known.name == port.name && !known.is_float());
            let var = match kind {
                Some(known) => tape.input_of_kind(&port.name, known.kind, &port.dims),
                None => tape.input(&port.name, &port.dims),
            };
            (port.name.clone(), var)
        };
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
        learning: &Flat,
        mode: Mode,
        tape: &mut Tape,
    ) -> Result<Passed<'a>, Vec<Refusal>> {
        // Statistics are no constants either, and not every backend normalises by such.
        let varying = &names(self.weights) | &names(self.statistics);
        let wanted = names(learning);
        let learning = Learning { varying: &varying, wanted: &wanted };
        let (graph, seen) = (&self.step.divided.suffix, self.step.seen);
        derive::forward_partly(graph, seen, given, &learning, mode, tape)
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

fn names(flat: &Flat) -> BTreeSet<String> {
    flat.slots().iter().map(|slot| slot.name.clone()).collect()
}

/// The gradient of all slots as one vector; zeros for a parameter that does not lead to the scores.
fn gradient_of(flat: &Flat, gradients: &BTreeMap<String, Var>, tape: &mut Tape) -> Var {
    let of_slot = |slot: &Slot| match gradients.get(&slot.name) {
        Some(gradient) => gradient.clone(),
        None => {
            let zero = tape.number(0.0);
            tape.expand(&zero, &slot.dims)
        }
    };
    let tensors: Vec<Var> = flat.slots().iter().map(of_slot).collect();
    flat.join(&tensors, tape)
}
