//! Low-rank additions to matrices (Hu et al. 2022, LoRA): `x·(W + s·A·B)`, computed as
//! `x·W + s·((x·A)·B)` while `A` and `B` learn, and added to `W` afterwards.

use crate::base::{Seed, Stream};

use super::graph::{Graph, Node};
use super::head::depends_on_no_input;
use super::layers::is_inside;
use super::tensor::{Data, Tensor};

/// One matrix with an addition.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// Constant of the matrix.
    pub weight: String,
    /// Whether the constant holds outputs × inputs.
    transposed: bool,
    /// Factor on `A·B` where it is added to the constant.
    scale: f32,
    /// Name of `A`, inputs × rank.
    pub a: String,
    /// Name of `B`, rank × outputs.
    pub b: String,
}

/// A matrix that can be added to.
#[derive(Clone, Debug, PartialEq)]
struct Matrix {
    weight: String,
    transposed: bool,
    inputs: usize,
    outputs: usize,
    /// What the product is multiplied with already.
    factor: f32,
}

/// The outputs of all nodes that multiply with a constant matrix used nowhere else.
pub fn targets(graph: &Graph) -> Vec<String> {
    let matrices = graph.nodes.iter().filter(|node| matrix(graph, node).is_some());
    matrices.map(|node| node.output().to_owned()).collect()
}

/// The constant matrix of the node that makes this output.
pub fn weight(graph: &Graph, output: &str) -> Option<String> {
    matrix(graph, graph.producer(output)?).map(|matrix| matrix.weight)
}

/// Whether a person's word names a node: the node itself, its output, its matrix, or a scope it
/// lies in.
pub fn is_named(graph: &Graph, output: &str, word: &str) -> bool {
    let Some(node) = graph.producer(output) else { return false };
    let weight = || matrix(graph, node).is_some_and(|matrix| matrix.weight == word);
    output == word || node.name == word || is_inside(word, &node.name) || weight()
}

/// The matrix of a node, if it is a product of data with one constant of two axes.
fn matrix(graph: &Graph, node: &Node) -> Option<Matrix> {
    let (is_gemm, is_matmul) = (node.op == "Gemm", node.op == "MatMul");
    if !(is_gemm || is_matmul) || node.int("transA").unwrap_or(0) != 0 {
        return None;
    }
    if depends_on_no_input(graph, node.input(0)?) {
        return None;
    }
    let read = node.input(1)?;
    let (weight, turned) = constant(graph, read)?;
    let &[rows, columns] = &graph.initializers[weight].dims[..] else { return None };
    let transposed = turned != (node.int("transB").unwrap_or(0) == 1);
    let (inputs, outputs) = if transposed { (columns, rows) } else { (rows, columns) };
    let factor = if is_gemm { node.float("alpha").unwrap_or(1.0) } else { 1.0 };
    let alone = [read, weight].iter().all(|name| readers(graph, name) == 1);
    let usable = alone && factor.is_normal();
    usable.then(|| Matrix { weight: weight.to_owned(), transposed, inputs, outputs, factor })
}

/// The constant that a tensor is, and whether it is transposed on its way.
fn constant<'a>(graph: &'a Graph, tensor: &'a str) -> Option<(&'a str, bool)> {
    if let Some(found) = graph.initializers.get(tensor) {
        return found.floats().map(|_| (tensor, false));
    }
    let node = graph.producer(tensor)?;
    let swaps = node.op == "Transpose" && node.ints("perm").is_none_or(|perm| perm == [1, 0]);
    let (weight, turned) = constant(graph, node.input(0)?)?;
    match node.op.as_str() {
        "Identity" => Some((weight, turned)),
        _ if swaps => Some((weight, !turned)),
        _ => None,
    }
}

fn readers(graph: &Graph, tensor: &str) -> usize {
    let reads = graph.nodes.iter().flat_map(Node::reads).filter(|name| *name == tensor).count();
    reads + graph.outputs.iter().filter(|port| port.name == tensor).count()
}

/// Gives the nodes that make these outputs additions of this rank, with factor `alpha / rank`.
/// `A` and `B` are 0 until they are drawn.
pub fn add(graph: &mut Graph, outputs: &[String], rank: usize, alpha: f64) -> Vec<Adapter> {
    let scale = (alpha / rank as f64) as f32;
    outputs.iter().filter_map(|output| add_to(graph, output, rank, scale)).collect()
}

