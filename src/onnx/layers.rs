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
/// (`/layer1`, `block1`, `layer1.0`) whose nodes hand one tensor to the rest of the model.
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

/// Whether a node's name lies in a scope: `/layer1/relu` and `layer1.0.conv` lie in `/layer1` and
/// in `layer1`, and the latter in `layer1.0` as well.
pub fn is_inside(scope: &str, node: &str) -> bool {
    let rest = node.strip_prefix(scope.trim_end_matches(SEPARATORS));
    rest.is_some_and(|rest| rest.starts_with(SEPARATORS))
}

/// What separates a scope from what lies in it.
const SEPARATORS: [char; 2] = ['/', '.'];

/// Tensors made inside a scope and read outside of it (or leaving the model).
pub fn scope_exits(graph: &Graph, scope: &str) -> Vec<String> {
    let inside = |node: &Node| is_inside(scope, &node.name);
    let made: BTreeSet<&str> =
        graph.nodes.iter().filter(|node| inside(node)).flat_map(Node::writes).collect();
    let mut wanted: BTreeSet<&str> =
        graph.nodes.iter().filter(|node| !inside(node)).flat_map(Node::reads).collect();
    wanted.extend(graph.outputs.iter().map(|port| port.name.as_str()));
    made.intersection(&wanted).map(|&name| name.to_owned()).collect()
}

/// The scope right below `within` (empty for the whole model) that a node's name lies in.
pub fn scope_below<'a>(within: &str, node: &'a str) -> Option<&'a str> {
    if !within.is_empty() && !is_inside(within, node) {
        return None;
    }
    let from = within.trim_end_matches(SEPARATORS).len();
    let rest = &node[from..];
    let start = rest.len() - rest.trim_start_matches(SEPARATORS).len();
    // Only a leading separator belongs to a name of the whole model.
    let end = rest[start..].find(SEPARATORS)?;
    Some(&node[..from + start + end])
}

/// The scope that all nodes share, if there is one: names below it tell more.
pub fn common_scope(graph: &Graph) -> String {
    let mut common = String::new();
    loop {
        let mut scopes = graph.nodes.iter().map(|node| scope_below(&common, &node.name));
        match scopes.next().flatten() {
            Some(first) if scopes.all(|scope| scope == Some(first)) => {
                first.clone_into(&mut common);
            }
            _ => return common,
        }
    }
}

/// Names worth offering: scopes with one exit and tensors of weighted or pooling nodes.
pub fn candidates(graph: &Graph) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let common = common_scope(graph);
    for node in &graph.nodes {
        if let Some(scope) = scope_below(&common, &node.name)
            && !names.iter().any(|name| name == scope)
            && scope_exits(graph, scope).len() == 1
        {
            names.push(scope.to_owned());
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
    fn dots_separate_scopes_too() {
        let mut dotted = graph();
        for node in &mut dotted.nodes {
            node.name = node.name.trim_start_matches('/').replace('/', ".0.");
        }
        let find = |name: &str| resolve(&dotted, &BTreeMap::new(), name);
        assert_eq!(find("layer1"), Ok("t2".into()));
        assert_eq!(find("layer1.0"), Ok("t2".into()));
        assert_eq!(find("layer"), Err(NoLayer::Unknown));
    }

    #[test]
    fn scopes_are_told_below_what_all_share() {
        assert_eq!(common_scope(&graph()), "");
        assert_eq!(scope_below("", "/layer1/a"), Some("/layer1"));
        assert_eq!(scope_below("", "last"), None);
        assert_eq!(scope_below("net", "net/block1/conv/W"), Some("net/block1"));
        let mut wrapped = graph();
        wrapped.nodes.pop();
        wrapped.outputs = vec![Port::named("t3"), Port::named("t4")];
        for node in &mut wrapped.nodes {
            node.name = format!("net{}", node.name);
        }
        assert_eq!(common_scope(&wrapped), "net");
        assert!(candidates(&wrapped).contains(&"net/layer1".to_owned()));
    }

    #[test]
    fn a_scope_with_two_exits_is_told_with_both() {
        assert_eq!(find("/layer2"), Err(NoLayer::ManyExits(vec!["t3".into(), "t4".into()])));
        assert_eq!(find("/layer9"), Err(NoLayer::Unknown));
    }
}
