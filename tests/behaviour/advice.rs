//! Advice before training: what it rests on, when it stands, what it was worth, and the record of
//! that over runs.

use std::collections::BTreeMap;

use insta::assert_snapshot;

use crate::harness::{Backend, Study, rows, text};

/// Digits 5 to 9 for a network that knows 0 to 4.
fn study() -> Study {
    Study::new(
        "\
name: study
seeds: 3
datasets:
  known:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    select: { rows: 0..400, classes: 0..=4 }
    split: { train: 120, val: 30, test: 30 }
  fresh:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    select: { rows: 400..900, classes: 5..=9 }
    split: { train: 60, val: 30, test: 120 }
stages:
  source:
    pretrain:
      dataset: known
      architecture: { plain_cnn: { channels: 4, dense: 16 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 150
      lr: 1e-2
  codes:
    extract: { model: source, dataset: fresh, layers: [block1, dense1, logits] }
  noise:
    extract: { model: source, dataset: fresh, layers: [block1, dense1], init: random }
  theirs:
    extract: { model: source, dataset: known, layers: [block1, dense1] }
  before:
    transferability:
      of: [codes.block1, codes.dense1]
      random: [noise.block1, noise.dense1]
      source: [codes.logits, codes.logits]
      other: [theirs.block1, theirs.dense1]
      scores: [leep, log_me, proxy_a, mmd]
  advice:
    advise: { of: before, arms: [probe, tuned, scratch, floor] }
  probe:
    linear_probe: { features: \"codes.${matrix.layer}\", c: 1 }
    matrix: { layer: [block1, dense1] }
  tuned:
    fine_tune: { model: source, dataset: fresh, freeze: \"${matrix.freeze}\", steps: 40, lr: 1e-2 }
    matrix: { freeze: [none, block1] }
  scratch:
    fine_tune: { model: source, init: random, dataset: fresh, steps: 40, lr: 1e-2 }
  floor:
    majority: { dataset: fresh }
  scores:
    evaluate: { of: [probe, tuned, scratch, floor], metrics: [balanced_accuracy] }
  verdict:
    transfer: { of: scores, baseline: scratch, metric: balanced_accuracy, resamples: 0 }
",
    )
    .with_digits(900)
}

type Row = BTreeMap<String, String>;

fn number(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("no number in {column} of {row:?}"))
}

fn masked(text: &str) -> String {
    let number = regex::Regex::new(r"−?\d+\.\d{2,3}\b").unwrap();
    number.replace_all(text, "#").into_owned()
}

#[test]
fn advice_stands_with_its_numbers_before_anything_is_trained() {
    for backend in Backend::all() {
        let study = study();
        let told = study.run_with(&backend, &["--jobs", "2"]).succeeds();
        let rows = rows(&study.latest(), "advice");
        assert_eq!(rows.len(), 6);
        let ranks: Vec<&str> = rows.iter().map(|row| row["rank"].as_str()).collect();
        assert_eq!(ranks, ["1", "2", "3", "4", "5", "6"]);
        // Between all tuned and all frozen lies what freezes one of two layer groups.
        let chances = ["tuned[freeze=none]", "tuned[freeze=block1]", "probe[layer=block1]"]
            .map(|arm| rows.iter().find(|row| row["arm"] == arm).unwrap()["p_neg"].as_str());
        assert_eq!(chances, ["0.4", "0.5", "0.6"]);
        let last = &rows[5];
        assert_eq!((last["arm"].as_str(), last["p_neg"].as_str()), ("floor", ""));
        for row in rows.iter().filter(|row| !row["source"].is_empty()) {
            assert_eq!(row["size_class"], "small");
            assert_eq!((number(row, "n"), number(row, "classes")), (60.0, 5.0));
            let inputs = &row["inputs_available"];
            assert_eq!(inputs, "leep;neighbours;log_me;ridge;proxy_a;mmd");
            let parts = [number(row, "leep_share"), number(row, "neighbours_lift")];
            let gain = 1.0 / (1.0 + (-number(row, "log_me_gain") / 0.05).exp());
            let sim = (parts[0] + parts[1].clamp(0.0, 1.0) + gain) / 3.0;
            assert!((sim - number(row, "sim")).abs() < 1e-12, "{row:?}");
            assert!(row["explanation"].starts_with("n/C = 12 (60 items, 5 classes, "), "{row:?}");
            assert!(row["explanation"].contains("ridge errs by 0."), "{row:?}");
            assert!(row["sealed"].ends_with('Z') && row["digest"].len() == 64, "{row:?}");
        }
        let advised: Vec<&Row> = rows.iter().filter(|row| row["advised"] == "true").collect();
        assert_eq!((advised.len(), advised[0]["rank"].as_str()), (1, "1"));
        let done = |label: &str| {
            let line = told.err.lines().position(|line| line.contains(&format!("] {label} · ")));
            line.unwrap_or_else(|| panic!("no {label} in\n{told}"))
        };
        for stage in ["probe[layer=block1]", "tuned[freeze=none]", "scratch", "floor"] {
            for seed in ["seed 0", "seed 1", "seed 2"] {
                assert!(done("advice") < done(&format!("{stage} {seed}")), "{told}");
            }
        }
    }
}

#[test]
fn advice_is_judged_beside_simple_rules() {
    let study = study();
    let told = study.run().succeeds();
    let judged = rows(&study.latest(), "advice_judged");
    assert_eq!(judged.len(), 1);
    let row = &judged[0];
    let scores = rows(&study.latest(), "scores");
    let mean = |arm: &str| {
        let values: Vec<f64> = scores
            .iter()
            .filter(|row| row["stage"] == arm && row["metric"] == "balanced_accuracy")
            .map(|row| number(row, "value"))
            .collect();
        assert_eq!(values.len(), 3, "{arm}");
        values.iter().sum::<f64>() / 3.0
    };
    assert_eq!((row["stage"].as_str(), row["verdict"].as_str()), ("advice", "verdict"));
    let regret = mean(&row["best"]) - mean(&row["advised"]);
    assert!((number(row, "regret") - regret).abs() < 1e-12 && regret >= 0.0, "{row:?}");
    assert_eq!(row["hit"], (regret <= number(row, "eps")).to_string());
    if regret > 0.0 {
        let (low, high) = (number(row, "ci_lo"), number(row, "ci_hi"));
        assert!(low < regret && regret < high, "{row:?}");
    }
    let best = mean(&row["best"]);
    for (rule, arm) in [
        ("full_fine_tuning", "tuned[freeze=none]"),
        ("linear_probe", "probe[layer=dense1]"),
        ("scratch", "scratch"),
    ] {
        let regret = number(row, &format!("regret_{rule}"));
        assert!((regret - (best - mean(arm))).abs() < 1e-12, "{rule}: {row:?}");
    }
    let mut transfer = rows(&study.latest(), "transfer");
    transfer.retain(|row| row["scope"] == "arm");
    let open = transfer.iter().filter(|row| row["verdict"] == "inconclusive").count();
    let of_floor = transfer.iter().filter(|row| row["arm"] == "floor");
    let open_floor = of_floor.filter(|row| row["verdict"] == "inconclusive").count();
    assert_eq!(number(row, "inconclusive") as usize, open - open_floor);
    assert_eq!(number(row, "decided") as usize, 4 - (open - open_floor));
    let told = told.out.replace("—", "");
    assert!(told.contains("study · what the advice for fresh was worth"), "{told}");
    assert!(told.contains("the advice was "), "{told}");
}

#[test]
fn the_numbers_are_quoted_at_the_end() {
    let study = study();
    let told = study.run().succeeds();
    let from = told.out.find("study · advice").unwrap();
    let until = told.out.find("study · 3 seeds").unwrap();
    assert_snapshot!(masked(told.out[from..until].trim_end()), @"
    study · advice for fresh before training

      advised               chance to hurt
      probe[layer=block1]   #
      tuned[freeze=none]    #
      scratch               –
      tuned[freeze=block1]  #
      probe[layer=dense1]   #

      source
        n/C = 12 (60 items, 5 classes, 11 of the smallest): small as fewer than 300 items are
        similarity # (LEEP # of its range, neighbours right in # of items, # by pixels, LogME #, # by random weights): different
        for such a case: a probe on an earlier layer; the upper layers cut off, or all tuned; scratch beside it
        probe `codes.block1`, layer 1 of 2: ridge errs by #
        beside it PAD # (# within the other), MMD² # (# within the other), p = #
        a new head has 85 weights for 60 items, and may learn them by heart
      the order and the chances are those of textbook cases; that scratch is best has one of # at most
    ");
}

#[test]
fn the_same_run_again_adds_nothing_to_the_record() {
    let study = study();
    let nothing = study.told(&["runs", "--scores"]).succeeds();
    nothing.says("no score before training and no advice has been judged here yet");
    assert!(!study.path("results").exists(), "looking makes no store");
    study.run().succeeds();
    let journal = |name: &str| {
        let path = study.path(&format!("results/.store/v1/journals/{name}.jsonl"));
        std::fs::read_to_string(path).unwrap_or_default()
    };
    let (scores, advice) = (journal("scores"), journal("advice"));
    assert_eq!(advice.lines().count(), 1);
    let tables = ["advice.csv", "advice_judged.csv"].map(|name| text(&study.latest(), name));
    let again = study.run().succeeds();
    assert_eq!(again.done_and_hits().0, 0);
    assert_eq!((journal("scores"), journal("advice")), (scores, advice));
    assert_eq!(["advice.csv", "advice_judged.csv"].map(|name| text(&study.latest(), name)), tables);
    let told = study.told(&["runs", "--scores"]).succeeds();
    told.says("advice as good as the best").says("untested: fewer than 5");
}

#[test]
fn what_was_believed_is_told_beside_what_was_measured_and_what_came_of_it() {
    let study = study();
    study.replace("of: before, arms", "of: before, believed: similar, arms");
    let told = study.run().succeeds();
    told.says("the source was believed similar, measured different; ");
    let judged = &rows(&study.latest(), "advice_judged")[0];
    assert_eq!(
        (judged["believed"].as_str(), judged["likeness"].as_str()),
        ("similar", "different")
    );
    let transfer = rows(&study.latest(), "transfer");
    let verdicts = transfer.iter().filter(|row| row["scope"] == "arm").map(|row| &row["verdict"]);
    assert!(verdicts.clone().any(|verdict| *verdict == judged["outcome"]), "{judged:?}");
    // Belief decides nothing: the same advice is found again without it.
    study.replace("believed: similar, ", "");
    assert_eq!(study.run().succeeds().done_and_hits().0, 0);
    assert!(rows(&study.latest(), "advice").iter().all(|row| row["believed"].is_empty()));
}

#[test]
fn what_costs_too_much_is_not_advised() {
    let study = study();
    study.replace(
        "arms: [probe, tuned, scratch, floor] }",
        "arms: [probe, tuned, scratch, floor], budget: { parameters: 100 } }",
    );
    study.run_with(&Backend::Embedded, &["--only", "advice"]).succeeds();
    let runs = std::fs::read_dir(study.path("results/study")).unwrap();
    let folder = runs.map(|run| run.unwrap().path()).find(|path| path.join("run.json").is_file());
    let rows = rows(&folder.unwrap(), "advice");
    let struck: Vec<&str> =
        rows.iter().filter(|r| !r["struck"].is_empty()).map(|r| r["arm"].as_str()).collect();
    assert_eq!(struck, ["tuned[freeze=none]", "scratch", "tuned[freeze=block1]"]);
    assert!(rows[0]["arm"].starts_with("probe["), "{rows:?}");
    assert!(rows[5]["explanation"].starts_with("not advised: "), "{rows:?}");
}

#[test]
fn what_cannot_be_advised_on_is_refused_with_a_way_out() {
    let refused = |from: &str, to: &str| {
        let study = study();
        study.replace(from, to);
        study.refusal().problems()
    };
    let advise = "advise: { of: before, arms: [probe, tuned, scratch, floor] }";
    let with = |of: &str, arms: &str| format!("advise: {{ of: {of}, arms: {arms} }}");
    assert_snapshot!(refused(advise, &with("codes", "probe")), @"
    error: `codes` has no scores before training
      help: name `transferability` stages of one target
    ");
    assert_snapshot!(refused(advise, &with("before", "[probe, codes]")), @"
    error: `codes` makes no predictions
      help: arms are stages that are trained, each named once
    ");
    assert_snapshot!(refused(advise, &with("before", "[probe, probe]")), @"
    error: `probe[layer=block1]` is named twice
      help: arms are stages that are trained, each named once
    error: `probe[layer=dense1]` is named twice
      help: arms are stages that are trained, each named once
    ");
    assert_snapshot!(refused(advise, &with("before", "[probe, source]")), @"
    error: `source` learns `known`, not `fresh`
      help: advise on arms of one target at a time
    ");
    assert_snapshot!(refused(advise, &with("before", "[prob]")), @"
    error: no stage is called `prob`
      help: did you mean `probe`?
    ");
}
