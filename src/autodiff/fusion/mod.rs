//! What our own kernels compute at once: activations with what comes before them, and formulas
//! that exporters write as several operators.

mod gelu;

use std::collections::{BTreeMap, BTreeSet};

use crate::onnx::graph::{Graph, Node};
use crate::onnx::tensor::Tensor;

use super::site::Cut;
pub(super) use gelu::gelus;

/// Operators whose kernels take the activation after them in.
const TAKERS: [&str; 2] = ["BatchNormalization", "Add"];

/// Which nodes take an activation in, and which activations are taken, by their first output.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    takers: BTreeMap<String, Cut>,
    taken: BTreeSet<String>,
}

impl Cuts {
    /// The activation that a node takes in.
    pub(super) fn of(&self, node: &Node) -> Option<Cut> {
        self.takers.get(node.output()).copied()
    }

    /// Whether a node is an activation that another takes in.
    pub(super) fn is_part(&self, node: &Node) -> bool {
        self.taken.contains(node.output())
    }
}

/// Every activation that is the only reader of such a node's output, which nobody else sees.
pub(super) fn cuts(graph: &Graph) -> Cuts {
    let mut readers: BTreeMap<&str, usize> = BTreeMap::new();
    let outputs = graph.outputs.iter().map(|port| port.name.as_str());
    for name in graph.nodes.iter().flat_map(Node::reads).chain(outputs) {
        *readers.entry(name).or_default() += 1;
    }
    let takers: BTreeSet<&str> = graph
        .nodes
        .iter()
        .filter(|node| TAKERS.contains(&node.op.as_str()) && takes(graph, node))
        .map(Node::output)
        .filter(|output| readers.get(output) == Some(&1))
        .collect();
    let mut cuts = Cuts::default();
    for node in &graph.nodes {
        let Some(cut) = activation(graph, node) else { continue };
        if let Some(input) = node.input(0).filter(|input| takers.contains(input)) {
            cuts.takers.insert(input.to_owned(), cut);
            cuts.taken.insert(node.output().to_owned());
        }
    }
    cuts
}

/// A sum with a constant may be of tensors of two shapes; our kernel adds equal ones.
fn takes(graph: &Graph, node: &Node) -> bool {
    node.op != "Add" || node.reads().all(|name| !graph.initializers.contains_key(name))
}

fn activation(graph: &Graph, node: &Node) -> Option<Cut> {
    let bound = |position: usize| {
        let tensor = graph.initializers.get(node.input(position)?)?;
        Tensor::floats(tensor)?.first().copied()
    };
    match node.op.as_str() {
        "Relu" => Some(Cut { high: f32::INFINITY }),
        "Clip" if bound(1) == Some(0.0) => match node.input(2) {
            None => Some(Cut { high: f32::INFINITY }),
            Some(_) => bound(2).map(|high| Cut { high }),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::graph::Port;

    fn graph(nodes: Vec<Node>, outputs: &[&str]) -> Graph {
        let outputs = outputs.iter().map(|name| Port::named(name)).collect();
        let constants = [("low", 0.0), ("high", 6.0), ("one", 1.0)];
        let constants = constants.map(|(name, value)| (name.to_owned(), Tensor::scalar(value)));
        Graph { nodes, outputs, initializers: constants.into(), ..Graph::default() }
    }

    fn taken(graph: &Graph) -> Vec<Option<f32>> {
        let cuts = cuts(graph);
        graph.nodes.iter().map(|node| cuts.of(node).map(|cut| cut.high)).collect()
    }

    #[test]
    fn an_activation_is_taken_in_by_the_node_that_it_alone_reads() {
        let add = Node::new("add", "Add", &["a", "b"], "sum");
        let clip = Node::new("clip", "Clip", &["sum", "low", "high"], "y");
        let alone = graph(vec![add.clone(), clip.clone()], &["y"]);
        assert_eq!(taken(&alone), [Some(6.0), None]);
        assert!(cuts(&alone).is_part(&clip) && !cuts(&alone).is_part(&add));
        let seen = graph(vec![add.clone(), clip.clone()], &["y", "sum"]);
        assert_eq!(taken(&seen), [None, None]);
        let second = Node::new("relu", "Relu", &["sum"], "z");
        assert_eq!(taken(&graph(vec![add, clip, second], &["y", "z"])), [None, None, None]);
    }

    #[test]
    fn other_bounds_and_constants_stay_outside() {
        let norm = Node::new("norm", "BatchNormalization", &["x", "s", "b", "m", "v"], "n");
        let relu = Node::new("relu", "Relu", &["n"], "y");
        assert_eq!(taken(&graph(vec![norm.clone(), relu], &["y"])), [Some(f32::INFINITY), None]);
        let clip = Node::new("clip", "Clip", &["n", "one", "high"], "y");
        assert_eq!(taken(&graph(vec![norm, clip], &["y"])), [None, None]);
        let add = Node::new("add", "Add", &["a", "one"], "n");
        let relu = Node::new("relu", "Relu", &["n"], "y");
        assert_eq!(taken(&graph(vec![add, relu], &["y"])), [None, None]);
    }
}
