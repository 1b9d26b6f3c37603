//! A wrong input rule is told, a right one never.

use insta::assert_snapshot;

use crate::harness::{Study, npy, repository};

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

/// The study with an example: a piece of a drawn radiograph, and what Python's onnxruntime says of it
/// under the rule that the model was trained with.
fn with_example(input: &str) -> Study {
    let study = study(input);
    let path = repository().join("data/phantoms/NORMAL/p0002_01.png");
    let piece = image::open(path).expect("it ships with the tool").crop_imm(8, 8, 32, 32);
    piece.save(study.path("chest.png")).expect("a temporary folder can be written to");
    study.write("chest.npy", &npy(&[-5.154_46, 9.926_26, -5.985_13, -1.520_76]));
    let from = format!("input: {{ {input} }} }}");
    let example = "example: { image: chest.png, output: chest.npy } }";
    study.replace(&from, &format!("input: {{ {input} }}, {example}"));
    study
}

#[test]
fn an_example_comes_out_under_the_rule_that_a_model_was_trained_with() {
    let study = with_example("size: 32, channels: 1, scale: 255, mean: 0.5, std: 0.25");
    let told = study.run().succeeds().never_says("warning");
    assert!(told.worked().contains(&"example of near".to_owned()), "{told}");
    assert_eq!(study.run().succeeds().done_and_hits(), (0, 4));
}

#[test]
fn an_example_that_does_not_come_out_is_an_error_with_the_rule_that_makes_it() {
    let error = |input: &str| {
        let told = with_example(input).run().fails();
        let from = told.err.find("error: `example of near`").expect("an error");
        let lines = told.err[from..].lines().take(2).map(str::trim);
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(error("size: 32, channels: 1, scale: 1, mean: 0.5, std: 0.25"), @"
    error: `example of near` failed to come out with `input` as declared: what the model says of `chest.png` is up to 5763 % of its range away from what it should say
    help: it does with `input: { size: 32, channels: 1, mean: 0.5, std: 0.25 }`
    ");
    assert_snapshot!(error("size: 32, channels: 1, scale: 127.5, mean: 1"), @"
    error: `example of near` failed to come out with `input` as declared: what the model says of `chest.png` is up to 77 % of its range away from what it should say
    help: nor does it by any of the usual rules: check that the image and its output belong together, and are of this model
    ");
}

#[test]
fn an_example_of_another_size_or_without_numbers_is_refused_where_it_stands() {
    let study = with_example("size: 32, channels: 1");
    image::GrayImage::new(28, 30).save(study.path("chest.png")).expect("it can be written");
    assert_snapshot!(study.refusal().problems(), @"
    error: the example is 30×28 pixels, and the model reads 32×32
      help: save it at the model's size, as what its output was computed from
    ");
    let study = with_example("size: 32, channels: 1");
    study.write("chest.npy", &npy(&[1.0, 1.0]));
    study.refusal().says("an example's output is numbers that differ");
    study.write("chest.npy", &npy(&[1.0, f32::NAN]));
    assert_snapshot!(study.refusal().problems(), @"error: an example's output is numbers that differ, none of them nan or infinite");
    study.write("chest.npy", b"4, 5");
    assert_snapshot!(study.refusal().problems(), @"
    error: read chest.npy: I/O error: failed to fill whole buffer
      help: paths in the file are relative to it, those of `--set` to the current folder
    ");
    let study = with_example("size: 32, channels: 1");
    study.write("chest.npy", &npy(&[1.0, 2.0]));
    study
        .run()
        .fails()
        .says("compare what the model says of `chest.png`, 4 numbers, with the 2 it should say");
}
