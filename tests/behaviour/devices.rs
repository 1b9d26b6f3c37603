//! Small devices: what arms need, which of them fit a budget, and what cutting a model off costs.

use std::collections::BTreeMap;

use insta::{allow_duplicates, assert_snapshot};

use crate::harness::{Backend, Study, rows};

fn study() -> Study {
    Study::new(
        "\
name: study
seeds: 2
budget: { flash: 1 KiB, ram: 300 B, macs: 3 k }
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 50, test: 60 }
stages:
  source:
    pretrain:
      dataset: digits
      architecture: { plain_cnn: { channels: 4, dense: [12, 8] } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 30
      lr: 1e-2
  codes:
    extract: { model: source, dataset: digits, layers: [block1, dense1] }
  probe:
    linear_probe: { features: codes.block1, c: 1 }
  machine:
    svm: { features: codes.dense1, kernel: rbf, c: 1 }
  cut:
    fine_tune: { model: source, dataset: digits, head: { at: \"${matrix.at}\" }, steps: 20, lr: 1e-2 }
    matrix: { at: [block1, dense1, dense2] }
  scratch:
    fine_tune: { model: source, dataset: digits, init: random, steps: 20, lr: 1e-2 }
  pixels:
    pixel_linear: { dataset: digits, size: 8, c: 1 }
  scores:
    evaluate: { of: [probe, machine, cut, pixels, scratch] }
  verdict:
    transfer: { of: scores, baseline: scratch, resamples: 0 }
  sizes:
    front: { of: scores, full: \"cut[at=dense2]\" }
",
    )
    .with_digits(300)
}

fn cells(row: &BTreeMap<String, String>, columns: &[&str]) -> String {
    columns.iter().map(|column| row[*column].as_str()).collect::<Vec<_>>().join("|")
}

#[test]
fn every_cut_is_told_with_what_it_needs_and_what_it_costs() {
    allow_duplicates! {
        for backend in Backend::all() {
            let study = study();
            let told = study.run_with(&backend, &[]).succeeds();
            let front = rows(&study.latest(), "front");
            let sizes = ["arm", "full", "flash_f32", "flash_int8", "ram_f32", "ram_int8", "macs", "lacks"];
            let lines: Vec<String> = front.iter().map(|row| cells(row, &sizes)).collect();
            assert_snapshot!(lines.join("\n"), @"
            probe|cut[at=dense2]|360|188|1280|320|2344|RAM 320 bytes of 300 bytes
            machine|cut[at=dense2]||||||
            cut[at=block1]|cut[at=dense2]|360|188|1280|320|2344|RAM 320 bytes of 300 bytes
            cut[at=dense1]|cut[at=dense2]|3800|1132|1280|320|3192|flash 1.1 KiB of 1.0 KiB, RAM 320 bytes of 300 bytes, MACs 3192 of 3000
            cut[at=dense2]||4056|1252|1280|320|3248|flash 1.2 KiB of 1.0 KiB, RAM 320 bytes of 300 bytes, MACs 3248 of 3000
            pixels|cut[at=dense2]|2600|720|296|74|640|
            scratch|cut[at=dense2]|4056|1252|1280|320|3248|flash 1.2 KiB of 1.0 KiB, RAM 320 bytes of 300 bytes, MACs 3248 of 3000
            ");
            for row in &front {
                let whole = row["arm"] == "cut[at=dense2]";
                assert_eq!(row["damage"].is_empty() || row["damage_lo"].is_empty(), whole, "{row:?}");
                if let (Ok(damage), Ok(lo)) = (row["damage"].parse::<f64>(), row["damage_lo"].parse::<f64>()) {
                    assert!(lo <= damage, "{row:?}");
                    let score = |arm: &str| -> f64 {
                        front.iter().find(|row| row["arm"] == arm).unwrap()["score"].parse().unwrap()
                    };
                    let expected = score(&row["arm"]) - score("cut[at=dense2]");
                    assert!((damage - expected).abs() < 1e-9, "{row:?}");
                }
                // Nobody knows how large a kernel machine is.
                assert_eq!(row["on_front"].is_empty(), row["arm"] == "machine", "{row:?}");
                assert_eq!(row["beaten_by"].is_empty(), row["on_front"] != "false", "{row:?}");
            }
            assert!(front.iter().any(|row| row["on_front"] == "true"));
            told.says("study · what arms need, in 8-bit numbers");
        }
    }
}

#[test]
fn arms_that_do_not_fit_are_marked_everywhere_and_trained_all_the_same() {
    let study = study();
    let facts = study.check().facts();
    let note = facts.lines().find(|line| line.contains("budget")).unwrap();
    assert_snapshot!(note, @"note: the budget does not have what these need: `source` (flash 1.2 KiB of 1.0 KiB, RAM 320 bytes of 300 bytes, MACs 3248 of 3000); `probe` (RAM 320 bytes of 300 bytes); `cut[at=block1]` (RAM 320 bytes of 300 bytes); `cut[at=dense1]` (flash 1.1 KiB of 1.0 KiB, RAM 320 bytes of 300 bytes, MACs 3192 of 3000); `cut[at=dense2]` (flash 1.2 KiB of 1.0 KiB, RAM 320 bytes of 300 bytes, MACs 3248 of 3000); `scratch` (flash 1.2 KiB of 1.0 KiB, RAM 320 bytes of 300 bytes, MACs 3248 of 3000)");
    let told = study.run().succeeds();
    let verdict = told.out.lines().find(|line| line.trim_start().starts_with("cut[at=dense1]"));
    assert!(verdict.unwrap().contains("does not fit: "), "{}", told.out);
    let costs = rows(&study.latest(), "costs");
    let told =
        costs.iter().filter(|row| row["node"].ends_with(" seed 0") && !row["fits"].is_empty());
    let told = told.map(|row| cells(row, &["node", "fits", "lacks"]));
    assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @"
    source seed 0|false|flash 1.2 KiB of 1.0 KiB, RAM 320 bytes of 300 bytes, MACs 3248 of 3000
    probe seed 0|false|RAM 320 bytes of 300 bytes
    cut[at=block1] seed 0|false|RAM 320 bytes of 300 bytes
    cut[at=dense1] seed 0|false|flash 1.1 KiB of 1.0 KiB, RAM 320 bytes of 300 bytes, MACs 3192 of 3000
    cut[at=dense2] seed 0|false|flash 1.2 KiB of 1.0 KiB, RAM 320 bytes of 300 bytes, MACs 3248 of 3000
    scratch seed 0|false|flash 1.2 KiB of 1.0 KiB, RAM 320 bytes of 300 bytes, MACs 3248 of 3000
    pixels seed 0|true|
    ");
}

#[test]
fn a_budget_changes_no_result_and_its_absence_leaves_no_mark() {
    let study = study();
    study.run().succeeds();
    study.replace(
        "budget: { flash: 1 KiB, ram: 300 B, macs: 3 k }",
        "budget: { precision: float32 }",
    );
    let told = study.run().succeeds();
    assert_eq!(told.done_and_hits().0, 0);
    told.never_says("does not fit").says("what arms need, in 32-bit numbers");
    study.replace("budget: { precision: float32 }\n", "");
    let told = study.run().succeeds();
    assert_eq!(told.done_and_hits().0, 0);
    assert!(!rows(&study.latest(), "front")[0].contains_key("fits"));
}

#[test]
fn a_wrong_budget_and_a_wrong_whole_are_refused() {
    let study = study();
    study.replace("1 KiB", "1 kib");
    study.replace("300 B", "0");
    study.replace("3 k }", "many }");
    assert_snapshot!(study.refusal().problems(), @"
    error: expected a size, as in `256 KiB`, `1.5 MB` or a number of bytes, found `1 kib`
    error: expected a size, as in `256 KiB`, `1.5 MB` or a number of bytes, found `0`
    error: expected a number above 0, as in `12 M` or `1.5 G`, found `many`
    ");
    let study = self::study();
    study.replace("full: \"cut[at=dense2]\"", "full: cut");
    assert_snapshot!(study.refusal().problems(), @"
    error: `probe` could be compared with `cut[at=block1]` and with `cut[at=dense1]`
      help: choose one, as in `cut[at=block1]`
    ");
    study.replace("full: cut", "full: source, metric: auroc");
    assert_snapshot!(study.refusal().problems(), @"
    error: `source` is not among the stages scored
      help: add it to `of` of `scores`
    error: `auroc` is no mean over items that have one class each
      help: there is: `accuracy`, `balanced_accuracy`, `log_loss`, `brier`
    ");
}
