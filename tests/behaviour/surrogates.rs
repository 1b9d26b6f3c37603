//! Sources that are pretrained without labels.

use std::collections::BTreeSet;

use insta::{allow_duplicates, assert_snapshot};

use crate::harness::{Backend, Study, rows, text};

fn study() -> Study {
    Study::new(
        "\
name: study
seeds: 2
datasets:
  pets:
    image_folder: { path: pets }
    split: { train: 0.6, val: 0.2, test: 0.2, stratify: false }
stages:
  source:
    pretrain:
      dataset: pets
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 8, channels: 1 }
      objective: \"${matrix.task}\"
      steps: 30
      lr: 1e-2
    matrix: { task: [rotation, jigsaw, denoise] }
  codes:
    extract: { model: \"source[task=${matrix.task}]\", dataset: pets, layers: dense1 }
    matrix: &tasks { task: [rotation, jigsaw, denoise] }
  probe:
    linear_probe: { features: \"codes[task=${matrix.task}]\", c: 1 }
    matrix: *tasks
  tuned:
    fine_tune: { model: \"source[task=${matrix.task}]\", dataset: pets, steps: 10, lr: 1e-2 }
    matrix: *tasks
  scores:
    evaluate: { of: [probe, tuned], metrics: [accuracy] }
  own:
    evaluate: { of: [\"source[task=rotation]\", \"source[task=jigsaw]\", \"source[task=denoise]\"] }
",
    )
    .with_pets()
}

#[test]
fn a_network_learns_without_labels_and_serves_as_any_other() {
    allow_duplicates! {
        for backend in Backend::all() {
            let study = study();
            study.run_with(&backend, &[]).succeeds();
            let scores = rows(&study.latest(), "scores");
            let told: BTreeSet<String> = scores
                .iter()
                .filter(|row| row["seed"] == "0" && row["class"].is_empty())
                .filter(|row| ["accuracy", "r2"].contains(&row["metric"].as_str()))
                .map(|row| {
                    let columns = ["stage", "target", "n_train", "n_items", "metric"];
                    columns.map(|column| row[column].as_str()).join("|")
                })
                .collect();
            assert_snapshot!(told.into_iter().collect::<Vec<_>>().join("\n"), @"
            probe[task=denoise]|pets|36|12|accuracy
            probe[task=jigsaw]|pets|36|12|accuracy
            probe[task=rotation]|pets|36|12|accuracy
            source[task=denoise]|pets (denoise 1 to 8×8, 4 views)|144|48|r2
            source[task=jigsaw]|pets (jigsaw of 2×2 tiles, 12 permutations, 4 views)|144|48|accuracy
            source[task=rotation]|pets (rotation)|144|48|accuracy
            tuned[task=denoise]|pets|36|12|accuracy
            tuned[task=jigsaw]|pets|36|12|accuracy
            tuned[task=rotation]|pets|36|12|accuracy
            ");
            // Each task is logged on the val part while it is learnt.
            let looks = rows(&study.latest(), "convergence");
            for task in ["rotation", "jigsaw", "denoise"] {
                let own = looks.iter().filter(|row| row["stage"] == format!("source[task={task}]"));
                let column = if task == "denoise" { "val_score" } else { "val_accuracy" };
                let values: Vec<&String> = own.map(|row| &row[column]).collect();
                assert!(!values.is_empty() && values.iter().all(|value| !value.is_empty()), "{task}");
            }
        }
    }
}

#[test]
fn labels_play_no_part_in_what_is_learnt() {
    let study = Study::new(
        "\
name: study
seeds: 2
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 150, val: 50, test: 60, stratify: false }
stages:
  source:
    pretrain:
      dataset: digits
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 8, channels: 1, scale: 16 }
      objective: \"${matrix.task}\"
      train_size: 60
      steps: 10
      lr: 1e-2
    matrix: { task: [rotation, jigsaw, denoise] }
  tuned:
    fine_tune: { model: \"source[task=rotation]\", dataset: digits, steps: 10, lr: 1e-2 }
  scores:
    evaluate: { of: [tuned], metrics: [accuracy] }
",
    )
    .with_digits(300);
    let learnt = |study: &Study| {
        let looks = text(&study.latest(), "convergence.csv");
        let of_sources: Vec<String> =
            looks.lines().filter(|line| line.starts_with("source")).map(str::to_owned).collect();
        of_sources
    };
    study.run().succeeds();
    let before = learnt(&study);
    assert!(!before.is_empty());
    let digits = std::fs::read_to_string(study.path("digits.csv")).unwrap();
    let relabelled = |line: &str| {
        let (pixels, digit) = line.rsplit_once(',').unwrap();
        format!("{pixels},{}\n", (digit.parse::<u32>().unwrap() * 3 + 1) % 7)
    };
    study.write("digits.csv", digits.lines().map(relabelled).collect::<String>().as_bytes());
    let again = study.run().succeeds();
    assert!(learnt(&study) == before, "labels changed what was learnt");
    // Nor are they part of any key: what was learnt is there.
    let worked = again.worked();
    let is_of_a_source = |label: &String| label.starts_with("source") || label.contains("digits (");
    assert!(!worked.is_empty() && !worked.iter().any(is_of_a_source), "{again}");
}

#[test]
fn images_of_one_class_can_be_learnt_from_and_not_told_apart() {
    let study = study();
    for number in 0..60 {
        let from = study.path(&crate::harness::pet(number));
        let to = study.path("plain/all");
        std::fs::create_dir_all(&to).unwrap();
        std::fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
    }
    study.replace(
        "stages:\n",
        "  plain:
    image_folder: { path: plain }
    split: { train: 0.6, val: 0.2, test: 0.2 }
stages:
",
    );
    study.replace("      dataset: pets\n      arch", "      dataset: plain\n      arch");
    study.run_with(&Backend::Embedded, &["--seeds", "1"]).succeeds();
    study.replace("      objective: \"${matrix.task}\"\n", "");
    study.replace("    matrix: { task: [rotation, jigsaw, denoise] }\n", "");
    study.replace("source[task=${matrix.task}]", "source");
    assert_snapshot!(study.check().problems().lines().take(2).collect::<Vec<_>>().join("\n"), @"
    error: data set `plain`: all items are of one class, `all`
      help: at least two classes can be told apart
    ");
}

#[test]
fn tasks_that_images_do_not_have_are_refused() {
    let study = study();
    study.replace("size: 8, channels: 1", "size: [8, 6], channels: 1");
    study.replace("[rotation, jigsaw, denoise] }\n  codes", "[rotation] }\n  codes");
    assert_snapshot!(study.refusal().problems().lines().take(2).collect::<Vec<_>>().join("\n"), @"
    error: images of 8×6 pixels show by their sides that they were turned
      help: choose a square `size` of the input, or another objective
    ");
    let study = self::study();
    study
        .replace("\"${matrix.task}\"", "{ jigsaw: { grid: 3, permutations: \"${matrix.task}\" } }");
    study.replace("{ task: [rotation, jigsaw, denoise] }\n  codes", "{ task: [4] }\n  codes");
    assert_snapshot!(study.refusal().problems().lines().take(2).collect::<Vec<_>>().join("\n"), @"
    error: 8×8 pixels are no 3×3 tiles of one size
      help: choose a `size` of the input that is a multiple of 3, or another `grid`
    ");
    let study = self::study();
    study.replace("\"${matrix.task}\"", "\"${matrix.task}\"\n      head_init: probe");
    assert_snapshot!(study.refusal().problems().lines().take(2).collect::<Vec<_>>().join("\n"), @"
    error: all of a network that is pretrained starts random
      help: leave `head_init` out
    ");
}

#[test]
fn a_train_size_counts_images_not_views() {
    let study = study();
    study.replace("steps: 30\n", "steps: 30\n      train_size: 20\n");
    let told = study.run_with(&Backend::Embedded, &["--seeds", "1"]).succeeds();
    let trained = rows(&told.folder(&study), "scores");
    let trained = trained.iter().find(|row| row["stage"] == "source[task=rotation]").unwrap();
    assert_eq!(trained["n_train"], "80");
}
