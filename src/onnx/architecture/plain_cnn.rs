//! Convolution, `Relu`, max-pooling, repeated; then dense layers.

use crate::base::language::{Count, OneOrMore, keys};

use super::super::build::Builder;
use super::super::graph::{Graph, Node, Port};
use super::super::head::LOGITS;
use super::super::tensor::Tensor;
use super::{IMAGE, Input, mlp};

keys! {
    /// A plain convolutional network.
    pub struct PlainCnn {
        /// Channels of each 3×3 convolution; each is followed by `Relu` and 2×2 max-pooling.
        channels: OneOrMore<Count> = OneOrMore(vec![Count(8), Count(16)]),
        /// Units of each dense layer after them.
        dense: OneOrMore<Count> = OneOrMore(vec![Count(32)]),
    }
}

impl PlainCnn {
    /// The network; refused if pooling leaves nothing of the image.
    pub fn build(&self, input: Input, classes: usize) -> Result<Graph, String> {
        let mut builder = Builder::new("plain_cnn");
        let [mut channels, mut height, mut width] = input;
        let mut from = IMAGE.to_owned();
        for (index, count) in self.channels.0.iter().enumerate() {
            if height < 2 || width < 2 {
                return Err(format!(
                    "after {index} poolings {height}×{width} pixels are left of {}×{}; use fewer \
                     `channels` or a larger `size`",
                    input[1], input[2]
                ));
            }
            from = block(&mut builder, index + 1, &from, channels, count.0);
            (channels, height, width) = (count.0, height / 2, width / 2);
        }
        let flat =
            builder.node(Node::new("flatten", "Flatten", &[&from], "flatten").with("axis", 1_i64));
        let widths: Vec<usize> = self.dense.0.iter().map(|count| count.0).collect();
        let features = channels * height * width;
        let (last, width) = mlp::dense_layers(&mut builder, flat, features, &widths);
        mlp::head(&mut builder, &last, width, classes);
        Ok(builder.finish(
            vec![Port::batch_of_floats(IMAGE, &input)],
            vec![Port::batch_of_floats(LOGITS, &[classes])],
        ))
    }
}

fn block(b: &mut Builder, number: usize, from: &str, inputs: usize, outputs: usize) -> String {
    let scope = format!("block{number}");
    let name = format!("{scope}/conv");
    let zeros = Tensor::f32(&[outputs, inputs, 3, 3], vec![0.0; outputs * inputs * 9]);
    let weight = b.constant(&format!("{name}.weight"), zeros);
    let bias = b.constant(&format!("{name}.bias"), Tensor::f32(&[outputs], vec![0.0; outputs]));
    let conv = Node::new(&name, "Conv", &[from, &weight, &bias], &name)
        .with("kernel_shape", vec![3_i64, 3])
        .with("pads", vec![1_i64, 1, 1, 1]);
    let conv = b.node(conv);
    let relu = b.op(&format!("{scope}/relu"), "Relu", &[&conv]);
    let name = format!("{scope}/pool");
    let pool = Node::new(&name, "MaxPool", &[&relu], &name)
        .with("kernel_shape", vec![2_i64, 2])
        .with("strides", vec![2_i64, 2]);
    b.node(pool)
}
