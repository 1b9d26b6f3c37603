//! `runs`: what there is, and what each run came to.

use insta::assert_snapshot;

use crate::harness::{Backend, Study, Told, masked_scores};

/// A verdict that takes no time.
pub(crate) fn digits() -> Study {
    Study::new(
        "\
name: study
seeds: 3
vars: { c: 0.01 }
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 200, val: 100, test: 300 }
stages:
  pixels:
    pixel_linear: { dataset: digits, c: \"${c}\" }
  few:
    pixel_linear: { dataset: digits, train_size: 30, c: 0.01 }
  scores:
    evaluate: { of: [pixels, few], metrics: [accuracy, macro_f1] }
  verdict:
    transfer: { of: scores, baseline: few, metric: accuracy }
",
    )
    .with_digits(600)
}

/// Times replaced, which differ from run to run, and the width of columns that holds them.
fn plain(told: &Told) -> String {
    let text = masked_scores(&told.to_string());
    let time = regex::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d").unwrap();
    let spaces = regex::Regex::new(r" {3,}").unwrap();
    spaces.replace_all(&time.replace_all(&text, "WHEN"), "   ").into_owned()
}

#[test]
fn runs_are_listed_with_what_they_came_to_the_newest_last() {
    let study = digits();
    assert_snapshot!(study.told(&["runs"]), @"
    exit code 0
    --- standard output
    there are no runs in results
    ");
    study.run().succeeds();
    study.replace("  few:", "  broken:\n    pixel_linear: { dataset: broken, c: 1 }\n  few:");
    study.replace("datasets:", "datasets:\n  broken:\n    image_folder: { path: pets }\n    split: { train: 0.6, val: 0.2, test: 0.2 }");
    let study = study.with_pets();
    study.write(&crate::harness::pet(0), b"no image");
    study.run().fails();
    assert_snapshot!(plain(&study.told(&["runs"])), @"
    exit code 0
    --- standard output
      run   pipeline  began (UTC)   ended   seeds  runtime   best arm
      RUN  study   WHEN  done   3   RUNTIME  pixels +#.### ▲ helps
      RUN  study   WHEN  failed, 14 of 18 were there  3   RUNTIME  pixels +#.### ▲ helps
    ");
    assert_snapshot!(plain(&study.told(&["runs", "studi"])), @"
    exit code 2
    --- standard error
    error: no pipeline `studi` has runs in results
      help: did you mean `study`?
    ");
}

#[test]
fn what_is_no_run_is_told_and_the_rest_is_listed() {
    let study = digits();
    let first = study.run().succeeds().folder(&study);
    study.write("results/study/damaged/run.json", b"{");
    study.write("results/study/mine/notes.txt", b"");
    study.write("results/study/20990101-000000-000000-abcd/events.jsonl", b"");
    std::fs::create_dir(study.path("results/other")).unwrap();
    let told = study.told(&["runs"]).succeeds();
    assert_snapshot!(plain(&told), @"
    exit code 0
    --- standard output
      run   pipeline  began (UTC)   ended   seeds  runtime   best arm
      RUN  study   WHEN  done   3   RUNTIME  pixels +#.### ▲ helps
      RUN  study   at work, or ended by force
    --- standard error
    note: results/other holds no runs
    note: results/study/damaged/run.json cannot be read: EOF while parsing an object at line 1 column 1
    note: results/study/mine is no run
    ");
    assert!(told.out.contains(first.file_name().unwrap().to_str().unwrap()));
    let rows = study.told(&["runs", "study", "--json"]).succeeds();
    let rows: serde_json::Value = serde_json::from_str(&rows.out).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!((&rows[0]["ended"], &rows[0]["seeds"]), (&"done".into(), &3.into()));
    assert_eq!(rows[0]["best"]["arm"], "pixels");
    assert_eq!(rows[1]["ended"], "unfinished");
}

#[test]
fn names_of_runs_sort_by_time() {
    let study = digits();
    let names: Vec<_> = (0..4)
        .map(|_| {
            let told = study.run_with(&Backend::Embedded, &["--quiet"]).succeeds();
            told.folder(&study).file_name().unwrap().to_owned()
        })
        .collect();
    assert!(names.is_sorted(), "{names:?}");
}
