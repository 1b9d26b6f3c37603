//! The ledger of looks at test parts: what was scored there, by all runs of one store.

use insta::assert_snapshot;
use serde_json::Value as Json;

use crate::harness::{Backend, Study, files, rows, text};
use crate::runs::digits;

/// Looks and arms as the newest run has them.
fn looked(study: &Study) -> (String, String) {
    let looks = rows(&study.latest(), "looks");
    assert_eq!(looks.len(), 1);
    (looks[0]["looks"].clone(), looks[0]["arms"].clone())
}

fn pair(looks: &str, arms: &str) -> (String, String) {
    (looks.to_owned(), arms.to_owned())
}

#[test]
fn what_was_scored_on_test_is_counted_once_however_often_it_is_shown() {
    for backend in Backend::all() {
        let study = digits();
        let run = |more: &[&str]| study.run_with(&backend, more).succeeds();
        run(&[]).never_says("looked at");
        assert_eq!(looked(&study), pair("1", "2"));
        let first = study.latest();
        run(&[]).never_says("looked at");
        assert_eq!(looked(&study), pair("1", "2"), "nothing new was scored");
        // More seeds of the same arms are a look, but no arms.
        run(&["--seeds", "4"]).says("this test part has been looked at 2 times with 2 arms");
        run(&["--set", "c=0.1"])
            .says("! digits: this test part has been looked at 3 times with 3 arms");
        assert_eq!(looked(&study), pair("3", "3"));
        let run: Json = serde_json::from_str(&text(&study.latest(), "run.json")).unwrap();
        assert_eq!(run["looks"][0]["pipelines"], serde_json::json!(["study"]));
        // The first again: only what is said of looks has changed.
        study.run_with(&backend, &[]).succeeds().says("looked at 3 times with 3 arms");
        for file in files(&first).iter().filter(|file| file.extension().unwrap() == "csv") {
            let name = file.file_name().unwrap().to_str().unwrap();
            // What costs tell of a node that was there already is another outcome.
            if name != "costs.csv" {
                let is_same = text(&first, name) == text(&study.latest(), name);
                assert_eq!(is_same, name != "looks.csv", "{name}");
            }
        }
    }
}

#[test]
fn val_is_no_test_and_other_names_and_labels_are_the_same_test_part() {
    let study = digits();
    study.run().succeeds();
    study.replace("name: study", "name: another");
    study.replace("digits:\n    csv", "numerals:\n    csv");
    let text = study.pipeline().replace("dataset: digits", "dataset: numerals");
    study.write("study.yaml", text.as_bytes());
    study.replace("c: 0.01 }\n  scores", "c: 0.02 }\n  scores");
    study
        .run()
        .succeeds()
        .says("! numerals: this test part has been looked at 2 times with 3 arms");
    study.replace("c: 0.02", "c: 0.03");
    study.replace("metrics: [accuracy, macro_f1] }", "metrics: [accuracy, macro_f1], split: val }");
    study.run().succeeds().never_says("looked at");
    let told = study.told(&["runs", "--looks"]).succeeds();
    let time = regex::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d").unwrap();
    assert_snapshot!(time.replace_all(&told.out, "WHEN"), @"
    data set  test      items  looks  arms  first (UTC)          last (UTC)           pipelines
    numerals  e3caada0  300    2      3     WHEN  WHEN  another, study
    ");
    let told = study.told(&["runs", "--looks", "--json"]).succeeds();
    let looks: Json = serde_json::from_str(&told.out).unwrap();
    assert_eq!((&looks[0]["looks"], &looks[0]["arms"]), (&2.into(), &3.into()));
    let none = study.told(&["runs", "--looks", "--store", "elsewhere"]).succeeds();
    assert_snapshot!(none.out, @"no test part has been looked at in elsewhere");
}

#[test]
fn what_the_best_of_many_arms_is_worth_is_said() {
    let study = digits();
    let many: Vec<String> = (1..24).map(|number| format!("0.0{number:02}")).collect();
    study.replace(
        "c: \"${c}\" }",
        &format!("c: \"${{matrix.c}}\" }}\n    matrix: {{ c: [{}] }}", many.join(", ")),
    );
    study.replace("metric: accuracy }", "metric: accuracy, resamples: 0 }");
    let told = study.run().succeeds();
    let said = told.out.lines().find(|line| line.contains("looked at")).unwrap().to_owned();
    assert_snapshot!(crate::harness::masked_scores(&said), @"  ! digits: this test part has been looked at 1 time with 24 arms: the best of so many equal ones is expected to seem better by about #.###");
    let looks = &rows(&study.latest(), "looks")[0];
    let luck: f64 = looks["luck"].parse().unwrap();
    let arms: f64 = looks["arms"].parse().unwrap();
    assert!((luck - (2.0 * arms.ln()).sqrt()).abs() < 1e-9);
}

#[test]
fn runs_at_the_same_time_note_their_looks_one_after_the_other() {
    let study = digits();
    let start = |c: &str| {
        let mut program = study.runner(&Backend::Embedded);
        program.args(["--quiet", "--set", &format!("c={c}")]).spawn().expect("the program starts")
    };
    let running: Vec<_> = ["0.1", "0.2", "0.3"].map(start).into_iter().collect();
    for mut program in running {
        assert!(program.wait().unwrap().success());
    }
    let told = study.told(&["runs", "--looks", "--json"]).succeeds();
    let looks: Json = serde_json::from_str(&told.out).unwrap();
    assert_eq!((&looks[0]["looks"], &looks[0]["arms"]), (&3.into(), &4.into()));
}

/// Digits whose last 60 rows are tested; everything that learns or chooses, scored on val.
fn study_of_choices() -> Study {
    Study::new(
        "\
name: study
seeds: 2
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 60, test: { rows: 240..300 } }
stages:
  source:
    pretrain: &training
      dataset: digits
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 20
      lr: [1e-3, 3e-3, 1e-2]
  tuned:
    fine_tune: { model: source, dataset: digits, freeze: block1, steps: 20, lr: [1e-3, 1e-2] }
  started:
    fine_tune: { model: source, dataset: digits, head_init: probe, steps: 20, lr: range_test }
  codes:
    extract: { model: source, dataset: digits, layers: dense1 }
  logistic: { linear_probe: { features: codes, probabilities: temperature } }
  machine: { svm: { features: codes, per_class: true, select: { folds: { count: 3 } } } }
  least: { ridge: { features: codes, select: leave_one_out } }
  near: { knn: { features: codes } }
  pixels: { pixel_linear: { dataset: digits, c: [0.01, 0.1] } }
  mapped: { direct: { model: source, dataset: digits, map: learnt } }
  scores:
    evaluate:
      of: [source, tuned, started, logistic, machine, least, near, pixels, mapped]
      metrics: [accuracy]
",
    )
    .with_digits(300)
}

