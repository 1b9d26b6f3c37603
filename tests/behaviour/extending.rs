//! Lists of learning rates that grow where the best of them stands at an end.

use std::collections::{BTreeMap, BTreeSet};

use insta::assert_snapshot;

use crate::harness::{Backend, Study, rows, text};
use crate::interruption::Running;

/// Two arms that choose from the same list, and one that does not.
const STUDY: &str = "\
name: study
seeds: 3
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 60, test: 80 }
stages:
  source:
    pretrain:
      dataset: digits
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 30
      lr: 3e-2
  tuned:
    fine_tune: &arm { model: source, dataset: digits, steps: 20, lr: [1e-3, 3e-3] }
  scratch:
    fine_tune: { <<: *arm, init: random }
  frozen:
    fine_tune: { <<: *arm, freeze: all, lr: 1e-2 }
  scores:
    evaluate: { of: [tuned, frozen, scratch], metrics: [accuracy] }
  verdict:
    transfer: { of: scores, baseline: scratch, metric: accuracy, resamples: 0 }
";

fn study() -> Study {
    Study::new(STUDY).with_digits(300)
}

/// The tables that tell of arms, and of every trial.
fn tables(study: &Study) -> Vec<String> {
    let names = ["transfer.csv", "audit.csv", "scores.csv", "convergence.csv"];
    names.iter().map(|name| text(&study.latest(), name)).collect()
}

/// How many trials each arm may have had, arm and baseline of each pair.
fn trials(study: &Study) -> Vec<String> {
    let audit = rows(&study.latest(), "audit").into_iter().filter(|row| row["aspect"] == "trials");
    let told = |row: BTreeMap<String, String>| {
        ["arm", "of_arm", "baseline", "of_baseline"].map(|column| row[column].clone()).join(" ")
    };
    audit.map(told).collect()
}

/// The rates that a stage tried.
fn tried(study: &Study, stage: &str) -> String {
    let looks = rows(&study.latest(), "convergence");
    let own = looks.iter().filter(|row| row["stage"] == stage);
    let rates: BTreeSet<String> = own.map(|row| row["lr"].clone()).collect();
    rates.into_iter().collect::<Vec<_>>().join(" ")
}

fn flags(study: &Study, arm: &str) -> String {
    let found = rows(&study.latest(), "transfer").into_iter().find(|row| row["arm"] == arm);
    found.unwrap_or_else(|| panic!("there is no verdict on {arm}"))["flags"].clone()
}

#[test]
fn a_list_whose_best_is_its_last_grows_for_both_arms_alike() {
    for backend in Backend::all() {
        let study = study();
        let told = study.run_with(&backend, &[]).succeeds().to_string();
        let grown: Vec<&str> = told.lines().filter(|line| line.contains("try")).collect();
        let last = grown.last().unwrap_or(&"");
        assert!(grown.len() <= 2 && last.contains("`scratch` and `tuned` try"), "{told}");
        assert!(last.contains("is the largest of its list"), "{told}");
        let counts = trials(&study);
        let count = counts[0].split(' ').nth(1).unwrap_or_default().to_owned();
        let expected = 2 + 2 * grown.len();
        assert_eq!(count, expected.to_string(), "{told}");
        let same = format!("tuned {count} scratch {count}");
        assert_eq!(counts, [same, format!("frozen 1 scratch {count}")]);
        assert_eq!(tried(&study, "tuned"), tried(&study, "scratch"));
        assert_eq!(tried(&study, "frozen"), "0.01");
        // The best now lies inside, so there is nothing left to flag.
        assert!(!flags(&study, "tuned").contains("grid_edge"), "{}", flags(&study, "tuned"));
    }
}

