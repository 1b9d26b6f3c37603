//! A head trained above a frozen body: in one graph with the body, and on features that were computed
//! once.

use tl_run::autodiff::{self, Dialect, Flat, Optimiser, Step, Terms};
use tl_run::base::Seed;
use tl_run::base::language::defaults;
use tl_run::onnx::example::drawn;
use tl_run::onnx::freeze::{Divided, divide};
use tl_run::onnx::graph::{Graph, Port};
use tl_run::onnx::observe::observe;
use tl_run::onnx::runtime::{Backend, Session, Tensor, runtime};
use tl_run::onnx::tensor::Shape;
use tl_run::onnx::{head, init, proto, upgrade};

use crate::harness::{material, repository};

const BATCHES: usize = 3;
const STEPS: usize = 12;
const CLASSES: usize = 3;

/// A body with a new head of three classes, frozen up to a tensor.
struct Headed {
    graph: Graph,
    until: String,
    /// Shapes of its inputs.
    shapes: Vec<Shape>,
}

impl Headed {
    /// Frozen up to where the head reads.
    fn of(bytes: &[u8], item: &[usize], batch: usize) -> Self {
        Self::frozen(bytes, item, batch, None)
    }

    /// Each input has rows of this shape.
    fn frozen(bytes: &[u8], item: &[usize], batch: usize, until: Option<&str>) -> Self {
        let graph = upgrade::upgrade(proto::decode(bytes).unwrap()).unwrap();
        let shapes = vec![[&[batch], item].concat(); graph.inputs.len()];
        let seen = observe(runtime().unwrap(), &graph, &shapes).unwrap();
        let features = head::find_of_tokens(&graph, &seen, None).unwrap();
        let mut graph = head::replace(&graph, &seen, &features, CLASSES).unwrap();
        let (weight, bias) = head::parameters(&graph).unwrap();
        init::randomise_head(&mut graph, &weight, &bias, Seed(0));
        Self { graph, until: until.map_or(features, str::to_owned), shapes }
    }

    /// Split where it is frozen.
    fn at_features(&self) -> Divided {
        divide(&self.graph, Some(&self.until))
    }

    /// The same head learns, but the body is part of every step.
    fn as_a_whole(&self) -> Divided {
        let whole = divide(&self.graph, None);
        Divided { trained: self.at_features().trained, ..whole }
    }

    /// Batches that look drawn but are always the same: a value for each input.
    fn batches(&self) -> Vec<Vec<Tensor>> {
        let batch = |number| drawn(&self.graph, &self.shapes, Seed(number)).unwrap();
        (0..BATCHES as u64).map(batch).collect()
    }

    /// What reaches the part that learns: what the frozen part makes of each batch, by itself, and
    /// the inputs that both read.
    fn cached(&self, divided: &Divided) -> Vec<Vec<Tensor>> {
        let is_input = |name: &String| self.graph.inputs.iter().position(|p| p.name == *name);
        let made: Vec<Port> = divided
            .cuts
            .iter()
            .filter(|name| is_input(name).is_none())
            .map(|name| Port::named(name))
            .collect();
        let mut body = self.graph.part(&self.graph.inputs, &made);
        body.drop_unread_inputs();
        let mut session = runtime().unwrap().load(&proto::encode(&body), 1).unwrap();
        let mut run = |batch: Vec<Tensor>| {
            let mut batch: Vec<Option<Tensor>> = batch.into_iter().map(Some).collect();
            let read = |port: &Port| batch[is_input(&port.name).unwrap()].as_ref().unwrap();
            let fed: Vec<&Tensor> = body.inputs.iter().map(read).collect();
            let mut made = session.run(&fed).unwrap().into_iter();
            let cut = |name: &String| match is_input(name) {
                Some(index) => batch[index].take().unwrap(),
                None => made.next().unwrap(),
            };
            divided.cuts.iter().map(cut).collect()
        };
        self.batches().into_iter().map(&mut run).collect()
    }

    /// Weights of the head after training.
    fn trained(&self, divided: &Divided, batches: &[Vec<Tensor>]) -> Vec<f32> {
        let runtime = runtime().unwrap();
        let shapes: Vec<Shape> = batches[0].iter().map(Tensor::dims).collect();
        let seen = observe(runtime, &divided.suffix, &shapes).unwrap();
        let optimiser = Optimiser::AdamW(defaults());
        let step = Step {
            divided,
            seen: &seen,
            batch: shapes[0][0],
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
    batches: &[Vec<Tensor>],
    layout: &Flat,
    [weights, statistics]: [Vec<f32>; 2],
) -> Vec<f32> {
    let vector = |values: Vec<f32>| Tensor::f32(&[values.len()], values).unwrap();
    let items = batches[0][0].dims()[0];
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
        let fed = batches[step % batches.len()].iter().chain([&targets, &item_weights]);
        let inputs: Vec<&Tensor> = fed.chain(&moving).chain(&numbers).collect();
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
    let divided = headed.at_features();
    let cached = headed.trained(&divided, &headed.cached(&divided));
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
fn upper_layers_of_an_encoder_learn_above_frozen_ones_as_on_their_features() {
    let file = std::fs::read(repository().join("tests/golden/bert_layer.onnx")).unwrap();
    for (until, cuts) in [
        ("/norm/LayerNormalization_output_0", 2),
        ("/query/Add_output_0", 3),
        ("/norm1/LayerNormalization_output_0", 1),
        ("/Tanh_output_0", 1),
    ] {
        let headed = Headed::frozen(&file, &[7], 6, Some(until));
        assert_eq!(headed.at_features().cuts.len(), cuts, "{:?}", headed.at_features().cuts);
        assert_same(&headed);
    }
}

#[test]
fn a_head_on_a_frozen_mobilenet_learns_as_on_its_features() {
    let Some(material) = material() else { return };
    let file = material.join("models/repacked/mobilenet_v1_0.25_224.onnx");
    assert_same(&Headed::of(&std::fs::read(file).unwrap(), &[3, 224, 224], 4));
}
