//! Models whose input size is fixed by a layer that reads a flattened map, rewritten to take other
//! sizes: the layer becomes a convolution whose kernel is the map it was made for (Long et al.
//! 2015), and the map of scores that a larger image gives is averaged.

use std::collections::BTreeMap;

use thiserror::Error;

use super::graph::{Dim, Graph, Node};
use super::head::depends_on_no_input;
use super::observe::Observation;
use super::tensor::Tensor;

/// Why a model takes its own input size alone.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OneSize {
    /// Something is learnt for each position.
    #[error("`{node}` ({op}) reads the constant `{constant}`, which has values for each position")]
    Positions {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// The constant.
        constant: String,
    },
    /// Nothing is left after a window.
    #[error("at this size `{node}` ({op}) gets {size} values along an axis, fewer than its window")]
    TooSmall {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// What it gets.
        size: usize,
    },
    /// A flattened map is read by something else than a layer.
    #[error("`{node}` ({op}) reads a flattened map before any layer with weights does")]
    Flattened {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
    },
}

/// Entries that a window gives along an axis of `input` entries: ⌊(i + p − d·(k − 1) − 1) / s⌋ + 1,
/// `pad` counted on both sides together; 0 where the window does not fit.
pub fn out_size(input: usize, window: usize, stride: usize, pad: usize, dilation: usize) -> usize {
    let reach = dilation * window.saturating_sub(1) + 1;
    match (input + pad).checked_sub(reach) {
        Some(rest) => rest / stride.max(1) + 1,
        None => 0,
    }
}

/// The model with layers on flattened maps as convolutions and scores averaged over positions.
/// `seen` are its shapes at its own size, at which it gives the same scores; `item` is the shape of
/// an item that it takes from now on.
pub fn taking(graph: &Graph, seen: &Observation, item: &[usize]) -> Result<Graph, OneSize> {
    positions(graph)?;
    let mut rewriting = Rewriting { seen, maps: BTreeMap::new(), nodes: vec![], constants: vec![] };
    for node in &graph.nodes {
        rewriting.node(graph, node)?;
    }
    let mut free = Graph { nodes: rewriting.nodes, ..graph.clone() };
    free.initializers.extend(rewriting.constants);
    for port in &mut free.inputs {
        let extents = item.iter().map(|extent| Dim::Fixed(*extent));
        port.dims = port.dims.take().map(|dims| dims.into_iter().take(1).chain(extents).collect());
    }
    free.drop_unread_constants();
    Ok(free)
}

/// Refuses constants with values for each position: embeddings of positions, mean images.
fn positions(graph: &Graph) -> Result<(), OneSize> {
    for node in &graph.nodes {
        if !matches!(node.op.as_str(), "Add" | "Sub" | "Mul" | "Div") {
            continue;
        }
        let spread = |name: &&str| {
            let constant = graph.initializers.get(*name);
            constant.is_some_and(|c| c.dims.iter().filter(|extent| **extent > 1).count() > 1)
        };
        if let Some(constant) = node.reads().find(spread)
            && !node.reads().all(|name| depends_on_no_input(graph, name))
        {
            return Err(OneSize::Positions {
                node: node.name.clone(),
                op: node.op.clone(),
                constant: constant.to_owned(),
            });
        }
    }
    Ok(())
}

/// A tensor of the rewritten model that was a row and is a map now.
#[derive(Clone, Debug)]
struct Map {
    /// What carries it.
    tensor: String,
    /// Channels, height and width of the map that the row was, until a layer has read it.
    flattened: Option<[usize; 3]>,
}

struct Rewriting<'a> {
    seen: &'a Observation,
    /// By the name of the row.
    maps: BTreeMap<String, Map>,
    nodes: Vec<Node>,
    constants: Vec<(String, Tensor)>,
}

/// Operators on single values.
const PASSES: [&str; 14] = [
    "Relu",
    "LeakyRelu",
    "Clip",
    "Elu",
    "Selu",
    "Celu",
    "Sigmoid",
    "Tanh",
    "HardSigmoid",
    "HardSwish",
    "Softplus",
    "Identity",
    "Dropout",
    "Erf",
];

