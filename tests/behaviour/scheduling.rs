//! What a failed stage does to others, and what a second run repeats.

use insta::assert_snapshot;
use serde_json::Value as Json;

use crate::harness::{Backend, Study, Told, masked_scores, pet, text};

/// Two branches: one reads images, the other only counts labels.
fn study() -> Study {
    Study::new(
        "\
name: study
seeds: 1
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
      steps: 10
      lr: 1e-2
  codes:
    extract: { model: source, dataset: pets, layers: dense1 }
  probe:
    linear_probe: { features: codes.dense1, c: 0.1 }
  of_probe:
    evaluate: { of: [probe], metrics: [accuracy] }
  floor:
    majority: { dataset: pets }
    needs: [source]
  of_floor:
    evaluate: { of: [floor, source], metrics: [accuracy] }
",
    )
    .with_digits(300)
    .with_pets()
}

fn broken() -> Study {
    let study = study();
    study.write(&pet(0), b"no image");
    study
}

#[test]
fn a_failed_stage_skips_its_descendants_and_spares_its_siblings() {
    assert_snapshot!(without_scores(&broken().run().fails()), @"
    exit code 1
    --- standard output

    study · mean ± standard deviation over seeds

      floor on test
        accuracy             #.###

      source on test
        accuracy             #.###

    tables in results/study/RUN
    --- standard error
    study · run RUN · 9 nodes · RUNTIME
    [·/9] error: `codes seed 0` failed to read pets/cat/animal0_00.png: The image format could not be determined
      help: repair or remove the file, then run again
    [·/9] floor seed 0 · TIME
    [·/9] of_floor of floor seed 0 · TIME
    [·/9] of_floor of source seed 0 · TIME
    [·/9] pixels of digits at 8×8×1 · TIME
    [·/9] skipped `of_probe of probe seed 0`, because `codes seed 0` failed
    [·/9] skipped `probe seed 0`, because `codes seed 0` failed
    [·/9] source lr=0.01 seed 0 · TIME
    [·/9] source seed 0 · TIME
    6 done, 0 were there already, 1 failed, 2 skipped · TIME
    ");
}

/// Numbers of networks differ between processors.
fn without_scores(told: &Told) -> String {
    masked_scores(&told.to_string())
}

#[test]
fn the_record_of_a_run_tells_how_every_node_ended_and_why() {
    let study = broken();
    let folder = study.run().fails().folder(&study);
    let record: Json = serde_json::from_str(&text(&folder, "run.json")).unwrap();
    let node = |node: &Json| {
        let word = |key: &str| node[key].as_str().unwrap_or("–").to_owned();
        format!("{}: {} ({})\n", word("label"), word("outcome"), word("message"))
    };
    let nodes: String = record["nodes"].as_array().unwrap().iter().map(node).collect();
    assert_snapshot!(nodes, @"
    pixels of digits at 8×8×1: done (–)
    source lr=0.01 seed 0: done (–)
    source seed 0: done (–)
    codes seed 0: failed (read pets/cat/animal0_00.png: The image format could not be determined)
    probe seed 0: skipped (`codes seed 0` failed)
    of_probe of probe seed 0: skipped (`codes seed 0` failed)
    floor seed 0: done (–)
    of_floor of floor seed 0: done (–)
    of_floor of source seed 0: done (–)
    ");
}

#[test]
fn a_run_says_less_if_it_is_asked_to_be_quiet_but_tells_what_failed() {
    let told = broken().run_with(&Backend::Embedded, &["--quiet"]).fails();
    assert_snapshot!(without_scores(&told), @"
    exit code 1
    --- standard output

    study · mean ± standard deviation over seeds

      floor on test
        accuracy             #.###

      source on test
        accuracy             #.###

    tables in results/study/RUN
    --- standard error
    [·/9] error: `codes seed 0` failed to read pets/cat/animal0_00.png: The image format could not be determined
      help: repair or remove the file, then run again
    ");
}

#[test]
fn a_second_run_repeats_only_what_is_missing() {
    let study = broken();
    let first = study.run().fails();
    let second = study.run().fails();
    let (done, _) = first.done_and_hits();
    assert_eq!(second.done_and_hits(), (0, done));
    second.says("`codes seed 0` failed to read");
    study.draw_pet(0, 0);
    let third = study.run().succeeds();
    // The data set's content has changed, and with it what counts its labels.
    assert_snapshot!(third.worked().join("\n"), @"
    codes seed 0
    floor seed 0
    of_probe of probe seed 0
    probe seed 0
    ");
}

#[test]
fn events_can_be_read_by_programs() {
    let study = broken();
    let told = study.run_with(&Backend::Embedded, &["--json"]).fails();
    let events: Vec<Json> =
        told.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(told.err.is_empty(), "events are all there is, not as in\n{told}");
    assert_eq!(events[0]["event"], "run_started");
    let last = &events[events.len() - 1];
    assert_eq!(last["event"], "run_finished");
    let failed: Vec<&Json> = events.iter().filter(|event| event["event"] == "failed").collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["label"], "codes seed 0");
    assert_eq!(last["failed"], 1);
    assert_eq!(last["skipped"], 2);
}
