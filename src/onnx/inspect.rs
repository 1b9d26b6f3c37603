//! What a model is, for whoever wants to use it: layers by name, where a head is, what it costs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::graph::{Graph, Node, Port};
use super::head::{self, is_weighted};
use super::layers::{common_scope, is_inside, scope_below, scope_exits};
use super::macs::node_macs;
use super::observe::Observation;
use super::parameters::{parameters, root};
use super::tensor::Tensor;

/// A layer: a scope, or a node with what follows it until the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// A name that stands for it in a pipeline, unless it hands on several tensors.
    pub name: String,
    /// Its operators with weights or pooling, or else its first.
    pub operators: String,
    /// Shape of what it hands on, for one item; nothing if that was not seen, or if it hands on
    /// several tensors.
    pub output: Option<Vec<usize>>,
    /// The tensors it hands on, if there are several: one of them has to be chosen.
    pub hands_on: Vec<String>,
    /// Parameters that training can change.
    pub parameters: usize,
    /// Multiply–accumulates for one item; nothing if shapes were not seen.
    pub macs: Option<u64>,
}

/// Where a new head would be put on, for one output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeadFound {
    /// The output.
    pub output: String,
    /// The tensor that a new head reads.
    pub at: Option<String>,
    /// How many features it has; nothing if its shape was not seen.
    pub features: Option<usize>,
    /// Whether an average over space comes first.
    pub averaged: bool,
    /// Whether a mean over tokens, or the first one, comes first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub over_tokens: bool,
    /// Nodes that would be cut off, in order.
    pub cut_off: Vec<String>,
    /// Whether the output may already be features: a convolution would be cut off, and the output
    /// is no softmax.
    pub maybe_features: bool,
    /// Why there is none.
    pub none: Option<String>,
}

/// What was seen of a model, and at how many items.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Shapes.
    pub shapes: &'a Observation,
    /// Items.
    pub items: usize,
}

/// Operators that make maps smaller.
const POOLING: [&str; 4] = ["GlobalAveragePool", "GlobalMaxPool", "AveragePool", "MaxPool"];

fn is_telling(graph: &Graph, node: &Node) -> bool {
    is_weighted(graph, node) || POOLING.contains(&node.op.as_str())
}

/// Layers from the input on: scopes where nodes have some, nodes with weights or pooling
/// elsewhere. Together they hold every parameter and every multiply–accumulate once.
pub fn layers(graph: &Graph, seen: Option<Seen<'_>>) -> Vec<Layer> {
    let open = open_scopes(graph);
    let own = own_parameters(graph);
    let mut names: Vec<(&str, bool)> = Vec::new();
    let mut members: Vec<Vec<usize>> = Vec::new();
    let mut early = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let scope = scope_of(&open, &node.name);
        let name = scope.unwrap_or(&node.name);
        let known = names.iter().position(|(known, _)| *known == name);
        let begins = match scope {
            Some(scope) => graph
                .nodes
                .iter()
                .any(|node| is_inside(scope, &node.name) && is_telling(graph, node)),
            None => is_telling(graph, node),
        };
        match (known, members.last_mut()) {
            (Some(known), _) => members[known].push(index),
            // What tells nothing by itself belongs to the layer before.
            (None, Some(before)) if !begins => before.push(index),
            (None, None) if !begins => early.push(index),
            _ => {
                names.push((name, scope.is_some()));
                members.push(vec![index]);
            }
        }
    }
    match members.first_mut() {
        Some(first) => first.append(&mut early),
        None => return every_node(graph, seen),
    }
    let layer = |((name, is_scope), members): (&(&str, bool), &Vec<usize>)| {
        layer_of(graph, seen, &own, name, *is_scope, members)
    };
    names.iter().zip(&members).map(layer).collect()
}

/// Every node as a layer of its own.
pub fn every_node(graph: &Graph, seen: Option<Seen<'_>>) -> Vec<Layer> {
    let own = own_parameters(graph);
    let nodes = graph.nodes.iter().enumerate();
    nodes.map(|(index, node)| layer_of(graph, seen, &own, &node.name, false, &[index])).collect()
}

