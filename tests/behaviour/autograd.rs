//! Gradients and optimiser steps beside `PyTorch`'s: golden files of five networks, made by
//! `benches/peers/golden.py`.

use std::collections::{BTreeMap, BTreeSet};

use safetensors::{Dtype, SafeTensors};
use serde_json::Value as Json;
use tl_run::autodiff::{self, AdamW, Dialect, Optimiser, Sgd, Step, StepGraphs, Terms};
use tl_run::base::language::{Above0, Share, defaults};
use tl_run::onnx::freeze::{Divided, divide};
use tl_run::onnx::graph::{Graph, INT64, Port};
use tl_run::onnx::observe::observe;
use tl_run::onnx::runtime::{Session, Tensor, runtime};
use tl_run::onnx::{proto, upgrade};

use crate::harness::repository;

/// A golden file: what goes in and what `PyTorch` says comes out.
struct Golden {
    graph: Graph,
    bytes: Vec<u8>,
    settings: Json,
}

impl Golden {
    fn of(name: &str) -> Self {
        let read = |end: &str| {
            std::fs::read(repository().join(format!("tests/golden/{name}.{end}"))).unwrap()
        };
        let graph = upgrade::upgrade(proto::decode(&read("onnx")).unwrap()).unwrap();
        let bytes = read("safetensors");
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let settings = &header.metadata().as_ref().unwrap()["settings"];
        let settings = serde_json::from_str(settings).unwrap();
        Self { graph, bytes, settings }
    }

    fn held(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let held = self.held();
        let view = held.tensor(name).unwrap();
        assert_eq!(view.dtype(), Dtype::F32, "{name}");
        let four = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
        view.data().chunks_exact(4).map(four).collect()
    }

    /// What `PyTorch` says of each tensor, by its name in the ONNX file.
    fn all(&self, kind: &str) -> BTreeMap<String, Vec<f32>> {
        let held = self.held();
        let names = held.names().into_iter().filter_map(|name| {
            name.strip_prefix(&format!("{kind}/")).map(|tensor| (tensor.to_owned(), name))
        });
        names.map(|(tensor, name)| (tensor, self.floats(name))).collect()
    }

    /// An input of the network.
    fn input(&self, port: &Port) -> Tensor {
        let held = self.held();
        let view = held.tensor(&format!("input/{}", port.name)).unwrap();
        match view.dtype() {
            Dtype::F32 => Tensor::f32(view.shape(), self.floats(&format!("input/{}", port.name))),
            kind => {
                assert_eq!(kind, Dtype::I64);
                let eight = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().unwrap());
                let values = view.data().chunks_exact(8).map(eight).collect();
                Tensor::whole(view.shape(), INT64, values)
            }
        }
        .unwrap()
    }

    fn number(&self, path: &str) -> f64 {
        self.settings.pointer(path).and_then(Json::as_f64).unwrap()
    }

    fn decays(&self) -> BTreeSet<&str> {
        let names = self.settings["decays"].as_array().unwrap();
        names.iter().map(|name| name.as_str().unwrap()).collect()
    }
}

/// A training of one of the networks, as `PyTorch` did it.
struct Training<'a> {
    golden: &'a Golden,
    divided: Divided,
    graphs: StepGraphs,
    session: Session,
    optimiser: &'a Optimiser,
}

impl<'a> Training<'a> {
    fn new(golden: &'a Golden, optimiser: &'a Optimiser, dialect: Dialect) -> Self {
        let divided = divide(&golden.graph, None);
        let batch = golden.held().tensor("item_weights").unwrap().shape()[0];
        let shapes: Vec<Vec<usize>> =
            divided.suffix.inputs.iter().map(|port| golden.input(port).dims()).collect();
        let seen = observe(runtime().unwrap(), &divided.suffix, &shapes).unwrap();
        let step = Step {
            divided: &divided,
            seen: &seen,
            batch,
            rate: &|_| 1.0,
            optimiser,
            clip: None,
            batch_statistics: golden.settings["batch_statistics"].as_bool().unwrap(),
            dialect,
            terms: &Terms::default(),
        };
        let graphs = autodiff::build(&step).unwrap();
        let session = runtime().unwrap().load(&proto::encode(&graphs.train), 1).unwrap();
        Self { golden, divided, graphs, session, optimiser }
    }

    /// What comes out of these steps: the loss of the first; weights, state and statistics of the
    /// last.
    fn steps(&mut self, steps: usize, rate: f64) -> (f32, Vec<Tensor>) {
        let vector = |values: Vec<f32>| Tensor::f32(&[values.len()], values).unwrap();
        let golden = self.golden;
        let shape = |name: &str| golden.held().tensor(name).unwrap().shape().to_vec();
        let fixed: Vec<Tensor> = self
            .divided
            .suffix
            .inputs
            .iter()
            .map(|port| golden.input(port))
            .chain(
                ["targets", "item_weights"]
                    .map(|name| Tensor::f32(&shape(name), golden.floats(name)).unwrap()),
            )
            .collect();
        let weights = self.graphs.weights.gather(&golden.graph);
        let length = weights.len();
        let mut moving = vec![vector(weights)];
        moving.extend(self.optimiser.state().iter().map(|_| vector(vec![0.0; length])));
        if !self.graphs.statistics.is_empty() {
            moving.push(vector(self.graphs.statistics.gather(&golden.graph)));
        }
        let mut first = None;
        for step in 1..=steps {
            let mut numbers = vec![vector(vec![rate as f32])];
            let corrections = self.optimiser.corrections(step);
            numbers.extend(corrections.into_iter().map(|number| vector(vec![number])));
            let inputs: Vec<&Tensor> = fixed.iter().chain(&moving).chain(&numbers).collect();
            moving = self.session.run(&inputs).unwrap();
            let loss = moving.remove(0).floats().unwrap()[0];
            first.get_or_insert(loss);
        }
        (first.unwrap(), moving)
    }
}

