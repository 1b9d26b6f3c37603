//! What a run would do: told beforehand, and true.

use std::collections::BTreeSet;

use insta::assert_snapshot;

use crate::harness::{Backend, Study, rows};

fn study() -> Study {
    Study::new(
        "\
name: study
seeds: 2
vars: { steps: 20 }
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 50, test: 60 }
  pets:
    image_folder: { path: pets }
    split: { train: 0.6, val: 0.2, test: 0.2 }
stages:
  source:
    pretrain:
      dataset: digits
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: \"${steps}\"
      lr: 1e-2
  codes:
    extract: { model: source, dataset: pets, layers: dense1 }
  probe:
    linear_probe: { features: codes.dense1, c: \"${matrix.c}\" }
    matrix: { c: [0.1, 1] }
  floor:
    majority: { dataset: pets }
  scores:
    evaluate: { of: [probe, floor], metrics: [accuracy] }
",
    )
    .with_digits(300)
    .with_pets()
}

fn plan(study: &Study, more: &[&str]) -> String {
    let arguments =
        [&["plan", "study.yaml", "--runtime", "embedded", "--jobs", "2"], more].concat();
    let told = study.told(&arguments).succeeds();
    // How long it takes differs between machines.
    let time = regex::Regex::new(r"about .* on 2 cores.*|\b\d+ s\b").unwrap();
    time.replace_all(&told.to_string(), "TIME").into_owned()
}

