//! A run that is killed or interrupted leaves nothing that a later run would wrongly trust.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value as Json;

use crate::harness::{Backend, Study, Told, files, rows, text};

/// Trains long enough to be interrupted.
fn study() -> Study {
    Study::new(
        "\
name: study
seeds: 2
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 50, test: 60 }
stages:
  source:
    pretrain:
      dataset: digits
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 400
      lr: [1e-2, 3e-2]
      patience: 0
  tuned:
    fine_tune: { model: source, dataset: digits, freeze: block1, steps: 200, lr: 1e-2 }
  scores:
    evaluate: { of: [source, tuned] }
",
    )
    .with_digits(300)
}

fn tables(folder: &Path) -> Vec<String> {
    let names = ["scores.csv", "confusion.csv", "items.csv", "convergence.csv", "metrics.json"];
    names.iter().map(|name| text(folder, name)).collect()
}

/// A run that tells its events.
pub(crate) struct Running {
    child: Child,
    events: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Running {
    pub(crate) fn start(study: &Study) -> Self {
        let mut program = study.runner(&Backend::Embedded);
        program.arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = program.spawn().expect("the program starts");
        let events = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        Self { child, events }
    }

    /// Waits for an event.
    pub(crate) fn wait_for(&mut self, wanted: &dyn Fn(&Json) -> bool) {
        let found = self.events.by_ref().any(|line| {
            let event = serde_json::from_str(&line.expect("it speaks UTF-8"));
            wanted(&event.expect("events are JSON"))
        });
        assert!(found, "the run ended too early");
    }

    /// Kills it; tells whether it was not done already.
    fn kill(mut self) -> bool {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours").code().is_none()
    }

    /// Interrupts as Ctrl-C does; tells the exit code and what was said.
    pub(crate) fn interrupt(mut self) -> (Option<i32>, String) {
        let mut interrupt = Command::new("kill");
        let sent = interrupt.arg("-INT").arg(self.child.id().to_string()).status();
        assert!(sent.expect("`kill` is there").success());
        self.events.by_ref().for_each(drop);
        let mut said = String::new();
        let mut err = self.child.stderr.take().expect("it was asked for");
        err.read_to_string(&mut said).expect("it speaks UTF-8");
        (self.child.wait().expect("it is ours").code(), said)
    }
}

/// A moment of a run.
type Moment = (&'static str, fn(&Json) -> bool);

const MOMENTS: [Moment; 5] = [
    ("at its start", |event| event["event"] == "run_started"),
    ("when its first node begins", |event| event["event"] == "started"),
    ("in the middle of training", |event| event["event"] == "progress" && event["done"] == 150),
    ("when a model is done", |event| event["event"] == "done" && event["label"] == "source seed 0"),
    ("near its end", |event| event["event"] == "done" && event["label"] == "tuned seed 1"),
];

fn undisturbed() -> Vec<String> {
    let study = study();
    study.run().succeeds();
    tables(&study.latest())
}

#[test]
fn a_run_that_was_killed_is_taken_up_with_the_same_tables() {
    let expected = undisturbed();
    for (when, moment) in MOMENTS {
        let study = study();
        let mut running = Running::start(&study);
        running.wait_for(&moment);
        let is_done = !running.kill();
        if study.path("results/study/latest").exists() {
            assert!(is_done || tables(&study.latest()) == expected, "killed {when}: half a run");
        }
        study.run().succeeds();
        assert!(tables(&study.latest()) == expected, "killed {when}: the tables differ");
        assert_eq!(study.run().succeeds().done_and_hits().0, 0, "killed {when}: all is there");
    }
}

#[test]
fn a_run_that_was_killed_again_and_again_gets_done() {
    let study = study();
    for (_, moment) in &MOMENTS[1..4] {
        let mut running = Running::start(&study);
        running.wait_for(moment);
        running.kill();
    }
    study.run().succeeds();
    assert!(tables(&study.latest()) == undisturbed());
}

#[test]
fn an_interrupted_run_says_so_and_the_next_one_goes_on() {
    let study = study();
    // What is left when the source is done must take longer than the signal.
    study.replace("steps: 200, lr: 1e-2", "steps: 2000, patience: 0, lr: 1e-4");
    let mut running = Running::start(&study);
    running.wait_for(&|event| event["event"] == "done" && event["label"] == "source seed 0");
    running.wait_for(&|event| event["event"] == "progress");
    let (code, said) = running.interrupt();
    assert_eq!(
        (code, said.as_str()),
        (Some(130), "stopping; what is done is kept. Interrupt again to stop at once\n",)
    );
    assert!(!study.path("results/study/latest").exists(), "an interrupted run is not `latest`");
    let told = study.run().succeeds();
    let worked = told.worked();
    assert!(!worked.contains(&"source seed 0".to_owned()), "{worked:?}");
    let fresh = Study::new(&study.pipeline()).with_digits(300);
    fresh.run().succeeds();
    assert!(tables(&study.latest()) == tables(&fresh.latest()));
}

#[test]
fn what_a_kill_left_half_written_is_never_read() {
    let study = study();
    let mut running = Running::start(&study);
    running.wait_for(&MOMENTS[2].1);
    assert!(running.kill(), "it was done too early");
    // Everything visible under its name is whole: blobs have the digest that they are called.
    for path in files(&study.path("results/.store/v1/blobs")) {
        let digest = blake3::hash(&std::fs::read(&path).unwrap()).to_hex();
        assert_eq!(path.file_name().unwrap().to_str(), Some(digest.as_str()));
    }
    for path in files(&study.path("results/.store/v1/records")) {
        let record: Result<Json, _> = serde_json::from_slice(&std::fs::read(&path).unwrap());
        assert!(record.is_ok(), "{}", path.display());
    }
}

#[test]
fn two_runs_at_a_time_share_one_store() {
    let study = study();
    let runs: Vec<_> = (0..2)
        .map(|_| {
            let mut program = study.runner(&Backend::Embedded);
            program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let told: Vec<_> =
        runs.into_iter().map(|run| Told::of(run.wait_with_output().unwrap()).succeeds()).collect();
    let worked: usize = told.iter().map(|told| told.done_and_hits().0).sum();
    let (done, hits) = told[0].done_and_hits();
    assert_eq!(worked, done + hits, "every node is worked on by one of the two alone");
    let folders: Vec<PathBuf> = told.iter().map(|told| told.folder(&study)).collect();
    assert!(tables(&folders[0]) == tables(&folders[1]));
}

/// A training that takes some seconds, of which a part is done before it is killed.
fn study_of_long_training() -> Study {
    let study = study();
    study.replace("seeds: 2", "seeds: 1");
    study.replace("steps: 400\n      lr: [1e-2, 3e-2]", "steps: 6000\n      lr: 1e-3");
    study
}

#[test]
fn a_training_that_was_killed_goes_on_where_it_was_kept() {
    let study = study_of_long_training();
    let unfinished = study.path("results/.store/v1/unfinished");
    let kept =
        |_: &Json| std::fs::read_dir(&unfinished).is_ok_and(|mut left| left.next().is_some());
    let mut running = Running::start(&study);
    running.wait_for(&kept);
    assert!(running.kill(), "it was done too early");
    let mut running = Running::start(&study);
    let mut first = None;
    running.events.by_ref().for_each(|line| {
        let event: Json = serde_json::from_str(&line.expect("it speaks UTF-8")).unwrap();
        if event["event"] == "progress" && event["total"] == 6000 && first.is_none() {
            first = event["done"].as_u64();
        }
    });
    assert!(running.child.wait().expect("it is ours").success());
    assert!(first.is_some_and(|done| done > 100), "it began anew: {first:?}");
    assert!(files(&unfinished).is_empty(), "what is done is not unfinished");
    assert_seconds_of_both_runs(&study.latest());
    let fresh = Study::new(&study.pipeline()).with_digits(300);
    fresh.run().succeeds();
    assert!(tables(&study.latest()) == tables(&fresh.latest()));
}

/// What the killed run had used is part of what the training took.
fn assert_seconds_of_both_runs(folder: &Path) {
    let number = |row: &std::collections::BTreeMap<String, String>, column: &str| -> f64 {
        row[column].parse().unwrap_or_else(|_| panic!("no `{column}` in {row:?}"))
    };
    let looks = rows(folder, "convergence_costs");
    let own: Vec<f64> = looks
        .iter()
        .filter(|row| row["stage"] == "source")
        .map(|row| number(row, "seconds_warm"))
        .collect();
    assert!(own.len() > 2 && own.is_sorted(), "{own:?}");
    let costs = rows(folder, "costs");
    let trial = costs.iter().find(|row| row["node"] == "source lr=0.001 seed 0").unwrap();
    assert!(number(trial, "seconds") >= own[own.len() - 1], "{trial:?}");
    assert_eq!(trial["cpu_reason"], "an interrupted run did a part of it");
}

#[test]
fn unfinished_work_that_is_damaged_is_done_anew() {
    let study = study_of_long_training();
    let unfinished = study.path("results/.store/v1/unfinished");
    let kept =
        |_: &Json| std::fs::read_dir(&unfinished).is_ok_and(|mut left| left.next().is_some());
    let mut running = Running::start(&study);
    running.wait_for(&kept);
    assert!(running.kill(), "it was done too early");
    for path in files(&unfinished) {
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        tl_run::base::atomic::write(&path, &bytes).unwrap();
    }
    study.run().succeeds();
    let fresh = Study::new(&study.pipeline()).with_digits(300);
    fresh.run().succeeds();
    assert!(tables(&study.latest()) == tables(&fresh.latest()));
}
