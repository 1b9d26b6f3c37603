//! A wrong input rule is told, a right one never.

use insta::assert_snapshot;

use crate::harness::{Study, repository};

/// Features of the radiographs' model on phantoms, with an input rule.
fn study(input: &str) -> Study {
    Study::new(&format!(
        "\
name: study
seeds: 1
datasets:
  chest:
    image_folder: {{ path: {phantoms}, labels: parent_dir, group: \"(?<group>p\\\\d+)_.*\" }}
    split: {{ train: 100, val: 128, test: 400 }}
models:
  near: {{ onnx: {model}, input: {{ {input} }} }}
stages:
  codes:
    extract: {{ model: near, dataset: chest, layers: gap }}
  more:
    extract: {{ model: near, dataset: chest, layers: block2 }}
",
        phantoms = repository().join("data/phantoms").display(),
        model = repository().join("data/models/radiographs.onnx").display(),
    ))
}

#[test]
fn the_rule_that_a_model_was_trained_with_is_looked_at_once_and_not_warned_of() {
    let study = study("size: 32, channels: 1, scale: 255, mean: 0.5, std: 0.25");
    let told = study.run().succeeds().never_says("warning");
    assert_eq!(told.worked(), ["codes", "more", "preprocessing of near on chest"]);
}

#[test]
fn another_rule_is_told_with_the_better_one_and_changes_nothing_else() {
    let study = study("size: 32, channels: 1, scale: 1");
    let told = study.run().succeeds();
    let warning = told.err.lines().find(|line| line.starts_with("warning: "));
    assert_snapshot!(warning.unwrap_or_default(), @"warning: preprocessing of near on chest: values as declared are 2100 away from what its BatchNormalization layers saw in training, and 0.23 with another rule; if the model was trained so, write `input: { size: 32, channels: 1, scale: 127.5, mean: 1 }`");
    // What is known is told again, and looked at no more.
    let again = study.run().succeeds().says("warning: preprocessing of near on chest");
    assert_eq!(again.done_and_hits(), (0, 3));
}

#[test]
fn a_rule_that_is_slightly_off_is_not_told() {
    study("size: 32, channels: 1, mean: 0.45, std: 0.3").run().succeeds().never_says("warning");
}