#[test]
fn before_the_first_run_everything_is_new() {
    let study = study();
    assert_snapshot!(plan(&study, &["--seeds", "1"]), @"
    exit code 0
    --- standard output
    study · 10 nodes: 0 there already, 10 to do · TIME

      do    pixels of digits at 8×8×1  TIME  new
      then  source lr=0.01             TIME
      then  source                     TIME
      then  codes                      TIME
      then  probe[c=0.1]               TIME
      then  probe[c=1]                 TIME
      do    floor                      TIME  new
      then  scores of probe[c=0.1]     TIME
      then  scores of probe[c=1]       TIME
      then  scores of floor            TIME
    ");
    assert!(!study.path("results/study").exists(), "a plan leaves no results");
}

#[test]
fn after_a_run_there_is_nothing_to_do() {
    let study = study();
    study.run().succeeds();
    assert_snapshot!(plan(&study, &[]), @"
    exit code 0
    --- standard output
    study · 19 nodes: 19 there already, nothing to do

      there  pixels of digits at 8×8×1
      there  source lr=0.01 × 2
      there  source × 2
      there  codes × 2
      there  probe[c=0.1] × 2
      there  probe[c=1] × 2
      there  floor × 2
      there  scores of probe[c=0.1] × 2
      there  scores of probe[c=1] × 2
      there  scores of floor × 2
    ");
}

#[test]
fn what_has_changed_is_named_with_both_values() {
    let study = study();
    study.run().succeeds();
    study.draw_pet(3, 9);
    let only = ["--only", "probe[c=0.1]", "--only", "floor"];
    assert_snapshot!(plan(&study, &[&["--set", "steps=30"], &only[..]].concat()), @"
    exit code 0
    --- standard output
    study · 11 nodes: 1 there already, 10 to do · TIME

      there  pixels of digits at 8×8×1
      do     source lr=0.01 × 2         TIME  training.steps: 20 → 30
      then   source × 2                 TIME
      then   codes × 2                  TIME
      then   probe[c=0.1] × 2           TIME
      do     floor × 2                  TIME  content of the data set: 28d8604c → 4240ad74
    ");
}

#[test]
fn a_plan_tells_each_node_to_machines() {
    let study = study();
    let arguments = ["plan", "study.yaml", "--runtime", "embedded", "--json", "--seeds", "1"];
    let told = study.told(&arguments).succeeds();
    let plan: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    let nodes: Vec<String> = plan["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| format!("{} {} after {}", node["state"], node["label"], node["after"]))
        .collect();
    assert_snapshot!(nodes.join("\n"), @r#"
    "miss" "pixels of digits at 8×8×1" after []
    "later" "source lr=0.01 seed 0" after ["pixels of digits at 8×8×1"]
    "later" "source seed 0" after ["pixels of digits at 8×8×1","source lr=0.01 seed 0"]
    "later" "codes seed 0" after ["source seed 0"]
    "later" "probe[c=0.1] seed 0" after ["codes seed 0"]
    "later" "probe[c=1] seed 0" after ["codes seed 0"]
    "miss" "floor seed 0" after []
    "later" "scores of probe[c=0.1] seed 0" after ["probe[c=0.1] seed 0"]
    "later" "scores of probe[c=1] seed 0" after ["probe[c=1] seed 0"]
    "later" "scores of floor seed 0" after ["floor seed 0"]
    "#);
    assert!(plan["seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(plan["guessed"], true);
}

#[test]
fn a_verdict_by_resamples_is_thought_to_take_as_long_as_there_are_resamples() {
    let study = study();
    study.replace(
        "metrics: [accuracy] }\n",
        "metrics: [accuracy] }
  verdict:
    transfer: { of: scores, baseline: floor, resamples: \"${resamples}\" }
",
    );
    study.replace("vars: { steps: 20 }", "vars: { steps: 20, resamples: 0 }");
    let seconds = |resamples: usize| {
        let set = format!("resamples={resamples}");
        let arguments = ["plan", "study.yaml", "--runtime", "embedded", "--json", "--set", &set];
        let told = study.told(&arguments).succeeds();
        let plan: serde_json::Value = serde_json::from_str(&told.out).unwrap();
        let nodes = plan["nodes"].as_array().unwrap();
        let verdict = nodes.iter().find(|node| node["label"] == "verdict").unwrap();
        verdict["core_seconds"].as_f64().unwrap()
    };
    let [none, few, many, more] = [0, 10_000, 20_000, 30_000].map(seconds);
    assert!(none < few && few < many, "{none} {few} {many}");
    assert!(((more - many) / (many - few) - 1.0).abs() < 1e-9, "{few} {many} {more}");
}

#[test]
fn a_run_does_what_its_plan_said() {
    let study = study();
    study.run().succeeds();
    let changes = ["--set", "steps=30"];
    let arguments = [&["plan", "study.yaml", "--runtime", "embedded", "--json"], &changes[..]];
    let told = study.told(&arguments.concat()).succeeds();
    let plan: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    let nodes = plan["nodes"].as_array().unwrap();
    let mut expected: Vec<&str> = nodes
        .iter()
        .filter(|node| node["state"] != "hit")
        .map(|node| node["label"].as_str().unwrap())
        .collect();
    expected.sort_unstable();
    let worked = study.run_with(&Backend::Embedded, &changes).succeeds().worked();
    assert_eq!(worked, expected);
}

#[test]
fn only_a_stage_and_what_it_needs_is_done() {
    let study = study();
    let run = study.run_with(&Backend::Embedded, &["--only", "codes", "--seeds", "1"]);
    let run = run.succeeds();
    assert_eq!(
        run.worked(),
        ["codes seed 0", "pixels of digits at 8×8×1", "source lr=0.01 seed 0", "source seed 0"]
    );
    assert!(
        !study.path("results/study/latest").exists(),
        "a part of a study is not its latest run"
    );
    let rest = study.run_with(&Backend::Embedded, &["--seeds", "1"]).succeeds();
    assert_eq!(rest.done_and_hits().1, 4, "{rest}");
}

#[test]
fn a_stage_that_is_not_there_cannot_be_the_only_one() {
    let study = study();
    let told = study.told(&["study.yaml", "--only", "prob", "--only", "probe[c=3]"]);
    assert_eq!(told.code, Some(2));
    assert_snapshot!(told, @"
    exit code 2
    --- standard error
    error: --only prob: there is no such stage
      help: did you mean `probe`?

    error: --only probe[c=3]: there is no such stage
      help: did you mean `probe[c=1]`?

    2 problems
    ");
}

#[test]
fn a_limit_makes_a_small_study_that_says_so() {
    let study = study();
    let run =
        study.run_with(&Backend::Embedded, &["--limit", "12", "--seeds", "1", "--only", "scores"]);
    let folder = run.succeeds().says("at most 12 items of each part").folder(&study);
    let scores = rows(&folder, "scores");
    let sizes: BTreeSet<(&str, &str)> =
        scores.iter().map(|row| (row["n_train"].as_str(), row["n_items"].as_str())).collect();
    assert_eq!(sizes, BTreeSet::from([("12", "12")]));
    assert!(!study.path("results/study/latest").exists(), "a trial is not the latest run");
}

#[test]
fn a_limit_too_small_for_all_classes_is_refused() {
    let told = study().told(&["study.yaml", "--limit", "5"]);
    assert_eq!(told.code, Some(2));
    assert_snapshot!(told, @"
    exit code 2
    --- standard error
    error: data set `digits`: no item of class `2` is among 5 drawn
        study.yaml:7:12
     7 |     split: { train: 100, val: 50, test: 60 }
       |            ^^
      help: raise `--limit`

    1 problem
    ");
}
