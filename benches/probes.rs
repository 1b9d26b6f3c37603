//! A probe fitted for all values of a grid: `cargo bench --bench probes` times each kind on
//! scikit-learn's digits, and `benches/peers/probes.py` drives it beside scikit-learn.
//!
//! `probes --peer TASK FEATURES TOLERANCE THREADS C,C,…`, where `FEATURES` is a file of four whole numbers
//! (items of train and test, features, classes; 64 bits, little end first), the features (f64, row by
//! row) and the labels (64 bits). Prints one line of JSON.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to say")]
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::time::Instant;

use criterion::{Criterion, criterion_group};
use ndarray::{Array2, ArrayView1, ArrayView2, s};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tl_run::probe::gram::{Gram, Kernel};
use tl_run::probe::kernel_svm;
use tl_run::probe::kernel_svm::{Among, ClassifierPath};
use tl_run::probe::knn::{Distance, Neighbours, Votes};
use tl_run::probe::linear_svm::{self, SvmPath, Targets};
use tl_run::probe::logistic::{LogisticPath, Settings};
use tl_run::probe::newton::Stop;

/// What is fitted and predicted.
struct Task {
    features: Array2<f64>,
    labels: Vec<usize>,
    train: usize,
    classes: usize,
    tolerance: f64,
    threads: usize,
    costs: Vec<f64>,
}

/// For one cost: the objective, whether a cap was hit, and the classes predicted of the test items.
type Row = (f64, bool, Vec<usize>);

impl Task {
    fn read(arguments: &[String]) -> Self {
        let [path, tolerance, threads, costs] = arguments else {
            panic!("see the head of the file")
        };
        let bytes = fs::read(path).unwrap();
        let words: Vec<[u8; 8]> = bytes.as_chunks::<8>().0.to_vec();
        let whole = |word: &[u8; 8]| u64::from_le_bytes(*word) as usize;
        let [train, test, width, classes] = [0, 1, 2, 3].map(|at| whole(&words[at]));
        let values = &words[4..4 + (train + test) * width];
        let values = values.iter().map(|word| f64::from_le_bytes(*word)).collect();
        let features = Array2::from_shape_vec((train + test, width), values).unwrap();
        let labels = words[4 + (train + test) * width..].iter().map(whole).collect();
        Self {
            features,
            labels,
            train,
            classes,
            tolerance: tolerance.parse().unwrap(),
            threads: threads.parse().unwrap(),
            costs: costs.split(',').map(|cost| cost.parse().unwrap()).collect(),
        }
    }

    fn train(&self) -> (ArrayView2<'_, f64>, &[usize]) {
        (self.features.slice(s![..self.train, ..]), &self.labels[..self.train])
    }

    fn test(&self) -> ArrayView2<'_, f64> {
        self.features.slice(s![self.train.., ..])
    }

    fn logistic(&self) -> Vec<Row> {
        let (features, labels) = self.train();
        let settings = Settings { tolerance: self.tolerance, ..Settings::default() };
        let path = LogisticPath::new(&features, labels, self.classes, self.threads);
        let mut path = path.settings(settings);
        let fit = |cost: &f64| {
            let fitted = path.fit(*cost);
            (fitted.objective, fitted.stop == Stop::Cap, best(&fitted.scores(&self.test())))
        };
        self.costs.iter().map(fit).collect()
    }

    fn linear_svm(&self) -> Vec<Row> {
        let (features, labels) = self.train();
        let targets = Targets::Classes { labels, classes: self.classes };
        let settings = linear_svm::Settings {
            bias: linear_svm::Bias::Penalised,
            tolerance: self.tolerance,
            ..linear_svm::Settings::default()
        };
        let mut path = SvmPath::new(&features, &targets, settings, self.threads);
        let fit = |cost: &f64| {
            let fitted = path.fit(*cost);
            let capped = fitted.stops.contains(&Stop::Cap);
            (fitted.objectives.iter().sum(), capped, best(&fitted.scores(&self.test())))
        };
        self.costs.iter().map(fit).collect()
    }

    /// One search serves every k; there is no objective.
    fn knn(&self) -> Vec<Row> {
        let (features, labels) = self.train();
        let neighbours = Neighbours::new(features, Distance::L2).unwrap();
        let most = self.costs.iter().fold(1.0_f64, |most, k| most.max(*k)) as usize;
        let nearest = neighbours.nearest(self.test(), most, self.threads).unwrap();
        let vote = |k: &f64| {
            let voted = nearest.vote(labels, self.classes, *k as usize, Votes::Majority).unwrap();
            (0.0, false, voted.predicted)
        };
        self.costs.iter().map(vote).collect()
    }

    fn rbf_svm(&self) -> Vec<Row> {
        let (features, labels) = self.train();
        let kernel = Kernel::Rbf { gamma: Kernel::gamma(1.0, &features) };
        let gram = Gram::new(&features, kernel, self.threads);
        let rows: Vec<usize> = (0..self.train).collect();
        let weights = vec![1.0; self.classes];
        let settings =
            kernel_svm::Settings { tolerance: self.tolerance, ..kernel_svm::Settings::default() };
        let path = ClassifierPath::new(&gram, &rows, labels, &weights, Among::Pairs, self.threads);
        let mut path = path.settings(settings);
        let between = kernel.between(&self.test(), &features, self.threads);
        let fit = |cost: &f64| {
            let fitted = path.fit(*cost);
            let objective = fitted.machines.iter().map(|machine| machine.objective).sum();
            (objective, fitted.stop() == Stop::Cap, fitted.votes(&between.view()))
        };
        self.costs.iter().map(fit).collect()
    }
}

