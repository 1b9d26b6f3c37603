//! What a run leaves: its tables, its record, its models, and what it says at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value as Json;
use tl_run::onnx::graph::Graph;
use tl_run::onnx::proto;
use tl_run::onnx::tensor::Tensor;

use crate::harness::{Backend, Study, files, masked_scores, pet, rows, text};

fn study() -> Study {
    Study::new(
        "\
name: study
seeds: 3
datasets:
  pets:
    image_folder: { path: pets }
    split: { train: 0.6, val: 0.2, test: 0.2 }
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 50, test: 60 }
stages:
  source:
    pretrain:
      dataset: digits
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 20
      lr: [1e-2, 3e-2]
  codes:
    extract: { model: source, dataset: pets, layers: dense1 }
  machine:
    svm: { features: codes.dense1, c: [0.1, 1], probabilities: own }
  tuned:
    fine_tune: { model: source, dataset: pets, freeze: \"${matrix.freeze}\", steps: 10, lr: 1e-2 }
    matrix: { freeze: [block1, all] }
  scratch:
    fine_tune: { model: source, init: random, dataset: pets, steps: 10, lr: 1e-2 }
  scores:
    evaluate: { of: [machine, tuned, scratch] }
  verdict:
    transfer: { of: scores, baseline: scratch, metric: balanced_accuracy }
",
    )
    .with_digits(300)
    .with_pets()
}

