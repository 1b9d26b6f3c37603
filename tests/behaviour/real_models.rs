//! Studies of real models and images, where there are any.

use std::path::{Path, PathBuf};

use crate::harness::{Backend, Study, material, rows};

/// Twelve chest radiographs of each class.
fn with_radiographs(study: Study, material: &Path) -> Study {
    for class in ["NORMAL", "PNEUMONIA"] {
        let folder = material.join("chest_xray_224/train").join(class);
        let mut images: Vec<PathBuf> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        images.sort();
        for image in images.iter().take(12) {
            let name = image.file_name().unwrap().to_str().unwrap();
            study.write(&format!("chest/{class}/{name}"), &std::fs::read(image).unwrap());
        }
    }
    study
}

/// Features of a layer and a body frozen up to there, of a real model.
fn study(material: &Path, model: &str, input: &str, layer: &str, freeze: &str) -> Study {
    let study = Study::new(&format!(
        "\
name: study
seeds: 1
datasets:
  chest:
    image_folder: {{ path: chest }}
    split: {{ train: 0.5, val: 0.25, test: 0.25 }}
models:
  base:
    onnx: {model}
    input: {{ {input} }}
stages:
  codes:
    extract: {{ model: base, dataset: chest, layers: {layer} }}
  probe:
    linear_probe: {{ features: codes, c: [0.01, 0.1] }}
  tuned:
    fine_tune: {{ model: base, dataset: chest, freeze: {freeze}, steps: 4, batch: 4, lr: 1e-3 }}
  scores:
    evaluate: {{ of: [probe, tuned], metrics: [accuracy] }}
",
        model = material.join("models").join(model).display(),
    ));
    with_radiographs(study, material)
}

const MOBILENET: (&str, &str) =
    ("repacked/mobilenet_v1_0.25_224.onnx", "size: 224, scale: 127.5, mean: 1");

#[test]
fn a_mobilenet_is_probed_and_tuned_with_a_frozen_body_on_the_library() {
    let (Some(material), Some(library)) = (material(), Backend::library()) else { return };
    let (model, input) = MOBILENET;
    let study = study(&material, model, input, "features", "features");
    study.run_with(&library, &[]).succeeds();
    let scores = rows(&study.latest(), "scores");
    let accuracies = scores.iter().filter(|row| row["metric"] == "accuracy");
    let stages: Vec<&str> = accuracies.map(|row| row["stage"].as_str()).collect();
    assert_eq!(stages, ["probe", "tuned"]);
}

#[test]
fn a_mobilenet_works_on_the_embedded_backend_or_ends_in_words() {
    let Some(material) = material() else { return };
    let (model, input) = MOBILENET;
    let told = study(&material, model, input, "features", "features").run();
    assert!(matches!(told.code, Some(0..=2)), "{told}");
    if told.code != Some(0) {
        told.says("error: ").says("help: ");
    }
}

#[test]
fn a_squeezenet_is_tuned_with_a_frozen_body_on_either_backend() {
    let Some(material) = material() else { return };
    let model = "repacked/squeezenet1.1_fp32_from_fp16.onnx";
    let input = "size: 224, order: bgr, scale: 1, mean: [104, 117, 123]";
    for backend in Backend::all() {
        let study = study(&material, model, input, "fire9/concat_1", "all");
        study.run_with(&backend, &["--seeds", "1"]).succeeds();
    }
}

#[test]
fn a_residual_network_is_tuned_as_a_whole_on_either_backend() {
    let Some(material) = material() else { return };
    let model = "repacked/cifar10_resnet20.onnx";
    let input = "size: 32, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]";
    for backend in Backend::all() {
        let study = study(&material, model, input, "features", "none");
        study.run_with(&backend, &[]).succeeds();
    }
}

#[test]
fn a_vision_transformer_is_tuned_as_a_whole_on_either_backend() {
    let Some(material) = material() else { return };
    let model = "original/vit_cifar10_ibp_3_3_8.onnx";
    let input = "size: 32, mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.2010]";
    for backend in Backend::all() {
        let study = study(&material, model, input, "/2/2.0/ReduceMean_output_0", "none");
        study.run_with(&backend, &[]).succeeds();
    }
}
