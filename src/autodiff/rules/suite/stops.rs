//! Paths of gradients that end: at flat steps, at whole numbers, at truth values.

use super::{Case, emitted, feed};
use crate::autodiff::site::Mode;
use crate::autodiff::tape::Dialect;
use crate::onnx::graph::{Graph, Node, Port};
use crate::onnx::observe::observe;
use crate::onnx::proto;
use crate::onnx::runtime::runtime;
use crate::onnx::tensor::Tensor;

/// y and the gradient of x in a graph of nodes that lead from `x` to `y`.
fn passed(nodes: Vec<Node>, constants: &[(&str, Tensor)], x: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let graph = Graph {
        opset: 18,
        inputs: vec![Port::floats("x", &[x.len()])],
        outputs: vec![Port::named("y")],
        nodes,
        initializers: constants.iter().map(|(n, t)| ((*n).to_owned(), t.clone())).collect(),
        ..Graph::default()
    };
    let seen = observe(runtime().unwrap(), &graph, &[vec![x.len()]]).unwrap();
    let inputs = [("x".to_owned(), vec![x.len()])];
    let (step, _) = emitted(&graph, &seen, &inputs, (Mode::Frozen, Dialect::Embedded), true);
    let mut session = runtime().unwrap().load(&proto::encode(&step), 1).unwrap();
    let fed = [(vec![x.len()], x.to_vec()), (vec![x.len()], vec![1.0; x.len()])];
    let mut out = feed(&mut session, &fed).into_iter();
    (out.next().unwrap(), out.next().unwrap())
}

#[test]
fn flat_steps_pass_no_gradient_and_the_way_around_them_does() {
    for (op, steps) in [
        ("Floor", [-2.0, 0.0, 1.0]),
        ("Ceil", [-1.0, 1.0, 2.0]),
        ("Round", [-1.0, 0.0, 2.0]),
        ("Sign", [-1.0, 1.0, 1.0]),
    ] {
        let nodes =
            vec![Node::new("flat", op, &["x"], "f"), Node::new("by", "Mul", &["x", "f"], "y")];
        let x = [-1.25, 0.25, 1.75];
        let (y, dx) = passed(nodes, &[], &x);
        let products: Vec<f32> = x.iter().zip(steps).map(|(x, step)| x * step).collect();
        assert_eq!((y, dx), (products, steps.to_vec()), "{op}");
    }
}

#[test]
fn comparisons_choose_and_pass_no_gradient() {
    let nodes = vec![
        Node::new("compare", "Greater", &["x", "zero"], "positive"),
        Node::new("invert", "Not", &["positive"], "negative"),
        Node::new("minus", "Neg", &["x"], "minus_x"),
        Node::new("choose", "Where", &["negative", "minus_x", "x"], "y"),
    ];
    let (y, dx) = passed(nodes, &[("zero", Tensor::scalar(0.0))], &[-2.0, 3.0]);
    assert_eq!((y, dx), (vec![2.0, 3.0], vec![-1.0, 1.0]));
}

#[test]
fn shapes_and_positions_pass_no_gradient() {
    let nodes = vec![
        Node::new("shape", "Shape", &["x"], "s"),
        Node::new("ones", "ConstantOfShape", &["s"], "o")
            .with("value", crate::onnx::graph::Attribute::Tensor(Tensor::f32(&[1], vec![2.0]))),
        Node::new("by", "Mul", &["x", "o"], "y"),
    ];
    let (y, dx) = passed(nodes, &[], &[-2.0, 3.0]);
    assert_eq!((y, dx), (vec![-4.0, 6.0], vec![2.0, 2.0]));
}

#[test]
fn a_case_that_stops_everywhere_has_no_rule_to_check() {
    // Operators that stop must not have a rule as well: it would never be asked.
    for rule in super::rules() {
        let node = Case::of(rule.op, |case| case).node;
        assert!(!crate::autodiff::refusals::stops(&node), "{} stops and has a rule", rule.op);
    }
}