/// Parameters by the node that uses them first.
fn own_parameters(graph: &Graph) -> BTreeMap<usize, usize> {
    let mut own = BTreeMap::new();
    for parameter in parameters(graph).into_iter().filter(|found| found.role.is_trained()) {
        let size = graph.initializers.get(&parameter.name).map_or(0, Tensor::len);
        *own.entry(parameter.node).or_default() += size;
    }
    own
}

/// Scopes whose inside is shown: what all nodes share, and whatever holds most of the weights.
fn open_scopes(graph: &Graph) -> BTreeSet<String> {
    let mut open = BTreeSet::from([common_scope(graph)]);
    let weighted: Vec<&str> =
        graph.nodes.iter().filter(|n| is_weighted(graph, n)).map(|n| n.name.as_str()).collect();
    loop {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for scope in weighted.iter().filter_map(|name| scope_of(&open, name)) {
            *counts.entry(scope).or_default() += 1;
        }
        let large = counts.into_iter().find(|(_, count)| count * 2 > weighted.len().max(2));
        match large {
            Some((scope, _)) => open.insert(scope.to_owned()),
            None => return open,
        };
    }
}

/// The scope that a node is counted to: the first on its way down that is not open.
fn scope_of<'a>(open: &BTreeSet<String>, node: &'a str) -> Option<&'a str> {
    let mut within = open.iter().min_by_key(|scope| scope.len())?.as_str();
    loop {
        let scope = scope_below(within, node)?;
        match open.get(scope) {
            Some(inner) => within = inner,
            None => return Some(scope),
        }
    }
}

fn layer_of(
    graph: &Graph,
    seen: Option<Seen<'_>>,
    own: &BTreeMap<usize, usize>,
    name: &str,
    is_scope: bool,
    members: &[usize],
) -> Layer {
    let nodes: Vec<&Node> = members.iter().map(|&index| &graph.nodes[index]).collect();
    let exits = match is_scope {
        true => scope_exits(graph, name),
        false => vec![nodes[0].output().to_owned()],
    };
    let shape = |tensor: &String| {
        let dims = seen?.shapes.shape(graph, tensor)?;
        Some(dims.get(1..).unwrap_or_default().to_vec())
    };
    let macs = |seen: Seen<'_>| {
        let all = nodes.iter().filter_map(|node| node_macs(graph, seen.shapes, node));
        all.sum::<usize>() as u64 / seen.items.max(1) as u64
    };
    Layer {
        name: name.to_owned(),
        operators: operators(graph, &nodes),
        output: exits.first().filter(|_| exits.len() == 1).and_then(shape),
        hands_on: if exits.len() > 1 { exits } else { vec![] },
        parameters: members.iter().filter_map(|index| own.get(index)).sum(),
        macs: seen.map(macs),
    }
}

/// As in `3 Conv, MaxPool`.
fn operators(graph: &Graph, nodes: &[&Node]) -> String {
    let telling: Vec<&str> =
        nodes.iter().filter(|node| is_telling(graph, node)).map(|node| node.op.as_str()).collect();
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for op in if telling.is_empty() { vec![nodes[0].op.as_str()] } else { telling } {
        match counted.iter_mut().find(|(known, _)| *known == op) {
            Some((_, count)) => *count += 1,
            None => counted.push((op, 1)),
        }
    }
    let word = |(op, count): (&str, usize)| match count {
        1 => op.to_owned(),
        _ => format!("{count} {op}"),
    };
    counted.into_iter().map(word).collect::<Vec<_>>().join(", ")
}

/// Where a head is, for each output.
pub fn heads(graph: &Graph, seen: Option<Seen<'_>>) -> Vec<HeadFound> {
    graph.outputs.iter().map(|port| head_of(graph, seen, port)).collect()
}

