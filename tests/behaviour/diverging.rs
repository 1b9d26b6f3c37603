//! Training that goes wrong: told in words, counted as the rules of the verdict say, and no harm to
//! other stages.

use insta::assert_snapshot;

use crate::harness::{Backend, Study, masked_scores, rows};

/// Trains two arms and a baseline, which learn well at `lr`.
fn study() -> Study {
    Study::new(
        "\
name: study
seeds: 3
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 50, test: 60 }
stages:
  source:
    pretrain: &training
      dataset: digits
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 40
      lr: 3e-2
  tuned:
    fine_tune: { model: source, dataset: digits, steps: 40, lr: 3e-2 }
  scratch:
    fine_tune: { model: source, init: random, dataset: digits, steps: 40, lr: 2e-2 }
  scores:
    evaluate: { of: [tuned, scratch], metrics: [accuracy] }
  verdict:
    transfer: { of: scores, baseline: scratch, metric: accuracy }
",
    )
    .with_digits(300)
}

/// A rate at which weights leave the range of numbers in a few steps.
const FAR_TOO_LARGE: &str = "1000000000000";

fn with_tuned_at(rates: &str) -> Study {
    let study = study();
    study.replace("steps: 40, lr: 3e-2", &format!("steps: 40, lr: {rates}"));
    study
}

