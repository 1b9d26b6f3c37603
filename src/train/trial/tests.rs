mod recipes;

use super::*;
use crate::autodiff::Terms;
use crate::base::Digest;
use crate::base::language::defaults;
use crate::data::Open;
use crate::onnx::architecture::Architecture;
use crate::onnx::freeze::divide;
use crate::onnx::graph::Graph;
use crate::onnx::runtime::runtime;
use crate::onnx::{head, init};
use crate::train::{Answers, Length, NoDraft, Preparation, Rows, batch_size};

/// 8×8 images: class 1 has a bright upper half, class 0 a bright lower one; noisy.
struct Halves(Vec<Vec<f32>>);

impl Halves {
    fn new(count: usize) -> (Self, Vec<usize>) {
        let mut stream = Seed(9).stream("halves", "pixels");
        let labels: Vec<usize> = (0..count).map(|index| index % 2).collect();
        let image = |label: &usize| -> Vec<f32> {
            (0..64)
                .map(|pixel| {
                    let bright = (pixel < 32) == (*label == 1);
                    (if bright { 0.5 } else { -0.5 }) + stream.normal() as f32
                })
                .collect()
        };
        (Self(labels.iter().map(image).collect()), labels)
    }
}

impl Rows for Halves {
    fn length(&self) -> usize {
        64
    }

    fn copy(&self, row: usize, into: &mut [f32]) {
        into.copy_from_slice(&self.0[row]);
    }
}

fn network(architecture: &Architecture, seed: u64) -> Graph {
    let mut graph = architecture.build([1, 8, 8], 2).unwrap();
    init::randomise(&mut graph, Seed(seed), "body");
    let (weight, bias) = head::parameters(&graph).unwrap();
    init::randomise_head(&mut graph, &weight, &bias, Seed(seed));
    graph
}

fn residual() -> Architecture {
    Architecture::ResidualCnn(defaults())
}

struct Run {
    trained: Result<Trained, TrainError>,
    graph: Graph,
    prepared: std::sync::Arc<Prepared>,
    frozen: Vec<String>,
}

fn run(architecture: &Architecture, until: Option<&str>, rate: f64, steps: usize) -> Run {
    run_on(1, architecture, until, rate, steps)
}

fn run_on(
    threads: usize,
    architecture: &Architecture,
    until: Option<&str>,
    rate: f64,
    steps: usize,
) -> Run {
    let graph = network(architecture, 1);
    let (halves, labels) = Halves::new(160);
    let (train_items, val): (Vec<usize>, Vec<usize>) = ((0..100).collect(), (100..160).collect());
    let divided = divide(&graph, until);
    let workshop = Workshop::new(runtime().unwrap());
    let optimiser = Optimiser::AdamW(defaults());
    // What comes before the first weights is no part of what learns.
    let items = [if divided.cuts == ["flatten"] { vec![64] } else { vec![1, 8, 8] }];
    let preparation = Preparation {
        divided: &divided,
        items: &items,
        batch: batch_size(16, train_items.len()),
        rate: &|_| 1.0,
        optimiser: &optimiser,
        clip: Some(5.0),
        terms: &Terms::default(),
    };
    let prepared = workshop.prepare(Digest::of(b"halves"), &preparation).unwrap();
    let examples = Examples {
        sources: vec![&halves],
        answers: Answers::Classes { labels: &labels, weights: &[1.0, 1.0] },
        open: Open::made_up(&train_items, &val),
    };
    let settings = Settings {
        rate,
        schedule: &Schedule::Constant,
        unfreeze: &Unfreeze::AtOnce,
        optimiser: &optimiser,
        loss: &Loss::CrossEntropy,
        mixing: Mixing::default(),
        batch: prepared.batch,
        budget: Budget { length: Length::Steps(steps), patience: 0 },
        monitor: &Monitor::Loss,
        seed: Seed(1),
        threads,
    };
    let start = Start {
        weights: prepared.weights.gather(&graph),
        statistics: prepared.statistics.gather(&graph),
        anchor: vec![],
    };
    let phases = [Arc::clone(&prepared)];
    let trained = train(&workshop, &phases, &examples, &settings, start, &NoDraft, &|_, _, _| true);
    Run { trained, graph, prepared, frozen: divided.frozen }
}

#[test]
fn every_architecture_learns_what_can_be_learnt() {
    let architectures =
        [residual(), Architecture::PlainCnn(defaults()), Architecture::Mlp(defaults())];
    for architecture in architectures {
        let trained = run(&architecture, None, 3e-3, 60).trained.unwrap();
        let (first, last) = (trained.curve[0], trained.curve[trained.curve.len() - 1]);
        assert!(first.val_accuracy.unwrap() < 0.85, "{first:?}");
        assert!(trained.best.val_loss < 0.25 && last.val_accuracy.unwrap() > 0.9, "{last:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_on_any_number_of_threads() {
    let bits = |threads| {
        let trained = run_on(threads, &residual(), None, 3e-3, 20).trained.unwrap();
        trained.weights.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    let one = bits(1);
    assert_eq!(one, bits(1));
    assert_eq!(one, bits(3));
}

#[test]
fn a_rate_far_too_high_is_told_as_divergence() {
    let result = run(&Architecture::PlainCnn(defaults()), None, 1e30, 60).trained;
    assert!(matches!(result, Err(TrainError::Diverged { .. })), "{:?}", result.is_ok());
}

#[test]
fn what_learns_and_what_is_frozen_is_everything() {
    // Frozen up to block 1 while fed from the input is not what a stage does, but shows the parts.
    let run = run(&residual(), None, 1e-3, 1);
    assert!(run.frozen.is_empty());
    let learning = run.prepared.weights.len() + run.prepared.statistics.len();
    assert_eq!(learning, run.graph.parameters());
}
