//! Energy of nodes and of a run, from counters that a test moves.

use std::collections::BTreeMap;
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

/// Where the counter of an ordinary package begins again.
const RANGE: u64 = 262_143_328_850;

/// One package whose counter stands at this, and begins again at 0 after `range`.
fn counters(study: &Study, microjoules: u64, range: u64) -> PathBuf {
    let zone = study.path("powercap/intel-rapl:0");
    set(&zone, "name", "package-0\n");
    set(&zone, "max_energy_range_uj", &format!("{range}\n"));
    set(&zone, "energy_uj", &format!("{microjoules}\n"));
    zone
}

fn run(study: &Study, folder: &str, jobs: &str) -> std::process::Child {
    let mut runner = study.runner(&Backend::Embedded);
    runner.env("TL_RUN_POWERCAP", study.path(folder)).args(["--jobs", jobs]);
    runner.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    runner.spawn().unwrap()
}

/// Runs while the counter goes up, and around its end.
fn run_beside_a_counter(study: &Study, jobs: &str) -> Told {
    run_beside(study, jobs, RANGE).0
}

/// Runs while a counter goes up that begins again after `range`; tells also how many joules it really
/// counted.
fn run_beside(study: &Study, jobs: &str, range: u64) -> (Told, f64) {
    let mut counter = range - range.min(300_000);
    let mut all = 0.0;
    let zone = counters(study, counter, range);
    let mut child = run(study, "powercap", jobs);
    while child.try_wait().unwrap().is_none() {
        counter = (counter + 50_000) % range;
        all += 0.05;
        set(&zone, "energy_uj", &format!("{counter}\n"));
        std::thread::sleep(Duration::from_millis(5));
    }
    (Told::of(child.wait_with_output().unwrap()).succeeds(), all)
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
        told.says("study · energy of the machine").says(" g CO₂e at 475 g/kWh (processors");
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
            assert_eq!(row["carbon_g_per_kwh"], "475.0");
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

/// Trainings of which one has a frozen part that is computed before.
const TRAININGS: &str = "\
name: study
seeds: 2
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 50, test: 60 }
stages:
  source:
    pretrain:
      dataset: digits
      architecture: { plain_cnn: { channels: [8, 8], dense: 16 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 40
      lr: 1e-2
  tuned:
    fine_tune: { model: source, dataset: digits, freeze: block1, steps: 60, lr: [1e-3, 1e-2] }
  scratch:
    fine_tune: { model: source, init: random, dataset: digits, steps: 60, lr: 1e-2 }
  rise:
    convergence: { of: tuned, baseline: scratch, resamples: 0 }
";

type Row = BTreeMap<String, String>;

fn number(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("no number in `{column}` of {row:?}"))
}

fn trainings() -> Study {
    Study::new(TRAININGS).with_digits(300)
}

/// The looks of each training of a stage, by seed and learning rate.
fn by_training(folder: &Path, stage: &str) -> BTreeMap<(String, String), Vec<Row>> {
    let mut found: BTreeMap<_, Vec<Row>> = BTreeMap::new();
    for row in rows(folder, "convergence_costs").into_iter().filter(|row| row["stage"] == stage) {
        found.entry((row["seed"].clone(), row["lr"].clone())).or_default().push(row);
    }
    found
}

fn ascends(looks: &[Row], column: &str) -> bool {
    looks.windows(2).all(|pair| number(&pair[0], column) <= number(&pair[1], column))
}

/// What the nodes of a study took whose label begins so, for a seed, in a column of `costs`.
fn taken(folder: &Path, label: &str, seed: &str, column: &str) -> f64 {
    let costs = rows(folder, "costs");
    let own = costs.iter().filter(|row| row["node"].starts_with(label) && is_of(row, seed));
    let found: Vec<f64> = own.map(|row| number(row, column)).collect();
    assert!(!found.is_empty(), "no node is called `{label}`: {costs:?}");
    found.iter().sum()
}

fn is_of(row: &Row, seed: &str) -> bool {
    row["seed"].is_empty() || row["seed"] == seed
}

fn assert_close(found: f64, expected: f64, of: &Row) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}: {of:?}");
}

