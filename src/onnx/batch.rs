//! Models whose file fixes the batch, usually to one item: freed where that changes nothing.

use std::collections::BTreeSet;

use thiserror::Error;

use super::example::table_rows;
use super::graph::{Dim, Graph, Node, Port};
use super::head::depends_on_no_input;
use super::observe::opened;
use super::proto;
use super::runtime::{Runtime, RuntimeError, Tensor as Value};
use super::tensor::{Shape, Tensor, elements};

/// The batch that a model's file fixes, if it does.
pub fn fixed(graph: &Graph) -> Option<usize> {
    match graph.inputs.first()?.dims.as_ref()?.first()? {
        Dim::Fixed(extent) => Some(*extent),
        Dim::Free(_) => None,
    }
}

/// A model that may work for some batch alone, and what it may be freed to.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The model at the one batch that is sure to work.
    pub fixed: Graph,
    /// Models with a free batch, the first that [`agree`]s is to be taken.
    pub freed: Vec<Graph>,
}

/// What has to be tried before a model is given any number of items: its file fixes the batch, or
/// leaves it free but spells out 1 in a reshape. Nothing for a model that is free of both.
pub fn trial(graph: &Graph) -> Option<Trial> {
    if fixed(graph).is_some() {
        return Some(Trial { fixed: graph.clone(), freed: free(graph).into_iter().collect() });
    }
    let spells_out = |node: &Node| free_target(graph, node, 1).is_some();
    let first = graph.inputs.first().and_then(|port| port.dims.as_ref()).is_some();
    if !first || !graph.nodes.iter().any(spells_out) {
        return None;
    }
    let mut pinned = graph.clone();
    for port in &mut pinned.inputs {
        if let Some(dim) = port.dims.as_mut().and_then(|dims| dims.first_mut()) {
            *dim = Dim::Fixed(1);
        }
    }
    let freed = free(&pinned).into_iter().chain([graph.clone()]).collect();
    Some(Trial { fixed: pinned, freed })
}

/// The model with a free batch: of its input and outputs, and of reshapes to a constant shape that
/// begins with the batch. Nothing if it is free already. Whether it still computes the same has
/// to be seen ([`agree`]).
pub fn free(graph: &Graph) -> Option<Graph> {
    let batch = fixed(graph)?;
    let mut freed = graph.clone();
    for port in freed.inputs.iter_mut().chain(&mut freed.outputs) {
        if let Some(first) = port.dims.as_mut().and_then(|dims| dims.first_mut())
            && *first == Dim::Fixed(batch)
        {
            *first = Dim::Free("batch".to_owned());
        }
    }
    for index in 0..freed.nodes.len() {
        if let Some(target) = free_target(graph, &graph.nodes[index], batch) {
            let name = format!("{}.free", graph.nodes[index].output());
            freed.nodes[index].inputs[1].clone_from(&name);
            freed.initializers.insert(name, target);
        }
    }
    freed.drop_unread_constants();
    Some(freed)
}

/// The shape of a reshape with 0 (as it is) in the batch's place.
fn free_target(graph: &Graph, node: &Node, batch: usize) -> Option<Tensor> {
    if node.op != "Reshape" || depends_on_no_input(graph, node.input(0)?) {
        return None;
    }
    let mut target = graph.initializers.get(node.input(1)?)?.integers()?.to_vec();
    let first = target.first_mut().filter(|first| **first == batch as i64)?;
    *first = 0;
    Some(Tensor::i64(&target))
}

/// Why a freed model is none.
#[derive(Debug, Error)]
pub enum Disagreement {
    /// It does not run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A tensor has no row for each item.
    #[error("`{tensor}` has the shape {shape:?} for {items} items")]
    NoRows {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Shape,
        /// How many items went in.
        items: usize,
    },
    /// The rows of a batch are others than those of single items.
    #[error("the rows of `{tensor}` are others in a larger batch")]
    OtherRows {
        /// The tensor.
        tensor: String,
    },
}