fn head_of(graph: &Graph, seen: Option<Seen<'_>>, port: &Port) -> HeadFound {
    let output = port.name.clone();
    let nothing = Observation::default();
    let shapes = seen.map_or(&nothing, |seen| seen.shapes);
    let mut found = HeadFound {
        output,
        at: None,
        features: None,
        averaged: false,
        over_tokens: false,
        cut_off: vec![],
        maybe_features: false,
        none: None,
    };
    let is_image = matches!(&graph.inputs[..], [input] if input.is_float());
    let find = if is_image { head::find } else { head::find_of_tokens };
    match find(graph, shapes, Some(&port.name)) {
        Err(error) => found.none = Some(error.to_string()),
        Ok(at) => {
            let sequence = match seen.and_then(|seen| seen.shapes.shape(graph, &at)) {
                Some([_, _, features]) if !is_image => Some(*features),
                _ => None,
            };
            found.over_tokens = sequence.is_some();
            let features = match sequence {
                Some(features) => Some(Ok((features, false))),
                None => seen.map(|seen| head::features(graph, seen.shapes, &at)),
            };
            match features {
                Some(Ok((count, averaged))) => {
                    (found.features, found.averaged) = (Some(count), averaged);
                }
                Some(Err(error)) => found.none = Some(error.to_string()),
                None => {}
            }
            let below = graph.ancestors([at.as_str()]);
            let above = graph.ancestors([port.name.as_str()]);
            let cut: Vec<&Node> = above
                .difference(&below)
                .map(|&index| &graph.nodes[index])
                .filter(|node| node.writes().all(|name| root(graph, name).is_none()))
                .collect();
            let is_softmax = |node: &&Node| node.op.ends_with("Softmax");
            found.maybe_features =
                cut.first().is_some_and(|node| node.op == "Conv") && !cut.iter().any(is_softmax);
            found.cut_off = cut.iter().map(|node| node.name.clone()).collect();
            found.at = Some(at);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tensor::elements;
    use super::*;

    fn graph() -> Graph {
        let nodes = vec![
            Node::new("net/stem/conv", "Conv", &["x", "w1"], "a"),
            Node::new("net/stem/norm", "BatchNormalization", &["a", "g", "s", "m", "v"], "b"),
            Node::new("net/block/one", "Conv", &["b", "w2"], "c"),
            Node::new("net/block/two", "Relu", &["c"], "d"),
            Node::new("net/gap", "GlobalAveragePool", &["d"], "e"),
            Node::new("net/flat", "Flatten", &["e"], "f"),
            Node::new("net/fc", "Gemm", &["f", "w3"], "y"),
        ];
        let constants: [(&str, &[usize]); 7] = [
            ("w1", &[4, 1, 3, 3]),
            ("w2", &[4, 4, 1, 1]),
            ("w3", &[4, 2]),
            ("g", &[4]),
            ("s", &[4]),
            ("m", &[4]),
            ("v", &[4]),
        ];
        let zeros = |(name, dims): (&str, &[usize])| {
            (name.to_owned(), Tensor::f32(dims, vec![0.0; elements(dims)]))
        };
        Graph {
            opset: 18,
            inputs: vec![Port::batch_of_floats("x", &[1, 8, 8])],
            outputs: vec![Port::named("y")],
            nodes,
            initializers: constants.into_iter().map(zeros).collect(),
            ..Graph::default()
        }
    }

    #[test]
    fn scopes_are_one_layer_and_nothing_is_counted_twice() {
        let found = layers(&graph(), None);
        let told: Vec<(&str, &str, usize)> =
            found.iter().map(|l| (l.name.as_str(), l.operators.as_str(), l.parameters)).collect();
        let expected = [
            ("net/stem", "Conv", 36 + 8),
            ("net/block", "Conv", 16),
            ("net/gap", "GlobalAveragePool", 0),
            ("net/fc", "Gemm", 8),
        ];
        assert_eq!(told, expected);
        let sum = |layers: &[Layer]| layers.iter().map(|layer| layer.parameters).sum::<usize>();
        assert_eq!(sum(&every_node(&graph(), None)), sum(&found));
    }

    #[test]
    fn a_head_is_told_with_what_it_would_replace() {
        let found = heads(&graph(), None);
        assert_eq!(
            (found[0].at.as_deref(), &found[0].cut_off[..]),
            (Some("f"), &["net/fc".into()][..])
        );
    }
}
