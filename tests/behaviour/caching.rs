//! What is computed again, and what is not.

use std::fs;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;

use crate::harness::{Backend, Study, files, pet, rows, text};

fn study() -> Study {
    Study::new(
        "\
name: study
seeds: 2
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 50, test: 60 }
  pets:
    image_folder: { path: pets }
    split: { train: 0.6, val: 0.2, test: 0.2 }
stages:
  source:
    pretrain:
      dataset: digits
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 20
      lr: [1e-2, 3e-2]
  codes:
    extract: { model: source, dataset: pets, layers: dense1 }
  probe:
    linear_probe: { features: codes.dense1, c: [0.1, 1] }
  tuned:
    fine_tune: { model: source, dataset: pets, freeze: block1, steps: 10, lr: 1e-2 }
  scratch:
    fine_tune: { model: source, init: random, dataset: pets, steps: 10, lr: 1e-2 }
  scores:
    evaluate: { of: [probe, tuned, scratch] }
  verdict:
    transfer: { of: scores, baseline: scratch, metric: accuracy }
",
    )
    .with_digits(300)
    .with_pets()
}

/// Tables without what depends on time.
const TABLES: [&str; 5] = ["scores", "confusion", "items", "transfer", "convergence"];

fn tables(folder: &Path) -> Vec<String> {
    TABLES.iter().map(|name| text(folder, &format!("{name}.csv"))).collect()
}

/// Runs the study, changes it, and tells what worked in the second run.
fn worked_after(change: impl Fn(&Study)) -> String {
    let study = study();
    study.run().succeeds();
    change(&study);
    study.run().succeeds().worked().join("\n")
}

#[test]
fn a_second_run_computes_nothing_and_gives_the_same_tables() {
    let study = study();
    let first = study.run().succeeds();
    let (done, hits) = first.done_and_hits();
    assert_eq!(hits, 0, "{first}");
    let before = tables(&study.latest());
    let second = study.run().succeeds();
    assert_eq!(second.done_and_hits(), (0, done));
    assert_eq!(tables(&study.latest()), before);
    assert_ne!(first.folder(&study), second.folder(&study), "each run has a folder of its own");
}

#[test]
fn a_second_run_tells_what_the_first_cost() {
    let study = study();
    study.run().succeeds();
    let cost = |study: &Study| -> Vec<String> {
        rows(&study.latest(), "costs").into_iter().map(|row| row["seconds"].clone()).collect()
    };
    let before = cost(&study);
    study.run().succeeds();
    assert_eq!(cost(&study), before);
}

#[test]
fn names_order_and_comments_compute_nothing() {
    let worked = worked_after(|study| {
        let text = study.pipeline();
        let (head, stages) = text.split_once("stages:\n").unwrap();
        let (rest, verdict) = stages.split_once("  verdict:\n").unwrap();
        let text = format!("# a comment\n{head}stages:\n  verdict:\n{verdict}{rest}");
        let text = text.replace("source", "teacher").replace("digits:", "numbers:");
        let text =
            text.replace("dataset: digits", "dataset: numbers").replace("codes", "features_of");
        study.write("study.yaml", text.as_bytes());
    });
    assert_eq!(worked, "");
}

#[test]
fn keys_in_another_order_compute_nothing() {
    let worked = worked_after(|study| {
        study.replace(
            "      steps: 20\n      lr: [1e-2, 3e-2]\n",
            "      lr: [0.01, 3e-2]\n      steps: 20\n",
        );
    });
    assert_eq!(worked, "");
}

#[test]
fn data_that_moved_compute_nothing() {
    let worked = worked_after(|study| {
        fs::rename(study.path("pets"), study.path("animals")).unwrap();
        study.replace("path: pets", "path: animals");
    });
    assert_eq!(worked, "");
}