/// The values of each tensor of a vector.
fn by_name(layout: &autodiff::Flat, vector: &Tensor) -> BTreeMap<String, Vec<f32>> {
    let mut values = vector.floats().unwrap();
    let mut found = BTreeMap::new();
    for slot in layout.slots() {
        let (own, rest) = values.split_at(slot.len());
        found.insert(slot.name.clone(), own.to_vec());
        values = rest;
    }
    found
}

fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

/// Asserts that every tensor is there and within a share of its norm. `least` is a norm below which
/// a tensor counts as zero: what is zero by the mathematics is rounding alone.
#[track_caller]
fn assert_near(
    what: &str,
    ours: &BTreeMap<String, Vec<f32>>,
    theirs: &BTreeMap<String, Vec<f32>>,
    share: f64,
    least: f64,
) {
    let names = |tensors: &BTreeMap<String, Vec<f32>>| tensors.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(ours), names(theirs), "{what}: left ours, right PyTorch's");
    for (name, theirs) in theirs {
        let ours = &ours[name];
        assert_eq!(ours.len(), theirs.len(), "{what} of {name}");
        let apart = norm(ours.iter().zip(theirs).map(|(a, b)| a - b));
        let size = norm(theirs.iter().copied()).max(least);
        assert!(apart < share * size, "{what} of {name}: {:.1e} apart", apart / size);
    }
}

fn assert_learns_as_pytorch_does(name: &str) {
    let golden = Golden::of(name);
    let kernels = runtime().unwrap().kernels().map(|_| Dialect::Kernels);
    for dialect in [Dialect::Library, Dialect::Embedded].into_iter().chain(kernels) {
        assert_same_gradients(name, &golden, dialect);
        for kind in ["sgd", "adamw"] {
            assert_same_steps(name, &golden, kind, dialect);
        }
    }
}

/// The velocity after a first step without weight decay is the gradient itself.
fn assert_same_gradients(name: &str, golden: &Golden, dialect: Dialect) {
    let plain = Optimiser::Sgd(defaults());
    let mut training = Training::new(golden, &plain, dialect);
    let (loss, moving) = training.steps(1, 0.1);
    let expected = golden.floats("loss")[0];
    assert!((loss - expected).abs() < 1e-5 * expected, "{name}: loss {loss}, not {expected}");
    let gradients = by_name(&training.graphs.weights, &moving[1]);
    let theirs = golden.all("gradient");
    let largest = theirs.values().map(|g| norm(g.iter().copied())).fold(0.0, f64::max);
    assert_near(&format!("{name}, gradient"), &gradients, &theirs, 1e-4, 1e-3 * largest);
    let decays: BTreeSet<&str> = training
        .graphs
        .weights
        .slots()
        .iter()
        .filter(|slot| slot.decays)
        .map(|slot| slot.name.as_str())
        .collect();
    assert_eq!(decays, golden.decays(), "{name}: tensors that decay, left ours");
}

fn assert_same_steps(name: &str, golden: &Golden, kind: &str, dialect: Dialect) {
    let number = |key: &str| golden.number(&format!("/{kind}/{key}"));
    let share = |key: &str| Share::new(number(key)).unwrap();
    let optimiser = match kind {
        "sgd" => Optimiser::Sgd(Sgd {
            momentum: share("momentum"),
            weight_decay: share("weight_decay"),
            ..defaults()
        }),
        _ => Optimiser::AdamW(AdamW {
            beta1: share("beta1"),
            beta2: share("beta2"),
            epsilon: Above0::new(number("epsilon")).unwrap(),
            weight_decay: share("weight_decay"),
        }),
    };
    let mut training = Training::new(golden, &optimiser, dialect);
    let (_, moving) = training.steps(golden.number("/steps") as usize, number("lr"));
    let mut ours = by_name(&training.graphs.weights, &moving[0]);
    if !training.graphs.statistics.is_empty() {
        let statistics = moving.last().unwrap();
        ours.append(&mut by_name(&training.graphs.statistics, statistics));
    }
    assert_near(&format!("{name}, {kind}"), &ours, &golden.all(kind), 1e-4, 0.0);
}

#[test]
fn a_residual_network_with_batch_statistics_learns_as_in_pytorch() {
    assert_learns_as_pytorch_does("residual_cnn");
}

#[test]
fn a_depthwise_network_with_batch_statistics_learns_as_in_pytorch() {
    assert_learns_as_pytorch_does("depthwise_cnn");
}

#[test]
fn a_block_of_a_vision_transformer_learns_as_in_pytorch() {
    assert_learns_as_pytorch_does("vit_block");
}

#[test]
fn a_layer_of_bert_learns_as_in_pytorch() {
    assert_learns_as_pytorch_does("bert_layer");
}

#[test]
fn a_convolutional_network_over_words_learns_as_in_pytorch() {
    assert_learns_as_pytorch_does("text_cnn");
}
