//! Random weights scaled by what they do to data: layer-sequential unit variance (Mishkin & Matas
//! 2016), for residual models whose normalisations were folded away and that would explode with
//! depth; and what a layer's variance tells of any random weights.

use std::collections::BTreeSet;

use super::freeze::groups;
use super::graph::{FLOAT, Graph, Node, Port};
use super::head::{depends_on_no_input, is_weighted};
use super::parameters::root;
use super::proto;
use super::runtime::{Runtime, RuntimeError, Tensor as Value};
use super::tensor::Data;

/// Whether a residual model's batch normalisations seem to have been folded into its convolutions:
/// it has none, its convolutions have biases, and it adds branches.
pub fn bn_folded(graph: &Graph) -> bool {
    let data = |name: &str| !depends_on_no_input(graph, name);
    let biased = |node: &Node| node.op == "Conv" && node.input(2).is_some();
    let adds =
        |node: &Node| node.op == "Add" && node.reads().filter(|name| data(name)).count() == 2;
    graph.nodes.iter().any(biased) && graph.nodes.iter().any(adds) && !normalises(graph)
}

/// Whether any node normalises, also in plain arithmetic: a division by something computed from
/// data.
pub fn normalises(graph: &Graph) -> bool {
    let by_data = |node: &Node| {
        node.op == "Div" && node.input(1).is_some_and(|name| !depends_on_no_input(graph, name))
    };
    graph.nodes.iter().any(|node| node.op.ends_with("Normalization") || by_data(node))
}

/// A layer and the variance of its output, over items, channels and positions.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// The tensor it makes.
    pub output: String,
    /// Its variance.
    pub variance: f64,
}

/// Runs a batch through the body up to `end` and scales the weights of each layer, one after the
/// other, so that its output has variance 1. Layers whose weights `drawn` does not name stay. Tells
/// the variances before.
pub fn rescale(
    runtime: &Runtime,
    graph: &mut Graph,
    drawn: &BTreeSet<String>,
    end: &str,
    (dims, values): (&[usize], &[f32]),
) -> Result<Vec<Layer>, RuntimeError> {
    let Some(input) = graph.inputs.first().map(|port| port.name.clone()) else { return Ok(vec![]) };
    let mut from = Fed { name: input, dims: dims.to_vec(), values: values.to_vec() };
    let mut done: BTreeSet<usize> = BTreeSet::new();
    let mut told = Vec::new();
    let mut ends: Vec<String> = groups(graph, end).into_iter().map(|group| group.end).collect();
    if ends.last().is_none_or(|last| last != end) {
        ends.push(end.to_owned());
    }
    for end in ends {
        let body = graph.ancestors([end.as_str()]);
        for &index in body.difference(&done) {
            let node = graph.nodes[index].clone();
            let Some(weight) = drawn_weight(graph, &node, drawn) else { continue };
            let variance = variance(from.run(runtime, graph, node.output())?.values.as_slice());
            told.push(Layer { output: node.output().to_owned(), variance });
            scale(graph, &weight, 1.0 / variance.sqrt());
        }
        done.extend(body);
        from = from.run(runtime, graph, &end)?;
    }
    Ok(told)
}

/// Variances of the outputs of all layers with weights, for these inputs.
pub fn variances(
    runtime: &Runtime,
    graph: &Graph,
    inputs: &[Value],
) -> Result<Vec<Layer>, RuntimeError> {
    let layers = graph.nodes.iter().filter(|node| is_weighted(graph, node));
    let outputs: Vec<Port> = layers.map(|node| Port::named(node.output())).collect();
    let fed = graph.inputs.iter().zip(inputs);
    let known = |(port, value): (&Port, &Value)| Port {
        kind: port.kind.max(FLOAT),
        ..Port::floats(&port.name, &value.dims())
    };
    let fed: Vec<Port> = fed.map(known).collect();
    let mut session = runtime.load(&proto::encode(&graph.part(&fed, &outputs)), 1)?;
    let values = session.run(&inputs.iter().collect::<Vec<_>>())?;
    let layer = |(port, value): (&Port, &Value)| Layer {
        output: port.name.clone(),
        variance: variance(value.floats().unwrap_or_default()),
    };
    Ok(outputs.iter().zip(&values).map(layer).collect())
}

/// The constant that a layer multiplies with, if it was drawn.
fn drawn_weight(graph: &Graph, node: &Node, drawn: &BTreeSet<String>) -> Option<String> {
    let weights = || node.reads().filter_map(|name| root(graph, name));
    let found = is_weighted(graph, node).then(|| weights().find(|name| drawn.contains(*name)))?;
    found.map(str::to_owned)
}

fn scale(graph: &mut Graph, weight: &str, factor: f64) {
    let usable = factor.is_finite() && factor > 0.0;
    if let Some(tensor) = graph.initializers.get_mut(weight).filter(|_| usable)
        && let Data::F32(values) = &mut tensor.data
    {
        for value in values {
            *value = (f64::from(*value) * factor) as f32;
        }
    }
}

fn variance(values: &[f32]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / count
}

/// A tensor that is fed to the rest of a model.
struct Fed {
    name: String,
    dims: Vec<usize>,
    values: Vec<f32>,
}