impl Rewriting<'_> {
    fn node(&mut self, graph: &Graph, node: &Node) -> Result<(), OneSize> {
        if let Some(map) = self.flattened(graph, node) {
            self.maps.insert(node.output().to_owned(), map);
            return Ok(());
        }
        let Some(map) = node.input(0).and_then(|name| self.maps.get(name)).cloned() else {
            self.nodes.push(node.clone());
            return Ok(());
        };
        let done = match node.op.as_str() {
            "Gemm" | "MatMul" => self.layer(graph, node, &map),
            "Add" => self.bias(graph, node, &map),
            "BatchNormalization" if map.flattened.is_none() => Some(self.kept(node, &map)),
            op if PASSES.contains(&op) => Some(self.kept(node, &map)),
            _ => None,
        };
        let refused = || OneSize::Flattened { node: node.name.clone(), op: node.op.clone() };
        match done {
            Some(map) if graph.outputs.iter().any(|port| port.name == node.output()) => {
                if map.flattened.is_some() {
                    return Err(refused());
                }
                self.averaged(&map.tensor, node.output());
            }
            Some(map) => {
                self.maps.insert(node.output().to_owned(), map);
            }
            None if map.flattened.is_some() => return Err(refused()),
            None => self.read_as_row(node, &map),
        }
        Ok(())
    }

    /// The map that a node flattens. One averaged over all positions is no map.
    fn flattened(&self, graph: &Graph, node: &Node) -> Option<Map> {
        let read = node.input(0)?;
        let rank = self.seen.shape(graph, node.output())?.len();
        let flattens = match node.op.as_str() {
            "Flatten" => node.int("axis").unwrap_or(1) == 1,
            "Reshape" => rank == 2,
            _ => false,
        };
        let &[_, channels, height, width] = self.seen.shape(graph, read)? else { return None };
        let whole = ["GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax"];
        let of_all = graph.producer(read).is_some_and(|from| whole.contains(&from.op.as_str()));
        (flattens && !of_all && !self.maps.contains_key(read))
            .then(|| Map { tensor: read.to_owned(), flattened: Some([channels, height, width]) })
    }

    /// A layer as a convolution.
    fn layer(&mut self, graph: &Graph, node: &Node, map: &Map) -> Option<Map> {
        let (dims, values) = self.constant(graph, node.input(1)?)?;
        let [rows, columns] = dims[..] else { return None };
        if node.int("transA").unwrap_or(0) != 0 {
            return None;
        }
        let transposed = node.int("transB").unwrap_or(0) == 1;
        let (inputs, outputs) = if transposed { (columns, rows) } else { (rows, columns) };
        let kernel = map.flattened.unwrap_or([inputs, 1, 1]);
        if kernel.iter().product::<usize>() != inputs {
            return None;
        }
        let factor = |key: &str| match node.op.as_str() {
            "Gemm" => node.float(key).unwrap_or(1.0),
            _ => 1.0,
        };
        let alpha = factor("alpha");
        let value = |index: usize| {
            let (output, input) = (index / inputs, index % inputs);
            let at = if transposed { output * inputs + input } else { input * outputs + output };
            alpha * values[at]
        };
        let [channels, height, width] = kernel;
        let values = (0..inputs * outputs).map(value).collect();
        let weight = Tensor::f32(&[outputs, channels, height, width], values);
        let name = |part: &str| format!("{}.{part}", node.output());
        let mut reads = vec![map.tensor.clone(), name("kernel")];
        self.constants.push((name("kernel"), weight));
        if let Some(bias) = node.input(2) {
            let beta = factor("beta");
            let given = graph.initializers.get(bias)?.floats()?;
            // One value may stand for all.
            let bias = (0..outputs).map(|i| beta * given[i.min(given.len() - 1)]).collect();
            self.constants.push((name("bias"), Tensor::f32(&[outputs], bias)));
            reads.push(name("bias"));
        }
        let reads: Vec<&str> = reads.iter().map(String::as_str).collect();
        let conv = Node::new(&node.name, "Conv", &reads, &name("map"));
        self.nodes.push(conv.with("kernel_shape", vec![height as i64, width as i64]));
        Some(Map { tensor: name("map"), flattened: None })
    }

    /// Extents and values of a constant, perhaps behind a reshape.
    fn constant<'a>(&self, graph: &'a Graph, name: &str) -> Option<(Vec<usize>, &'a [f32])> {
        if let Some(constant) = graph.initializers.get(name) {
            return Some((constant.dims.clone(), constant.floats()?));
        }
        let node = graph.producer(name).filter(|node| node.op == "Reshape")?;
        let constant = graph.initializers.get(node.input(0)?)?;
        Some((self.seen.shape(graph, name)?.to_vec(), constant.floats()?))
    }

    /// An addition of a constant per channel, or of another map.
    fn bias(&mut self, graph: &Graph, node: &Node, map: &Map) -> Option<Map> {
        let other = node.input(1)?;
        let mut added = node.clone();
        if let Some(other) = self.maps.get(other) {
            added.inputs[1].clone_from(&other.tensor);
        } else {
            let constant = graph.initializers.get(other).filter(|_| map.flattened.is_none())?;
            let values = constant.floats()?.to_vec();
            let name = format!("{}.per_channel", node.output());
            let dims = [values.len(), 1, 1];
            self.constants.push((name.clone(), Tensor::f32(&dims, values)));
            added.inputs[1] = name;
        }
        Some(self.kept(&added, map))
    }

    /// The node as it is, on the map.
    fn kept(&mut self, node: &Node, map: &Map) -> Map {
        let tensor = format!("{}.map", node.output());
        let mut kept = node.clone();
        kept.inputs[0].clone_from(&map.tensor);
        kept.outputs[0].clone_from(&tensor);
        self.nodes.push(kept);
        Map { tensor, flattened: map.flattened }
    }

    /// The mean of a map over its positions, as a row of this name.
    fn averaged(&mut self, map: &str, row: &str) {
        let pool = format!("{row}.mean");
        self.nodes.push(Node::new(&pool, "GlobalAveragePool", &[map], &pool));
        let flatten = Node::new(&format!("{row}.row"), "Flatten", &[&pool], row);
        self.nodes.push(flatten.with("axis", 1_i64));
    }

    /// A node that needs a row reads the mean over positions.
    fn read_as_row(&mut self, node: &Node, map: &Map) {
        let row = format!("{}.average", map.tensor);
        if !self.nodes.iter().any(|known| known.output() == row) {
            self.averaged(&map.tensor, &row);
        }
        let mut reader = node.clone();
        reader.inputs[0] = row;
        self.nodes.push(reader);
    }
}

