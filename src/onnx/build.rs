//! Writing a graph node by node; each node's first output bears the node's name.

use super::graph::{Graph, Node};
use super::tensor::Tensor;

/// A graph under construction, at opset 18.
#[derive(Debug, Default)]
pub struct Builder {
    graph: Graph,
}

/// The operator set that everything of ours is written in.
pub const OPSET: i64 = 18;

impl Builder {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        Self { graph: Graph { name: name.to_owned(), opset: OPSET, ..Graph::default() } }
    }

    /// Adds a constant; returns its name.
    pub fn constant(&mut self, name: &str, tensor: Tensor) -> String {
        self.graph.initializers.insert(name.to_owned(), tensor);
        name.to_owned()
    }

    /// Adds a node; returns the name of its output, which is the node's own.
    pub fn node(&mut self, node: Node) -> String {
        let output = node.output().to_owned();
        self.graph.nodes.push(node);
        output
    }

    /// Adds a node without settings.
    pub fn op(&mut self, name: &str, op: &str, inputs: &[&str]) -> String {
        self.node(Node::new(name, op, inputs, name))
    }

    /// The graph, with what goes in and comes out.
    pub fn finish(
        mut self,
        inputs: Vec<super::graph::Port>,
        outputs: Vec<super::graph::Port>,
    ) -> Graph {
        self.graph.inputs = inputs;
        self.graph.outputs = outputs;
        self.graph
    }
}
