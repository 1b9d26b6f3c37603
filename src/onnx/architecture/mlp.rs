//! Dense layers on the flattened input.

use crate::base::language::{Count, OneOrMore, keys};

use super::super::build::Builder;
use super::super::graph::{Graph, Node, Port};
use super::super::head::{BIAS, LOGITS, WEIGHT};
use super::super::tensor::Tensor;
use super::{IMAGE, Input};

keys! {
    /// A multi-layer perceptron.
    pub struct Mlp {
        /// Units of each hidden layer.
        hidden: OneOrMore<Count> = OneOrMore(vec![Count(64), Count(32)]),
    }
}

impl Mlp {
    /// The network.
    pub fn build(&self, input: Input, classes: usize) -> Graph {
        let mut builder = Builder::new("mlp");
        let flat = Node::new("flatten", "Flatten", &[IMAGE], "flatten").with("axis", 1_i64);
        let flat = builder.node(flat);
        let widths: Vec<usize> = self.hidden.0.iter().map(|count| count.0).collect();
        let (features, width) = dense_layers(&mut builder, flat, input.iter().product(), &widths);
        head(&mut builder, &features, width, classes);
        builder.finish(
            vec![Port::batch_of_floats(IMAGE, &input)],
            vec![Port::batch_of_floats(LOGITS, &[classes])],
        )
    }
}

/// Dense layers with `Relu`; returns the last tensor and its width.
pub(super) fn dense_layers(
    builder: &mut Builder,
    mut from: String,
    mut width: usize,
    widths: &[usize],
) -> (String, usize) {
    for (index, &units) in widths.iter().enumerate() {
        let scope = format!("dense{}", index + 1);
        let dense = linear(builder, &format!("{scope}/gemm"), &from, width, units);
        from = builder.op(&format!("{scope}/relu"), "Relu", &[&dense]);
        width = units;
    }
    (from, width)
}

/// A linear layer.
fn linear(builder: &mut Builder, name: &str, from: &str, inputs: usize, units: usize) -> String {
    let zeros = Tensor::f32(&[units, inputs], vec![0.0; units * inputs]);
    let weight = builder.constant(&format!("{name}.weight"), zeros);
    let bias = builder.constant(&format!("{name}.bias"), Tensor::f32(&[units], vec![0.0; units]));
    builder.node(Node::new(name, "Gemm", &[from, &weight, &bias], name).with("transB", 1_i64))
}

/// The classifier that all our networks end in, named as a new head is.
pub(super) fn head(builder: &mut Builder, from: &str, features: usize, classes: usize) {
    let zeros = Tensor::f32(&[classes, features], vec![0.0; classes * features]);
    let weight = builder.constant(WEIGHT, zeros);
    let bias = builder.constant(BIAS, Tensor::f32(&[classes], vec![0.0; classes]));
    let gemm = Node::new("head", "Gemm", &[from, &weight, &bias], LOGITS);
    builder.node(gemm.with("transB", 1_i64));
}
