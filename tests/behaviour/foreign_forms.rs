//! Models as exporters write them: weights in a file beside the model, behind nodes that only
//! change their layout, shared by two nodes, in front of a softmax.

use prost::Message as _;
use serde_json::Value as Json;
use tl_run::onnx::graph::{Attribute, Node};
use tl_run::onnx::proto;
use tl_run::onnx::tensor::Tensor;
use tract_onnx::pb;

use crate::harness::{Study, Told, material, rows};
use crate::models;

/// A body and a probe of pets, tuned as a whole.
fn study(model: &[u8]) -> Study {
    let text = "\
name: study
seeds: 1
datasets:
  pets:
    image_folder: { path: pets }
    split: { train: 0.6, val: 0.2, test: 0.2 }
models:
  base:
    onnx: base.onnx
    input: { size: 8, channels: 1 }
stages:
  tuned:
    fine_tune: { model: base, dataset: pets, freeze: none, steps: 6, lr: 1e-2 }
  scores:
    evaluate: { of: [tuned], metrics: [accuracy, log_loss] }
";
    Study::new(text).with_pets().with_file("base.onnx", model)
}

/// The scores of a run, by metric.
fn scores(study: &Study) -> Vec<String> {
    study.run().succeeds();
    rows(&study.latest(), "scores").into_iter().map(|row| row["value"].clone()).collect()
}

/// The model with its weights in `base.onnx.data`, and those bytes.
fn apart(model: &[u8], location: &str) -> (Vec<u8>, Vec<u8>) {
    let mut model = pb::ModelProto::decode(model).unwrap();
    let mut data = Vec::new();
    for tensor in &mut model.graph.as_mut().unwrap().initializer {
        let bytes = std::mem::take(&mut tensor.raw_data);
        let pair = |key: &str, value: String| pb::StringStringEntryProto { key: key.into(), value };
        tensor.data_location = Some(pb::tensor_proto::DataLocation::External as i32);
        tensor.external_data = vec![
            pair("location", location.to_owned()),
            pair("offset", data.len().to_string()),
            pair("length", bytes.len().to_string()),
        ];
        data.extend(bytes);
    }
    (model.encode_to_vec(), data)
}

#[test]
fn weights_beside_the_model_are_read_and_belong_to_its_key() {
    let whole = scores(&study(&models::small()));
    let (model, mut data) = apart(&models::small(), "base.onnx.data");
    let study = study(&model).with_file("base.onnx.data", &data);
    assert_eq!(scores(&study), whole);
    assert!(study.run().succeeds().worked().is_empty());
    // The model's own file is the same, but other weights are another model.
    data[3] ^= 1;
    study.write("base.onnx.data", &data);
    assert!(!study.run().succeeds().worked().is_empty());
}

fn refusal(location: &str, data: Option<&[u8]>) -> Told {
    let (model, _) = apart(&models::small(), location);
    let study = study(&model);
    if let Some(data) = data {
        study.write(location, data);
    }
    study.refusal()
}

#[test]
fn weights_that_cannot_be_had_are_told_with_what_to_do() {
    refusal("base.onnx.data", None)
        .says("the weights of `kernel` lie in a file of their own, `base.onnx.data`, which is not")
        .says("beside the model; put it there");
    refusal("base.onnx.data", Some(&[0; 100]))
        .says("`base.onnx.data`, which ends before them (100 bytes); get both files again");
    refusal("../base.onnx.data", None)
        .says("`../base.onnx.data`, which is not a file in the model's own folder");
}

