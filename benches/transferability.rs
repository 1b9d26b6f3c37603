//! How long does each score before training take on 5,000 items of 512 features, on two threads?
//!
//! `transferability --peer FILE ITEMS FEATURES CLASSES THREADS` computes one score as often as it is
//! asked to: `benches/peers/transferability.py` drives it beside NumPy.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to say")]

use std::io::Write as _;
use std::time::Instant;

use ndarray::Array2;
use tl_run::base::Seed;
use tl_run::transferability::{Items, SCORES, score};

const ITEMS: usize = 5000;
const FEATURES: usize = 512;
const CLASSES: usize = 10;
const SOURCE_CLASSES: usize = 100;
const THREADS: usize = 2;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().position(|argument| argument == "--peer") {
        Some(at) => peer(&arguments[at + 1..]),
        None => all(),
    }
}

/// Seconds of processor time of all threads.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// Each score once, and all but the mixtures of `n_leep` together.
fn all() {
    let mut stream = Seed(1).stream("bench", "transferability");
    let means = Array2::from_shape_simple_fn((CLASSES, FEATURES), || 0.3 * stream.normal());
    let labels: Vec<usize> = (0..ITEMS).map(|item| item % CLASSES).collect();
    let features = Array2::from_shape_fn((ITEMS, FEATURES), |(item, feature)| {
        means[[labels[item], feature]] + stream.normal()
    });
    let other = Array2::from_shape_simple_fn((ITEMS, FEATURES), || 0.2 + stream.normal());
    let mut source = Array2::from_shape_simple_fn((ITEMS, SOURCE_CLASSES), || stream.uniform());
    source.rows_mut().into_iter().for_each(|mut row| row /= row.sum());
    let items = Items::new(features.view(), &labels).unwrap().with_source(source.view()).unwrap();
    let items = items.with_other(other.view()).unwrap().on_threads(THREADS);
    let (mut walls, mut cpus) = (0.0, 0.0);
    for score in SCORES {
        let (began, before) = (Instant::now(), cpu_seconds());
        score.numbers(&items).unwrap();
        let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - before);
        say(&format!("{:<20} wall {wall:7.3} s   cpu {cpu:7.3} s", score.name()));
        if score.name() != "n_leep" {
            walls += wall;
            cpus += cpu;
        }
    }
    say(&format!("{:<20} wall {walls:7.3} s   cpu {cpus:7.3} s", "all but n_leep"));
}

/// `LogME` of a file of doubles, item by item, with classes in turn: once for each line it is told.
fn peer(arguments: &[String]) {
    let number = |at: usize| arguments[at].parse::<usize>().unwrap();
    let (items, features, classes) = (number(1), number(2), number(3));
    let bytes = std::fs::read(&arguments[0]).unwrap();
    let values = bytes.as_chunks::<8>().0.iter().map(|eight| f64::from_le_bytes(*eight)).collect();
    let values = Array2::from_shape_vec((items, features), values).unwrap();
    let labels: Vec<usize> = (0..items).map(|item| item % classes).collect();
    let log_me = score("log_me").unwrap();
    for _ in std::io::stdin().lines() {
        let (began, before) = (Instant::now(), cpu_seconds());
        let items = Items::new(values.view(), &labels).unwrap().on_threads(number(4));
        let value = log_me.numbers(&items).unwrap()[0].value;
        let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - before);
        say(&format!("{wall};{cpu};{value}"));
    }
}
