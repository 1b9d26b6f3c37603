//! Settings of transfer: a source's classifier as it is, labels that are wrong on purpose, several
//! features together, domains that are brought nearer to each other without labels of the target.

use std::collections::BTreeMap;

use insta::assert_snapshot;

use crate::harness::{Backend, Study, rows};

/// A base that learns digits; the same digits as `parity`, told apart as even and odd; and further
/// stages, those in `scored` being scored on test.
fn study(stages: &str, scored: &str) -> Study {
    let study = Study::new(&format!(
        "\
name: study
seeds: 2
datasets:
  digits:
    csv: {{ path: digits.csv, header: false, label: last, shape: [8, 8] }}
    split: {{ test: {{ rows: 200..300 }}, val: {{ rows: 150..200 }} }}
  parity:
    csv: {{ path: parity.csv, header: false, label: last, shape: [8, 8] }}
    split: {{ test: {{ rows: 200..300 }}, val: {{ rows: 150..200 }} }}
stages:
  source:
    pretrain:
      dataset: digits
      architecture: {{ plain_cnn: {{ channels: 4, dense: 16 }} }}
      input: {{ size: 8, channels: 1, scale: 16 }}
      steps: 40
      lr: 1e-2
{stages}  scores:
    evaluate: {{ of: [{scored}], metrics: [accuracy] }}
"
    ))
    .with_digits(300);
    let text = std::fs::read_to_string(study.path("digits.csv")).unwrap();
    let parity = |line: &str| {
        let (pixels, digit) = line.rsplit_once(',').unwrap();
        let digit: u32 = digit.parse().unwrap();
        format!("{pixels},{}\n", if digit.is_multiple_of(2) { "even" } else { "odd" })
    };
    study.write("parity.csv", text.lines().map(parity).collect::<String>().as_bytes());
    study
}

/// A column of the rows of a stage in a table, in order.
fn column(study: &Study, table: &str, stage: &str, name: &str) -> Vec<String> {
    let of_stage = rows(&study.latest(), table).into_iter().filter(|row| row["stage"] == stage);
    of_stage.map(|row| row[name].clone()).collect()
}

/// Every row of a stage's scores has this in a column.
#[track_caller]
fn assert_all(study: &Study, stage: &str, name: &str, value: &str) {
    let found = column(study, "scores", stage, name);
    assert!(!found.is_empty() && found.iter().all(|found| found == value), "{stage}: {found:?}");
}

/// Probabilities of each item that a stage was scored on.
fn probabilities(study: &Study, stage: &str) -> Vec<Vec<f64>> {
    let cells = column(study, "items", stage, "probabilities").into_iter();
    cells.map(|cell| cell.split(';').map(|p| p.parse().unwrap()).collect()).collect()
}

/// Mean of a metric over the seeds of a stage.
fn mean(study: &Study, stage: &str, metric: &str) -> f64 {
    let of_metric: Vec<f64> = rows(&study.latest(), "scores")
        .into_iter()
        .filter(|row| row["stage"] == stage && row["metric"] == metric)
        .map(|row| row["value"].parse().unwrap())
        .collect();
    assert!(!of_metric.is_empty(), "{stage} has no {metric}");
    of_metric.iter().sum::<f64>() / of_metric.len() as f64
}

const PARITY: &str =
    "{ 0: even, 1: odd, 2: even, 3: odd, 4: even, 5: odd, 6: even, 7: odd, 8: even, 9: odd }";