#[test]
fn each_look_at_a_training_has_the_seconds_and_joules_so_far() {
    let study = trainings();
    run_beside_a_counter(&study, "1");
    let folder = study.latest();
    let curves = rows(&folder, "convergence");
    let looks = rows(&folder, "convergence_costs");
    let place = |row: &Row| ["stage", "seed", "lr", "chosen", "step"].map(|name| row[name].clone());
    assert_eq!(
        curves.iter().map(place).collect::<Vec<_>>(),
        looks.iter().map(place).collect::<Vec<_>>()
    );
    for (stage, before) in [("tuned", "prefix of source"), ("scratch", "pixels of digits")] {
        for ((seed, lr), looks) in by_training(&folder, stage) {
            assert!(ascends(&looks, "seconds_warm") && ascends(&looks, "joules_warm"), "{looks:?}");
            let (first, last) = (&looks[0], looks.last().unwrap());
            assert!(number(last, "joules_warm") > 0.0, "{last:?}");
            let label = format!("{stage} lr={lr} seed {seed}");
            for (column, whole) in [("seconds", "seconds"), ("joules", "energy_j")] {
                let [warm, cold] = ["warm", "cold"].map(|cache| format!("{column}_{cache}"));
                assert!(number(last, &warm) <= taken(&folder, &label, &seed, whole), "{last:?}");
                let before = taken(&folder, before, &seed, whole);
                assert_close(number(first, &cold), number(first, &warm) + before, first);
                assert_close(number(last, &cold), number(last, &warm) + before, last);
            }
            assert_eq!((&*last["joules_source"], &*last["joules_reason"]), ("powercap", ""));
            assert!(last["joules_scope"].starts_with("processors"), "{last:?}");
        }
    }
}

/// The middle of what seeds took until a level was reached on val, in a column of
/// `convergence_costs`: of the one that did, if the other never did; nothing if none did.
fn middle(folder: &Path, stage: &str, level: f64, column: &str) -> Option<f64> {
    let curves = rows(folder, "convergence");
    let costs = rows(folder, "convergence_costs");
    let looks: Vec<(Row, Row)> = curves
        .into_iter()
        .zip(costs)
        .filter(|(row, _)| row["stage"] == stage && row["chosen"] == "true")
        .collect();
    let mut times: Vec<f64> = Vec::new();
    for seed in ["0", "1"] {
        let own: Vec<(f64, f64)> = looks
            .iter()
            .filter(|(row, _)| row["seed"] == seed)
            .map(|(row, cost)| (number(row, "val_balanced_accuracy"), number(cost, column)))
            .collect();
        let mut best = own[0];
        let mut found = (best.0 >= level).then_some(best.1);
        for (score, used) in &own[1..] {
            if found.is_none() && *score >= level {
                found = Some(best.1 + (used - best.1) * (level - best.0) / (score - best.0));
            }
            best = (best.0.max(*score), *used);
        }
        times.extend(found);
    }
    Some(f64::midpoint(*times.first()?, *times.last()?))
}

#[test]
fn the_time_to_a_threshold_is_told_in_seconds_and_joules_warm_and_cold() {
    let study = trainings();
    run_beside_a_counter(&study, "2");
    let folder = study.latest();
    let mut reached = 0;
    for row in rows(&folder, "time_to_threshold") {
        let level = number(&row, "level");
        for (side, stage) in [("", "tuned"), ("baseline_", "scratch")] {
            let of = |column: &str| format!("{side}{column}");
            for column in ["seconds_warm", "seconds_cold", "joules_warm", "joules_cold"] {
                let Some(expected) = middle(&folder, stage, level, column) else { continue };
                assert_close(number(&row, &of(column)), expected, &row);
                reached += 1;
            }
            assert_eq!(row[&of("joules_source")].is_empty(), row[&of("joules_warm")].is_empty());
            assert_eq!(row[&of("joules_reason")].is_empty(), !row[&of("joules_warm")].is_empty());
            assert_eq!(row[&of("joules_reason")], row[&of("seconds_reason")], "{row:?}");
        }
    }
    assert!(reached >= 12, "both arms are to reach a share of scratch's end: {reached}");
    // What is there already tells what was recorded, whatever is counted now.
    let tables = |folder: &Path| {
        ["convergence_costs.csv", "time_to_threshold.csv"].map(|name| text(folder, name))
    };
    let told = Told::of(run(&study, "nothing", "1").wait_with_output().unwrap()).succeeds();
    assert_eq!(told.done_and_hits().0, 0);
    assert_ne!(study.latest(), folder);
    assert_eq!(tables(&study.latest()), tables(&folder));
}

