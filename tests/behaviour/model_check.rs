//! `model check`: whether a model can be trained, and whether its gradients are right.

use insta::assert_snapshot;
use serde_json::Value as Json;

use crate::harness::{Backend, Study, Told, material, repository};
use crate::models;

fn check(backend: &Backend, bytes: &[u8], more: &[&str]) -> Told {
    let study = Study::new("").with_file("model.onnx", bytes);
    let library = match backend {
        Backend::Embedded => "embedded",
        Backend::Library(path) => path.to_str().unwrap(),
    };
    study.told(&[&["model", "check", "model.onnx", "--runtime", library], more].concat())
}

fn embedded(bytes: &[u8], more: &[&str]) -> Told {
    check(&Backend::Embedded, bytes, more)
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(repository().join(format!("tests/golden/{name}.onnx"))).unwrap()
}

#[test]
fn a_model_that_can_be_trained_is_told_with_its_operators() {
    assert_snapshot!(embedded(&models::small(), &[]), @"
    exit code 0
    --- standard output
    model.onnx · opset 18 · on RUNTIME

    can be trained: 2 tensors with 804 parameters
    gradients pass 1 Conv, 1 Flatten, 1 Gemm, 1 Relu
    ");
    embedded(&models::small(), &["-v"]).succeeds().says("  conv     Conv     gradients pass");
}

#[test]
fn an_operator_without_a_gradient_is_told_with_what_to_freeze() {
    assert_snapshot!(embedded(&models::with_an_operator_without_gradient(), &[]), @"
    exit code 1
    --- standard output
    model.onnx · opset 18 · on RUNTIME

    cannot be trained as a whole
      `odd` (Hardmax): no gradient is known for this operator
        help: `freeze: odd` leaves 1 tensor to learn
      help: write `freeze: all`: a new head alone learns
    ");
}

#[test]
fn a_model_that_crashes_the_backend_is_told_and_the_program_lives() {
    embedded(&models::with_a_negative_pad(), &["--gradcheck"])
        .fails()
        .says("cannot be trained as a whole")
        .says("crash");
}

#[test]
fn a_free_size_is_asked_for() {
    let mut graph = tl_run::onnx::proto::decode(&models::that_ends_in_a_convolution()).unwrap();
    let free = |name: &str| tl_run::onnx::graph::Dim::Free(name.to_owned());
    graph.inputs[0].dims =
        Some(vec![free("n"), tl_run::onnx::graph::Dim::Fixed(1), free("h"), free("w")]);
    let bytes = tl_run::onnx::proto::encode(&graph);
    embedded(&bytes, &[]).fails().says("free (n × 1 × h × w): say --size N");
    // The embedded backend does not run the gradients of a lone convolution.
    if let Some(library) = Backend::library() {
        let told = check(&library, &bytes, &["--size", "6", "--gradcheck"]);
        told.succeeds().says("2 ok, 0 bad");
    }
}

/// The gradient check of a model, by tensor.
fn checked(backend: &Backend, bytes: &[u8], more: &[&str]) -> Vec<Json> {
    let told = check(backend, bytes, &[&["--gradcheck", "--json"], more].concat());
    let told = told.succeeds();
    let json: Json = serde_json::from_str(&told.out).unwrap();
    let tensors = json["gradcheck"]["tensors"].as_array().unwrap().clone();
    assert_eq!(json["tensors"], tensors.len(), "every tensor that can learn has its line");
    for tensor in &tensors {
        // Where it says so, computed and measured are near indeed.
        let (computed, measured) = (&tensor["computed"], &tensor["measured"]);
        let (computed, measured) = (computed.as_f64().unwrap(), measured.as_f64().unwrap());
        let apart = (computed - measured).abs() / computed.abs().max(measured.abs());
        assert!(tensor["verdict"] != "ok" || apart <= 0.05, "{tensor}");
    }
    tensors
}

fn verdicts(tensors: &[Json], verdict: &str) -> usize {
    tensors.iter().filter(|tensor| tensor["verdict"] == verdict).count()
}

#[test]
fn gradients_of_the_models_that_ship_with_the_tool_are_right() {
    for backend in Backend::all() {
        for name in ["digits", "radiographs"] {
            let path = repository().join(format!("data/models/{name}.onnx"));
            let bytes = std::fs::read(path).unwrap();
            let batch = checked(&backend, &bytes, &[]);
            assert_eq!(verdicts(&batch, "ok"), batch.len(), "{name}: {batch:?}");
            let running = checked(&backend, &bytes, &["--running-statistics"]);
            assert_eq!(verdicts(&running, "ok"), running.len(), "{name}: {running:?}");
            let first = |tensors: &[Json]| tensors[0]["computed"].as_f64().unwrap().to_bits();
            assert_ne!(first(&batch), first(&running), "statistics make a difference");
        }
    }
}

#[test]
fn gradients_of_networks_of_every_kind_are_right() {
    for backend in Backend::all() {
        for name in ["residual_cnn", "depthwise_cnn", "vit_block", "bert_layer", "text_cnn"] {
            let tensors = checked(&backend, &golden(name), &[]);
            // A key's bias moves all scores of a softmax alike, so that its gradient is 0.
            let small = usize::from(name == "bert_layer");
            assert_eq!(verdicts(&tensors, "too_small"), small, "{name}: {tensors:?}");
            assert_eq!(verdicts(&tensors, "bad"), 0, "{name}: {tensors:?}");
        }
    }
}

/// Asserts that no gradient of a real model is wrong, and that most are told to be right.
fn assert_right(path: &str, backend: &Backend, more: &[&str]) {
    let Some(material) = material() else { return };
    let bytes = std::fs::read(material.join("models").join(path)).unwrap();
    let tensors = checked(backend, &bytes, more);
    assert_eq!(verdicts(&tensors, "bad"), 0, "{path} on {backend:?}: {tensors:?}");
    assert!(2 * verdicts(&tensors, "ok") > tensors.len(), "{path} on {backend:?}: {tensors:?}");
}

#[test]
fn gradients_of_small_foreign_models_are_right_on_either_backend() {
    for backend in Backend::all() {
        for path in [
            "original/mnist-8.onnx",
            "original/emnist_cnn.onnx",
            "original/onnx2c_mnist_pytorch.onnx",
            "original/vit_cifar10_ibp_3_3_8.onnx",
        ] {
            assert_right(path, &backend, &[]);
        }
    }
}

#[test]
fn gradients_of_large_foreign_models_are_right_on_the_library() {
    let Some(library) = Backend::library() else { return };
    for path in [
        "repacked/cifar10_resnet20.onnx",
        "original/cifar10_resnet_2b.onnx",
        "repacked/mobilenet_v1_0.25_224.onnx",
        "repacked/mobilenet_v2_0.35_224_cxr.onnx",
        "original/squeezenet1.1_fp16.onnx",
        "original/super_resolution_10.onnx",
    ] {
        assert_right(path, &library, &["--items", "2"]);
    }
}
