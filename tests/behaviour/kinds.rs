//! What holds for every kind of stage, every architecture and every way to train: a new one is
//! tested before its author writes a test.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::harness::{Backend, Study, rows};

const HEAD: &str = "\
name: study
seeds: 2
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 50, test: 60 }
stages:
";

/// A small stage of each kind, by its word, with the kinds that it reads.
const EXAMPLES: &[(&str, &[&str], &str)] = &[
    (
        "pretrain",
        &[],
        "pretrain: { dataset: digits, architecture: { plain_cnn: { channels: 4, dense: 8 } }, \
         input: { size: 8, channels: 1, scale: 16 }, steps: 20, lr: [1e-2, 3e-2] }",
    ),
    ("extract", &["pretrain"], "extract: { model: a_pretrain, dataset: digits, layers: dense1 }"),
    ("pixels", &[], "pixels: { dataset: digits }"),
    ("concat", &["extract", "pixels"], "concat: { of: [a_extract.dense1, a_pixels] }"),
    ("direct", &["pretrain"], "direct: { model: a_pretrain, dataset: digits, map: learnt }"),
    (
        "cluster",
        &["extract"],
        "cluster: { features: a_extract.dense1, random: untaught, restarts: 2 }
  untaught:
    extract: { model: a_pretrain, dataset: digits, layers: dense1, init: random }",
    ),
    ("linear_probe", &["extract"], "linear_probe: { features: a_extract.dense1, c: [0.1, 1] }"),
    ("svm", &["extract"], "svm: { features: a_extract.dense1, c: [0.1, 1] }"),
    ("ridge", &["extract"], "ridge: { features: a_extract.dense1, lambda: [0.1, 1] }"),
    ("knn", &["extract"], "knn: { features: a_extract.dense1, k: [1, 5] }"),
    ("nearest_mean", &["extract"], "nearest_mean: { features: a_extract.dense1 }"),
    ("lda", &["extract"], "lda: { features: a_extract.dense1 }"),
    (
        "fine_tune",
        &["pretrain"],
        "fine_tune: { model: a_pretrain, dataset: digits, freeze: block1, steps: 20, lr: 1e-2 }",
    ),
    (
        "adapt_batch_norm",
        &[],
        "adapt_batch_norm: { model: normalised, dataset: digits }
  normalised:
    pretrain: { dataset: digits, architecture: { residual_cnn: { width: 4, blocks: 1 } }, \
         input: { size: 8, channels: 1, scale: 16 }, steps: 5, lr: 1e-2 }",
    ),
    ("majority", &[], "majority: { dataset: digits }"),
    ("pixel_linear", &[], "pixel_linear: { dataset: digits, c: [0.1, 1] }"),
    ("evaluate", &["fine_tune", "majority"], "evaluate: { of: [a_fine_tune, a_majority] }"),
    (
        "transfer",
        &["evaluate"],
        "transfer: { of: a_evaluate, baseline: a_majority, metric: accuracy }",
    ),
    (
        "transferability",
        &["extract"],
        "transferability: { of: a_extract.dense1, scores: [log_me, cka] }",
    ),
    (
        "advise",
        &["transferability", "linear_probe"],
        "advise: { of: a_transferability, arms: a_linear_probe }",
    ),
    (
        "learning_curve",
        &[],
        "learning_curve: { of: sized_scores, baseline: sized }
  sized:
    majority: { dataset: digits, train_size: \"${matrix.n}\" }
    matrix: { n: [20, 40, 80] }
  sized_scores:
    evaluate: { of: [sized], metrics: [balanced_accuracy] }",
    ),
    (
        "freeze_sweep",
        &["pretrain"],
        "freeze_sweep: { of: deep_scores, base: a_pretrain, frozen: deep }
  deep:
    fine_tune: { model: a_pretrain, dataset: digits, transfer_depth: block1, freeze: block1, \
         steps: 5, lr: 1e-2 }
  deep_scores:
    evaluate: { of: [a_pretrain, deep], metrics: [balanced_accuracy] }",
    ),
    (
        "convergence",
        &["fine_tune", "pretrain"],
        "convergence: { of: a_fine_tune, baseline: a_pretrain }",
    ),
    ("front", &["evaluate"], "front: { of: a_evaluate, full: a_fine_tune }"),
];

fn example(kind: &str) -> Option<(&'static [&'static str], &'static str)> {
    EXAMPLES.iter().find(|(word, ..)| *word == kind).map(|(_, needed, text)| (*needed, *text))
}

