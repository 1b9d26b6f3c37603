//! Nodes in an order in which each comes after those it reads. ONNX asks for one; some exporters
//! write none.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::Node;

/// Why there is no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoOrder {
    /// A node reads what nothing makes.
    Unmade {
        /// The node.
        node: String,
        /// What it reads.
        tensor: String,
    },
    /// Nodes that need each other.
    Cycle(Vec<String>),
}

/// The nodes, each after those it reads; of several that could come next, the one that came first
/// before. `known` are the tensors that are there without any node.
pub fn sorted(nodes: Vec<Node>, known: &BTreeSet<String>) -> Result<Vec<Node>, NoOrder> {
    let makers: BTreeMap<String, usize> = nodes
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.writes().map(move |name| (name.to_owned(), index)))
        .collect();
    let mut readers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut missing: Vec<usize> = vec![0; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        for tensor in node.reads().filter(|name| !known.contains(*name)) {
            let unmade = || NoOrder::Unmade { node: node.name.clone(), tensor: tensor.to_owned() };
            readers.entry(*makers.get(tensor).ok_or_else(unmade)?).or_default().push(index);
            missing[index] += 1;
        }
    }
    let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|&i| missing[i] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(next) = ready.pop_first() {
        order.push(next);
        for &reader in readers.get(&next).into_iter().flatten() {
            missing[reader] -= 1;
            if missing[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    if order.len() < nodes.len() {
        let left = nodes.iter().zip(&missing).filter(|(_, missing)| **missing > 0);
        return Err(NoOrder::Cycle(left.map(|(node, _)| node.name.clone()).collect()));
    }
    let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|index| nodes[index].take()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(nodes: Vec<Node>) -> Result<Vec<String>, NoOrder> {
        let sorted = sorted(nodes, &BTreeSet::from(["x".to_owned()]))?;
        Ok(sorted.into_iter().map(|node| node.name).collect())
    }

    #[test]
    fn nodes_come_after_those_they_read() {
        let nodes = vec![
            Node::new("last", "Add", &["b", "a"], "c"),
            Node::new("second", "Relu", &["a"], "b"),
            Node::new("first", "Relu", &["x"], "a"),
            Node::new("aside", "Relu", &["x"], "d"),
        ];
        assert_eq!(order(nodes).unwrap(), ["first", "second", "last", "aside"]);
    }

    #[test]
    fn an_order_that_is_right_stays() {
        let nodes = ["t1", "t2"].map(|name| Node::new(name, "Relu", &["x"], name)).to_vec();
        assert_eq!(order(nodes).unwrap(), ["t1", "t2"]);
    }

    #[test]
    fn what_has_no_order_is_told() {
        let unmade = vec![Node::new("odd", "Relu", &["y"], "z")];
        let told = NoOrder::Unmade { node: "odd".into(), tensor: "y".into() };
        assert_eq!(order(unmade).unwrap_err(), told);
        let round =
            vec![Node::new("one", "Add", &["x", "b"], "a"), Node::new("two", "Relu", &["a"], "b")];
        assert_eq!(order(round).unwrap_err(), NoOrder::Cycle(vec!["one".into(), "two".into()]));
    }
}
