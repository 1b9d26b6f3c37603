//! Every rule against central differences, on every case it names.

use std::collections::{BTreeMap, BTreeSet};

use crate::autodiff::derive;
use crate::autodiff::site::Mode;
use crate::autodiff::tape::{Dialect, Tape, Var};
use crate::base::{Seed, Stream};
use crate::onnx::graph::{Attribute, Graph, Node, Port};
use crate::onnx::observe::{Observation, observe};
use crate::onnx::proto;
use crate::onnx::runtime::{Tensor as Value, runtime};
use crate::onnx::tensor::{Tensor, elements};

use super::rules;

/// A small graph around one node.
pub(crate) struct Case {
    node: Node,
    /// Inputs whose gradient is compared, with their values.
    varied: Vec<(String, Tensor)>,
    constants: Vec<(String, Tensor)>,
    mode: Mode,
}

impl Case {
    pub(crate) fn of(op: &str, describe: impl Fn(Case) -> Case) -> Self {
        let node = Node::new(op, op, &[], "y");
        describe(Self { node, varied: vec![], constants: vec![], mode: Mode::Frozen })
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

    fn fixed(mut self, name: &str, tensor: Tensor) -> Self {
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

    pub(crate) fn left_out(mut self) -> Self {
        self.node.inputs.push(String::new());
        self
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<Attribute>) -> Self {
        self.node = self.node.with(key, value);
        self
    }

    pub(crate) fn in_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    fn graph(&self) -> Graph {
        let port = |(name, tensor): &(String, Tensor)| Port::floats(name, &tensor.dims);
        Graph {
            opset: 18,
            inputs: self.varied.iter().map(port).collect(),
            outputs: vec![Port::named("y")],
            nodes: vec![self.node.clone()],
            initializers: self.constants.iter().cloned().collect(),
            ..Graph::default()
        }
    }

    /// Shapes, with all but the first input as constants: that is how models have them, and some
    /// runtimes take no other.
    fn observed(&self) -> Observation {
        let mut graph = self.graph();
        graph.inputs.truncate(1);
        graph.initializers.extend(self.varied[1..].iter().cloned());
        observe(runtime().unwrap(), &graph, &[self.varied[0].1.dims.clone()]).unwrap()
    }

    fn values(&self) -> Vec<Vec<f32>> {
        self.varied.iter().map(|(_, tensor)| tensor.floats().unwrap().to_vec()).collect()
    }
}

/// The step graph of a case: L = Σ r·y for random r, and the gradient of every varied input.
/// `with_gradient = false` gives y alone.
fn tape_of(case: &Case, with_gradient: bool, dialect: Dialect) -> (Graph, Vec<usize>) {
    let graph = case.graph();
    let seen = case.observed();
    let mut tape = Tape::new(18, dialect);
    tape.scope("case");
    let given: BTreeMap<String, Var> = case
        .varied
        .iter()
        .map(|(name, tensor)| (name.clone(), tape.input(name, &tensor.dims)))
        .collect();
    let wanted: BTreeSet<String> = given.keys().cloned().collect();
    let passed = derive::forward(&graph, &seen, given, &wanted, case.mode, &mut tape).unwrap();
    let y = passed.vars["y"].clone();
    tape.output(&y, "y_out");
    if with_gradient {
        let r = tape.input("r", y.dims());
        let gradients = passed.backward("y", r, &mut tape).unwrap();
        for (name, tensor) in &case.varied {
            let gradient = &gradients[name];
            assert_eq!(gradient.dims(), tensor.dims, "shape of the gradient of `{name}`");
            tape.output(gradient, &format!("d_{name}"));
        }
    }
    (tape.finish(), y.dims().to_vec())
}

fn run(graph: &Graph, inputs: &[(Vec<usize>, Vec<f32>)]) -> Vec<Vec<f32>> {
    let mut session = runtime().unwrap().load(&proto::encode(graph), 1).unwrap();
    let values: Vec<Value> =
        inputs.iter().map(|(dims, values)| Value::f32(dims, values.clone()).unwrap()).collect();
    let outputs = session.run(&values.iter().collect::<Vec<_>>()).unwrap();
    outputs.iter().map(|output| output.floats().unwrap().to_vec()).collect()
}

fn draws(stream: &mut Stream, length: usize) -> Vec<f32> {
    (0..length).map(|_| stream.normal() as f32).collect()
}

/// Compares ⟨gradient, u⟩ with (L(x + hu) − L(x − hu)) / 2h for random directions u of each input.
fn check(op: &str, index: usize, case: &Case, dialect: Dialect) {
    let (backward, y_dims) = tape_of(case, true, dialect);
    let (forward, _) = tape_of(case, false, dialect);
    let mut stream = Seed(11).stream(op, &index.to_string());
    let weights = draws(&mut stream, elements(&y_dims));
    let dims: Vec<Vec<usize>> = case.varied.iter().map(|(_, t)| t.dims.clone()).collect();
    let inputs = |values: &[Vec<f32>]| -> Vec<(Vec<usize>, Vec<f32>)> {
        dims.iter().cloned().zip(values.iter().cloned()).collect()
    };
    let loss = |values: &[Vec<f32>]| -> f64 {
        let y = run(&forward, &inputs(values)).remove(0);
        y.iter().zip(&weights).map(|(y, w)| f64::from(*y) * f64::from(*w)).sum()
    };
    let at = case.values();
    let mut fed = inputs(&at);
    fed.push((y_dims.clone(), weights.clone()));
    let gradients = run(&backward, &fed).split_off(1);
    for (which, gradient) in gradients.iter().enumerate() {
        for _ in 0..3 {
            let direction = draws(&mut stream, gradient.len());
            let h = 2e-3_f32;
            let moved = |sign: f32| {
                let mut values = at.clone();
                for (value, u) in values[which].iter_mut().zip(&direction) {
                    *value += sign * h * u;
                }
                loss(&values)
            };
            let measured = (moved(1.0) - moved(-1.0)) / (2.0 * f64::from(h));
            let computed: f64 =
                gradient.iter().zip(&direction).map(|(g, u)| f64::from(*g) * f64::from(*u)).sum();
            // f32 rounding of the loss over 2h, and the h² term of smooth functions.
            let scale = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            let tolerance = 4e-3 * scale.max(0.5);
            assert!(
                (measured - computed).abs() < tolerance,
                "{op}, case {index}, input `{}`: {computed} computed, {measured} measured",
                case.varied[which].0,
            );
        }
    }
}

#[test]
fn every_rule_agrees_with_finite_differences_on_all_its_cases() {
    for rule in rules() {
        let cases = (rule.cases)();
        assert!(!cases.is_empty(), "{} names no case", rule.op);
        for (index, case) in cases.iter().enumerate() {
            check(rule.op, index, case, Dialect::Library);
            check(rule.op, index, case, Dialect::Embedded);
            if runtime().unwrap().kernels().is_some() {
                check(rule.op, index, case, Dialect::Kernels);
            }
        }
    }
}

#[test]
fn no_operator_has_two_rules() {
    let mut ops: Vec<&str> = rules().map(|rule| rule.op).collect();
    ops.sort_unstable();
    let count = ops.len();
    ops.dedup();
    assert_eq!(ops.len(), count);
}