fn schema() -> Json {
    let told = Study::new("").told(&["schema"]).succeeds();
    serde_json::from_str(&told.out).unwrap()
}

/// The words for kinds, with the keys of each.
fn kinds() -> Vec<(String, Json)> {
    let schema = schema();
    let stage = &schema["properties"]["stages"]["additionalProperties"]["allOf"][0]["oneOf"];
    let kinds = stage.as_array().expect("a stage is one of several kinds");
    let word = |kind: &Json| {
        let (word, keys) = kind["properties"].as_object()?.iter().next()?;
        Some((word.clone(), keys.clone()))
    };
    kinds.iter().filter_map(word).collect()
}

/// A pipeline with a stage of this kind and whatever it reads.
fn pipeline(kind: &str) -> String {
    let mut stages: Vec<&str> = Vec::new();
    let mut open = vec![kind];
    while let Some(kind) = open.pop() {
        if !stages.contains(&kind) {
            stages.push(kind);
            open.extend(example(kind).expect("an example reads kinds that have one").0);
        }
    }
    let stage = |kind: &&str| format!("  a_{kind}:\n    {}\n", example(kind).unwrap().1);
    format!("{HEAD}{}", stages.iter().map(stage).collect::<String>())
}

#[test]
fn every_kind_has_an_example_here() {
    let kinds: BTreeSet<String> = kinds().into_iter().map(|(word, _)| word).collect();
    let examples: BTreeSet<String> = EXAMPLES.iter().map(|(word, ..)| (*word).to_owned()).collect();
    assert_eq!(kinds, examples, "add a small stage of the new kind to EXAMPLES");
}

#[test]
fn a_small_study_of_every_kind_is_right() {
    for (kind, ..) in EXAMPLES {
        Study::new(&pipeline(kind)).with_digits(300).check().succeeds();
    }
}

#[test]
fn every_kind_refuses_a_key_it_does_not_know() {
    for (kind, ..) in EXAMPLES {
        let study = Study::new(&pipeline(kind)).with_digits(300);
        study.replace(&format!("    {kind}: {{"), &format!("    {kind}: {{ frobnicate: 1,"));
        study.refusal().says(&format!("`frobnicate` is not a key of `{kind}`"));
    }
}

/// A study of all kinds at once, everything scored.
fn all_kinds() -> Study {
    let stage = |(kind, _, text): &(&str, &[&str], &str)| format!("  a_{kind}:\n    {text}\n");
    let stages: String = EXAMPLES.iter().map(stage).collect();
    let study = Study::new(&format!("{HEAD}{stages}")).with_digits(300);
    let scored = ARMS.map(|arm| format!("a_{arm}")).join(", ");
    study.replace("of: [a_fine_tune, a_majority]", &format!("of: [{scored}], metrics: [accuracy]"));
    study
}

const ARMS: [&str; 8] = [
    "pretrain",
    "direct",
    "cluster",
    "linear_probe",
    "svm",
    "fine_tune",
    "majority",
    "pixel_linear",
];

fn assert_one_row_for_each_arm_and_seed(backend: &Backend) {
    let study = all_kinds();
    study.run_with(backend, &[]).succeeds();
    let scores = rows(&study.latest(), "scores");
    let scores = scores.iter().filter(|row| row["metric"] == "accuracy");
    let found: Vec<_> = scores.map(|row| (row["kind"].clone(), row["seed"].clone())).collect();
    let expected: Vec<(String, String)> = ARMS
        .iter()
        .flat_map(|arm| ["0", "1"].map(|seed| ((*arm).to_owned(), seed.to_owned())))
        .collect();
    assert_eq!(found, expected);
    let verdict = rows(&study.latest(), "transfer");
    assert_eq!(verdict.len(), ARMS.len() - 1, "every arm but the baseline is judged");
}

#[test]
fn a_study_of_all_kinds_gives_one_row_for_each_arm_and_seed_on_the_embedded_backend() {
    assert_one_row_for_each_arm_and_seed(&Backend::Embedded);
}

