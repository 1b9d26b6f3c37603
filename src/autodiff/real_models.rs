//! Gradients of whole models from elsewhere against finite differences: every parameter of each
//! learns, the output is weighted with random numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::base::{Seed, Stream};
use crate::onnx::fold::fold;
use crate::onnx::graph::{Dim, Graph, INT64, Port};
use crate::onnx::observe::observe;
use crate::onnx::parameters::parameters;
use crate::onnx::runtime::{Backend, Session, Tensor as Value, runtime};
use crate::onnx::tensor::{Data, Tensor, elements};
use crate::onnx::{external, precision, proto, upgrade};

use super::derive;
use super::site::Mode;
use super::tape::{Dialect, Tape, Var};

/// A model of the material, with the extent of its free axes.
struct Real {
    path: &'static str,
    free: usize,
    /// How far the computed slope may be from the measured one, relative to the gradient's length
    /// along the direction: `ReLU`s that open or close on the way count.
    tolerance: f64,
}

const MODELS: [Real; 10] = [
    Real { path: "original/bert_toy_random.onnx", free: 2, tolerance: 1e-2 },
    Real { path: "original/vit_cifar10_ibp_3_3_8.onnx", free: 2, tolerance: 2e-2 },
    Real { path: "original/super_resolution_10.onnx", free: 1, tolerance: 2e-2 },
    Real { path: "original/mnist-8.onnx", free: 1, tolerance: 2e-2 },
    Real { path: "original/emnist_cnn.onnx", free: 2, tolerance: 2e-2 },
    Real { path: "original/cifar10_resnet_2b.onnx", free: 1, tolerance: 2e-2 },
    Real { path: "original/onnx2c_mnist_pytorch.onnx", free: 1, tolerance: 2e-2 },
    Real { path: "repacked/cifar10_resnet20.onnx", free: 2, tolerance: 2e-2 },
    Real { path: "repacked/mobilenet_v1_0.25_224.onnx", free: 1, tolerance: 1e-1 },
    Real { path: "repacked/squeezenet1.1_fp32_from_fp16.onnx", free: 1, tolerance: 4e-2 },
];

/// The model with values for its inputs in place of them.
fn closed(mut graph: Graph, free: usize) -> Graph {
    let mut stream = Seed(5).stream("real models", "inputs");
    for port in std::mem::take(&mut graph.inputs) {
        let extent = |dim: &Dim| match dim {
            Dim::Fixed(extent) => *extent,
            // A sequence is longer than a batch.
            Dim::Free(name) if name.contains("seq") => 4 * free,
            Dim::Free(_) => free,
        };
        let dims: Vec<usize> = port.dims.iter().flatten().map(extent).collect();
        let count = elements(&dims);
        let value = match port.kind {
            INT64 if port.name.contains("ids") && !port.name.contains("type") => {
                let ids = (0..count).map(|_| stream.below(90) as i64).collect();
                Tensor { dims, data: Data::I64(ids) }
            }
            INT64 => Tensor { dims, data: Data::I64(vec![1; count]) },
            _ => Tensor::f32(&dims, (0..count).map(|_| stream.normal() as f32).collect()),
        };
        graph.initializers.insert(port.name, value);
    }
    graph.outputs.truncate(1);
    graph
}

fn run(session: &mut Session, inputs: &[&Tensor]) -> Vec<Vec<f32>> {
    let values: Vec<Value> = inputs
        .iter()
        .map(|tensor| Value::f32(&tensor.dims, tensor.floats().unwrap().to_vec()).unwrap())
        .collect();
    let outputs = session.run(&values.iter().collect::<Vec<_>>()).unwrap();
    outputs.iter().map(|output| output.floats().unwrap().to_vec()).collect()
}

/// One graph of outputs, and one of gradients for given weights of the outputs.
struct Derived {
    forward: Session,
    backward: Session,
    parameters: BTreeMap<String, Tensor>,
    y: Vec<usize>,
}

