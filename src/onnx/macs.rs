//! Multiply–accumulates of a forward pass.

use super::graph::{Graph, Node};
use super::observe::Observation;
use super::tensor::elements;

/// Multiply–accumulates per item: convolutions and matrix products; the rest is ignored.
/// `seen` was observed at `batch` items.
pub fn forward_macs(graph: &Graph, seen: &Observation, batch: usize) -> u64 {
    let total: usize = graph.nodes.iter().filter_map(|node| node_macs(graph, seen, node)).sum();
    total as u64 / batch.max(1) as u64
}

/// Multiply–accumulates of a node, for all items it was seen with; nothing if it has none, or its
/// shapes were not seen.
pub fn node_macs(graph: &Graph, seen: &Observation, node: &Node) -> Option<usize> {
    let shape = |name: Option<&str>| name.and_then(|name| seen.shape(graph, name));
    let out = elements(shape(Some(node.output()))?);
    match node.op.as_str() {
        "Conv" => {
            let weight = shape(node.input(1))?;
            Some(out * elements(&weight[1..]))
        }
        "ConvTranspose" => {
            let weight = shape(node.input(1))?;
            Some(elements(shape(node.input(0))?) * elements(&weight[1..]))
        }
        "Gemm" => {
            let left = shape(node.input(0))?;
            let summed = if node.int("transA") == Some(1) { left.first() } else { left.last() };
            Some(out * summed?)
        }
        "MatMul" => Some(out * shape(node.input(0))?.last()?),
        _ => None,
    }
}
