//! How long does one training step take, by network and by what is frozen?
//!
//! Runs on whichever runtime is found; set `ORT_DYLIB_PATH` to compare the library with the
//! embedded backend, and `TL_RUN_KERNELS=off` to compare kernels of our own with standard operators.
//!
//! `training_step --peer MODEL.onnx CLASSES BATCH THREADS` trains a model step by step as it is told:
//! `benches/peers/training_step.py` drives it beside `PyTorch`.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to say")]

use std::cell::RefCell;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, criterion_group};
use tl_run::autodiff::{Loss, Optimiser, Sgd, Terms};
use tl_run::base::language::defaults;
use tl_run::base::{Digest, Seed};
use tl_run::data::Split;
use tl_run::onnx::architecture::Architecture;
use tl_run::onnx::freeze::divide;
use tl_run::onnx::graph::{Dim, Graph};
use tl_run::onnx::observe::observe;
use tl_run::onnx::runtime::runtime;
use tl_run::onnx::{head, init, proto, upgrade};
use tl_run::train::{
    Answers, Budget, Examples, Length, Mixing, Monitor, NoDraft, Preparation, Rows, Schedule,
    Settings, Start, Unfreeze, Watch, Workshop, train,
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
        let (learnt, val) = ((0..64).collect(), (64..96).collect());
        let split = Split { train: learnt, val, ..Split::default() };
        let examples = Examples {
            sources: rows.iter().map(|rows| rows as &dyn Rows).collect(),
            answers: Answers::Classes { labels: &labels, weights: &[1.0, 1.0] },
            open: split.open(&split.train),
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
/// What a driver asks for.
struct Peer {
    graph: Graph,
    classes: usize,
    batch: usize,
    threads: usize,
}

impl Peer {
    fn from(arguments: &[String]) -> Self {
        let [model, classes, batch, threads] = arguments else {
            panic!("--peer MODEL CLASSES BATCH THREADS")
        };
        let graph = proto::decode(&std::fs::read(model).unwrap()).unwrap();
        Self {
            graph: upgrade::upgrade(graph).unwrap(),
            classes: classes.parse().unwrap(),
            batch: batch.parse().unwrap(),
            threads: threads.parse().unwrap(),
        }
    }

    /// Answers `ready`; then trains as many steps as each line of the input says and answers with the
    /// milliseconds of each by the wall, those of the processor for all, and peak memory in kilobytes.
    /// At the end it tells the share of a step that the loop itself takes.
    fn serve(&self) {
        let runtime = runtime().unwrap();
        let dims = self.graph.inputs[0].dims.as_ref().unwrap();
        let extent = |dim: &Dim| match dim {
            Dim::Fixed(extent) => *extent,
            Dim::Free(_) => self.batch,
        };
        let image: Vec<usize> = dims[1..].iter().map(extent).collect();
        let rows = Same(image.iter().product());
        let optimiser = Optimiser::Sgd(defaults::<Sgd>());
        let divided = divide(&self.graph, None);
        let preparation = Preparation {
            divided: &divided,
            items: std::slice::from_ref(&image),
            batch: self.batch,
            rate: &|_| 1.0,
            optimiser: &optimiser,
            clip: None,
            terms: &Terms::default(),
        };
        let workshop = Workshop::new(runtime);
        let prepared = workshop.prepare(Digest::of(b"peer"), &preparation).unwrap();
        let count = 4 * self.batch;
        let labels: Vec<usize> = (0..count).map(|index| index % self.classes).collect();
        let split = Split { train: (0..count).collect(), val: vec![0], ..Split::default() };
        let class_weights = vec![1.0; self.classes];
        let examples = Examples {
            sources: vec![&rows],
            answers: Answers::Classes { labels: &labels, weights: &class_weights },
            open: split.open(&split.train),
        };
        let training = |steps: usize, watch: Watch<'_>| {
            let settings = Settings {
                rate: 1e-4,
                schedule: &Schedule::Constant,
                unfreeze: &Unfreeze::AtOnce,
                optimiser: &optimiser,
                loss: &Loss::CrossEntropy,
                mixing: Mixing::default(),
                batch: self.batch,
                budget: Budget { length: Length::Steps(steps), patience: 0 },
                monitor: &Monitor::Loss,
                seed: Seed(0),
                threads: self.threads,
            };
            let start = Start {
                weights: prepared.weights.gather(&self.graph),
                statistics: prepared.statistics.gather(&self.graph),
                anchor: vec![],
            };
            let phases = [Arc::clone(&prepared)];
            train(&workshop, &phases, &examples, &settings, start, &NoDraft, watch)
        };
        let turns = RefCell::new(Turns::default());
        let told = |_: usize, _: usize, note: &str| turns.borrow_mut().step(note.is_empty());
        // So long that looks at val are far between.
        assert!(training(1_000_000, &told).is_err(), "the input ends before");
        let walls = RefCell::new((Instant::now(), Vec::new()));
        let timed = |_: usize, _: usize, note: &str| {
            let (last, walls) = &mut *walls.borrow_mut();
            let wall = std::mem::replace(last, Instant::now()).elapsed().as_secs_f64();
            // A step after which val was looked at is no step alone.
            walls.extend(note.is_empty().then_some(wall));
            true
        };
        let computing = training(SHORT, &timed).unwrap().computing / SHORT as f64;
        let walls = walls.into_inner().1;
        let mean = walls.iter().sum::<f64>() / walls.len() as f64;
        answer(&format!("{:.5}", 1.0 - computing / mean));
    }
}

/// Steps in which the loop's own share is measured.
const SHORT: usize = 24;

/// Steps as a driver asks for them.
#[derive(Default)]
struct Turns {
    left: usize,
    walls: Vec<String>,
    last: Option<Instant>,
    cpu: f64,
}

impl Turns {
    /// Takes note of a step, of its time if it was one alone; `false` when the input ends.
    fn step(&mut self, alone: bool) -> bool {
        let Some(last) = self.last else {
            answer("ready");
            return self.listen();
        };
        if alone {
            self.walls.push(format!("{:.3}", last.elapsed().as_secs_f64() * 1e3));
            self.left -= 1;
        }
        self.last = Some(Instant::now());
        if self.left > 0 {
            return true;
        }
        let cpu = (cpu_seconds() - self.cpu) * 1e3;
        answer(&format!("{};{cpu:.3};{}", self.walls.join(" "), peak_kilobytes()));
        self.listen()
    }

    fn listen(&mut self) -> bool {
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line).unwrap() == 0 {
            return false;
        }
        self.left = line.trim().parse().unwrap();
        self.walls.clear();
        self.cpu = cpu_seconds();
        self.last = Some(Instant::now());
        true
    }
}

fn answer(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").unwrap();
    out.flush().unwrap();
}

/// Processor time of this process so far, all threads together.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// The most memory this process has held, where the system tells.
fn peak_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or_default()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().position(|argument| argument == "--peer") {
        Some(place) => Peer::from(&arguments[place + 1..place + 5]).serve(),
        None => {
            benches();
            Criterion::default().configure_from_args().final_summary();
        }
    }
}