#[test]
fn a_run_leaves_exactly_these_files() {
    let study = study();
    study.run().succeeds();
    let folder = study.latest();
    let relative = |path: &Path| path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
    let listed: Vec<String> = files(&folder).iter().map(|path| relative(path)).collect();
    assert_snapshot!(listed.join("\n"), @"
    audit.csv
    audit.parquet
    changed_items.csv
    changed_items.parquet
    confusion.csv
    confusion.parquet
    convergence.csv
    convergence.parquet
    convergence_costs.csv
    convergence_costs.parquet
    costs.csv
    costs.parquet
    drift.csv
    drift.parquet
    events.jsonl
    items.csv
    items.parquet
    looks.csv
    looks.parquet
    metrics.json
    models/scratch-seed0.onnx
    models/scratch-seed1.onnx
    models/scratch-seed2.onnx
    models/source-seed0.onnx
    models/source-seed1.onnx
    models/source-seed2.onnx
    models/tuned_freeze=all-seed0.onnx
    models/tuned_freeze=all-seed1.onnx
    models/tuned_freeze=all-seed2.onnx
    models/tuned_freeze=block1-seed0.onnx
    models/tuned_freeze=block1-seed1.onnx
    models/tuned_freeze=block1-seed2.onnx
    run.json
    scores.csv
    scores.parquet
    selection.csv
    selection.parquet
    skipped.csv
    skipped.parquet
    subgroups.csv
    subgroups.parquet
    tests.csv
    tests.parquet
    transfer.csv
    transfer.parquet
    ");
}

#[test]
fn latest_is_the_newest_complete_run() {
    let study = study();
    let first = study.run().succeeds().folder(&study);
    assert_eq!(study.latest(), first);
    let second = study.run().succeeds().folder(&study);
    assert_eq!(study.latest(), second);
    // One that fails is not complete.
    study.write(&pet(0), b"no image");
    let third = study.run().fails().folder(&study);
    assert_ne!(third, second);
    assert_eq!(study.latest(), second);
}

#[test]
fn everything_about_the_run_is_in_its_record() {
    let study = study();
    study.replace("seeds: 3", "seeds: [4, 7]\nvars: { c: 1 }");
    study.run_with(&Backend::Embedded, &["--set", "c=2", "--jobs", "1"]).succeeds();
    let record: Json = serde_json::from_str(&text(&study.latest(), "run.json")).unwrap();
    assert_eq!(record["pipeline"], "study");
    assert_eq!(record["run"], study.latest().file_name().unwrap().to_str().unwrap());
    assert_eq!(record["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(record["text"], study.pipeline());
    assert_eq!(record["sets"], serde_json::json!([["c", "2"]]));
    assert_eq!(record["seeds"], serde_json::json!([4, 7]));
    assert_eq!(record["jobs"], 1);
    assert!(record["runtime"].as_str().unwrap().starts_with("tract "), "{}", record["runtime"]);
    assert!(record["started"].as_str().unwrap().ends_with('Z'), "{}", record["started"]);
    let kinds: BTreeSet<&str> =
        record["stages"].as_array().unwrap().iter().map(|s| s["kind"].as_str().unwrap()).collect();
    let expected = ["evaluate", "extract", "fine_tune", "pretrain", "svm", "transfer"];
    assert_eq!(kinds, BTreeSet::from(expected));
    for node in record["nodes"].as_array().unwrap() {
        assert_eq!(node["outcome"], "done", "{node}");
        assert_eq!(node["key"].as_str().unwrap().len(), 64, "{node}");
    }
}

#[test]
fn a_base_model_is_on_record_with_its_digest_its_licence_and_its_input() {
    let study = study();
    study.run_with(&Backend::Embedded, &["--seeds", "1"]).succeeds();
    let model = std::fs::read(study.latest().join("models/source-seed0.onnx")).unwrap();
    study.write("base.onnx", &model);
    study.write(
        "study.yaml",
        b"name: study
seeds: 1
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 50, test: 60 }
models:
  base: { onnx: base.onnx, licence: Apache-2.0 }
stages:
  codes: { extract: { model: base, dataset: digits, layers: dense1 } }
",
    );
    study.run().succeeds();
    let record: Json = serde_json::from_str(&text(&study.latest(), "run.json")).unwrap();
    let base = &record["models"][0];
    assert_eq!((&base["name"], &base["licence"]), (&"base".into(), &"Apache-2.0".into()));
    assert_eq!(base["digest"].as_str().unwrap().len(), 64);
    assert_eq!(
        base["input"]["image"]["scale"].as_f64().or(base["input"]["scale"].as_f64()),
        Some(16.0)
    );
}

#[test]
fn the_backend_is_in_the_record() {
    let Some(library) = Backend::library() else { return };
    let study = study();
    study.run_with(&library, &[]).succeeds();
    let record: Json = serde_json::from_str(&text(&study.latest(), "run.json")).unwrap();
    let runtime = record["runtime"].as_str().unwrap();
    assert!(runtime.starts_with("onnxruntime 1."), "{runtime}");
}

/// Means over seeds of what the table of scores holds, by stage and metric.
fn means(folder: &Path) -> BTreeMap<(String, String), f64> {
    let mut values: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    for row in rows(folder, "scores") {
        if row["class"].is_empty() && !row["value"].is_empty() {
            let key = (row["stage"].clone(), row["metric"].clone());
            values.entry(key).or_default().push(row["value"].parse().unwrap());
        }
    }
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    values.into_iter().map(|(key, values)| (key, mean(values))).collect()
}

#[test]
fn the_metrics_for_other_tools_are_the_means_of_the_table_of_scores() {
    let study = study();
    study.run().succeeds();
    let metrics: Json = serde_json::from_str(&text(&study.latest(), "metrics.json")).unwrap();
    let mut found = BTreeMap::new();
    for (stage, parts) in metrics.as_object().unwrap() {
        for (metric, value) in parts["test"].as_object().unwrap() {
            found.insert((stage.clone(), metric.clone()), value.as_f64().unwrap());
        }
    }
    assert_eq!(found, means(&study.latest()));
    assert!(found.contains_key(&("tuned[freeze=all]".to_owned(), "auroc".to_owned())), "{found:?}");
    // An SVM gives distances, so what needs probabilities is left out.
    assert!(!found.contains_key(&("machine".to_owned(), "log_loss".to_owned())), "{found:?}");
}

#[test]
fn a_score_that_cannot_be_says_why() {
    let study = study();
    study.run().succeeds();
    let scores = rows(&study.latest(), "scores");
    let missing = scores.iter().filter(|row| row["value"].is_empty());
    let told: BTreeSet<String> = missing
        .map(|row| format!("{}, {}: {}", row["stage"], row["metric"], row["reason"]))
        .collect();
    assert_snapshot!(told.into_iter().collect::<Vec<_>>().join("\n"), @"
    machine, brier: it gives distances from borders, not probabilities
    machine, ece: it gives distances from borders, not probabilities
    machine, log_loss: it gives distances from borders, not probabilities
    ");
}

#[test]
fn accuracy_is_the_share_of_items_that_are_right() {
    let study = study();
    study.run().succeeds();
    let items = rows(&study.latest(), "items");
    for score in rows(&study.latest(), "scores") {
        if score["metric"] != "accuracy" {
            continue;
        }
        let of_score = |row: &&BTreeMap<String, String>| {
            row["stage"] == score["stage"] && row["seed"] == score["seed"]
        };
        let of_score: Vec<_> = items.iter().filter(of_score).collect();
        assert_eq!(of_score.len().to_string(), score["n_items"]);
        let right = of_score.iter().filter(|row| row["label"] == row["predicted"]).count();
        assert_eq!(right, of_score.iter().filter(|row| row["correct"] == "true").count());
        let share = right as f64 / of_score.len() as f64;
        assert!((share - score["value"].parse::<f64>().unwrap()).abs() < 1e-12, "{score:?}");
    }
}

#[test]
fn probabilities_of_an_item_are_a_distribution() {
    let study = study();
    study.run().succeeds();
    for item in rows(&study.latest(), "items") {
        if item["stage"] == "machine" {
            assert_eq!(item["probabilities"], "", "an SVM gives distances, no probabilities");
            continue;
        }
        let values: Vec<f64> =
            item["probabilities"].split(';').map(|value| value.parse().unwrap()).collect();
        // Networks compute in 32 bits.
        assert!((values.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{item:?}");
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)), "{item:?}");
    }
}

#[test]
fn tables_are_parquet_too() {
    let study = study();
    study.run().succeeds();
    for table in ["scores", "confusion", "items", "transfer", "convergence", "costs"] {
        let bytes = std::fs::read(study.latest().join(format!("{table}.parquet"))).unwrap();
        assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "{table}");
    }
}

#[test]
fn events_are_kept_one_a_line() {
    let study = study();
    let told = study.run().succeeds();
    let events = text(&study.latest(), "events.jsonl");
    let events: Vec<Json> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let done = events.iter().filter(|event| event["event"] == "done").count();
    assert_eq!(done, told.done_and_hits().0);
    assert_eq!(events[0]["event"], "run_started");
    assert_eq!(events[events.len() - 1]["event"], "run_finished");
}

/// Arms that compute in double precision and are far apart, so that every digit is the same
/// everywhere.
const PLAIN: &str = "\
name: study
seeds: 3
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 200, val: 100, test: 300 }
stages:
  floor:
    majority: { dataset: digits }
  pixels:
    pixel_linear: { dataset: digits, c: 0.01 }
  few_pixels:
    pixel_linear: { dataset: digits, train_size: 20, c: 0.01 }
  scores:
    evaluate: { of: [floor, pixels, few_pixels], metrics: [accuracy, macro_f1] }
