//! Energy of nodes and of a run, from counters that a test moves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tl_run::base::atomic;

use crate::harness::{Backend, Study, Told, rows, text};

fn study() -> Study {
    Study::new(
        "\
name: study
seeds: 2
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 50, test: 100 }
stages:
  floor:
    majority: { dataset: digits }
  pixels:
    pixel_linear: { dataset: digits, c: [0.1, 1], size: 8 }
  scores:
    evaluate: { of: [floor, pixels], metrics: [accuracy] }
",
    )
    .with_digits(300)
}

fn set(folder: &Path, file: &str, text: &str) {
    atomic::write(&folder.join(file), text.as_bytes()).unwrap();
}

/// One package whose counter stands at this.
fn counters(study: &Study, microjoules: u64) -> PathBuf {
    let zone = study.path("powercap/intel-rapl:0");
    set(&zone, "name", "package-0\n");
    set(&zone, "max_energy_range_uj", "262143328850\n");
    set(&zone, "energy_uj", &format!("{microjoules}\n"));
    zone
}

fn run(study: &Study, folder: &str, jobs: &str) -> std::process::Child {
    let mut runner = study.runner(&Backend::Embedded);
    runner.env("TL_RUN_POWERCAP", study.path(folder)).args(["--jobs", jobs]);
    runner.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    runner.spawn().unwrap()
}

/// Runs while the counter goes up, and around its end once.
fn run_beside_a_counter(study: &Study, jobs: &str) -> Told {
    let mut counter = 262_143_000_000_u64;
    let zone = counters(study, counter);
    let mut child = run(study, "powercap", jobs);
    while child.try_wait().unwrap().is_none() {
        counter = (counter + 50_000) % 262_143_328_850;
        set(&zone, "energy_uj", &format!("{counter}\n"));
        std::thread::sleep(Duration::from_millis(5));
    }
    Told::of(child.wait_with_output().unwrap()).succeeds()
}

fn record(study: &Study) -> serde_json::Value {
    serde_json::from_str(&text(&study.latest(), "run.json")).unwrap()
}

#[test]
fn nodes_have_their_share_of_what_the_machine_counted() {
    for jobs in ["1", "2"] {
        let study = study();
        study.replace("seeds: 2\n", "seeds: 2\nenergy: { carbon: 475 }\n");
        let told = run_beside_a_counter(&study, jobs);
        told.says("study · energy of the machine").says(" g CO₂e (processors)");
        let whole = record(&study)["energy"]["measured"]["joules"].as_f64().unwrap();
        let mut sum = 0.0;
        for row in rows(&study.latest(), "costs") {
            let number = |column: &str| row[column].parse::<f64>().unwrap();
            assert!(row["energy_scope"].starts_with("processors"), "{row:?}");
            assert_eq!(
                (row["energy_source"].as_str(), row["energy_reason"].as_str()),
                ("powercap", "")
            );
            let (joules, carbon) = (number("energy_j"), number("carbon_g"));
            assert!(joules >= 0.0 && (carbon - joules / 3.6e6 * 475.0).abs() < 1e-12, "{row:?}");
            assert!((number("power_w_mean") * number("seconds") - joules).abs() < 1e-9, "{row:?}");
            let is_alone = !row["energy_scope"].contains("by cores");
            assert!(jobs == "2" || is_alone, "{row:?}");
            sum += joules;
        }
        assert!(whole > 0.0 && sum <= whole * (1.0 + 1e-9), "{sum} of {whole}");
    }
}

#[test]
fn what_is_not_counted_has_a_reason_and_no_number() {
    let study = study();
    Told::of(run(&study, "nothing", "1").wait_with_output().unwrap())
        .succeeds()
        .never_says("energy of the machine");
    for row in rows(&study.latest(), "costs") {
        assert_eq!((row["energy_j"].as_str(), row["carbon_g"].as_str()), ("", ""));
        assert_eq!(row["energy_reason"], "this system has no energy counters");
    }
    let energy = &record(&study)["energy"];
    assert_eq!(energy["reason"], "this system has no energy counters");
    assert!(energy["measured"].is_null());
}

#[test]
fn a_guess_is_marked_and_changes_no_result() {
    let study = study();
    Told::of(run(&study, "nothing", "1").wait_with_output().unwrap()).succeeds();
    let scores = text(&study.latest(), "scores.csv");
    study.replace("seeds: 2\n", "seeds: 2\nenergy: { allow_estimate: true }\n");
    let told = Told::of(run(&study, "nothing", "1").wait_with_output().unwrap()).succeeds();
    assert_eq!(told.done_and_hits().0, 0, "energy is in no key");
    told.never_says("energy of the machine");
    assert_eq!(text(&study.latest(), "scores.csv"), scores);
    for row in rows(&study.latest(), "costs") {
        assert_eq!(row["energy_source"], "estimated");
        let number = |column: &str| row[column].parse::<f64>().unwrap();
        let cores = number("power_w_mean") / 10.0;
        assert!(cores > 0.5 && (cores - cores.round()).abs() < 1e-9, "{row:?}");
    }
}

#[test]
fn a_wrong_key_is_told() {
    let study = study();
    study.replace("seeds: 2\n", "seeds: 2\nenergy: { carbon: -3 }\n");
    insta::assert_snapshot!(study.refusal().problems(), @"error: expected a number above 0, found `-3`");
}
