//! The same architecture with random weights: what a model would be without its source.

use std::collections::BTreeSet;

use crate::base::{Seed, Stream};

use super::graph::Graph;
use super::parameters::{Parameter, Role, parameters, root};
use super::tensor::{Data, Tensor};

/// What was drawn and what was left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    /// Names of the parameters that were drawn or reset.
    pub drawn: Vec<String>,
    /// Float constants that are no parameters and stay as they are.
    pub untouched: Vec<String>,
}

/// Draws every parameter anew; each tensor from its own stream `(seed, purpose, name)`.
///
/// Weights before a rectifier: normal with standard deviation √(2 / fan-in) (He et al. 2015),
/// √(2 / (1 + a²) / fan-in) before a leaky one; otherwise uniform on ±√(6 / (fan-in + fan-out))
/// (Glorot & Bengio 2010). Biases 0; the scale of a normalisation 1, its shift 0, mean 0, variance 1.
pub fn randomise(graph: &mut Graph, seed: Seed, purpose: &str) -> Drawn {
    randomise_above(graph, None, seed, purpose)
}

/// The same, but what the tensor `kept` depends on stays as it is; what is drawn is drawn as if all
/// were.
pub fn randomise_above(graph: &mut Graph, kept: Option<&str>, seed: Seed, purpose: &str) -> Drawn {
    let untouched = untouched(graph);
    let below = kept.map(|tensor| graph.ancestors([tensor])).unwrap_or_default();
    let stays: BTreeSet<String> = below
        .iter()
        .flat_map(|&index| graph.nodes[index].reads().filter_map(|name| root(graph, name)))
        .map(str::to_owned)
        .collect();
    let found: Vec<Parameter> =
        parameters(graph).into_iter().filter(|p| !stays.contains(&p.name)).collect();
    for parameter in &found {
        randomise_one(graph, parameter, &mut seed.stream(purpose, &parameter.name));
    }
    let drawn: Vec<String> = found.into_iter().map(|parameter| parameter.name).collect();
    Drawn { drawn, untouched }
}

/// Draws one parameter anew.
pub(super) fn randomise_one(graph: &mut Graph, parameter: &Parameter, stream: &mut Stream) {
    let spread = spread(graph, parameter);
    if let Some(tensor) = graph.initializers.get_mut(&parameter.name) {
        fill(tensor, || spread.draw(stream));
    }
}

/// Float constants that are no parameters, so that nobody draws them.
pub fn untouched(graph: &Graph) -> Vec<String> {
    let known: BTreeSet<String> = parameters(graph).into_iter().map(|p| p.name).collect();
    let constants = graph.initializers.iter();
    let others = constants.filter(|(name, t)| t.floats().is_some() && !known.contains(*name));
    others.map(|(name, _)| name.clone()).collect()
}

/// Draws a new head: weights uniform on ±1/√fan-in, biases 0; shared by all arms of a seed.
pub fn randomise_head(graph: &mut Graph, weight: &str, bias: &str, seed: Seed) {
    let mut stream = seed.stream("head", "weight");
    if let Some(tensor) = graph.initializers.get_mut(weight) {
        let fan_in = tensor.dims.get(1).copied().unwrap_or(1).max(1);
        let bound = 1.0 / (fan_in as f64).sqrt();
        fill(tensor, || Spread::Uniform(bound).draw(&mut stream));
    }
    if let Some(tensor) = graph.initializers.get_mut(bias) {
        fill(tensor, || 0.0);
    }
}

fn fill(tensor: &mut Tensor, mut draw: impl FnMut() -> f64) {
    if let Data::F32(values) = &mut tensor.data {
        for value in values {
            *value = draw() as f32;
        }
    }
}

/// What values are drawn from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spread {
    Always(f64),
    Normal(f64),
    Uniform(f64),
}

impl Spread {
    fn draw(self, stream: &mut Stream) -> f64 {
        match self {
            Spread::Always(value) => value,
            Spread::Normal(deviation) => deviation * stream.normal(),
            Spread::Uniform(bound) => bound * (2.0 * stream.uniform() - 1.0),
        }
    }
}

fn spread(graph: &Graph, parameter: &Parameter) -> Spread {
    match parameter.role {
        Role::Bias | Role::Mean => Spread::Always(0.0),
        Role::Scale | Role::Variance => Spread::Always(1.0),
        Role::Weight { fan_in, fan_out } => match leak(graph, parameter.node) {
            Some(leak) => Spread::Normal((2.0 / (1.0 + leak * leak) / fan_in.max(1) as f64).sqrt()),
            None => Spread::Uniform((6.0 / (fan_in + fan_out).max(1) as f64).sqrt()),
        },
    }
}

