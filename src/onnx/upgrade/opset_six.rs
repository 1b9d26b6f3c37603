//! What was different at opset 6: broadcasting had to be asked for and lay to the left of an axis.

use super::super::graph::{Attribute, Node};
use super::super::tensor::Tensor;
use super::{NoUpgrade, Raised, form};

/// Operators of two tensors that could be asked to broadcast.
const OF_TWO: [&str; 11] =
    ["Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor"];

/// Operators whose output has as many axes as their first input.
const KEEP_RANK: [&str; 31] = [
    "Abs",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Dropout",
    "Elu",
    "Exp",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Identity",
    "InstanceNormalization",
    "LRN",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "MaxPool",
    "Neg",
    "PRelu",
    "Pad",
    "Relu",
    "Selu",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Sqrt",
    "Tanh",
    "Transpose",
];

impl Raised {
    /// Notes how many axes a node's output has, where its inputs tell.
    pub(super) fn note_rank(&mut self, node: &Node) {
        let known = |name: &str| self.ranks.get(name).copied();
        let rank = match node.op.as_str() {
            "Flatten" | "Gemm" => Some(2),
            "Reshape" => node
                .input(1)
                .and_then(|name| self.constants.get(name))
                .map(|shape| shape.dims.first().copied().unwrap_or(1)),
            op if KEEP_RANK.contains(&op) => node.input(0).and_then(known),
            op if OF_TWO.contains(&op) || op == "MatMul" || op == "Sum" => {
                let ranks: Option<Vec<usize>> = node.reads().map(known).collect();
                ranks.and_then(|ranks| ranks.into_iter().max())
            }
            _ => None,
        };
        self.ranks.extend(rank.map(|rank| (node.output().to_owned(), rank)));
    }

    /// Axes are added to the second tensor where it did not lie at the right.
    pub(super) fn spell_out_broadcast(&mut self, node: &mut Node) -> Result<(), NoUpgrade> {
        if OF_TWO.contains(&node.op.as_str()) {
            let asked = node.attributes.remove("broadcast") == Some(Attribute::Int(1));
            if let Some(Attribute::Int(axis)) = node.attributes.remove("axis")
                && asked
            {
                let (left, right) = (self.rank(node, 0)?, self.rank(node, 1)?);
                let axis = if axis < 0 { axis + left as i64 } else { axis };
                let missing = left as i64 - axis - right as i64;
                self.widen(node, right, missing);
            }
        } else if node.op == "Gemm" {
            node.attributes.remove("broadcast");
        } else if node.op == "PRelu" {
            // One slope a channel, the second axis.
            let slopes = node.input(1).and_then(|name| self.constants.get(name));
            if slopes.is_none_or(|slopes| slopes.len() > 1) && self.rank(node, 1)? == 1 {
                let missing = self.rank(node, 0)? as i64 - 2;
                self.widen(node, 1, missing);
            }
        }
        Ok(())
    }

    fn rank(&self, node: &Node, position: usize) -> Result<usize, NoUpgrade> {
        let rank = node.input(position).and_then(|name| self.ranks.get(name)).copied();
        let reason = format!("the number of axes of its input {position} is not known");
        rank.ok_or_else(|| form(node, self.opset, &reason))
    }

    /// `missing` axes of extent 1 after the last of the second input.
    fn widen(&mut self, node: &mut Node, rank: usize, missing: i64) {
        if missing <= 0 {
            return;
        }
        let axes: Vec<i64> = (rank as i64..rank as i64 + missing).collect();
        let axes = self.constant(node, "axes", Tensor::i64(&axes));
        let wide = format!("{}.wide", node.output());
        self.nodes.push(Node::new(&wide, "Unsqueeze", &[&node.inputs[1], &axes], &wide));
        node.inputs[1] = wide;
    }
}
