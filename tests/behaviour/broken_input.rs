//! Images and models that are broken or strange: the program ends with words, never by a signal, and
//! a repaired study runs as if nothing had been.

use insta::assert_snapshot;

use crate::harness::{Backend, Study, material, pet, rows};
use crate::models;

fn pets() -> Study {
    Study::new(
        "\
name: study
seeds: 1
datasets:
  pets:
    image_folder: { path: pets, group: \"(?<group>animal\\\\d+)_.*\" }
    split: { train: 0.6, val: 0.2, test: 0.2 }
stages:
  floor:
    majority: { dataset: pets }
  pixels:
    pixel_linear: { dataset: pets, size: 8, c: 0.1 }
  scores:
    evaluate: { of: [floor, pixels], metrics: [accuracy] }
",
    )
    .with_pets()
}

/// Runs with one image spoilt, then repairs it and runs again.
fn spoilt_and_repaired(spoil: impl Fn(Vec<u8>) -> Vec<u8>) -> String {
    let study = pets();
    let whole = std::fs::read(study.path(&pet(7))).unwrap();
    study.write(&pet(7), &spoil(whole.clone()));
    study.check().succeeds();
    let told = study.run().fails();
    assert!(!study.path("results/study/latest").exists(), "a failed run is not `latest`");
    study.write(&pet(7), &whole);
    study.run().succeeds();
    let repaired = rows(&study.latest(), "scores");
    let undisturbed = pets();
    undisturbed.run().succeeds();
    assert_eq!(repaired, rows(&undisturbed.latest(), "scores"));
    told.to_string()
}

#[test]
fn an_image_that_is_cut_off_fails_what_reads_it_and_nothing_else() {
    assert_snapshot!(spoilt_and_repaired(|whole| whole[..whole.len() / 2].to_vec()), @"
    exit code 1
    --- standard output

    study · mean ± standard deviation over seeds

      floor on test
        accuracy             0.500

    tables in results/study/RUN
    --- standard error
    study · run RUN · 5 nodes · RUNTIME
    [·/5] error: `pixels of pets at 8×8×1` failed to read pets/dog/animal7_07.png: unexpected end of file
      help: repair or remove the file, then run again
    [·/5] floor seed 0 · TIME
    [·/5] scores of floor seed 0 · TIME
    [·/5] skipped `pixels seed 0`, because `pixels of pets at 8×8×1` failed
    [·/5] skipped `scores of pixels seed 0`, because `pixels of pets at 8×8×1` failed
    2 done, 0 were there already, 1 failed, 2 skipped · TIME
    ");
}

#[test]
fn an_image_that_is_none_is_told_with_its_path() {
    assert_snapshot!(spoilt_and_repaired(|_| b"<html>404</html>".to_vec()), @"
    exit code 1
    --- standard output

    study · mean ± standard deviation over seeds

      floor on test
        accuracy             0.500

    tables in results/study/RUN
    --- standard error
    study · run RUN · 5 nodes · RUNTIME
    [·/5] error: `pixels of pets at 8×8×1` failed to read pets/dog/animal7_07.png: The image format could not be determined
      help: repair or remove the file, then run again
    [·/5] floor seed 0 · TIME
    [·/5] scores of floor seed 0 · TIME
    [·/5] skipped `pixels seed 0`, because `pixels of pets at 8×8×1` failed
    [·/5] skipped `scores of pixels seed 0`, because `pixels of pets at 8×8×1` failed
    2 done, 0 were there already, 1 failed, 2 skipped · TIME
    ");
}

#[test]
fn an_empty_image_is_told_with_its_path() {
    assert_snapshot!(spoilt_and_repaired(|_| vec![]), @"
    exit code 1
    --- standard output

    study · mean ± standard deviation over seeds

      floor on test
        accuracy             0.500

    tables in results/study/RUN
    --- standard error
    study · run RUN · 5 nodes · RUNTIME
    [·/5] error: `pixels of pets at 8×8×1` failed to read pets/dog/animal7_07.png: The image format could not be determined
      help: repair or remove the file, then run again
    [·/5] floor seed 0 · TIME
    [·/5] scores of floor seed 0 · TIME
    [·/5] skipped `pixels seed 0`, because `pixels of pets at 8×8×1` failed
    [·/5] skipped `scores of pixels seed 0`, because `pixels of pets at 8×8×1` failed
    2 done, 0 were there already, 1 failed, 2 skipped · TIME
    ");
}

#[test]
fn an_image_that_cannot_be_read_fails_an_extract_too() {
    let study = with_model(&models::small(), "relu", "none");
    study.write(&pet(7), b"<html>404</html>");
    let told = study.run().fails();
    told.says("`codes` failed to read").says(&pet(7)).says("skipped `probe seed 0`");
}

#[test]
fn a_changed_checksum_of_an_image_is_told_with_its_path() {
    let flipped = |mut whole: Vec<u8>| {
        let middle = whole.len() / 2;
        whole[middle] ^= 0xff;
        whole
    };
    // Which of the checks notices differs with the place.
    let told = spoilt_and_repaired(flipped);
    assert!(told.contains(&format!("failed to read {}", pet(7))), "{told}");
}

#[test]
fn a_link_back_to_its_own_folder_does_not_multiply_images() {
    #[cfg(unix)]
    {
        let study = pets();
        study.run().succeeds();
        let before = rows(&study.latest(), "items").len();
        std::os::unix::fs::symlink(".", study.path("pets/cat/again")).unwrap();
        let told = study.run();
        let after = rows(&told.folder(&study), "items").len();
        assert!(told.code == Some(2) || after == before, "{before} items became {after}\n{told}");
    }
}

/// A study of a model from a file: features of a layer, and training of all of it.
fn with_model(model: &[u8], layer: &str, freeze: &str) -> Study {
    Study::new(&format!(
        "\
name: study
seeds: 1
datasets:
  pets:
    image_folder: {{ path: pets }}
    split: {{ train: 0.6, val: 0.2, test: 0.2 }}
models:
  base:
    onnx: base.onnx
    input: {{ size: 8, channels: 1 }}
stages:
  codes:
    extract: {{ model: base, dataset: pets, layers: {layer} }}
  probe:
    linear_probe: {{ features: codes, c: 0.1 }}
  tuned:
    fine_tune: {{ model: base, dataset: pets, freeze: {freeze}, steps: 6, lr: 1e-2 }}
  scores:
    evaluate: {{ of: [probe, tuned], metrics: [accuracy] }}
"
    ))
    .with_pets()
    .with_file("base.onnx", model)
}

#[test]
fn a_sound_model_from_a_file_is_probed_and_tuned_on_either_backend() {
    for backend in Backend::all() {
        with_model(&models::small(), "relu", "none").run_with(&backend, &[]).succeeds();
    }
}

#[test]
fn a_model_that_is_cut_off_is_refused() {
    let whole = models::small();
    assert_snapshot!(with_model(&whole[..whole.len() / 2], "relu", "none").refusal(), @"
    exit code 2
    --- standard error
    error: model `base`: read base.onnx: this is not an ONNX model, or only a part of one (a broken download?)
        study.yaml:9:11
     9 |     onnx: base.onnx
       |           ^^^^^^^^^

    1 problem
    ");
}

#[test]
fn a_model_cut_off_anywhere_is_refused_or_at_least_ends_in_words() {
    let whole = models::small();
    for length in (0..whole.len()).step_by(whole.len() / 12) {
        let told = with_model(&whole[..length], "relu", "none").check();
        assert_eq!(told.code, Some(2), "cut off at {length} of {}: {told}", whole.len());
    }
}

#[test]
fn a_file_that_is_no_model_is_refused() {
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n";
    assert_snapshot!(with_model(pointer, "relu", "none").refusal(), @"
    exit code 2
    --- standard error
    error: model `base`: read base.onnx: this is not an ONNX model, or only a part of one (a broken download?)
        study.yaml:9:11
     9 |     onnx: base.onnx
       |           ^^^^^^^^^

    1 problem
    ");
}

#[test]
fn an_empty_model_is_refused() {
    assert_snapshot!(with_model(b"", "relu", "none").refusal(), @"
    exit code 2
    --- standard error
    error: model `base`: read base.onnx: this is not an ONNX model, or only a part of one (a broken download?)
        study.yaml:9:11
     9 |     onnx: base.onnx
       |           ^^^^^^^^^

    1 problem
    ");
}

#[test]
fn a_model_that_is_not_there_is_refused_with_where_it_was_looked_for() {
    let study = with_model(&models::small(), "relu", "none");
    std::fs::remove_file(study.path("base.onnx")).unwrap();
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: model `base`: read base.onnx: No such file or directory (os error 2)
        study.yaml:9:11
     9 |     onnx: base.onnx
       |           ^^^^^^^^^
      help: paths in the file are relative to it, those of `--set` to the current folder

    1 problem
    ");
}

#[test]
fn a_repaired_model_runs() {
    let study = with_model(b"", "relu", "none");
    study.refusal();
    study.write("base.onnx", &models::small());
    study.run().succeeds();
}

#[test]
fn a_model_without_its_operator_set_is_refused() {
    let Some(material) = material() else { return };
    let path = material.join("models/original/negative_no_opset_super_resolution.onnx");
    let study = with_model(&std::fs::read(path).unwrap(), "relu", "none");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: model `base`: read base.onnx: the model names no operator set (it is of ONNX IR version 1, from before there were any), so nobody can know what its nodes mean; export it again with a current tool
        study.yaml:9:11
     9 |     onnx: base.onnx
       |           ^^^^^^^^^

    1 problem
    ");
}

#[test]
fn a_model_that_makes_the_embedded_backend_crash_is_refused_with_a_way_out() {
    let study = with_model(&models::with_a_negative_pad(), "cut", "all");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: model `base`: base.onnx cannot be run: the embedded backend crashed on a graph (ndarray: could not broadcast array from shape: [1, 4, 8, 8] to: [1, 4, 0, 0]); ONNX Runtime's own library may run it: get it with `tl-run runtime install`, or name one with --runtime PATH
        study.yaml:9:11
     9 |     onnx: base.onnx
       |           ^^^^^^^^^

    1 problem
    ");
    let Some(library) = Backend::library() else { return };
    study.run_with(&library, &[]).succeeds();
}

#[test]
fn a_model_that_cannot_be_trained_is_refused_with_the_node_in_the_way() {
    let study = with_model(&models::with_an_operator_without_gradient(), "odd", "none");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: `base` cannot be trained through `odd` (Hardmax): no gradient is known for this operator
         study.yaml:17:25
     17 |     fine_tune: { model: base, dataset: pets, freeze: none, steps: 6, lr: 1e-2 }
        |                         ^^^^
      help: freeze the model up to a layer after `odd`

    1 problem
    ");
    // What cannot be trained through can be frozen.
    study.replace("freeze: none", "freeze: odd");
    study.run().succeeds();
}

#[test]
fn every_node_in_the_way_is_told_before_any_work() {
    let study = with_model(&models::with_two_nodes_in_the_way(), "odd", "none");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: `base` cannot be trained through `clip` (Clip): input 1 is computed at run time
         study.yaml:17:25
     17 |     fine_tune: { model: base, dataset: pets, freeze: none, steps: 6, lr: 1e-2 }
        |                         ^^^^
      help: freeze the model up to a layer after `clip`

    error: `base` cannot be trained through `odd` (Hardmax): no gradient is known for this operator
         study.yaml:17:25
     17 |     fine_tune: { model: base, dataset: pets, freeze: none, steps: 6, lr: 1e-2 }
        |                         ^^^^
      help: freeze the model up to a layer after `odd`

    2 problems
    ");
}

#[test]
fn a_model_whose_head_reads_a_map_can_be_frozen_on_either_backend() {
    for backend in Backend::all() {
        let study = with_model(&models::that_ends_in_a_convolution(), "relu", "all");
        study.run_with(&backend, &[]).succeeds();
    }
}

#[test]
fn a_model_that_spells_its_batch_out_is_freed_on_either_backend() {
    for backend in Backend::all() {
        let study = with_model(&models::for_one_item_at_a_time(), "flat", "none");
        study.run_with(&backend, &[]).succeeds();
    }
}

#[test]
fn a_model_whose_batch_cannot_be_freed_keeps_it_and_its_body_is_not_trained() {
    let study = with_model(&models::that_centres_its_batch(), "relu", "none");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: `base` takes 1 item at a time and cannot be given more, so its body cannot be trained: `mean` has the shape [1, 4, 1, 1] for 3 items; ONNX Runtime's own library may run it: get it with `tl-run runtime install`, or name one with --runtime PATH
         study.yaml:17:54
     17 |     fine_tune: { model: base, dataset: pets, freeze: none, steps: 6, lr: 1e-2 }
        |                                                      ^^^^
      help: train the head alone with `freeze: all`
      help: or export the model with a free batch axis

    1 problem
    ");
    study.replace("freeze: none", "freeze: all");
    for backend in Backend::all() {
        study.run_with(&backend, &[]).succeeds();
    }
}

#[test]
fn features_that_are_no_numbers_fail_the_stages_that_read_them() {
    let study = with_model(&models::without_numbers(), "conv", "none");
    let told = study.run().fails();
    assert_snapshot!(told, @"
    exit code 1
    --- standard output
    tables in results/study/RUN
    --- standard error
    study · run RUN · 8 nodes · RUNTIME
    [·/8] codes · TIME
    [·/8] error: `probe seed 0` failed to fit: feature 0 of `cat/animal10_10.png` in `codes` is NaN
      help: check the model's input rule, or choose another layer
    [·/8] error: `tuned seed 0` failed to train with seed 0: at lr 0.01 the loss became NaN at step 0
      help: nothing was trained yet: check the model's input rule and weights
    [·/8] pixels of pets at 8×8×1 · TIME
    [·/8] preprocessing of base on pets · TIME
    [·/8] skipped `scores of probe seed 0`, because `probe seed 0` failed
    [·/8] skipped `scores of tuned seed 0`, because `tuned seed 0` failed
    [·/8] tuned lr=0.01 seed 0 · TIME
    warning: tuned lr=0.01 seed 0: diverged at lr 0.01: the loss was NaN at step 0
    4 done, 0 were there already, 2 failed, 2 skipped · TIME
    ");
}

#[test]
fn what_a_stage_failed_to_do_reads_as_a_sentence() {
    let study = with_model(&models::without_numbers(), "conv", "none");
    study.run().fails().says("failed to").never_says("failed to feature");
}

#[test]
fn images_that_do_not_fit_a_models_channels_are_told() {
    let study = pets();
    study.replace(
        "pixel_linear: { dataset: pets, size: 8,",
        "pixel_linear: { dataset: pets, size: 8, channels: 2,",
    );
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: the items of `pets` do not fit the input: it has 1 channels and cannot be turned into 2
         study.yaml:11:30
     11 |     pixel_linear: { dataset: pets, size: 8, channels: 2, c: 0.1 }
        |                              ^^^^
      help: check `size` and `channels`, of the stage or of its model's input

    1 problem
    ");
}
