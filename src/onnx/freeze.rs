//! Which parameters stay as they are, and where a model splits into the part that never changes
//! and the part that learns.

use std::collections::BTreeSet;

use super::graph::{FLOAT, Graph, Port};
use super::head::is_weighted;
use super::parameters::{Parameter, parameters, root};

/// A stretch of a model's body between two places where one tensor is live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The tensor it ends in.
    pub end: String,
    /// Operators with weights in it.
    pub weighted: usize,
}

/// The groups of a body that ends in `end`, from the input on. Each begins with an operator that
/// has weights and takes what follows it (normalisation, activation, pooling) along; a residual
/// block is one group, since two tensors are live inside.
pub fn groups(graph: &Graph, end: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (tensor, nodes) in narrow_places(graph, end) {
        let weighted = nodes.iter().filter(|&&n| is_weighted(graph, &graph.nodes[n])).count();
        match groups.last_mut() {
            _ if weighted > 0 => groups.push(Group { end: tensor, weighted }),
            Some(last) => last.end = tensor,
            None => {}
        }
    }
    groups
}

/// Tensors that alone carry everything on to `end`, each with the nodes since the one before.
fn narrow_places(graph: &Graph, end: &str) -> Vec<(String, Vec<usize>)> {
    let body: Vec<usize> = graph.ancestors([end]).into_iter().collect();
    let fed: BTreeSet<&str> = graph.inputs.iter().map(|port| port.name.as_str()).collect();
    let mut carries: BTreeSet<&str> = fed.clone();
    let mut live: BTreeSet<&str> = fed;
    let mut since = Vec::new();
    let mut places = Vec::new();
    for (step, &index) in body.iter().enumerate() {
        let node = &graph.nodes[index];
        since.push(index);
        if !node.reads().any(|name| carries.contains(name)) {
            continue;
        }
        carries.extend(node.writes());
        live.extend(node.writes());
        let later = &body[step + 1..];
        live.retain(|name| {
            *name == end || later.iter().any(|&n| graph.nodes[n].reads().any(|r| r == *name))
        });
        if let [only] = live.iter().copied().collect::<Vec<_>>()[..] {
            places.push((only.to_owned(), std::mem::take(&mut since)));
        }
    }
    places
}

/// A model split by what learns.
#[derive(Clone, Debug)]
pub struct Divided {
    /// Parameters that learn, in order.
    pub trained: Vec<Parameter>,
    /// Constants that must come out of training bit for bit as they went in.
    pub frozen: Vec<String>,
    /// Tensors that pass from the frozen part to the part that learns; the model's own input if
    /// nothing is frozen.
    pub cuts: Vec<String>,
    /// The part that learns: from `cuts` to the model's outputs.
    pub suffix: Graph,
    /// Whether running statistics in the part that learns may follow the batches.
    pub moves_statistics: bool,
}

/// What of the part that is not frozen learns.
pub struct Learning<'a> {
    /// Which parameters.
    pub learns: &'a dyn Fn(&Parameter) -> bool,
    /// Whether running statistics of normalisations may follow the batches.
    pub moves_statistics: bool,
}

impl Learning<'_> {
    /// Everything.
    pub const ALL: Learning<'static> = Learning { learns: &|_| true, moves_statistics: true };
}

/// The end of the last group below which nothing learns, if any: freezing up to there changes
/// nothing, and what lies below needs to be computed but once for each item.
pub fn still_until(
    graph: &Graph,
    end: &str,
    learns: &dyn Fn(&Parameter) -> bool,
) -> Option<String> {
    let all = parameters(graph);
    let learning: BTreeSet<&str> =
        all.iter().filter(|p| p.role.is_trained() && learns(p)).map(|p| p.name.as_str()).collect();
    let mut seen = BTreeSet::new();
    let mut is_still = |group: &Group| {
        let below = graph.ancestors([group.end.as_str()]);
        let new: Vec<usize> = below.difference(&seen).copied().collect();
        seen.extend(&new);
        let mut read = new.iter().flat_map(|&index| graph.nodes[index].reads());
        !read.any(|name| root(graph, name).is_some_and(|name| learning.contains(name)))
    };
    groups(graph, end).into_iter().take_while(|group| is_still(group)).last().map(|group| group.end)
}

