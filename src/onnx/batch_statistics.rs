//! What batch normalisations know of a domain, taken anew from items of another (adaptive batch
//! normalisation; Li et al. 2016).

use std::collections::BTreeMap;

use super::graph::{Graph, Node, Port};
use super::parameters::root;
use super::tensor::Tensor;

/// Mean and variance of each channel over items and positions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    /// Values of each channel.
    count: f64,
    mean: Vec<f64>,
    /// Sums of squared differences to the mean.
    squares: Vec<f64>,
}

impl Moments {
    /// Of a tensor of items × channels × positions.
    pub fn of(dims: &[usize], values: &[f32]) -> Self {
        let channels = dims.get(1).copied().unwrap_or_default();
        let positions: usize = dims.iter().skip(2).product();
        let items = dims.first().copied().unwrap_or_default();
        let count = (items * positions) as f64;
        let of_channel = |channel: usize| {
            let start = move |item: usize| (item * channels + channel) * positions;
            (0..items).flat_map(move |item| &values[start(item)..start(item) + positions])
        };
        let mean: Vec<f64> = (0..channels)
            .map(|channel| of_channel(channel).map(|v| f64::from(*v)).sum::<f64>() / count)
            .collect();
        let squares = mean.iter().enumerate().map(|(channel, mean)| {
            of_channel(channel).map(|value| (f64::from(*value) - mean).powi(2)).sum()
        });
        let squares = squares.collect();
        Self { count, mean, squares }
    }

    /// With those of further items (Chan et al. 1983).
    pub fn add(&mut self, more: &Self) {
        if self.count <= 0.0 {
            *self = more.clone();
            return;
        }
        let count = self.count + more.count;
        for channel in 0..self.mean.len().min(more.mean.len()) {
            let difference = more.mean[channel] - self.mean[channel];
            self.mean[channel] += difference * more.count / count;
            self.squares[channel] +=
                more.squares[channel] + difference * difference * self.count * more.count / count;
        }
        self.count = count;
    }

    /// Population variance of each channel.
    fn variance(&self) -> Vec<f64> {
        self.squares.iter().map(|squares| squares / self.count).collect()
    }
}

/// Positions of the batch normalisations whose statistics are constants.
pub fn normalisations(graph: &Graph) -> Vec<usize> {
    let is_constant = |node: &Node, position| {
        node.input(position).is_some_and(|name| root(graph, name).is_some())
    };
    let known = graph.nodes.iter().enumerate().filter(|(_, node)| {
        node.op == "BatchNormalization" && is_constant(node, 3) && is_constant(node, 4)
    });
    known.map(|(index, _)| index).collect()
}

/// The same in the order in which they are computed: those of one step depend on none of that step
/// or of later ones.
fn steps(graph: &Graph) -> Vec<Vec<usize>> {
    let all = normalisations(graph);
    let mut step_of: BTreeMap<usize, usize> = BTreeMap::new();
    let below: BTreeMap<usize, Vec<usize>> = all
        .iter()
        .map(|&index| {
            let above = graph.ancestors(graph.nodes[index].input(0));
            (index, all.iter().copied().filter(|other| above.contains(other)).collect())
        })
        .collect();
    while step_of.len() < all.len() {
        let ready: Vec<(usize, usize)> = below
            .iter()
            .filter(|(index, _)| !step_of.contains_key(index))
            .filter_map(|(&index, below)| {
                let steps: Option<Vec<usize>> =
                    below.iter().map(|other| step_of.get(other).copied()).collect();
                Some((index, steps?.into_iter().max().map_or(0, |last| last + 1)))
            })
            .collect();
        step_of.extend(ready);
    }
    let count = step_of.values().max().map_or(0, |last| last + 1);
    let of_step = |step| step_of.iter().filter(move |(_, s)| **s == step).map(|(&i, _)| i);
    (0..count).map(|step| of_step(step).collect()).collect()
}

/// Gives every batch normalisation the mean and the variance of what it reads. One step after the
/// other from the input on, so that each sees what those below, already adapted, hand on: what
/// normalising by the statistics of all items at once would compute. `observe` tells the moments of
/// each output of a part of the model over all items.
///
/// Tells how many there are.
pub fn adapt<E>(
    graph: &mut Graph,
    mut observe: impl FnMut(&Graph) -> Result<Vec<Moments>, E>,
) -> Result<usize, E> {
    let steps = steps(graph);
    for step in &steps {
        let part = reading(graph, step);
        let found = observe(&part)?;
        for (&index, moments) in step.iter().zip(&found) {
            let [mean, variance] = [moments.mean.clone(), moments.variance()];
            for (position, values) in [(3, mean), (4, variance)] {
                let name = own_constant(graph, index, position);
                let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
                graph.initializers.insert(name, Tensor::f32(&[values.len()], values));
            }
        }
    }
    Ok(steps.iter().map(Vec::len).sum())
}

/// The part of a model that computes what these nodes read, with an output for each of them.
fn reading(graph: &Graph, nodes: &[usize]) -> Graph {
    let mut seen = graph.clone();
    let mut outputs = Vec::new();
    for (number, &index) in nodes.iter().enumerate() {
        // A name of its own, as two nodes may read the same tensor, or the input of the model.
        let from = graph.nodes[index].input(0).unwrap_or_default();
        let name = format!("{from}.seen.{number}");
        seen.nodes.push(Node::new(&name, "Identity", &[from], &name));
        outputs.push(Port::named(&name));
    }
    let mut part = seen.part(&graph.inputs, &outputs);
    part.drop_unread_inputs();
    part
}

