//! Models that read arrays as they are: token ids with a mask, signals, rows of features.

use std::path::Path;

use insta::assert_snapshot;
use tl_run::onnx::graph::{Dim, Graph, INT32, Node, Port};
use tl_run::onnx::proto;
use tl_run::onnx::tensor::Tensor;

use crate::formats::{Writer, add, archive, noise};
use crate::harness::{Backend, Study, material, repository, rows, text};

/// Items of the small archives.
const ITEMS: usize = 96;
/// Tokens of an item.
const TOKENS: usize = 7;

/// A review. Words from 12 on are good, others bad; what is not marked says nothing.
struct Review {
    ids: Vec<i64>,
    kinds: Vec<i64>,
    marks: Vec<i64>,
    label: i64,
}

fn review(item: usize) -> Review {
    let label = i64::from(noise(7 * item + 3) % 2);
    let length = 3 + usize::from(noise(5 * item + 1)) % (TOKENS - 2);
    let id = |at: usize| {
        let word = i64::from(noise(item * 31 + at * 3) % 12);
        let good = if at < length { label } else { i64::from(noise(item * 17 + at) % 2) };
        word + 12 * good
    };
    Review {
        ids: (0..TOKENS).map(id).collect(),
        kinds: (0..TOKENS).map(|at| i64::from(at >= 4)).collect(),
        marks: (0..TOKENS).map(|at| i64::from(at < length)).collect(),
        label,
    }
}

/// Kinds of tokens and labels, and what else is written.
fn reviews_with(fill: impl Fn(&mut Writer)) -> Vec<u8> {
    archive(|writer| {
        let kind = |index: usize| review(index / TOKENS).kinds[index % TOKENS];
        add(writer, "kinds", &[ITEMS, TOKENS], kind);
        add(writer, "y", &[ITEMS], |item| review(item).label);
        fill(writer);
    })
}

fn id(index: usize) -> i64 {
    review(index / TOKENS).ids[index % TOKENS]
}

fn mark(index: usize) -> i64 {
    review(index / TOKENS).marks[index % TOKENS]
}

fn reviews() -> Vec<u8> {
    reviews_with(|writer| {
        add(writer, "ids", &[ITEMS, TOKENS], id);
        add(writer, "mask", &[ITEMS, TOKENS], |index| mark(index) as u8);
    })
}

/// The layer of a BERT, of 24 words and 7 positions, with its tokens left free.
fn encoder() -> Vec<u8> {
    let file = std::fs::read(repository().join("tests/golden/bert_layer.onnx")).unwrap();
    let mut graph = proto::decode(&file).unwrap();
    for port in &mut graph.inputs {
        port.dims.as_mut().unwrap()[1] = Dim::Free("tokens".to_owned());
    }
    proto::encode(&graph)
}

const REVIEWS: &str = "\
name: study
seeds: 2
datasets:
  reviews:
    npz:
      path: reviews.npz
      inputs: { input_ids: ids, token_type_ids: kinds, attention_mask: mask }
      label: y
      classes: [bad, good]
    split: { train: 0.5, val: 0.25, test: 0.25 }
models:
  bert: { onnx: bert.onnx, layers: { embedded: /norm, above: /norm2 } }
stages:
";

/// A study of reviews with these stages.
fn study(stages: &str) -> Study {
    let study = Study::new(&format!("{REVIEWS}{stages}"));
    study.with_file("reviews.npz", &reviews()).with_file("bert.onnx", &encoder())
}

const WHOLE: &str = "
  codes:
    extract: { model: bert, dataset: reviews, layers: [embedded, above] }
  probe:
    linear_probe: { features: 'codes.${matrix.layer}' }
    matrix: { layer: [embedded, above] }
  tuned:
    fine_tune: { model: bert, dataset: reviews, freeze: '${matrix.freeze}', steps: 24, lr: [3e-3, 1e-2], batch: 16 }
    matrix: { freeze: [none, embedded, 2, all] }
  scratch:
    fine_tune: { model: bert, dataset: reviews, init: random, steps: 24, lr: [3e-3, 1e-2], batch: 16 }
  scores:
    evaluate: { of: [probe, tuned, scratch] }
  verdict:
    transfer: { of: scores, baseline: scratch, metric: accuracy }
";

