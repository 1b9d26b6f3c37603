//! Scores before training: what they are computed from, where they are shown, and when they stand.

use std::collections::BTreeSet;

use insta::assert_snapshot;

use crate::harness::{Study, rows, text};

/// One layer with everything that can be given beside it.
fn study() -> Study {
    Study::new(
        "\
name: study
seeds: 2
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
      lr: 1e-2
  probe:
    linear_probe: { features: codes.dense1, c: [0.1, 1] }
  tuned:
    fine_tune: { model: source, dataset: pets, freeze: all, steps: 10, lr: 1e-2 }
  codes:
    extract: { model: source, dataset: pets, layers: [dense1, logits] }
  noise:
    extract: { model: source, dataset: pets, layers: dense1, init: random }
  digit_codes:
    extract: { model: source, dataset: digits, layers: dense1 }
  scores:
    evaluate: { of: [probe, tuned], metrics: [accuracy] }
  before:
    transferability:
      of: codes.dense1
      random: noise.dense1
      source: codes.logits
      other: digit_codes.dense1
",
    )
    .with_digits(300)
    .with_pets()
}

#[test]
fn every_score_stands_in_the_table_with_what_it_is_to_be_read_beside() {
    let study = study();
    study.run().succeeds();
    let table = text(&study.latest(), "transferability.csv");
    assert_snapshot!(table.lines().next().unwrap(), @"stage,features,source,target,seed,score,better,value,on_random,difference,null,p,deviation,n,D,classes,remark,seconds,sealed,digest");
    let rows = rows(&study.latest(), "transferability");
    let told = |row: &std::collections::BTreeMap<String, String>| {
        let has = |column: &'static str| if row[column].is_empty() { "–" } else { column };
        let columns = ["value", "on_random", "null", "p", "deviation"].map(has);
        format!("{} {}: {}", row["score"], row["better"], columns.join(" "))
    };
    let first: Vec<String> = rows.iter().filter(|row| row["seed"] == "0").map(told).collect();
    assert_snapshot!(first.join("\n"), @"
    nce higher: value – – – –
    leep higher: value – – – –
    leep_share higher: value – – – –
    n_leep higher: value on_random – – deviation
    log_me higher: value on_random – – –
    h_score higher: value on_random – – –
    h_score_shrunk higher: value on_random – – –
    trans_rate higher: value on_random – – –
    gbc higher: value on_random – – –
    gbc_diagonal higher: value on_random – – –
    sfda higher: value on_random – – –
    parc higher: value on_random – – –
    neighbours_1 higher: value on_random – – –
    neighbours_5 higher: value on_random – – –
    neighbours_20 higher: value on_random – – –
    neighbours_1_cosine higher: value on_random – – –
    neighbours_5_cosine higher: value on_random – – –
    neighbours_20_cosine higher: value on_random – – –
    cka higher: value on_random – – –
    cka_biased higher: value on_random – – –
    proxy_a lower: value – null – –
    mmd lower: value – null p –
    frechet lower: value – null – –
    coral lower: value – null – –
    sliced_wasserstein lower: value – null – –
    sliced_wasserstein_2 lower: value – null – –
    ");
    for row in &rows {
        assert_eq!(
            (row["n"].as_str(), row["D"].as_str(), row["classes"].as_str()),
            ("36", "8", "2")
        );
        assert!(row["seconds"].parse::<f64>().unwrap() >= 0.0);
        assert!(row["sealed"].ends_with('Z') && row["digest"].len() == 64, "{row:?}");
        if let (Ok(value), Ok(random)) =
            (row["value"].parse::<f64>(), row["on_random"].parse::<f64>())
        {
            let difference: f64 = row["difference"].parse().unwrap();
            assert!((difference - (value - random)).abs() < 1e-12, "{row:?}");
        }
    }
    let digests: BTreeSet<&String> = rows.iter().map(|row| &row["digest"]).collect();
    assert_eq!(digests.len(), 2, "one digest for each seed");
}

#[test]
fn scores_are_told_at_the_end_before_all_others() {
    let study = study();
    let told = study.run().succeeds();
    told.says("study · codes.dense1 for pets before training · 36 items × 8 features");
    study.replace(
        "      random: noise.dense1\n      source: codes.logits\n      other: digit_codes.dense1\n",
        "      scores: [log_me, sfda]\n",
    );
    let told = study.run().succeeds();
    let numbers = regex::Regex::new(r"[+−]\d+\.\d{3}").unwrap();
    let shown = told.out.split("\n\nstudy · mean").next().unwrap();
    assert_snapshot!(numbers.replace_all(shown, "#.###"), @"
    study · codes.dense1 for pets before training · 36 items × 8 features

      score   value
      log_me  #.###
      sfda    #.###
    ");
}

#[test]
fn whoever_predicts_for_the_same_target_begins_after_the_scores_stand() {
    let study = study();
    let told = study.run_with(&crate::harness::Backend::Embedded, &["--jobs", "2"]).succeeds();
    let done = |label: &str| {
        told.err.lines().position(|line| line.contains(&format!("] {label} · "))).unwrap()
    };
    for stage in ["probe", "tuned"] {
        for seed in ["seed 0", "seed 1"] {
            let after = done(&format!("{stage} {seed}"));
            assert!(done(&format!("before of codes.dense1 {seed}")) < after);
            assert!(done(&format!("before of codes.dense1 on random weights {seed}")) < after);
        }
    }
}

#[test]
fn a_second_run_finds_the_scores_sealed() {
    let study = study();
    study.run().succeeds();
    let sealed = text(&study.latest(), "transferability.csv");
    let again = study.run_with(&crate::harness::Backend::Embedded, &["--jobs", "1"]).succeeds();
    assert_eq!(again.done_and_hits().0, 0);
    assert_eq!(text(&study.latest(), "transferability.csv"), sealed);
}

#[test]
fn scores_are_the_same_on_any_number_of_cores() {
    let digests = |jobs: &str| {
        let study = study();
        study.run_with(&crate::harness::Backend::Embedded, &["--jobs", jobs]).succeeds();
        let rows = rows(&study.latest(), "transferability");
        rows.into_iter().map(|row| row["digest"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(digests("1"), digests("3"));
}

#[test]
fn what_cannot_be_scored_is_refused_with_a_way_out() {
    let refused = |from: &str, to: &str| {
        let study = study();
        study.replace(from, to);
        study.refusal().problems()
    };
    let whole = "      other: digit_codes.dense1\n";
    assert_snapshot!(refused(whole, &format!("{whole}      scores: [logme, nce]\n")), @"
    error: no score is called `logme`
      help: did you mean `log_me`?
    ");
    assert_snapshot!(refused(whole, "      scores: [mmd]\n"), @"
    error: `mmd` is computed from `other`
      help: write `other:` with a layer
    ");
    assert_snapshot!(refused("random: noise.dense1", "random: [noise.dense1, noise.dense1]"), @"
    error: `of` names 1 layers, but `random` names 2
      help: write one for each, in the same order
    ");
    assert_snapshot!(refused("random: noise.dense1", "random: codes.dense1"), @"
    error: `random` beside `codes.dense1` is not the same layer of the same model for the same data set with `init: random`
      help: features are compared item by item and feature by feature: name layers that have both
    ");
    assert_snapshot!(refused("other: digit_codes.dense1", "other: codes.logits"), @"
    error: `other` beside `codes.dense1` is not the same layer of the same model
      help: features are compared item by item and feature by feature: name layers that have both
    ");
    assert_snapshot!(refused("of: codes.dense1", "of: source"), @"
    error: `source` has no features
      help: features come from an `extract`, `pixels` or `concat` stage, as in `codes.gap`
    ");
}

#[test]
fn a_probe_on_random_weights_is_an_arm_of_its_own() {
    let study = study();
    study.replace("features: codes.dense1", "features: noise.dense1");
    study.run().succeeds();
    let scores = rows(&study.latest(), "scores");
    let probe: Vec<_> = scores.iter().filter(|row| row["stage"] == "probe").collect();
    assert_eq!(probe.len(), 2 + 2 * 4, "a value and four by class for each seed");
}

/// Two models, scored before and probed after.
fn two_models() -> Study {
    Study::new(
        "\
name: study
seeds: 2
datasets:
  pets:
    image_folder: { path: pets }
    split: { train: 0.6, val: 0.2, test: 0.2 }
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 50, test: 60 }
stages:
  near:
    pretrain: &small
      dataset: pets
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 20
      lr: 1e-2
  far:
    pretrain:
      <<: *small
      dataset: digits
  codes:
    extract: { model: \"${matrix.base}\", dataset: pets, layers: dense1 }
    matrix: { base: [near, far] }
  before:
    transferability:
      of: [\"codes[base=near].dense1\", \"codes[base=far].dense1\"]
      scores: [log_me, cka]
  probe:
    linear_probe: { features: \"codes[base=${matrix.base}].dense1\", c: 1 }
    matrix: { base: [near, far] }
  scores:
    evaluate: { of: [probe], metrics: [accuracy, log_loss] }
",
    )
    .with_digits(300)
    .with_pets()
}

#[test]
fn what_is_said_once_the_arms_were_scored_is_told_and_goes_on_no_record() {
    let study = two_models();
    study.replace("[accuracy, log_loss]", "[balanced_accuracy]");
    study.run().succeeds();
    let in_time = |score: &str| {
        let judged = rows(&study.latest(), "judged");
        let found = judged.into_iter().find(|row| row["score"] == score);
        found.map(|row| row["in_time"].clone()).unwrap_or_default()
    };
    let record = || {
        let path = study.path("results/.store/v1/journals/scores.jsonl");
        std::fs::read_to_string(path).unwrap_or_default()
    };
    assert_eq!(in_time("log_me"), "true");
    let before = record();
    assert!(before.contains("log_me"), "{before}");
    study.replace("scores: [log_me, cka]", "scores: [log_me, cka, gbc]");
    study.run().succeeds();
    assert_eq!([in_time("log_me"), in_time("gbc")], ["false", "false"]);
    assert_eq!(record(), before);
    // Of arms that nobody has scored, it is said in time again.
    study.replace("c: 1 }", "c: 0.5 }");
    study.run().succeeds();
    assert_eq!(in_time("gbc"), "true");
    assert!(record().contains("gbc"));
}

#[test]
fn scores_are_judged_by_what_happened() {
    let study = two_models();
    study.run().succeeds();
    let judged = rows(&study.latest(), "judged");
    let about = |row: &std::collections::BTreeMap<String, String>| {
        let columns = ["stage", "target", "score", "reading", "kind", "metric", "better", "models"];
        columns.map(|column| row[column].as_str()).join(" ")
    };
    assert_snapshot!(judged.iter().map(about).collect::<Vec<_>>().join("\n"), @"
    before pets cka value linear_probe accuracy higher 2
    before pets cka value linear_probe log_loss lower 2
    before pets cka_biased value linear_probe accuracy higher 2
    before pets cka_biased value linear_probe log_loss lower 2
    before pets log_me value linear_probe accuracy higher 2
    before pets log_me value linear_probe log_loss lower 2
    ");
    for row in judged {
        let regret: f64 = row["regret"].parse().unwrap();
        assert!(regret >= 0.0, "{row:?}");
        let is_right = row["chosen"] == row["best"];
        assert!(!is_right || regret == 0.0, "{row:?}");
        // Of two models, all or nothing.
        assert!(["1.0", "-1.0", ""].contains(&row["weighted_tau"].as_str()), "{row:?}");
    }
}

#[test]
fn how_far_scores_agree_on_the_order_of_features_is_told() {
    let study = study();
    study.replace("layers: [dense1, logits]", "layers: [block1, dense1, logits]");
    study.replace(
        "      of: codes.dense1
      random: noise.dense1
      source: codes.logits
      other: digit_codes.dense1
",
        "      of: [codes.block1, codes.dense1, codes.logits]
      scores: [log_me, parc]
",
    );
    let told = study.run().succeeds();
    let table = rows(&study.latest(), "transferability");
    let features = ["codes.block1", "codes.dense1", "codes.logits"];
    // Means over seeds; the rank of each is the number of features that are no better.
    let ranks = |score: &str| {
        let mean = |of: &str| -> f64 {
            let own = table.iter().filter(|row| row["features"] == of && row["score"] == score);
            own.map(|row| row["value"].parse::<f64>().unwrap()).sum()
        };
        let values = features.map(mean);
        values.map(|value| values.iter().filter(|other| **other <= value).count() as f64)
    };
    let (one, other) = (ranks("log_me"), ranks("parc"));
    let spread: f64 = one.iter().zip(other).map(|(a, b)| (a + b - 4.0).powi(2)).sum();
    // 12 S / (m² (n³ − n)) of two scores and three features.
    let expected = 12.0 * spread / (4.0 * 24.0);
    let agreement = &rows(&study.latest(), "agreement")[0];
    assert_eq!((agreement["target"].as_str(), agreement["features"].as_str()), ("pets", "3"));
    assert_eq!(agreement["scores"], "log_me;parc");
    let found: f64 = agreement["kendall_w"].parse().unwrap();
    assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    told.says(&format!("2 scores agree by W = {found:.2} on the order of 3 features for pets"));
}
