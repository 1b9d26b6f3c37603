//! Inputs and outputs that others published for their models, computed here.

use std::path::Path;

use tl_run::onnx::graph::Graph;
use tl_run::onnx::runtime::{Tensor as Value, runtime};
use tl_run::onnx::tensor::Tensor;
use tl_run::onnx::{batch, precision, proto};

use crate::harness::material;

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn tensor(path: &Path) -> Tensor {
    proto::tensor(&read(path)).unwrap()
}

/// The model as pipelines open it: in single precision, with its batch freed if that is possible.
fn opened(path: &Path) -> Graph {
    let mut graph = proto::decode(&read(path)).unwrap();
    precision::to_single(&mut graph);
    match batch::free(&graph) {
        Some(free) => free,
        None => graph,
    }
}

/// The largest difference between what a model computes and what is published.
#[track_caller]
fn difference(model: &Path, folder: &Path) -> f32 {
    let (input, expected) =
        (tensor(&folder.join("input_0.pb")), tensor(&folder.join("output_0.pb")));
    let mut session = runtime().unwrap().load(&proto::encode(&opened(model)), 1).unwrap();
    let value = Value::f32(&input.dims, input.floats().unwrap().to_vec()).unwrap();
    let found = session.run(&[&value]).unwrap();
    assert_eq!(found[0].dims(), expected.dims, "{}", folder.display());
    let pairs = found[0].floats().unwrap().iter().zip(expected.floats().unwrap());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_squeezenet_gives_its_published_scores_in_either_precision() {
    let Some(material) = material() else { return };
    let models = material.join("models");
    for file in ["repacked/squeezenet1.1_fp32_from_fp16.onnx", "original/squeezenet1.1_fp16.onnx"] {
        let most = difference(&models.join(file), &models.join("golden/squeezenet1.1"));
        assert!(most < 2e-4, "{file}: {most}");
    }
}

#[test]
fn a_mnist_network_gives_its_published_scores() {
    let Some(material) = material() else { return };
    let golden = material.join("models/golden/mnist-8");
    for number in 0..3 {
        let folder = golden.join(format!("test_data_set_{number}"));
        // Scores go up to 6,600.
        let most = difference(&golden.join("model.onnx"), &folder);
        assert!(most < 5e-3, "set {number}: {most}");
    }
}

#[test]
fn a_super_resolution_network_gives_its_published_image() {
    let Some(material) = material() else { return };
    let golden = material.join("models/golden/super_resolution_10");
    let most = difference(&golden.join("model.onnx"), &golden.join("test_data_set_0"));
    assert!(most < 1e-4, "{most}");
}
