//! `model inspect`: what a person sees of their own model.

use insta::assert_snapshot;
use tl_run::onnx::graph::{Dim, Graph};
use tl_run::onnx::proto;

use crate::harness::{Backend, Study, Told, material};
use crate::models;

fn inspect(study: &Study, file: &str, more: &[&str]) -> Told {
    study.told(&[&["model", "inspect", file, "--runtime", "embedded"], more].concat())
}

/// One of the foreign models, in a folder of its own.
fn foreign(path: &str) -> Option<Study> {
    let bytes = std::fs::read(material()?.join("models").join(path)).unwrap();
    Some(Study::new("").with_file("foreign.onnx", &bytes))
}

#[test]
fn a_small_model_is_told_with_layers_head_and_what_to_paste() {
    let study = Study::new("").with_file("small.onnx", &models::small());
    assert_snapshot!(inspect(&study, "small.onnx", &[]), @"
    exit code 0
    --- standard output
    small.onnx · 3.6 kB · opset 18 · written by tl-run 0.1.0 · 4 nodes
      input   image   batch × 1 × 8 × 8  float32
      output  logits  batch × 3          float32

      layer  operators  output     parameters  MACs
      conv   Conv       4 × 8 × 8          36  2304
      dense  Gemm       3                 768   768
      total                               804  3072

    head: a new one reads `flat`, 256 features; `dense` would be cut off
    freeze: 1 layer group from the input on, counted by `freeze: N`
    BatchNormalization: none
    weights: float32
    batch: free
    names: `layers` and `freeze` take each layer above, and any tensor or node (-v lists all)

    models:
      small:
        onnx: small.onnx
        input: { size: 8, channels: 1 }
        # scale, mean, std and order of channels are not in the file: look them up where it was trained
    ");
}

#[test]
fn every_node_is_listed_where_that_is_asked_for() {
    let study = Study::new("").with_file("small.onnx", &models::small());
    let told = inspect(&study, "small.onnx", &["-v"]).succeeds();
    told.says("  relu     Relu").says("  flatten  Flatten");
}

#[test]
fn the_same_is_told_as_json() {
    let study = Study::new("").with_file("small.onnx", &models::small());
    let told = inspect(&study, "small.onnx", &["--json"]).succeeds();
    let json: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(json["parameters"], 804);
    assert_eq!(json["heads"][0]["at"], "flat");
    assert_eq!(json["layers"][0]["output"], serde_json::json!([4, 8, 8]));
    assert_eq!(json["entry"].as_str().unwrap().lines().nth(1), Some("  small:"));
}

/// The small model, whose file leaves height and width free.
fn of_any_size() -> Vec<u8> {
    let mut graph: Graph = proto::decode(&models::that_ends_in_a_convolution()).unwrap();
    let free = |name: &str| Dim::Free(name.to_owned());
    graph.inputs[0].dims = Some(vec![free("n"), Dim::Fixed(1), free("h"), free("w")]);
    proto::encode(&graph)
}

#[test]
fn a_free_size_is_asked_for() {
    let study = Study::new("").with_file("free.onnx", &of_any_size());
    inspect(&study, "free.onnx", &[]).succeeds().says(
        "shapes: none, as the file leaves the shape of its input free (n × 1 × h × w): say --size N",
    );
    let sized = inspect(&study, "free.onnx", &["--size", "12"]).succeeds();
    sized.says("4 × 12 × 12").says("input: { size: 12, channels: 1 }");
    inspect(&study, "free.onnx", &["--shape", "1,1,6,10"]).succeeds().says("4 × 6 × 10");
}

#[test]
fn a_model_that_crashes_the_backend_is_told_without_shapes() {
    let study = Study::new("").with_file("pad.onnx", &models::with_a_negative_pad());
    let told = inspect(&study, "pad.onnx", &[]).succeeds();
    told.says("shapes: none, as the embedded backend crashed").says("head: a new one reads");
}

#[test]
fn an_output_that_may_be_features_is_told() {
    let study = Study::new("").with_file("maybe.onnx", &models::that_ends_in_a_convolution());
    inspect(&study, "maybe.onnx", &[])
        .succeeds()
        .says("  if `logits` holds features rather than scores, write `head: { at: logits }`");
}

#[test]
fn what_is_no_model_is_refused() {
    let study = Study::new("").with_file("odd.onnx", b"<html>404</html>");
    assert_snapshot!(inspect(&study, "odd.onnx", &[]), @"");
    assert_snapshot!(inspect(&study, "missing.onnx", &[]), @"");
}

#[test]
fn a_network_with_a_fixed_batch_is_told() {
    let Some(study) = foreign("original/mnist-8.onnx") else { return };
    assert_snapshot!(inspect(&study, "foreign.onnx", &[]), @"");
}

#[test]
fn a_network_that_reads_one_row_is_told() {
    let Some(study) = foreign("original/onnx2c_mnist_pytorch.onnx") else { return };
    assert_snapshot!(inspect(&study, "foreign.onnx", &[]), @"");
}

#[test]
fn a_network_with_channels_last_is_told() {
    let Some(study) = foreign("original/emnist_cnn.onnx") else { return };
    assert_snapshot!(inspect(&study, "foreign.onnx", &[]), @"");
}

#[test]
fn a_network_in_half_precision_is_told() {
    let Some(study) = foreign("original/squeezenet1.1_fp16.onnx") else { return };
    assert_snapshot!(inspect(&study, "foreign.onnx", &[]), @"");
}

#[test]
fn a_network_without_a_head_is_told() {
    let Some(study) = foreign("original/super_resolution_10.onnx") else { return };
    assert_snapshot!(inspect(&study, "foreign.onnx", &[]), @"");
}

#[test]
fn a_residual_network_is_told_by_scopes() {
    let Some(study) = foreign("repacked/cifar10_resnet20.onnx") else { return };
    assert_snapshot!(inspect(&study, "foreign.onnx", &[]), @"");
}

#[test]
fn a_network_with_two_outputs_is_told_with_both() {
    let Some(study) = foreign("repacked/mobilenet_v2_0.35_224_cxr.onnx") else { return };
    let told = inspect(&study, "foreign.onnx", &[]).succeeds();
    told.says("head of `probs`: a new one reads `dense1_relu`, 100 features")
        .says("head of `features`: a new one reads `features`, 1280 features; nothing would be cut off")
        .says("    output: probs");
}

#[test]
fn a_text_model_whose_nodes_are_in_no_order_is_told_without_shapes() {
    let Some(study) = foreign("original/bert_toy_random.onnx") else { return };
    let told = inspect(&study, "foreign.onnx", &[]).succeeds();
    told.says("input_ids               batch × max_seq_len_in_batch       int64")
        .says("shapes: none, as it has 3 inputs, and models with one are run")
        .says("head of `seq_relationship_score`: a new one reads `707`")
        .never_says("models:");
}

#[test]
fn a_model_without_an_operator_set_is_refused() {
    let Some(study) = foreign("original/negative_no_opset_super_resolution.onnx") else { return };
    assert_snapshot!(inspect(&study, "foreign.onnx", &[]), @"");
}

#[test]
fn every_foreign_model_is_told_alike_on_either_backend() {
    let (Some(material), Some(Backend::Library(library))) = (material(), Backend::library()) else {
        return;
    };
    let library = library.to_str().unwrap();
    for folder in ["original", "repacked"] {
        for entry in std::fs::read_dir(material.join("models").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let study = Study::new("").with_file("foreign.onnx", &std::fs::read(&path).unwrap());
            let told = |runtime: &str| {
                study.told(&["model", "inspect", "foreign.onnx", "--runtime", runtime])
            };
            let (embedded, library) = (told("embedded"), told(library));
            assert_eq!(embedded.to_string(), library.to_string(), "{}", path.display());
            let refused = path.to_str().unwrap().contains("negative_");
            assert_eq!(embedded.code, Some(if refused { 2 } else { 0 }), "{embedded}");
        }
    }
}