";

#[test]
fn scores_are_shown_where_there_is_no_verdict() {
    let told = Study::new(PLAIN).with_digits(600).run_with(&Backend::Embedded, &["--quiet"]);
    assert_snapshot!(masked_scores(&told.succeeds().to_string()), @"
    exit code 0
    --- standard output

    study · mean ± standard deviation over seeds

      floor on test
        accuracy             #.### ± #.###
        macro_f1             #.### ± #.###

      pixels on test
        accuracy             #.### ± #.###
        macro_f1             #.### ± #.###

      few_pixels on test
        accuracy             #.### ± #.###
        macro_f1             #.### ± #.###

    tables in results/study/RUN
    ");
}

#[test]
fn the_verdict_is_shown_as_a_table() {
    let verdict = "  verdict:\n    transfer: { of: scores, baseline: pixels, metric: accuracy }\n";
    let study = Study::new(&format!("{PLAIN}{verdict}")).with_digits(600);
    let told = study.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
    assert_snapshot!(masked_scores(&told.to_string()), @"
    exit code 0
    --- standard output

    study · 3 seeds × 300 test items · accuracy · pixels #.### ± #.###

      arm         Δ pixels  95 % interval     verdict
      floor       −#.###    [−#.###, −#.###]  ▼ hurts
      few_pixels  −#.###    [−#.###, −#.###]  ▼ hurts

    tables in results/study/RUN
    ");
}

#[test]
fn the_verdict_table_says_the_same_as_what_is_shown() {
    let verdict = "  verdict:\n    transfer: { of: scores, baseline: pixels, metric: accuracy }\n";
    let study = Study::new(&format!("{PLAIN}{verdict}")).with_digits(600);
    study.run().succeeds();
    let rows = rows(&study.latest(), "transfer");
    let short = |row: &BTreeMap<String, String>| {
        let columns =
            ["arm", "baseline", "metric", "S", "N", "units", "verdict", "reason", "flags"];
        columns.map(|column| format!("{column}={}", row[column])).join(" ")
    };
    assert_snapshot!(rows.iter().map(short).collect::<Vec<_>>().join("\n"), @"
    arm=floor baseline=pixels metric=accuracy S=3 N=300 units=300 verdict=negative reason= flags=
    arm=few_pixels baseline=pixels metric=accuracy S=3 N=300 units=300 verdict=negative reason= flags=
    ");
}

#[test]
fn a_verdict_counts_groups_where_images_have_them() {
    let study = Study::new(
        "\
name: study
seeds: 3
datasets:
  pets:
    image_folder: { path: pets, group: \"(?<group>animal\\\\d+)_.*\" }
    split: { train: 0.4, val: 0.2, test: 0.4 }
stages:
  floor:
    majority: { dataset: pets }
  pixels:
    pixel_linear: { dataset: pets, size: 8, c: 0.1 }
  scores:
    evaluate: { of: [floor, pixels], metrics: [accuracy] }
  verdict:
    transfer: { of: scores, baseline: pixels, metric: accuracy }
",
    )
    .with_pets();
    let told = study.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
    assert_snapshot!(masked_scores(&told.to_string()), @"
    exit code 0
    --- standard output

    study · 3 seeds × 24 test items of 12 groups · accuracy · pixels #.### ± #.###

      arm    Δ pixels  95 % interval     verdict
      floor  −#.###    [−#.###, −#.###]  ? cannot tell yet: fewer than 50 test items or groups; leans to worse; 38 more test groups; as it is, differences from #.### on are seen

    tables in results/study/RUN
    ");
    let verdict = rows(&study.latest(), "transfer");
    assert_eq!((verdict[0]["N"].as_str(), verdict[0]["units"].as_str()), ("24", "12"));
    let singly = |row: &&BTreeMap<String, String>| row["note"].contains("counted singly");
    let tests = rows(&study.latest(), "tests");
    let singly: Vec<&str> = tests.iter().filter(singly).map(|row| row["test"].as_str()).collect();
    assert_eq!(singly, ["mcnemar", "lost_items", "delong"]);
    let groups: BTreeSet<(String, String)> = rows(&study.latest(), "items")
        .into_iter()
        .map(|row| (row["group"].clone(), row["item"].split('_').next().unwrap().to_owned()))
        .collect();
    assert_eq!(groups.len(), 12, "each group has one number: {groups:?}");
}

fn model(folder: &Path, name: &str) -> Graph {
    proto::decode(&std::fs::read(folder.join("models").join(name)).unwrap()).unwrap()
}

#[test]
fn frozen_weights_are_the_same_bit_by_bit_and_others_are_not() {
    let study = study();
    study.run().succeeds();
    let source = model(&study.latest(), "source-seed1.onnx");
    let changed = |name: &str| -> Vec<String> {
        let tuned = model(&study.latest(), name);
        let differs = |tensor: &&String| {
            let before = source.initializers.get(*tensor).map(Tensor::bytes);
            tuned.initializers.get(*tensor).map(Tensor::bytes) != before
        };
        source.initializers.keys().filter(differs).cloned().collect()
    };
    assert_snapshot!(changed("tuned_freeze=block1-seed1.onnx").join("\n"), @"
    dense1/gemm.bias
    dense1/gemm.weight
    head.bias
    head.weight
    ");
    assert_snapshot!(changed("tuned_freeze=all-seed1.onnx").join("\n"), @"
    head.bias
    head.weight
    ");
}

#[test]
fn how_far_weights_came_is_told_layer_group_by_layer_group() {
    let study = study();
    study.run().succeeds();
    let source = model(&study.latest(), "source-seed1.onnx");
    let tuned = model(&study.latest(), "tuned_freeze=block1-seed1.onnx");
    let values = |graph: &Graph, name: &str| -> Vec<f64> {
        let bytes = graph.initializers[name].bytes();
        let (all, _) = bytes.as_chunks::<4>();
        all.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
    };
    let of = ["dense1/gemm.weight", "dense1/gemm.bias"];
    let norm = |of_each: &dyn Fn(f64, f64) -> f64| {
        let pairs = of.iter().flat_map(|name| {
            values(&source, name).into_iter().zip(values(&tuned, name)).collect::<Vec<_>>()
        });
        pairs.map(|(before, after)| of_each(before, after).powi(2)).sum::<f64>().sqrt()
    };
    let expected = norm(&|before, after| after - before) / norm(&|before, _| before);
    let rows = rows(&study.latest(), "drift");
    let of_tuned = |row: &&BTreeMap<String, String>| {
        (row["stage"].as_str(), row["seed"].as_str()) == ("tuned[freeze=block1]", "1")
    };
    let told: Vec<_> = rows.iter().filter(of_tuned).collect();
    let layers: Vec<&str> = told.iter().map(|row| row["first_weight"].as_str()).collect();
    assert_eq!(layers, ["block1/conv.weight", "dense1/gemm.weight", "head.weight"]);
    assert_eq!(told[0]["drift"], "0.0", "what is frozen does not move");
    let drift: f64 = told[1]["drift"].parse().unwrap();
    assert!((drift - expected).abs() < 1e-9 && drift > 0.0, "{drift} {expected}");
}

/// A network with far more weights than its 60 training items, trained for long at a high rate.
fn study_of_learning_by_heart() -> Study {
    Study::new(
        "\
name: study
seeds: 2
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 60, val: 60, test: 120 }
stages:
  large:
    pretrain:
      dataset: digits
      architecture: { mlp: { hidden: 128 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 300
      lr: 1e-2
      patience: 0
      schedule: constant
  on_train: { evaluate: { of: [large], split: train, metrics: [accuracy] } }
  on_val: { evaluate: { of: [large], split: val, metrics: [log_loss] } }
  on_test: { evaluate: { of: [large], metrics: [accuracy] } }
",
    )
    .with_digits(240)
}

#[test]
fn what_was_learnt_by_heart_is_told_by_the_scores_on_train_and_on_test() {
    let study = study_of_learning_by_heart();
    study.run().succeeds();
    let scores = rows(&study.latest(), "scores");
    for seed in ["0", "1"] {
        let on = |part: &str| -> f64 {
            let is = |row: &&BTreeMap<String, String>| {
                row["seed"] == seed && row["split"] == part && row["metric"] == "accuracy"
            };
            scores.iter().find(is).unwrap()["value"].parse().unwrap()
        };
        assert!(on("train") > on("test") + 0.03, "{} {}", on("train"), on("test"));
    }
    let looks = rows(&study.latest(), "convergence");
    let last = looks.iter().rfind(|row| row["seed"] == "0").unwrap();
    let [train, val] = ["train_loss", "val_loss"].map(|name| last[name].parse::<f64>().unwrap());
    assert!(train < val, "{train} {val}");
}

#[test]
fn the_weights_that_are_kept_are_those_of_the_best_look_and_not_of_the_last() {
    let study = study_of_learning_by_heart();
    // Wrong labels are learnt by heart at last, which val minds.
    study.replace("steps: 300", "label_noise: 0.4\n      steps: 300");
    study.run().succeeds();
    let looks = rows(&study.latest(), "convergence");
    let scores = rows(&study.latest(), "scores");
    for seed in ["0", "1"] {
        let losses: Vec<f64> = looks
            .iter()
            .filter(|row| row["seed"] == seed)
            .map(|row| row["val_loss"].parse().unwrap())
            .collect();
        let best = losses.iter().copied().reduce(f64::min).unwrap();
        let last = losses[losses.len() - 1];
        let is = |row: &&BTreeMap<String, String>| {
            row["seed"] == seed && row["metric"] == "log_loss" && row["class"].is_empty()
        };
        let kept: f64 = scores.iter().find(is).unwrap()["value"].parse().unwrap();
        assert!(last > best + 1e-3, "the last look is as good as the best: {last} {best}");
        assert!((kept - best).abs() < 1e-4, "{kept} is not {best}");
    }
}

#[test]
fn the_store_keeps_the_proof_that_frozen_weights_stayed() {
    let study = study();
    study.run().succeeds();
    let proved: BTreeSet<(String, u64)> = files(&study.path("results/.store/v1/records"))
        .iter()
        .map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
        .filter_map(|record: Json| {
            let count = record["facts"]["frozen_tensors_identical"].as_u64()?;
            Some((record["fields"]["kind"].as_str()?.to_owned(), count))
        })
        .collect();
    // Nothing is frozen in the source and in scratch, a convolution (weight and bias) up to block1,
    // and a dense layer more with all.
    let expected = [("fine_tune", 0), ("fine_tune", 2), ("fine_tune", 4), ("pretrain", 0)];
    assert_eq!(proved, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
}

#[test]
fn a_model_of_one_study_is_the_base_of_another() {
    let study = study();
    study.run().succeeds();
    let bytes = std::fs::read(study.latest().join("models/source-seed0.onnx")).unwrap();
    let other = Study::new(
        "\
name: study
seeds: [0]
datasets:
  pets:
    image_folder: { path: pets }
    split: { train: 0.6, val: 0.2, test: 0.2 }
models:
  base: { onnx: base.onnx }
stages:
  codes:
    extract: { model: base, dataset: pets, layers: dense1 }
  machine:
    svm: { features: codes.dense1, c: [0.1, 1], probabilities: own }
  tuned:
    fine_tune: { model: base, dataset: pets, freeze: all, steps: 10, lr: 1e-2 }
  scores:
    evaluate: { of: [machine, tuned] }
",
    )
    .with_file("base.onnx", &bytes)
    .with_pets();
    other.run().succeeds();
    // From the file it is the same as from the stage that made it.
    let of_seed_0 = |folder: &Path, stage: &str| -> Vec<String> {
        let start = format!("{stage},0,");
        let table = text(folder, "items.csv");
        let lines = table.lines().filter(|line| line.starts_with(&start));
        lines.map(|line| line.replace(&start, "")).collect()
    };
    let (before, after) = (study.latest(), other.latest());
    assert_eq!(of_seed_0(&after, "machine"), of_seed_0(&before, "machine"));
    assert_eq!(of_seed_0(&after, "tuned"), of_seed_0(&before, "tuned[freeze=all]"));
}

#[test]
fn a_model_knows_its_classes_and_its_input() {
    let study = study();
    study.run().succeeds();
    let tuned = model(&study.latest(), "tuned_freeze=all-seed0.onnx");
    assert_eq!(tuned.metadata["tl-run.classes"], r#"["cat","dog"]"#);
    assert_eq!(tuned.metadata["tl-run.version"], env!("CARGO_PKG_VERSION"));
    let input: Json = serde_json::from_str(&tuned.metadata["tl-run.input"]).unwrap();
    assert_eq!(input["scale"], 16.0);
    assert_eq!(input["channels"], 1);
}