/// Freezes every parameter that `until` depends on (nothing if `None`) and splits the model.
pub fn divide(graph: &Graph, until: Option<&str>) -> Divided {
    divide_by(graph, until, &Learning::ALL)
}

/// The same where only a choice of what is not frozen learns.
pub fn divide_by(graph: &Graph, until: Option<&str>, choice: &Learning<'_>) -> Divided {
    let below = until.map(|tensor| graph.ancestors([tensor])).unwrap_or_default();
    let all = parameters(graph);
    let frozen_names: BTreeSet<&str> = below
        .iter()
        .flat_map(|&index| graph.nodes[index].reads().filter_map(|name| root(graph, name)))
        .collect();
    let learns = |p: &&Parameter| {
        p.role.is_trained() && !frozen_names.contains(p.name.as_str()) && (choice.learns)(p)
    };
    let trained: Vec<Parameter> = all.iter().filter(learns).cloned().collect();
    let learning = learning_nodes(graph, &trained);
    let cuts = cuts(graph, &below);
    let ports: Vec<Port> = cuts.iter().map(|name| port(graph, name)).collect();
    let suffix = graph.part(&ports, &graph.outputs);
    let moving: BTreeSet<&str> = trained
        .iter()
        .map(|parameter| parameter.name.as_str())
        .chain(statistics(&all, &learning).filter(|_| choice.moves_statistics))
        .collect();
    let frozen =
        graph.initializers.keys().filter(|n| !moving.contains(n.as_str())).cloned().collect();
    let moves_statistics = choice.moves_statistics;
    Divided { trained, frozen, cuts, suffix, moves_statistics }
}

/// Running statistics of normalisations in the part that learns; they move too.
fn statistics<'a>(
    all: &'a [Parameter],
    learning: &'a BTreeSet<usize>,
) -> impl Iterator<Item = &'a str> {
    all.iter()
        .filter(|parameter| !parameter.role.is_trained() && learning.contains(&parameter.node))
        .map(|parameter| parameter.name.as_str())
}

/// Nodes whose output depends on a parameter that learns.
fn learning_nodes(graph: &Graph, trained: &[Parameter]) -> BTreeSet<usize> {
    let mut moving: BTreeSet<&str> = trained.iter().map(|p| p.name.as_str()).collect();
    let mut learning = BTreeSet::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        if node.reads().any(|name| moving.contains(name)) {
            learning.insert(index);
            moving.extend(node.writes());
        }
    }
    learning
}

/// What nodes outside the frozen part read of it or of the model's input.
fn cuts(graph: &Graph, frozen: &BTreeSet<usize>) -> Vec<String> {
    let mut data: BTreeSet<&str> = graph.inputs.iter().map(|port| port.name.as_str()).collect();
    for node in &graph.nodes {
        if node.reads().any(|name| data.contains(name)) {
            data.extend(node.writes());
        }
    }
    let producers = graph.producers();
    let outside = |name: &&str| {
        data.contains(name) && producers.get(name).is_none_or(|index| frozen.contains(index))
    };
    let mut cuts: Vec<String> = Vec::new();
    let needed = graph.ancestors(graph.outputs.iter().map(|port| port.name.as_str()));
    for index in needed.difference(frozen).copied() {
        for name in graph.nodes[index].reads().filter(outside) {
            if !cuts.iter().any(|known| known == name) {
                cuts.push(name.to_owned());
            }
        }
    }
    cuts
}

fn port(graph: &Graph, name: &str) -> Port {
    let given = graph.inputs.iter().find(|port| port.name == name).cloned();
    given.unwrap_or(Port { name: name.to_owned(), kind: FLOAT, dims: None })
}

#[cfg(test)]
mod tests {
    use super::super::graph::Node;
    use super::super::tensor::{Tensor, elements};
    use super::*;

