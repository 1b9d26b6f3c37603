//! Every rule against central differences, on every case it names.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::autodiff::derive;
use crate::autodiff::site::Mode;
use crate::autodiff::tape::{Dialect, Tape, Var};
use crate::base::{Seed, Stream};
use crate::onnx::graph::{Attribute, Graph, Node, Port};
use crate::onnx::observe::{Observation, observe};
use crate::onnx::proto;
use crate::onnx::runtime::{Backend, Session, Tensor as Value, runtime};
use crate::onnx::tensor::{Data, Tensor, elements};

use super::rules;

mod corners;
mod refused;
mod stops;
mod values;

/// A small graph around one node.
pub(crate) struct Case {
    node: Node,
    /// Inputs whose gradient is compared, with their values.
    varied: Vec<(String, Tensor)>,
    constants: Vec<(String, Tensor)>,
    mode: Mode,
    /// How many of its outputs hold floats: they come first.
    floats: usize,
    library_only: Option<&'static str>,
    opset: i64,
    aborts: bool,
    wrong_when_embedded: Option<&'static str>,
}

impl Case {
    pub(crate) fn of(op: &str, describe: impl Fn(Case) -> Case) -> Self {
        describe(Self {
            node: Node::new(op, op, &[], "y"),
            varied: vec![],
            constants: vec![],
            mode: Mode::Frozen,
            floats: 1,
            library_only: None,
            opset: 18,
            aborts: false,
            wrong_when_embedded: None,
        })
    }

    /// An input with values that lie away from every kink at 0 and ±0.6.
    pub(crate) fn varied(mut self, name: &str, dims: &[usize]) -> Self {
        let mut stream = Seed(7).stream(&self.node.op, name);
        let mut draw = || {
            let size = [0.15 + 0.3 * stream.uniform(), 0.8 + 0.5 * stream.uniform()];
            let size = size[stream.below(2)];
            (if stream.below(2) == 0 { size } else { -size }) as f32
        };
        let values = (0..elements(dims)).map(|_| draw()).collect();
        self.node.inputs.push(name.to_owned());
        self.varied.push((name.to_owned(), Tensor::f32(dims, values)));
        self
    }

    /// An input whose values all differ by at least 0.1.
    pub(crate) fn distinct(mut self, name: &str, dims: &[usize]) -> Self {
        let mut values: Vec<f32> = (0..elements(dims)).map(|i| i as f32 * 0.1).collect();
        Seed(7).stream(&self.node.op, name).shuffle(&mut values);
        self.node.inputs.push(name.to_owned());
        self.varied.push((name.to_owned(), Tensor::f32(dims, values)));
        self
    }

    /// A constant of any kind.
    pub(crate) fn fixed(mut self, name: &str, tensor: Tensor) -> Self {
        self.node.inputs.push(name.to_owned());
        self.constants.push((name.to_owned(), tensor));
        self
    }

    pub(crate) fn constant(self, name: &str, dims: &[usize], values: &[f32]) -> Self {
        self.fixed(name, Tensor::f32(dims, values.to_vec()))
    }

    pub(crate) fn number(self, name: &str, value: f32) -> Self {
        self.fixed(name, Tensor::scalar(value))
    }

    pub(crate) fn integers(self, name: &str, values: &[i64]) -> Self {
        self.fixed(name, Tensor::i64(values))
    }

    pub(crate) fn table(self, name: &str, dims: &[usize], values: &[i64]) -> Self {
        self.fixed(name, Tensor { dims: dims.to_vec(), data: Data::I64(values.to_vec()) })
    }

    pub(crate) fn left_out(mut self) -> Self {
        self.node.inputs.push(String::new());
        self
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<Attribute>) -> Self {
        self.node = self.node.with(key, value);
        self
    }

    /// With these outputs in place of the one; only the first `floats` of them hold floats.
    pub(crate) fn outputs(mut self, names: &[&str], floats: usize) -> Self {
        self.node.outputs = names.iter().map(|&name| name.to_owned()).collect();
        self.floats = floats;
        self
    }

    /// Not run on the embedded backend, which fails at it, for the reason given.
    pub(crate) fn library_only(mut self, reason: &'static str) -> Self {
        self.library_only = Some(reason);
        self
    }

    pub(crate) fn in_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    fn graph(&self) -> Graph {
        let port = |(name, tensor): &(String, Tensor)| Port::floats(name, &tensor.dims);
        Graph {
            opset: self.opset,
            inputs: self.varied.iter().map(port).collect(),
            outputs: self.node.writes().take(self.floats).map(Port::named).collect(),
            nodes: vec![self.node.clone()],
            initializers: self.constants.iter().cloned().collect(),
            ..Graph::default()
        }
    }

