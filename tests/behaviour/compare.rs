//! `compare`: what differs between runs, and whether that can be chance.

use insta::assert_snapshot;
use serde_json::Value as Json;

use crate::harness::{Backend, Study, Told, masked_scores, pet, rows, text};
use crate::runs::digits;

fn compare(study: &Study, arguments: &[&str]) -> Told {
    study.told(&[&["compare"], arguments].concat())
}

fn wrong(study: &Study, arguments: &[&str]) -> Told {
    let told = compare(study, arguments);
    assert_eq!(told.code, Some(2), "{told}");
    told
}

#[test]
fn two_runs_are_compared_arm_by_arm_over_shared_seeds_and_items() {
    let study = digits();
    study.run().succeeds();
    study.run_with(&Backend::Embedded, &["--set", "c=3e-5", "--seeds", "4"]).succeeds();
    let told = compare(&study, &["latest~1", "latest", "--output", "arms.csv"]).succeeds();
    assert_snapshot!(masked_scores(&told.to_string()), @"
    exit code 0
    --- standard output
    study · RUN against RUN · accuracy · 3 shared seeds × 300 test items

      arm     before  after  Δ       95 % interval     change                                 against its baseline
      pixels  #.###   #.###  −#.###  [−#.###, −#.###]  ▼ worse                                ▲ helps → ▼ hurts
      few     #.###   #.###  +#.###  [+#.###, +#.###]  = no difference: the same predictions

    set otherwise:
      stages.pixels.pixel_linear.c: 0.01 → 0.00003
      --set: not there → c=3e-5
      seeds: [0, 1, 2] → [0, 1, 2, 3]
    ");
    let told = compare(&study, &["latest~1", "latest", "--json"]).succeeds();
    let found: Json = serde_json::from_str(&told.out).unwrap();
    let arm = &found[0]["arms"][0];
    assert_eq!((&arm["arm"], &arm["scope"]), (&"pixels".into(), &"seeds_and_items".into()));
    let number = |value: &Json| value.as_f64().unwrap();
    let delta = number(&arm["after"]) - number(&arm["before"]);
    assert!((delta - number(&arm["delta"])).abs() < 1e-12, "{arm}");
    assert!(number(&arm["interval"][0]) < delta && delta < number(&arm["interval"][1]), "{arm}");
    // The one that nobody touched is the same.
    assert_eq!(found[0]["arms"][1]["word"], "same");
    let table = text(&study.path(""), "arms.csv");
    assert!(table.lines().next().unwrap().starts_with("reference,run,metric,arm,before,after"));
    assert_eq!(table.lines().count(), 3);
}

#[test]
fn what_is_said_of_two_runs_is_what_a_verdict_says_of_two_arms() {
    let study = digits();
    study.run_with(&Backend::Embedded, &["--set", "c=3e-5"]).succeeds();
    study.run().succeeds();
    let told = compare(&study, &["latest~1", "latest", "--json"]).succeeds();
    let found: Json = serde_json::from_str(&told.out).unwrap();
    let arm = &found[0]["arms"][0];
    study.replace(
        "few:\n    pixel_linear: { dataset: digits, train_size: 30, c: 0.01 }",
        "few:\n    pixel_linear: { dataset: digits, c: 3e-5 }",
    );
    study.run().succeeds();
    let verdict = &rows(&study.latest(), "transfer")[0];
    let pairs = [
        ("delta", &arm["delta"]),
        ("ci_lo", &arm["interval"][0]),
        ("ci_hi", &arm["interval"][1]),
        ("m_scratch", &arm["before"]),
        ("m_transfer", &arm["after"]),
    ];
    for (name, value) in pairs {
        let (expected, found) = (verdict[name].parse::<f64>().unwrap(), value.as_f64().unwrap());
        assert!((expected - found).abs() < 1e-12, "{name}: {expected} and {found}");
    }
}

#[test]
fn a_metric_that_is_no_mean_over_items_is_compared_over_seeds() {
    let study = digits();
    study.run().succeeds();
    study.run_with(&Backend::Embedded, &["--set", "c=3e-5"]).succeeds();
    let told = compare(&study, &["latest~1", "latest", "--metric", "macro_f1"]).succeeds();
    assert_snapshot!(masked_scores(&told.to_string()), @"
    exit code 0
    --- standard output
    study · RUN against RUN · macro f1 · 3 shared seeds · intervals over seeds alone: other items could differ more

      arm     before  after  Δ       95 % interval     change                            against its baseline
      pixels  #.###   #.###  −#.###  [−#.###, −#.###]  ▼ worse                           ▲ helps → ▼ hurts
      few     #.###   #.###  +#.###  [+#.###, +#.###]  = no difference: the same scores

    set otherwise:
      stages.pixels.pixel_linear.c: 0.01 → 0.00003
      --set: not there → c=3e-5
    ");
    let told = wrong(&study, &["latest~1", "latest", "--metric", "makro_f1"]);
    assert_snapshot!(told, @"
    exit code 2
    --- standard error
    error: `makro_f1` was not scored in RUN
      help: did you mean `macro_f1`?
    ");
}

#[test]
fn a_run_is_the_same_as_itself() {
    let study = digits();
    study.run().succeeds();
    let told = compare(&study, &["latest", "study/latest"]).succeeds();
    assert_snapshot!(masked_scores(&told.to_string()), @"
    exit code 0
    --- standard output
    study · RUN against RUN · accuracy · 3 shared seeds × 300 test items

      arm     before  after  Δ       95 % interval     change                                 against its baseline
      pixels  #.###   #.###  +#.###  [+#.###, +#.###]  = no difference: the same predictions  ▲ helps
      few     #.###   #.###  +#.###  [+#.###, +#.###]  = no difference: the same predictions

    nothing was set otherwise
    ");
    for arm in [0, 1] {
        let told = compare(&study, &["latest", "latest", "--json"]).succeeds();
        let found: Json = serde_json::from_str(&told.out).unwrap();
        let arm = &found[0]["arms"][arm];
        assert_eq!((&arm["delta"], &arm["word"]), (&0.0.into(), &"same".into()));
        assert_eq!(arm["interval"], serde_json::json!([0.0, 0.0]));
    }
}

#[test]
fn another_test_set_is_refused() {
    let study = digits();
    study.run().succeeds();
    study.replace("test: 300", "test: 299");
    study.run().succeeds();
    let told = wrong(&study, &["latest~1", "latest"]).to_string();
    let ids = regex::Regex::new(r"first: .*").unwrap();
    assert_snapshot!(ids.replace(&told, "first: …"), @"
    exit code 2
    --- standard error
    error: the runs RUN and RUN were tested on different items, so that their scores say nothing of each other
      1 item of `digits` only in the first: …
      help: compare runs of one data set and one split, or run the older pipeline again
    ");
}

/// Images, of which the contents can change and nothing else.
fn pets() -> Study {
    Study::new(
        "\
name: study
seeds: 1
datasets:
  pets:
    image_folder: { path: pets, group: '(?<group>animal\\d+)_.*' }
    split: { train: 0.5, val: 0.2, test: 0.3 }
stages:
  pixels:
    pixel_linear: { dataset: pets, size: 8, c: 0.1 }
  floor:
    majority: { dataset: pets }
  scores:
    evaluate: { of: [pixels, floor] }
",
    )
    .with_pets()
}

#[test]
fn test_items_with_other_contents_are_refused_by_name() {
    let study = pets();
    study.run().succeeds();
    let items = text(&study.latest(), "items.csv");
    let tested = items.lines().nth(1).and_then(|line| line.split(',').nth(3)).unwrap().to_owned();
    let number = (0..60).find(|number| pet(*number).ends_with(&tested)).unwrap();
    study.draw_pet(number, 9);
    study.run().succeeds();
    let told = wrong(&study, &["latest~1", "latest"]);
    told.says(&format!("  1 item of `pets` with other content: {tested}\n"));
    // A run of a version that did not record contents is compared by what is known of it.
    let folder = study.latest();
    let mut record: Json = serde_json::from_str(&text(&folder, "run.json")).unwrap();
    record.as_object_mut().unwrap().remove("tests");
    let path = folder.strip_prefix(study.path("")).unwrap().join("run.json");
    study.write(path.to_str().unwrap(), record.to_string().as_bytes());
    let told = compare(&study, &["latest~1", "latest"]).succeeds();
    told.says("note: contents of the test items of `pets` are not on record in both runs");
}

#[test]
fn an_arm_of_one_run_alone_is_named_with_what_was_set_otherwise() {
    let study = pets();
    study.run().succeeds();
    study.replace("c: 0.1 }", "c: [0.1, 1] }");
    study.replace("of: [pixels, floor]", "of: [pixels, other]");
    study.replace(
        "  floor:\n    majority: { dataset: pets }",
        "  other:\n    pixel_linear: { dataset: pets, size: 4, c: 0.1 }",
    );
    study.run().succeeds();
    let told = compare(&study, &["latest~1", "latest"]).succeeds();
    assert_snapshot!(masked_scores(&told.to_string()), @"
    exit code 0
    --- standard output
    study · RUN against RUN · balanced accuracy · 1 shared seed × 16 test items of 8 groups

      arm     before  after  Δ       95 % interval  change
      pixels  #.###   #.###  +#.###                 = no difference: the same predictions

      only in RUN: floor
      only in RUN: other

    set otherwise:
      stages.pixels.pixel_linear.c: 0.1 → [0.1, 1]
      stages.floor: { majority: { dataset: pets } } → not there
      stages.scores.evaluate.of: [pixels, floor] → [pixels, other]
      stages.other: not there → { pixel_linear: { dataset: pets, size: 4, c: 0.1 } }
    ");
}

#[test]
fn a_longer_training_is_told_with_its_epochs() {
    let study = pets();
    study.replace(
        "stages:\n",
        "vars: { epochs: 1 }\nstages:\n  net:\n    pretrain:\n      dataset: pets\n      \
         architecture: { plain_cnn: { channels: 4, dense: 8 } }\n      input: { size: 8, channels: \
         1 }\n      epochs: \"${epochs}\"\n      lr: 3e-2\n",
    );
    study.replace("of: [pixels, floor]", "of: [net, floor]");
    study.run().succeeds();
    study.replace("epochs: 1", "epochs: 40");
    study.run().succeeds();
    let told = compare(&study, &["latest~1", "latest"]).succeeds();
    assert_snapshot!(masked_scores(&told.to_string()), @"
    exit code 0
    --- standard output
    study · RUN against RUN · balanced accuracy · 1 shared seed × 16 test items of 8 groups

      arm    before  after  Δ       95 % interval  change
      net    #.###   #.###  +#.###                 ? cannot tell: fewer than 3 seeds; fewer than 50 test items or groups
      floor  #.###   #.###  +#.###                 = no difference: the same predictions

    set otherwise:
      stages.net.pretrain.epochs: 1 → 40
    ");
}

#[test]
fn a_folder_that_was_sent_is_compared_without_its_store() {
    let study = digits();
    let sent = study.run().succeeds().folder(&study);
    study.run_with(&Backend::Embedded, &["--set", "c=3e-5"]).succeeds();
    std::fs::create_dir(study.path("mail")).unwrap();
    std::fs::rename(&sent, study.path("mail/run")).unwrap();
    std::fs::remove_dir_all(study.path("results/.store")).unwrap();
    for name in ["items", "scores", "transfer"] {
        // Whatever there is of a table will do.
        std::fs::remove_file(study.path(&format!("mail/run/{name}.parquet"))).unwrap();
    }
    let told = compare(&study, &["mail/run", "latest"]).succeeds();
    told.says("300 test items").says("stages.pixels.pixel_linear.c: 0.01 → 0.00003");
}

#[test]
fn a_run_that_is_not_there_is_told_with_the_nearest() {
    let study = digits();
    let folder = study.run().succeeds().folder(&study);
    let id = folder.file_name().unwrap().to_str().unwrap();
    assert_snapshot!(wrong(&study, &["latest", "lates"]), @"
    exit code 2
    --- standard error
    error: there is no run `lates` in results
      help: did you mean `latest`?
    ");
    assert_snapshot!(wrong(&study, &["latest", "latest~3"]), @"
    exit code 2
    --- standard error
    error: `study` has 1 complete run, which is too few for `latest~3`
    ");
    assert_snapshot!(wrong(&study, &["latest", "stydy/latest"]), @"
    exit code 2
    --- standard error
    error: no pipeline `stydy` has runs in results
      help: did you mean `study`?
    ");
    assert_snapshot!(wrong(&study, &["latest", "something"]), @"
    exit code 2
    --- standard error
    error: there is no run `something` in results
      help: `tl-run runs` lists what there is
    ");
    // The beginning of an id is enough if it is one run's alone.
    compare(&study, &["latest", &id[..18]]).succeeds();
    study.run().succeeds();
    let told = wrong(&study, &["latest", &id[..4]]);
    told.says("could be 2 runs: `study/");
    study.replace("name: study", "name: other");
    study.run().succeeds();
    let told = wrong(&study, &["latest", "latest"]);
    told.says("`latest` of which pipeline?").says("there is: `other`, `study`");
    compare(&study, &["latest", "latest~1", "--pipeline", "study"]).succeeds();
}