/// The parameters of a model, each with a gradient that is compared with finite differences.
fn checked(model: &[u8]) -> Vec<String> {
    let study = Study::new("").with_file("base.onnx", model);
    let arguments = ["model", "check", "base.onnx", "--gradcheck", "--json"];
    let told = study.told(&[&arguments[..], &["--runtime", "embedded"]].concat()).succeeds();
    let json: Json = serde_json::from_str(&told.out).unwrap();
    let tensors = json["gradcheck"]["tensors"].as_array().unwrap();
    assert!(tensors.iter().all(|tensor| tensor["verdict"] != "bad"), "{tensors:?}");
    let mut names: Vec<String> =
        tensors.iter().map(|tensor| tensor["tensor"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn changed(change: impl Fn(&mut tl_run::onnx::graph::Graph)) -> Vec<u8> {
    let mut graph = proto::decode(&models::small()).unwrap();
    change(&mut graph);
    proto::encode(&graph)
}

/// The dense weights as a `Constant` node, and the kernel behind two transposes and a cast.
fn behind_others() -> Vec<u8> {
    changed(|graph| {
        let weight = graph.initializers.remove("weight").unwrap();
        let mut constant = Node::new("constant", "Constant", &[], "weight");
        constant.attributes.insert("value".to_owned(), Attribute::Tensor(weight));
        let chain = [
            constant,
            Node::new("there", "Transpose", &["kernel"], "k1"),
            Node::new("back", "Transpose", &["k1"], "k2"),
            Node::new("same", "Identity", &["k2"], "k3"),
            Node::new("cast", "Cast", &["k3"], "k4").with("to", 1_i64),
        ];
        graph.nodes.splice(0..0, chain);
        let conv = graph.nodes.iter_mut().find(|node| node.op == "Conv").unwrap();
        "k4".clone_into(&mut conv.inputs[1]);
    })
}

#[test]
fn weights_behind_other_nodes_are_trained_where_they_lie() {
    assert_eq!(checked(&behind_others()), ["kernel", "weight"]);
    assert_eq!(scores(&study(&behind_others())), scores(&study(&models::small())));
}

#[test]
fn a_weight_that_two_nodes_share_is_one_parameter() {
    let shared = changed(|graph| {
        let again = Node::new("again", "Conv", &["relu", "mixed"], "twice");
        let once = Node::new("once", "Conv", &["relu1", "mixed"], "relu");
        graph.initializers.insert(
            "mixed".to_owned(),
            Tensor::f32(&[4, 4, 1, 1], {
                (0..16).map(|index| (index as f32 * 0.7).sin() * 0.5).collect()
            }),
        );
        let relu = graph.nodes.iter().position(|node| node.op == "Relu").unwrap();
        "relu1".clone_into(&mut graph.nodes[relu].outputs[0]);
        let after = graph.nodes.split_off(relu + 1);
        graph.nodes.extend([once, again]);
        graph.nodes.extend(after);
        let flatten = graph.nodes.iter_mut().find(|node| node.op == "Flatten").unwrap();
        "twice".clone_into(&mut flatten.inputs[0]);
    });
    assert_eq!(checked(&shared), ["kernel", "mixed", "weight"]);
}

#[test]
fn what_follows_the_scores_is_left_out_of_training() {
    let whole = scores(&study(&models::small()));
    let tails: [&[&str]; 5] = [
        &["Softmax"],
        &["LogSoftmax"],
        &["Sigmoid"],
        &["Softmax", "Identity", "Flatten"],
        &["Identity", "Softmax"],
    ];
    for tail in tails {
        let model = changed(|graph| {
            let mut from = graph.outputs[0].name.clone();
            for op in tail {
                let to = format!("after_{from}");
                graph.nodes.push(Node::new(&to, op, &[&from], &to));
                from = to;
            }
            graph.outputs[0].name = from;
        });
        assert_eq!(scores(&study(&model)), whole, "{tail:?}");
    }
}

#[test]
fn what_is_no_classifier_of_images_is_refused_in_words() {
    let Some(material) = material() else { return };
    let told = |file: &str, input: &str| {
        let bytes = std::fs::read(material.join("models/original").join(file)).unwrap();
        let study = study(&bytes);
        study.replace("{ size: 8, channels: 1 }", input);
        study.refusal()
    };
    told("bert_toy_random.onnx", "{ size: 8, channels: 1 }")
        .says("the model reads no image: its inputs are `input_ids` (int64 of batch × max_seq")
        .says("help: leave `input` out, or write `input: as_it_is`: it reads arrays of a data set");
    told("super_resolution_10.onnx", "{ size: 224, channels: 1 }")
        .says("a map or a sequence, not one row of scores an item");
}
