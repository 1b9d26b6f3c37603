//! Items that have several labels, or numbers, instead of one class: read, split, trained, scored,
//! judged and predicted.

use insta::assert_snapshot;

use crate::harness::{Backend, Study, Told, rows};

/// Labels of an item: whether its left or its upper half is bright, and one that is rare. Of every
/// seventh item the first is not known.
fn labels(number: u32) -> [&'static str; 3] {
    let word = |is: bool| if is { "1" } else { "0" };
    let left = if number % 7 == 3 { "" } else { word(is_left(number)) };
    [left, word(is_upper(number)), word(number % 20 == 4)]
}

fn is_left(number: u32) -> bool {
    number.wrapping_mul(2_654_435_761) >> 16 & 1 == 1
}

fn is_upper(number: u32) -> bool {
    number.wrapping_mul(2_654_435_761) >> 21 & 1 == 1
}

/// 4×4 pixels: bright where the labels say so, with noise.
fn pixels(number: u32) -> Vec<String> {
    let pixel = |index: u32| {
        let noise = ((number * 16 + index + 1).wrapping_mul(2_246_822_519) >> 24) % 60;
        let left = u32::from(is_left(number) && index % 4 < 2) * 90;
        let upper = u32::from(is_upper(number) && index < 8) * 90;
        (noise + left + upper).to_string()
    };
    (0..16).map(pixel).collect()
}

/// What is true of an item in numbers: brightness of its halves in a unit of its own.
fn shade(number: u32) -> f64 {
    1000.0 + 25.0 * f64::from(u8::from(is_left(number)))
        - 10.0 * f64::from(u8::from(is_upper(number)))
}

/// 300 items, two of each person.
fn table() -> String {
    let pixels_of = (0..16).map(|index| format!("p{index}")).collect::<Vec<_>>().join(",");
    let mut text = format!("person,left,upper,rare,shade,{pixels_of}\n");
    for number in 0..300 {
        let shade = if number % 50 == 7 { String::new() } else { shade(number).to_string() };
        let row = [
            vec![format!("q{}", number / 2)],
            labels(number).map(str::to_owned).to_vec(),
            vec![shade],
            pixels(number),
        ];
        text.push_str(&row.concat().join(","));
        text.push('\n');
    }
    text
}

const HEAD: &str = "\
name: study
seeds: 3
datasets:
  halves:
    csv: { path: table.csv, DATA, group: person, shape: [4, 4] }
    split: { test: 0.4, val: 0.2 }
stages:
  source:
    pretrain: &training
      dataset: halves
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 4, channels: 1, scale: 255 }
      steps: 150
      lr: [1e-2, 3e-2]
  tuned:
    fine_tune: { model: source, dataset: halves, freeze: block1, steps: 60, lr: 3e-2 }
  scratch:
    fine_tune: { model: source, dataset: halves, init: random, steps: 25, lr: 1e-2 }
  floor:
    majority: { dataset: halves }
  scores:
    evaluate: { of: [source, tuned, scratch, floor] }
";

const VERDICT: &str = "  verdict:\n    transfer: { of: scores, baseline: scratch }\n";

const LABELS: &str = "labels: [left, upper, rare], finding: all";

/// A study without the columns that are not named, as every other one is a pixel.
fn study(data: &str, without: &[&str]) -> Study {
    let text = table();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap_or_default();
    let kept: Vec<usize> =
        (0..header.len()).filter(|column| !without.contains(&header[*column])).collect();
    let row = |row: &Vec<&str>| kept.iter().map(|&at| row[at]).collect::<Vec<_>>().join(",") + "\n";
    let text: String = std::iter::once(row(&header)).chain(lines.map(|line| row(&line))).collect();
    Study::new(&format!("{HEAD}{VERDICT}").replace("DATA", data))
        .with_file("table.csv", text.as_bytes())
}

fn of_labels() -> Study {
    study(LABELS, &["shade"])
}

fn of_values() -> Study {
    study("values: shade", &["left", "upper", "rare"])
}