#[test]
fn a_changed_parameter_computes_what_depends_on_it() {
    assert_snapshot!(worked_after(|study| study.replace("c: [0.1, 1]", "c: [0.1, 2]")), @"
    probe seed 0
    probe seed 1
    scores of probe seed 0
    scores of probe seed 1
    verdict
    ");
}

#[test]
fn another_freeze_depth_computes_the_stage_that_has_it() {
    assert_snapshot!(worked_after(|study| study.replace("freeze: block1", "freeze: all")), @"
    prefix of source on pets up to dense1/relu seed 0
    prefix of source on pets up to dense1/relu seed 1
    scores of tuned seed 0
    scores of tuned seed 1
    tuned lr=0.01 seed 0
    tuned lr=0.01 seed 1
    tuned seed 0
    tuned seed 1
    verdict
    ");
}

#[test]
fn one_more_learning_rate_computes_itself_and_what_follows_from_the_choice() {
    let one_more = |study: &Study| study.replace("lr: [1e-2, 3e-2]", "lr: [1e-9, 1e-2, 3e-2]");
    // A rate at which nothing is learnt is not chosen: the model stays as it is, byte by byte, and
    // nothing that is made of it is made again.
    assert_snapshot!(worked_after(one_more), @"
    source lr=0.000000001 seed 0
    source lr=0.000000001 seed 1
    source seed 0
    source seed 1
    ");
}

#[test]
fn one_more_seed_computes_itself_and_the_verdict() {
    assert_snapshot!(worked_after(|study| study.replace("seeds: 2", "seeds: 3")), @"
    codes seed 2
    prefix of source on pets up to block1/pool seed 2
    probe seed 2
    scores of probe seed 2
    scores of scratch seed 2
    scores of tuned seed 2
    scratch lr=0.01 seed 2
    scratch seed 2
    source lr=0.01 seed 2
    source lr=0.03 seed 2
    source seed 2
    tuned lr=0.01 seed 2
    tuned seed 2
    verdict
    ");
}

#[test]
fn a_changed_image_computes_everything_that_is_made_of_its_data_set() {
    let worked = worked_after(|study| study.draw_pet(3, 9));
    assert_snapshot!(worked, @"
    codes seed 0
    codes seed 1
    pixels of pets at 8×8×1
    prefix of source on pets up to block1/pool seed 0
    prefix of source on pets up to block1/pool seed 1
    probe seed 0
    probe seed 1
    scores of probe seed 0
    scores of probe seed 1
    scores of scratch seed 0
    scores of scratch seed 1
    scores of tuned seed 0
    scores of tuned seed 1
    scratch lr=0.01 seed 0
    scratch lr=0.01 seed 1
    scratch seed 0
    scratch seed 1
    tuned lr=0.01 seed 0
    tuned lr=0.01 seed 1
    tuned seed 0
    tuned seed 1
    verdict
    ");
}

#[test]
fn a_renamed_image_computes_everything_that_is_made_of_its_data_set() {
    let worked = worked_after(|study| {
        fs::rename(study.path(&pet(3)), study.path("pets/dog/renamed.png")).unwrap();
    });
    assert!(worked.contains("tuned seed 0"), "{worked}");
    assert!(!worked.contains("source seed 0"), "{worked}");
}

#[test]
fn a_var_of_the_command_line_computes_as_if_it_were_written() {
    let study = study();
    study.replace("seeds: 2", "seeds: 2\nvars: { steps: 10 }");
    study.replace("freeze: block1, steps: 10", "freeze: block1, steps: \"${steps}\"");
    study.run().succeeds();
    let told = study.run_with(&Backend::Embedded, &["--set", "steps=10"]).succeeds();
    assert_eq!(told.done_and_hits().0, 0, "{told}");
    let told = study.run_with(&Backend::Embedded, &["--set", "steps=12"]).succeeds();
    assert!(told.worked().contains(&"tuned seed 0".to_owned()), "{told}");
}

/// Changes a file that the store has protected; it may be linked from a run's folder.
fn damage(path: &Path, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let bytes = change(fs::read(path).unwrap());
    fs::remove_file(path).unwrap();
    tl_run::base::atomic::write(path, &bytes).unwrap();
}

fn flipped(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

/// Runs, damages every file of a part of the store, runs again: the same tables.
fn damaged_everywhere(part: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let study = study();
    study.run().succeeds();
    let before = tables(&study.latest());
    for path in files(&study.path("results/.store/v1").join(part)) {
        damage(&path, &change);
    }
    let told = study.run().succeeds();
    assert!(told.done_and_hits().0 > 0, "damage was not noticed\n{told}");
    assert_eq!(tables(&study.latest()), before);
    let told = study.run().succeeds();
    assert_eq!(told.done_and_hits().0, 0, "after the repair everything is there\n{told}");
}

#[test]
fn changed_bytes_in_the_store_are_noticed_and_made_again() {
    damaged_everywhere("blobs", flipped);
}

#[test]
fn results_cut_off_in_the_store_are_noticed_and_made_again() {
    damaged_everywhere("blobs", |bytes| bytes[..bytes.len() / 2].to_vec());
}

#[test]
fn records_cut_off_in_the_store_are_noticed_and_made_again() {
    damaged_everywhere("records", |bytes| bytes[..bytes.len() / 2].to_vec());
}

#[test]
fn empty_records_in_the_store_are_noticed_and_made_again() {
    damaged_everywhere("records", |_| vec![]);
}

#[test]
fn one_damaged_result_is_told_and_made_again() {
    let study = study();
    study.run().succeeds();
    let folder = study.latest();
    let models = files(&folder.join("models"));
    let model = models.iter().find(|path| path.ends_with("tuned-seed1.onnx")).unwrap();
    let bytes = fs::read(model).unwrap();
    let blobs = files(&study.path("results/.store/v1/blobs"));
    let blob = blobs.iter().find(|path| fs::read(path).unwrap() == bytes).unwrap();
    damage(blob, flipped);
    let told = study.run().succeeds();
    assert_eq!(told.worked(), ["tuned seed 1"]);
    told.says("warning: tuned seed 1: blob").says("was damaged or missing; it is made again");
    let again = study.latest().join("models/tuned-seed1.onnx");
    assert_eq!(fs::read(again).unwrap(), bytes);
}

#[test]
fn a_missing_result_is_told_and_made_again() {
    let study = study();
    study.run().succeeds();
    let blobs = files(&study.path("results/.store/v1/blobs"));
    for blob in blobs {
        fs::remove_file(blob).unwrap();
    }
    study.run().succeeds().says("was damaged or missing; it is made again");
}

/// Images at 40×40 are more than a megabyte in all, which is not compared with its digest whenever
/// it is looked up, but when it is read.
#[test]
fn a_large_result_with_changed_bytes_is_noticed_when_it_is_read() {
    let study = study();
    study.replace("size: 8, channels: 1, scale: 16", "size: 40, channels: 1, scale: 16");
    study.run().succeeds();
    let blobs = files(&study.path("results/.store/v1/blobs"));
    let large: Vec<&PathBuf> =
        blobs.iter().filter(|path| fs::metadata(path).unwrap().len() > 1 << 20).collect();
    assert!(!large.is_empty(), "nothing is larger than a megabyte");
    for path in large {
        damage(path, flipped);
    }
    // Another rate trains on the damaged pixels, which have to be made again first.
    study.replace("lr: [1e-2, 3e-2]", "lr: [1e-2, 2e-2]");
    study.run().succeeds().says("it is made again");
    let before = tables(&study.latest());
    let fresh = Study::new(&study.pipeline()).with_digits(300).with_pets();
    fresh.run().succeeds();
    assert_eq!(tables(&fresh.latest()), before);
}

#[test]
fn a_store_can_be_shared_by_studies() {
    let (one, other) = (study(), study());
    let store = one.path("store");
    let store = ["--store", store.to_str().unwrap()];
    let first = one.run_with(&Backend::Embedded, &store).succeeds();
    let second = other.run_with(&Backend::Embedded, &store).succeeds();
    assert_eq!(second.done_and_hits(), (0, first.done_and_hits().0));
    assert_eq!(tables(&one.latest()), tables(&other.latest()));
}

#[test]
fn what_a_run_gave_cannot_be_overwritten_by_mistake() {
    let study = study();
    study.run().succeeds();
    for model in files(&study.latest().join("models")) {
        assert!(fs::metadata(&model).unwrap().permissions().readonly(), "{}", model.display());
    }
}

#[test]
fn a_check_writes_nothing() {
    let study = study();
    study.check().succeeds();
    assert!(!study.path("results").exists());
}

#[test]
fn models_that_fit_images_differently_have_pixels_of_their_own() {
    let study = Study::new(
        "\
name: study
seeds: 1
datasets:
  pets:
    image_folder: { path: pets }
    split: { train: 0.6, val: 0.2, test: 0.2 }
stages:
  stretched:
    pretrain: &training
      dataset: pets
      architecture: mlp
      input: { size: [8, 4], channels: 1, fit: stretch }
      steps: 2
      lr: 1e-2
  covered:
    pretrain: { <<: *training, input: { size: [8, 4], channels: 1, fit: cover } }
",
    )
    .with_pets();
    let worked = study.run().succeeds().worked();
    let pixels: Vec<&String> = worked.iter().filter(|label| label.starts_with("pixels")).collect();
    assert_eq!(pixels, ["pixels of pets at 8×4×1", "pixels of pets at 8×4×1, cut to fit"]);
}

#[test]
fn whole_features_and_a_frozen_prefix_up_to_the_same_layer_are_one_result() {
    let study = study();
    study.replace("layers: dense1 }", "layers: block1/pool, spatial: all }");
    study.replace("codes.dense1", "codes");
    study.replace("freeze: block1,", "freeze: block1/pool,");
    let told = study.run().succeeds();
    let passes = told.worked();
    let passes = passes.iter().filter(|l| l.starts_with("codes") || l.starts_with("prefix"));
    assert_eq!(passes.count(), 2, "one for each seed in\n{told}");
}