    /// x → conv1 → relu → [conv2 → (+ skip)] → conv3 → pool → flat → head
    fn residual() -> Graph {
        let nodes = vec![
            Node::new("conv1", "Conv", &["x", "w1"], "a"),
            Node::new("relu1", "Relu", &["a"], "b"),
            Node::new("conv2", "Conv", &["b", "w2"], "c"),
            Node::new("norm2", "BatchNormalization", &["c", "g", "s", "m", "v"], "d"),
            Node::new("add", "Add", &["d", "b"], "e"),
            Node::new("conv3", "Conv", &["e", "w3"], "f"),
            Node::new("pool", "GlobalAveragePool", &["f"], "p"),
            Node::new("flat", "Flatten", &["p"], "q"),
            Node::new("head", "Gemm", &["q", "wh", "bh"], "y"),
        ];
        let dims: [(&str, &[usize]); 9] = [
            ("w1", &[4, 1, 3, 3]),
            ("w2", &[4, 4, 3, 3]),
            ("g", &[4]),
            ("s", &[4]),
            ("m", &[4]),
            ("v", &[4]),
            ("w3", &[4, 4, 3, 3]),
            ("wh", &[4, 2]),
            ("bh", &[2]),
        ];
        let zeros = |(name, dims): (&str, &[usize])| {
            (name.to_owned(), Tensor::f32(dims, vec![0.0; elements(dims)]))
        };
        Graph {
            opset: 18,
            inputs: vec![Port::batch_of_floats("x", &[1, 8, 8])],
            outputs: vec![Port::named("y")],
            nodes,
            initializers: dims.into_iter().map(zeros).collect(),
            ..Graph::default()
        }
    }

    #[test]
    fn a_residual_block_is_one_group() {
        let ends: Vec<String> = groups(&residual(), "q").into_iter().map(|g| g.end).collect();
        assert_eq!(ends, ["b", "e", "q"]);
    }

    fn names(trained: &[Parameter]) -> Vec<&str> {
        trained.iter().map(|parameter| parameter.name.as_str()).collect()
    }

    #[test]
    fn freezing_until_a_tensor_freezes_what_it_depends_on() {
        let divided = divide(&residual(), Some("e"));
        assert_eq!(names(&divided.trained), ["w3", "wh", "bh"]);
        assert_eq!(divided.frozen, ["g", "m", "s", "v", "w1", "w2"]);
        assert_eq!(divided.cuts, ["e"]);
        assert_eq!(divided.suffix.nodes.len(), 4);
    }

    #[test]
    fn a_cut_inside_a_block_passes_two_tensors() {
        let divided = divide(&residual(), Some("c"));
        assert_eq!(divided.cuts, ["c", "b"]);
        assert_eq!(names(&divided.trained), ["g", "s", "w3", "wh", "bh"]);
    }

    #[test]
    fn a_choice_of_parameters_leaves_the_others_and_their_statistics_frozen() {
        let biases = |p: &Parameter| matches!(p.role, super::super::parameters::Role::Bias);
        let choice = Learning { learns: &biases, moves_statistics: false };
        let divided = divide_by(&residual(), None, &choice);
        assert_eq!(names(&divided.trained), ["s", "bh"]);
        assert_eq!(divided.frozen, ["g", "m", "v", "w1", "w2", "w3", "wh"]);
        assert_eq!(divided.cuts, ["x"]);
    }

    #[test]
    fn what_lies_below_all_that_learns_is_found() {
        let until =
            |names: &[&str]| still_until(&residual(), "q", &|p| names.contains(&p.name.as_str()));
        assert_eq!(until(&["w1"]), None);
        assert_eq!(until(&["s"]), Some("b".to_owned()));
        assert_eq!(until(&["w3"]), Some("e".to_owned()));
        assert_eq!(until(&["wh"]), Some("q".to_owned()));
    }

    #[test]
    fn freezing_nothing_starts_at_the_input() {
        let divided = divide(&residual(), None);
        assert_eq!(divided.cuts, ["x"]);
        assert_eq!(divided.frozen, [""; 0]);
    }
}
