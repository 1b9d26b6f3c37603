//! What a model asks of a small device: memory for its weights, memory for its activations, and
//! multiply–accumulates.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::graph::{Graph, Node};
use super::head::is_weighted;
use super::macs::forward_macs;
use super::observe::Observation;
use super::parameters::{Role, parameters, root};
use super::tensor::{Tensor, elements};

/// What a model needs, for one item at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footprint {
    /// Float constants, running statistics too.
    pub constants: u64,
    /// Bytes of these as 32-bit floats.
    pub flash_f32: u64,
    /// Bytes with weights of 8 bits: 1 for each weight, 4 for the scale and 4 for the bias of each
    /// output channel.
    pub flash_int8: u64,
    /// Bytes of activations that are alive at once, at most, as 32-bit floats.
    pub ram_f32: u64,
    /// The same with activations of 8 bits.
    pub ram_int8: u64,
    /// Multiply–accumulates.
    pub macs: u64,
}

impl Footprint {
    /// Of a graph whose shapes were seen at `items` items. Neither the file format nor the program
    /// that runs it is counted.
    pub fn of(graph: &Graph, seen: &Observation, items: usize) -> Self {
        let weights = Weights::of(graph);
        let [ram_f32, ram_int8] = peaks(graph, seen, items.max(1));
        Self {
            constants: weights.constants,
            flash_f32: 4 * weights.constants,
            flash_int8: weights.int8,
            ram_f32,
            ram_int8,
            macs: forward_macs(graph, seen, items),
        }
    }

    /// The same with a linear layer of so many outputs on top of so many features.
    #[must_use]
    pub fn with_linear(self, features: usize, outputs: usize) -> Self {
        let (features, outputs) = (features as u64, outputs as u64);
        let (weights, both) = (features * outputs, features + outputs);
        Self {
            constants: self.constants + weights + outputs,
            flash_f32: self.flash_f32 + 4 * (weights + outputs),
            flash_int8: self.flash_int8 + weights + 8 * outputs,
            ram_f32: self.ram_f32.max(4 * both),
            ram_int8: self.ram_int8.max(both),
            macs: self.macs + weights,
        }
    }
}

/// Bytes of constants.
struct Weights {
    constants: u64,
    int8: u64,
}

impl Weights {
    fn of(graph: &Graph) -> Self {
        let size = |name: &str| graph.initializers.get(name).map_or(0, Tensor::len) as u64;
        let floats = graph.initializers.iter().filter(|(_, tensor)| tensor.floats().is_some());
        let floats: BTreeSet<&str> = floats.map(|(name, _)| name.as_str()).collect();
        let mut of_layers: BTreeSet<String> = BTreeSet::new();
        let mut int8 = 0;
        for parameter in parameters(graph) {
            let node = &graph.nodes[parameter.node];
            if !matches!(parameter.role, Role::Weight { .. })
                || !of_layers.insert(parameter.name.clone())
            {
                continue;
            }
            // A scale for each channel, and a bias, whether it is there or comes of folding the
            // normalisation that follows.
            int8 += size(&parameter.name) + 4 * channels(graph, node);
            let norm = folded(graph, node);
            let bias = node.input(2).filter(|_| is_weighted(graph, node));
            let bias = bias.and_then(|name| root(graph, name));
            if bias.is_some() || norm.is_some() {
                int8 += 4 * channels(graph, node);
            }
            of_layers.extend(bias.map(str::to_owned));
            let vectors = norm.into_iter().flat_map(|norm| norm.inputs.iter().skip(1));
            of_layers.extend(vectors.cloned());
        }
        let others = floats.iter().filter(|name| !of_layers.contains(**name));
        let rest: u64 = others.map(|name| 4 * size(name)).sum();
        Self { constants: floats.iter().map(|name| size(name)).sum(), int8: int8 + rest }
    }
}

/// Output channels of a layer with weights; 1 of anything else, as of a table.
fn channels(graph: &Graph, node: &Node) -> u64 {
    let dims = |position: usize| {
        let name = root(graph, node.input(position)?)?;
        Some(&graph.initializers.get(name)?.dims)
    };
    let found = match node.op.as_str() {
        "Conv" => dims(1).and_then(|dims| dims.first().copied()),
        "ConvTranspose" => {
            let groups = node.int("group").unwrap_or(1).max(1) as usize;
            dims(1).and_then(|dims| Some(dims.get(1)? * groups))
        }
        "Gemm" if node.int("transB") == Some(1) => dims(1).and_then(|dims| dims.first().copied()),
        "Gemm" | "MatMul" => dims(1).and_then(|dims| dims.last().copied()),
        _ => None,
    };
    found.unwrap_or(1) as u64
}