#[test]
fn a_list_grows_twice_at_most_and_is_flagged_then() {
    let study = study();
    study.replace("[1e-3, 3e-3]", "[3e-6, 1e-5]");
    let told = study.run().succeeds().to_string();
    let grown: Vec<&str> = told.lines().filter(|line| line.contains("try")).collect();
    assert_snapshot!(grown.join("\n"), @"
    the best learning rate of `scratch` is the largest of its list, 0.00001: `scratch` and `tuned` try 0.00003 and 0.0001, too · 56 nodes
    the best learning rate of `scratch` is the largest of its list, 0.0001: `scratch` and `tuned` try 0.0003 and 0.001, too · 68 nodes
    ");
    assert_snapshot!(tried(&study, "scratch"), @"0.00001 0.00003 0.0001 0.0003 0.001 3e-6");
    assert_snapshot!(flags(&study, "tuned"), @"grid_edge;baseline_grid_edge");
    let record = text(&study.latest(), "run.json");
    assert!(record.contains("is the largest of its list"), "the record says why");
}

#[test]
fn again_all_is_there_and_as_many_jobs_as_may_be_come_to_the_same() {
    let study = study();
    study.run_with(&Backend::Embedded, &["--quiet", "--jobs", "1"]).succeeds();
    let expected = tables(&study);
    let again = study.run().succeeds();
    assert_eq!(again.done_and_hits().0, 0, "{again}");
    assert_eq!(tables(&study), expected);
    let plan = study.told(&["plan", "study.yaml", "--runtime", "embedded"]).succeeds();
    assert!(plan.out.contains("nothing to do"), "{plan}");
    let other = self::study();
    other.run_with(&Backend::Embedded, &["--quiet", "--jobs", "4"]).succeeds();
    assert_eq!(tables(&other), expected);
}

#[test]
fn a_list_that_was_lengthened_by_hand_finds_what_a_growing_one_left() {
    let study = study();
    study.run().succeeds();
    let rates = tried(&study, "scratch").replace(' ', ", ");
    study.replace("[1e-3, 3e-3]", &format!("[{rates}], extend_lr: false"));
    let again = study.run().succeeds();
    assert_eq!(again.done_and_hits().0, 0, "{again}");
}

#[test]
fn an_interrupted_run_is_taken_up_with_the_same_tables() {
    let undisturbed = study();
    undisturbed.run().succeeds();
    let moments: [(&str, &str); 3] = [
        ("before anything is known", "tuned lr=0.001 seed 0"),
        ("when lists have grown", "tuned lr=0.01 seed 1"),
        ("when one has chosen", "tuned seed 0"),
    ];
    for (when, label) in moments {
        let study = study();
        let mut running = Running::start(&study);
        running.wait_for(&|event| event["event"] == "done" && event["label"] == label);
        running.interrupt();
        study.run().succeeds();
        assert!(tables(&study) == tables(&undisturbed), "{when}");
    }
}

#[test]
fn a_plan_tells_what_lists_may_grow_by() {
    let study = study();
    let told = || study.told(&["plan", "study.yaml", "--runtime", "embedded"]).succeeds().out;
    let line = |out: String| out.lines().find(|line| line.starts_with("up to")).map(str::to_owned);
    // Two arms, three seeds, two rates at either end, twice.
    let expected = "up to 48 trials more, where the best learning rate of a list is at its end";
    assert_eq!(line(told()).as_deref(), Some(expected));
    study.run().succeeds();
    assert_eq!(line(told()), None);
    // What a protocol fills in stays as it was published.
    study.replace("steps: 20, lr: [1e-3, 3e-3]", "protocol: kornblith");
    assert_eq!(line(told()), None);
}

#[test]
fn a_study_that_grows_by_seeds_decides_on_lists_anew_each_time() {
    let growing = || {
        let study = study();
        study.replace("seeds: 3", "seeds: { until_decided: { first: 3, most: 4 } }");
        study
    };
    let alone = growing();
    alone.run_with(&Backend::Embedded, &["--quiet", "--jobs", "1"]).succeeds();
    assert_eq!(tried(&alone, "tuned"), tried(&alone, "scratch"));
    let resumed = growing();
    resumed.run_with(&Backend::Embedded, &["--quiet", "--seeds", "4"]).succeeds();
    resumed.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
    assert_eq!(tables(&alone), tables(&resumed));
    let again = resumed.run().succeeds();
    assert_eq!(again.done_and_hits().0, 0, "{again}");
}

#[test]
fn what_is_trained_on_a_model_that_is_chosen_grows_after_that_choice() {
    let study = study();
    let more = "  onward:
    fine_tune: &on { model: tuned, dataset: digits, steps: 10, lr: [1e-5, 3e-5] }
  onward_scratch:
    fine_tune: { <<: *on, init: random }
  onward_scores:
    evaluate: { of: [onward, onward_scratch], metrics: [accuracy] }
  onward_verdict:
    transfer: { of: onward_scores, baseline: onward_scratch, metric: accuracy, resamples: 0 }
";
    study.write("study.yaml", format!("{}{more}", study.pipeline()).as_bytes());
    let told = study.run_with(&Backend::Embedded, &["--jobs", "2"]).succeeds();
    let position = |words: &str| told.err.find(words).unwrap_or_else(|| panic!("{told}"));
    assert!(position("`scratch` and `tuned` try") < position("and `onward` try"));
    assert_eq!(tried(&study, "onward"), tried(&study, "onward_scratch"));
    assert!(tried(&study, "onward").contains("0.0003"), "{told}");
    let again = study.run().succeeds();
    assert_eq!(again.done_and_hits().0, 0, "{again}");
}

#[test]
fn lists_stay_as_they_are_where_both_arms_cannot_grow_alike() {
    let before = "tuned 2 scratch 2";
    let of = |from: &str, to: &str| {
        let study = study();
        study.replace("[1e-3, 3e-3]", "[3e-6, 1e-5]");
        study.replace(from, to);
        study.run().succeeds();
        assert!(flags(&study, "tuned").contains("grid_edge"), "{to}");
        trials(&study)[0].clone()
    };
    // Nobody asks for more.
    let plain = "lr: [3e-6, 1e-5] }";
    assert_eq!(of(plain, "lr: [3e-6, 1e-5], extend_lr: false }"), before);
    assert_eq!(of("init: random }", "init: random, extend_lr: false }"), before);
    // Another list, or a single rate, is not one that could grow alike.
    let other = of("init: random }", "init: random, lr: [1e-6, 1e-5] }");
    assert_eq!(other, before);
    assert_eq!(of("init: random }", "init: random, lr: 1e-5 }"), "tuned 2 scratch 1");
}

#[test]
fn a_stage_that_no_verdict_compares_keeps_its_list() {
    let study = study();
    let text = study.pipeline();
    let without = text.split("  verdict:").next().unwrap_or_default().to_owned();
    study.write("study.yaml", without.as_bytes());
    study.run().succeeds();
    assert_eq!(tried(&study, "tuned"), "0.001 0.003");
}