#[test]
fn training_that_diverges_at_every_rate_fails_its_stage_and_spares_the_others() {
    let study = with_tuned_at(FAR_TOO_LARGE);
    study.replace("seeds: 3", "seeds: 1");
    assert_snapshot!(masked_scores(&study.run().fails().to_string()), @"
    exit code 1
    --- standard output

    study · 1 seed × 60 test items · accuracy · scratch #.###

      arm    Δ scratch  95 % interval  verdict
      tuned  −#.###                    ? cannot tell yet: fewer than 3 seeds

    tables in results/study/RUN
    --- standard error
    study · run RUN · 10 nodes · RUNTIME
    [·/10] error: `tuned seed 0` failed to train with seed 0: at lr 1000000000000 the loss became NaN at step 2
      help: take smaller values of `lr`, set `clip: 1`, or check the model's input rule
    [·/10] pixels of digits at 8×8×1 · TIME
    [·/10] scores of scratch seed 0 · TIME
    [·/10] scratch lr=0.02 seed 0 · TIME
    [·/10] scratch seed 0 · TIME
    [·/10] skipped `scores of tuned seed 0`, because `tuned seed 0` failed
    [·/10] source lr=0.03 seed 0 · TIME
    [·/10] source seed 0 · TIME
    [·/10] tuned lr=1000000000000 seed 0 · TIME
    [·/10] verdict · TIME
    warning: tuned lr=1000000000000 seed 0: diverged at lr 1000000000000: the loss was NaN at step 2
    8 done, 0 were there already, 1 failed, 1 skipped · TIME
    ");
}

#[test]
fn an_arm_that_diverged_counts_as_the_majority_class_in_the_verdict() {
    let study = with_tuned_at(FAR_TOO_LARGE);
    let told = study.run().fails();
    let verdict = rows(&told.folder(&study), "transfer");
    let [row] = &verdict[..] else { panic!("one arm has one row: {verdict:?}") };
    assert_eq!(row["arm"], "tuned");
    assert_eq!(row["S"], "3", "a seed that diverged is not missing");
    let number = |column: &str| -> f64 { row[column].parse().unwrap() };
    // A mean over seeds of the same number rounds.
    assert!((number("m_transfer") - number("m_majority")).abs() < 1e-12, "{row:?}");
    assert!(row["flags"].split(';').any(|flag| flag == "diverged"), "{}", row["flags"]);
}

#[test]
fn arms_that_both_diverged_are_equal_and_not_missing() {
    let study = with_tuned_at(FAR_TOO_LARGE);
    study.replace("lr: 2e-2", &format!("lr: {FAR_TOO_LARGE}"));
    study.replace("of: [tuned, scratch]", "of: [tuned, scratch, floor]");
    study.replace("  scores:\n", "  floor:\n    majority: { dataset: digits }\n  scores:\n");
    let told = study.run().fails();
    let verdict = rows(&told.folder(&study), "transfer");
    let tuned = verdict.iter().find(|row| row["arm"] == "tuned").unwrap();
    assert_eq!(tuned["S"], "3", "a seed that diverged is not missing: {tuned:?}");
    assert_eq!(tuned["delta"], "0.0");
    assert!(tuned["reason"].contains("invalid_baseline"), "{tuned:?}");
}

#[test]
fn one_of_several_rates_that_diverges_is_a_warning() {
    let study = with_tuned_at(&format!("[3e-2, {FAR_TOO_LARGE}]"));
    let mut told = study.run().succeeds();
    for seed in 0..3 {
        let rate = FAR_TOO_LARGE;
        told = told.says(&format!(
            "warning: tuned lr={rate} seed {seed}: diverged at lr {rate}: the loss"
        ));
    }
    let verdict = rows(&study.latest(), "transfer");
    assert_eq!(verdict[0]["lr_head"], "0.03");
    assert!(!verdict[0]["flags"].contains("diverged"), "{}", verdict[0]["flags"]);
}

#[test]
fn a_smaller_rate_repairs_a_study_that_diverged() {
    let study = with_tuned_at(FAR_TOO_LARGE);
    study.run().fails();
    study.replace(FAR_TOO_LARGE, "3e-2");
    let told = study.run().succeeds();
    let worked = told.worked();
    assert!(worked.iter().all(|label| !label.contains("source")), "{worked:?}");
    assert!(worked.iter().any(|label| label == "tuned seed 0"), "{worked:?}");
}

#[test]
fn whatever_was_to_be_made_of_a_base_that_diverged_is_skipped_with_its_name() {
    let study = study();
    study.replace("      lr: 3e-2\n", &format!("      lr: {FAR_TOO_LARGE}\n"));
    let told = study.run().fails();
    told.says("skipped `tuned seed 0`, because `source seed 0` failed")
        .says("skipped `scores of tuned seed 0`, because `source seed 0` failed");
}

#[test]
fn an_arm_whose_base_diverged_is_missing_and_scratch_is_trained_all_the_same() {
    let study = study();
    study.replace("      lr: 3e-2\n", &format!("      lr: {FAR_TOO_LARGE}\n"));
    let told = study.run().fails().says("scratch seed 0 · ");
    let verdict = rows(&told.folder(&study), "transfer");
    assert_eq!(verdict[0]["arm"], "tuned");
    assert_eq!(verdict[0]["S"], "0", "what was never trained did not diverge: {verdict:?}");
    assert!(verdict[0]["reason"].contains("missing"), "{verdict:?}");
}

/// Values of pixels are so large that scores differ by hundreds, which is no fault.
fn study_of_large_scores() -> Study {
    let study = study();
    study.replace("scale: 16", "scale: 0.001");
    study.replace("of: [tuned, scratch]", "of: [source, tuned, scratch]");
    study
}

/// Trains long enough to learn all training items by heart, as people do.
fn study_of_long_training() -> Study {
    let study = study();
    study.replace("steps: 40, lr: 3e-2", "steps: 3000, lr: 1e-2, patience: 0");
    study
}

#[test]
fn what_is_learnt_by_heart_has_not_diverged_on_the_embedded_backend() {
    study_of_long_training().run().succeeds().never_says("diverged");
}

#[test]
fn what_is_learnt_by_heart_has_not_diverged_on_the_library() {
    let Some(library) = Backend::library() else { return };
    study_of_long_training().run_with(&library, &[]).succeeds().never_says("diverged");
}

#[test]
fn a_network_that_is_sure_of_itself_has_not_diverged_on_the_embedded_backend() {
    study_of_large_scores().run().succeeds().never_says("diverged");
}

#[test]
fn a_network_that_is_sure_of_itself_has_not_diverged_on_the_library() {
    let Some(library) = Backend::library() else { return };
    study_of_large_scores().run_with(&library, &[]).succeeds().never_says("diverged");
}
