//! Finding a layer by the name a person gives it.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Graph, Node};

/// Why a name is no layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoLayer {
    /// Nothing is called so.
    Unknown,
    /// A scope with several exits: these tensors leave it.
    ManyExits(Vec<String>),
}

/// The tensor that a name stands for: an alias, a tensor, a node (its first output), or a scope
/// (`/layer1`, `block1`) whose nodes hand one tensor to the rest of the model.
pub fn resolve(
    graph: &Graph,
    aliases: &BTreeMap<String, String>,
    name: &str,
) -> Result<String, NoLayer> {
    if let Some(target) = aliases.get(name).filter(|target| *target != name) {
        return resolve(graph, &BTreeMap::new(), target);
    }
    if graph.has_tensor(name) {
        return Ok(name.to_owned());
    }
    if let Some(node) = graph.nodes.iter().find(|node| node.name == name) {
        return Ok(node.output().to_owned());
    }
    let mut exits = scope_exits(graph, name);
    match exits.len() {
        0 => Err(NoLayer::Unknown),
        1 => Ok(exits.remove(0)),
        _ => Err(NoLayer::ManyExits(exits)),
    }
}

/// Tensors made inside a scope and read outside of it (or leaving the model).
fn scope_exits(graph: &Graph, scope: &str) -> Vec<String> {
    let prefix = format!("{}/", scope.trim_end_matches('/'));
    let inside = |node: &Node| node.name.starts_with(&prefix);
    let made: BTreeSet<&str> =
        graph.nodes.iter().filter(|node| inside(node)).flat_map(Node::writes).collect();
    let mut wanted: BTreeSet<&str> =
        graph.nodes.iter().filter(|node| !inside(node)).flat_map(Node::reads).collect();
    wanted.extend(graph.outputs.iter().map(|port| port.name.as_str()));
    made.intersection(&wanted).map(|&name| name.to_owned()).collect()
}

/// Names worth offering: scopes with one exit and tensors of weighted or pooling nodes.
pub fn candidates(graph: &Graph) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for node in &graph.nodes {
        if let Some((scope, _)) = node.name.trim_start_matches('/').split_once('/') {
            let scope = match node.name.starts_with('/') {
                true => format!("/{scope}"),
                false => scope.to_owned(),
            };
            if !names.contains(&scope) && scope_exits(graph, &scope).len() == 1 {
                names.push(scope);
            }
        }
    }
    let telling = ["Conv", "Gemm", "MatMul", "GlobalAveragePool", "Flatten", "Relu", "Add"];
    for node in graph.nodes.iter().filter(|node| telling.contains(&node.op.as_str())) {
        names.push(node.output().to_owned());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::graph::Port;
    use super::*;

    fn graph() -> Graph {
        Graph {
            opset: 18,
            inputs: vec![Port::named("x")],
            outputs: vec![Port::named("y")],
            nodes: vec![
                Node::new("/layer1/a", "Relu", &["x"], "t1"),
                Node::new("/layer1/b", "Relu", &["t1"], "t2"),
                Node::new("/layer2/a", "Relu", &["t2"], "t3"),
                Node::new("/layer2/b", "Relu", &["t3"], "t4"),
                Node::new("last", "Add", &["t3", "t4"], "y"),
            ],
            ..Graph::default()
        }
    }

    fn find(name: &str) -> Result<String, NoLayer> {
        let aliases = BTreeMap::from([("middle".to_owned(), "/layer1".to_owned())]);
        resolve(&graph(), &aliases, name)
    }

    #[test]
    fn a_layer_is_a_tensor_a_node_a_scope_or_an_alias() {
        assert_eq!(find("t3"), Ok("t3".into()));
        assert_eq!(find("/layer2/b"), Ok("t4".into()));
        assert_eq!(find("/layer1"), Ok("t2".into()));
        assert_eq!(find("middle"), Ok("t2".into()));
    }

    #[test]
    fn a_scope_with_two_exits_is_told_with_both() {
        assert_eq!(find("/layer2"), Err(NoLayer::ManyExits(vec!["t3".into(), "t4".into()])));
        assert_eq!(find("/layer9"), Err(NoLayer::Unknown));
    }
}
