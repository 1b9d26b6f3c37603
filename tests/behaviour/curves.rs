//! Curves: of errors over sizes, of freezing over depths, of trainings over their steps.

use std::collections::BTreeMap;

use insta::assert_snapshot;

use crate::harness::{Backend, Study, rows, text};

type Row = BTreeMap<String, String>;

fn number(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column} of {row:?}"))
}

/// Probes of pixels in double precision.
const SIZES: &str = "\
name: study
seeds: 5
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 250, val: 50, test: 200 }
stages:
  pixels:
    pixel_linear: &probe { dataset: digits, train_size: \"${matrix.k}\", c: 1e-1 }
    matrix: &sizes { k: [20, 40, 80, 160] }
  timid:
    pixel_linear: { <<: *probe, c: \"${matrix.c}\" }
    matrix: { c: [1e-5, 1e-4], k: [20, 40, 80, 160] }
  floor:
    majority: { dataset: digits }
  scores:
    evaluate: { of: [pixels, timid, floor], metrics: [accuracy] }
  curve:
    learning_curve: { of: scores, baseline: pixels, metric: accuracy, resamples: 200 }
";

fn study() -> Study {
    Study::new(SIZES).with_digits(600)
}

#[test]
fn a_learning_curve_is_over_the_items_really_trained_on() {
    let study = study();
    // No part has more than a hundred items, whatever the axis says.
    let told = study.run_with(&Backend::Embedded, &["--limit", "100"]).succeeds();
    let folder = told.folder(&study);
    assert_snapshot!(text(&folder, "learning_curve.csv").lines().next().unwrap(), @"stage,curve,arm,source,target,error,n,S,mean,sd,fitted,effective_n,transferred_n,multiplier");
    let table = rows(&folder, "learning_curve");
    let sizes: Vec<(String, f64)> =
        table.iter().map(|row| (row["curve"].clone(), number(row, "n"))).collect();
    let of = |name: &str| [20.0, 40.0, 80.0, 100.0].map(|n| (name.to_owned(), n));
    let expected = [of("pixels"), of("timid[c=0.00001]"), of("timid[c=0.0001]")].concat();
    assert_eq!(sizes, expected);
    let scores = rows(&folder, "scores");
    for row in &table {
        let own = scores
            .iter()
            .filter(|score| score["stage"] == row["arm"] && score["metric"] == "accuracy");
        let accuracies: Vec<f64> = own.map(|score| number(score, "value")).collect();
        let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
        assert!((number(row, "mean") - (1.0 - mean)).abs() < 1e-12);
        assert_eq!((row["S"].as_str(), row["error"].as_str()), ("5", "1 - accuracy"));
    }
    assert!(told.err.contains(
        "note: curve: no axis of `floor` is the number of items trained on, so it is no curve"
    ));
}

#[test]
fn what_a_fit_says_of_a_crossing_is_told_with_intervals_and_in_a_line() {
    let study = study();
    let told = study.run().succeeds();
    let folder = study.latest();
    assert_snapshot!(text(&folder, "crossover.csv").lines().next().unwrap(), @"stage,arm,baseline,source,target,error,S,sizes,n_min,n_max,a,a_lo,a_hi,b,b_lo,b_hi,c,c_lo,c_hi,n_star,n_star_lo,n_star_hi,below,above,agreement,second_crossing,flags,reason");
    let table = rows(&folder, "crossover");
    let arms: Vec<(&str, &str)> =
        table.iter().map(|row| (row["arm"].as_str(), row["baseline"].as_str())).collect();
    assert_eq!(
        arms,
        [("pixels", ""), ("timid[c=0.00001]", "pixels"), ("timid[c=0.0001]", "pixels")]
    );
    let sizes = rows(&folder, "learning_curve");
    for row in &table {
        let law = |n: f64| number(row, "a") + number(row, "b") * n.powf(-number(row, "c"));
        for size in sizes.iter().filter(|size| size["curve"] == row["arm"]) {
            assert!((number(size, "fitted") - law(number(size, "n"))).abs() < 1e-9);
        }
        assert!(number(row, "a_lo") <= number(row, "a_hi"));
        assert!(number(row, "c_lo") >= 0.05 && number(row, "c_hi") <= 2.0);
    }
    // So strong a penalty leaves no more than class means; it never overtakes.
    let timid = &table[1];
    assert_eq!(
        (timid["below"].as_str(), timid["above"].as_str()),
        ("behind", "behind"),
        "{timid:?}"
    );
    assert!(timid["n_star"].is_empty() && timid["flags"].contains("none_in_range"));
    told.says("1 - accuracy over the training items n · 5 seeds · pixels ")
        .says("  timid[c=0.00001]  behind at all sizes looked at, 20 to 160")
        .says("  n = 20 to 160 is fewer than 300 items, where seeds say little alone");
}

#[test]
fn the_smallest_settled_size_is_told_where_there_are_verdicts() {
    let study = study();
    study.replace(
        "  curve:\n",
        "  verdict:\n    transfer: { of: scores, baseline: pixels, metric: accuracy }\n  \
         curve:\n",
    );
    study.replace("of: [pixels, timid, floor]", "of: [pixels, timid]");
    study.run().succeeds().says("at no n is the verdict other than negative or open");
}

#[test]
fn fewer_than_five_seeds_have_no_intervals_and_three_sizes_no_rest() {
    let study = study();
    study.replace("&sizes { k: [20, 40, 80, 160] }", "{ k: [20, 40, 80] }");
    study.run_with(&Backend::Embedded, &["--seeds", "2"]).succeeds();
    let table = rows(&study.latest(), "crossover");
    assert_eq!(table[0]["a"], "0.0");
    assert!(table.iter().all(|row| row["a_lo"].is_empty() && row["flags"].contains("no_interval")));
}

#[test]
fn what_is_no_learning_curve_is_refused() {
    let study = study();
    study.replace("baseline: pixels,", "baseline: floor,");
    assert_snapshot!(study.refusal().problems(), @r#"
    error: `floor` is no learning curve: no axis of its matrix is the number of items that it is trained on
      help: write `train_size: "${matrix.n}"` and `matrix: { n: [25, 50, 100, 200, 400] }`
    "#);
    let study = self::study();
    study.replace("matrix: &sizes { k: [20, 40, 80, 160] }", "matrix: &sizes { k: [20, 40] }");
    assert_snapshot!(study.refusal().problems(), @"
    error: `pixels` is trained on 2 sizes, but a curve needs 3
      help: give it more sizes; 5 or more tell what is left at infinitely many items
    ");
    let study = self::study();
    study.replace("baseline: pixels, metric: accuracy", "baseline: timid, metric: acuracy");
    assert_snapshot!(study.refusal().problems(), @"
    error: `pixels` could go with 2 of `timid`: `timid[c=0.00001]`, `timid[c=0.0001]`
      help: choose one of them, as in `timid[c=0.00001]`, or give both the same axes
    error: `acuracy` cannot be used on items that have one class each
      help: did you mean `accuracy`?
    ");
}

/// The five arms at two depths, trained for a moment.
const DEPTHS: &str = "\
name: study
seeds: 3
datasets:
  low:
    csv: &digits { path: digits.csv, header: false, label: last, shape: [8, 8] }
    select: { classes: 0..=4 }
    split: { train: 100, val: 40, test: 60 }
  high:
    csv: *digits
    select: { classes: 5..=9 }
    split: { train: 100, val: 40, test: 60 }
stages:
  source:
    pretrain: &net
      dataset: low
      architecture: { plain_cnn: { channels: [4, 4], dense: 8 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 40
      lr: 1e-2
  start:
    pretrain: { <<: *net, dataset: high, steps: 0 }
  scratch:
    fine_tune: &tuned { model: start, dataset: high, init: random, steps: 40, lr: 1e-2 }
  bnb:
    fine_tune: &arm
      model: scratch
      dataset: high
      transfer_depth: \"${matrix.depth}\"
      freeze: \"${matrix.depth}\"
      steps: 20
      lr: 1e-2
    matrix: &depths { depth: [block1, block2] }
  bnb_plus:
    fine_tune: { <<: *arm, freeze: none }
    matrix: *depths
  anb:
    fine_tune: { <<: *arm, model: source }
    matrix: *depths
  anb_plus:
    fine_tune: { <<: *arm, model: source, freeze: none }
    matrix: *depths
  scores:
    evaluate: { of: [scratch, bnb, bnb_plus, anb, anb_plus], metrics: [accuracy] }
  freezing:
    freeze_sweep: { of: scores, base: scratch, frozen: anb, tuned: anb_plus, self_frozen: bnb, self_tuned: bnb_plus, metric: accuracy }
  rise:
    convergence: { of: [anb, anb_plus], baseline: scratch, resamples: 100 }
";

fn sweep() -> Study {
    Study::new(DEPTHS).with_digits(500)
}

fn mean_accuracy(scores: &[Row], stage: &str) -> f64 {
    let own = scores.iter().filter(|row| row["stage"] == stage && row["metric"] == "accuracy");
    let values: Vec<f64> = own.map(|row| number(row, "value")).collect();
    assert_eq!(values.len(), 3, "{stage}");
    values.iter().sum::<f64>() / 3.0
}

fn assert_each_effect_is_the_difference_of_its_arms(backend: &Backend) {
    let study = sweep();
    let told = study.run_with(backend, &[]).succeeds();
    let folder = study.latest();
    assert_eq!(
        text(&folder, "freeze_sweep.csv").lines().next(),
        Some(
            "stage,sweep,baseline,source,target,metric,S,base_score,depth,effect,estimate,se,df,ci_lo,ci_hi,p,p_holm,p_beyond,p_beyond_holm,eps,shows,within_rope,dip,reason"
        )
    );
    let table = rows(&folder, "freeze_sweep");
    let scores = rows(&folder, "scores");
    assert_eq!(table.len(), 12);
    for row in &table {
        let at = |stage: &str| mean_accuracy(&scores, &format!("{stage}[depth={}]", row["depth"]));
        let base = mean_accuracy(&scores, "scratch");
        let expected = match row["effect"].as_str() {
            "coadapt" => base - at("bnb"),
            "specificity" => at("bnb") - at("anb"),
            "loss" => base - at("anb"),
            "recovery" => at("anb_plus") - at("anb"),
            "gain" => at("anb_plus") - at("bnb_plus"),
            "retraining" => at("bnb_plus") - base,
            other => panic!("{other}"),
        };
        assert!((number(row, "estimate") - expected).abs() < 1e-12, "{row:?}");
        assert!(number(row, "ci_lo") <= expected && expected <= number(row, "ci_hi"));
        assert!(number(row, "p_holm") >= number(row, "p"));
        assert_eq!((row["sweep"].as_str(), row["baseline"].as_str()), ("anb", "scratch"));
        // One of sixty test items.
        assert!((number(row, "eps") - 1.0 / 60.0).abs() < 1e-12);
    }
    told.says("study · freezing in anb · 3 seeds · accuracy · scratch ")
        .says("  depth   loss    co-adaptation  specificity  gain if tuned");
}

#[test]
fn effects_of_freezing_are_differences_of_arms_on_the_embedded_backend() {
    assert_each_effect_is_the_difference_of_its_arms(&Backend::Embedded);
}

#[test]
fn effects_of_freezing_are_differences_of_arms_on_the_library() {
    let Some(library) = Backend::library() else { return };
    assert_each_effect_is_the_difference_of_its_arms(&library);
}

#[test]
fn without_the_selffer_the_loss_is_told_and_the_rest_says_why_not() {
    let study = sweep();
    study.replace(" tuned: anb_plus, self_frozen: bnb, self_tuned: bnb_plus,", "");
    study.replace("of: [scratch, bnb, bnb_plus, anb, anb_plus]", "of: [scratch, anb]");
    let told = study.run_with(&Backend::Embedded, &["--only", "freezing"]).succeeds();
    let table = rows(&told.folder(&study), "freeze_sweep");
    let told_of = |row: &Row| format!("{} {}", row["effect"], row["reason"]);
    let first: Vec<String> = table[..6].iter().map(told_of).collect();
    assert_snapshot!(first.join("\n"), @"
    coadapt there is no arm `self_frozen` at this depth
    specificity there is no arm `self_frozen` at this depth
    loss 
    recovery there is no arm `tuned` at this depth
    gain there is no arm `tuned` at this depth
    retraining there is no arm `self_tuned` at this depth
    ");
    assert!(table[0]["estimate"].is_empty() && !table[2]["estimate"].is_empty());
    told.says("co-adaptation and specificity are told apart by `self_frozen` alone");
}

#[test]
fn arms_that_are_not_those_of_the_design_are_refused() {
    let study = sweep();
    study.replace(
        "fine_tune: { <<: *arm, model: source }",
        "fine_tune: { <<: *arm, model: source, transfer_depth: all }",
    );
    assert_snapshot!(study.refusal().problems(), @"
    error: `anb[depth=block1]` takes over all of its model and freezes block1
      help: write the same depth at `transfer_depth` and at `freeze`
    ");
    let study = sweep();
    study.replace("      model: scratch\n", "      model: start\n");
    assert_snapshot!(study.refusal().problems(), @"
    error: `bnb[depth=block1]` starts from `start`, not from `scratch`
      help: write `model: scratch`: it is to keep what the baseline itself has learnt
    ");
    let study = sweep();
    study.replace("tuned: anb_plus, self_frozen", "tuned: anb, self_frozen");
    assert_snapshot!(study.refusal().problems(), @"
    error: `anb[depth=block1]` takes over block1 of its model and freezes block1
      help: write a depth at `transfer_depth`, and leave `freeze` out
    ");
}

fn assert_gains_are_those_of_the_curves(backend: &Backend) {
    let study = sweep();
    let told = study.run_with(backend, &[]).succeeds();
    let folder = study.latest();
    assert_eq!(
        text(&folder, "trifecta.csv").lines().next(),
        Some(
            "stage,arm,baseline,source,target,score,S,horizon,jumpstart,jumpstart_lo,jumpstart_hi,slope,slope_lo,slope_hi,slope_baseline,slope_baseline_lo,slope_baseline_hi,asymptote,asymptote_lo,asymptote_hi,asymptotic_gain,asymptotic_gain_lo,asymptotic_gain_hi,area_ratio,area_ratio_lo,area_ratio_hi,area_ratio_above_guessing,area_ratio_above_guessing_lo,area_ratio_above_guessing_hi"
        )
    );
    let curves = rows(&folder, "convergence");
    let starts = |stage: &str| -> Vec<f64> {
        let own = curves.iter().filter(|row| row["stage"] == stage && row["step"] == "0");
        own.map(|row| number(row, "val_balanced_accuracy")).collect()
    };
    let table = rows(&folder, "trifecta");
    assert_eq!(table.len(), 4);
    for row in &table {
        let (own, base) = (starts(&row["arm"]), starts("scratch"));
        assert_eq!(
            (own.len(), base.len()),
            (3, 3),
            "every training is looked at before its first step"
        );
        let gained = own.iter().zip(&base).map(|(own, base)| own - base).sum::<f64>() / 3.0;
        assert!((number(row, "jumpstart") - gained).abs() < 1e-12, "{row:?}");
        assert_eq!(row["horizon"], "20.0");
    }
    assert_eq!(
        text(&folder, "time_to_threshold.csv").lines().next(),
        Some(
            "stage,arm,baseline,score,S,share,level,steps,steps_lo,steps_hi,not_within,items,seconds_warm,seconds_cold,seconds_reason,joules_warm,joules_cold,joules_scope,joules_source,joules_reason,baseline_steps,baseline_steps_lo,baseline_steps_hi,baseline_not_within,baseline_items,baseline_seconds_warm,baseline_seconds_cold,baseline_seconds_reason,baseline_joules_warm,baseline_joules_cold,baseline_joules_scope,baseline_joules_source,baseline_joules_reason,speed_up,speed_up_lo,speed_up_hi"
        )
    );
    let times = rows(&folder, "time_to_threshold");
    assert_eq!(times.len(), 12);
    for row in &times {
        assert_ne!(row["steps"].is_empty(), row["not_within"].is_empty(), "{row:?}");
        if !row["steps"].is_empty() {
            assert!((number(row, "items") - 32.0 * number(row, "steps")).abs() < 1e-9);
        }
        let share: f64 = number(row, "share");
        let expected =
            times.iter().find(|other| other["arm"] == row["arm"]).map(|o| number(o, "level") / 0.9);
        assert!((number(row, "level") - share * expected.unwrap()).abs() < 1e-12);
    }
    told.says("study · balanced accuracy on val over the steps · 3 seeds");
}

#[test]
fn gains_of_a_training_are_those_of_its_curve_on_the_embedded_backend() {
    assert_gains_are_those_of_the_curves(&Backend::Embedded);
}

#[test]
fn gains_of_a_training_are_those_of_its_curve_on_the_library() {
    let Some(library) = Backend::library() else { return };
    assert_gains_are_those_of_the_curves(&library);
}

#[test]
fn what_does_not_train_in_steps_has_no_rise() {
    let study = study();
    study.replace(
        "  curve:\n    learning_curve: { of: scores, baseline: pixels, metric: accuracy, resamples: 200 }\n",
        "  rise:\n    convergence: { of: timid, baseline: floor }\n",
    );
    assert_snapshot!(study.refusal().problems(), @"
    error: `timid` does not train in steps
      help: name `fine_tune` or `pretrain` stages
    error: `floor` does not train in steps
      help: name `fine_tune` or `pretrain` stages
    ");
    let study = sweep();
    study.replace(
        "convergence: { of: [anb, anb_plus], baseline: scratch",
        "convergence: { of: source, baseline: scratch",
    );
    assert_snapshot!(study.refusal().problems(), @"
    error: `source` is trained on `low`, but its baseline on `high`
      help: compare trainings on the same data set
    ");
}

#[test]
fn the_same_file_gives_the_same_curves_whatever_the_number_of_jobs() {
    let tables = |jobs: &str| {
        let study = study();
        study.run_with(&Backend::Embedded, &["--jobs", jobs]).succeeds();
        ["learning_curve.csv", "crossover.csv"].map(|name| text(&study.latest(), name))
    };
    assert_eq!(tables("1"), tables("2"));
}