/// Accuracy on test by stage, the mean over seeds.
fn accuracy(folder: &Path, stage: &str) -> f64 {
    let rows = rows(folder, "scores").into_iter();
    let values: Vec<f64> = rows
        .filter(|row| row["metric"] == "accuracy" && row["stage"].split('[').next() == Some(stage))
        .map(|row| row["value"].parse().unwrap())
        .collect();
    assert!(!values.is_empty(), "`{stage}` has scores");
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn an_encoder_of_tokens_goes_from_data_to_verdict_on_either_backend() {
    let checked = study(WHOLE).check();
    assert_snapshot!(checked.facts(), @"
      reviews: 96 items (bad 49, good 47); train 48, val 24, test 24
      tuned[freeze=none]: new head on `/Tanh_output_0`, 1886 of 1886 parameters learn
      tuned[freeze=embedded]: new head on `/Tanh_output_0`, 1466 of 1886 parameters learn
      tuned[freeze=2]: new head on `/Tanh_output_0`, 818 of 1886 parameters learn
      tuned[freeze=all]: new head on `/Tanh_output_0`, 26 of 1886 parameters learn
      scratch: new head on `/Tanh_output_0`, 1886 of 1886 parameters learn
    note: reviews: 2 pairs of copies on one side of the test part; see the table `leaks`
    ");
    for backend in Backend::all() {
        let study = study(WHOLE);
        let folder = study.run_with(&backend, &[]).succeeds().folder(&study);
        for (stage, least) in [("probe", 0.8), ("tuned", 0.6), ("scratch", 0.8)] {
            let found = accuracy(&folder, stage);
            assert!(found > least, "{backend:?}, {stage}: {found}");
        }
        let arms = rows(&folder, "transfer").into_iter().filter(|row| row["scope"] == "arm");
        assert_eq!(arms.count(), 6);
        // A second time everything is there.
        let again = study.run_with(&backend, &[]).succeeds();
        assert!(again.worked().is_empty(), "{again}");
    }
}

#[test]
fn results_are_the_same_however_many_jobs_work() {
    for backend in Backend::all() {
        let written = |jobs: &str| {
            let study = study(WHOLE);
            let folder = study.run_with(&backend, &["--jobs", jobs]).succeeds().folder(&study);
            ["scores.csv", "items.csv", "transfer.csv"].map(|table| text(&folder, table))
        };
        assert_eq!(written("1"), written("3"), "{backend:?}");
    }
}

const SPARING: &str = "
  biases:
    fine_tune: { model: bert, dataset: reviews, tune: biases, freeze: 1, steps: 8, lr: 1e-2, batch: 16 }
  norms:
    fine_tune: { model: bert, dataset: reviews, tune: norms, steps: 8, lr: 1e-2, batch: 16 }
  added:
    fine_tune: { model: bert, dataset: reviews, tune: { lora: { rank: 2 } }, steps: 8, lr: 1e-2, batch: 16 }
  in_pieces:
    fine_tune: { model: bert, dataset: reviews, steps: 24, lr: 1e-2, batch: 16, micro_batch: 5, unfreeze: gradual }
  first:
    fine_tune: { model: bert, dataset: reviews, head: { at: above }, tokens: first, steps: 8, lr: 1e-2, batch: 16 }
  mean:
    fine_tune: { model: bert, dataset: reviews, head: { at: above }, head_init: probe, freeze: 2, steps: 8, lr: 1e-2, batch: 16 }
  partly:
    fine_tune: { model: bert, dataset: reviews, transfer_depth: 2, steps: 8, lr: 1e-2, batch: 16 }
  of_tuned:
    extract: { model: mean, dataset: reviews, layers: [above], tokens: first }
  again:
    linear_probe: { features: of_tuned.above }
  scores:
    evaluate: { of: [biases, norms, added, in_pieces, first, mean, partly, again], metrics: [accuracy] }
";

#[test]
fn every_way_of_tuning_works_for_tokens() {
    for backend in Backend::all() {
        let study = study(SPARING);
        study.replace("seeds: 2", "seeds: 1");
        let folder = study.run_with(&backend, &[]).succeeds().folder(&study);
        assert_eq!(rows(&folder, "scores").len(), 8 * 5, "{backend:?}");
        assert!(accuracy(&folder, "mean") > 0.7, "{backend:?}");
    }
}

/// An archive of three reviews whose arrays are called like the inputs of the model.
fn new_reviews() -> Vec<u8> {
    archive(|writer| {
        for (name, of) in [
            ("input_ids", (|review| review.ids) as fn(Review) -> Vec<i64>),
            ("token_type_ids", |review| review.kinds),
            ("attention_mask", |review| review.marks),
        ] {
            let value = |index: usize| of(review(index / TOKENS))[index % TOKENS];
            add(writer, name, &[3, TOKENS], value);
        }
    })
}

#[test]
fn a_tuned_encoder_predicts_the_arrays_it_reads_as_the_run_did() {
    for backend in Backend::all() {
        let study = study(SPARING);
        study.replace("seeds: 2", "seeds: 1");
        study.replace(
            "of: [biases, norms, added, in_pieces, first, mean, partly, again]",
            "of: [first]",
        );
        let folder = study.run_with(&backend, &[]).succeeds().folder(&study);
        let model = folder.join("models/first-seed0.onnx");
        let graph = proto::decode(&std::fs::read(&model).unwrap()).unwrap();
        assert_eq!(graph.metadata["tl-run.input"], "\"as_it_is\"");
        std::fs::copy(&model, study.path("first.onnx")).unwrap();
        study.write("new.npz", &new_reviews());
        let runtime = match &backend {
            Backend::Embedded => "embedded",
            Backend::Library(path) => path.to_str().unwrap(),
        };
        let told =
            study.told(&["predict", "first.onnx", "new.npz", "--runtime", runtime]).succeeds();
        let mut reader = csv::Reader::from_reader(told.out.as_bytes());
        let answers: Vec<(String, usize, String, f64, f64)> =
            reader.deserialize().map(|row| row.unwrap()).collect();
        assert_eq!(answers.len(), 3);
        let items = rows(&folder, "items");
        for (file, item, label, bad, good) in answers {
            assert_eq!(file, "new.npz");
            assert!((bad + good - 1.0).abs() < 1e-6);
            // Items of the run that stand on test have the same answer there.
            for row in items.iter().filter(|row| row["item"] == item.to_string()) {
                assert_eq!(row["predicted"], label);
            }
        }
        study.write("new.npz", &of_ids(&[ITEMS, TOKENS], id));
        let told = study.told(&["predict", "first.onnx", "new.npz", "--runtime", runtime]);
        assert_eq!(told.code, Some(2), "{told}");
        told.says("error: new.npz has no array `attention_mask`\n  help: it has `kinds`, `y`");
    }
}

#[test]
fn an_encoder_is_told_with_the_names_of_its_arrays() {
    let study = study(WHOLE);
    let told = study.told(&["model", "inspect", "bert.onnx", "--runtime", "embedded"]).succeeds();
    told.says("freeze: 4 layer groups")
        .says("it was tried with 8 tokens: say --size N for another number")
        .says("# it reads arrays of a data set by these names: input_ids, token_type_ids, attention_mask");
    let sized = ["model", "inspect", "bert.onnx", "--size", "7", "--runtime", "embedded"];
    let told = study.told(&sized).succeeds();
    told.says("a new one reads `/Tanh_output_0`, 12 features; `/head/Gemm` would be cut off")
        .never_says("shapes: none");
}

/// What is said of reviews and models that do not fit.
fn problems(replaced: &[(&str, &str)], archive: &[u8]) -> String {
    let study =
        study("  codes:\n    extract: { model: bert, dataset: reviews, layers: [above] }\n");
    study.write("reviews.npz", archive);
    for (from, to) in replaced {
        study.replace(from, to);
    }
    let told = study.refusal();
    assert!(told.err.contains("study.yaml:"), "{told}");
    told.problems()
}

#[test]
fn arrays_that_are_not_there_are_told() {
    let inputs = "inputs: { input_ids: ids, token_type_ids: kinds, attention_mask: mask }";
    let missing = [(inputs, "inputs: { input_ids: ids, attention_mask: mask }")];
    assert_snapshot!(problems(&missing, &reviews()), @"
    error: `bert` reads `token_type_ids`, and `reviews` has no array for it
      help: name its array under `inputs` of the data set, where there are `attention_mask`, `input_ids`
    ");
    let typo =
        [(inputs, "inputs: { input_ids: ids, token_type_ids: kinds, attention_masks: mask }")];
    assert_snapshot!(problems(&typo, &reviews()), @"
    error: `bert` reads `attention_mask`, and `reviews` has no array for it
      help: name its array under `inputs` of the data set, where there are `attention_masks`, `input_ids`, `token_type_ids`
    ");
    let unknown =
        [(inputs, "inputs: { input_ids: idz, token_type_ids: kinds, attention_mask: mask }")];
    assert_snapshot!(problems(&unknown, &reviews()), @"
    error: data set `reviews`: reviews.npz has no array `idz`
      help: it has `kinds`, `y`, `ids`, `mask`
    ");
    assert_snapshot!(problems(&[("label: y", "label: labels")], &reviews()), @"
    error: data set `reviews`: reviews.npz has no array `labels`
      help: it has `kinds`, `y`, `ids`, `mask`
    ");
    assert_snapshot!(problems(&[("inputs: {", "input: {")], &reviews()), @"
    error: data set `reviews`: `label` names an array beside `inputs`, which is not said
      help: say `inputs`, or leave it out
    error: `input` is not a key of `npz`
      help: did you mean `inputs`?
    ");
    let no_inputs = [(inputs, ""), ("classes: [bad, good]", "")];
    assert_snapshot!(problems(&no_inputs, &reviews()), @"
    error: data set `reviews`: `label` names an array beside `inputs`, which is not said
      help: say `inputs`, or leave it out
    ");
}

/// An archive whose ids are others.
fn of_ids(shape: &[usize], ids: impl Fn(usize) -> i64) -> Vec<u8> {
    reviews_with(|writer| {
        add(writer, "ids", shape, &ids);
        add(writer, "mask", &[ITEMS, TOKENS], |index| mark(index) as u8);
    })
}

#[test]
fn ids_that_the_model_cannot_take_are_told_with_item_and_value() {
    let beyond =
        of_ids(&[ITEMS, TOKENS], |index| if index == 40 * TOKENS + 3 { 24 } else { id(index) });
    assert_snapshot!(problems(&[], &beyond), @"
    error: item `40` of `reviews` has the value 24 in `ids`, at 3, and input `input_ids` of `bert` takes 0 to 23: its table has 24 rows
      help: take the tokens of the model's own vocabulary
    ");
    let below = of_ids(&[ITEMS, TOKENS], |index| if index == 5 { -1 } else { id(index) });
    assert_snapshot!(problems(&[], &below), @"
    error: item `0` of `reviews` has the value -1 in `ids`, at 5, and input `input_ids` of `bert` takes 0 to 23: its table has 24 rows
      help: take the tokens of the model's own vocabulary
    ");
    assert_snapshot!(problems(&[], &of_ids(&[ITEMS - 1, TOKENS], id)), @"
    error: data set `reviews`: reviews.npz: `ids` has 95 rows, but `y` has labels for 96
      help: each array has a row for each item, in the same order; write them anew
    ");
    assert_snapshot!(problems(&[], &of_ids(&[ITEMS, TOKENS, 1], id)), @"
    error: the input `input_ids` of `bert` is batch × tokens, but a row of `ids` in `reviews` is 7 × 1
      help: the first axis is the items; the others are those of the array
    ");
    let floats = reviews_with(|writer| {
        add(writer, "ids", &[ITEMS, TOKENS], |index| id(index) as f32);
        add(writer, "mask", &[ITEMS, TOKENS], |index| mark(index) as u8);
    });
    assert_snapshot!(problems(&[], &floats), @"
    error: the input `input_ids` of `bert` reads int64, but `ids` in `reviews` holds floats
      help: save the array as integers
    ");
    // Longer than the table of positions: the model itself refuses, before any work.
    let longer = archive(|writer| {
        for name in ["ids", "kinds", "mask"] {
            add(writer, name, &[ITEMS, 9], |_| 1_i64);
        }
        add(writer, "y", &[ITEMS], |item| (item % 2) as i64);
    });
    let told = problems(&[], &longer);
    assert!(told.contains("`bert` cannot be run on `reviews`"), "{told}");
}

#[test]
fn a_mask_that_marks_nothing_or_more_than_ones_is_told() {
    let masked = |value: fn(usize) -> i64| {
        reviews_with(|writer| {
            add(writer, "ids", &[ITEMS, TOKENS], id);
            add(writer, "mask", &[ITEMS, TOKENS], value);
        })
    };
    let odd = masked(|index| if index == 8 { 2 } else { mark(index) });
    assert_snapshot!(problems(&[], &odd), @"
    error: `attention_mask` is no mask: item `1` has the value 2 at 1
      help: a mask has a 1 for each token that counts, a 0 for all others, and at least one 1 for each item; or take `tokens: first`
    ");
    let empty = masked(|index| if index / TOKENS == 3 { 0 } else { mark(index) });
    assert_snapshot!(problems(&[], &empty), @"
    error: `attention_mask` is no mask: item `3` has no token marked
      help: a mask has a 1 for each token that counts, a 0 for all others, and at least one 1 for each item; or take `tokens: first`
    ");
}

#[test]
fn what_means_nothing_for_arrays_is_told() {
    let stages = "
  mixed:
    fine_tune: { model: bert, dataset: reviews, steps: 4, lr: 1e-2, mixup: 0.2 }
  changed:
    fine_tune: { model: bert, dataset: reviews, steps: 4, lr: 1e-2, augment: { flip: horizontal } }
  whole:
    fine_tune: { model: bert, dataset: reviews, steps: 4, lr: 1e-2, head: { at: above }, tokens: all }
  pooled:
    fine_tune: { model: bert, dataset: reviews, steps: 4, lr: 1e-2, tokens: first }
  masked:
    extract: { model: bert, dataset: reviews, layers: [above], tokens: { mean: { mask: maks } } }
  input:
    extract: { model: bert, dataset: reviews, layers: [input_ids] }
  pixels:
    pixel_linear: { dataset: reviews }
";
    assert_snapshot!(study(stages).refusal().problems(), @"
    error: `mixup` mixes values, and `input_ids` holds whole numbers, such as token ids
      help: leave `mixup` out
    error: the model reads arrays as they are, and `augment` changes images
      help: leave `augment` out, or what does not fit
    error: a head reads one row of features an item, not those of all tokens
      help: take `tokens: first` or `tokens: mean`
    error: `tokens` is said, but `/Tanh_output_0` is no sequence of tokens
      help: leave `tokens` out
    error: `bert` has no input `maks`
      help: there is: `input_ids`, `token_type_ids`, `attention_mask`
    error: `input_ids` is the model's input, not a layer
      help: name a layer above it
    error: read reviews.npz: it holds arrays (mask, ids, kinds), no images
    ");
    let rule = ("{ onnx: bert.onnx,", "{ onnx: bert.onnx, input: { size: 8 },");
    assert_snapshot!(problems(&[rule], &reviews()), @"
    error: the model reads no image: its inputs are `input_ids` (int64 of batch × tokens), `token_type_ids` (int64 of batch × tokens), `attention_mask` (int64 of batch × tokens)
      help: leave `input` out, or write `input: as_it_is`: it reads arrays of a data set by these names
    ");
}

#[test]
fn images_and_arrays_are_not_taken_for_each_other() {
    let study = study("  codes:\n    extract: { model: bert, dataset: pets, layers: [above] }\n")
        .with_pets();
    study.replace(
        "models:\n",
        "  pets:\n    image_folder: { path: pets }\n    split: { test: 0.2 }\nmodels:\n  small: { onnx: \
         small.onnx, input: { size: 8, channels: 1 } }\n",
    );
    study.write("small.onnx", &crate::models::small());
    assert_snapshot!(study.refusal().problems(), @"
    error: `bert` reads arrays as they are, and `pets` has images
      help: take a data set of arrays: `npz: { path: FILE, inputs: { INPUT: ARRAY } }`
    ");
    study.replace(
        "model: bert, dataset: pets, layers: [above]",
        "model: small, dataset: reviews, layers: [conv]",
    );
    assert_snapshot!(study.refusal().problems(), @"
    error: `reviews` has arrays (`mask`, `ids`, `kinds`), not images
      help: for a model that reads them, write `input: as_it_is`
    ");
}

/// Two layers on signals of two channels and twelve moments.
fn of_signals(kind: i32) -> Graph {
    let drawn = |dims: &[usize]| {
        let value = |index: usize| ((index * 37 + 11) % 29) as f32 / 29.0 - 0.5;
        Tensor::f32(dims, (0..dims.iter().product()).map(value).collect())
    };
    Graph {
        name: "signals".to_owned(),
        opset: 18,
        inputs: vec![Port { kind, ..Port::batch_of_floats("signal", &[2, 12]) }],
        outputs: vec![Port::batch_of_floats("logits", &[3])],
        nodes: vec![
            Node::new("conv", "Conv", &["signal", "kernel"], "conv")
                .with("kernel_shape", vec![3_i64]),
            Node::new("relu", "Relu", &["conv"], "relu"),
            Node::new("flatten", "Flatten", &["relu"], "flat").with("axis", 1_i64),
            Node::new("dense", "Gemm", &["flat", "weight"], "logits").with("transB", 1_i64),
        ],
        initializers: [("kernel", drawn(&[4, 2, 3])), ("weight", drawn(&[3, 40]))]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        ..Graph::default()
    }
}

const SIGNALS: &str = "\
name: study
seeds: 1
datasets:
  signals:
    npz: { path: signals.npz, inputs: x, group: who }
    split: { train: 0.5, val: 0.25, test: 0.25 }
models:
  base: { onnx: base.onnx, input: as_it_is }
stages:
  codes:
    extract: { model: base, dataset: signals, layers: [relu] }
  probe:
    linear_probe: { features: codes.relu }
  tuned:
    fine_tune: { model: base, dataset: signals, freeze: '${matrix.freeze}', steps: 12, lr: 1e-2, mixup: 0.1 }
    matrix: { freeze: [none, 1] }
  rows:
    pixel_linear: { dataset: signals }
  scores:
    evaluate: { of: [probe, tuned, rows], metrics: [accuracy] }
";

/// Signals whose second channel rises for one class and falls for the other.
fn signals() -> Vec<u8> {
    archive(|writer| {
        let value = |index: usize| {
            let (item, channel, moment) = (index / 24, index / 12 % 2, index % 12);
            let slope = if item % 2 == 0 { 0.3 } else { -0.3 };
            let wave = f32::from(noise(index)) / 128.0 - 1.0;
            if channel == 1 { slope * (moment as f32 - 5.5) + wave } else { wave }
        };
        add(writer, "x", &[80, 2, 12], value);
        add(writer, "labels", &[80], |item| (item % 2) as u8);
        add(writer, "who", &[80], |item| (item / 2) as i32);
    })
}

#[test]
fn signals_are_read_as_they_are_on_either_backend() {
    for backend in Backend::all() {
        let study = Study::new(SIGNALS).with_file("signals.npz", &signals());
        let study = study.with_file("base.onnx", &proto::encode(&of_signals(1)));
        let folder = study.run_with(&backend, &[]).succeeds().folder(&study);
        for stage in ["probe", "tuned", "rows"] {
            let found = accuracy(&folder, stage);
            assert!(found > 0.8, "{backend:?}, {stage}: {found}");
        }
        let groups = rows(&folder, "items").into_iter().filter(|row| row["split"] == "test");
        assert!(groups.count() > 0);
    }
}

#[test]
fn values_that_are_no_numbers_are_told_or_left_out() {
    let broken = archive(|writer| {
        add(writer, "x", &[80, 2, 12], |index| if index == 100 { f32::NAN } else { index as f32 });
        add(writer, "labels", &[80], |item| (item % 2) as u8);
        add(writer, "who", &[80], |item| (item / 2) as i32);
    });
    let study = Study::new(SIGNALS).with_file("signals.npz", &broken);
    let study = study.with_file("base.onnx", &proto::encode(&of_signals(1)));
    assert_snapshot!(study.refusal().problems(), @"
    error: item `4` of `signals` has the value NaN in `x`, at 4
      help: values are finite numbers; mend them, or leave such items out by `on_bad: skip`
    ");
    study.replace("    split: { train", "    on_bad: skip\n    split: { train");
    assert_snapshot!(study.check().facts(), @"
      signals: 79 items of 40 groups (0 39, 1 40); train 39, val 20, test 20
      tuned[freeze=none]: new head on `flat`, 106 of 106 parameters learn
      tuned[freeze=1]: new head on `flat`, 82 of 106 parameters learn
      rows: 50 of 50 parameters learn
    note: signals: 1 of 80 items cannot be read and are left out, the first `4`: row 4 of `x` has values that are no finite numbers
    ");
}

#[test]
fn a_table_of_numbers_is_an_array_too_and_may_hold_token_ids() {
    let line = |item: usize| {
        let Review { ids, label, .. } = review(item);
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        format!("{},{label}\n", ids.join(","))
    };
    let table: String = (0..ITEMS).map(line).collect();
    let file = std::fs::read(repository().join("tests/golden/text_cnn.onnx")).unwrap();
    let mut graph = proto::decode(&file).unwrap();
    graph.inputs[0].dims.as_mut().unwrap()[1] = Dim::Free("tokens".to_owned());
    graph.inputs[0].kind = INT32;
    let text = "\
name: study
seeds: 1
datasets:
  words:
    csv: { path: words.csv, header: false, label: last }
    split: { train: 0.5, val: 0.25, test: 0.25 }
models:
  base: { onnx: base.onnx }
stages:
  tuned:
    fine_tune: { model: base, dataset: words, freeze: 1, steps: 20, lr: 1e-2 }
  scores:
    evaluate: { of: [tuned], metrics: [accuracy] }
";
    for backend in Backend::all() {
        let study = Study::new(text).with_file("words.csv", table.as_bytes());
        let study = study.with_file("base.onnx", &proto::encode(&graph));
        let folder = study.run_with(&backend, &[]).succeeds().folder(&study);
        assert!(accuracy(&folder, "tuned") > 0.5, "{backend:?}");
    }
    let broken = format!("{table}1,2,3.5,4,5,6,7,1\n");
    let study = Study::new(text).with_file("words.csv", broken.as_bytes());
    let study = study.with_file("base.onnx", &proto::encode(&graph));
    assert_snapshot!(study.refusal().problems(), @"
    error: item `96` of `words` has the value 3.5 in `the columns`, at 2, and input `tokens` of `base` takes 0 to 29: its table has 30 rows
      help: take the tokens of the model's own vocabulary
    ");
}

#[test]
fn an_input_that_is_the_same_for_all_items_is_a_constant() {
    let mut graph = of_signals(1);
    graph.inputs.push(Port::floats("warmth", &[]));
    graph.nodes[1] = Node::new("warm", "Mul", &["conv", "warmth"], "relu");
    let study = Study::new(SIGNALS).with_file("signals.npz", &signals());
    let study = study.with_file("base.onnx", &proto::encode(&graph));
    assert_snapshot!(study.refusal().problems(), @"
    error: `base` reads `signal`, and `signals` has no array for it
      help: name its array under `inputs` of the data set, where there are `x`, for a model with one input
    error: `base` reads `warmth`, and `signals` has no array for it
      help: it is the same for all items: give its value under `constants` of the model
    ");
    study.replace("input: as_it_is }", "input: as_it_is, constants: { warmt: 2 } }");
    assert_snapshot!(study.refusal().problems(), @"
    error: the model has no input `warmt`
      help: did you mean `warmth`?
    ");
    study.replace("warmt: 2", "warmth: 2");
    for backend in Backend::all() {
        study.run_with(&backend, &[]).succeeds();
    }
    study.replace("warmth: 2", "warmth: 3");
    assert!(!study.run().succeeds().worked().is_empty());
}

#[test]
fn an_encoder_whose_file_fixes_one_item_is_freed() {
    let mut graph = proto::decode(&encoder()).unwrap();
    for port in graph.inputs.iter_mut().chain(&mut graph.outputs) {
        port.dims.as_mut().unwrap()[0] = Dim::Fixed(1);
    }
    let stages = "  tuned:\n    fine_tune: { model: bert, dataset: reviews, steps: 4, lr: 1e-2 }\n";
    for backend in Backend::all() {
        let study = study(stages);
        study.write("bert.onnx", &proto::encode(&graph));
        study.run_with(&backend, &[]).succeeds();
    }
}

#[test]
fn a_foreign_encoder_is_probed_and_tuned() {
    let (Some(material), Some(library)) = (material(), Backend::library()) else { return };
    let file = std::fs::read(material.join("models/original/bert_toy_random.onnx")).unwrap();
    let study = study(WHOLE);
    study.write("bert.onnx", &file);
    study.replace("attention_mask: mask", "input_mask: mask");
    study.replace(
        "{ onnx: bert.onnx, layers: { embedded: /norm, above: /norm2 } }",
        "{ onnx: bert.onnx, output: seq_relationship_score }",
    );
    study.replace("layers: [embedded, above]", "layers: ['707']");
    study.replace(
        "features: 'codes.${matrix.layer}' }\n    matrix: { layer: [embedded, above] }",
        "features: codes.707 }",
    );
    study.replace("freeze: [none, embedded, 2, all]", "freeze: [none, 1, 3, all]");
    study.replace("seeds: 2", "seeds: 1");
    let folder = study.run_with(&library, &[]).succeeds().folder(&study);
    assert!(accuracy(&folder, "scratch") > 0.5);
}
