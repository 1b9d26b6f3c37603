//! Which constants of a model are parameters, and what each is for.

use std::collections::BTreeSet;

use super::graph::{Graph, Node};
use super::head::is_weighted;

/// What a parameter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Multiplies its input and sums: fan-in and fan-out as in Glorot & Bengio (2010).
    Weight {
        /// Inputs that one output sums over.
        fan_in: usize,
        /// Outputs that one input reaches.
        fan_out: usize,
    },
    /// Added.
    Bias,
    /// Multiplied per channel.
    Scale,
    /// Running mean of a `BatchNormalization`; a statistic, never trained.
    Mean,
    /// Running variance of a `BatchNormalization`; a statistic, never trained.
    Variance,
}

impl Role {
    /// Whether gradients change it.
    pub fn is_trained(self) -> bool {
        !matches!(self, Role::Mean | Role::Variance)
    }
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Name of the constant.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Position of the node that uses it.
    pub node: usize,
}

/// All parameters, in the order of the nodes that use them first. Constants that are none
/// (shapes, clip bounds, normalisation of the input) are left out.
pub fn parameters(graph: &Graph) -> Vec<Parameter> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut weighted: BTreeSet<&str> = BTreeSet::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let after_weights = node.reads().any(|name| weighted.contains(name));
        for (position, role) in roles(graph, node, after_weights) {
            let Some(name) = node.input(position).and_then(|name| root(graph, name)) else {
                continue;
            };
            if seen.insert(name) {
                found.push(Parameter { name: name.to_owned(), role, node: index });
            }
        }
        if after_weights || is_weighted(graph, node) || table(graph, node).is_some() {
            weighted.extend(node.writes());
        }
    }
    found
}

/// The constant that a tensor is, perhaps behind nodes that only change its layout.
pub fn root<'a>(graph: &'a Graph, tensor: &'a str) -> Option<&'a str> {
    if let Some(constant) = graph.initializers.get(tensor) {
        return constant.floats().map(|_| tensor);
    }
    let node = graph.producer(tensor)?;
    let layout =
        ["Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Flatten", "Cast", "Expand"];
    layout.contains(&node.op.as_str()).then(|| root(graph, node.input(0)?))?
}

fn roles(graph: &Graph, node: &Node, after_weights: bool) -> Vec<(usize, Role)> {
    match node.op.as_str() {
        "BatchNormalization" => {
            vec![(1, Role::Scale), (2, Role::Bias), (3, Role::Mean), (4, Role::Variance)]
        }
        "LayerNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "RMSNormalization" => vec![(1, Role::Scale), (2, Role::Bias)],
        "PRelu" => vec![(1, Role::Scale)],
        "Gather" => table(graph, node).map(|role| (0, role)).into_iter().collect(),
        // Something learned that is put beside the data, as the token of a class.
        "Concat" if after_weights => tokens(graph, node),
        "Conv" | "ConvTranspose" | "Gemm" | "MatMul" => {
            weight_role(graph, node).into_iter().chain([(2, Role::Bias)]).collect()
        }
        // A scale or shift written as plain arithmetic; before the first weights it would be
        // the normalisation of the input, which is no parameter.
        "Add" | "Sub" if after_weights => per_channel(graph, node, Role::Bias),
        "Mul" if after_weights => per_channel(graph, node, Role::Scale),
        _ => vec![],
    }
}

/// The role of a table of which rows are taken by index, as embeddings are.
fn table(graph: &Graph, node: &Node) -> Option<Role> {
    if node.op != "Gather" || node.int("axis").unwrap_or(0) != 0 {
        return None;
    }
    match graph.initializers[root(graph, node.input(0)?)?].dims[..] {
        [rows, width] if rows > 1 && width > 1 => {
            Some(Role::Weight { fan_in: width, fan_out: width })
        }
        _ => None,
    }
}

/// Constants that are put beside the data, but for zeros, which are padding.
fn tokens(graph: &Graph, node: &Node) -> Vec<(usize, Role)> {
    let is_token = |position: &usize| {
        let constant = node.input(*position).and_then(|name| root(graph, name));
        let values = constant.and_then(|name| graph.initializers[name].floats());
        values.is_some_and(|values| values.iter().any(|value| *value != 0.0))
    };
    (0..node.inputs.len()).filter(is_token).map(|position| (position, Role::Bias)).collect()
}

fn per_channel(graph: &Graph, node: &Node, role: Role) -> Vec<(usize, Role)> {
    let is_vector = |position: &usize| {
        let name = node.input(*position).and_then(|name| root(graph, name));
        name.is_some_and(|name| graph.initializers[name].len() > 1)
    };
    (0..2).filter(is_vector).map(|position| (position, role)).collect()
}