fn derived(real: &Real, folder: &std::path::Path) -> Derived {
    let mut graph = external::open(&folder.join(real.path)).unwrap().graph;
    precision::to_single(&mut graph);
    let mut graph = closed(upgrade::upgrade(graph).unwrap(), real.free);
    let seen = observe(runtime().unwrap(), &graph, &[]).unwrap();
    let names: BTreeSet<String> = parameters(&graph)
        .into_iter()
        .filter(|parameter| parameter.role.is_trained())
        .map(|parameter| parameter.name)
        .collect();
    fold(&mut graph, &seen, &names.iter().map(String::as_str).collect());
    let used = |name: &String| graph.nodes.iter().any(|node| node.inputs.contains(name));
    let names: BTreeSet<String> = names.into_iter().filter(used).collect();
    let output = graph.outputs[0].name.clone();
    let tape_of = |with_gradient: bool| {
        let mut tape = Tape::new(graph.opset, Dialect::Library);
        tape.scope("real");
        let input =
            |name: &String| (name.clone(), tape.input(name, &graph.initializers[name].dims));
        let given: BTreeMap<String, Var> = names.iter().map(input).collect();
        let passed =
            derive::forward(&graph, &seen, given, &names, Mode::Frozen, &mut tape).unwrap();
        let y = passed.vars[&output].clone();
        if with_gradient {
            let r = tape.input("r", y.dims());
            let gradients = passed.backward(&output, r, &mut tape).unwrap();
            for name in &names {
                let none = tape.zeros(&graph.initializers[name].dims);
                let gradient = gradients.get(name).unwrap_or(&none).clone();
                tape.output(&gradient, &format!("d_{name}"));
            }
        } else {
            tape.output(&y, "made");
        }
        (proto::encode(&tape.finish()), y.dims().to_vec())
    };
    let ((forward, y), (backward, _)) = (tape_of(false), tape_of(true));
    let parameters =
        names.iter().map(|name| (name.clone(), graph.initializers[name].clone())).collect();
    let load = |model: &[u8]| runtime().unwrap().load(model, 2).unwrap();
    Derived { forward: load(&forward), backward: load(&backward), parameters, y }
}

fn draws(stream: &mut Stream, length: usize) -> Vec<f32> {
    (0..length).map(|_| stream.normal() as f32).collect()
}

/// A direction that moves every parameter by a like share of its size.
fn direction(parameters: &BTreeMap<String, Tensor>, stream: &mut Stream) -> Vec<Vec<f32>> {
    let one = |tensor: &Tensor| {
        let values = tensor.floats().unwrap();
        let size = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        let size = size.sqrt().max(1e-3);
        draws(stream, values.len()).iter().map(|u| u * size).collect()
    };
    parameters.values().map(one).collect()
}

fn check(real: &Real, folder: &std::path::Path) -> String {
    let mut model = derived(real, folder);
    let mut stream = Seed(9).stream("real models", real.path);
    let weights = Tensor::f32(&model.y, draws(&mut stream, elements(&model.y)));
    let mut fed: Vec<&Tensor> = model.parameters.values().collect();
    fed.push(&weights);
    let gradients = run(&mut model.backward, &fed);
    let length = gradients.iter().flatten().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    assert!(length.is_finite() && length > 0.0, "{}: a gradient of {length}", real.path);
    let mut worst: f64 = 0.0;
    for _ in 0..3 {
        let u = direction(&model.parameters, &mut stream);
        let products = |a: &[Vec<f32>]| -> (f64, f64) {
            let pairs = a.iter().flatten().zip(u.iter().flatten());
            let terms = pairs.map(|(g, u)| f64::from(*g) * f64::from(*u));
            terms.fold((0.0, 0.0), |(sum, square), term| (sum + term, square + term * term))
        };
        let (computed, square) = products(&gradients);
        let mut loss = |h: f32| -> f64 {
            let moved: Vec<Tensor> = model
                .parameters
                .values()
                .zip(&u)
                .map(|(tensor, u)| {
                    let values = tensor.floats().unwrap().iter().zip(u);
                    Tensor::f32(&tensor.dims, values.map(|(v, u)| v + h * u).collect())
                })
                .collect();
            let y = run(&mut model.forward, &moved.iter().collect::<Vec<_>>()).remove(0);
            let products = y.iter().zip(weights.floats().unwrap());
            products.map(|(y, w)| f64::from(*y) * f64::from(*w)).sum()
        };
        let slopes = [1e-3_f32, 3e-4, 1e-4].map(|h| (loss(h) - loss(-h)) / (2.0 * f64::from(h)));
        let off = slopes.map(|slope| (slope - computed).abs() / square.sqrt().max(computed.abs()));
        worst = worst.max(off.into_iter().fold(f64::INFINITY, f64::min));
    }
    let told = format!("{}: off by {worst:.1e}", real.path);
    assert!(worst < real.tolerance, "{told}");
    told
}