#[test]
fn a_study_of_all_kinds_gives_one_row_for_each_arm_and_seed_on_the_library() {
    let Some(library) = Backend::library() else { return };
    assert_one_row_for_each_arm_and_seed(&library);
}

/// The words that may stand for a key of `pretrain` without anything under them.
fn words(key: &str) -> Vec<String> {
    let kinds = kinds();
    let (_, pretrain) = kinds.iter().find(|(word, _)| word == "pretrain").unwrap();
    let options = pretrain["properties"][key]["oneOf"].as_array();
    let options = options.unwrap_or_else(|| panic!("`{key}` is no choice of words"));
    let words = options.iter().filter_map(|option| option["const"].as_str().map(str::to_owned));
    words.collect()
}

/// Pretrains and fine-tunes with each word that a key may have.
fn assert_every_word_trains(key: &str, backend: &Backend) {
    let words = words(key);
    assert!(!words.is_empty());
    for word in words {
        let study = Study::new(&format!(
            "{HEAD}  source:
    pretrain: &training
      dataset: digits
      architecture: {{ plain_cnn: {{ channels: 4, dense: 8 }} }}
      input: {{ size: 8, channels: 1, scale: 16 }}
      steps: 10
      lr: 1e-2
      {key}: {word}
  tuned:
    fine_tune: {{ model: source, dataset: digits, steps: 10, lr: 1e-2, {key}: {word} }}
  scores:
    evaluate: {{ of: [source, tuned], metrics: [accuracy] }}
"
        ))
        .with_digits(300);
        if key == "architecture" {
            study.replace("      architecture: { plain_cnn: { channels: 4, dense: 8 } }\n", "");
            study.replace(&format!(", {key}: {word} }}"), " }");
        }
        let told = study.run_with(backend, &["--seeds", "1"]);
        assert_eq!(told.code, Some(0), "{key}: {word} on {backend:?}\n{told}");
    }
}

#[test]
fn every_architecture_trains_on_the_embedded_backend() {
    assert_every_word_trains("architecture", &Backend::Embedded);
}

#[test]
fn every_architecture_trains_on_the_library() {
    let Some(library) = Backend::library() else { return };
    assert_every_word_trains("architecture", &library);
}

#[test]
fn every_way_to_train_is_there_on_the_embedded_backend() {
    for key in ["optimizer", "schedule", "class_weights", "monitor"] {
        assert_every_word_trains(key, &Backend::Embedded);
    }
}

#[test]
fn every_way_to_train_is_there_on_the_library() {
    let Some(library) = Backend::library() else { return };
    for key in ["optimizer", "schedule", "class_weights", "monitor"] {
        assert_every_word_trains(key, &library);
    }
}

/// A study of one kind with a part replaced is done or refused in words, never broken off.
fn assert_done_or_refused(kind: &str, from: &str, to: &str) {
    for backend in Backend::all() {
        let study = Study::new(&pipeline(kind)).with_digits(300);
        study.replace(from, to);
        let told = study.run_with(&backend, &["--seeds", "1"]);
        assert!(matches!(told.code, Some(0 | 2)), "{to} on {backend:?}\n{told}");
    }
}

#[test]
fn a_layer_may_be_asked_for_by_two_names() {
    assert_done_or_refused("linear_probe", "layers: dense1", "layers: [dense1, dense1/relu]");
}

#[test]
fn a_layer_may_be_asked_for_twice() {
    assert_done_or_refused("linear_probe", "layers: dense1", "layers: [dense1, dense1]");
}

#[test]
fn the_input_of_a_model_may_be_asked_for_as_a_layer() {
    assert_done_or_refused("linear_probe", "layers: dense1", "layers: [dense1, image]");
}

#[test]
fn a_head_may_read_a_map_of_a_body_frozen_up_to_there() {
    let head = "head: { at: block1/relu }, freeze: all";
    assert_done_or_refused("fine_tune", "freeze: block1", head);
}

#[test]
fn a_head_may_read_a_map_of_a_body_that_learns() {
    let head = "head: { at: block1/pool }, freeze: none";
    assert_done_or_refused("fine_tune", "freeze: block1", head);
}