/// The value of a metric by stage, for seed 0.
fn value(study: &Study, stage: &str, metric: &str, class: &str) -> f64 {
    let scores = rows(&study.latest(), "scores");
    let found = scores.iter().find(|row| {
        row["stage"] == stage
            && row["metric"] == metric
            && row["class"] == class
            && matches!(row["seed"].as_str(), "0" | "")
    });
    found.unwrap_or_else(|| panic!("{stage} has no {metric} of {class}"))["value"]
        .parse()
        .expect("it has a value")
}

#[test]
fn a_check_tells_labels_with_what_is_not_known() {
    assert_snapshot!(of_labels().check().facts(), @"
      halves: 300 items of 150 groups (3 labels each: left 130, unknown 43; upper 143; rare 15); train 124, val 58, test 118
      source: 203 of 203 parameters learn
      tuned: new head on `dense1/relu`, 163 of 203 parameters learn
      scratch: new head on `dense1/relu`, 203 of 203 parameters learn
    note: halves: 43 cells are empty; they are neither trained nor scored on
    ");
}

#[test]
fn a_check_tells_numbers_with_their_range() {
    assert_snapshot!(of_values().check().facts(), @"
      halves: 294 items of 150 groups (1 number each: shade from 990 to 1025, mean 1007.7891); train 120, val 56, test 118
      source: 185 of 185 parameters learn
      tuned: new head on `dense1/relu`, 145 of 185 parameters learn
      scratch: new head on `dense1/relu`, 185 of 185 parameters learn
    note: halves: 6 cells are empty; they are neither trained nor scored on
    note: halves: 6 items of which nothing is known: left out
    ");
}

fn assert_labels_are_learnt(backend: &Backend) {
    let study = of_labels();
    study.replace("init: random, steps: 25", "init: random, steps: 80");
    let told = study.run_with(backend, &[]).succeeds();
    // What the pictures show is learnt, although it is not known of some; base rates know nothing.
    assert!(value(&study, "source", "auroc", "left") > 0.9, "{told}");
    assert!(value(&study, "source", "auroc", "upper") > 0.9, "{told}");
    assert!((value(&study, "floor", "auroc", "") - 0.5).abs() < 1e-12);
    assert!((value(&study, "floor", "labels", "") - 3.0).abs() < 1e-12);
    let losses = ["source", "floor"].map(|stage| value(&study, stage, "log_loss", ""));
    assert!(losses[0] < losses[1], "{losses:?}\n{told}");
    let items = rows(&study.latest(), "items");
    let unknown: Vec<&str> =
        items.iter().map(|row| row["label"].as_str()).filter(|label| label.contains('?')).collect();
    assert!(!unknown.is_empty() && unknown.iter().all(|label| label.starts_with("?left")));
    let verdicts = rows(&study.latest(), "transfer");
    let words: Vec<_> =
        verdicts.iter().map(|row| (row["arm"].as_str(), row["metric"].as_str())).collect();
    assert_eq!(words, [("source", "log_loss"), ("tuned", "log_loss"), ("floor", "log_loss")]);
    assert!(verdicts.iter().all(|row| row["delta"].parse::<f64>().is_ok()));
    assert_eq!(verdicts[0]["verdict"], "positive", "{told}");
    assert_labels_are_judged(&study);
}

/// Each label has a verdict of its own, and their mean is that of the whole.
fn assert_labels_are_judged(study: &Study) {
    let number = |row: &std::collections::BTreeMap<String, String>, column: &str| -> f64 {
        row[column].parse().unwrap_or_else(|_| panic!("{column} of {row:?}"))
    };
    let labels = rows(&study.latest(), "labels");
    for whole in rows(&study.latest(), "transfer") {
        let own: Vec<_> = labels.iter().filter(|row| row["arm"] == whole["arm"]).collect();
        let names: Vec<&str> = own.iter().map(|row| row["label"].as_str()).collect();
        assert_eq!(names, ["left", "upper", "rare"]);
        let mean = own.iter().map(|row| number(row, "delta")).sum::<f64>() / 3.0;
        assert!((mean - number(&whole, "delta")).abs() < 1e-9, "{own:?}");
        for row in own {
            assert!(number(row, "p_holm_neg") >= number(row, "q_bh_neg") - 1e-12);
            assert!(number(row, "q_bh_neg") >= 1.0 - number(row, "p_neg") - 1e-12);
            assert_eq!(row["test"], "two_way");
        }
    }
    // Of `left` not everything is known, and few items have the rare label.
    let of = |label: &str, column: &str| {
        let row = labels.iter().find(|row| row["label"] == label);
        number(row.expect("every label has a row"), column)
    };
    assert!(of("left", "N") < of("upper", "N"));
    assert!(of("rare", "present") < 20.0 && of("upper", "present") > 20.0);
}

#[test]
fn the_mean_area_of_several_labels_is_judged_by_resamples_and_each_label_beside_it() {
    let study = of_labels();
    study.replace("seeds: 3", "seeds: 5");
    study.replace("steps: 150\n      lr: [1e-2, 3e-2]", "steps: 60\n      lr: 3e-2");
    study.replace("baseline: scratch }", "baseline: scratch, metric: auroc, resamples: 1000 }");
    let told = study.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
    let verdicts = rows(&study.latest(), "transfer");
    assert!(verdicts.iter().all(|row| row["test"] == "two_way_bootstrap"), "{told}");
    let labels = rows(&study.latest(), "labels");
    let floor: Vec<_> = labels.iter().filter(|row| row["arm"] == "floor").collect();
    assert_eq!(floor.len(), 3);
    assert!(floor.iter().all(|row| row["m_transfer"] == "0.5"), "{floor:?}");
    assert!(floor.iter().all(|row| row["test"] == "two_way_bootstrap"), "{floor:?}");
    let means: f64 = floor.iter().map(|row| row["delta"].parse::<f64>().unwrap()).sum();
    let whole = verdicts.iter().find(|row| row["arm"] == "floor").unwrap();
    assert!((means / 3.0 - whole["delta"].parse::<f64>().unwrap()).abs() < 1e-9);
}

#[test]
fn what_probes_of_labels_and_groups_cannot_do_is_told_with_its_place() {
    let study = of_labels();
    with_probes(
        &study,
        &[
            ("weighed", "{ linear_probe: { features: codes.dense1, class_weights: balanced } }"),
            ("machine", "{ svm: { features: codes.dense1, class_weights: balanced } }"),
        ],
    );
    assert_snapshot!(study.refusal().problems(), @"
    error: items of `halves` have several labels each, so a probe has no classes that could have weights
      help: leave `class_weights` out
    error: items of `halves` have several labels each, so a probe has no classes that could have weights
      help: leave `class_weights` out
    ");
    let study = of_values();
    let ridge = "{ ridge: { features: codes.dense1, select: leave_one_out } }";
    with_probes(&study, &[("least_squares", ridge)]);
    assert_snapshot!(study.refusal().problems(), @"
    error: an item of `halves` that is left out alone is judged by a fit on others of its group
      help: write `select: { folds: { count: 5 } }`, which keeps groups together, or `select: val`
    ");
}

#[test]
fn several_labels_are_learnt_and_judged_on_the_embedded_backend() {
    assert_labels_are_learnt(&Backend::Embedded);
}

#[test]
fn several_labels_are_learnt_and_judged_on_the_library() {
    let Some(library) = Backend::library() else { return };
    assert_labels_are_learnt(&library);
}

fn assert_numbers_are_learnt(backend: &Backend) {
    let study = of_values();
    let told = study.run_with(backend, &[]).succeeds();
    assert!(value(&study, "source", "r2", "") > 0.8, "{told}");
    assert!(value(&study, "source", "mae", "") < 5.0, "{told}");
    assert!(value(&study, "floor", "r2", "") <= 0.0, "{told}");
    let (rmse, mse) = (value(&study, "tuned", "rmse", ""), value(&study, "tuned", "mse", ""));
    assert!((rmse * rmse - mse).abs() < 1e-9 * mse);
    // Numbers stand in their own unit.
    let items = rows(&study.latest(), "items");
    let numbers = items.iter().filter(|row| row["stage"] == "source");
    for row in numbers {
        let [truth, found] = ["label", "predicted"].map(|column| row[column].parse::<f64>());
        assert!((truth.unwrap() - found.unwrap()).abs() < 30.0, "{row:?}");
    }
    let verdicts = rows(&study.latest(), "transfer");
    assert_eq!(verdicts[0]["metric"], "mse");
    assert_eq!(verdicts[0]["verdict"], "positive", "{told}");
    // The region of equivalence is a hundredth of the variance, in squared units.
    let rope: f64 = verdicts[0]["eps"].parse().unwrap();
    assert!((1.0..5.0).contains(&rope), "{rope}");
}

#[test]
fn numbers_are_learnt_and_judged_on_the_embedded_backend() {
    assert_numbers_are_learnt(&Backend::Embedded);
}

#[test]
fn numbers_are_learnt_and_judged_on_the_library() {
    let Some(library) = Backend::library() else { return };
    assert_numbers_are_learnt(&library);
}

#[test]
fn no_person_stands_on_two_sides_of_a_split_of_labels() {
    let study = of_labels();
    study.replace("split: { test: 0.4, val: 0.2 }", "split: { test: 0.5 }");
    study.replace("scores:\n    evaluate: { of: [source, tuned, scratch, floor] }", "scores:\n    \
        evaluate: { of: [floor], split: test }\n  learnt:\n    evaluate: { of: [floor], split: train }");
    study.replace(VERDICT, "");
    study.run().succeeds();
    let mut sides = std::collections::BTreeMap::new();
    let mut rare = std::collections::BTreeMap::new();
    for row in rows(&study.latest(), "items").iter().filter(|row| row["seed"] == "0") {
        let side = sides.entry(row["group"].clone()).or_insert_with(|| row["split"].clone());
        assert_eq!(*side, row["split"], "{row:?}");
        *rare.entry(row["split"].clone()).or_insert(0) +=
            usize::from(row["label"].contains("rare"));
    }
    // Fifteen items have the rare label, each of another person; half of them are tested.
    assert!(matches!(rare["test"], 7 | 8), "{rare:?}");
}

#[test]
fn every_way_to_train_takes_labels() {
    for option in [
        "class_weights: balanced",
        "mixup: 0.2",
        "label_smoothing: 0.1",
        "micro_batch: 7",
        "optimizer: sgd",
        "head_init: zero",
        "lr: range_test",
        "tune: biases",
        "l2_sp: { alpha: 0.01 }",
        "unfreeze: head_first",
    ] {
        let study = of_labels();
        study.replace("freeze: block1, steps: 60, lr: 3e-2", &format!("steps: 60, {option}"));
        let told = study.run_with(&Backend::Embedded, &["--seeds", "1"]);
        assert_eq!(told.code, Some(0), "{option}\n{told}");
        let loss = value(&study, "tuned", "log_loss", "");
        assert!(loss.is_finite() && loss < 1.0, "{option}: {loss}");
    }
}

#[test]
fn weights_of_labels_leave_probabilities_those_of_the_data() {
    let study = of_labels();
    study.replace("freeze: block1, steps: 60, lr: 3e-2", "class_weights: balanced, steps: 60");
    study.run_with(&Backend::Embedded, &["--seeds", "1"]).succeeds();
    let items = rows(&study.latest(), "items");
    let tuned = items.iter().filter(|row| row["stage"] == "tuned");
    let rare = |row: &std::collections::BTreeMap<String, String>| -> f64 {
        let third = row["probabilities"].split(';').nth(2);
        third.and_then(|p| p.parse().ok()).expect("three probabilities")
    };
    let shares: Vec<f64> = tuned.map(rare).collect();
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    // One item in twenty has it; with its weights, every second would seem to.
    assert!(mean < 0.2, "{mean}");
}

fn predict(study: &Study, model: &str) -> Told {
    for number in 0..4 {
        let shades = pixels(number);
        let shade = |x: u32, y: u32| image::Luma([shades[(y * 4 + x) as usize].parse().unwrap()]);
        let folder = study.path("new");
        std::fs::create_dir_all(&folder).unwrap();
        image::GrayImage::from_fn(4, 4, shade).save(folder.join(format!("{number}.png"))).unwrap();
    }
    let path = study.latest().join(format!("models/{model}-seed0.onnx"));
    study.told(&["predict", path.to_str().unwrap(), "new", "--runtime", "embedded"])
}

fn inspect(study: &Study, model: &str) -> Told {
    let path = study.latest().join(format!("models/{model}-seed0.onnx"));
    study.told(&["model", "inspect", path.to_str().unwrap(), "--runtime", "embedded"]).succeeds()
}

/// What the table `items` says of the first items that were tested, and `predict` of the same images.
#[test]
fn a_model_predicts_numbers_in_their_own_unit() {
    let study = of_values();
    study.run_with(&Backend::Embedded, &["--seeds", "1"]).succeeds();
    let told = predict(&study, "source").succeeds();
    assert!(told.out.starts_with("file,shade\n"), "{told}");
    inspect(&study, "source").says("tells: 1 number: shade");
    for (number, line) in told.out.lines().skip(1).enumerate() {
        let found: f64 = line.split(',').nth(1).unwrap().parse().unwrap();
        assert!((found - shade(number as u32)).abs() < 30.0, "{told}");
        let items = rows(&study.latest(), "items");
        let same =
            items.iter().find(|row| row["stage"] == "source" && row["item"] == number.to_string());
        if let Some(row) = same {
            let of_run: f64 = row["predicted"].parse().unwrap();
            assert!((of_run - found).abs() < 1e-2, "{of_run} {found}");
        }
    }
}

#[test]
fn a_model_predicts_a_probability_for_each_label() {
    let study = of_labels();
    study.replace("steps: 150\n", "steps: 150\n      class_weights: balanced\n");
    study.run_with(&Backend::Embedded, &["--seeds", "1"]).succeeds();
    let told = predict(&study, "source").succeeds();
    inspect(&study, "source").says("tells: 3 labels: left, upper, rare");
    assert_snapshot!(told.out.lines().next().unwrap_or_default(),
        @"file,p_left,p_upper,p_rare");
    let items = rows(&study.latest(), "items");
    for (number, line) in told.out.lines().skip(1).enumerate() {
        let found: Vec<f64> = line.split(',').skip(1).map(|cell| cell.parse().unwrap()).collect();
        assert!(found.iter().all(|p| (0.0..=1.0).contains(p)), "{told}");
        assert_eq!(found[1] > 0.5, is_upper(number as u32), "{told}");
        let same =
            items.iter().find(|row| row["stage"] == "source" && row["item"] == number.to_string());
        let Some(row) = same else { continue };
        let cells = row["probabilities"].split(';');
        let of_run: Vec<f64> = cells.map(|cell| cell.parse().unwrap()).collect();
        for (a, b) in of_run.iter().zip(&found) {
            assert!((a - b).abs() < 1e-4, "{of_run:?} {found:?}");
        }
    }
}

/// The study with probes in place of trainings.
fn with_probes(study: &Study, probes: &[(&str, &str)]) {
    let stage = |(name, what): &(&str, &str)| format!("  {name}: {what}\n");
    let stages = probes.iter().map(stage).collect::<Vec<_>>().concat();
    let codes = "  codes:\n    extract: { model: source, dataset: halves, layers: dense1 }\n";
    study.replace("  floor:\n", &format!("{codes}{stages}  floor:\n"));
    let names: Vec<&str> = probes.iter().map(|(name, _)| *name).collect();
    study.replace("of: [source, tuned", &format!("of: [{}, source, tuned", names.join(", ")));
}

#[test]
fn probes_tell_several_labels() {
    let study = of_labels();
    let ways = [
        ("logistic", "{ linear_probe: { features: codes.dense1, c: [0.1, 1] } }"),
        (
            "machine",
            "{ svm: { features: codes.dense1, c: [0.1, 1], per_class: true, \
             by: average_precision, select: { folds: { count: 3 } } } }",
        ),
        ("kernel", "{ svm: { features: codes.dense1, kernel: rbf, c: [1, 10] } }"),
    ];
    with_probes(&study, &ways);
    study.run().succeeds();
    for (stage, _) in ways {
        let auroc = value(&study, stage, "auroc", "upper");
        assert!(auroc > 0.9, "{stage}: {auroc}");
        assert!(value(&study, stage, "log_loss", "upper") < 0.5, "{stage}");
    }
}

#[test]
fn probes_predict_numbers() {
    let study = of_values();
    let ways = [
        ("least_squares", "{ ridge: { features: codes.dense1, select: { folds: { count: 5 } } } }"),
        ("neighbours", "{ knn: { features: codes.dense1, k: [3, 10] } }"),
        ("machine", "{ svm: { features: codes.dense1, c: [1, 10] } }"),
        ("tube", "{ svm: { features: codes.dense1, kernel: rbf, c: [1, 10] } }"),
    ];
    with_probes(&study, &ways);
    study.run().succeeds();
    for (stage, _) in ways {
        let r2 = value(&study, stage, "r2", "");
        assert!(r2 > 0.5, "{stage}: {r2}");
    }
}

#[test]
fn a_probe_that_needs_every_label_says_so() {
    let study = of_labels();
    with_probes(&study, &[("least_squares", "{ ridge: { features: codes.dense1 } }")]);
    study.run().fails().says("`ridge` needs every label of every training item");
}

#[test]
fn what_does_not_fit_labels_is_told_with_its_place() {
    let study = of_labels();
    study.replace(
        "freeze: block1, steps: 60, lr: 3e-2",
        "loss: cross_entropy, monitor: balanced_accuracy, head_init: probe",
    );
    study.replace(
        "  floor:\n",
        "  codes:\n    extract: { model: source, dataset: halves, layers: dense1 }\n  \
        means:\n    nearest_mean: { features: codes.dense1 }\n  \
        odd:\n    ridge: { features: codes.dense1, by: squared_error }\n  floor:\n",
    );
    assert_snapshot!(study.refusal().problems(), @"
    error: items of `halves` have several labels each, which `cross_entropy` does not fit
      help: leave `loss` out, or take `binary_cross_entropy`
    error: items of `halves` have several labels each, so there is no balanced accuracy to monitor
      help: leave `monitor` out
    error: items of `halves` have several labels each, but a probe tells classes apart
      help: start the head at `zero` or `random`
    error: `nearest_mean` tells classes apart, but items of `halves` have several labels each
      help: `linear_probe`, `svm`, `ridge`, `knn` and `fine_tune` tell several labels; or choose one `finding`
    error: `squared_error` does not fit items that have several labels each
      help: leave `by` out, or choose what is compared of classes and labels
    ");
}

#[test]
fn what_does_not_fit_numbers_is_told_with_its_place() {
    let study = of_values();
    study.replace(
        "freeze: block1, steps: 60, lr: 3e-2",
        "loss: binary_cross_entropy, class_weights: balanced",
    );
    study.replace("init: random, steps: 25, lr: 1e-2", "init: random, label_smoothing: 0.1");
    assert_snapshot!(study.refusal().problems(), @"
    error: items of `halves` have numbers to be predicted, which `binary_cross_entropy` does not fit
      help: leave `loss` out, or take `squared_error` or `huber`
    error: items of `halves` have numbers to be predicted, so there are no classes that could have weights
      help: leave `class_weights` out
    error: `squared_error` has no probabilities that labels could be smoothed to
      help: leave `label_smoothing` out, or take a cross-entropy as `loss`
    ");
}

#[test]
fn a_metric_that_does_not_fit_is_told_with_those_that_do() {
    let told = |study: &Study, metrics: &str, metric: &str| {
        study.replace("floor] }", &format!("floor], metrics: [{metrics}] }}"));
        study.replace("baseline: scratch }", &format!("baseline: scratch, metric: {metric} }}"));
        study.refusal().problems()
    };
    assert_snapshot!(told(&of_labels(), "accuracy", "log_loss"), @"
    error: items of `halves` have several labels each, which no metric asked for can judge
      help: ask for `auroc`, `average_precision`, `log_loss`, `brier`
    ");
    assert_snapshot!(told(&of_labels(), "log_loss", "auroc, resamples: 10"), @"
    error: `auroc` is no mean over items: it is judged by resamples, and 10 are too few
      help: write `resamples: 1000` or more, or leave it out
    ");
    assert_snapshot!(told(&of_labels(), "log_loss", "accuracy"), @"
    error: `accuracy` cannot compare what is told of items of `halves`, which have several labels each
      help: there is: `auroc`, `average_precision`, `log_loss`, `brier`
    ");
    assert_snapshot!(told(&of_values(), "r2", "log_loss"), @"
    error: `log_loss` cannot compare what is told of items of `halves`, which have numbers to be predicted
      help: there is: `r2`, `rmse`, `mse`, `mae`
    ");
}

#[test]
fn columns_that_hold_something_else_are_told_with_their_line() {
    let told = |data: &str, without: &[&str]| {
        let study = study(data, without);
        let text = std::fs::read_to_string(study.path("table.csv")).unwrap();
        // There is no such cell where the column is left out.
        study.write("table.csv", text.replacen("1000,", "much,", 1).as_bytes());
        study.refusal().problems()
    };
    let all_but = ["left", "upper", "rare"];
    assert_snapshot!(told("labels: [upper, shade], finding: all", &["left", "rare"]), @"
    error: data set `halves`: table.csv:2, column `shade`: `much` is neither 0 nor 1
      help: columns of `labels` hold 0, 1 or −1 (uncertain)
    ");
    assert_snapshot!(told("values: shade", &all_but), @"
    error: data set `halves`: table.csv:2, column `shade`: `much` is no number
      help: columns of `values` hold finite numbers, or nothing if not known
    ");
    assert_snapshot!(told("labels: [left, upper]", &["rare", "shade"]), @"
    error: data set `halves`: items have several labels, and stages tell one apart
      help: choose one with `finding`, or `finding: all`; there are, with how many items have them: `left` (130), `upper` (143)
    ");
    assert_snapshot!(told("values: shade, finding: all", &all_but), @"
    error: data set `halves`: `finding` is said, but items have numbers to be predicted
      help: leave `finding` out
    ");
    assert_snapshot!(told("values: shade, label: left", &["upper", "rare"]), @"
    error: data set `halves`: both `label` and `values` are said
      help: leave out `label` or `values`
    ");
    assert_snapshot!(told("header: true", &all_but), @"
    error: data set `halves`: no column is said to hold the label
      help: name the column of the class with `label`, those of several labels with `labels`, or those of numbers to be predicted with `values`
    ");
}

#[test]
fn numbers_that_do_not_vary_cannot_be_learnt() {
    let study = of_values();
    let text = std::fs::read_to_string(study.path("table.csv")).unwrap();
    let text: String = text
        .lines()
        .map(|line| {
            let mut cells: Vec<&str> = line.split(',').collect();
            if cells[1] != "shade" {
                cells[1] = "3";
            }
            cells.join(",") + "\n"
        })
        .collect();
    study.write("table.csv", text.as_bytes());
    assert_snapshot!(study.refusal().problems(), @"
    error: data set `halves`: `shade` is 3 for every training item, so it cannot be learnt
      help: take more training items, or ask for something else
    ");
}

#[test]
fn classes_cannot_be_selected_where_there_are_none() {
    let study = of_labels();
    study.replace("    split:", "    select: { classes: left }\n    split:");
    assert_snapshot!(study.refusal().problems(), @"
    error: data set `halves`: items have several labels each, of which no class can be taken
      help: leave `classes` out
    ");
}

#[test]
fn a_batch_of_labels_in_pieces_is_one_big_batch() {
    let loss = |more: &str| {
        let study = of_labels();
        study.replace("steps: 60, lr: 3e-2", &format!("steps: 20, lr: 1e-2{more}"));
        study.run_with(&Backend::Embedded, &["--seeds", "1"]).succeeds();
        value(&study, "tuned", "log_loss", "")
    };
    let (whole, pieces) = (loss(""), loss(", micro_batch: 7"));
    assert!((whole - pieces).abs() < 1e-4, "{whole} {pieces}");
}

#[test]
fn runs_are_compared_item_by_item_where_numbers_are_predicted() {
    let study = of_values();
    study.run().succeeds();
    study.replace("init: random, steps: 25", "init: random, steps: 100");
    study.run().succeeds();
    let told = study.told(&["compare", "latest~1", "latest", "--json"]).succeeds();
    let found: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    let arms = found[0]["arms"].as_array().unwrap();
    let of = |name: &str| arms.iter().find(|arm| arm["arm"] == name).unwrap();
    assert_eq!(of("scratch")["scope"], "seeds_and_items", "{told}");
    assert_eq!(of("scratch")["word"], "better", "{told}");
    assert_eq!(of("floor")["word"], "same", "{told}");
    let delta = of("scratch")["delta"].as_f64().unwrap();
    let change =
        of("scratch")["before"].as_f64().unwrap() - of("scratch")["after"].as_f64().unwrap();
    assert!((delta - change).abs() < 1e-9 * change.abs(), "{told}");
    // Of r², which is no mean over items, over seeds alone.
    let told =
        study.told(&["compare", "latest~1", "latest", "--json", "--metric", "r2"]).succeeds();
    let found: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(found[0]["arms"][0]["scope"], "seeds", "{told}");
}

const SCORED: &str = "  codes:
    extract: { model: source, dataset: halves, layers: dense1 }
  noise:
    extract: { model: source, dataset: halves, layers: dense1, init: random }
  before:
    transferability: { of: codes.dense1, random: noise.dense1 }
";

/// Values of scores before training and those on random weights, means over seeds.
fn scored_before(study: Study) -> Vec<(String, f64, f64)> {
    let pipeline = study.pipeline();
    let study = study.with_file("study.yaml", format!("{pipeline}{SCORED}").as_bytes());
    let told = study.run_with(&Backend::Embedded, &["--only", "before"]).succeeds();
    let rows = rows(&told.folder(&study), "transferability");
    let mut names: Vec<&str> = rows.iter().map(|row| row["score"].as_str()).collect();
    names.dedup();
    names.truncate(names.iter().skip(1).position(|name| *name == names[0]).map_or(99, |n| n + 1));
    let mean = |name: &str, column: &str| {
        let values = rows.iter().filter(|row| row["score"] == name);
        let values: Vec<f64> = values.map(|row| row[column].parse().unwrap()).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let told = |name: &&str| ((*name).to_owned(), mean(name, "value"), mean(name, "on_random"));
    names.iter().map(told).collect()
}

const OF_COLUMNS: [&str; 8] = [
    "neighbours_1",
    "neighbours_5",
    "neighbours_20",
    "neighbours_1_cosine",
    "neighbours_5_cosine",
    "neighbours_20_cosine",
    "cka",
    "cka_biased",
];

#[test]
fn scores_before_training_are_told_of_labels_and_of_numbers() {
    for (study, first) in [(of_labels(), vec!["log_me", "parc"]), (of_values(), vec!["log_me"])] {
        let scores = scored_before(study);
        let names: Vec<&str> = scores.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, [&first[..], &OF_COLUMNS[..]].concat());
        // A network that has learnt what is asked has features that tell more than a random one's.
        for name in ["log_me", "cka"] {
            let (_, value, random) = scores.iter().find(|(known, ..)| known == name).unwrap();
            assert!(value > random, "{name}: {value} on random weights {random}");
        }
    }
}

#[test]
fn scores_that_are_for_classes_are_refused_with_a_way_out() {
    let study = of_values();
    let asked = SCORED.replace("noise.dense1 }\n", "noise.dense1, scores: [log_me, sfda] }\n");
    let pipeline = study.pipeline();
    let study = study.with_file("study.yaml", format!("{pipeline}{asked}").as_bytes());
    assert_snapshot!(study.refusal().problems(), @"
    error: `sfda` is not for items of `halves`, which have numbers to be predicted
      help: ask for `log_me`, `neighbours`, `cka`
    ");
}
