//! Which parameters stay as they are, and where a model splits into the part that never changes
//! and the part that learns.

use std::collections::BTreeSet;

use super::graph::{FLOAT, Graph, Node, Port};
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
/// has weights (or looks up token ids in a table) and takes what follows it (normalisation,
/// activation, pooling) along; a residual block is one group, since two tensors are live inside.
pub fn groups(graph: &Graph, end: &str) -> Vec<Group> {
    let flow = Flow::of(graph);
    let mut groups: Vec<Group> = Vec::new();
    for (tensor, nodes) in narrow_places(graph, end, &flow) {
        let begins = |node: &Node| is_weighted(graph, node) || flow.looks_up(graph, node);
        let weighted = nodes.iter().filter(|&&n| begins(&graph.nodes[n])).count();
        match groups.last_mut() {
            _ if weighted > 0 => groups.push(Group { end: tensor, weighted }),
            Some(last) => last.end = tensor,
            None => {}
        }
    }
    groups
}

/// Tensors that alone carry everything on to `end`, each with the nodes since the one before.
fn narrow_places(graph: &Graph, end: &str, flow: &Flow<'_>) -> Vec<(String, Vec<usize>)> {
    let body: Vec<usize> = graph.ancestors([end]).into_iter().collect();
    let fed: BTreeSet<&str> = match flow.side {
        // What is live beside the features (a mask, say) is computed from the inputs wherever it is
        // needed.
        true => BTreeSet::new(),
        false => graph.inputs.iter().map(|port| port.name.as_str()).collect(),
    };
    let mut carries: BTreeSet<&str> = fed.clone();
    let mut live: BTreeSet<&str> = fed;
    let mut since = Vec::new();
    let mut places = Vec::new();
    for (step, &index) in body.iter().enumerate() {
        let node = &graph.nodes[index];
        since.push(index);
        let is_on_the_way = match flow.side {
            true => node.writes().any(|name| flow.is_carried(name)),
            false => node.reads().any(|name| carries.contains(name)),
        };
        if !is_on_the_way {
            continue;
        }
        carries.extend(node.writes());
        live.extend(node.writes());
        let later = &body[step + 1..];
        live.retain(|name| {
            *name == end || later.iter().any(|&n| graph.nodes[n].reads().any(|r| r == *name))
        });
        // Other tokens or kinds are still to come in beside what is live.
        if later.iter().any(|&n| flow.looks_up(graph, &graph.nodes[n])) {
            continue;
        }
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
    /// Tensors that pass from the frozen part to the part that learns, and the model's own inputs
    /// that it reads.
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

/// Where values of items flow through a model.
struct Flow<'a> {
    /// Tensors that depend on the values of an input, not on shapes alone.
    data: BTreeSet<&'a str>,
    /// Tensors that depend on a parameter.
    learned: BTreeSet<&'a str>,
    /// Whether what depends on inputs alone (a mask beside the features, say) is computed anew
    /// wherever it is needed: in a model with several inputs, or with one of whole numbers.
    side: bool,
}

impl<'a> Flow<'a> {
    fn of(graph: &'a Graph) -> Self {
        let known: BTreeSet<String> = parameters(graph).into_iter().map(|p| p.name).collect();
        let mut data: BTreeSet<&str> = graph.inputs.iter().map(|port| port.name.as_str()).collect();
        let mut learned: BTreeSet<&str> = known
            .iter()
            .filter_map(|name| graph.initializers.get_key_value(name))
            .map(|(name, _)| name.as_str())
            .collect();
        for node in &graph.nodes {
            let about_shape = matches!(node.op.as_str(), "Shape" | "Size");
            if !about_shape && node.reads().any(|name| data.contains(name)) {
                data.extend(node.writes());
            }
            if node.reads().any(|name| learned.contains(name)) {
                learned.extend(node.writes());
            }
        }
        let side = graph.inputs.len() > 1 || graph.inputs.iter().any(|port| !port.is_float());
        Self { data, learned, side }
    }

    /// Whether a computed tensor is worth keeping for each item.
    fn is_carried(&self, name: &str) -> bool {
        self.data.contains(name) && (!self.side || self.learned.contains(name))
    }

    /// Whether a node takes rows of a table of parameters by the values of an input.
    fn looks_up(&self, graph: &Graph, node: &Node) -> bool {
        self.side
            && node.op == "Gather"
            && node.input(0).is_some_and(|name| root(graph, name).is_some())
            && node.input(1).is_some_and(|name| self.data.contains(name))
    }
}

/// What the part that learns reads of the frozen one or of the model's inputs. What depends on
/// shapes alone, or on inputs alone beside the features, is computed again.
fn cuts(graph: &Graph, frozen: &BTreeSet<usize>) -> Vec<String> {
    let flow = Flow::of(graph);
    let fed: BTreeSet<&str> = graph.inputs.iter().map(|port| port.name.as_str()).collect();
    let producers = graph.producers();
    let is_cut = |name: &str| {
        let from_frozen = producers.get(name).is_some_and(|index| frozen.contains(index));
        fed.contains(name) || (from_frozen && flow.is_carried(name))
    };
    let mut needed: BTreeSet<usize> = BTreeSet::new();
    let mut open: Vec<&str> = graph.outputs.iter().map(|port| port.name.as_str()).collect();
    while let Some(name) = open.pop() {
        let Some(&index) = producers.get(name).filter(|_| !is_cut(name)) else { continue };
        if needed.insert(index) {
            open.extend(graph.nodes[index].reads());
        }
    }
    let mut cuts: Vec<String> = Vec::new();
    for index in needed {
        for name in graph.nodes[index].reads().filter(|name| is_cut(name)) {
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
    use super::super::graph::INT64;
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

    fn names_of(trained: &[Parameter]) -> Vec<&str> {
        trained.iter().map(|parameter| parameter.name.as_str()).collect()
    }

    #[test]
    fn freezing_until_a_tensor_freezes_what_it_depends_on() {
        let divided = divide(&residual(), Some("e"));
        assert_eq!(names_of(&divided.trained), ["w3", "wh", "bh"]);
        assert_eq!(divided.frozen, ["g", "m", "s", "v", "w1", "w2"]);
        assert_eq!(divided.cuts, ["e"]);
        assert_eq!(divided.suffix.nodes.len(), 4);
    }

    #[test]
    fn a_cut_inside_a_block_passes_two_tensors() {
        let divided = divide(&residual(), Some("c"));
        assert_eq!(divided.cuts, ["c", "b"]);
        assert_eq!(names_of(&divided.trained), ["g", "s", "w3", "wh", "bh"]);
    }

    #[test]
    fn a_choice_of_parameters_leaves_the_others_and_their_statistics_frozen() {
        let biases = |p: &Parameter| matches!(p.role, super::super::parameters::Role::Bias);
        let choice = Learning { learns: &biases, moves_statistics: false };
        let divided = divide_by(&residual(), None, &choice);
        assert_eq!(names_of(&divided.trained), ["s", "bh"]);
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

    /// ids → words (+ kinds) → norm → scores above a mask of another input → head.
    fn masked() -> Graph {
        let nodes = vec![
            Node::new("words", "Gather", &["words.table", "ids"], "w"),
            Node::new("kinds", "Gather", &["kinds.table", "kinds"], "k"),
            Node::new("sum", "Add", &["w", "k"], "e"),
            Node::new("far", "Cast", &["mask"], "m").with("to", 1_i64),
            Node::new("up", "MatMul", &["e", "w1"], "u"),
            Node::new("hide", "Mul", &["u", "m"], "h"),
            Node::new("shape", "Shape", &["e"], "s"),
            Node::new("back", "Reshape", &["h", "s"], "r"),
            Node::new("skip", "Add", &["r", "e"], "f"),
            Node::new("down", "MatMul", &["f", "w2"], "g"),
            Node::new("hide again", "Mul", &["g", "m"], "y"),
        ];
        let dims =
            [("words.table", [9, 4]), ("kinds.table", [2, 4]), ("w1", [4, 4]), ("w2", [4, 4])];
        let zeros = |(name, dims): (&str, [usize; 2])| {
            (name.to_owned(), Tensor::f32(&dims, vec![0.0; elements(&dims)]))
        };
        let port = |name: &str| Port { kind: INT64, ..Port::batch_of_floats(name, &[3]) };
        Graph {
            opset: 18,
            inputs: ["ids", "kinds", "mask"].map(port).to_vec(),
            outputs: vec![Port::named("y")],
            nodes,
            initializers: dims.into_iter().map(zeros).collect(),
            ..Graph::default()
        }
    }

    #[test]
    fn embeddings_are_a_group_and_a_mask_beside_the_features_is_none() {
        let ends: Vec<String> = groups(&masked(), "y").into_iter().map(|g| g.end).collect();
        assert_eq!(ends, ["e", "f", "y"]);
    }

    #[test]
    fn what_depends_on_inputs_alone_is_computed_again_above_the_cut() {
        let divided = divide(&masked(), Some("f"));
        assert_eq!(divided.cuts, ["mask", "f"]);
        let names: Vec<&str> = divided.suffix.nodes.iter().map(|n| n.name.as_str()).collect();
        assert_eq!(names, ["far", "down", "hide again"]);
        assert_eq!(divided.suffix.inputs[0].kind, INT64);
        assert_eq!(names_of(&divided.trained), ["w2"]);
        assert_eq!(divide(&masked(), Some("e")).cuts, ["mask", "e"]);
    }

    #[test]
    fn freezing_nothing_starts_at_the_input() {
        let divided = divide(&residual(), None);
        assert_eq!(divided.cuts, ["x"]);
        assert_eq!(divided.frozen, [""; 0]);
    }
}