/// Follows the extents of maps from an input of this height and width; refuses where a window no
/// longer fits.
pub fn fits(graph: &Graph, input: [usize; 2]) -> Result<BTreeMap<String, [usize; 2]>, OneSize> {
    let mut sizes: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    sizes.extend(graph.inputs.iter().map(|port| (port.name.clone(), input)));
    for node in &graph.nodes {
        let Some(&size) = node.reads().find_map(|name| sizes.get(name)) else { continue };
        let next = match node.op.as_str() {
            "Conv" | "MaxPool" | "AveragePool" => windowed(graph, node, size)?,
            "GlobalAveragePool" | "GlobalMaxPool" => [1, 1],
            // Extents that are no plain function of the input's are seen when the model is tried.
            "Relu" | "LeakyRelu" | "Clip" | "BatchNormalization" | "LRN" | "Dropout" | "Add"
            | "Mul" | "Concat" | "Sigmoid" | "Identity" => size,
            _ => continue,
        };
        sizes.extend(node.writes().map(|name| (name.to_owned(), next)));
    }
    Ok(sizes)
}

fn windowed(graph: &Graph, node: &Node, size: [usize; 2]) -> Result<[usize; 2], OneSize> {
    let weight = node.input(1).and_then(|name| graph.initializers.get(name));
    let of_weight = weight.and_then(|weight| weight.dims.get(2..)).unwrap_or_default();
    let list = |key: &str, axis: usize, default: usize| {
        let given = node.ints(key).and_then(|values| values.get(axis).copied());
        given.map_or(default, |value| usize::try_from(value).unwrap_or(0))
    };
    let mut next = [0; 2];
    for axis in 0..2 {
        let window = list("kernel_shape", axis, of_weight.get(axis).copied().unwrap_or(1));
        let (stride, dilation) = (list("strides", axis, 1), list("dilations", axis, 1));
        let pad = list("pads", axis, 0) + list("pads", axis + 2, 0);
        next[axis] = match node.text("auto_pad").unwrap_or("NOTSET") {
            "SAME_UPPER" | "SAME_LOWER" => size[axis].div_ceil(stride.max(1)),
            _ => {
                // Ceil mode adds what the last stride lacks.
                let more = if node.int("ceil_mode") == Some(1) { stride - 1 } else { 0 };
                match out_size(size[axis], window, stride, pad, dilation) {
                    0 => 0,
                    _ => out_size(size[axis], window, stride, pad + more, dilation),
                }
            }
        };
        if next[axis] == 0 {
            return Err(OneSize::TooSmall {
                node: node.name.clone(),
                op: node.op.clone(),
                size: size[axis],
            });
        }
    }
    Ok(next)
}

#[cfg(test)]
mod tests;
