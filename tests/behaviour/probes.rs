//! What is fitted on features: every kind, and every way to choose its setting.

use insta::assert_snapshot;

use crate::harness::{Backend, Study, rows, text};

/// A base that learns digits, its features, and the stages in `probes`.
fn study(probes: &[(&str, &str)]) -> Study {
    let stage = |(name, what): &(&str, &str)| format!("  {name}: {what}\n");
    let stages = probes.iter().map(stage).collect::<Vec<_>>().concat();
    let names: Vec<&str> = probes.iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    Study::new(&format!(
        "\
name: study
seeds: 2
datasets:
  digits:
    csv: {{ path: digits.csv, header: false, label: last, shape: [8, 8] }}
    split: {{ train: 150, val: 60, test: 80 }}
stages:
  source:
    pretrain:
      dataset: digits
      architecture: {{ plain_cnn: {{ channels: 4, dense: 16 }} }}
      input: {{ size: 8, channels: 1, scale: 16 }}
      steps: 40
      lr: 1e-2
  codes:
    extract: {{ model: source, dataset: digits, layers: dense1 }}
{stages}  scores:
    evaluate: {{ of: [{names}], metrics: [accuracy] }}
"
    ))
    .with_digits(300)
}

/// Mean accuracy on test of each stage over seeds.
fn accuracies(study: &Study) -> Vec<(String, f64)> {
    let scores = rows(&study.latest(), "scores");
    let mut means: Vec<(String, f64)> = vec![];
    for row in scores.iter().filter(|row| row["split"] == "test" && row["metric"] == "accuracy") {
        let value: f64 = row["value"].parse().unwrap();
        match means.iter_mut().find(|(stage, _)| *stage == row["stage"]) {
            Some((_, mean)) => *mean = f64::midpoint(*mean, value),
            None => means.push((row["stage"].clone(), value)),
        }
    }
    means
}

const EVERY_KIND: &[(&str, &str)] = &[
    ("logistic", "{ linear_probe: { features: codes.dense1, c: [0.1, 1, 10] } }"),
    ("linear", "{ svm: { features: codes.dense1, c: [0.01, 0.1, 1] } }"),
    ("rbf", "{ svm: { features: codes.dense1, kernel: rbf, c: [1, 10] } }"),
    ("least_squares", "{ ridge: { features: codes.dense1, select: leave_one_out } }"),
    ("neighbours", "{ knn: { features: codes.dense1, k: [1, 5], votes: weighted } }"),
    ("means", "{ nearest_mean: { features: codes.dense1, distance: cosine } }"),
    ("discriminant", "{ lda: { features: codes.dense1 } }"),
];

#[test]
fn every_kind_of_probe_reads_digits_far_above_chance() {
    let study = study(EVERY_KIND);
    study.run().succeeds();
    let found = accuracies(&study);
    assert_eq!(found.len(), EVERY_KIND.len(), "{found:?}");
    for (stage, accuracy) in found {
        assert!(accuracy > 0.7, "{stage}: {accuracy}");
    }
}

#[test]
fn probes_say_the_same_on_any_number_of_jobs() {
    let tables = |jobs: &str| {
        let study = study(EVERY_KIND);
        study.run_with(&Backend::Embedded, &["--jobs", jobs]).succeeds();
        ["scores.csv", "items.csv"].map(|name| text(&study.latest(), name))
    };
    assert_eq!(tables("1"), tables("2"));
}

