//! The same study gives the same tables, however many cores work and whatever was there before.

use std::path::{Path, PathBuf};

use crate::harness::{Backend, Study, files, text};

/// A study of every kind that computes.
const STUDY: &str = "\
name: study
seeds: 3
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 50, test: 60 }
stages:
  source:
    pretrain:
      dataset: digits
      architecture: { residual_cnn: { width: 4, blocks: 2, stem_stride: 1 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 20
      lr: [1e-2, 3e-2]
  codes:
    extract: { model: source, dataset: digits, layers: [gap, block1], spatial: 2 }
  probe:
    linear_probe: { features: codes.gap, c: [0.1, 1] }
  machine:
    svm: { features: codes.block1, c: [0.1, 1] }
  tuned:
    fine_tune: { model: source, dataset: digits, freeze: \"${matrix.freeze}\", steps: 20, lr: 1e-2 }
    matrix: { freeze: [none, block1, all] }
  scratch:
    fine_tune: { model: source, init: random, dataset: digits, steps: 20, lr: 1e-2 }
  floor:
    majority: { dataset: digits }
  pixels:
    pixel_linear: { dataset: digits, c: [0.1, 1] }
  scores:
    evaluate: { of: [source, probe, machine, tuned, scratch, floor, pixels] }
  verdict:
    transfer: { of: scores, baseline: scratch, metric: accuracy }
";

const TABLES: [&str; 6] =
    ["scores.csv", "confusion.csv", "items.csv", "transfer.csv", "convergence.csv", "metrics.json"];

/// Tables and models of a fresh study, by name, as they lie on the disk.
fn written(backend: &Backend, jobs: &str) -> Vec<(String, Vec<u8>)> {
    let study = Study::new(STUDY).with_digits(300);
    study.run_with(backend, &["--jobs", jobs]).succeeds();
    written_in(&study.latest())
}

fn written_in(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let models = files(&folder.join("models"));
    // The source, three depths and scratch, each for three seeds.
    let networks = models.iter().filter(|path| path.extension().is_some_and(|end| end == "onnx"));
    assert_eq!(networks.count(), 15, "{models:?}");
    let paths = TABLES.iter().map(|name| folder.join(name)).chain(models);
    let read = |path: PathBuf| {
        let name = path.strip_prefix(folder).unwrap().display().to_string();
        (name, std::fs::read(path).unwrap())
    };
    paths.map(read).collect()
}

fn assert_same_with_more_cores(backend: &Backend) {
    let with_one = written(backend, "1");
    // Sessions get more threads where there are more cores than nodes.
    for jobs in ["2", "2", "4"] {
        let with_more = written(backend, jobs);
        let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
            files.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(&with_one), names(&with_more));
        for ((name, before), (_, after)) in with_one.iter().zip(&with_more) {
            assert!(before == after, "{name} differs between 1 and {jobs} cores, {backend:?}");
        }
    }
}

#[test]
fn cores_change_no_bit_on_the_embedded_backend() {
    assert_same_with_more_cores(&Backend::Embedded);
}

#[test]
fn cores_change_no_bit_on_the_library() {
    let Some(library) = Backend::library() else { return };
    assert_same_with_more_cores(&library);
}

#[test]
fn backends_do_not_share_what_they_computed() {
    let Some(library) = Backend::library() else { return };
    let study = Study::new(STUDY).with_digits(300);
    study.run().succeeds();
    let told = study.run_with(&library, &[]).succeeds();
    let worked = told.worked();
    assert!(worked.contains(&"source seed 0".to_owned()), "{worked:?}");
    // What computes with neither is shared.
    assert!(!worked.contains(&"floor seed 0".to_owned()), "{worked:?}");
    assert!(!worked.contains(&"pixels seed 0".to_owned()), "{worked:?}");
}

#[test]
fn an_arm_that_is_added_changes_no_other() {
    let study = Study::new(STUDY).with_digits(300);
    study.replace(", tuned, scratch", ", scratch");
    study.replace("  tuned:\n", "  other:\n");
    study.run().succeeds();
    let before = text(&study.latest(), "items.csv");
    let whole = Study::new(STUDY).with_digits(300);
    whole.run().succeeds();
    let after = text(&whole.latest(), "items.csv");
    let of_others: Vec<&str> = after.lines().filter(|line| !line.starts_with("tuned")).collect();
    assert_eq!(before.lines().collect::<Vec<_>>(), of_others);
}

#[test]
fn fewer_seeds_are_the_first_of_many() {
    let study = Study::new(STUDY).with_digits(300);
    study.run().succeeds();
    let of_seed = |text: &str, seed: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.split(',').nth(1) == Some(seed));
        lines.map(str::to_owned).collect()
    };
    let all = text(&study.latest(), "items.csv");
    let told = study.run_with(&Backend::Embedded, &["--seeds", "1"]).succeeds();
    let one = text(&told.folder(&study), "items.csv");
    assert_eq!(of_seed(&one, "0"), of_seed(&all, "0"));
    assert!(of_seed(&one, "1").is_empty());
}