#[test]
fn a_head_may_read_the_scores_of_the_old_one() {
    assert_done_or_refused("fine_tune", "freeze: block1", "head: { at: logits }, freeze: none");
}

#[test]
fn a_head_may_read_the_image() {
    assert_done_or_refused("fine_tune", "freeze: block1", "head: { at: image }, freeze: none");
}

#[test]
fn what_lies_above_the_head_cannot_be_frozen() {
    let study = Study::new(&pipeline("fine_tune")).with_digits(300);
    study.replace("freeze: block1", "head: { at: block1 }, freeze: dense1");
    study.refusal().says("dense1");
}

#[test]
fn with_balanced_class_weights_a_rare_class_is_found_and_probabilities_stay_what_they_are() {
    // 240 rows, one in six is rare; the two classes overlap between 60 and 100.
    let row = |number: u32| {
        let noise = number.wrapping_mul(2_654_435_761) >> 25;
        let (class, level) = if number.is_multiple_of(6) { ("rare", 60) } else { ("usual", 0) };
        format!("{},{class}\n", level + noise % 100)
    };
    let table: String = (1..=240).map(row).collect();
    let study = Study::new(
        "\
name: study
seeds: 1
datasets:
  numbers:
    csv: { path: numbers.csv, label: class }
    split: { train: 0.5, val: 0.25, test: 0.25 }
stages:
  even:
    pixel_linear: { dataset: numbers, c: 1 }
  balanced:
    pixel_linear: { dataset: numbers, c: 1, class_weights: balanced }
  scores:
    evaluate: { of: [even, balanced], metrics: [accuracy, balanced_accuracy] }
",
    )
    .with_file("numbers.csv", format!("number,class\n{table}").as_bytes());
    study.run().succeeds();
    let items = rows(&study.latest(), "items");
    let column = |stage: &str, name: &str| -> Vec<String> {
        items.iter().filter(|row| row["stage"] == stage).map(|row| row[name].clone()).collect()
    };
    assert_eq!(column("even", "probabilities"), column("balanced", "probabilities"));
    let rare = |stage: &str| {
        let predicted = column(stage, "predicted").into_iter().zip(column(stage, "label"));
        predicted.filter(|pair| *pair == ("rare".to_owned(), "rare".to_owned())).count()
    };
    assert!(rare("balanced") > rare("even"), "{} and {}", rare("balanced"), rare("even"));
}

/// Digits that are told by numbers, or by two labels: whether they are odd, and above four.
fn digits_as(target: &str, kind: &str) -> Study {
    let study = Study::new(&pipeline(kind)).with_digits(300);
    let text = std::fs::read_to_string(study.path("digits.csv")).unwrap();
    let cells = |line: &str| {
        let (pixels, digit) = line.rsplit_once(',').unwrap();
        let digit: u32 = digit.parse().unwrap();
        match target {
            "values" => format!("{line}\n"),
            _ => format!("{pixels},{},{}\n", digit % 2, u32::from(digit > 4)),
        }
    };
    study.write("digits.csv", text.lines().map(cells).collect::<String>().as_bytes());
    study.replace(
        "label: last",
        match target {
            "values" => "values: last",
            _ => "labels: [64, 65], finding: all",
        },
    );
    study
}

#[test]
fn every_kind_takes_labels_and_numbers_or_says_with_a_place_that_it_does_not() {
    // The examples of a verdict, of a learning curve and of a sweep compare accuracies.
    let of_classes = [
        "direct",
        "cluster",
        "nearest_mean",
        "lda",
        "transfer",
        "advise",
        "learning_curve",
        "freeze_sweep",
    ];
    let of_labels = ["linear_probe", "pixel_linear"];
    for (target, words, further) in [
        ("labels", "several labels each", &[][..]),
        ("values", "numbers to be predicted", &of_labels[..]),
    ] {
        let mut refused = BTreeSet::new();
        for (kind, ..) in EXAMPLES {
            let study = digits_as(target, kind);
            if study.check().code != Some(0) {
                study.refusal().says(words).says("study.yaml:");
                refused.insert(*kind);
            }
        }
        let expected = of_classes.iter().chain(further).copied().collect();
        assert_eq!(refused, expected, "{target}");
    }
}