/// The normalisation that alone reads a layer's output: whoever deploys the model folds it into the
/// weights.
fn folded<'a>(graph: &'a Graph, node: &Node) -> Option<&'a Node> {
    let mut readers = graph.nodes.iter().filter(|other| other.reads().any(|x| x == node.output()));
    let (first, None) = (readers.next()?, readers.next()) else { return None };
    (first.op == "BatchNormalization" && first.input(0) == Some(node.output())).then_some(first)
}

/// Operators whose output can lie where their input lay: they change each value by itself, or only
/// the shape.
const IN_PLACE: [&str; 22] = [
    "BatchNormalization",
    "Cast",
    "Clip",
    "Dropout",
    "Elu",
    "Flatten",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "PRelu",
    "Relu",
    "Reshape",
    "Selu",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Squeeze",
    "Sqrt",
    "Tanh",
    "Unsqueeze",
];

/// The most bytes of activations that are alive at once when nodes are run in their order, as 32-bit
/// floats and with 8 bits each. While a node runs, what it reads and what it makes are both there.
fn peaks(graph: &Graph, seen: &Observation, items: usize) -> [u64; 2] {
    let bytes = |tensor: &str, float: u64| -> u64 {
        let count = seen.shapes.get(tensor).map_or(0, |dims| elements(dims)).div_ceil(items) as u64;
        if seen.is_float(tensor) { float * count } else { 4 * count }
    };
    let last = last_readers(graph);
    let dies = |tensor: &str, index: usize| last.get(tensor).is_some_and(|last| *last == index);
    [4, 1].map(|float| {
        let mut alive: BTreeSet<&str> =
            graph.inputs.iter().map(|port| port.name.as_str()).collect();
        let mut data = alive.clone();
        let total = |alive: &BTreeSet<&str>| alive.iter().map(|name| bytes(name, float)).sum();
        let mut peak: u64 = total(&alive);
        for (index, node) in graph.nodes.iter().enumerate() {
            // What follows from constants alone is computed beforehand.
            if !node.reads().any(|name| data.contains(name)) {
                continue;
            }
            data.extend(node.writes());
            let first = node.input(0).filter(|x| alive.contains(x) && dies(x, index));
            let takes_place = first.filter(|x| {
                IN_PLACE.contains(&node.op.as_str())
                    && bytes(x, float) == bytes(node.output(), float)
            });
            if let Some(x) = takes_place {
                alive.remove(x);
            }
            alive.extend(node.writes());
            peak = peak.max(total(&alive));
            alive.retain(|name| last.get(name).is_some_and(|last| *last > index));
        }
        peak
    })
}

/// For each tensor, the position of the node that reads it last; those of outputs never die.
fn last_readers(graph: &Graph) -> BTreeMap<&str, usize> {
    let reads = graph.nodes.iter().enumerate();
    let mut last: BTreeMap<&str, usize> =
        reads.flat_map(|(index, node)| node.reads().map(move |name| (name, index))).collect();
    last.extend(graph.outputs.iter().map(|port| (port.name.as_str(), usize::MAX)));
    last
}

#[cfg(test)]
mod tests {
    use super::super::build::Builder;
    use super::super::graph::Port;
    use super::super::observe::observe;
    use super::super::runtime::runtime;
    use super::*;

    /// A convolution with a bias.
    fn conv(
        b: &mut Builder,
        name: &str,
        x: &str,
        from: usize,
        to: usize,
        kernel: [usize; 2],
    ) -> String {
        let [side, stride] = kernel;
        let weight = Tensor::f32(&[to, from, side, side], vec![0.5; to * from * side * side]);
        let weight = b.constant(&format!("{name}.weight"), weight);
        let bias = b.constant(&format!("{name}.bias"), Tensor::f32(&[to], vec![0.5; to]));
        let node = Node::new(name, "Conv", &[x, &weight, &bias], name)
            .with("kernel_shape", vec![side as i64; 2])
            .with("strides", vec![stride as i64; 2])
            .with("auto_pad", "SAME_UPPER");
        b.node(node)
    }

    fn norm(b: &mut Builder, name: &str, x: &str, channels: usize) -> String {
        let names = ["scale", "shift", "mean", "variance"].map(|part| {
            b.constant(&format!("{name}.{part}"), Tensor::f32(&[channels], vec![1.0; channels]))
        });
        let [scale, shift, mean, variance] = &names;
        b.node(Node::new(name, "BatchNormalization", &[x, scale, shift, mean, variance], name))
    }