/// The class of the highest score of each item, the lowest of equals.
fn best(scores: &Array2<f64>) -> Vec<usize> {
    let of = |row: ArrayView1<'_, f64>| {
        (0..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
    };
    scores.rows().into_iter().map(of).collect()
}

fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The most memory that was in use, in bytes; 0 where the system does not tell.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .map_or(0, |kib: usize| kib << 10)
}

/// The first 1,000 digits train, the others are predicted.
fn digits(criterion: &mut Criterion) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits.csv.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let rows: Vec<Vec<f64>> = text
        .lines()
        .map(|line| line.split(',').map(|value| value.parse().unwrap()).collect())
        .collect();
    let value = |(row, column): (usize, usize)| rows[row][column] / 16.0;
    let task = |tolerance: f64, costs: &[f64]| Task {
        features: Array2::from_shape_fn((rows.len(), 64), value),
        labels: rows.iter().map(|row| row[64] as usize).collect(),
        train: 1000,
        classes: 10,
        tolerance,
        threads: 1,
        costs: costs.to_vec(),
    };
    let grid: Vec<f64> = (0..13).map(|k| 10_f64.powf(-4.0 + 2.0 * f64::from(k) / 3.0)).collect();
    let mut group = criterion.benchmark_group("digits");
    group.sample_size(10);
    let (fine, coarse) = (task(1e-4, &grid), task(1e-3, &[0.1, 1.0, 10.0]));
    group.bench_function("logistic, 13 values", |b| b.iter(|| fine.logistic()));
    group.bench_function("linear_svm, 13 values", |b| b.iter(|| fine.linear_svm()));
    group.bench_function("rbf_svm, 3 values", |b| b.iter(|| coarse.rbf_svm()));
    let counts = task(0.0, &[1.0, 5.0, 20.0]);
    group.bench_function("knn, 3 values", |b| b.iter(|| counts.knn()));
    group.finish();
}

criterion_group!(benches, digits);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().position(|argument| argument == "--peer") {
        Some(place) => serve(&arguments[place + 1..]),
        None => {
            benches();
            Criterion::default().configure_from_args().final_summary();
        }
    }
}

/// Answers a driver.
fn serve(arguments: &[String]) {
    let Some((name, rest)) = arguments.split_first() else { panic!("see the head of the file") };
    let task = Task::read(rest);
    let before = peak();
    let (wall, processor) = (Instant::now(), processor_seconds());
    let rows = match name.as_str() {
        "logistic" => task.logistic(),
        "linear_svm" => task.linear_svm(),
        "rbf_svm" => task.rbf_svm(),
        "knn" => task.knn(),
        _ => panic!("{name} is no task"),
    };
    let (wall, processor) = (wall.elapsed().as_secs_f64(), processor_seconds() - processor);
    let rows: Vec<Value> = rows
        .into_iter()
        .map(|(objective, capped, classes)| {
            json!({ "objective": objective, "capped": capped, "classes": classes })
        })
        .collect();
    let told = json!({
        "seconds": wall,
        "cpu": processor,
        "memory": peak().saturating_sub(before),
        "rows": rows,
    });
    println!("{told}");
}
