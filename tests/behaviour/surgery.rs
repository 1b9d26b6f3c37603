//! What of a network is trained, what it starts with, what it looks like and what it sees.

use std::collections::BTreeMap;
use std::path::Path;

use insta::{allow_duplicates, assert_snapshot};
use tl_run::onnx::graph::Graph;
use tl_run::onnx::proto;

use crate::harness::{Backend, Study, Told, material, rows, text};

/// A source with normalisations, tuned in several ways.
fn study(stages: &str) -> Study {
    Study::new(&format!(
        "\
name: study
seeds: 2
datasets:
  pets:
    image_folder: {{ path: pets }}
    split: {{ train: 0.6, val: 0.2, test: 0.2 }}
stages:
  source:
    pretrain:
      dataset: pets
      architecture: {{ residual_cnn: {{ width: 4, blocks: 2, stem_stride: 1 }} }}
      input: {{ size: 8, channels: 1 }}
      steps: 10
      lr: 1e-2
{stages}"
    ))
    .with_pets()
}

/// A source with dense layers.
fn dense(stages: &str) -> Study {
    let study = study(stages);
    let residual = "residual_cnn: { width: 4, blocks: 2, stem_stride: 1 }";
    study.replace(residual, "plain_cnn: { channels: 4, dense: [12, 8] }");
    study
}

fn model(study: &Study, name: &str) -> Graph {
    let bytes = std::fs::read(study.latest().join("models").join(name)).unwrap();
    proto::decode(&bytes).unwrap()
}

/// Constants of a model that differ from those of another.
fn moved(model: &Graph, from: &Graph) -> Vec<String> {
    let same = |name: &String| model.initializers.get(name) == from.initializers.get(name);
    model.initializers.keys().filter(|name| !same(name)).cloned().collect()
}

/// One line for each stage: columns of the table of costs.
fn costs(study: &Study, columns: &[&str]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for row in rows(&study.latest(), "costs") {
        // Nodes that choose have the name of their stage and a seed.
        let is_stage = row["stage"] != "scores" && !row["stage"].contains(' ');
        if is_stage && row["node"] == format!("{} seed 0", row["stage"]) {
            let cells: Vec<&str> = columns.iter().map(|column| row[*column].as_str()).collect();
            lines.push(format!("{}: {}", row["stage"], cells.join(", ")));
        }
    }
    lines.join("\n")
}