#[test]
fn nothing_that_is_learnt_or_chosen_depends_on_labels_of_test_items() {
    let study = study_of_choices();
    study.run().succeeds();
    let models = |study: &Study| -> Vec<Vec<u8>> {
        let all = files(&study.latest().join("models"));
        all.iter().map(|path| std::fs::read(path).unwrap()).collect()
    };
    let told = |study: &Study| -> Vec<[String; 3]> {
        let items = rows(&study.latest(), "items");
        let column = |row: &std::collections::BTreeMap<String, String>| {
            ["stage", "item", "probabilities"].map(|name| row[name].clone())
        };
        items.iter().map(column).collect()
    };
    let chosen = |study: &Study| text(&study.latest(), "selection.csv");
    let before = (models(&study), told(&study), chosen(&study));
    let scores = text(&study.latest(), "scores.csv");
    let digits = std::fs::read_to_string(study.path("digits.csv")).unwrap();
    let relabelled = digits.lines().enumerate().map(|(row, line)| {
        let (pixels, digit) = line.rsplit_once(',').unwrap();
        let digit: u32 = digit.parse().unwrap();
        format!("{pixels},{}\n", if row < 240 { digit } else { (digit + 3) % 10 })
    });
    let relabelled: String = relabelled.collect();
    study.write("digits.csv", relabelled.as_bytes());
    study.run().succeeds();
    assert_ne!(scores, text(&study.latest(), "scores.csv"), "other labels, other scores");
    assert!(before.0 == models(&study), "models differ");
    assert_eq!(before.1, told(&study));
    assert_eq!(before.2, chosen(&study));
}

#[test]
fn a_training_subset_is_of_the_training_part_alone() {
    let study = study_of_choices();
    study.replace(
        "pixel_linear: { dataset: digits,",
        "pixel_linear: { dataset: digits, train_size: 40,",
    );
    let split = "evaluate:\n      of: [source, tuned, started, logistic, machine, least, near, \
                 pixels, mapped]";
    study.replace(split, "evaluate:\n      split: val\n      of: [pixels]");
    study
        .replace("  scores:", "  learnt:\n    evaluate: { of: [pixels], split: train }\n  scores:");
    study.run_with(&Backend::Embedded, &["--only", "learnt", "--only", "scores"]).succeeds();
    let runs = std::fs::read_dir(study.path("results/study")).unwrap();
    let folder = runs.map(|run| run.unwrap().path()).find(|path| path.join("run.json").is_file());
    let items = rows(&folder.unwrap(), "items");
    for seed in ["0", "1"] {
        let of = |part: &str| -> std::collections::BTreeSet<String> {
            let own = items.iter().filter(|row| row["seed"] == seed && row["split"] == part);
            own.map(|row| row["item"].clone()).collect()
        };
        assert_eq!((of("train").len(), of("val").len()), (40, 60));
        assert!(of("train").is_disjoint(&of("val")), "seed {seed}");
    }
}