fn add_to(graph: &mut Graph, output: &str, rank: usize, scale: f32) -> Option<Adapter> {
    let index = graph.nodes.iter().position(|node| node.output() == output)?;
    let matrix = matrix(graph, &graph.nodes[index])?;
    let data = graph.nodes[index].input(0)?.to_owned();
    let name = |part: &str| format!("{output}.lora.{part}");
    let constants = [
        (name("a"), Tensor::f32(&[matrix.inputs, rank], vec![0.0; matrix.inputs * rank])),
        (name("b"), Tensor::f32(&[rank, matrix.outputs], vec![0.0; rank * matrix.outputs])),
        (name("factor"), Tensor::scalar(scale)),
    ];
    graph.initializers.extend(constants);
    let node = |part: &str, op: &str, inputs: [&str; 2], output: &str| {
        Node::new(&name(part), op, &inputs, output)
    };
    let added = [
        node("down", "MatMul", [&data, &name("a")], &name("down")),
        node("up", "MatMul", [&name("down"), &name("b")], &name("up")),
        node("scaled", "Mul", [&name("up"), &name("factor")], &name("scaled")),
        node("sum", "Add", [&name("plain"), &name("scaled")], output),
    ];
    graph.nodes[index].outputs[0] = name("plain");
    graph.nodes.splice(index + 1..=index, added);
    Some(Adapter {
        weight: matrix.weight,
        transposed: matrix.transposed,
        scale: scale / matrix.factor,
        a: name("a"),
        b: name("b"),
    })
}

/// Draws each `A` from a normal distribution with variance 1 / inputs, from a stream of its own;
/// `B` stays 0, so that the model starts as it was.
pub fn draw(graph: &mut Graph, adapters: &[Adapter], seed: Seed) {
    for adapter in adapters {
        let mut stream: Stream = seed.stream("lora", &adapter.a);
        let Some(tensor) = graph.initializers.get_mut(&adapter.a) else { continue };
        let deviation = 1.0 / (tensor.dims[0].max(1) as f64).sqrt();
        if let Data::F32(values) = &mut tensor.data {
            values.fill_with(|| (deviation * stream.normal()) as f32);
        }
    }
}

/// Adds each product of `trained` to its matrix in `plain`, the same model without additions.
pub fn merge(plain: &mut Graph, trained: &Graph, adapters: &[Adapter]) {
    for adapter in adapters {
        let (Some(a), Some(b)) =
            (trained.initializers.get(&adapter.a), trained.initializers.get(&adapter.b))
        else {
            continue;
        };
        if let Some(weight) = plain.initializers.get_mut(&adapter.weight) {
            adapter.add_product(a, b, weight);
        }
    }
}