/// Largest difference, as a share of the largest value of a tensor, that rounding explains.
const ROUNDING: f32 = 1e-5;

/// Runs a model at its own batch and freed at a larger one on the same items, and compares the rows
/// of every tensor that has some. `shapes` are those of the fixed inputs.
pub fn agree(
    runtime: &Runtime,
    fixed: &Graph,
    freed: &Graph,
    shapes: &[Shape],
) -> Result<(), Disagreement> {
    let batch = shapes.first().and_then(|shape| shape.first()).copied().unwrap_or(1);
    let items = batch + 2;
    let run = |graph: &Graph, first: usize, rows: usize| -> Result<Vec<Value>, RuntimeError> {
        let mut session = runtime.load(&proto::encode(&opened(graph)), 1)?;
        let ports = fixed.inputs.iter().zip(shapes);
        let fed = ports.map(|(port, shape)| rows_of(fixed, port, shape, first..first + rows));
        let fed = fed.collect::<Result<Vec<Value>, _>>()?;
        session.run(&fed.iter().collect::<Vec<_>>())
    };
    let together = run(freed, 0, items)?;
    let names = opened(freed).outputs;
    let about_items = about_items(fixed);
    for first in 0..=(items - batch) {
        let alone = run(fixed, first, batch)?;
        for ((port, alone), together) in names.iter().zip(&alone).zip(&together) {
            if about_items.contains(port.name.as_str()) {
                compare(&port.name, alone, together, first, (batch, items))?;
            }
        }
    }
    Ok(())
}

/// Tensors that may have a row for each item: those that depend on an input. In models of arrays, what
/// depends on shapes alone (positions of tokens, say) is the same for all items.
fn about_items(graph: &Graph) -> BTreeSet<&str> {
    let is_image = matches!(&graph.inputs[..], [port] if port.is_float());
    let mut about: BTreeSet<&str> = graph.inputs.iter().map(|port| port.name.as_str()).collect();
    for node in &graph.nodes {
        let about_shape = !is_image && matches!(node.op.as_str(), "Shape" | "Size");
        if !about_shape && node.reads().any(|name| about.contains(name)) {
            about.extend(node.writes());
        }
    }
    about
}

/// Some rows of what is fed to an input: values in no order, so that no two rows are alike (Knuth's
/// multiplicative hash).
fn rows_of(
    graph: &Graph,
    port: &Port,
    shape: &[usize],
    rows: std::ops::Range<usize>,
) -> Result<Value, RuntimeError> {
    let hash = |index: usize| (index as u32).wrapping_mul(2_654_435_761) >> 24;
    let dims = [&[rows.len()], &shape[1..]].concat();
    let length = elements(&shape[1..]);
    let indices = rows.start * length..rows.end * length;
    if port.is_float() {
        return Value::f32(&dims, indices.map(|index| hash(index) as f32 / 255.0).collect());
    }
    let most = table_rows(graph, &port.name).unwrap_or(2).max(1);
    let values = indices.map(|index| (hash(index) as usize % most) as i64).collect();
    Value::whole(&dims, port.kind, values)
}

