//! Where an arm transfers from and to, in the words of the file, and series of graded sources.

use insta::assert_snapshot;

use crate::harness::{Backend, Study, rows, text};

/// Three sources for one target: the same digits, other digits, and animals.
fn study() -> Study {
    Study::new(
        "\
name: study
seeds: 3
datasets:
  same:
    csv: &digits { path: digits.csv, header: false, label: last, shape: [8, 8] }
    select: { classes: 5..=9, rows: 0..200 }
    split: { train: 0.6, val: 0.2, test: 0.2 }
    domain: numerals
    task: high
  other:
    csv: *digits
    select: { classes: 0..=4, rows: 0..200 }
    split: { train: 0.6, val: 0.2, test: 0.2 }
    domain: numerals
    task: low
  pets:
    image_folder: { path: pets }
    split: { train: 0.6, val: 0.2, test: 0.2 }
    domain: animals
    task: kinds
  target:
    csv: *digits
    select: { classes: 5..=9, rows: 200..600 }
    split: { train: 60, val: 30, test: 100 }
    domain: numerals
    task: high
stages:
  from_same: { pretrain: &source { dataset: same, architecture: { plain_cnn: { channels: 4, dense: 8 } }, input: { size: 8, channels: 1, scale: 16 }, steps: 30, lr: 1e-2 } }
  from_other: { pretrain: { <<: *source, dataset: other } }
  from_pets: { pretrain: { <<: *source, dataset: pets } }
  a: { extract: { model: from_same, dataset: target, layers: dense1 } }
  b: { extract: { model: from_other, dataset: target, layers: dense1 } }
  c: { extract: { model: from_pets, dataset: target, layers: dense1 } }
  a0: { extract: { model: from_same, dataset: same, layers: dense1 } }
  b0: { extract: { model: from_other, dataset: other, layers: dense1 } }
  c0: { extract: { model: from_pets, dataset: pets, layers: dense1 } }
  d: { extract: { model: from_same, dataset: target, layers: dense1, init: random } }
  of_same: { linear_probe: { features: a.dense1, c: 1 } }
  of_other: { linear_probe: { features: b.dense1, c: 1 } }
  of_pets: { linear_probe: { features: c.dense1, c: 1 } }
  of_noise: { linear_probe: { features: d.dense1, c: 1 } }
  floor: { majority: { dataset: target } }
  scores: { evaluate: { of: [of_same, of_other, of_pets, of_noise, floor], metrics: [accuracy] } }
  before: { transferability: { of: [a.dense1, b.dense1, c.dense1], other: [a0.dense1, b0.dense1, c0.dense1], scores: [coral, mmd] } }
  verdict: { transfer: { of: scores, baseline: of_noise, metric: accuracy, resamples: 0 } }
",
    )
    .with_digits(600)
    .with_pets()
}