/// Which input holds the weights, with its fans (groups are counted within).
fn weight_role(graph: &Graph, node: &Node) -> Option<(usize, Role)> {
    let dims = |position: usize| {
        let name = root(graph, node.input(position)?)?;
        Some(graph.initializers[name].dims.clone())
    };
    let groups = node.int("group").unwrap_or(1).max(1) as usize;
    let (position, fan_in, fan_out) = match node.op.as_str() {
        "Conv" => match dims(1)?.as_slice() {
            [out, per_group, kernel @ ..] => {
                let taps: usize = kernel.iter().product();
                (1, per_group * taps, out / groups * taps)
            }
            _ => return None,
        },
        "ConvTranspose" => match dims(1)?.as_slice() {
            [into, per_group, kernel @ ..] => {
                let taps: usize = kernel.iter().product();
                (1, into / groups * taps, per_group * taps)
            }
            _ => return None,
        },
        "Gemm" => match (dims(1)?.as_slice(), node.int("transB").unwrap_or(0)) {
            ([out, into], 1) | ([into, out], _) => (1, *into, *out),
            _ => return None,
        },
        // Constant on the right as K × M, or on the left as M × K.
        _ => match (dims(1), dims(0)) {
            (Some(right), _) if right.len() >= 2 => {
                (1, right[right.len() - 2], right[right.len() - 1])
            }
            (_, Some(left)) if left.len() >= 2 => (0, left[left.len() - 1], left[left.len() - 2]),
            _ => return None,
        },
    };
    Some((position, Role::Weight { fan_in, fan_out }))
}

#[cfg(test)]
mod tests {
    use super::super::graph::Port;
    use super::super::tensor::{Tensor, elements};
    use super::*;

    fn graph(nodes: Vec<Node>, constants: &[(&str, &[usize])]) -> Graph {
        let zeros = |(name, dims): &(&str, &[usize])| {
            ((*name).to_owned(), Tensor::f32(dims, vec![0.0; elements(dims)]))
        };
        Graph {
            opset: 18,
            inputs: vec![Port::named("x")],
            nodes,
            initializers: constants.iter().map(zeros).collect(),
            ..Graph::default()
        }
    }

    fn role_of(graph: &Graph, name: &str) -> Option<Role> {
        let found = parameters(graph);
        found.iter().find(|parameter| parameter.name == name).map(|parameter| parameter.role)
    }

    #[test]
    fn fans_follow_the_layout_of_each_operator() {
        let conv = graph(vec![Node::new("c", "Conv", &["x", "w"], "y")], &[("w", &[16, 3, 3, 3])]);
        assert_eq!(role_of(&conv, "w"), Some(Role::Weight { fan_in: 27, fan_out: 144 }));
        let depthwise = Node::new("c", "Conv", &["x", "w"], "y").with("group", 8_i64);
        let depthwise = graph(vec![depthwise], &[("w", &[8, 1, 3, 3])]);
        assert_eq!(role_of(&depthwise, "w"), Some(Role::Weight { fan_in: 9, fan_out: 9 }));
        let gemm = Node::new("g", "Gemm", &["x", "w", "b"], "y").with("transB", 1_i64);
        let gemm = graph(vec![gemm], &[("w", &[10, 512]), ("b", &[10])]);
        assert_eq!(role_of(&gemm, "w"), Some(Role::Weight { fan_in: 512, fan_out: 10 }));
        assert_eq!(role_of(&gemm, "b"), Some(Role::Bias));
        let matmul = graph(vec![Node::new("m", "MatMul", &["x", "w"], "y")], &[("w", &[512, 10])]);
        assert_eq!(role_of(&matmul, "w"), Some(Role::Weight { fan_in: 512, fan_out: 10 }));
    }

    #[test]
    fn normalisation_of_the_input_is_no_parameter() {
        let nodes = vec![
            Node::new("shift", "Sub", &["x", "mean"], "a"),
            Node::new("conv", "Conv", &["a", "w"], "b"),
            Node::new("bias", "Add", &["b", "u"], "y"),
        ];
        let constants: [(&str, &[usize]); 3] =
            [("mean", &[3, 1, 1]), ("w", &[4, 3, 1, 1]), ("u", &[4, 1, 1])];
        let graph = graph(nodes, &constants);
        let names: Vec<String> = parameters(&graph).into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["w", "u"]);
    }

    #[test]
    fn tables_normalisations_and_class_tokens_are_found_but_no_padding() {
        let nodes = vec![
            Node::new("words", "Gather", &["table", "x"], "a"),
            Node::new("norm", "LayerNormalization", &["a", "g", "s"], "b"),
            Node::new("dense", "MatMul", &["b", "w"], "c"),
            Node::new("wide", "Expand", &["token", "shape"], "t"),
            Node::new("with", "Concat", &["t", "c", "zeros"], "y"),
        ];
        let constants: [(&str, &[usize]); 6] = [
            ("table", &[9, 4]),
            ("g", &[4]),
            ("s", &[4]),
            ("w", &[4, 4]),
            ("token", &[1, 1, 4]),
            ("zeros", &[1, 1, 4]),
        ];
        let mut graph = graph(nodes, &constants);
        graph.initializers.insert("token".into(), Tensor::f32(&[1, 1, 4], vec![0.5; 4]));
        graph.initializers.insert("shape".into(), Tensor::i64(&[2, 1, 4]));
        let names: Vec<String> = parameters(&graph).into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["table", "g", "s", "w", "token"]);
    }

    #[test]
    fn weights_behind_a_transpose_are_found() {
        let nodes = vec![
            Node::new("t", "Transpose", &["w"], "wt"),
            Node::new("m", "MatMul", &["x", "wt"], "y"),
        ];
        let graph = graph(nodes, &[("w", &[10, 512])]);
        assert!(matches!(role_of(&graph, "w"), Some(Role::Weight { .. })));
    }
}
