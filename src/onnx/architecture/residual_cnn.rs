//! A small residual network with `BatchNormalization` (He et al. 2016, basic blocks).

use crate::base::language::{Count, keys};

use super::super::build::Builder;
use super::super::graph::{Graph, Node, Port};
use super::super::head::LOGITS;
use super::super::tensor::Tensor;
use super::{IMAGE, Input, mlp};

keys! {
    /// A small residual network.
    pub struct ResidualCnn {
        /// Channels of the first block; each further block doubles them.
        width: Count = Count(8),
        /// Residual blocks; each but the first halves height and width.
        blocks: Count = Count(3),
        /// Stride of the first convolution.
        stem_stride: Count = Count(2),
    }
}

/// Smoothing of running statistics, as ONNX counts it: the share of the old value.
const MOMENTUM: f32 = 0.9;

impl ResidualCnn {
    /// The network; refused if the strides leave nothing of the image.
    pub fn build(&self, input: Input, classes: usize) -> Result<Graph, String> {
        let halvings = self.blocks.0 - 1;
        let shrink = self.stem_stride.0 << halvings.min(32);
        if input[1].min(input[2]) < shrink {
            return Err(format!(
                "{} blocks shrink the image {shrink} times, but it has {}×{} pixels; use fewer \
                 `blocks` or a larger `size`",
                self.blocks.0, input[1], input[2]
            ));
        }
        let mut builder = Builder::new("residual_cnn");
        let layer = Layer { inputs: input[0], outputs: self.width.0, stride: self.stem_stride.0 };
        let stem = layer.conv_norm(&mut builder, "stem/", "", 3, IMAGE);
        let mut from = builder.op("stem/relu", "Relu", &[&stem]);
        let mut channels = self.width.0;
        for number in 1..=self.blocks.0 {
            let outputs = if number == 1 { channels } else { channels * 2 };
            let stride = if number == 1 { 1 } else { 2 };
            let layer = Layer { inputs: channels, outputs, stride };
            from = layer.block(&mut builder, &format!("block{number}/"), &from);
            channels = outputs;
        }
        let pool = builder.op("pool", "GlobalAveragePool", &[&from]);
        let gap = builder.node(Node::new("gap", "Flatten", &[&pool], "gap").with("axis", 1_i64));
        mlp::head(&mut builder, &gap, channels, classes);
        Ok(builder.finish(
            vec![Port::batch_of_floats(IMAGE, &input)],
            vec![Port::batch_of_floats(LOGITS, &[classes])],
        ))
    }
}

#[derive(Clone, Copy)]
struct Layer {
    inputs: usize,
    outputs: usize,
    stride: usize,
}

impl Layer {
    /// Two 3×3 convolutions beside a shortcut, added and rectified.
    fn block(self, builder: &mut Builder, scope: &str, from: &str) -> String {
        let first = self.conv_norm(builder, scope, "1", 3, from);
        let relu = builder.op(&format!("{scope}relu1"), "Relu", &[&first]);
        let second = Layer { inputs: self.outputs, stride: 1, ..self };
        let second = second.conv_norm(builder, scope, "2", 3, &relu);
        let shortcut = if self.inputs == self.outputs && self.stride == 1 {
            from.to_owned()
        } else {
            self.conv_norm(builder, scope, "_shortcut", 1, from)
        };
        let sum = builder.op(&format!("{scope}add"), "Add", &[&second, &shortcut]);
        builder.op(&format!("{scope}relu2"), "Relu", &[&sum])
    }

    /// A convolution without bias and its `BatchNormalization`.
    fn conv_norm(self, b: &mut Builder, scope: &str, tag: &str, kernel: usize, x: &str) -> String {
        let name = format!("{scope}conv{tag}");
        let taps = kernel * kernel;
        let zeros = vec![0.0; self.outputs * self.inputs * taps];
        let dims = [self.outputs, self.inputs, kernel, kernel];
        let weight = b.constant(&format!("{name}.weight"), Tensor::f32(&dims, zeros));
        let pad = (kernel / 2) as i64;
        let conv = Node::new(&name, "Conv", &[x, &weight], &name)
            .with("kernel_shape", vec![kernel as i64; 2])
            .with("strides", vec![self.stride as i64; 2])
            .with("pads", vec![pad; 4]);
        let conv = b.node(conv);
        self.norm(b, &format!("{scope}norm{tag}"), &conv)
    }

    fn norm(self, b: &mut Builder, name: &str, x: &str) -> String {
        let mut vector = |part: &str, value: f32| {
            let tensor = Tensor::f32(&[self.outputs], vec![value; self.outputs]);
            b.constant(&format!("{name}.{part}"), tensor)
        };
        let [scale, bias] = [vector("scale", 1.0), vector("bias", 0.0)];
        let [mean, variance] = [vector("mean", 0.0), vector("variance", 1.0)];
        let inputs = [x, &scale, &bias, &mean, &variance];
        let norm = Node::new(name, "BatchNormalization", &inputs, name)
            .with("epsilon", 1e-5_f32)
            .with("momentum", MOMENTUM);
        b.node(norm)
    }
}
