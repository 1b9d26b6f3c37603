//! A head trained above a frozen body: in one graph with the body, and on features that were computed
//! once.

use tl_run::autodiff::{self, Dialect, Flat, Optimiser, Step, Terms};
use tl_run::base::Seed;
use tl_run::base::language::defaults;
use tl_run::onnx::freeze::{Divided, divide};
use tl_run::onnx::graph::{Graph, Port};
use tl_run::onnx::observe::observe;
use tl_run::onnx::runtime::{Backend, Session, Tensor, runtime};
use tl_run::onnx::{head, init, proto, upgrade};

use crate::harness::{material, repository};

const BATCHES: usize = 3;
const STEPS: usize = 12;
const CLASSES: usize = 3;

/// A body with a new head of three classes.
struct Headed {
    graph: Graph,
    features: String,
    input: Vec<usize>,
}

impl Headed {
    fn of(bytes: &[u8], item: &[usize], batch: usize) -> Self {
        let graph = upgrade::upgrade(proto::decode(bytes).unwrap()).unwrap();
        let input = [&[batch], item].concat();
        let seen = observe(runtime().unwrap(), &graph, std::slice::from_ref(&input)).unwrap();
        let features = head::find(&graph, &seen, None).unwrap();
        let mut graph = head::replace(&graph, &seen, &features, CLASSES).unwrap();
        let (weight, bias) = head::parameters(&graph).unwrap();
        init::randomise_head(&mut graph, &weight, &bias, Seed(0));
        Self { graph, features, input }
    }

    /// Split at the features.
    fn at_features(&self) -> Divided {
        divide(&self.graph, Some(&self.features))
    }

    /// The same head learns, but the body is part of every step.
    fn as_a_whole(&self) -> Divided {
        let whole = divide(&self.graph, None);
        Divided { trained: self.at_features().trained, ..whole }
    }

    /// Batches that look drawn but are always the same.
    fn batches(&self) -> Vec<Tensor> {
        let length = self.input.iter().product::<usize>();
        let batch = |number: usize| {
            let mut stream = Seed(3).stream("batch", &number.to_string());
            let values = (0..length).map(|_| stream.normal() as f32).collect();
            Tensor::f32(&self.input, values).unwrap()
        };
        (0..BATCHES).map(batch).collect()
    }

    /// What the body makes of each batch, by itself and without its head.
    fn cached(&self) -> Vec<Tensor> {
        let end = Port::named(&self.features);
        let body = self.graph.part(&self.graph.inputs, &[end]);
        let mut session = runtime().unwrap().load(&proto::encode(&body), 1).unwrap();
        let mut run = |batch: Tensor| session.run(&[&batch]).unwrap().remove(0);
        self.batches().into_iter().map(&mut run).collect()
    }

    /// Weights of the head after training.
    fn trained(&self, divided: &Divided, batches: &[Tensor]) -> Vec<f32> {
        let runtime = runtime().unwrap();
        let shape = batches[0].dims();
        let seen = observe(runtime, &divided.suffix, std::slice::from_ref(&shape)).unwrap();
        let optimiser = Optimiser::AdamW(defaults());
        let step = Step {
            divided,
            seen: &seen,
            batch: shape[0],
            rate: &|_| 1.0,
            optimiser: &optimiser,
            clip: None,
            batch_statistics: false,
            dialect: match runtime.backend {
                Backend::Library => Dialect::Library,
                Backend::Embedded => Dialect::Embedded,
            },
            terms: &Terms::default(),
        };
        let graphs = autodiff::build(&step).unwrap();
        let session = runtime.load(&proto::encode(&graphs.train), 1).unwrap();
        let start = [&graphs.weights, &graphs.statistics].map(|flat| flat.gather(&self.graph));
        learnt(session, &optimiser, batches, &graphs.weights, start)
    }
}

fn learnt(
    mut session: Session,
    optimiser: &Optimiser,
    batches: &[Tensor],
    layout: &Flat,
    [weights, statistics]: [Vec<f32>; 2],
) -> Vec<f32> {
    let vector = |values: Vec<f32>| Tensor::f32(&[values.len()], values).unwrap();
    let items = batches[0].dims()[0];
    let hot = |index: usize| f32::from(u8::from(index % CLASSES == index / CLASSES % CLASSES));
    let targets = (0..items * CLASSES).map(hot).collect();
    let targets = Tensor::f32(&[items, CLASSES], targets).unwrap();
    let item_weights = vector(vec![1.0; items]);
    let mut moving = vec![vector(weights)];
    moving.extend(optimiser.state().iter().map(|_| vector(vec![0.0; layout.len()])));
    if !statistics.is_empty() {
        moving.push(vector(statistics));
    }
    for step in 1..=STEPS {
        let mut numbers = vec![vector(vec![0.005])];
        numbers.extend(optimiser.corrections(step).into_iter().map(|number| vector(vec![number])));
        let fed = [&batches[step % batches.len()], &targets, &item_weights];
        let inputs: Vec<&Tensor> = fed.into_iter().chain(&moving).chain(&numbers).collect();
        moving = session.run(&inputs).unwrap();
        moving.remove(0);
    }
    moving[0].floats().unwrap().to_vec()
}

fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

#[track_caller]
fn assert_same(headed: &Headed) {
    let start: Vec<f32> = {
        let divided = headed.at_features();
        let held = |p: &tl_run::onnx::parameters::Parameter| {
            headed.graph.initializers[&p.name].floats().unwrap().to_vec()
        };
        divided.trained.iter().flat_map(held).collect()
    };
    let whole = headed.trained(&headed.as_a_whole(), &headed.batches());
    let cached = headed.trained(&headed.at_features(), &headed.cached());
    assert_eq!(whole.len(), cached.len());
    let apart = norm(whole.iter().zip(&cached).map(|(a, b)| a - b)) / norm(cached.iter().copied());
    let moved = norm(cached.iter().zip(&start).map(|(a, b)| a - b)) / norm(start.iter().copied());
    assert!(moved > 0.05, "it learnt: {moved}");
    assert!(apart < 1e-5, "{apart:.1e} apart");
}

#[test]
fn a_head_on_a_small_frozen_body_learns_as_on_its_features() {
    let file = std::fs::read(repository().join("data/models/radiographs.onnx")).unwrap();
    assert_same(&Headed::of(&file, &[1, 32, 32], 8));
    let file = std::fs::read(repository().join("tests/golden/residual_cnn.onnx")).unwrap();
    assert_same(&Headed::of(&file, &[3, 27, 22], 8));
}

#[test]
fn a_head_on_a_frozen_mobilenet_learns_as_on_its_features() {
    let Some(material) = material() else { return };
    let file = material.join("models/repacked/mobilenet_v1_0.25_224.onnx");
    assert_same(&Headed::of(&std::fs::read(file).unwrap(), &[3, 224, 224], 4));
}