impl Adapter {
    fn add_product(&self, a: &Tensor, b: &Tensor, weight: &mut Tensor) {
        let (Some(left), Some(right)) = (a.floats(), b.floats()) else { return };
        let (rank, outputs) = (b.dims[0], b.dims[1]);
        let inputs = a.dims[0];
        let Data::F32(values) = &mut weight.data else { return };
        for input in 0..inputs {
            for output in 0..outputs {
                let sum: f64 = (0..rank)
                    .map(|r| {
                        f64::from(left[input * rank + r]) * f64::from(right[r * outputs + output])
                    })
                    .sum();
                let at = match self.transposed {
                    true => output * inputs + input,
                    false => input * outputs + output,
                };
                values[at] = (f64::from(values[at]) + f64::from(self.scale) * sum) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::Port;
    use super::super::proto;
    use super::super::runtime::{Tensor as Value, runtime};
    use super::super::tensor::elements;
    use super::*;

    /// A product, one with a transposed constant and a factor, one behind a transpose, and a
    /// matrix that two nodes share.
    fn graph() -> Graph {
        let gemm = Node::new("fc2", "Gemm", &["a", "v", "u"], "b");
        let gemm = gemm.with("transB", 1_i64).with("alpha", 0.5_f32);
        let turn = Node::new("turn", "Transpose", &["t"], "tt").with("perm", vec![1, 0]);
        let nodes = vec![
            Node::new("block/fc1", "MatMul", &["x", "w"], "a"),
            gemm,
            turn,
            Node::new("block/fc3", "MatMul", &["b", "tt"], "c"),
            Node::new("once", "MatMul", &["c", "s"], "d"),
            Node::new("twice", "MatMul", &["d", "s"], "y"),
        ];
        let dims: [(&str, &[usize]); 5] =
            [("w", &[3, 4]), ("v", &[2, 4]), ("u", &[2]), ("t", &[3, 2]), ("s", &[3, 3])];
        let drawn = |(name, dims): (&str, &[usize])| {
            let mut stream = Seed(3).stream("test", name);
            let values = (0..elements(dims)).map(|_| stream.normal() as f32).collect();
            (name.to_owned(), Tensor::f32(dims, values))
        };
        Graph {
            opset: 18,
            inputs: vec![Port::floats("x", &[2, 3])],
            outputs: vec![Port::named("y")],
            nodes,
            initializers: dims.into_iter().map(drawn).collect(),
            ..Graph::default()
        }
    }

    fn scores(graph: &Graph) -> Vec<f32> {
        let mut session = runtime().unwrap().load(&proto::encode(graph), 1).unwrap();
        let values = vec![0.3, -1.0, 2.0, 1.5, 0.1, -0.7];
        let outputs = session.run(&[&Value::f32(&[2, 3], values).unwrap()]).unwrap();
        outputs[0].floats().unwrap().to_vec()
    }

    fn assert_near(found: &[f32], expected: &[f32]) {
        let size = expected.iter().fold(1.0_f32, |size, value| size.max(value.abs()));
        let far = found.iter().zip(expected).any(|(a, b)| (a - b).abs() > 1e-5 * size);
        assert!(!far, "{found:?} instead of {expected:?}");
    }

    #[test]
    fn matrices_used_once_can_be_added_to() {
        assert_eq!(targets(&graph()), ["a", "b", "c"]);
    }

    #[test]
    fn a_matrix_is_named_by_node_output_weight_or_scope() {
        let named = |word: &str| -> Vec<String> {
            targets(&graph()).into_iter().filter(|t| is_named(&graph(), t, word)).collect()
        };
        assert_eq!(named("block"), ["a", "c"]);
        assert_eq!(named("fc2"), ["b"]);
        assert_eq!(named("w"), ["a"]);
        assert_eq!(named("c"), ["c"]);
        assert_eq!(named("else"), [""; 0]);
    }

    #[test]
    fn a_model_starts_as_it_was_and_scores_the_same_once_merged() {
        let plain = graph();
        let mut adapted = plain.clone();
        let adapters = add(&mut adapted, &targets(&plain), 2, 3.0);
        assert_eq!(adapters.len(), 3);
        draw(&mut adapted, &adapters, Seed(0));
        assert_near(&scores(&adapted), &scores(&plain));
        for adapter in &adapters {
            let mut stream = Seed(1).stream("test", &adapter.b);
            let tensor = adapted.initializers.get_mut(&adapter.b).unwrap();
            let Data::F32(values) = &mut tensor.data else { panic!() };
            values.fill_with(|| stream.normal() as f32);
        }
        let mut merged = plain.clone();
        merge(&mut merged, &adapted, &adapters);
        let (moved, stayed) = (scores(&merged), scores(&plain));
        assert!(moved.iter().zip(&stayed).any(|(a, b)| (a - b).abs() > 0.1), "{moved:?}");
        assert_near(&moved, &scores(&adapted));
        assert_eq!(merged.nodes, plain.nodes);
    }

    #[test]
    fn every_addition_has_a_stream_of_its_own() {
        let mut adapted = graph();
        let adapters = add(&mut adapted, &targets(&graph()), 2, 3.0);
        draw(&mut adapted, &adapters, Seed(0));
        let of = |graph: &Graph, index: usize| graph.initializers[&adapters[index].a].clone();
        let mut alone = graph();
        let only = add(&mut alone, &["b".to_owned()], 2, 3.0);
        draw(&mut alone, &only, Seed(0));
        assert_eq!(alone.initializers[&only[0].a], of(&adapted, 1));
        assert_ne!(of(&adapted, 0).floats().unwrap()[..4], of(&adapted, 1).floats().unwrap()[..4]);
    }
}