    /// Shapes, with all but the first input as constants: that is how models have them, and some
    /// runtimes take no other.
    fn observed(&self) -> Observation {
        let graph = self.graph_of_one_input();
        observe(runtime().unwrap(), &graph, &[self.varied[0].1.dims.clone()]).unwrap()
    }

    /// The same with every input but the first as a constant.
    fn graph_of_one_input(&self) -> Graph {
        let mut graph = self.graph();
        graph.inputs.truncate(1);
        graph.initializers.extend(self.varied[1..].iter().cloned());
        graph
    }

    fn values(&self) -> Vec<Vec<f32>> {
        self.varied.iter().map(|(_, tensor)| tensor.floats().unwrap().to_vec()).collect()
    }
}

/// The step graph of a case: L = Σ r·y over all float outputs for random r, and the gradient of
/// every varied input. `with_gradient = false` gives the outputs alone. Also the outputs' shapes.
fn tape_of(case: &Case, with_gradient: bool, dialect: Dialect) -> (Graph, Vec<Vec<usize>>) {
    let given = case.varied.iter().map(|(name, tensor)| (name.clone(), tensor.dims.clone()));
    let given: Vec<_> = given.collect();
    let seen = case.observed();
    emitted(&case.graph(), &seen, &given, (case.mode, dialect), with_gradient)
}

fn emitted(
    graph: &Graph,
    seen: &Observation,
    inputs: &[(String, Vec<usize>)],
    (mode, dialect): (Mode, Dialect),
    with_gradient: bool,
) -> (Graph, Vec<Vec<usize>>) {
    let mut tape = Tape::new(graph.opset, dialect);
    tape.scope("case");
    let given: BTreeMap<String, Var> =
        inputs.iter().map(|(name, dims)| (name.clone(), tape.input(name, dims))).collect();
    let wanted: BTreeSet<String> = given.keys().cloned().collect();
    let passed = derive::forward(graph, seen, given, &wanted, mode, &mut tape).unwrap();
    let made: Vec<Var> = graph.outputs.iter().map(|y| passed.vars[&y.name].clone()).collect();
    for (index, y) in made.iter().enumerate() {
        tape.output(y, &format!("out_{index}"));
    }
    if with_gradient {
        let weights = made.iter().enumerate();
        let weights = weights.map(|(index, y)| tape.input(&format!("r_{index}"), y.dims()));
        let weights: Vec<Var> = weights.collect();
        let names = graph.outputs.iter().map(|port| port.name.clone());
        let gradients = passed.backward_from(names.zip(weights).collect(), &mut tape).unwrap();
        for (name, dims) in inputs {
            let gradient = &gradients[name];
            assert_eq!(gradient.dims(), dims, "shape of the gradient of `{name}`");
            tape.output(gradient, &format!("d_{name}"));
        }
    }
    (tape.finish(), made.iter().map(|y| y.dims().to_vec()).collect())
}

fn run(graph: &Graph, inputs: &[(Vec<usize>, Vec<f32>)]) -> Vec<Vec<f32>> {
    feed(&mut runtime().unwrap().load(&proto::encode(graph), 1).unwrap(), inputs)
}

fn feed(session: &mut Session, inputs: &[(Vec<usize>, Vec<f32>)]) -> Vec<Vec<f32>> {
    let values: Vec<Value> =
        inputs.iter().map(|(dims, values)| Value::f32(dims, values.clone()).unwrap()).collect();
    let outputs = session.run(&values.iter().collect::<Vec<_>>()).unwrap();
    outputs.iter().map(|output| output.floats().unwrap().to_vec()).collect()
}

fn draws(stream: &mut Stream, length: usize) -> Vec<f32> {
    (0..length).map(|_| stream.normal() as f32).collect()
}

/// What the operator itself gives, not what the rule emits for it.
fn by_the_operator(case: &Case) -> Vec<Vec<f32>> {
    let graph = case.graph_of_one_input();
    let (_, first) = &case.varied[0];
    run(&graph, &[(first.dims.clone(), first.floats().unwrap().to_vec())])
}

/// The emitted outputs are those of the operator.
fn compare_outputs(op: &str, index: usize, case: &Case, emitted: &[Vec<f32>]) {
    // Batch statistics are not those that the operator reads.
    if case.mode == Mode::Train {
        return;
    }
    let expected = by_the_operator(case).concat();
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 2e-5 * a.abs().max(1.0);
    let same = expected.iter().zip(emitted.iter().flatten()).all(close);
    let embedded = runtime().unwrap().backend == Backend::Embedded;
    match case.wrong_when_embedded.filter(|_| embedded) {
        Some(reason) => assert!(!same, "{op}, case {index} is right, not as said: {reason}"),
        None => assert!(same, "{op}, case {index}: {emitted:?} emitted, {expected:?} by itself"),
    }
}