#[test]
fn a_counter_that_begins_again_and_again_loses_nothing_that_is_told() {
    let study = trainings();
    let range = 1_500_000;
    let (_, all) = run_beside(&study, "1", range);
    let measured = record(&study)["energy"]["measured"]["joules"].as_f64().unwrap();
    // More than such a counter can show at any time, and not more than it counted.
    assert!(measured > range as f64 / 1e6 && measured <= all + 1e-6, "{measured} of {all}");
    for stage in ["source", "tuned", "scratch"] {
        for looks in by_training(&study.latest(), stage).values() {
            assert!(ascends(looks, "joules_warm"), "{looks:?}");
            assert!(number(looks.last().unwrap(), "joules_cold") <= measured + 1e-9, "{looks:?}");
        }
    }
}

#[test]
fn joules_of_a_training_that_nobody_counts_have_a_reason_or_are_a_guess() {
    let study = trainings();
    Told::of(run(&study, "nothing", "1").wait_with_output().unwrap()).succeeds();
    for row in rows(&study.latest(), "convergence_costs") {
        assert_eq!((&*row["joules_warm"], &*row["joules_cold"]), ("", ""));
        assert_eq!((&*row["joules_source"], &*row["joules_scope"]), ("", ""));
        assert_eq!(row["joules_reason"], "this system has no energy counters");
        assert!(number(&row, "seconds_cold") >= number(&row, "seconds_warm"), "{row:?}");
    }
    let untold = rows(&study.latest(), "time_to_threshold");
    for row in untold.iter().filter(|row| row["baseline_seconds_reason"].is_empty()) {
        assert_eq!(row["baseline_joules_warm"], "");
        assert_eq!(row["baseline_joules_reason"], "this system has no energy counters");
        assert!(number(row, "baseline_seconds_cold") > number(row, "baseline_seconds_warm"));
    }
    assert!(untold.iter().any(|row| row["baseline_seconds_reason"].is_empty()), "{untold:?}");
    study.replace("seeds: 2\n", "seeds: 2\nenergy: { allow_estimate: true }\n");
    Told::of(run(&study, "nothing", "1").wait_with_output().unwrap()).succeeds();
    for row in rows(&study.latest(), "convergence_costs") {
        assert_eq!((&*row["joules_source"], &*row["joules_reason"]), ("estimated", ""));
        // One core at 10 W.
        assert_close(number(&row, "joules_warm"), 10.0 * number(&row, "seconds_warm"), &row);
    }
    for row in rows(&study.latest(), "time_to_threshold") {
        let is_told = row["baseline_joules_reason"].is_empty();
        assert_eq!(row["baseline_joules_source"] == "estimated", is_told, "{row:?}");
    }
}

#[test]
fn what_the_training_of_a_source_took_stands_in_columns_of_its_own() {
    let study = trainings();
    run_beside_a_counter(&study, "1");
    let folder = study.latest();
    let costs = rows(&folder, "costs");
    let of = |node: &str| costs.iter().find(|row| row["node"] == node).unwrap();
    for seed in ["0", "1"] {
        let row = of(&format!("tuned seed {seed}"));
        for (own, column) in [("source_seconds", "seconds"), ("source_energy_j", "energy_j")] {
            let parts = ["source", "pixels of digits"];
            let sum: f64 = parts.iter().map(|part| taken(&folder, part, seed, column)).sum();
            assert_close(number(row, own), sum, row);
        }
        assert_eq!(row["source_reason"], "");
        let scratch = of(&format!("scratch seed {seed}"));
        assert_eq!((&*scratch["source_seconds"], &*scratch["source_energy_j"]), ("", ""));
        assert_eq!(scratch["source_reason"], "it starts from random weights");
    }
    assert_eq!(of("rise")["source_reason"], "it is no arm");
}

#[test]
fn a_machine_at_rest_is_told_beside_and_taken_off_nothing() {
    let study = study();
    study.replace("seeds: 2\n", "seeds: 2\nenergy: { idle: true }\n");
    let (told, all) = run_beside(&study, "1", RANGE);
    told.says("looking at the machine at rest for 10 s").says(" W at rest (processors");
    let energy = &record(&study)["energy"];
    let idle = energy["idle_w"].as_f64().unwrap();
    let measured = energy["measured"]["joules"].as_f64().unwrap();
    // What was used while it was at rest is not what the run used.
    assert!(idle > 0.0 && measured <= all - 9.0 * idle, "{idle} W, {measured} of {all} J");
    let untold = study_without_counters();
    assert!(untold["idle_w"].is_null());
    assert_eq!(untold["idle_reason"], "this system has no energy counters");
}

fn study_without_counters() -> serde_json::Value {
    let study = study();
    study.replace("seeds: 2\n", "seeds: 2\nenergy: { idle: true }\n");
    Told::of(run(&study, "nothing", "1").wait_with_output().unwrap()).succeeds();
    record(&study)["energy"].clone()
}
