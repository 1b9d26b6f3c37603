//! Older models rewritten to opset 18, so that every rule is written once.
//!
//! ONNX Runtime refuses an opset-16 operator inside an opset-7 model, so a graph is raised as a
//! whole. Operators whose meaning changed between opset 7 and 18 are rewritten exactly; those
//! known not to have changed stay; any other is refused rather than misread.

use std::collections::BTreeMap;

use thiserror::Error;

use super::build::OPSET;
use super::graph::{Attribute, Graph, Node};
use super::tensor::Tensor;

/// Why a model cannot be raised.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NoUpgrade {
    /// Before opset 7 broadcasting itself was different.
    #[error("the model is of opset {0}; models from opset 7 on can be trained")]
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
}

/// Operators that mean the same from opset 7 to 18.
const UNCHANGED: [&str; 49] = [
    "Abs",
    "Add",
    "And",
    "AveragePool",
    "Cast",
    "Concat",
    "ConstantOfShape",
    "Conv",
    "ConvTranspose",
    "Div",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Greater",
    "HardSigmoid",
    "Identity",
    "LeakyRelu",
    "Less",
    "Log",
    "LRN",
    "MatMul",
    "MaxPool",
    "Mul",
    "Neg",
    "Not",
    "Pow",
    "PRelu",
    "Reciprocal",
    "Relu",
    "Reshape",
    "Selu",
    "Shape",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Sub",
    "Sum",
    "Tanh",
    "Tile",
    "Transpose",
    "Where",
];

/// The same model at opset 18; models of a later opset stay as they are.
pub fn upgrade(mut graph: Graph) -> Result<Graph, NoUpgrade> {
    if graph.opset >= OPSET {
        return Ok(graph);
    }
    if graph.opset < 7 {
        return Err(NoUpgrade::TooOld(graph.opset));
    }
    let opset = graph.opset;
    let mut raised = Raised { opset, constants: BTreeMap::new(), nodes: Vec::new() };
    for node in std::mem::take(&mut graph.nodes) {
        raised.add(node)?;
    }
    graph.nodes = raised.nodes;
    graph.initializers.append(&mut raised.constants);
    graph.opset = OPSET;
    Ok(graph)
}

struct Raised {
    opset: i64,
    constants: BTreeMap<String, Tensor>,
    nodes: Vec<Node>,
}

impl Raised {
    fn add(&mut self, mut node: Node) -> Result<(), NoUpgrade> {
        let op = node.op.clone();
        match op.as_str() {
            _ if !node.domain.is_empty() => {}
            "BatchNormalization" => {
                node.outputs.truncate(1);
                node.attributes.remove("spatial");
            }
            "Dropout" => {
                "Identity".clone_into(&mut node.op);
                node.inputs.truncate(1);
                node.outputs.truncate(1);
                node.attributes.clear();
            }
            "Clip" if self.opset < 11 => {
                self.number_to_input(&mut node, "min");
                self.number_to_input(&mut node, "max");
            }
            "Pad" if self.opset < 11 => {
                self.list_to_input(&mut node, "pads");
                self.number_to_input(&mut node, "value");
            }
            "Slice" if self.opset < 10 => {
                for key in ["starts", "ends", "axes"] {
                    self.list_to_input(&mut node, key);
                }
            }
            "Squeeze" | "Unsqueeze" | "ReduceSum" if self.opset < 13 => {
                self.list_to_input(&mut node, "axes");
            }
            "Split" if self.opset < 13 => self.list_to_input(&mut node, "split"),
            "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceL1" | "ReduceL2" | "ReduceProd"
            | "ReduceLogSumExp" | "ReduceSumSquare" => self.list_to_input(&mut node, "axes"),
            "Softmax" | "LogSoftmax" if self.opset < 13 => {
                self.softmax(&node);
                return Ok(());
            }
            "Clip" | "Pad" | "Slice" | "Split" | "Squeeze" | "Unsqueeze" | "ReduceSum"
            | "Softmax" | "LogSoftmax" => {}
            op if UNCHANGED.contains(&op) => {}
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
        self.nodes.push(node);
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
        let [shape, flat, soft] = ["shape", "flat", "soft"].map(|part| format!("{y}.{part}"));
        let nodes = [
            Node::new(&shape, "Shape", &[&x], &shape),
            Node::new(&flat, "Flatten", &[&x], &flat).with("axis", axis),
            Node::new(&node.name, &node.op, &[&flat], &soft).with("axis", -1_i64),
            Node::new(&format!("{y}.back"), "Reshape", &[&soft, &shape], &y),
        ];
        self.nodes.extend(nodes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::Port;
    use super::super::observe::observe;
    use super::super::proto;
    use super::super::runtime::{Tensor as Value, runtime};
    use super::*;

    fn old(opset: i64, node: Node, output: &str) -> Graph {
        Graph {
            opset,
            inputs: vec![Port::batch_of_floats("x", &[3, 4, 4])],
            outputs: vec![Port::named(output)],
            nodes: vec![node],
            ..Graph::default()
        }
    }

    fn run(graph: &Graph) -> Vec<f32> {
        let mut session = runtime().unwrap().load(&proto::encode(graph), 1).unwrap();
        let values = (0..96).map(|index| (index as f32 * 0.37).sin()).collect();
        let x = Value::f32(&[2, 3, 4, 4], values).unwrap();
        session.run(&[&x]).unwrap()[0].floats().unwrap().to_vec()
    }

    #[test]
    fn a_rewritten_model_computes_the_same() {
        let olds = [
            old(9, Node::new("clip", "Clip", &["x"], "y").with("max", 0.4_f32), "y"),
            old(9, Node::new("mean", "ReduceMean", &["x"], "y").with("axes", vec![2_i64, 3]), "y"),
            old(10, Node::new("soft", "Softmax", &["x"], "y"), "y"),
            old(
                9,
                Node::new("slice", "Slice", &["x"], "y")
                    .with("starts", vec![1_i64])
                    .with("ends", vec![3_i64])
                    .with("axes", vec![2_i64]),
                "y",
            ),
            old(
                10,
                Node::new("pad", "Pad", &["x"], "y").with("pads", vec![0_i64, 0, 1, 1, 0, 0, 1, 1]),
                "y",
            ),
        ];
        for before in olds {
            let after = upgrade(before.clone()).unwrap();
            assert_eq!(after.opset, OPSET);
            assert_eq!(run(&before), run(&after), "{}", before.nodes[0].op);
            let shapes = [vec![2, 3, 4, 4]];
            assert!(observe(runtime().unwrap(), &after, &shapes).is_ok());
        }
    }

    #[test]
    fn an_operator_that_may_have_changed_is_refused_by_name() {
        let told = upgrade(old(9, Node::new("up", "Upsample", &["x"], "y"), "y")).unwrap_err();
        assert_eq!(told, NoUpgrade::Unknown { node: "up".into(), op: "Upsample".into(), opset: 9 });
    }
}