fn check(op: &str, index: usize, case: &Case, dialect: Dialect) {
    let embedded = runtime().unwrap().backend == Backend::Embedded;
    // There only its own dialect is ever emitted.
    let other = dialect == Dialect::Library && case.wrong_when_embedded.is_some();
    match embedded {
        true if other => {}
        true if case.library_only.is_some() => assert_not_embedded(op, index, case),
        _ => compare(op, index, case, dialect),
    }
}

/// Compares ⟨gradient, u⟩ with the change of L along random directions u of each input. The change
/// is (4 D(h) − D(2h)) / 3 with D(h) = (L(x + hu) − L(x − hu)) / 2h, which is exact up to h⁴.
fn compare(op: &str, index: usize, case: &Case, dialect: Dialect) {
    let (backward, y_dims) = tape_of(case, true, dialect);
    let (forward, _) = tape_of(case, false, dialect);
    let mut stream = Seed(11).stream(op, &index.to_string());
    let weights: Vec<Vec<f32>> =
        y_dims.iter().map(|dims| draws(&mut stream, elements(dims))).collect();
    let dims: Vec<Vec<usize>> = case.varied.iter().map(|(_, t)| t.dims.clone()).collect();
    let inputs = |values: &[Vec<f32>]| -> Vec<(Vec<usize>, Vec<f32>)> {
        dims.iter().cloned().zip(values.iter().cloned()).collect()
    };
    let mut forward = runtime().unwrap().load(&proto::encode(&forward), 1).unwrap();
    let mut loss = |values: &[Vec<f32>]| -> f64 {
        let made = feed(&mut forward, &inputs(values)).concat();
        let products = made.iter().zip(weights.iter().flatten());
        products.map(|(y, w)| f64::from(*y) * f64::from(*w)).sum()
    };
    let at = case.values();
    let mut fed = inputs(&at);
    fed.extend(y_dims.iter().cloned().zip(weights.iter().cloned()));
    let mut gradients = run(&backward, &fed);
    let emitted: Vec<Vec<f32>> = gradients.drain(..y_dims.len()).collect();
    compare_outputs(op, index, case, &emitted);
    for (which, gradient) in gradients.iter().enumerate() {
        for _ in 0..DIRECTIONS {
            let direction = draws(&mut stream, gradient.len());
            let mut slope = |h: f32| {
                let mut moved = |by: f32| {
                    let mut values = at.clone();
                    for (value, u) in values[which].iter_mut().zip(&direction) {
                        *value += by * u;
                    }
                    loss(&values)
                };
                (moved(h) - moved(-h)) / (2.0 * f64::from(h))
            };
            let measured = (4.0 * slope(STEP) - slope(2.0 * STEP)) / 3.0;
            let computed: f64 =
                gradient.iter().zip(&direction).map(|(g, u)| f64::from(*g) * f64::from(*u)).sum();
            let scale = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            assert!(
                (measured - computed).abs() < TOLERANCE * scale.max(0.5),
                "{op}, case {index}, input `{}`: {computed} computed, {measured} measured",
                case.varied[which].0,
            );
        }
    }
}

/// Directions in which each gradient is measured.
const DIRECTIONS: usize = 4;

/// How far is gone along a direction: kinks lie at least ten times as far away.
const STEP: f32 = 5e-3;

/// Allowed error relative to the gradient's norm: what f32 rounding of the outputs leaves over 2h.
const TOLERANCE: f64 = 1e-3;

/// A case that is left out on the embedded backend must fail there, or it need not be left out.
fn assert_not_embedded(op: &str, index: usize, case: &Case) {
    let Some(reason) = case.library_only.filter(|_| !case.aborts) else { return };
    let compared = || compare(op, index, case, Dialect::Embedded);
    let failed = catch_unwind(AssertUnwindSafe(compared)).is_err();
    assert!(failed, "{op}, case {index} is right on the embedded backend, not as said: {reason}");
}

#[test]
fn every_rule_agrees_with_finite_differences_on_all_its_cases() {
    let mut wrong = Vec::new();
    for rule in rules() {
        let cases = (rule.cases)();
        assert!(!cases.is_empty(), "{} names no case", rule.op);
        for (index, case) in cases.iter().enumerate() {
            for dialect in [Dialect::Library, Dialect::Embedded] {
                // One wrong rule must not hide the others.
                let checked =
                    catch_unwind(AssertUnwindSafe(|| check(rule.op, index, case, dialect)));
                if checked.is_err() {
                    wrong.push(format!("{} case {index} {dialect:?}", rule.op));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn no_operator_has_two_rules() {
    let mut ops: Vec<&str> = rules().map(|rule| rule.op).collect();
    ops.sort_unstable();
    let count = ops.len();
    ops.dedup();
    assert_eq!(ops.len(), count);
}
