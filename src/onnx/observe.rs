//! Shapes by observation: run a model once with every intermediate tensor as an output and look.
//! No shape inference is needed, and what the model does is what is seen.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::graph::{FLOAT, Graph, Node, Port};
use super::proto;
use super::runtime::{Runtime, RuntimeError, Tensor};
use super::tensor::{Kind, Shape, elements};

/// What was seen of each tensor, at one batch size.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Shape by tensor.
    pub shapes: BTreeMap<String, Shape>,
    /// Tensors that do not hold floats (indices, shapes, masks).
    pub not_floats: BTreeMap<String, Kind>,
}

impl Observation {
    /// Shape of a tensor, of a constant too.
    pub fn shape<'a>(&'a self, graph: &'a Graph, tensor: &str) -> Option<&'a [usize]> {
        let constant = || graph.initializers.get(tensor).map(|constant| &constant.dims);
        self.shapes.get(tensor).or_else(constant).map(Vec::as_slice)
    }

    /// Whether a tensor holds floats.
    pub fn is_float(&self, tensor: &str) -> bool {
        !self.not_floats.contains_key(tensor)
    }
}

/// Runs `graph` once on inputs of these shapes and tells the shape of every tensor.
pub fn observe(
    runtime: &Runtime,
    graph: &Graph,
    shapes: &[Shape],
) -> Result<Observation, RuntimeError> {
    let mut seen = Observation::default();
    for (port, shape) in graph.inputs.iter().zip(shapes) {
        seen.shapes.insert(port.name.clone(), shape.clone());
        if !port.is_float() {
            seen.not_floats.insert(port.name.clone(), Kind::Other);
        }
    }
    let about_shapes = about_shapes(graph);
    for name in &about_shapes {
        seen.not_floats.insert((*name).to_owned(), Kind::Other);
    }
    let mut open = opened(graph);
    for (port, shape) in open.inputs.iter_mut().zip(shapes) {
        *port = Port { kind: port.kind.max(FLOAT), ..Port::floats(&port.name, shape) };
    }
    let mut session = runtime.load(&proto::encode(&open), 1)?;
    let inputs: Vec<Tensor> = graph
        .inputs
        .iter()
        .zip(shapes)
        .map(|(port, shape)| example(port, shape))
        .collect::<Result<_, _>>()?;
    let outputs = session.run(&inputs.iter().collect::<Vec<_>>())?;
    for (port, value) in open.outputs.iter().zip(&outputs) {
        seen.shapes.insert(port.name.clone(), value.dims());
        if value.kind() != Kind::F32 {
            seen.not_floats.insert(port.name.clone(), value.kind());
        }
    }
    Ok(seen)
}

/// Something to feed: for indices, masks and kinds of tokens 0 is always in range.
fn example(port: &Port, shape: &Shape) -> Result<Tensor, RuntimeError> {
    match port.is_float() {
        true => Tensor::f32(shape, ramp(elements(shape))),
        false => Tensor::whole(shape, port.kind, vec![0; elements(shape)]),
    }
}

/// The model with every tensor as an output, but for those about shapes alone.
pub(super) fn opened(graph: &Graph) -> Graph {
    let about_shapes = about_shapes(graph);
    let names = graph.nodes.iter().flat_map(Node::writes);
    let outputs = names.filter(|name| !about_shapes.contains(name)).map(Port::named).collect();
    Graph { outputs, ..graph.clone() }
}

/// Tensors that are computed from shapes (and whole numbers) alone. They carry no data, and the
/// embedded backend cannot hand out the symbolic dimensions they may hold.
fn about_shapes(graph: &Graph) -> BTreeSet<&str> {
    let mut about: BTreeSet<&str> = BTreeSet::new();
    for node in &graph.nodes {
        let whole = |name| graph.initializers.get(name).is_some_and(|c| c.floats().is_none());
        let known = |name| about.contains(name) || whole(name);
        let makes_floats = node.op == "ConstantOfShape" || node.int("to") == Some(i64::from(FLOAT));
        let from_shapes = node.reads().any(|name| about.contains(name))
            && node.reads().all(known)
            && !makes_floats;
        if from_shapes || matches!(node.op.as_str(), "Shape" | "Size") {
            about.extend(node.writes());
        }
    }
    about
}

/// Plain values between 0 and 1 that are not all alike.
fn ramp(length: usize) -> Vec<f32> {
    (0..length).map(|index| (index % 251) as f32 / 251.0).collect()
}