/// The name of a constant that only this node reads, at this position.
fn own_constant(graph: &mut Graph, index: usize, position: usize) -> String {
    let name = graph.nodes[index].input(position).unwrap_or_default().to_owned();
    let readers = graph.nodes.iter().flat_map(Node::reads).filter(|read| *read == name).count();
    if readers == 1 && graph.initializers.contains_key(&name) {
        return name;
    }
    let mut own = format!("{name}.{}", graph.nodes[index].output());
    while graph.has_tensor(&own) {
        own.push('_');
    }
    graph.nodes[index].inputs[position].clone_from(&own);
    own
}

#[cfg(test)]
mod tests {
    use super::super::proto;
    use super::super::runtime::{Tensor as Value, runtime};
    use super::*;
    use crate::base::Seed;

    fn norm(name: &str, from: &str, statistics: [&str; 2]) -> Node {
        Node::new(name, "BatchNormalization", &[from, "g", "b", statistics[0], statistics[1]], name)
    }

    /// A branch whose two normalisations share their constants, beside a shortcut; another behind.
    fn branched() -> Graph {
        let constants = [
            ("g", vec![2.0, 0.5]),
            ("b", vec![-1.0, 1.0]),
            ("m", vec![9.0, 9.0]),
            ("v", vec![9.0, 9.0]),
        ];
        let constants =
            constants.map(|(name, values)| (name.to_owned(), Tensor::f32(&[2], values)));
        Graph {
            opset: 18,
            inputs: vec![Port::batch_of_floats("x", &[2, 3, 3])],
            outputs: vec![Port::named("y")],
            initializers: constants.into(),
            nodes: vec![
                norm("first", "x", ["m", "v"]),
                Node::new("r", "Relu", &["first"], "r"),
                norm("second", "r", ["m", "v"]),
                norm("beside", "x", ["m", "v"]),
                Node::new("sum", "Add", &["second", "beside"], "sum"),
                norm("y", "sum", ["m", "v"]),
            ],
            ..Graph::default()
        }
    }

    /// Twelve items in batches of five.
    fn batches() -> Vec<(Vec<usize>, Vec<f32>)> {
        let mut stream = Seed(7).stream("test", "items");
        let mut draw = |items: usize| {
            let values = (0..items * 18).map(|i| (stream.normal() * 3.0 + i as f64 % 2.0) as f32);
            (vec![items, 2, 3, 3], values.collect())
        };
        vec![draw(5), draw(5), draw(2)]
    }

    fn observed(part: &Graph) -> Vec<Moments> {
        let mut session = runtime().unwrap().load(&proto::encode(part), 1).unwrap();
        let mut all = vec![Moments::default(); part.outputs.len()];
        for (dims, values) in batches() {
            let outputs = session.run(&[&Value::f32(&dims, values).unwrap()]).unwrap();
            for (moments, output) in all.iter_mut().zip(outputs) {
                moments.add(&Moments::of(&output.dims(), output.floats().unwrap()));
            }
        }
        all
    }

    #[test]
    fn moments_of_pieces_are_those_of_the_whole() {
        let whole: Vec<f32> = batches().into_iter().flat_map(|(_, values)| values).collect();
        let expected = Moments::of(&[12, 2, 3, 3], &whole);
        let mut found = Moments::default();
        for (dims, values) in batches() {
            found.add(&Moments::of(&dims, &values));
        }
        assert!((found.count - 108.0).abs() < 1e-12);
        let pairs = found.mean.iter().zip(&expected.mean);
        let pairs = pairs.chain(found.squares.iter().zip(&expected.squares));
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-9 * b.abs().max(1.0)));
        let tiny = Moments::of(&[2, 1, 2], &[1.0, 3.0, 5.0, 7.0]);
        assert_eq!((tiny.mean.clone(), tiny.variance()), (vec![4.0], vec![5.0]));
    }

    #[test]
    fn every_normalisation_gets_what_it_reads_in_the_adapted_model() {
        let mut graph = branched();
        assert_eq!(steps(&graph), [vec![0, 3], vec![2], vec![5]]);
        let mut parts = 0;
        let count = adapt(&mut graph, |part| {
            parts += 1;
            Ok::<_, String>(observed(part))
        });
        assert_eq!((count, parts), (Ok(4), 3));
        // What comes out has the shift as its mean, and the scale as its deviation.
        let ends: Vec<Port> = ["first", "beside", "second", "y"].map(Port::named).into();
        for moments in observed(&graph.part(&graph.inputs, &ends)) {
            for (channel, (scale, shift)) in [(2.0, -1.0), (0.5, 1.0)].into_iter().enumerate() {
                assert!((moments.mean[channel] - shift).abs() < 1e-5, "{moments:?}");
                let deviation = moments.variance()[channel].sqrt();
                assert!((deviation - scale).abs() < 1e-4 * scale, "{moments:?}");
            }
        }
        // Constants that several had shared are one's own now; nothing else has changed.
        assert_eq!(graph.initializers["g"], branched().initializers["g"]);
        assert_ne!(graph.nodes[0].inputs[3], graph.nodes[2].inputs[3]);
    }

    #[test]
    fn a_model_without_them_stays() {
        let mut graph = branched();
        graph.nodes.truncate(2);
        graph.nodes[0] = Node::new("first", "Relu", &["x"], "first");
        assert!(normalisations(&graph).is_empty());
        assert_eq!(adapt(&mut graph, |part| Ok::<_, String>(observed(part))), Ok(0));
    }
}