fn compare(
    tensor: &str,
    alone: &Value,
    together: &Value,
    first: usize,
    (batch, items): (usize, usize),
) -> Result<(), Disagreement> {
    let (Some(few), Some(many)) = (alone.floats(), together.floats()) else { return Ok(()) };
    let (few_dims, many_dims) = (alone.dims(), together.dims());
    if few_dims.first() != Some(&batch) {
        return Ok(());
    }
    if many_dims.first() != Some(&items) || many_dims[1..] != few_dims[1..] {
        return Err(Disagreement::NoRows { tensor: tensor.to_owned(), shape: many_dims, items });
    }
    let length = elements(&few_dims[1..]);
    let many = &many[first * length..(first + batch) * length];
    let most = few.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let alike = |(a, b): (&f32, &f32)| {
        a.to_bits() == b.to_bits() || (a - b).abs() <= ROUNDING * most || (a.is_nan() && b.is_nan())
    };
    match few.iter().zip(many).all(alike) {
        true => Ok(()),
        false => Err(Disagreement::OtherRows { tensor: tensor.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::runtime::runtime;
    use super::*;

    /// Four numbers as a 2×2 map and back; `shape` is what the second reshape goes to.
    fn model(shape: &[i64], op: &str) -> Graph {
        Graph {
            opset: 18,
            inputs: vec![Port::floats("x", &[1, 4])],
            outputs: vec![Port::floats("y", &[1, 4])],
            nodes: vec![
                Node::new("map", "Reshape", &["x", "to_map"], "a"),
                Node::new("odd", op, &["a"], "b"),
                Node::new("flat", "Reshape", &["b", "to_row"], "y"),
            ],
            initializers: [
                ("to_map".to_owned(), Tensor::i64(&[1, 2, 2])),
                ("to_row".to_owned(), Tensor::i64(shape)),
            ]
            .into(),
            ..Graph::default()
        }
    }

    fn told(graph: &Graph) -> Option<String> {
        let freed = free(graph).unwrap();
        assert_eq!(fixed(&freed), None);
        agree(runtime().unwrap(), graph, &freed, &[vec![1, 4]]).err().map(|error| error.to_string())
    }

    #[test]
    fn a_model_whose_reshapes_spell_the_batch_out_is_freed() {
        assert_eq!(told(&model(&[1, 4], "Relu")), None);
        assert_eq!(told(&model(&[1, -1], "Relu")), None);
    }

    #[test]
    fn a_free_batch_that_a_reshape_contradicts_is_tried() {
        let mut free_input = model(&[1, 4], "Relu");
        free_input.inputs = vec![Port::batch_of_floats("x", &[4])];
        let tried = trial(&free_input).unwrap();
        assert_eq!((fixed(&tried.fixed), tried.freed.len()), (Some(1), 2));
        assert!(agree(runtime().unwrap(), &tried.fixed, &tried.freed[0], &[vec![1, 4]]).is_ok());
        assert!(agree(runtime().unwrap(), &tried.fixed, &tried.freed[1], &[vec![1, 4]]).is_err());
        assert!(trial(&tried.freed[0]).is_none());
    }

    #[test]
    fn a_model_that_mixes_items_is_found_out() {
        // Sums over everything, whichever items are there.
        let mut mixing = model(&[1, 4], "Relu");
        mixing.nodes[1] = Node::new("odd", "ReduceSum", &["a"], "sum").with("keepdims", 1_i64);
        mixing.nodes.insert(2, Node::new("add", "Add", &["a", "sum"], "b"));
        assert_eq!(told(&mixing).unwrap(), "`sum` has the shape [1, 1, 1] for 3 items");
    }

    #[test]
    fn rows_that_differ_in_a_larger_batch_are_found_out() {
        let mut mixing = model(&[1, 4], "Relu");
        let axes = Tensor::i64(&[0]);
        mixing.initializers.insert("axes".into(), axes);
        mixing.nodes[1] = Node::new("mean", "ReduceMean", &["a", "axes"], "mean");
        mixing.nodes.insert(2, Node::new("odd", "Add", &["a", "mean"], "b"));
        let told = told(&mixing).unwrap();
        assert!(told.contains("`mean`"), "{told}");
        let value = |values: &[f32]| Value::f32(&[values.len(), 1], values.to_vec()).unwrap();
        let (one, three) = (value(&[2.0]), value(&[1.0, 2.0, 3.0]));
        assert!(compare("b", &one, &three, 1, (1, 3)).is_ok());
        let told = compare("b", &one, &three, 2, (1, 3)).unwrap_err().to_string();
        assert_eq!(told, "the rows of `b` are others in a larger batch");
    }

    #[test]
    fn a_model_with_a_free_batch_needs_nothing() {
        let freed = free(&model(&[1, 4], "Relu")).unwrap();
        assert!(free(&freed).is_none());
    }
}