const WAYS: &str = "  tuned:
    fine_tune: { model: source, dataset: pets, tune: \"${matrix.tune}\", steps: 5, lr: 1e-2 }
    matrix: { tune: [all, biases, norms, biases_and_norms] }
  scores:
    evaluate: { of: [tuned], metrics: [accuracy] }
";

#[test]
fn each_way_to_tune_trains_its_parameters_and_leaves_the_rest_bit_for_bit() {
    allow_duplicates! {
        for backend in Backend::all() {
            let study = study(WAYS);
            study.run_with(&backend, &[]).succeeds();
            assert_snapshot!(costs(&study, &["tune", "trained_parameters", "frozen_tensors_proved"]), @"
            source: , 1310, 0
            tuned[tune=all]: all, 1310, 0
            tuned[tune=biases]: biases, 54, 24
            tuned[tune=norms]: norms, 90, 6
            tuned[tune=biases_and_norms]: biases_and_norms, 90, 6
            ");
            let source = model(&study, "source-seed0.onnx");
            let moved = |way: &str| {
                let tuned = model(&study, &format!("tuned_tune={way}-seed0.onnx"));
                let moved = moved(&tuned, &source);
                moved
                    .into_iter()
                    .filter(|name| !name.starts_with("head"))
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            assert_snapshot!(moved("biases"), @"
            block1/norm1.bias
            block1/norm2.bias
            block2/norm1.bias
            block2/norm2.bias
            block2/norm_shortcut.bias
            stem/norm.bias
            ");
            assert_snapshot!(moved("norms"), @"
            block1/norm1.bias
            block1/norm1.mean
            block1/norm1.scale
            block1/norm1.variance
            block1/norm2.bias
            block1/norm2.mean
            block1/norm2.scale
            block1/norm2.variance
            block2/norm1.bias
            block2/norm1.mean
            block2/norm1.scale
            block2/norm1.variance
            block2/norm2.bias
            block2/norm2.mean
            block2/norm2.scale
            block2/norm2.variance
            block2/norm_shortcut.bias
            block2/norm_shortcut.mean
            block2/norm_shortcut.scale
            block2/norm_shortcut.variance
            stem/norm.bias
            stem/norm.mean
            stem/norm.scale
            stem/norm.variance
            ");
        }
    }
}

#[test]
fn low_rank_additions_are_merged_into_a_model_that_predicts_the_same() {
    allow_duplicates! {
        for backend in Backend::all() {
            let study = dense(
                "  low:
    fine_tune:
      model: source
      dataset: pets
      tune: { lora: { rank: 2, alpha: 8 } }
      steps: 20
      lr: 3e-2
  one:
    fine_tune: { model: source, dataset: pets, tune: { lora: { on: dense2 } }, steps: 5, lr: 1e-2 }
  scores:
    evaluate: { of: [low, one] }
",
            );
            let told = study.run_with(&backend, &[]).succeeds();
            assert_snapshot!(costs(&study, &["tune", "trained_parameters", "frozen_tensors_proved"]), @"
            source: , 942, 0
            low: lora, 210, 6
            one: lora, 178, 6
            ");
            // What lies below the only layer that learns is computed once for each item.
            let prefixes = told.worked().into_iter().filter(|label| label.starts_with("prefix"));
            assert_snapshot!(prefixes.collect::<Vec<_>>().join("\n"), @"
            prefix of source on pets up to dense1/relu seed 0
            prefix of source on pets up to dense1/relu seed 1
            prefix of source on pets up to flatten seed 0
            prefix of source on pets up to flatten seed 1
            ");
            let source = model(&study, "source-seed0.onnx");
            let (low, one) = (model(&study, "low-seed0.onnx"), model(&study, "one-seed0.onnx"));
            let ops: Vec<&str> = low.nodes.iter().map(|node| node.op.as_str()).collect();
            let of_source: Vec<&str> = source.nodes.iter().map(|node| node.op.as_str()).collect();
            assert_eq!(ops, of_source);
            assert_snapshot!(moved(&low, &source).join(", "), @"dense1/gemm.weight, dense2/gemm.weight, head.bias, head.weight");
            assert_snapshot!(moved(&one, &source).join(", "), @"dense2/gemm.weight, head.bias, head.weight");
            assert_predicts_what_was_scored(&study, &backend, "low");
        }
    }
}

/// The written model, used by itself, gives the probabilities of the run.
fn assert_predicts_what_was_scored(study: &Study, backend: &Backend, stage: &str) {
    let mut program = study.bare_program();
    match backend {
        Backend::Embedded => program.args(["--runtime", "embedded"]),
        Backend::Library(path) => program.env("ORT_DYLIB_PATH", path),
    };
    let model = format!("results/study/latest/models/{stage}-seed0.onnx");
    let told = Told::of(program.args(["predict", &model, "pets"]).output().unwrap()).succeeds();
    let mut reader = csv::Reader::from_reader(told.out.as_bytes());
    let predicted: BTreeMap<String, BTreeMap<String, String>> = reader
        .deserialize::<BTreeMap<String, String>>()
        .map(|row| row.unwrap())
        .map(|row| (row["file"].clone(), row))
        .collect();
    let items = rows(&study.latest(), "items");
    let items = items.iter().filter(|row| row["stage"] == stage && row["seed"] == "0");
    let mut compared = 0;
    for item in items {
        let row = &predicted[&format!("pets/{}", item["item"])];
        let probability: f64 = item["probabilities"].split(';').next().unwrap().parse().unwrap();
        let found: f64 = row["p_cat"].parse().unwrap();
        assert!((probability - found).abs() < 1e-5, "{item:?} {row:?}");
        compared += 1;
    }
    assert!(compared > 5, "{compared} items");
}

#[test]
fn what_cannot_be_tuned_is_refused_with_what_can() {
    let plain = "  tuned:
    fine_tune: { model: source, dataset: pets, tune: norms, steps: 5 }
  low:
    fine_tune: { model: source, dataset: pets, tune: { lora: { on: [block1, dense3] } }, steps: 5 }
";
    assert_snapshot!(dense(plain).refusal().problems(), @"
    error: `source` has no normalisations that could learn
      help: they may have been folded into its weights; take `biases` or `all`
    error: `block1` of `source` has no matrix of its own
      help: there is: `dense1/gemm`, `dense2/gemm`
    error: `dense3` of `source` has no matrix of its own
      help: there is: `dense1/gemm`, `dense2/gemm`
    ");
    let convolutions = "  low:
    fine_tune: { model: source, dataset: pets, tune: lora, steps: 5 }
";
    assert_snapshot!(study(convolutions).refusal().problems(), @"
    error: `source` has no `MatMul` or `Gemm` with a matrix of its own below the head
      help: low-rank additions need one; take `biases`, `norms` or `all`
    ");
}

#[test]
fn the_lower_groups_are_taken_over_and_the_rest_is_drawn() {
    let study = study(
        "  part:
    fine_tune: { model: source, dataset: pets, transfer_depth: 2, freeze: 2, steps: 5, lr: 1e-2 }
  start:
    fine_tune: { model: source, dataset: pets, transfer_depth: block1, steps: 0, lr: 1e-2 }
  none:
    fine_tune: { model: source, dataset: pets, transfer_depth: none, steps: 0, lr: 1e-2 }
  scratch:
    fine_tune: { model: source, dataset: pets, init: random, steps: 0, lr: 1e-2 }
  again:
    fine_tune: { model: scratch, dataset: pets, transfer_depth: 1, freeze: 1, steps: 5, lr: 1e-2 }
  scores:
    evaluate: { of: [part, start, none, scratch, again], metrics: [accuracy] }
",
    );
    let told = study.run().succeeds();
    // Frozen and taken over, the lower part is the source's own; so no weights are drawn for it.
    let prefixes = told.worked().into_iter().filter(|label| label.starts_with("prefix"));
    assert_snapshot!(prefixes.collect::<Vec<_>>().join("\n"), @"
    prefix of scratch on pets up to stem/relu seed 0
    prefix of scratch on pets up to stem/relu seed 1
    prefix of source on pets up to block1/relu2 seed 0
    prefix of source on pets up to block1/relu2 seed 1
    ");
    let source = model(&study, "source-seed0.onnx");
    let (part, start) = (model(&study, "part-seed0.onnx"), model(&study, "start-seed0.onnx"));
    let scratch = model(&study, "scratch-seed0.onnx");
    assert_snapshot!(moved(&part, &source).join("\n"), @"
    block2/conv1.weight
    block2/conv2.weight
    block2/conv_shortcut.weight
    block2/norm1.bias
    block2/norm1.mean
    block2/norm1.scale
    block2/norm1.variance
    block2/norm2.bias
    block2/norm2.mean
    block2/norm2.scale
    block2/norm2.variance
    block2/norm_shortcut.bias
    block2/norm_shortcut.mean
    block2/norm_shortcut.scale
    block2/norm_shortcut.variance
    head.bias
    head.weight
    ");
    // What is drawn is what the baseline draws, so that both are paired.
    assert_snapshot!(moved(&start, &scratch).join("\n"), @"
    block1/conv1.weight
    block1/conv2.weight
    block1/norm1.bias
    block1/norm1.mean
    block1/norm1.scale
    block1/norm1.variance
    block1/norm2.bias
    block1/norm2.mean
    block1/norm2.scale
    block1/norm2.variance
    stem/conv.weight
    stem/norm.bias
    stem/norm.mean
    stem/norm.scale
    stem/norm.variance
    ");
    assert_eq!(moved(&model(&study, "none-seed0.onnx"), &scratch), [""; 0]);
}

#[test]
fn a_depth_beside_random_weights_or_beyond_the_model_is_refused() {
    let stages = "  both:
    fine_tune: { model: source, dataset: pets, init: random, transfer_depth: 1, steps: 5 }
  beyond:
    fine_tune: { model: source, dataset: pets, transfer_depth: 9, steps: 5 }
";
    assert_snapshot!(study(stages).refusal().problems(), @"
    error: both `init: random` and `transfer_depth` are given
      help: keep one of them: `transfer_depth: none` draws all weights, too
    error: `source` has 3 layer groups
      help: they end in `stem/relu`, `block1/relu2`, `gap`
    ");
}

const CHANGED: &str = "  tuned:
    fine_tune:
      model: source
      dataset: pets
      freeze: \"${matrix.freeze}\"
      augment: { flip: both, crop: { padded: 1 }, rotate: 20, brightness: 0.2, noise: 0.05, views: 2 }
      steps: 12
      batch: 8
      lr: 1e-2
    matrix: { freeze: [none, 1, all] }
  scores:
    evaluate: { of: [tuned], metrics: [accuracy] }
";

const TABLES: [&str; 2] = ["items.csv", "convergence.csv"];

fn tables(folder: &Path) -> Vec<String> {
    TABLES.iter().map(|name| text(folder, name)).collect()
}

#[test]
fn changed_images_are_the_same_whatever_the_number_of_jobs() {
    allow_duplicates! {
        for backend in Backend::all() {
            let with = |jobs: &str| {
                let study = study(CHANGED);
                let told = study.run_with(&backend, &["--jobs", jobs]).succeeds();
                (tables(&study.latest()), told)
            };
            let (one, told) = with("1");
            assert!(one == with("3").0, "tables differ on {backend:?}");
            let views = told.worked().into_iter().filter(|label| label.contains("views"));
            assert_snapshot!(views.collect::<Vec<_>>().join("\n"), @"
            prefix of source on pets up to gap, brightness 0.2, crop padded 1, flip both, noise 0.05, rotate 20.0, views 2 of 36 items seed 0
            prefix of source on pets up to gap, brightness 0.2, crop padded 1, flip both, noise 0.05, rotate 20.0, views 2 of 36 items seed 1
            prefix of source on pets up to stem/relu, brightness 0.2, crop padded 1, flip both, noise 0.05, rotate 20.0, views 2 of 36 items seed 0
            prefix of source on pets up to stem/relu, brightness 0.2, crop padded 1, flip both, noise 0.05, rotate 20.0, views 2 of 36 items seed 1
            ");
        }
    }
}

#[test]
fn val_and_test_are_never_changed() {
    // With no step nothing is learnt, so only what is scored could differ.
    let study = study(CHANGED);
    study.replace("steps: 12", "steps: 0");
    study.run().succeeds();
    let changed = text(&study.latest(), "items.csv");
    let augment = CHANGED.lines().find(|line| line.contains("augment")).unwrap();
    study.replace(&format!("{augment}\n"), "");
    study.run().succeeds();
    assert!(changed == text(&study.latest(), "items.csv"), "scored items were changed");
}

#[test]
fn a_changed_option_trains_anew_and_its_absence_is_found_again() {
    let study = study(CHANGED);
    study.run().succeeds();
    let before = tables(&study.latest());
    study.replace("rotate: 20", "rotate: 10");
    let (done, _) = study.run().succeeds().done_and_hits();
    assert!(done > 0 && tables(&study.latest()) != before);
    study.replace("rotate: 10", "rotate: 20");
    let (done, _) = study.run().succeeds().done_and_hits();
    assert_eq!(done, 0);
}

#[test]
fn rows_of_numbers_are_not_flipped() {
    let study = study(
        "  tuned:
    fine_tune: { model: source, dataset: pets, augment: { flip: horizontal }, steps: 5 }
",
    );
    study.replace("residual_cnn: { width: 4, blocks: 2, stem_stride: 1 }", "mlp: { hidden: 8 }");
    study.replace("size: 8, channels: 1", "size: [1, 64], channels: 1");
    assert_snapshot!(study.refusal().problems(), @"
    error: items of 1×64 values are no images: they cannot be flipped, shifted, cropped or rotated
      help: leave `augment` out, or what does not fit
    ");
}

/// A network with dense layers, as a file.
fn source_file() -> Vec<u8> {
    let study = dense("  scores:\n    evaluate: { of: [source], metrics: [accuracy] }\n");
    study.run().succeeds();
    std::fs::read(study.latest().join("models/source-seed0.onnx")).unwrap()
}

fn other_size(size: &str, more: &str) -> Study {
    Study::new(&format!(
        "\
name: study
seeds: 1
datasets:
  pets:
    image_folder: {{ path: pets }}
    split: {{ train: 0.6, val: 0.2, test: 0.2 }}
models:
  base:
    onnx: base.onnx
    input: {{ size: {size}, channels: 1 }}
    {more}
stages:
  codes:
    extract: {{ model: base, dataset: pets, layers: logits }}
  probe:
    linear_probe: {{ features: codes, c: 1 }}
  tuned:
    fine_tune: {{ model: base, dataset: pets, steps: 5, lr: 1e-2 }}
  scores:
    evaluate: {{ of: [probe, tuned], metrics: [accuracy] }}
"
    ))
    .with_file("base.onnx", &source_file())
    .with_pets()
}

#[test]
fn a_model_of_one_size_is_used_at_another() {
    let at = |size: &str, more: &str, backend: &Backend| {
        let study = other_size(size, more);
        study.run_with(backend, &[]).succeeds();
        let items = rows(&study.latest(), "items");
        let probed = items.into_iter().filter(|row| row["stage"] == "probe");
        probed.map(|row| (row["item"].clone(), row["predicted"].clone())).collect::<Vec<_>>()
    };
    for backend in Backend::all() {
        let free = "fully_convolutional: true";
        assert_eq!(at("8", free, &backend), at("8", "", &backend));
        assert!(!at("[12, 14]", free, &backend).is_empty());
    }
}

#[test]
fn a_size_that_does_not_fit_is_refused() {
    let study = other_size("6", "fully_convolutional: true");
    assert_snapshot!(study.refusal().problems(), @"
    error: the model takes no images of another size: at this size `dense1/gemm` (Conv) gets 3 values along an axis, fewer than its window
      help: leave `fully_convolutional` out and give its own size
    ");
    study.replace("fully_convolutional: true", "fully_convolutional: false");
    assert_snapshot!(study.refusal().problems(), @"
    error: the model's input `image` is batch × 1 × 8 × 8, but `input` gives 1 × 6 × 6 (channels × height × width)
      help: change `size`, `channels` or `layout`
    ");
}

/// Real models in which batch normalisation was folded, or is there.
fn foreign(material: &Path, path: &str, input: &str, stages: &str) -> Study {
    Study::new(&format!(
        "\
name: study
seeds: 1
datasets:
  pets:
    image_folder: {{ path: pets }}
    split: {{ train: 0.6, val: 0.2, test: 0.2 }}
models:
  base: {{ onnx: {path}, input: {{ {input} }} }}
stages:
{stages}  scores:
    evaluate: {{ of: [tuned], metrics: [accuracy] }}
",
        path = material.join("models").join(path).display(),
    ))
    .with_pets()
}

#[test]
fn a_folded_residual_model_starts_from_scaled_random_weights() {
    let Some(material) = material() else { return };
    allow_duplicates! {
        for backend in Backend::all() {
            let stages = "  tuned:
    fine_tune: { model: base, init: random, dataset: pets, steps: 2, batch: 8, lr: 1e-3 }
";
            let input = "size: 32, channels: 3";
            let study = foreign(&material, "original/cifar10_resnet_2b.onnx", input, stages);
            let told = study.run_with(&backend, &[]).succeeds();
            assert_snapshot!(costs(&study, &["scratch_init", "frozen_tensors_proved"]), @"tuned: lsuv, 0");
            let drawn = told.worked().into_iter().filter(|label| label.starts_with("weights"));
            assert_snapshot!(drawn.collect::<Vec<_>>().join("\n"), @"weights of base (random, scaled on 36 items of pets) seed 0");
        }
    }
}

#[test]
fn real_models_are_tuned_by_biases_norms_and_changed_images() {
    let Some(material) = material() else { return };
    let augment = "augment: { flip: horizontal, crop: { resized: 0.5 }, views: 2 }";
    let tuned = |tune: &str, freeze: &str| {
        format!(
            "  tuned:
    fine_tune:
      model: base
      dataset: pets
      tune: {tune}
      freeze: {freeze}
      {augment}
      steps: 2
      batch: 4
      lr: 1e-3
"
        )
    };
    let mobile = ("repacked/mobilenet_v1_0.25_224.onnx", "size: 224, channels: 3, scale: 127.5");
    let squeeze = (
        "repacked/squeezenet1.1_fp32_from_fp16.onnx",
        "size: 224, channels: 3, order: bgr, scale: 1, mean: [104, 117, 123]",
    );
    let mut told = Vec::new();
    for ((path, input), tune, freeze) in
        [(mobile, "norms", "10"), (mobile, "biases", "none"), (squeeze, "biases", "8")]
    {
        let Some(library) = Backend::library() else { return };
        let study = foreign(&material, path, input, &tuned(tune, freeze));
        study.run_with(&library, &[]).succeeds();
        told.push(costs(&study, &["tune", "trained_parameters", "frozen_tensors_proved"]));
    }
    assert_snapshot!(told.join("\n"), @"
    tuned: norms, 5378, 103
    tuned: biases, 3250, 110
    tuned: biases, 3298, 36
    ");
}

#[test]
fn a_real_model_of_one_size_is_used_at_another() {
    let Some(material) = material() else { return };
    for backend in Backend::all() {
        let stages = "  tuned:
    fine_tune: { model: base, dataset: pets, freeze: all, steps: 2, batch: 4, lr: 1e-3 }
";
        let (path, input) = ("original/cifar10_resnet_2b.onnx", "size: 48, channels: 3");
        let study = foreign(&material, path, input, stages);
        study.refusal().says("the model's input");
        study.replace("channels: 3 } }", "channels: 3 }, fully_convolutional: true }");
        study.run_with(&backend, &[]).succeeds();
    }
}
