//! Where a rule is applied: one node of the model, with all that is known of its tensors.

use thiserror::Error;

use crate::onnx::graph::Node;
use crate::onnx::tensor::Tensor;

use super::tape::{Tape, Var};

/// Why a node cannot be differentiated.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{node}` ({op}): {reason}")]
pub struct Refusal {
    /// The node.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// What is in the way.
    pub reason: String,
}

/// What a graph is emitted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Gradients; normalisations use the statistics of the batch.
    Train,
    /// Gradients; normalisations use running statistics, which stay.
    Frozen,
    /// Outputs alone; normalisations use running statistics.
    Infer,
}

/// One node with its tensors.
pub(crate) struct Site<'a> {
    /// The node.
    pub(crate) node: &'a Node,
    /// Its inputs; `None` for one left out.
    pub(crate) inputs: Vec<Option<Var>>,
    /// Shapes of its outputs.
    pub(crate) output_dims: Vec<Vec<usize>>,
    /// For each input, whether its gradient is wanted.
    pub(crate) wanted: Vec<bool>,
    /// For each input, its values if it is a constant.
    pub(crate) constants: Vec<Option<&'a Tensor>>,
    /// What the graph is emitted for.
    pub(crate) mode: Mode,
    /// The activation that alone reads its output and is part of it.
    pub(crate) cut: Option<Cut>,
    /// Whether it is such an activation, which then passes on what comes.
    pub(crate) is_part: bool,
}

/// An activation that cuts off below 0 and above a bound: a `ReLU`, or a Clip from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cut {
    /// The bound; infinite for a `ReLU`.
    pub(crate) high: f32,
}

/// What the forward part of a rule leaves: the node's outputs and whatever backward will need.
#[derive(Debug, Default)]
pub(crate) struct Forward {
    /// The node's outputs.
    pub(crate) outputs: Vec<Var>,
    /// Kept for backward.
    pub(crate) saved: Vec<Var>,
    /// Batch statistics of a normalisation: (mean, variance), each per channel.
    pub(crate) statistics: Option<(Var, Var)>,
}

/// Gradients by input; `None` where none is wanted.
pub(crate) type Gradients = Vec<Option<Var>>;

impl Site<'_> {
    /// An input that must be there.
    pub(crate) fn input(&self, position: usize) -> Result<&Var, Refusal> {
        let missing = || self.refuse(format!("input {position} is missing"));
        self.inputs.get(position).and_then(Option::as_ref).ok_or_else(missing)
    }

    /// Whether the gradient of an input is wanted.
    pub(crate) fn wants(&self, position: usize) -> bool {
        self.wanted.get(position).copied().unwrap_or(false)
    }

    /// The integers of a constant input; refused if it is computed at run time.
    pub(crate) fn integers(&self, position: usize) -> Result<Option<Vec<i64>>, Refusal> {
        if self.inputs.get(position).is_none_or(Option::is_none) {
            return Ok(None);
        }
        let constant = self.constants.get(position).copied().flatten();
        let computed = || self.refuse(format!("input {position} is computed at run time"));
        constant.and_then(Tensor::integers).map(|v| Some(v.to_vec())).ok_or_else(computed)
    }

    /// The one float of a constant input.
    pub(crate) fn float(&self, position: usize) -> Result<Option<f32>, Refusal> {
        if self.inputs.get(position).is_none_or(Option::is_none) {
            return Ok(None);
        }
        let constant = self.constants.get(position).copied().flatten();
        let value = constant.and_then(Tensor::floats).and_then(<[f32]>::first);
        let computed = || self.refuse(format!("input {position} is computed at run time"));
        value.map(|value| Some(*value)).ok_or_else(computed)
    }

    /// An axis, counted from the end if negative.
    pub(crate) fn axis(&self, axis: i64, rank: usize) -> Result<usize, Refusal> {
        let counted = if axis < 0 { axis + rank as i64 } else { axis };
        let outside = || self.refuse(format!("axis {axis} of a tensor with {rank} axes"));
        usize::try_from(counted).ok().filter(|axis| *axis < rank).ok_or_else(outside)
    }

    /// A refusal that names this node.
    pub(crate) fn refuse(&self, reason: impl Into<String>) -> Refusal {
        Refusal { node: self.node.name.clone(), op: self.node.op.clone(), reason: reason.into() }
    }

    /// Emits the node as the model has it.
    pub(crate) fn copy(&self, tape: &mut Tape) -> Forward {
        let mut node = self.node.clone();
        for (name, var) in node.inputs.iter_mut().zip(&self.inputs) {
            *name = var.as_ref().map(|var| var.name().to_owned()).unwrap_or_default();
        }
        tape.model_node(node);
        let outputs = self.node.outputs.iter().zip(&self.output_dims);
        Forward {
            outputs: outputs.map(|(name, dims)| Var::new(name.clone(), dims)).collect(),
            ..Forward::default()
        }
    }

    /// The shape of the first output.
    pub(crate) fn output(&self) -> &[usize] {
        &self.output_dims[0]
    }
}