#[test]
fn gradients_of_real_models_agree_with_finite_differences() {
    let Some(material) = std::env::var_os("TL_MATERIAL").map(PathBuf::from) else {
        eprintln!("skipped: TL_MATERIAL names no folder");
        return;
    };
    if runtime().unwrap().backend == Backend::Embedded {
        eprintln!("skipped: whole numbers as constants and free shapes are for the library");
        return;
    }
    let folder = material.join("models");
    let wrong: Vec<&str> = MODELS
        .iter()
        .filter(|real| {
            let checked = std::panic::AssertUnwindSafe(|| eprintln!("{}", check(real, &folder)));
            std::panic::catch_unwind(checked).is_err()
        })
        .map(|real| real.path)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_parameter_that_two_nodes_share_gets_the_sum_of_both_gradients() {
    use crate::onnx::graph::Node;
    let graph = Graph {
        opset: 18,
        inputs: vec![Port::floats("x", &[2, 3])],
        outputs: vec![Port::named("y")],
        nodes: vec![
            Node::new("one", "MatMul", &["x", "w"], "a"),
            Node::new("turn", "Transpose", &["w"], "t"),
            Node::new("two", "MatMul", &["a", "t"], "y"),
        ],
        initializers: [("w".to_owned(), Tensor::f32(&[3, 3], vec![0.0; 9]))].into(),
        ..Graph::default()
    };
    let weights = [0.5, -0.2, 0.1, 0.3, 0.8, -0.6, 0.2, 0.4, 0.7];
    let seen = observe(runtime().unwrap(), &graph, &[vec![2, 3]]).unwrap();
    let mut tape = Tape::new(18, Dialect::Library);
    let given: BTreeMap<String, Var> = [("x", vec![2, 3]), ("w", vec![3, 3])]
        .map(|(name, dims)| (name.to_owned(), tape.input(name, &dims)))
        .into();
    let wanted = BTreeSet::from(["w".to_owned()]);
    let passed = derive::forward(&graph, &seen, given, &wanted, Mode::Frozen, &mut tape).unwrap();
    let ones = tape.constant(Tensor::f32(&[2, 3], vec![1.0; 6]));
    let gradients = passed.backward("y", ones, &mut tape).unwrap();
    tape.output(&gradients["w"], "d_w");
    let mut session = runtime().unwrap().load(&proto::encode(&tape.finish()), 1).unwrap();
    let given = Tensor::f32(&[2, 3], vec![1.0, 2.0, -1.0, 0.5, 0.0, 3.0]);
    let made = run(&mut session, &[&given, &Tensor::f32(&[3, 3], weights.to_vec())]).remove(0);
    // L = Σ x W Wᵀ 1: with s = Wᵀ 1 and c = xᵀ 1, dW = c sᵀ + 1 (Wᵀ c)ᵀ.
    let sums: Vec<f32> = (0..3).map(|j| weights[j] + weights[3 + j] + weights[6 + j]).collect();
    let column = [1.5, 2.0, 2.0];
    let other: Vec<f32> = (0..3)
        .map(|j| column[0] * weights[j] + column[1] * weights[3 + j] + column[2] * weights[6 + j])
        .collect();
    for (at, value) in made.iter().enumerate() {
        let expected = column[at / 3] * sums[at % 3] + other[at % 3];
        assert!((value - expected).abs() < 1e-5, "{made:?}");
    }
}
