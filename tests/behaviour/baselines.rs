//! Baselines and controls: what an arm is read beside, and what is told where a baseline is none.

use std::collections::BTreeMap;

use insta::{allow_duplicates, assert_snapshot};
use tl_run::onnx::graph::Graph;
use tl_run::onnx::proto;

use crate::harness::{Backend, Study, rows};

fn study(stages: &str) -> Study {
    Study::new(&format!(
        "\
name: study
seeds: 3
datasets:
  digits:
    csv: {{ path: digits.csv, header: false, label: last, shape: [8, 8] }}
    split: {{ train: 100, val: 60, test: 80 }}
stages:
  source:
    pretrain: &source
      dataset: digits
      architecture: {{ plain_cnn: {{ channels: 4, dense: 12 }} }}
      input: {{ size: 8, channels: 1, scale: 16 }}
      steps: 60
      lr: 1e-2
{stages}"
    ))
    .with_digits(300)
}

const EVERY_BASELINE: &str = "  codes:
    extract: { model: source, dataset: digits, layers: dense1 }
  drawn_codes:
    extract: { model: source, dataset: digits, layers: dense1, init: \"${matrix.init}\" }
    matrix: { init: [random, meanvar, permuted] }
  probe:
    linear_probe: { features: codes, c: 1 }
  drawn_probe:
    linear_probe: { features: \"drawn_codes[init=${matrix.init}].dense1\", c: 1 }
    matrix: { init: [random, meanvar, permuted] }
  tuned:
    fine_tune: &training { model: source, dataset: digits, init: \"${matrix.init}\", steps: 4, lr: 1e-2 }
    matrix: &inits { init: [pretrained, meanvar, permuted] }
  frozen:
    fine_tune: { <<: *training, freeze: all }
    matrix: { init: [pretrained, random, meanvar, permuted] }
  scratch:
    fine_tune: { model: source, dataset: digits, init: random, steps: 4, lr: 1e-2 }
  long:
    fine_tune: { model: source, dataset: digits, init: random, steps: 12, lr: 1e-2 }
  floor:
    majority: { dataset: digits }
  pixels:
    pixel_linear: { dataset: digits, size: 8, c: 1 }
  scores:
    evaluate: { of: [probe, drawn_probe, tuned, frozen, long, floor, pixels, scratch] }
  verdict:
    transfer: { of: scores, baseline: scratch, resamples: 0 }
";

/// The verdicts on arms, without those on what choosing among them leaves.
fn arms(study: &Study) -> Vec<BTreeMap<String, String>> {
    let verdicts = rows(&study.latest(), "transfer").into_iter();
    verdicts.filter(|row| row["scope"] == "arm").collect()
}

#[test]
fn every_baseline_is_told_as_what_it_is() {
    allow_duplicates! {
        for backend in Backend::all() {
            let study = study(EVERY_BASELINE);
            study.run_with(&backend, &[]).succeeds();
            let told = |row: &BTreeMap<String, String>| {
                ["arm", "freeze_depth", "init", "control"].map(|column| row[column].clone()).join("|")
            };
            let verdicts: Vec<String> =
                arms(&study).iter().map(told).collect();
            assert_snapshot!(verdicts.join("\n"), @"
            probe|all|pretrained|
            drawn_probe[init=random]|all|random|random_frozen
            drawn_probe[init=meanvar]|all|meanvar|meanvar_frozen
            drawn_probe[init=permuted]|all|permuted|permuted_frozen
            tuned[init=pretrained]|none|pretrained|
            tuned[init=meanvar]|none|meanvar|scratch_meanvar
            tuned[init=permuted]|none|permuted|scratch_permuted
            frozen[init=pretrained]|all|pretrained|
            frozen[init=random]|all|random|random_frozen
            frozen[init=meanvar]|all|meanvar|meanvar_frozen
            frozen[init=permuted]|all|permuted|permuted_frozen
            long|none|random|scratch_long
            floor|||majority
            pixels|||pixel_linear
            ");
        }
    }
}

fn model(study: &Study, name: &str) -> Graph {
    let bytes = std::fs::read(study.latest().join("models").join(name)).unwrap();
    proto::decode(&bytes).unwrap()
}

fn values(model: &Graph, name: &str) -> Vec<f32> {
    model.initializers[name].floats().unwrap().to_vec()
}

#[test]
fn controls_start_from_the_scale_or_the_values_of_what_each_seed_has_learnt() {
    for backend in Backend::all() {
        let study = study(
            "  start:
    fine_tune: { model: source, dataset: digits, init: \"${matrix.init}\", steps: 0, lr: 1e-2 }
    matrix: { init: [meanvar, permuted] }
  scores:
    evaluate: { of: [start], metrics: [accuracy] }
",
        );
        study.run_with(&backend, &[]).succeeds();
        for seed in ["seed0", "seed1"] {
            let source = model(&study, &format!("source-{seed}.onnx"));
            let permuted = model(&study, &format!("start_init=permuted-{seed}.onnx"));
            let drawn = model(&study, &format!("start_init=meanvar-{seed}.onnx"));
            for name in ["block1/conv.weight", "dense1/gemm.weight", "dense1/gemm.bias"] {
                let sorted = |graph: &Graph| {
                    let mut values = values(graph, name);
                    values.sort_by(f32::total_cmp);
                    values
                };
                assert_eq!(sorted(&permuted), sorted(&source), "{name} of {seed}");
                assert_ne!(values(&permuted, name), values(&source, name), "{name} of {seed}");
                assert_ne!(sorted(&drawn), sorted(&source), "{name} of {seed}");
            }
            let spread = |graph: &Graph| {
                let weights = values(graph, "dense1/gemm.weight");
                let square: f64 = weights.iter().map(|w| f64::from(*w).powi(2)).sum();
                (square / weights.len() as f64).sqrt()
            };
            // 768 draws: a standard deviation is known within 5 × √(1/1536) = 13 %.
            assert!((spread(&drawn) / spread(&source) - 1.0).abs() < 0.13, "{seed}");
        }
    }
}

#[test]
fn a_control_follows_the_weights_of_its_source_and_a_random_start_does_not() {
    let study = study(
        "  start:
    fine_tune: { model: source, dataset: digits, init: \"${matrix.init}\", steps: 0, lr: 1e-2 }
    matrix: { init: [random, meanvar, permuted] }
  scores:
    evaluate: { of: [start], metrics: [accuracy] }
",
    );
    study.run_with(&Backend::Embedded, &["--seeds", "1"]).succeeds();
    study.replace("steps: 60", "steps: 50");
    let told = study.run_with(&Backend::Embedded, &["--seeds", "1"]).succeeds();
    let worked: Vec<String> =
        told.worked().into_iter().filter(|label| label.starts_with("start")).collect();
    assert_snapshot!(worked.join("\n"), @"
    start[init=meanvar] lr=0.01 seed 0
    start[init=meanvar] seed 0
    start[init=permuted] lr=0.01 seed 0
    start[init=permuted] seed 0
    ");
}

#[test]
fn a_control_takes_no_depth() {
    let study = study(
        "  part:
    fine_tune: { model: source, dataset: digits, init: meanvar, transfer_depth: 1, steps: 5 }
",
    );
    assert_snapshot!(study.refusal().problems(), @"
    error: both `init: meanvar` and `transfer_depth` are given
      help: keep one of them: `transfer_depth: none` draws all weights, too
    ");
}

#[test]
fn a_baseline_that_has_learnt_nothing_of_its_own_training_items_is_told() {
    allow_duplicates! {
        for backend in Backend::all() {
            let study = study(
                "  scratch:
    fine_tune: { model: source, dataset: digits, init: random, head_init: zero, steps: 2, optimizer: sgd, lr: 1e-300 }
  scores:
    evaluate: { of: [scratch], metrics: [accuracy] }
",
            );
            let told = study.run_with(&backend, &["--seeds", "1"]).succeeds();
            let warned = told.err.lines().filter(|line| line.starts_with("warning: "));
            assert_snapshot!(warned.collect::<Vec<_>>().join("\n"), @"warning: scratch seed 0: trained from random weights, it is no better than the majority class on its own training items (balanced accuracy 0.100): it has not learnt anything yet; train longer, or at other rates");
        }
    }
}

const SHORT: &str = "  tuned:
    fine_tune: { model: source, dataset: digits, steps: 40, lr: 1e-2 }
  scratch:
    fine_tune: &scratch { model: source, dataset: digits, init: random, steps: 60, batch: 25, lr: 2e-3, schedule: constant }
  scores:
    evaluate: { of: [tuned, scratch], metrics: [accuracy] }
  verdict:
    transfer: { of: scores, baseline: scratch, metric: accuracy, resamples: 0 }
";

#[test]
fn where_the_baseline_had_too_few_steps_a_longer_one_is_advised() {
    allow_duplicates! {
        for backend in Backend::all() {
            let study = study(SHORT);
            study.replace("seeds: 3", "seeds: 4");
            study.replace("val: 60", "val: 100");
            study.run_with(&backend, &[]).succeeds().says(
                "the baseline was still improving; add one with three times its steps",
            );
            let told = |study: &Study| {
                let row = |row: &BTreeMap<String, String>| {
                    ["arm", "control", "reason", "advised"].map(|column| row[column].clone()).join("|")
                };
                arms(study).iter().map(row).collect::<Vec<_>>().join("\n")
            };
            assert_snapshot!(told(&study), @"tuned||budget_limited|scratch_long");
            study.replace(
                "  scores:\n",
                "  long:\n    fine_tune: { <<: *scratch, steps: 180 }\n  scores:\n",
            );
            study.replace("of: [tuned, scratch]", "of: [tuned, long, scratch]");
            study.run_with(&backend, &[]).succeeds().says("was still improving; see `long`");
            assert_snapshot!(told(&study), @"
            tuned||budget_limited|
            long|scratch_long|budget_limited|
            ");
        }
    }
}