#[test]
fn a_source_head_says_of_the_target_what_its_classes_stand_for() {
    let stages = format!(
        "  same: {{ direct: {{ model: source, dataset: digits, map: by_name }} }}
  said: {{ direct: {{ model: source, dataset: parity, map: {PARITY} }} }}
  learnt: {{ direct: {{ model: source, dataset: parity, map: learnt }} }}
  none: {{ majority: {{ dataset: parity }} }}
"
    );
    for backend in Backend::all() {
        let study = study(&stages, "source, same, said, learnt, none");
        study.run_with(&backend, &[]).succeeds();
        let own = probabilities(&study, "source");
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{a} {b} on {backend:?}");
        for (own, same) in own.iter().zip(probabilities(&study, "same")) {
            own.iter().zip(same).for_each(|(own, same)| close(*own, same));
        }
        assert_eq!(
            column(&study, "items", "source", "predicted"),
            column(&study, "items", "same", "predicted")
        );
        for (own, said) in own.iter().zip(probabilities(&study, "said")) {
            close(own.iter().step_by(2).sum(), said[0]);
            close(own.iter().skip(1).step_by(2).sum(), said[1]);
        }
        assert!(
            mean(&study, "learnt", "accuracy") > mean(&study, "none", "accuracy") + 0.1,
            "{backend:?}"
        );
        assert!(mean(&study, "said", "accuracy") > mean(&study, "none", "accuracy") + 0.1);
        assert_all(&study, "said", "setting", "transductive");
        assert_all(&study, "said", "n_train", "0");
        assert_all(&study, "learnt", "setting", "inductive");
        assert_all(&study, "learnt", "n_train", "150");
    }
}

#[test]
fn a_source_head_is_an_arm_of_a_verdict() {
    let stages = format!(
        "  said: {{ direct: {{ model: source, dataset: parity, map: {PARITY} }} }}
  pixels: {{ pixel_linear: {{ dataset: parity, c: 1e-4 }} }}
  verdict: {{ transfer: {{ of: scores, baseline: pixels, metric: accuracy, resamples: 0 }} }}
"
    );
    let study = study(&stages, "said, pixels");
    study.run().succeeds();
    let verdict = rows(&study.latest(), "transfer");
    assert_eq!(verdict.len(), 1);
    let told = ["arm", "source", "target", "setting"].map(|name| verdict[0][name].as_str());
    assert_eq!(told, ["said", "source", "parity", "transductive"]);
}