#[test]
fn settings_are_chosen_on_val_by_folds_or_without_each_item_in_turn() {
    let ways = [
        ("on_val", "{ ridge: { features: codes.dense1, lambda: [1e-4, 1, 1e5] } }"),
        (
            "by_folds",
            "{ ridge: { features: codes.dense1, lambda: [1e-4, 1, 1e5], \
             select: { folds: { count: 3 } } } }",
        ),
        (
            "left_out",
            "{ ridge: { features: codes.dense1, lambda: [1e-4, 1, 1e5], select: leave_one_out } }",
        ),
        ("all", "{ ridge: { features: codes.dense1, lambda: [1e-4, 1, 1e5], refit: train+val } }"),
        (
            "each",
            "{ ridge: { features: codes.dense1, lambda: [1e-4, 1, 1e5], per_class: true, \
             by: average_precision, select: { folds: { count: 3 } } } }",
        ),
    ];
    let study = study(&ways);
    study.run().succeeds();
    for (stage, accuracy) in accuracies(&study) {
        assert!(accuracy > 0.7, "{stage}: {accuracy}");
    }
    let chosen = |stage: &str| {
        let table = rows(&study.latest(), "selection");
        let of_stage = table.into_iter().filter(|row| row["stage"] == stage && row["seed"] == "0");
        of_stage.collect::<Vec<_>>()
    };
    for stage in ["on_val", "by_folds", "left_out", "all"] {
        let curve = chosen(stage);
        let values: Vec<&str> = curve.iter().map(|row| row["value"].as_str()).collect();
        assert_eq!(values, ["0.0001", "1.0", "100000.0"], "{stage}");
        let best: Vec<&str> = curve
            .iter()
            .filter(|row| row["chosen"] == "true")
            .map(|row| row["value"].as_str())
            .collect();
        assert_eq!(best.len(), 1, "{stage}: {curve:?}");
    }
    let classes = chosen("each").iter().filter(|row| !row["class"].is_empty()).count();
    assert_eq!(classes, 10);
    let trained = rows(&study.latest(), "scores");
    let n_train = |stage: &str| {
        trained.iter().find(|row| row["stage"] == stage).map(|row| row["n_train"].clone())
    };
    assert_eq!(n_train("on_val").as_deref(), Some("150"));
    assert_eq!(n_train("all").as_deref(), Some("210"));
}

#[test]
fn a_closed_form_that_a_kind_does_not_have_is_refused_where_it_is_asked_for() {
    let study = study(&[("machine", "{ svm: { features: codes.dense1, select: leave_one_out } }")]);
    assert_snapshot!(study.refusal().problems(), @"
    error: this kind of probe has no closed form for items left out one by one
      help: write `select: val` or `select: { folds: { count: 5 } }`
    ");
}

#[test]
fn probabilities_are_learnt_on_items_held_out_where_a_probe_has_none() {
    let study = study(&[
        ("sigmoids", "{ svm: { features: codes.dense1, c: 0.1 } }"),
        ("softmax", "{ svm: { features: codes.dense1, c: 0.1, probabilities: temperature } }"),
        ("none", "{ svm: { features: codes.dense1, c: 0.1, probabilities: own } }"),
    ]);
    study.run().succeeds();
    let items = rows(&study.latest(), "items");
    let of = |stage: &str, column: &str| {
        let of_stage = items.iter().filter(|row| row["stage"] == stage);
        of_stage.map(|row| row[column].clone()).collect::<Vec<_>>()
    };
    for stage in ["sigmoids", "softmax"] {
        assert_eq!(of(stage, "predicted"), of("none", "predicted"), "{stage}");
        for row in of(stage, "probabilities") {
            let total: f64 = row.split(';').map(|value| value.parse::<f64>().unwrap()).sum();
            assert!((total - 1.0).abs() < 1e-9, "{stage}: {row}");
        }
    }
    assert!(of("none", "probabilities").iter().all(String::is_empty));
}

#[test]
fn more_folds_than_items_of_a_class_are_told() {
    let study = study(&[(
        "machine",
        "{ svm: { features: codes.dense1, train_size: 20, c: [0.1, 1], \
         select: { folds: { count: 50 } } } }",
    )]);
    study.run().succeeds().says("folds");
}

#[test]
fn a_class_may_weigh_more_than_the_rest_and_once_is_what_nobody_says() {
    let svm = |more: &str| format!("{{ svm: {{ features: codes.dense1, c: 0.1{more} }} }}");
    let probes = [
        ("plain", svm("")),
        ("once", svm(", positive_weight: 1")),
        ("twice", svm(", positive_weight: 2")),
    ];
    let probes = probes.each_ref().map(|(name, what)| (*name, what.as_str()));
    let study = study(&probes);
    study.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
    let told = |stage: &str| {
        let items = rows(&study.latest(), "items");
        let own = items.iter().filter(|row| row["stage"] == stage);
        own.map(|row| row["probabilities"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(told("once"), told("plain"));
    assert_ne!(told("twice"), told("plain"));
    study.replace("c: 0.1, positive_weight: 2", "c: 0.1, kernel: rbf, positive_weight: 2");
    assert_snapshot!(study.check().problems(), @"
    error: only linear machines tell each class from the rest
      help: leave `positive_weight` out
    ");
}