/// The negative slope of the rectifier that a node's output reaches first, through operators that
/// keep its scale; `None` if it reaches no rectifier.
fn leak(graph: &Graph, node: usize) -> Option<f64> {
    let consumers = graph.consumers();
    let mut open = vec![node];
    let mut seen = BTreeSet::new();
    while let Some(index) = open.pop() {
        let readers = graph.nodes[index].writes().filter_map(|name| consumers.get(name)).flatten();
        for &reader in readers {
            let next = &graph.nodes[reader];
            match next.op.as_str() {
                "Relu" | "Clip" => return Some(0.0),
                "LeakyRelu" => return Some(f64::from(next.float("alpha").unwrap_or(0.01))),
                "BatchNormalization" | "Add" | "Identity" | "Dropout" | "MaxPool"
                | "AveragePool" | "Pad" | "Mul"
                    if seen.insert(reader) =>
                {
                    open.push(reader);
                }
                _ => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Node, Port};
    use super::super::tensor::elements;
    use super::*;

    fn graph(activation: &str) -> Graph {
        let nodes = vec![
            Node::new("conv", "Conv", &["x", "w", "b"], "a"),
            Node::new("norm", "BatchNormalization", &["a", "g", "s", "m", "v"], "n"),
            Node::new("act", activation, &["n"], "y"),
        ];
        let dims: [(&str, &[usize]); 6] = [
            ("w", &[64, 3, 3, 3]),
            ("b", &[64]),
            ("g", &[64]),
            ("s", &[64]),
            ("m", &[64]),
            ("v", &[64]),
        ];
        let sevens = |(name, dims): (&str, &[usize])| {
            (name.to_owned(), Tensor::f32(dims, vec![7.0; elements(dims)]))
        };
        Graph {
            opset: 18,
            inputs: vec![Port::named("x")],
            nodes,
            initializers: dims.into_iter().map(sevens).collect(),
            ..Graph::default()
        }
    }

    fn spread_of(graph: &Graph, name: &str) -> Spread {
        let found = parameters(graph);
        spread(graph, found.iter().find(|parameter| parameter.name == name).unwrap())
    }

    #[test]
    fn weights_before_a_rectifier_are_kaiming_normal() {
        // √(2/27): fan-in of a 3×3 convolution over 3 channels.
        let Spread::Normal(deviation) = spread_of(&graph("Relu"), "w") else { panic!() };
        assert!((deviation - 0.272_165_53).abs() < 1e-8);
    }

    #[test]
    fn weights_before_no_rectifier_are_xavier_uniform() {
        let Spread::Uniform(bound) = spread_of(&graph("Softmax"), "w") else { panic!() };
        assert!((bound - (6.0_f64 / (27.0 + 576.0)).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn everything_is_drawn_and_the_draws_have_the_right_spread() {
        let mut graph = graph("Relu");
        let drawn = randomise(&mut graph, Seed(0), "body");
        assert_eq!(drawn.drawn, ["w", "b", "g", "s", "m", "v"]);
        assert_eq!(drawn.untouched, [""; 0]);
        let weights = graph.initializers["w"].floats().unwrap();
        let mean_square =
            weights.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / weights.len() as f64;
        // 1,728 draws: the variance is known within 5 × √(2/1728) = 17 %.
        assert!((mean_square * 27.0 / 2.0 - 1.0).abs() < 0.17, "{mean_square}");
        assert_eq!(graph.initializers["v"], Tensor::f32(&[64], vec![1.0; 64]));
    }

    #[test]
    fn what_a_kept_tensor_depends_on_stays_and_the_rest_is_drawn_as_if_all_were() {
        let two = || {
            let mut graph = graph("Relu");
            graph.nodes.push(Node::new("next", "Conv", &["y", "u"], "z"));
            let sevens = vec![7.0; 64];
            graph.initializers.insert("u".into(), Tensor::f32(&[1, 64, 1, 1], sevens));
            graph
        };
        let (mut all, mut above) = (two(), two());
        randomise(&mut all, Seed(5), "body");
        let drawn = randomise_above(&mut above, Some("y"), Seed(5), "body");
        assert_eq!(drawn.drawn, ["u"]);
        assert_eq!(above.initializers["u"], all.initializers["u"]);
        for name in ["w", "b", "g", "s", "m", "v"] {
            assert_eq!(above.initializers[name], two().initializers[name]);
        }
    }

    #[test]
    fn check_values_of_fans() {
        // Kaiming for fan-in 512 and Xavier for 512 in and 10 out, and for 144 in and 288 out.
        let spread = |fan_in, fan_out, activation: &str| {
            let graph = graph(activation);
            let role = Role::Weight { fan_in, fan_out };
            spread(&graph, &Parameter { name: "w".into(), role, node: 0 })
        };
        let near = |found: f64, value: f64| assert!((found - value).abs() < 1e-8, "{found}");
        let Spread::Normal(deviation) = spread(512, 10, "Relu") else { panic!() };
        near(deviation, 0.0625);
        let Spread::Uniform(bound) = spread(512, 10, "Softmax") else { panic!() };
        near(bound, 0.107_211_25);
        let Spread::Normal(deviation) = spread(144, 288, "Relu") else { panic!() };
        near(deviation, 0.117_851_13);
        near(deviation * 3.0_f64.sqrt(), 0.204_124_15);
        let Spread::Uniform(bound) = spread(144, 288, "Softmax") else { panic!() };
        near(bound, 0.117_851_13);
    }

    #[test]
    fn adding_a_tensor_changes_no_other_draw() {
        let mut small = graph("Relu");
        let mut large = graph("Relu");
        large.nodes.insert(0, Node::new("first", "Conv", &["x", "a"], "z"));
        large.initializers.insert("a".into(), Tensor::f32(&[3, 3, 1, 1], vec![0.0; 9]));
        randomise(&mut small, Seed(5), "body");
        randomise(&mut large, Seed(5), "body");
        assert_eq!(small.initializers["w"], large.initializers["w"]);
    }
}