    /// The residual network of `MLPerf` Tiny's image classification: three stacks of two convolutions with 16, 32
    /// and 64 channels on 32×32 colour images.
    fn resnet8() -> Graph {
        let mut b = Builder::new("resnet8");
        let stem = conv(&mut b, "stem", "image", 3, 16, [3, 1]);
        let stem = norm(&mut b, "stem_norm", &stem, 16);
        let mut x = b.op("stem_relu", "Relu", &[&stem]);
        let mut from = 16;
        for (number, to) in [16, 32, 64].into_iter().enumerate() {
            let stride = if number == 0 { 1 } else { 2 };
            let of = |part: &str| format!("stack{number}_{part}");
            let y = conv(&mut b, &of("conv1"), &x, from, to, [3, stride]);
            let y = norm(&mut b, &of("norm1"), &y, to);
            let y = b.op(&of("relu1"), "Relu", &[&y]);
            let y = conv(&mut b, &of("conv2"), &y, to, to, [3, 1]);
            let y = norm(&mut b, &of("norm2"), &y, to);
            let short = match from == to {
                true => x.clone(),
                false => conv(&mut b, &of("shortcut"), &x, from, to, [1, stride]),
            };
            let sum = b.op(&of("add"), "Add", &[&short, &y]);
            x = b.op(&of("relu2"), "Relu", &[&sum]);
            from = to;
        }
        let pool = b.op("pool", "GlobalAveragePool", &[&x]);
        let flat = b.node(Node::new("flat", "Flatten", &[&pool], "flat").with("axis", 1_i64));
        let weight = b.constant("dense.weight", Tensor::f32(&[10, 64], vec![0.5; 640]));
        let bias = b.constant("dense.bias", Tensor::f32(&[10], vec![0.5; 10]));
        let dense = Node::new("dense", "Gemm", &[&flat, &weight, &bias], "logits");
        b.node(dense.with("transB", 1_i64));
        b.finish(
            vec![Port::batch_of_floats("image", &[3, 32, 32])],
            vec![Port::batch_of_floats("logits", &[10])],
        )
    }

    #[test]
    fn the_resnet_of_mlperf_tiny_has_its_published_size() {
        let graph = resnet8();
        let seen = observe(runtime().unwrap(), &graph, &[vec![2, 3, 32, 32]]).unwrap();
        let found = Footprint::of(&graph, &seen, 2);
        assert_eq!(found.constants, 78_666);
        assert_eq!(found.flash_f32, 4 * 78_666);
        // 77,360 weights; 346 output channels, each with a scale and a bias; norms are folded.
        assert_eq!(found.flash_int8, 77_360 + 8 * 346);
        // In the first stack, what a convolution reads, what it makes, and the shortcut.
        assert_eq!(found.ram_int8, 3 * 16 * 32 * 32);
        assert_eq!(found.ram_f32, 4 * found.ram_int8);
        assert_eq!(found.macs, 12_501_632);
    }

    #[test]
    fn what_changes_each_value_by_itself_takes_no_memory_of_its_own() {
        let mut b = Builder::new("line");
        let a = b.op("a", "Relu", &["image"]);
        let c = b.op("c", "Tanh", &[&a]);
        b.op("y", "Add", &[&c, &c]);
        let graph = b.finish(
            vec![Port::batch_of_floats("image", &[5])],
            vec![Port::batch_of_floats("y", &[5])],
        );
        let seen = observe(runtime().unwrap(), &graph, &[vec![1, 5]]).unwrap();
        assert_eq!(Footprint::of(&graph, &seen, 1).ram_int8, 10);
        // An input that is read again stays where it is.
        let mut branched = graph.clone();
        branched.nodes[2].inputs[1] = "image".to_owned();
        assert_eq!(Footprint::of(&branched, &seen, 1).ram_int8, 15);
    }

    #[test]
    fn a_linear_layer_on_top_adds_its_weights_scales_and_biases() {
        let body = Footprint { ram_f32: 100, ram_int8: 25, macs: 7, ..Footprint::default() };
        let found = body.with_linear(10, 3);
        assert_eq!((found.constants, found.flash_f32, found.flash_int8), (33, 132, 54));
        assert_eq!((found.ram_f32, found.ram_int8, found.macs), (100, 25, 37));
    }
}