#[test]
fn tables_tell_where_an_arm_transfers_from_and_to() {
    let found: Vec<[String; 2]> = Backend::all().iter().map(settings_on).collect();
    assert_snapshot!(found[0][0], @"
    of_same inductive multi_task_like true true
    of_other inductive multi_task_like true false
    of_pets inductive multi_task_like false false
    floor
    ");
    assert_snapshot!(found[0][1], @"
    coral linear_probe[freeze=all,n_train=60] 3
    mmd linear_probe[freeze=all,n_train=60] 3
    ");
    assert!(found.iter().all(|other| *other == found[0]), "{found:?}");
}

/// The sum over seeds of each source's place times the rank of its accuracy.
fn page_l(study: &Study, sources: &str) -> f64 {
    let scores = rows(&study.latest(), "scores");
    let accuracy = |source: &str, seed: usize| -> f64 {
        let stage = source.replace("from_", "of_");
        let fits = |row: &&std::collections::BTreeMap<String, String>| {
            row["stage"] == stage && row["seed"] == seed.to_string() && row["metric"] == "accuracy"
        };
        scores.iter().find(fits).expect("it was scored")["value"].parse().unwrap()
    };
    let of_seed = |seed: usize| -> f64 {
        let values: Vec<f64> = sources.split(';').map(|source| accuracy(source, seed)).collect();
        let rank = |value: f64| {
            let below = values.iter().filter(|other| **other < value).count() as f64;
            let equal = values.iter().filter(|other| other.total_cmp(&value).is_eq()).count();
            below + f64::midpoint(equal as f64, 1.0)
        };
        values.iter().zip(1..).map(|(value, place)| f64::from(place) * rank(*value)).sum()
    };
    (0..3).map(of_seed).sum()
}

/// The settings of all arms, and the series of graded sources.
fn settings_on(backend: &Backend) -> [String; 2] {
    let study = study();
    study.run_with(backend, &["--quiet"]).succeeds();
    let lines = |table: &str, columns: &[&str]| {
        let line = |row: &std::collections::BTreeMap<String, String>| {
            columns.iter().map(|column| row[*column].clone()).collect::<Vec<_>>().join(" ")
        };
        rows(&study.latest(), table).iter().map(line).collect::<Vec<_>>().join("\n")
    };
    for row in rows(&study.latest(), "graded") {
        let number = |column: &str| row[column].parse::<f64>().unwrap();
        let (tau, p) = (number("tau"), number("p_falls"));
        assert!(tau.abs() <= 1.0 && p >= 1.0 / 6.0 - 1e-12 && row["exact"] == "true", "{row:?}");
        assert_eq!((&*row["seeds"], number("page_l")), ("3", page_l(&study, &row["sources"])));
        // Over three seeds of three sources L is 36 on average, and 42 at most.
        let direction = match number("page_l").total_cmp(&36.0) {
            std::cmp::Ordering::Less => "falls",
            std::cmp::Ordering::Equal => "neither",
            std::cmp::Ordering::Greater => "rises",
        };
        assert_eq!((&*row["direction"], &*row["page_exact"]), (direction, "true"));
        assert!((2.0 / 216.0 - 1e-12..=1.0).contains(&number("page_p")), "{row:?}");
    }
    let setting = ["arm", "setting", "setting_kind", "same_domain", "same_task"];
    [lines("transfer", &setting), lines("graded", &["distance", "arms", "n"])]
}

#[test]
fn words_of_a_source_change_no_result_and_what_is_not_said_is_not_known() {
    let study = study();
    study.run().succeeds();
    let before = text(&study.latest(), "items.csv");
    let pipeline = study.pipeline();
    let is_kept = |line: &&str| !line.contains("    domain: ") && !line.contains("    task: ");
    let plain = pipeline.lines().filter(is_kept).collect::<Vec<_>>().join("\n");
    study.write("study.yaml", plain.as_bytes());
    let (done, _) = study.run().succeeds().done_and_hits();
    assert_eq!((done, text(&study.latest(), "items.csv")), (0, before));
    for row in rows(&study.latest(), "transfer") {
        assert_eq!([&row["same_domain"], &row["same_task"]], ["", ""]);
    }
}

#[test]
fn a_model_from_a_file_says_what_it_has_learnt() {
    let study = study();
    let folder = study.run().succeeds().folder(&study);
    std::fs::copy(folder.join("models/from_same-seed0.onnx"), study.path("base.onnx")).unwrap();
    let model = "models:\n  base: { onnx: base.onnx, source: { domain: numerals, task: low, labels: false } }\nstages:";
    study.replace("stages:", model);
    study.replace(
        "model: from_same, dataset: target, layers: dense1 }",
        "model: base, dataset: target, layers: dense1 }",
    );
    study.replace(
        "a.dense1, b.dense1, c.dense1], other: [a0.dense1, b0.dense1, c0.dense1]",
        "b.dense1, c.dense1], other: [b0.dense1, c0.dense1]",
    );
    study.run().succeeds();
    let transfer = rows(&study.latest(), "transfer");
    let row = transfer.iter().find(|row| row["arm"] == "of_same").unwrap();
    let columns = ["source", "setting", "setting_kind", "same_domain", "same_task"];
    assert_snapshot!(columns.map(|column| row[column].clone()).join(" "), @"base inductive self_taught true false");
    study.replace("labels: false }", "labels: no, domian: x }");
    assert_snapshot!(study.check().problems(), @"
    error: expected `true` or `false`, found `no`
    error: `domian` is not a key of `source`
      help: did you mean `domain`?
    ");
}
