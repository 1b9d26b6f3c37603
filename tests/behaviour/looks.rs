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