impl Fed {
    /// What a later tensor becomes.
    fn run(&self, runtime: &Runtime, graph: &Graph, tensor: &str) -> Result<Self, RuntimeError> {
        if tensor == self.name {
            return Ok(Self {
                name: self.name.clone(),
                dims: self.dims.clone(),
                values: self.values.clone(),
            });
        }
        let part = graph.part(&[Port::floats(&self.name, &self.dims)], &[Port::named(tensor)]);
        let mut session = runtime.load(&proto::encode(&part), 1)?;
        let outputs = session.run(&[&Value::f32(&self.dims, self.values.clone())?])?;
        let values = outputs[0].floats().unwrap_or_default().to_vec();
        Ok(Self { name: tensor.to_owned(), dims: outputs[0].dims(), values })
    }
}

#[cfg(test)]
mod tests {
    use super::super::init;
    use super::super::runtime::runtime;
    use super::super::tensor::{Tensor, elements};
    use super::*;
    use crate::base::Seed;

    /// Residual blocks of two 3×3 convolutions with biases, as they are once their normalisations
    /// are folded.
    fn folded(blocks: usize) -> Graph {
        let mut nodes = vec![conv("stem", "x"), Node::new("relu", "Relu", &["stem"], "r")];
        let mut names = vec!["stem".to_owned()];
        let mut from = "r".to_owned();
        for block in 0..blocks {
            let [a, b] = ["a", "b"].map(|part| format!("{part}{block}"));
            let [inner, sum, out] = ["i", "s", "o"].map(|part| format!("{part}{block}"));
            nodes.push(conv(&a, &from));
            nodes.push(Node::new(&inner, "Relu", &[&a], &inner));
            nodes.push(conv(&b, &inner));
            nodes.push(Node::new(&sum, "Add", &[&b, &from], &sum));
            nodes.push(Node::new(&out, "Relu", &[&sum], &out));
            names.extend([a, b]);
            from = out;
        }
        let constants = names.iter().flat_map(|name| {
            let inputs = if name == "stem" { 1 } else { 8 };
            let dims = [8, inputs, 3, 3];
            let weight = Tensor::f32(&dims, vec![0.0; elements(&dims)]);
            [(format!("{name}.w"), weight), (format!("{name}.b"), Tensor::f32(&[8], vec![0.0; 8]))]
        });
        Graph {
            opset: 18,
            inputs: vec![Port::batch_of_floats("x", &[1, 8, 8])],
            outputs: vec![Port::named(&from)],
            initializers: constants.collect(),
            nodes,
            ..Graph::default()
        }
    }

    fn conv(name: &str, from: &str) -> Node {
        let (weight, bias) = (format!("{name}.w"), format!("{name}.b"));
        let conv = Node::new(name, "Conv", &[from, &weight, &bias], name);
        conv.with("pads", vec![1, 1, 1, 1]).with("kernel_shape", vec![3, 3])
    }

    fn batch() -> (Vec<usize>, Vec<f32>) {
        let mut stream = Seed(1).stream("test", "batch");
        (vec![16, 1, 8, 8], (0..16 * 64).map(|_| stream.normal() as f32).collect())
    }

    fn variances_of(graph: &Graph) -> Vec<f64> {
        let (dims, values) = batch();
        let inputs = [Value::f32(&dims, values).unwrap()];
        let layers = variances(runtime().unwrap(), graph, &inputs).unwrap();
        layers.into_iter().map(|layer| layer.variance).collect()
    }

    #[test]
    fn a_folded_residual_model_is_told_by_its_nodes() {
        let graph = folded(2);
        assert!(bn_folded(&graph));
        let mut normal = graph.clone();
        normal.nodes.push(Node::new("n", "BatchNormalization", &["o1", "g", "s", "m", "v"], "n"));
        assert!(!bn_folded(&normal));
        let mut written_out = graph.clone();
        written_out.nodes.push(Node::new("n", "Div", &["o1", "o0"], "n"));
        assert!(!bn_folded(&written_out));
        let mut plain = graph;
        plain.nodes.retain(|node| node.op != "Add");
        assert!(!bn_folded(&plain));
    }

    #[test]
    fn plain_draws_explode_with_depth_and_scaled_ones_have_variance_one() {
        let mut graph = folded(10);
        let drawn = init::randomise(&mut graph, Seed(0), "body");
        let before = variances_of(&graph);
        assert!(before.last().unwrap() > &10.0, "{before:?}");
        let (dims, values) = batch();
        let drawn = drawn.drawn.into_iter().collect();
        let runtime = runtime().unwrap();
        let told = rescale(runtime, &mut graph, &drawn, "o9", (&dims, &values)).unwrap();
        assert_eq!(told.len(), 21);
        let after = variances_of(&graph);
        assert!(after.iter().all(|variance| (variance - 1.0).abs() < 1e-3), "{after:?}");
    }

    #[test]
    fn layers_that_were_not_drawn_stay() {
        let mut graph = folded(1);
        init::randomise(&mut graph, Seed(0), "body");
        let before = graph.initializers.clone();
        let (dims, values) = batch();
        let drawn = BTreeSet::from(["b0.w".to_owned()]);
        rescale(runtime().unwrap(), &mut graph, &drawn, "o0", (&dims, &values)).unwrap();
        let moved: Vec<&String> =
            before.keys().filter(|name| before[*name] != graph.initializers[*name]).collect();
        assert_eq!(moved, ["b0.w"]);
    }
}
