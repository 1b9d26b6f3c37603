use super::super::graph::Port;
use super::super::observe::observe;
use super::super::proto;
use super::super::runtime::{Tensor as Value, runtime};
use super::super::tensor::elements;
use super::*;
use crate::base::Seed;

fn drawn(dims: &[usize], name: &str) -> (String, Tensor) {
    let mut stream = Seed(2).stream("test", name);
    let values = (0..elements(dims)).map(|_| 0.3 * stream.normal() as f32).collect();
    (name.to_owned(), Tensor::f32(dims, values))
}

/// A small network of the form of `AlexNet`: convolution, pool, three layers of which the middle
/// one is a product and a sum, with a softmax if asked for.
fn graph(tail: &[Node]) -> Graph {
    let conv = Node::new("conv", "Conv", &["x", "w", "b"], "c").with("pads", vec![1, 1, 1, 1]);
    let pool = Node::new("pool", "MaxPool", &["r"], "p");
    let fc6 = Node::new("fc6", "Gemm", &["f", "w6", "b6"], "d").with("transB", 1_i64);
    let mut nodes = vec![
        conv.with("kernel_shape", vec![3, 3]),
        Node::new("relu", "Relu", &["c"], "r"),
        pool.with("kernel_shape", vec![2, 2]).with("strides", vec![2, 2]),
        Node::new("flatten", "Flatten", &["p"], "f"),
        fc6.with("alpha", 0.5_f32),
        Node::new("relu6", "Relu", &["d"], "e"),
        Node::new("fc7", "MatMul", &["e", "w7"], "g"),
        Node::new("bias7", "Add", &["g", "b7"], "h"),
        Node::new("fc8", "Gemm", &["h", "w8", "b8"], "y"),
    ];
    nodes.extend_from_slice(tail);
    let output = nodes.last().unwrap().output().to_owned();
    Graph {
        opset: 18,
        inputs: vec![Port::batch_of_floats("x", &[3, 8, 8])],
        outputs: vec![Port::named(&output)],
        nodes,
        initializers: [
            drawn(&[5, 3, 3, 3], "w"),
            drawn(&[5], "b"),
            drawn(&[6, 80], "w6"),
            drawn(&[6], "b6"),
            drawn(&[6, 7], "w7"),
            drawn(&[7], "b7"),
            drawn(&[7, 4], "w8"),
            drawn(&[4], "b8"),
        ]
        .into(),
        ..Graph::default()
    }
}

fn freed(graph: &Graph) -> Result<Graph, OneSize> {
    let seen = observe(runtime().unwrap(), graph, &[vec![1, 3, 8, 8]]).unwrap();
    taking(graph, &seen, &[3, 12, 12])
}

fn scores(graph: &Graph, side: usize) -> Vec<f32> {
    let mut graph = graph.clone();
    graph.inputs = vec![Port::floats("x", &[2, 3, side, side])];
    let mut session = runtime().unwrap().load(&proto::encode(&graph), 1).unwrap();
    let (_, image) = drawn(&[2, 3, side, side], "image");
    let value = Value::f32(&image.dims, image.floats().unwrap().to_vec()).unwrap();
    let outputs = session.run(&[&value]).unwrap();
    assert_eq!(outputs[0].dims(), [2, 4]);
    outputs[0].floats().unwrap().to_vec()
}

fn assert_near(found: &[f32], expected: &[f32]) {
    let far = found.iter().zip(expected).any(|(a, b)| (a - b).abs() > 1e-5);
    assert!(!far && found.len() == expected.len(), "{found:?} instead of {expected:?}");
}

#[test]
fn at_its_own_size_a_model_gives_the_same_scores() {
    let softmax = Node::new("softmax", "Softmax", &["y"], "s").with("axis", 1_i64);
    for tail in [vec![], vec![softmax]] {
        let graph = graph(&tail);
        assert_near(&scores(&freed(&graph).unwrap(), 8), &scores(&graph, 8));
    }
}

#[test]
fn at_a_larger_size_scores_are_the_mean_of_those_of_all_windows() {
    let graph = graph(&[]);
    let free = freed(&graph).unwrap();
    let ops: Vec<&str> = free.nodes.iter().map(|node| node.op.as_str()).collect();
    let expected = [
        "Conv",
        "Relu",
        "MaxPool",
        "Conv",
        "Relu",
        "Conv",
        "Add",
        "Conv",
        "GlobalAveragePool",
        "Flatten",
    ];
    assert_eq!(ops, expected);
    // A map of 6×6 holds nine windows of 4×4.
    assert_eq!(fits(&free, [12, 12]).unwrap()["h.map"], [3, 3]);
    assert_eq!(scores(&free, 12).len(), 8);
}

#[test]
fn extents_of_alexnet() {
    let chain = |side: usize| -> Vec<usize> {
        // Window, stride, and padding on both sides together.
        let layers = [(11, 4, 0), (3, 2, 0), (5, 1, 4), (3, 2, 0), (3, 1, 2), (3, 2, 0)];
        let mut sizes = vec![side];
        for (window, stride, pad) in layers {
            sizes.push(out_size(sizes[sizes.len() - 1], window, stride, pad, 1));
        }
        sizes.split_off(1)
    };
    assert_eq!(chain(227), [55, 27, 27, 13, 13, 6]);
    let at_384 = chain(384);
    assert_eq!(at_384.last(), Some(&10));
    assert_eq!(out_size(10, 6, 1, 0, 1), 5);
    assert_eq!(out_size(4, 6, 1, 0, 1), 0);
}

#[test]
fn an_image_that_a_window_no_longer_fits_is_refused() {
    let free = freed(&graph(&[])).unwrap();
    let told = fits(&free, [6, 6]).unwrap_err();
    let expected = OneSize::TooSmall { node: "fc6".into(), op: "Conv".into(), size: 3 };
    assert_eq!(told, expected);
}

#[test]
fn a_model_with_values_for_each_position_is_refused() {
    let mut graph = graph(&[]);
    graph.nodes[1] = Node::new("place", "Add", &["c", "places"], "r");
    graph.initializers.extend([drawn(&[1, 1, 8, 8], "places")]);
    let told = freed(&graph).unwrap_err();
    assert!(matches!(told, OneSize::Positions { constant, .. } if constant == "places"));
}

#[test]
fn a_model_that_averages_all_positions_only_gets_other_extents() {
    let nodes = vec![
        Node::new("conv", "Conv", &["x", "w"], "c").with("kernel_shape", vec![3, 3]),
        Node::new("pool", "GlobalAveragePool", &["c"], "p"),
        Node::new("flatten", "Flatten", &["p"], "f"),
        Node::new("fc", "Gemm", &["f", "v"], "y"),
    ];
    let graph = Graph {
        outputs: vec![Port::named("y")],
        initializers: [drawn(&[5, 3, 3, 3], "w"), drawn(&[5, 4], "v")].into(),
        nodes: nodes.clone(),
        ..graph(&[])
    };
    let free = freed(&graph).unwrap();
    assert_eq!(free.nodes, nodes);
    assert_eq!(free.inputs[0].shown(), "batch × 3 × 12 × 12");
}
