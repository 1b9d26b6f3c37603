//! Rules put together at random: small graphs of several cases, each fed by what others made, against
//! finite differences.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::Case;
use crate::autodiff::differences::{Verdict, compare};
use crate::autodiff::rules::rules;
use crate::autodiff::{Dialect, Mode, Question};
use crate::base::Seed;
use crate::onnx::graph::{Graph, Node, Port};
use crate::onnx::observe::observe;
use crate::onnx::runtime::{Backend, runtime};
use crate::onnx::tensor::{Tensor, elements};

/// Graphs drawn by default; `PROPTEST_CASES` asks for more.
const GRAPHS: u32 = 16;

/// What backends say of graphs that they cannot run.
const CANNOT_RUN: [&str; 2] = ["Dummy", "Could not find an implementation for"];

/// What goes into a graph.
const INPUT: [usize; 2] = [3, 5];

/// A graph that grows case by case.
struct Composed {
    graph: Graph,
    /// Tensors that hold floats, with their shapes.
    made: Vec<(String, Vec<usize>)>,
    varied: Vec<String>,
}

impl Composed {
    fn new() -> Self {
        let graph =
            Graph { opset: 18, inputs: vec![Port::floats("x", &INPUT)], ..Graph::default() };
        Self { graph, made: vec![("x".to_owned(), INPUT.to_vec())], varied: vec![] }
    }

    fn constant(&mut self, name: &str, tensor: Tensor) -> String {
        self.graph.initializers.insert(name.to_owned(), tensor);
        name.to_owned()
    }

    fn parameter(&mut self, name: &str, tensor: Tensor) -> String {
        self.varied.push(name.to_owned());
        self.constant(name, tensor)
    }

    fn node(&mut self, op: &str, inputs: &[&str], output: &str) -> String {
        self.graph.nodes.push(Node::new(output, op, inputs, output));
        output.to_owned()
    }

    /// A tensor made before, brought to a shape by a matrix that learns and into a range.
    fn adapted(&mut self, at: usize, source: usize, target: &Tensor) -> String {
        let (name, dims) = self.made[source % self.made.len()].clone();
        let (from, to) = (elements(&dims), target.len());
        let part = |what: &str| format!("n{at}/fed/{what}");
        let row = self.constant(&part("row"), Tensor::i64(&[1, from as i64]));
        let row = self.node("Reshape", &[&name, &row], &part("flat"));
        let mut stream = Seed(5).stream("composed", &part("matrix"));
        let scale = 1.5 / (from as f64).sqrt();
        let values = (0..from * to).map(|_| (scale * stream.normal()) as f32).collect();
        let matrix = self.parameter(&part("matrix"), Tensor::f32(&[from, to], values));
        let product = self.node("MatMul", &[&row, &matrix], &part("product"));
        let share = self.node("Sigmoid", &[&product], &part("share"));
        let values = target.floats().unwrap_or_default();
        let low = values.iter().copied().fold(f32::INFINITY, f32::min);
        let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let width = self.constant(&part("width"), Tensor::scalar((high - low).max(0.1)));
        let wide = self.node("Mul", &[&share, &width], &part("wide"));
        let low = self.constant(&part("low"), Tensor::scalar(low));
        let moved = self.node("Add", &[&wide, &low], &part("moved"));
        let extents: Vec<i64> = target.dims.iter().map(|&extent| extent as i64).collect();
        let shape = self.constant(&part("shape"), Tensor::i64(&extents));
        self.node("Reshape", &[&moved, &shape], &part("in"))
    }

