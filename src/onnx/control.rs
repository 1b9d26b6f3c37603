//! Weights that look like pretrained ones and know nothing: controls that tell what of a transfer is
//! the scale of its weights rather than what was learnt.

use crate::base::{Seed, Stream};

use super::graph::Graph;
use super::init::{Drawn, randomise_one, untouched};
use super::parameters::{Parameter, parameters};
use super::tensor::Data;

/// What a control keeps of each pretrained tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Its mean and variance: values are drawn from a normal distribution with these (Raghu et al.
    /// 2019).
    MeanVar,
    /// All its values, in another order.
    Permuted,
}

impl Control {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::MeanVar => "meanvar",
            Self::Permuted => "permuted",
        }
    }
}

/// Puts a control in the place of every parameter; each tensor from its own stream `(seed, purpose,
/// name)`. Normalisations start as they do from scratch: their scales and statistics speak of what
/// the weights below them had learnt.
pub fn disguise(graph: &mut Graph, control: Control, seed: Seed, purpose: &str) -> Drawn {
    let untouched = untouched(graph);
    let found = parameters(graph);
    for parameter in &found {
        let mut stream = seed.stream(purpose, &parameter.name);
        if normalises(graph, parameter) {
            randomise_one(graph, parameter, &mut stream);
            continue;
        }
        let tensor = graph.initializers.get_mut(&parameter.name);
        if let Some(Data::F32(values)) = tensor.map(|tensor| &mut tensor.data) {
            match control {
                Control::MeanVar => redraw(values, &mut stream),
                Control::Permuted => stream.shuffle(values),
            }
        }
    }
    Drawn { drawn: found.into_iter().map(|parameter| parameter.name).collect(), untouched }
}

fn normalises(graph: &Graph, parameter: &Parameter) -> bool {
    graph.nodes[parameter.node].op.ends_with("Normalization")
}

/// Normal draws with the mean and the variance (divisor n) of what was there.
fn redraw(values: &mut [f32], stream: &mut Stream) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    let square: f64 = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum();
    let deviation = (square / count).sqrt();
    for value in values {
        *value = (mean + deviation * stream.normal()) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Node, Port};
    use super::super::tensor::Tensor;
    use super::*;

    /// A convolution with a bias, its normalisation, and a scale of the input that is no parameter.
    fn pretrained() -> Graph {
        let ramp = |count: usize| (0..count).map(|at| at as f32 / 64.0 - 2.0).collect();
        Graph {
            opset: 18,
            inputs: vec![Port::named("x")],
            nodes: vec![
                Node::new("shift", "Sub", &["x", "offset"], "a"),
                Node::new("conv", "Conv", &["a", "w", "b"], "c"),
                Node::new("norm", "BatchNormalization", &["c", "g", "s", "m", "v"], "y"),
            ],
            initializers: [
                ("offset", Tensor::f32(&[3, 1, 1], vec![7.0; 3])),
                ("w", Tensor::f32(&[64, 3, 3, 3], ramp(1728))),
                ("b", Tensor::f32(&[64], ramp(64))),
                ("g", Tensor::f32(&[64], ramp(64))),
                ("s", Tensor::f32(&[64], ramp(64))),
                ("m", Tensor::f32(&[64], ramp(64))),
                ("v", Tensor::f32(&[64], vec![3.0; 64])),
            ]
            .map(|(name, tensor)| (name.to_owned(), tensor))
            .into(),
            ..Graph::default()
        }
    }

    fn moments(graph: &Graph, name: &str) -> (f64, f64) {
        let values = graph.initializers[name].floats().unwrap();
        let count = values.len() as f64;
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
        let square = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>();
        (mean, (square / count).sqrt())
    }

    #[test]
    fn means_and_variances_of_weights_stay_and_nothing_else_does() {
        let source = pretrained();
        let mut drawn = source.clone();
        let told = disguise(&mut drawn, Control::MeanVar, Seed(0), "body");
        assert_eq!(told.drawn, ["w", "b", "g", "s", "m", "v"]);
        assert_eq!(told.untouched, ["offset"]);
        for (name, count) in [("w", 1728.0_f64), ("b", 64.0)] {
            let ((mean, deviation), (own, spread)) =
                (moments(&source, name), moments(&drawn, name));
            // Five standard errors of a mean, and of a standard deviation.
            let room = 5.0 * deviation / count.sqrt();
            assert!((mean - own).abs() < room && (deviation - spread).abs() < room, "{name}");
            assert_ne!(source.initializers[name], drawn.initializers[name]);
        }
        assert_eq!(drawn.initializers["offset"], source.initializers["offset"]);
    }

    #[test]
    fn a_permutation_keeps_the_values_of_each_tensor() {
        let source = pretrained();
        let mut shuffled = source.clone();
        disguise(&mut shuffled, Control::Permuted, Seed(0), "body");
        for name in ["w", "b"] {
            let sorted = |graph: &Graph| {
                let mut values = graph.initializers[name].floats().unwrap().to_vec();
                values.sort_by(f32::total_cmp);
                values
            };
            assert_ne!(source.initializers[name], shuffled.initializers[name]);
            assert_eq!(sorted(&source), sorted(&shuffled));
        }
    }

    #[test]
    fn normalisations_start_as_from_scratch_in_both() {
        for control in [Control::MeanVar, Control::Permuted] {
            let mut graph = pretrained();
            disguise(&mut graph, control, Seed(3), "body");
            for (name, value) in [("g", 1.0), ("s", 0.0), ("m", 0.0), ("v", 1.0)] {
                assert_eq!(graph.initializers[name], Tensor::f32(&[64], vec![value; 64]), "{name}");
            }
        }
    }

    #[test]
    fn another_seed_draws_otherwise_and_the_same_seed_alike() {
        let of = |seed| {
            let mut graph = pretrained();
            disguise(&mut graph, Control::MeanVar, Seed(seed), "body");
            graph.initializers["w"].clone()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
