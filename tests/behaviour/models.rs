//! Small ONNX models to be opened by studies: 8×8 grey images in, three classes out.

use tl_run::onnx::graph::{Graph, Node, Port};
use tl_run::onnx::proto;
use tl_run::onnx::tensor::Tensor;

/// Values that look drawn but are always the same.
fn drawn(dims: &[usize]) -> Tensor {
    let count: usize = dims.iter().product();
    let value = |index: usize| ((index * 37 + 11) % 29) as f32 / 29.0 - 0.5;
    Tensor::f32(dims, (0..count).map(value).collect())
}

fn model(nodes: Vec<Node>, constants: Vec<(&str, Tensor)>) -> Vec<u8> {
    let constants = constants.into_iter().map(|(name, value)| (name.to_owned(), value));
    proto::encode(&Graph {
        name: "small".to_owned(),
        opset: 18,
        inputs: vec![Port::batch_of_floats("image", &[1, 8, 8])],
        outputs: vec![Port::batch_of_floats("logits", &[3])],
        nodes,
        initializers: constants.collect(),
        ..Graph::default()
    })
}

fn convolution(to: &str) -> Node {
    let padded = Node::new("conv", "Conv", &["image", "kernel"], to);
    padded.with("kernel_shape", vec![3_i64, 3]).with("pads", vec![1_i64; 4])
}

fn flatten(from: &str) -> Node {
    Node::new("flatten", "Flatten", &[from], "flat").with("axis", 1_i64)
}

fn dense() -> Node {
    Node::new("dense", "Gemm", &["flat", "weight"], "logits").with("transB", 1_i64)
}

/// A convolution, a rectifier and a dense layer.
pub(crate) fn small() -> Vec<u8> {
    let relu = Node::new("relu", "Relu", &["conv"], "relu");
    let nodes = vec![convolution("conv"), relu, flatten("relu"), dense()];
    model(nodes, vec![("kernel", drawn(&[4, 1, 3, 3])), ("weight", drawn(&[3, 256]))])
}

/// A convolution that gives no numbers, and a dense layer.
pub(crate) fn without_numbers() -> Vec<u8> {
    let nodes = vec![convolution("conv"), flatten("conv"), dense()];
    let kernel = Tensor::f32(&[4, 1, 3, 3], vec![f32::NAN; 36]);
    model(nodes, vec![("kernel", kernel), ("weight", drawn(&[3, 256]))])
}

/// Cuts a margin off by a negative pad, which makes the embedded backend abort its process.
pub(crate) fn with_a_negative_pad() -> Vec<u8> {
    let pads = Tensor::i64(&[0, 0, -1, -1, 0, 0, -1, -1]);
    let pad = Node::new("pad", "Pad", &["conv", "pads"], "cut");
    let nodes = vec![convolution("conv"), pad, flatten("cut"), dense()];
    let constants =
        vec![("kernel", drawn(&[4, 1, 3, 3])), ("pads", pads), ("weight", drawn(&[3, 144]))];
    model(nodes, constants)
}

/// Has an operator for which no gradient is known.
pub(crate) fn with_an_operator_without_gradient() -> Vec<u8> {
    let hardmax = Node::new("odd", "Hardmax", &["conv"], "odd");
    let nodes = vec![convolution("conv"), hardmax, flatten("odd"), dense()];
    model(nodes, vec![("kernel", drawn(&[4, 1, 3, 3])), ("weight", drawn(&[3, 256]))])
}

/// Ends in a convolution and an average over space, as `SqueezeNet` does: a new head reads a map.
pub(crate) fn that_ends_in_a_convolution() -> Vec<u8> {
    let relu = Node::new("relu", "Relu", &["conv"], "relu");
    let last = Node::new("last", "Conv", &["relu", "weight"], "map");
    let last = last.with("kernel_shape", vec![1_i64, 1]);
    let average = Node::new("average", "GlobalAveragePool", &["map"], "average");
    let flatten = Node::new("flatten", "Flatten", &["average"], "logits").with("axis", 1_i64);
    let nodes = vec![convolution("conv"), relu, last, average, flatten];
    model(nodes, vec![("kernel", drawn(&[4, 1, 3, 3])), ("weight", drawn(&[3, 4, 1, 1]))])
}

/// Holds one item's shape in a constant, so that it runs one item at a time only.
pub(crate) fn for_one_item_at_a_time() -> Vec<u8> {
    let reshape = Node::new("reshape", "Reshape", &["conv", "shape"], "flat");
    let nodes = vec![convolution("conv"), reshape, dense()];
    let shape = Tensor::i64(&[1, 256]);
    let constants =
        vec![("kernel", drawn(&[4, 1, 3, 3])), ("shape", shape), ("weight", drawn(&[3, 256]))];
    model(nodes, constants)
}

/// Fixes its batch to one item, and would subtract what a larger one has in common.
pub(crate) fn that_centres_its_batch() -> Vec<u8> {
    let mean = Node::new("mean", "ReduceMean", &["conv", "axes"], "mean");
    let centred = Node::new("centred", "Sub", &["conv", "mean"], "centred");
    let relu = Node::new("relu", "Relu", &["centred"], "relu");
    let nodes = vec![convolution("conv"), mean, centred, relu, flatten("relu"), dense()];
    let axes = Tensor::i64(&[0, 2, 3]);
    let constants =
        vec![("kernel", drawn(&[4, 1, 3, 3])), ("axes", axes), ("weight", drawn(&[3, 256]))];
    let mut graph = proto::decode(&model(nodes, constants)).expect("it is a model");
    graph.inputs = vec![Port::floats("image", &[1, 1, 8, 8])];
    proto::encode(&graph)
}
