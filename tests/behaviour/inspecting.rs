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
    device: flash 3.1 KiB, RAM 1.2 KiB; with 8 bits flash 832 bytes, RAM 320 bytes
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
    assert_snapshot!(inspect(&study, "odd.onnx", &[]), @"
    exit code 2
    --- standard error
    error: read odd.onnx: this is not an ONNX model, or only a part of one (a broken download?)
    ");
    assert_snapshot!(inspect(&study, "missing.onnx", &[]), @"
    exit code 2
    --- standard error
    error: read missing.onnx: No such file or directory (os error 2)
    ");
}

#[test]
fn a_network_with_a_fixed_batch_is_told() {
    let Some(study) = foreign("original/mnist-8.onnx") else { return };
    assert_snapshot!(inspect(&study, "foreign.onnx", &[]), @"
    exit code 0
    --- standard output
    foreign.onnx · 26.5 kB · opset 8 · written by CNTK 2.5.1 · 12 nodes
      input   Input3            1 × 1 × 28 × 28  float32
      output  Plus214_Output_0  1 × 10           float32

      layer           operators  output        parameters     MACs
      Convolution28   Conv       8 × 28 × 28          208  156.8 k
      Pooling66       MaxPool    8 × 14 × 14
      Convolution110  Conv       16 × 14 × 14        3216  627.2 k
      Pooling160      MaxPool    16 × 4 × 4
      Times212        MatMul     10                  2570     2560
      total                                          5994  786.6 k

    head: a new one reads `Pooling160_Output_0_reshape0`, 256 features; `Times212`, `Plus214` would be cut off
    freeze: 2 layer groups from the input on, counted by `freeze: N`
    BatchNormalization: none
    weights: float32
    device: flash 23.4 KiB, RAM 49.0 KiB; with 8 bits flash 6.1 KiB, RAM 12.2 KiB
    batch: fixed to 1 in the file; freed, as it computes the same
    names: `layers` and `freeze` take each layer above, and any tensor or node (-v lists all)

    models:
      foreign:
        onnx: foreign.onnx
        input: { size: 28, channels: 1 }
        # scale, mean, std and order of channels are not in the file: look them up where it was trained
    ");
}

#[test]
fn a_network_that_reads_one_row_is_told() {
    let Some(study) = foreign("original/onnx2c_mnist_pytorch.onnx") else { return };
    assert_snapshot!(inspect(&study, "foreign.onnx", &[]), @"
    exit code 0
    --- standard output
    foreign.onnx · 222.6 kB · opset 9 · written by pytorch 1.7 · 5 nodes
      input   network_input   1 × 784  float32
      output  network_output  1 × 10   float32

      layer     operators  output  parameters    MACs
      MatMul_0  MatMul     64           50304  50.2 k
      MatMul_4  MatMul     64            4224    4096
      MatMul_8  MatMul     10             640     640
      total                             55168  54.9 k

    head: a new one reads `19`, 64 features; `MatMul_8` would be cut off
    freeze: 2 layer groups from the input on, counted by `freeze: N`
    BatchNormalization: 2, with statistics of their own
    weights: float32
    device: flash 216.5 KiB, RAM 3.3 KiB; with 8 bits flash 54.7 KiB, RAM 848 bytes
    batch: fixed to 1 in the file; freed, as it computes the same
    names: `layers` and `freeze` take each layer above, and any tensor or node (-v lists all)

    models:
      foreign:
        onnx: foreign.onnx
        input: { size: 28, channels: 1, layout: flat }
        # scale, mean, std and order of channels are not in the file: look them up where it was trained
    ");
}

#[test]
fn a_network_with_channels_last_is_told() {
    let Some(study) = foreign("original/emnist_cnn.onnx") else { return };
    assert_snapshot!(inspect(&study, "foreign.onnx", &[]), @"
    exit code 0
    --- standard output
    foreign.onnx · 85.5 kB · opset 13 · written by tf2onnx 1.16.1 15c810 · 32 nodes
      input   input   unk__213 × 28 × 28 × 1  float32
      output  output  unk__214 × 10           float32

      layer                            operators          output        parameters     MACs
      emnist_cnn_1/conv1_1_1           Conv               16 × 28 × 28         192  112.9 k
      emnist_cnn_1/conv1_2_1           Conv               16 × 28 × 28        2352    1.8 M
      emnist_cnn_1/pool1_1             MaxPool            16 × 14 × 14
      emnist_cnn_1/conv2_1_1           Conv               32 × 14 × 14        4704  903.2 k
      emnist_cnn_1/conv2_2_1           Conv               32 × 14 × 14        9312    1.8 M
      emnist_cnn_1/pool2_1             MaxPool            32 × 7 × 7
      emnist_cnn_1/conv3_bottleneck_1  Conv               16 × 7 × 7           560   25.1 k
      emnist_cnn_1/conv3_2_1           Conv               16 × 7 × 7          2352  112.9 k
      emnist_cnn_1/gap_1               GlobalAveragePool  16
      emnist_cnn_1/output_1            MatMul             10                   170      160
      total                                                                  19642    4.8 M

    head: a new one reads `emnist_cnn_1/gap_1/Mean_Squeeze__212:0`, 16 features; `emnist_cnn_1/output_1/MatMul`, `emnist_cnn_1/output_1/BiasAdd`, `emnist_cnn_1/output_1/Softmax` would be cut off
    freeze: 6 layer groups from the input on, counted by `freeze: N`
    BatchNormalization: none
    weights: float32
    device: flash 76.7 KiB, RAM 98.0 KiB; with 8 bits flash 20.9 KiB, RAM 24.5 KiB
    batch: free
    names: `layers` and `freeze` take each layer above, and any tensor or node (-v lists all)

    models:
      foreign:
        onnx: foreign.onnx
        input: { size: 28, channels: 1, layout: nhwc }
        # scale, mean, std and order of channels are not in the file: look them up where it was trained
    ");
}

#[test]
fn a_network_in_half_precision_is_told() {
    let Some(study) = foreign("original/squeezenet1.1_fp16.onnx") else { return };
    assert_snapshot!(inspect(&study, "foreign.onnx", &[]), @"
    exit code 0
    --- standard output
    foreign.onnx · 2.5 MB · opset 7 · written by onnx-caffe2 · 66 nodes
      input   data_0        1 × 3 × 224 × 224  float16
      output  softmaxout_1  1 × 1000 × 1 × 1   float16

      layer     operators          output          parameters     MACs
      conv1_1   Conv               64 × 111 × 111        1792   21.3 M
      pool1_1   MaxPool            64 × 55 × 55
      fire2     3 Conv             128 × 55 × 55        11408   34.1 M
      fire3     3 Conv             128 × 55 × 55        12432   37.2 M
      pool3_1   MaxPool            128 × 27 × 27
      fire4     3 Conv             256 × 27 × 27        45344   32.8 M
      fire5     3 Conv             256 × 27 × 27        49440   35.8 M
      pool5_1   MaxPool            256 × 13 × 13
      fire6     3 Conv             384 × 13 × 13       104880   17.7 M
      fire7     3 Conv             384 × 13 × 13       111024   18.7 M
      fire8     3 Conv             512 × 13 × 13       188992   31.8 M
      fire9     3 Conv             512 × 13 × 13       197184   33.2 M
      conv10_1  Conv               1000 × 13 × 13      513000   86.5 M
      pool10_1  GlobalAveragePool  1000 × 1 × 1
      total                                           1235496  349.2 M

    head: a new one reads `fire9/concat_2`, 512 features averaged over space; `conv10_1`, `conv10_2`, `pool10_1`, `softmaxout_1` would be cut off
    freeze: 17 layer groups from the input on, counted by `freeze: N`
    BatchNormalization: none
    weights: float16, computed in float32
    device: flash 4.71 MiB, RAM 3.75 MiB; with 8 bits flash 1.20 MiB, RAM 959.1 KiB
    batch: fixed to 1 in the file; freed, as it computes the same
    names: `layers` and `freeze` take each layer above, and any tensor or node (-v lists all)

    models:
      foreign:
        onnx: foreign.onnx
        input: { size: 224, channels: 3 }
        # scale, mean, std and order of channels are not in the file: look them up where it was trained
    ");
}

#[test]
fn a_network_without_a_head_is_told() {
    let Some(study) = foreign("original/super_resolution_10.onnx") else { return };
    assert_snapshot!(inspect(&study, "foreign.onnx", &[]), @"
    exit code 0
    --- standard output
    foreign.onnx · 240.1 kB · opset 10 · written by pytorch 1.1 · 10 nodes
      input   input   batch_size × 1 × 224 × 224  float32
      output  output  batch_size × 1 × 672 × 672  float32

      layer  operators  output          parameters     MACs
      9      Conv       64 × 224 × 224        1664   80.3 M
      11     Conv       64 × 224 × 224       36928    1.8 G
      13     Conv       32 × 224 × 224       18464  924.8 M
      15     Conv       9 × 224 × 224         2601  130.1 M
      total                                  59657    3.0 G

    head: none is found, as the output `output` has the shape [1, 1, 672, 672], a map or a sequence, not one row of scores an item
      `head: { at: LAYER }` of `fine_tune` puts one on a layer of your choice
    BatchNormalization: none
    weights: float32
    device: flash 233.0 KiB, RAM 24.50 MiB; with 8 bits flash 59.4 KiB, RAM 6.12 MiB
    batch: free
    names: `layers` and `freeze` take each layer above, and any tensor or node (-v lists all)

    models:
      foreign:
        onnx: foreign.onnx
        input: { size: 224, channels: 1 }
        # scale, mean, std and order of channels are not in the file: look them up where it was trained
    ");
}

#[test]
fn a_residual_network_is_told_by_scopes() {
    let Some(study) = foreign("repacked/cifar10_resnet20.onnx") else { return };
    assert_snapshot!(inspect(&study, "foreign.onnx", &[]), @"
    exit code 0
    --- standard output
    foreign.onnx · 1.1 MB · opset 13 · written by repacked-from-real-weights · 73 nodes
      input   input   N × 3 × 32 × 32  float32
      output  logits  N × 10           float32

      layer   operators          output        parameters     MACs
      conv1   Conv               16 × 32 × 32         464  442.4 k
      layer1  6 Conv             16 × 32 × 32       14016   14.2 M
      layer2  6 Conv             32 × 16 × 16       51072   13.0 M
      layer3  6 Conv             64 × 8 × 8        203520   13.0 M
      gap     GlobalAveragePool  64 × 1 × 1
      logits  Gemm               10                   650      640
      total                                        269722   40.6 M

    head: a new one reads `features`, 64 features; `logits` would be cut off
    freeze: 10 layer groups from the input on, counted by `freeze: N`
    BatchNormalization: 19, with statistics of their own
    weights: float32
    device: flash 1.03 MiB, RAM 192.0 KiB; with 8 bits flash 267.5 KiB, RAM 48.0 KiB
    batch: free
    names: `layers` and `freeze` take each layer above, and any tensor or node (-v lists all)

    models:
      foreign:
        onnx: foreign.onnx
        input: { size: 32, channels: 3 }
        # scale, mean, std and order of channels are not in the file: look them up where it was trained
    ");
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
fn a_text_model_whose_nodes_are_in_no_order_is_told_with_its_arrays() {
    let Some(study) = foreign("original/bert_toy_random.onnx") else { return };
    let told = inspect(&study, "foreign.onnx", &[]).succeeds();
    told.says("input_ids               batch × max_seq_len_in_batch       int64")
        .says("head of `seq_relationship_score`: a new one reads `707`")
        .says("    # it reads arrays of a data set by these names: input_ids, token_type_ids, input_mask");
}

#[test]
fn a_model_without_an_operator_set_is_refused() {
    let Some(study) = foreign("original/negative_no_opset_super_resolution.onnx") else { return };
    assert_snapshot!(inspect(&study, "foreign.onnx", &[]), @"
    exit code 2
    --- standard error
    error: read foreign.onnx: the model names no operator set (it is of ONNX IR version 1, from before there were any), so nobody can know what its nodes mean; export it again with a current tool
    ");
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
            // One graph is more than the embedded backend can run: it is told without shapes there.
            match path.ends_with("bert_toy_random.onnx") {
                true => assert!(embedded.out.contains("\nshapes: none"), "{embedded}"),
                false => {
                    assert_eq!(embedded.to_string(), library.to_string(), "{}", path.display());
                }
            }
            let refused = path.to_str().unwrap().contains("negative_");
            assert_eq!(embedded.code, Some(if refused { 2 } else { 0 }), "{embedded}");
        }
    }
}