#[test]
fn a_map_that_does_not_fit_is_told_wherever_it_does_not() {
    let stages = "  said:
    direct: { model: source, dataset: parity, map: { 0: evn, ten: odd, 1: odd, 01: odd } }
  same: { direct: { model: source, dataset: parity, map: by_name } }
  small: { direct: { model: source, dataset: digits, map: by_name, train_size: 20 } }
  wide: { direct: { model: source, dataset: parity, map: learnt, layer: block1 } }
  odd: { direct: { model: source, dataset: parity, map: learned } }
";
    let study = study(stages, "said, same");
    assert_snapshot!(study.refusal().problems(), @"
    error: `parity` has no class `evn`
      help: did you mean `even`?
    error: `source` has no class `ten`
      help: there is: `0`, `1`, `2`, `3`, `4`, `5`, `6`, `7`, `8`, `9`
    error: `01` and `1` are the same class
      help: leave one of them out
    error: no class of `source` is called like one of `parity`
      help: say what they stand for, as in `map: { 0: even }`, or write `map: learnt`
    error: `train_size` is said, but nothing is learnt from training items
      help: leave it out, or write `map: learnt`
    error: `block1/pool` of `source` has the shape [1, 4, 4, 4], not one row of scores an item
      help: name a layer with one row of scores an item
    error: expected `by_name`, `learnt`, or classes of the target by those of the source, found `learned`
      help: did you mean `learnt`?
    ");
}

#[test]
fn another_share_of_wrong_labels_is_another_training() {
    let noisy = |share: &str| {
        format!(
            "  logistic: {{ linear_probe: {{ features: codes.dense1, c: 1, label_noise: {share} }} }}
  pixels: {{ pixel_linear: {{ dataset: digits, c: 0.01, label_noise: {share} }} }}
  tuned:
    fine_tune:
      {{ model: source, dataset: digits, freeze: all, steps: 30, lr: 1e-2, label_noise: {share} }}
"
        )
    };
    let codes = "  codes: { extract: { model: source, dataset: digits, layers: dense1 } }\n";
    let study = study(&format!("{codes}{}", noisy("0.0")), "logistic, pixels, tuned");
    study.run().succeeds();
    let arms = ["logistic", "pixels", "tuned"];
    let scores = |study: &Study| arms.map(|arm| mean(study, arm, "accuracy"));
    let clean = scores(&study);
    assert!(column(&study, "scores", "logistic", "label_noise").iter().all(String::is_empty));
    // No label is another, so nothing is done again.
    let pipeline = study.pipeline();
    study.replace(&pipeline, &pipeline.replace(", label_noise: 0.0", ""));
    assert_eq!(study.run().succeeds().done_and_hits().0, 0);
    study.replace(&study.pipeline(), &pipeline.replace("label_noise: 0.0", "label_noise: 0.8"));
    study.run().succeeds();
    for (arm, (clean, noisy)) in arms.iter().zip(clean.iter().zip(scores(&study))) {
        assert!(noisy < clean - 0.1, "{arm}: {clean} and {noisy}");
        // What is tested stays true, and so does what is known of it.
        assert_eq!(column(&study, "scores", arm, "label_noise")[0], "0.8", "{arm}");
    }
    let labels = |stage: &str| column(&study, "items", stage, "label");
    assert_eq!(labels("logistic"), labels("tuned"));
}

#[test]
fn labels_that_cannot_be_wrong_are_told() {
    let study = study(
        "  all: { pixel_linear: { dataset: digits, c: 1, label_noise: 1 } }
  few: { pixel_linear: { dataset: digits, c: 1, train_size: 10, label_noise: 0.9 } }
  numbers: { ridge: { features: codes.dense1, label_noise: 0.1 } }
  codes: { extract: { model: source, dataset: parity, layers: dense1 } }
",
        "all",
    );
    study.replace(
        "csv: { path: parity.csv, header: false, label: last",
        "csv: { path: digits.csv, header: false, values: last",
    );
    assert_snapshot!(study.refusal().problems(), @"
    error: expected a number from 0 up to but without 1, found `1`
    error: data set `digits`: no training item is told to be `2` once 9 labels are others
      help: train on more items, or lower `label_noise`
    error: `label_noise` makes classes wrong, but items of `parity` have numbers to be predicted
      help: leave `label_noise` out
    ");
}

#[test]
fn what_a_source_knows_and_pixels_are_read_together() {
    let stages =
        "  codes: { extract: { model: source, dataset: parity, layers: [block1, dense1] } }
  raw: { pixels: { dataset: parity } }
  both: { concat: { of: [codes.dense1, raw.pixels] } }
  known: { linear_probe: { features: codes.dense1, c: [0.1, 1] } }
  seen: { linear_probe: { features: raw, c: [0.1, 1] } }
  pixels: { pixel_linear: { dataset: parity, c: [0.1, 1] } }
  joined: { linear_probe: { features: both, c: [0.1, 1] } }
  near: { knn: { features: both.rows, normalize: l2, k: [1, 5] } }
  verdict: { transfer: { of: scores, baseline: seen, metric: accuracy, resamples: 0 } }
";
    for backend in Backend::all() {
        let study = study(stages, "known, seen, pixels, joined, near");
        study.run_with(&backend, &[]).succeeds();
        // The same pixels, whoever reads them.
        assert_eq!(
            column(&study, "items", "seen", "probabilities"),
            column(&study, "items", "pixels", "probabilities")
        );
        assert_ne!(
            column(&study, "items", "joined", "probabilities"),
            column(&study, "items", "known", "probabilities")
        );
        for arm in ["joined", "near"] {
            assert!(mean(&study, arm, "accuracy") > 0.7, "{arm} on {backend:?}");
        }
        // The gain over a part is a verdict.
        let verdict = rows(&study.latest(), "transfer");
        let told = |arm: &str, name: &str| {
            verdict.iter().find(|row| row["arm"] == arm).map(|row| row[name].clone()).unwrap()
        };
        assert_eq!(
            (told("joined", "source"), told("pixels", "source")),
            ("source".into(), String::new())
        );
        assert_eq!(told("pixels", "delta"), "0.0");
    }
}

#[test]
fn parts_that_do_not_belong_together_are_told() {
    let stages = "  codes: { extract: { model: source, dataset: parity, layers: dense1 } }
  raw: { pixels: { dataset: digits } }
  one: { concat: { of: [codes.dense1] } }
  none: { concat: { of: [] } }
  twice: { concat: { of: [codes.dense1, codes.dense1] } }
  other: { concat: { of: [codes.dense1, raw.pixels] } }
  layer: { linear_probe: { features: raw.pixel } }
";
    assert_snapshot!(study(stages, "source").refusal().problems(), @"
    error: `concat` puts features together, but only one part is named
      help: name a second one, or read the features where they are
    error: `concat` puts no features together
      help: write them as in `of: [codes.gap, raw.pixels]`
    error: `codes.dense1` stands here twice
      help: name each part once
    error: `raw.pixels` is of `digits`, the first part of `parity`
      help: features are put together item by item: name parts of one data set
    error: `raw` does not extract `pixel`
      help: did you mean `raw.pixels`?
    ");
}

/// The same digits in another light: darker above, washed out below.
fn with_dark_digits(study: Study) -> Study {
    let text = std::fs::read_to_string(study.path("digits.csv")).unwrap();
    let darker = |line: &str| {
        let (pixels, digit) = line.rsplit_once(',').unwrap();
        let pixels = pixels.split(',').enumerate().map(|(index, pixel)| {
            let level: f64 = pixel.parse().unwrap();
            if index < 32 { level / 4.0 } else { 8.0 + level / 2.0 }.to_string()
        });
        format!("{},{digit}\n", pixels.collect::<Vec<_>>().join(","))
    };
    study.write("dark.csv", text.lines().map(darker).collect::<String>().as_bytes());
    study.replace(
        "stages:",
        "  dark:
    csv: { path: dark.csv, header: false, label: last, shape: [8, 8] }
    split: { test: { rows: 200..300 }, val: { rows: 150..200 } }
stages:",
    );
    study
}

const LIGHT_AND_DARK: &str = "  light: { pixels: { dataset: digits } }
  darkness: { pixels: { dataset: dark } }
  at_home: { linear_probe: { features: light, c: 0.01 } }
  labelled: { linear_probe: { features: darkness, c: 0.01 } }
  plain: { linear_probe: { features: darkness, train_on: light, c: 0.01 } }
  whitened: { linear_probe: { features: darkness, train_on: light, adapt: coral, c: 0.01 } }
  turned:
    svm: { features: darkness, train_on: light, adapt: { subspace: { dim: 12 } }, c: 0.01 }
";

#[test]
fn a_probe_of_a_source_is_carried_over_without_labels_of_the_target() {
    for backend in Backend::all() {
        let study =
            with_dark_digits(study(LIGHT_AND_DARK, "at_home, labelled, plain, whitened, turned"));
        study.run_with(&backend, &[]).succeeds();
        let accuracy = |stage: &str| mean(&study, stage, "accuracy");
        // Scaled by itself and coloured, the other light is read far better than as it is.
        assert!(accuracy("whitened") > accuracy("plain") + 0.1, "{}", accuracy("whitened"));
        for stage in ["plain", "whitened", "turned"] {
            let own = mean(&study, stage, "accuracy_on_source");
            let drop = mean(&study, stage, "accuracy_drop");
            assert!((own - accuracy(stage) - drop).abs() < 1e-12, "{stage}");
            assert_all(&study, stage, "setting", "transductive");
            assert_all(&study, stage, "train_on", "digits");
            assert_all(&study, stage, "target", "dark");
            assert_all(&study, stage, "n_train", "150");
        }
        // At home it is the probe that learns there, to the bit where nothing is adapted.
        let lost = mean(&study, "plain", "accuracy_on_source") - accuracy("at_home");
        assert!(lost.abs() < 1e-12, "{lost}");
        assert_all(&study, "whitened", "adapt", "coral");
        assert_all(&study, "labelled", "setting", "inductive");
    }
}

#[test]
fn labels_and_test_items_of_the_target_change_nothing_that_is_learnt() {
    let study = with_dark_digits(study(LIGHT_AND_DARK, "plain, whitened, turned"));
    study.run().succeeds();
    let stages = ["plain", "whitened", "turned"];
    let before = stages.map(|stage| probabilities(&study, stage));
    // Other labels of all training items, another picture of the last test item.
    let text = std::fs::read_to_string(study.path("dark.csv")).unwrap();
    let changed = text.lines().enumerate().map(|(row, line)| {
        let (pixels, digit) = line.rsplit_once(',').unwrap();
        let digit: u32 = digit.parse().unwrap();
        match row {
            299 => format!("{},{digit}\n", vec!["3"; 64].join(",")),
            0..150 => format!("{pixels},{}\n", (digit + 3) % 10),
            _ => format!("{line}\n"),
        }
    });
    let changed: String = changed.collect();
    study.write("dark.csv", changed.as_bytes());
    study.run().succeeds();
    for (stage, before) in stages.iter().zip(before) {
        let after = probabilities(&study, stage);
        assert_eq!(before[..99], after[..99], "{stage}");
        assert_ne!(before[99], after[99], "{stage}");
    }
}

#[test]
fn what_cannot_be_carried_over_is_told() {
    let stages = "  light: { pixels: { dataset: digits } }
  darkness: { pixels: { dataset: dark } }
  oddness: { pixels: { dataset: parity } }
  codes: { extract: { model: source, dataset: digits, layers: dense1 } }
  same: { ridge: { features: light, train_on: light } }
  classes: { ridge: { features: light, train_on: oddness } }
  layer: { ridge: { features: darkness, train_on: codes } }
  nowhere: { ridge: { features: darkness, adapt: coral } }
  empty: { ridge: { features: darkness, train_on: light, adapt: subspace } }
";
    let study = with_dark_digits(study(stages, "source"));
    assert_snapshot!(study.refusal().problems(), @"
    error: `light` is of `digits`, as the features are
      help: name features of another data set, or leave `train_on` out
    error: classes differ: only `digits` has `0`, `1`, `2`, `3`, `4`, `5`, `6`, `7`, `8`, `9`; only `parity` has `even`, `odd`
      help: take those that both have with `select: { classes: … }`
    error: `codes` is not the same layer of the same model
      help: name what the same model gives of the other data set
    error: `adapt` is said, but the probe learns on its own data set
      help: say with `train_on` which features of another data set it learns on
    error: `subspace` needs the key `dim`
      help: `dim` is a whole number of at least 1
    ");
}

#[test]
fn more_components_than_there_are_fail_with_a_way_out() {
    let stages = "  light: { pixels: { dataset: digits } }
  darkness: { pixels: { dataset: dark } }
  flat: { ridge: { features: darkness, train_on: light, adapt: { subspace: { dim: 64 } } } }
";
    let study = with_dark_digits(study(stages, "flat"));
    study.run().fails().says("help: take a smaller `dim`").says("dimensions, not 64");
}

const NORMALISED: &str = "  normalised:
    pretrain:
      dataset: digits
      architecture: { residual_cnn: { width: 4, blocks: 2, stem_stride: 1 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 60
      lr: 1e-2
";

#[test]
fn batch_normalisations_take_their_statistics_from_the_target() {
    let stages = format!(
        "{NORMALISED}  adapted: {{ adapt_batch_norm: {{ model: normalised, dataset: dark }} }}
  as_it_is: {{ direct: {{ model: normalised, dataset: dark, map: by_name }} }}
  renewed: {{ direct: {{ model: adapted, dataset: dark, map: by_name }} }}
  at_home: {{ extract: {{ model: normalised, dataset: digits, layers: gap }} }}
  abroad: {{ extract: {{ model: adapted, dataset: dark, layers: gap }} }}
  carried: {{ linear_probe: {{ features: abroad.gap, train_on: at_home.gap, c: 1 }} }}
"
    );
    for backend in Backend::all() {
        let study = with_dark_digits(study(&stages, "normalised, as_it_is, renewed, carried"));
        study.run_with(&backend, &[]).succeeds();
        let accuracy = |stage: &str| mean(&study, stage, "accuracy");
        assert!(accuracy("renewed") > accuracy("as_it_is") + 0.05, "{}", accuracy("renewed"));
        // A head whose classes all stand for one of the target's is at home where it has learnt.
        let at_home = mean(&study, "as_it_is", "accuracy_on_source");
        assert!((at_home - accuracy("normalised")).abs() < 1e-12, "{at_home}");
        let drop = mean(&study, "as_it_is", "accuracy_drop");
        assert!((at_home - accuracy("as_it_is") - drop).abs() < 1e-12, "{drop}");
        let scores = rows(&study.latest(), "scores");
        let of_renewed = |row: &BTreeMap<String, String>| row["stage"] == "renewed";
        assert!(!scores.iter().any(|row| of_renewed(row) && row["metric"].ends_with("_drop")));
        assert_all(&study, "renewed", "setting", "transductive");
        assert_all(&study, "carried", "setting", "transductive");
        let model = study.latest().join("models/adapted-seed1.onnx");
        assert!(model.is_file(), "{}", model.display());
    }
}

#[test]
fn statistics_are_the_same_on_any_number_of_cores() {
    let stages = format!(
        "{NORMALISED}  adapted: {{ adapt_batch_norm: {{ model: normalised, dataset: dark }} }}
  renewed: {{ direct: {{ model: adapted, dataset: dark, map: by_name }} }}
"
    );
    let models = ["1", "3"].map(|jobs| {
        let study = with_dark_digits(study(&stages, "renewed"));
        study.run_with(&Backend::Embedded, &["--jobs", jobs, "--seeds", "1"]).succeeds();
        std::fs::read(study.latest().join("models/adapted-seed0.onnx")).unwrap()
    });
    assert!(models[0] == models[1], "models differ");
}

#[test]
fn a_model_without_batch_normalisation_is_not_adapted() {
    let stages = "  adapted: { adapt_batch_norm: { model: source, dataset: parity } }\n";
    assert_snapshot!(study(stages, "source").refusal().problems(), @"
    error: `source` has no batch normalisation that could be adapted
      help: exporters fold them into convolutions: export the model as it is trained, or adapt features with `adapt` of a probe
    ");
}

const GROUPED: &str = "  codes: { extract: { model: source, dataset: digits, layers: dense1 } }
  untaught: { extract: { model: source, dataset: digits, layers: dense1, init: random } }
  groups: { cluster: { features: codes, random: untaught } }
";

#[test]
fn groups_found_without_labels_are_compared_with_those_of_random_weights() {
    for backend in Backend::all() {
        let study = study(GROUPED, "groups");
        study.replace(", metrics: [accuracy]", "");
        study.run_with(&backend, &[]).succeeds();
        for metric in ["accuracy", "nmi", "ari"] {
            let told = ["", "_on_random", "_gain"]
                .map(|word| mean(&study, "groups", &format!("{metric}{word}")));
            assert!((told[0] - told[1] - told[2]).abs() < 1e-12, "{metric}: {told:?}");
            assert!(told[0] > 0.2 && told[0] < 1.0, "{metric} on {backend:?}: {told:?}");
        }
        // What has learnt the classes groups them better than what has learnt nothing.
        assert!(mean(&study, "groups", "nmi_gain") > 0.05);
        assert_all(&study, "groups", "setting", "unsupervised");
        assert_all(&study, "groups", "n_train", "0");
    }
}

#[test]
fn labels_of_training_items_change_no_group() {
    let study = study(GROUPED, "groups");
    // Neither does the source learn from them.
    study.replace(
        "dataset: digits
      arch",
        "dataset: parity
      arch",
    );
    study.replace("[accuracy]", "[nmi, ari, accuracy]");
    study.run().succeeds();
    let values = |study: &Study| column(study, "scores", "groups", "value");
    let before = values(&study);
    let text = std::fs::read_to_string(study.path("digits.csv")).unwrap();
    let other = |(row, line): (usize, &str)| {
        let (pixels, digit) = line.rsplit_once(',').unwrap();
        let digit: u32 = digit.parse().unwrap();
        format!("{pixels},{}\n", if row < 150 { (digit + 3) % 10 } else { digit })
    };
    let other: String = text.lines().enumerate().map(other).collect();
    study.write("digits.csv", other.as_bytes());
    study.run().succeeds();
    assert_eq!(before, values(&study));
}

#[test]
fn groups_without_their_twin_of_random_weights_are_refused() {
    let stages =
        "  codes: { extract: { model: source, dataset: digits, layers: [block1, dense1] } }
  untaught: { extract: { model: source, dataset: digits, layers: [dense1], init: random } }
  same: { cluster: { features: codes.dense1, random: codes.dense1 } }
  other: { cluster: { features: codes.block1, random: untaught } }
  few: { cluster: { features: codes.dense1, random: untaught, train_size: 9 } }
";
    assert_snapshot!(study(stages, "source").refusal().problems(), @"
    error: `codes.dense1` is not the same layer of the same model for the same data set with `init: random`
      help: name what an `extract` with `init: random` gives
    error: `untaught` is not the same layer of the same model for the same data set with `init: random`
      help: name what an `extract` with `init: random` gives
    error: data set `digits`: no item of class `9` is among 9 drawn
      help: raise `train_size`
    ");
}