    /// Adds the node of a case: its first input is made from `source`, the others learn.
    fn add(&mut self, at: usize, case: &Case, source: usize) {
        let mut node = case.node.clone();
        let renamed = |name: &str| format!("n{at}/{name}");
        let (first, target) = &case.varied[0];
        let fed = self.adapted(at, source, target);
        for (name, tensor) in &case.varied[1..] {
            self.parameter(&renamed(name), tensor.clone());
        }
        for (name, tensor) in &case.constants {
            self.constant(&renamed(name), tensor.clone());
        }
        for name in node.inputs.iter_mut().filter(|name| !name.is_empty()) {
            *name = if name == first { fed.clone() } else { renamed(name) };
        }
        for name in node.outputs.iter_mut().filter(|name| !name.is_empty()) {
            *name = renamed(name);
        }
        node.name = renamed(&node.op);
        let shapes = case.observed();
        let outputs = case.node.writes().take(case.floats).map(str::to_owned).collect::<Vec<_>>();
        for output in outputs {
            let dims = shapes.shapes[&output].clone();
            // An empty tensor feeds nothing.
            if elements(&dims) > 0 {
                self.made.push((renamed(&output), dims));
            }
        }
        self.graph.opset = self.graph.opset.max(case.opset);
        self.graph.nodes.push(node);
    }

    /// Everything that nothing reads comes out.
    fn finished(mut self) -> (Graph, Vec<String>) {
        let read: BTreeSet<&str> = self.graph.nodes.iter().flat_map(Node::reads).collect();
        let unread = self.made.iter().filter(|(name, _)| !read.contains(name.as_str()));
        self.graph.outputs = unread.map(|(name, _)| Port::named(name)).collect();
        (self.graph, self.varied)
    }
}

/// Cases of rules that can be put together on this backend, with the name of their operator.
fn cases() -> Vec<(&'static str, Case)> {
    let embedded = runtime().unwrap().backend == Backend::Embedded;
    let works = |case: &Case| {
        let odd = case.library_only.is_some() || case.wrong_when_embedded.is_some();
        let feeds = case.varied.first().is_some_and(|(_, first)| !first.is_empty());
        feeds && !(embedded && odd)
    };
    rules()
        .flat_map(|rule| (rule.cases)().into_iter().map(|case| (rule.op, case)))
        .filter(|(_, case)| works(case))
        .collect()
}

fn assert_right(cases: &[(&'static str, Case)], picks: &[(usize, usize)]) {
    let mut composed = Composed::new();
    let mut ops = vec![];
    for (at, (which, source)) in picks.iter().enumerate() {
        let (op, case) = &cases[which % cases.len()];
        composed.add(at, case, *source);
        ops.push(*op);
    }
    let (graph, varied) = composed.finished();
    let runtime = runtime().unwrap();
    let seen = match observe(runtime, &graph, &[INPUT.to_vec()]) {
        // The embedded backend's optimiser leaves a placeholder in some products of reshaped values,
        // and the library lacks some operators at the opset that another one needs: what cannot run
        // itself has nothing to be compared with.
        Err(error) if CANNOT_RUN.iter().any(|words| error.to_string().contains(words)) => {
            eprintln!("{ops:?}: {error}");
            return;
        }
        seen => seen.unwrap(),
    };
    let own = runtime.kernels().map(|_| Dialect::Kernels);
    for dialect in [Dialect::Library, Dialect::Embedded].into_iter().chain(own) {
        let question =
            Question { graph: &graph, seen: &seen, varied: &varied, mode: Mode::Train, dialect };
        let compared = compare(runtime, &question, Seed(1), 1).unwrap();
        // A tensor that hardly matters is measured through the rounding of those that do.
        let most = compared.iter().map(|tensor| tensor.computed.abs()).fold(0.0, f64::max);
        for tensor in compared {
            let apart = (tensor.computed - tensor.measured).abs();
            let is_bad = tensor.verdict == Verdict::Bad && apart > 1e-5 * most;
            assert!(!is_bad, "{ops:?}, {dialect:?}: {tensor:?}");
        }
    }
}

#[test]
fn rules_agree_with_finite_differences_however_they_are_put_together() {
    let cases = cases();
    let config = ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(GRAPHS),
    );
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let picks = proptest::collection::vec((0..cases.len(), 0..8_usize), 3..=6);
    runner
        .run(&picks, |picks| {
            assert_right(&cases, &picks);
            Ok(())
        })
        .unwrap();
}
