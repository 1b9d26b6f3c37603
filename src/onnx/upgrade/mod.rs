//! Older models rewritten to opset 18, so that every rule is written once.
//!
//! ONNX Runtime refuses an opset-16 operator inside an opset-7 model, so a graph is raised as a
//! whole. Operators whose meaning changed up to opset 18 are rewritten exactly; those known not to
//! have changed stay; any other is refused rather than misread.

#[cfg(test)]
mod conformance;
mod opset_six;
mod resize;
#[cfg(test)]
mod tests;
mod unchanged;

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::build::OPSET;
use super::graph::{Attribute, Graph, Node};
use super::tensor::{Data, Tensor};

/// Why a model cannot be raised.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NoUpgrade {
    /// Before opset 6 operators were another language.
    #[error("the model is of opset {0}; models from opset 6 on can be trained")]
    TooOld(i64),
    /// A node whose meaning may have changed.
    #[error("no rewriting to opset 18 is known for node `{node}` ({op}, opset {opset})")]
    Unknown {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// The model's opset.
        opset: i64,
    },
    /// A node in a form that cannot be told apart from others, or means something else.
    #[error("node `{node}` ({op}, opset {opset}): {reason}")]
    Form {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// The model's opset.
        opset: i64,
        /// What is in the way.
        reason: String,
    },
}

/// The oldest opset that is read.
const OLDEST: i64 = 6;

/// The same model at opset 18; models of a later opset stay as they are.
pub fn upgrade(mut graph: Graph) -> Result<Graph, NoUpgrade> {
    if graph.opset < OLDEST {
        return Err(NoUpgrade::TooOld(graph.opset));
    }
    if let Some(node) = graph.nodes.iter().find(|node| trains_itself(node)) {
        let reason = "it uses the statistics of each batch wherever the file runs; export the \
                      model in evaluation mode";
        return Err(form(node, graph.opset, reason));
    }
    if graph.opset >= OPSET {
        return Ok(graph);
    }
    let mut raised = Raised::of(&mut graph);
    for node in std::mem::take(&mut graph.nodes) {
        raised.add(node)?;
    }
    graph.nodes = raised.nodes;
    graph.initializers = raised.constants;
    graph.opset = OPSET;
    Ok(graph)
}

/// Operators that are rewritten, besides reductions.
const REWRITTEN: [&str; 16] = [
    "BatchNormalization",
    "Clip",
    "Dropout",
    "Hardmax",
    "LogSoftmax",
    "Pad",
    "ReduceSum",
    "Resize",
    "Scatter",
    "Slice",
    "Softmax",
    "Split",
    "Squeeze",
    "TopK",
    "Unsqueeze",
    "Upsample",
];

/// Operators of ONNX's own domain, up to opset 18, that are known here.
pub fn operators() -> impl Iterator<Item = &'static str> {
    unchanged::names().chain(REDUCTIONS).chain(REWRITTEN)
}

fn trains_itself(node: &Node) -> bool {
    node.op == "BatchNormalization" && node.int("training_mode").unwrap_or(0) != 0
}

fn form(node: &Node, opset: i64, reason: &str) -> NoUpgrade {
    NoUpgrade::Form { node: node.name.clone(), op: node.op.clone(), opset, reason: reason.into() }
}

struct Raised {
    opset: i64,
    /// Constants, those of the model included.
    constants: BTreeMap<String, Tensor>,
    /// Everything that some node reads, or the model hands out.
    read: BTreeSet<String>,
    /// Number of axes of a tensor, where it follows from the file without running it.
    ranks: BTreeMap<String, usize>,
    nodes: Vec<Node>,
}

/// Reductions, whose axes became an input at opset 18.
const REDUCTIONS: [&str; 9] = [
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSumSquare",
];

impl Raised {
    /// Takes the constants over.
    fn of(graph: &mut Graph) -> Self {
        let read = graph.nodes.iter().flat_map(Node::reads);
        let outputs = graph.outputs.iter().map(|port| port.name.as_str());
        let inputs = graph.inputs.iter();
        let inputs = inputs.filter_map(|port| Some((port.name.clone(), port.dims.as_ref()?.len())));
        let constants = graph.initializers.iter();
        let constants = constants.map(|(name, tensor)| (name.clone(), tensor.dims.len()));
        Self {
            opset: graph.opset,
            read: read.chain(outputs).map(str::to_owned).collect(),
            ranks: inputs.chain(constants).collect(),
            constants: std::mem::take(&mut graph.initializers),
            nodes: Vec::new(),
        }
    }

    fn add(&mut self, mut node: Node) -> Result<(), NoUpgrade> {
        if !node.domain.is_empty() {
            self.push(node);
            return Ok(());
        }
        node.attributes.remove("consumed_inputs");
        if self.opset < 7 {
            self.spell_out_broadcast(&mut node)?;
        }
        let op = node.op.clone();
        match op.as_str() {
            "BatchNormalization" => self.batch_normalization(&mut node)?,
            "Dropout" => self.dropout(&mut node)?,
            "Softmax" | "LogSoftmax" | "Hardmax" if self.opset < 13 => {
                self.softmax(&node);
                return Ok(());
            }
            "Upsample" | "Resize" => self.resize(&mut node)?,
            "Scatter" => "ScatterElements".clone_into(&mut node.op),
            op if self.settings_to_inputs(op, &mut node) => {}
            op if unchanged::is_unchanged(op, self.opset) => {}
            op => {
                return Err(NoUpgrade::Unknown {
                    node: node.name.clone(),
                    op: op.to_owned(),
                    opset: self.opset,
                });
            }
        }
        self.push(node);
        Ok(())
    }

