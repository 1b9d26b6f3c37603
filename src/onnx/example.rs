//! Something to feed to a model of which nothing is known but its file.

use std::collections::BTreeSet;

use crate::base::{Seed, Stream};

use super::graph::{Graph, Port};
use super::parameters::root;
use super::runtime::{RuntimeError, Tensor as Value};
use super::tensor::{Shape, elements};

/// A value for each input: floats are normal, whole numbers are drawn from the rows of the tables they
/// choose from, or else are 0 and 1.
pub fn drawn(graph: &Graph, shapes: &[Shape], seed: Seed) -> Result<Vec<Value>, RuntimeError> {
    let value = |(port, shape): (&Port, &Shape)| {
        let mut stream = seed.stream("example", &port.name);
        match port.is_float() {
            true => Value::f32(shape, normal(&mut stream, elements(shape))),
            false => {
                let rows = table_rows(graph, &port.name).unwrap_or(2);
                let values = (0..elements(shape)).map(|_| stream.below(rows) as i64).collect();
                Value::whole(shape, port.kind, values)
            }
        }
    };
    graph.inputs.iter().zip(shapes).map(value).collect()
}

fn normal(stream: &mut Stream, length: usize) -> Vec<f32> {
    (0..length).map(|_| stream.normal() as f32).collect()
}

/// How many values an input of whole numbers may have: the rows of the smallest table in which it
/// looks something up, if there is one.
pub fn table_rows(graph: &Graph, input: &str) -> Option<usize> {
    let mut same: BTreeSet<&str> = BTreeSet::from([input]);
    let mut rows: Option<usize> = None;
    for node in &graph.nodes {
        let looks_up = node.op == "Gather" && node.input(1).is_some_and(|name| same.contains(name));
        let table = node.input(0).and_then(|name| root(graph, name));
        let table = table.and_then(|name| graph.initializers.get(name));
        if let Some(table) = table.filter(|_| looks_up) {
            let axis = node.int("axis").unwrap_or(0).rem_euclid(table.dims.len().max(1) as i64);
            let extent = table.dims.get(axis as usize).copied().unwrap_or(1);
            rows = Some(rows.map_or(extent, |rows| rows.min(extent)));
        }
        let passes =
            ["Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "Flatten"];
        if passes.contains(&node.op.as_str())
            && node.input(0).is_some_and(|name| same.contains(name))
        {
            same.extend(node.writes());
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::graph::Node;
    use super::super::tensor::Tensor;
    use super::*;

    #[test]
    fn whole_numbers_stay_within_the_tables_they_choose_from() {
        let table = |rows: usize| Tensor::f32(&[rows, 2], vec![0.0; rows * 2]);
        let graph = Graph {
            inputs: vec![Port::named("ids"), Port::named("mask")],
            nodes: vec![
                Node::new("whole", "Cast", &["ids"], "whole"),
                Node::new("words", "Gather", &["words.table", "whole"], "a"),
                Node::new("kinds", "Gather", &["kinds.table", "ids"], "b"),
                Node::new("mask", "Cast", &["mask"], "c"),
            ],
            initializers: [("words.table".into(), table(9)), ("kinds.table".into(), table(5))]
                .into(),
            ..Graph::default()
        };
        assert_eq!((table_rows(&graph, "ids"), table_rows(&graph, "mask")), (Some(5), None));
    }
}
