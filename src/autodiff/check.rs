//! Gradients by themselves: a graph whose outputs they are, to be compared with finite differences
//! or with what someone else computed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::onnx::graph::Graph;
use crate::onnx::observe::Observation;
use crate::onnx::tensor::{Shape, Tensor, elements};

use super::derive;
use super::refusals::{refusals, stops};
use super::site::{Mode, Refusal};
use super::tape::{Dialect, Tape, Var};

/// Of what the gradients are asked for.
pub struct Question<'a> {
    /// The model; all of its outputs that hold floats make up the loss.
    pub graph: &'a Graph,
    /// Shapes of its tensors.
    pub seen: &'a Observation,
    /// Constants whose gradients are wanted.
    pub varied: &'a [String],
    /// Which statistics normalisations use.
    pub mode: Mode,
    /// Which of equal formulations is emitted.
    pub dialect: Dialect,
}

/// A model with some of its constants as inputs, forward and backward.
pub struct GradientGraphs {
    /// Inputs: the model's, then each of the varied constants as a vector. Outputs: those of the model that hold
    /// floats.
    pub forward: Graph,
    /// Inputs: the same, then for each output the gradient of a loss. Outputs: the gradient of that
    /// loss for each of the varied constants.
    pub backward: Graph,
    /// Shapes of the outputs of `forward`.
    pub outputs: Vec<Shape>,
}

/// Emits the graphs; every node that cannot be differentiated is told.
pub fn gradient_graphs(question: &Question<'_>) -> Result<GradientGraphs, Vec<Refusal>> {
    let (forward, made) = emit(question, false)?;
    let (backward, _) = emit(question, true)?;
    Ok(GradientGraphs { forward, backward, outputs: made })
}

fn emit(question: &Question<'_>, backward: bool) -> Result<(Graph, Vec<Shape>), Vec<Refusal>> {
    let Question { graph, seen, .. } = question;
    let mut tape = Tape::new(graph.opset, question.dialect);
    tape.scope("check");
    let given = inputs(question, &mut tape)?;
    let wanted: BTreeSet<String> = question.varied.iter().cloned().collect();
    let passed = derive::forward(graph, seen, given, &wanted, question.mode, &mut tape)?;
    let floats = graph.outputs.iter().filter(|port| seen.is_float(&port.name));
    let outputs: Vec<(String, Var)> = floats
        .filter_map(|port| Some((port.name.clone(), passed.vars.get(&port.name)?.clone())))
        .collect();
    let shapes = outputs.iter().map(|(_, var)| var.dims().to_vec()).collect();
    if !backward {
        for (index, (_, var)) in outputs.iter().enumerate() {
            tape.output(var, &format!("check/output_{index}"));
        }
        return Ok((tape.finish(), shapes));
    }
    let seeds: BTreeMap<String, Var> = outputs
        .iter()
        .enumerate()
        .map(|(index, (name, var))| {
            (name.clone(), tape.input(&format!("check/given_{index}"), var.dims()))
        })
        .collect();
    let gradients = passed.backward_from(seeds, &mut tape)?;
    for (index, name) in question.varied.iter().enumerate() {
        let gradient = match gradients.get(name) {
            Some(gradient) => gradient.clone(),
            // It does not lead to any output.
            None => {
                let zero = tape.number(0.0);
                let dims = graph.initializers.get(name).map(|held| held.dims.clone());
                tape.expand(&zero, &dims.unwrap_or_default())
            }
        };
        tape.output(&gradient, &format!("check/gradient_{index}"));
    }
    Ok((tape.finish(), shapes))
}

/// What gradients meet at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// They pass.
    Passes,
    /// They stop: it makes whole numbers or truth values.
    Stops,
    /// No gradient is known.
    Refused,
    /// None comes: no parameter that learns leads here.
    Before,
}

/// What gradients meet at each node, in order, where `wanted` are the parameters that learn.
pub fn states(graph: &Graph, seen: &Observation, wanted: &BTreeSet<String>) -> Vec<State> {
    let refused = refusals(graph, seen, wanted);
    let mut carrying: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    let mut states = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let floats: Vec<&str> = node.writes().filter(|name| seen.is_float(name)).collect();
        let ends = floats.is_empty() || stops(node);
        states.push(match node.reads().any(|name| carrying.contains(name)) {
            false => State::Before,
            true if ends => State::Stops,
            true => {
                carrying.extend(floats);
                match refused.iter().any(|refusal| refusal.node == node.name) {
                    true => State::Refused,
                    false => State::Passes,
                }
            }
        });
    }
    states
}

/// Declares the model's inputs and the varied constants, these as vectors, as training has them: some
/// graphs with kernels as inputs are more than the embedded backend can take.
fn inputs(question: &Question<'_>, tape: &mut Tape) -> Result<BTreeMap<String, Var>, Vec<Refusal>> {
    let (graph, seen) = (question.graph, question.seen);
    let mut given = BTreeMap::new();
    for port in &graph.inputs {
        let Some(dims) = seen.shape(graph, &port.name) else {
            return Err(vec![Refusal {
                node: port.name.clone(),
                op: "input".to_owned(),
                reason: "its shape was not seen".to_owned(),
            }]);
        };
        let var = match port.is_float() {
            true => tape.input(&port.name, dims),
            false => tape.input_of_kind(&port.name, port.kind, dims),
        };
        given.insert(port.name.clone(), var);
    }
    for name in question.varied {
        let dims = graph.initializers.get(name).map_or(&[][..], |held: &Tensor| &held.dims);
        let flat = tape.input(name, &[elements(dims)]);
        given.insert(name.clone(), tape.reshape(&flat, dims));
    }
    Ok(given)
}