    /// Operators of which settings became inputs, and nothing else changed. Whether it is one.
    fn settings_to_inputs(&mut self, op: &str, node: &mut Node) -> bool {
        let opset = self.opset;
        match op {
            "Clip" if opset < 11 => {
                self.number_to_input(node, "min");
                self.number_to_input(node, "max");
            }
            "Pad" if opset < 11 => {
                self.list_to_input(node, "pads");
                self.number_to_input(node, "value");
            }
            "Slice" if opset < 10 => {
                for key in ["starts", "ends", "axes"] {
                    self.list_to_input(node, key);
                }
            }
            "TopK" if opset < 10 => {
                let k = node.int("k").unwrap_or(1);
                node.attributes.insert("k".to_owned(), Attribute::Ints(vec![k]));
                self.list_to_input(node, "k");
            }
            "Squeeze" | "Unsqueeze" | "ReduceSum" if opset < 13 => self.list_to_input(node, "axes"),
            "Split" if opset < 13 => self.list_to_input(node, "split"),
            "Clip" | "Pad" | "Slice" | "Split" | "Squeeze" | "Unsqueeze" | "ReduceSum" | "TopK"
            | "Softmax" | "LogSoftmax" | "Hardmax" => {}
            op if REDUCTIONS.contains(&op) => self.list_to_input(node, "axes"),
            _ => return false,
        }
        true
    }

    fn push(&mut self, mut node: Node) {
        // Inputs left out at the end need no place.
        while node.inputs.last().is_some_and(String::is_empty) {
            node.inputs.pop();
        }
        if node.op == "Split" && node.inputs.len() < 2 {
            // Opset 18 wants the number of pieces where no sizes are given.
            let pieces = node.outputs.len() as i64;
            node.attributes.insert("num_outputs".into(), Attribute::Int(pieces));
        }
        self.note_rank(&node);
        self.nodes.push(node);
    }

    /// Statistics per channel, with one output: all others are for training, and hold nothing here.
    fn batch_normalization(&self, node: &mut Node) -> Result<(), NoUpgrade> {
        let spatial = node.attributes.remove("spatial");
        let rank = node.input(0).and_then(|name| self.ranks.get(name));
        if spatial == Some(Attribute::Int(0)) && rank != Some(&2) {
            let reason = "its statistics are of every position (`spatial` is 0)";
            return Err(form(node, self.opset, reason));
        }
        node.attributes.remove("is_test");
        self.only_first_output(node)
    }

    /// Nothing is dropped outside of training; what an input may turn on stays.
    fn dropout(&self, node: &mut Node) -> Result<(), NoUpgrade> {
        let turned_on = node.input(2).is_some_and(|name| match self.constants.get(name) {
            Some(Tensor { data: Data::Other { bytes, .. }, .. }) => bytes.iter().any(|&b| b != 0),
            _ => true,
        });
        if !turned_on {
            self.only_first_output(node)?;
            "Identity".clone_into(&mut node.op);
            node.inputs.truncate(1);
            node.attributes.clear();
        }
        Ok(())
    }

    fn only_first_output(&self, node: &mut Node) -> Result<(), NoUpgrade> {
        if let Some(name) = node.outputs.iter().skip(1).find(|name| self.read.contains(*name)) {
            let reason = format!("its output `{name}` is read, which is for training alone");
            return Err(form(node, self.opset, &reason));
        }
        node.outputs.truncate(1);
        Ok(())
    }

    /// Moves a list setting to a constant input; an absent one leaves its place empty.
    fn list_to_input(&mut self, node: &mut Node, key: &str) {
        let list = match node.attributes.remove(key) {
            Some(Attribute::Ints(values)) => self.constant(node, key, Tensor::i64(&values)),
            _ => String::new(),
        };
        node.inputs.push(list);
    }

    fn number_to_input(&mut self, node: &mut Node, key: &str) {
        let number = match node.attributes.remove(key) {
            Some(Attribute::Float(value)) => self.constant(node, key, Tensor::scalar(value)),
            _ => String::new(),
        };
        node.inputs.push(number);
    }

    fn constant(&mut self, node: &Node, key: &str, tensor: Tensor) -> String {
        let name = format!("{}.{key}", node.output());
        self.constants.insert(name.clone(), tensor);
        name
    }

    /// Before opset 13 a softmax went over all axes from `axis` on, taken as one.
    fn softmax(&mut self, node: &Node) {
        let axis = node.int("axis").unwrap_or(1);
        let (x, y) = (node.inputs[0].clone(), node.output().to_owned());
        let rank = self.ranks.get(&x).map(|rank| *rank as i64);
        if axis == -1 || rank == Some(axis + 1) {
            // All axes from the last one on are the last one.
            self.push(node.clone().with("axis", -1_i64));
            return;
        }
        let [shape, flat, soft] = ["shape", "flat", "soft"].map(|part| format!("{y}.{part}"));
        let nodes = [
            Node::new(&shape, "Shape", &[&x], &shape),
            Node::new(&flat, "Flatten", &[&x], &flat).with("axis", axis),
            Node::new(&node.name, &node.op, &[&flat], &soft).with("axis", -1_i64),
            Node::new(&format!("{y}.back"), "Reshape", &[&soft, &shape], &y),
        ];
        self.ranks.extend(rank.map(|rank| (y, rank as usize)));
        self.nodes.extend(nodes);
    }
}
