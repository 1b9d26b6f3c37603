//! How long does one training step take, by network and by what is frozen?
//!
//! Runs on whichever runtime is found; set `ORT_DYLIB_PATH` to compare the library with the
//! embedded backend.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to say")]

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tl_run::autodiff::{Loss, Optimiser, Terms};
use tl_run::base::language::defaults;
use tl_run::base::{Digest, Seed};
use tl_run::onnx::architecture::Architecture;
use tl_run::onnx::freeze::divide;
use tl_run::onnx::graph::Graph;
use tl_run::onnx::observe::observe;
use tl_run::onnx::runtime::runtime;
use tl_run::onnx::{head, init};
use tl_run::train::{
    Budget, Examples, Length, Mixing, Monitor, NoDraft, Preparation, Rows, Schedule, Settings,
    Start, Unfreeze, Workshop, train,
};

/// Rows that are all alike.
struct Same(usize);

impl Rows for Same {
    fn length(&self) -> usize {
        self.0
    }

    fn copy(&self, row: usize, into: &mut [f32]) {
        into.fill(row as f32 * 0.01);
    }
}

fn network(architecture: &Architecture, side: usize) -> Graph {
    let mut graph = architecture.build([1, side, side], 2).unwrap();
    init::randomise(&mut graph, Seed(0), "body");
    let (weight, bias) = head::parameters(&graph).unwrap();
    init::randomise_head(&mut graph, &weight, &bias, Seed(0));
    graph
}

fn steps(c: &mut Criterion) {
    let runtime = runtime().unwrap();
    let mut group = c.benchmark_group(runtime.version().to_owned());
    group.sample_size(10);
    let residual = || Architecture::ResidualCnn(defaults());
    let cases = [
        ("digits_cnn", Architecture::PlainCnn(defaults()), 8, None),
        ("residual", residual(), 48, None),
        ("residual_frozen_block1", residual(), 48, Some("block1/relu2")),
        ("residual_frozen_block2", residual(), 48, Some("block2/relu2")),
    ];
    for (name, architecture, side, until) in cases {
        let graph = network(&architecture, side);
        let seen = observe(runtime, &graph, &[vec![1, 1, side, side]]).unwrap();
        let divided = divide(&graph, until);
        let items: Vec<Vec<usize>> =
            divided.cuts.iter().map(|cut| seen.shapes[cut][1..].to_vec()).collect();
        let rows: Vec<Same> = items.iter().map(|item| Same(item.iter().product())).collect();
        let optimiser = Optimiser::AdamW(defaults());
        let preparation = Preparation {
            divided: &divided,
            items: &items,
            batch: 32,
            rate: &|_| 1.0,
            optimiser: &optimiser,
            clip: None,
            terms: &Terms::default(),
        };
        let workshop = Workshop::new(runtime);
        let prepared = workshop.prepare(Digest::of(name.as_bytes()), &preparation).unwrap();
        let labels: Vec<usize> = (0..96).map(|index| index % 2).collect();
        let all: Vec<usize> = (0..96).collect();
        let examples = Examples {
            sources: rows.iter().map(|rows| rows as &dyn Rows).collect(),
            labels: &labels,
            train: &all[..64],
            val: &all[64..],
            class_weights: &[1.0, 1.0],
        };
        group.bench_function(BenchmarkId::new(name, "100 steps of 32"), |b| {
            b.iter(|| {
                let settings = Settings {
                    rate: 1e-4,
                    schedule: &Schedule::Constant,
                    unfreeze: &Unfreeze::AtOnce,
                    optimiser: &optimiser,
                    loss: &Loss::CrossEntropy,
                    mixing: Mixing::default(),
                    batch: 32,
                    budget: Budget { length: Length::Steps(100), patience: 0 },
                    monitor: &Monitor::Loss,
                    seed: Seed(0),
                    threads: 1,
                };
                let start = Start {
                    weights: prepared.weights.gather(&graph),
                    statistics: prepared.statistics.gather(&graph),
                    anchor: vec![],
                };
                let (phases, watch) =
                    ([Arc::clone(&prepared)], &|_: usize, _: usize, _: &str| true);
                train(&workshop, &phases, &examples, &settings, start, &NoDraft, watch).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
