//! What stands in the way of training a model, found before anything is computed: paths that stop,
//! and nodes through which no gradient is known.

use std::collections::BTreeSet;

use crate::onnx::fold::fold;
use crate::onnx::graph::{Graph, Node};
use crate::onnx::observe::Observation;
use crate::onnx::tensor::{Data, Tensor};

use super::rules::{Rule, rule};
use super::site::{Mode, Refusal, Site};
use super::tape::{Dialect, Tape, Var};

/// Operators through which no gradient passes: their results are shapes and positions, truth
/// values, or steps that are flat wherever they have a slope. They are named, since those that
/// upgrading a model has added were never seen.
pub(super) const STOPS: [&str; 20] = [
    "And",
    "ArgMax",
    "ArgMin",
    "Ceil",
    "Equal",
    "EyeLike",
    "Floor",
    "Greater",
    "GreaterOrEqual",
    "IsInf",
    "IsNaN",
    "Less",
    "LessOrEqual",
    "NonZero",
    "Not",
    "Or",
    "Round",
    "Shape",
    "Sign",
    "Size",
];

/// Whether a path of gradients ends at this node.
pub(super) fn stops(node: &Node) -> bool {
    node.domain.is_empty() && STOPS.contains(&node.op.as_str())
}

/// Every node that stands between a wanted parameter and the output: without a rule, or with
/// settings that its rule does not take.
pub fn refusals(graph: &Graph, seen: &Observation, wanted: &BTreeSet<String>) -> Vec<Refusal> {
    // What follows from shapes is constant in a step.
    let mut folded = without_values(graph, wanted);
    fold(&mut folded, seen, &wanted.iter().map(String::as_str).collect());
    let graph = &folded;
    let on_path = on_path(graph, seen, wanted);
    let refused = |(node, wanted): &(&Node, Vec<bool>)| match rule(&node.domain, &node.op) {
        None => Some(without_rule(node)),
        Some(rule) => tried(graph, seen, node, wanted, rule),
    };
    on_path.iter().filter_map(refused).collect()
}

/// The graph with nothing but the shapes of what is wanted: those values move, so that nobody reads
/// them, and they are most of what a copy would hold.
fn without_values(graph: &Graph, wanted: &BTreeSet<String>) -> Graph {
    let kept = |(name, tensor): (&String, &Tensor)| {
        let tensor = match &tensor.data {
            Data::F32(_) if wanted.contains(name) => {
                Tensor { dims: tensor.dims.clone(), data: Data::F32(vec![]) }
            }
            _ => tensor.clone(),
        };
        (name.clone(), tensor)
    };
    Graph {
        name: graph.name.clone(),
        opset: graph.opset,
        domains: graph.domains.clone(),
        inputs: graph.inputs.clone(),
        outputs: graph.outputs.clone(),
        nodes: graph.nodes.clone(),
        initializers: graph.initializers.iter().map(kept).collect(),
        metadata: std::collections::BTreeMap::new(),
    }
}

/// Every node on the way that has no rule.
pub(super) fn unknown(
    graph: &Graph,
    seen: &Observation,
    wanted: &BTreeSet<String>,
) -> Vec<Refusal> {
    let on_path = on_path(graph, seen, wanted).into_iter().map(|(node, _)| node);
    on_path.filter(|node| rule(&node.domain, &node.op).is_none()).map(without_rule).collect()
}

fn without_rule(node: &Node) -> Refusal {
    Refusal {
        node: node.name.clone(),
        op: node.op.clone(),
        reason: "no gradient is known for this operator".to_owned(),
    }
}

/// Nodes that gradients have to pass, each with those of its inputs that want one.
fn on_path<'a>(
    graph: &'a Graph,
    seen: &Observation,
    wanted: &BTreeSet<String>,
) -> Vec<(&'a Node, Vec<bool>)> {
    let mut carrying: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
    let mut on_path = Vec::new();
    for node in &graph.nodes {
        let wanted: Vec<bool> =
            node.inputs.iter().map(|name| carrying.contains(name.as_str())).collect();
        let carries = carried(graph, seen, node);
        if stops(node) || carries.is_empty() || !wanted.contains(&true) {
            continue;
        }
        carrying.extend(carries);
        on_path.push((node, wanted));
    }
    on_path
}

/// The outputs of a node that can carry a gradient. Whole numbers and truth values carry none, and
/// one of several outputs that nobody reads has none: the path stops there.
pub(super) fn carried<'a>(graph: &Graph, seen: &Observation, node: &'a Node) -> Vec<&'a str> {
    let read = |name: &str| {
        node.outputs.len() == 1
            || graph.outputs.iter().any(|port| port.name == name)
            || graph.nodes.iter().any(|node| node.reads().any(|read| read == name))
    };
    node.writes().filter(|name| seen.is_float(name) && read(name)).collect()
}

/// Applies a rule to one node for nothing but what it says: a node whose shapes were not seen has
/// its say when the step is built.
fn tried(
    graph: &Graph,
    seen: &Observation,
    node: &Node,
    wanted: &[bool],
    rule: &Rule,
) -> Option<Refusal> {
    let var = |name: &String| Some(Var::new(name.clone(), seen.shape(graph, name)?));
    let named = |name: &String| match name.is_empty() {
        true => Some(None),
        false => var(name).map(Some),
    };
    let output = |name: &String| match name.is_empty() {
        true => Some(vec![]),
        false => seen.shape(graph, name).map(<[usize]>::to_vec),
    };
    let site = Site {
        node,
        inputs: node.inputs.iter().map(named).collect::<Option<_>>()?,
        output_dims: node.outputs.iter().map(output).collect::<Option<_>>()?,
        wanted: wanted.to_vec(),
        floats: floats(graph, seen, node),
        constants: node.inputs.iter().map(|name| graph.initializers.get(name)).collect(),
        mode: Mode::Frozen,
        gradients: vec![],
        cut: None,
        is_part: false,
    };
    let mut tape = Tape::new(graph.opset, Dialect::default());
    let forward = match (rule.forward)(&site, &mut tape) {
        Ok(forward) => forward,
        Err(refusal) => return Some(refusal),
    };
    let dy = Var::new("gradient", site.output());
    let site = Site { gradients: vec![Some(dy.clone())], ..site };
    (rule.backward)(&site, &forward, &dy, &mut tape).err()
}

/// For each input of a node, whether it holds floats.
pub(super) fn floats(graph: &Graph, seen: &Observation, node: &Node) -> Vec<bool> {
    let is_float = |name: &String| match graph.initializers.get(name) {
        Some(constant) => constant.floats().is_some(),
        None => seen.is_float(name),
    };
    node.inputs.iter().map(is_float).collect()
}
