//! Every operator that was rewritten, in a small model of its opset: the raised model computes the
//! same.

use super::super::build::OPSET;
use super::super::graph::{Attribute, FLOAT, Graph, Node, Port};
use super::super::observe::observe;
use super::super::proto;
use super::super::runtime::{Backend, Tensor as Value, runtime};
use super::super::tensor::{Data, Tensor};
use super::*;

/// A model around one node that reads `x` (N × 3 × 4 × 4) and further constants.
fn old(opset: i64, node: Node, constants: &[(&str, Tensor)]) -> Graph {
    let last = node.output().to_owned();
    Graph {
        opset,
        inputs: vec![Port::batch_of_floats("x", &[3, 4, 4])],
        outputs: vec![Port::named("out")],
        nodes: vec![node, Node::new("cast", "Cast", &[&last], "out").with("to", i64::from(FLOAT))],
        initializers: constants.iter().map(|(n, t)| ((*n).to_owned(), t.clone())).collect(),
        ..Graph::default()
    }
}

fn run(graph: &Graph) -> (Vec<usize>, Vec<f32>) {
    let mut session = runtime().unwrap().load(&proto::encode(graph), 1).unwrap();
    let values = (0..96).map(|index| (index as f32 * 0.37).sin()).collect();
    let x = Value::f32(&[2, 3, 4, 4], values).unwrap();
    let y = session.run(&[&x]).unwrap().remove(0);
    (y.dims(), y.floats().unwrap().to_vec())
}

fn of_x(op: &str) -> Node {
    Node::new(op, op, &["x"], "y")
}

/// Operators that both backends know at their old opset.
fn everywhere() -> Vec<Graph> {
    let with = |opset, node| old(opset, node, &[]);
    let bounds = |key: &str, value: Vec<i64>| (key.to_owned(), Attribute::Ints(value));
    let mut slice = of_x("Slice");
    slice.attributes.extend([
        bounds("starts", vec![1, -3]),
        bounds("ends", vec![3, 9]),
        bounds("axes", vec![2, 3]),
    ]);
    let mut models = vec![
        with(9, of_x("Clip").with("max", 0.4_f32)),
        with(7, of_x("Clip").with("max", 0.4_f32).with("min", -0.5_f32)),
        with(9, slice),
        with(10, of_x("Pad").with("pads", vec![0_i64, 0, 1, 1, 0, 0, 1, 1])),
        with(7, of_x("Pad").with("pads", vec![0_i64, 0, 1, 2, 0, 0, 3, 1]).with("mode", "reflect")),
        with(8, of_x("Pad").with("pads", vec![0_i64, 1, 0, 0, 0, 0, 0, 0]).with("value", 0.5_f32)),
        with(10, of_x("Softmax")),
        with(7, of_x("Softmax").with("axis", 3_i64)),
        with(11, of_x("Softmax").with("axis", -1_i64)),
        with(9, of_x("LogSoftmax").with("axis", 2_i64)),
        with(9, of_x("Unsqueeze").with("axes", vec![0_i64])),
        with(7, of_x("Split").with("axis", 3_i64).with("split", vec![1_i64, 3])),
        with(13, of_x("Split").with("axis", 2_i64)),
        with(8, of_x("Dropout").with("ratio", 0.7_f32)),
        with(7, of_x("Flatten")),
    ];
    for node in models.iter_mut().map(|model| &mut model.nodes[0]) {
        if node.op == "Split" {
            node.outputs.push("z".to_owned());
        }
    }
    for op in REDUCTIONS.into_iter().chain(["ReduceSum"]) {
        if !["ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp"].contains(&op) {
            models.push(with(9, of_x(op).with("axes", vec![2_i64, 3])));
            models.push(with(11, of_x(op).with("axes", vec![-1_i64]).with("keepdims", 0_i64)));
        }
    }
    models
}

/// Operators that the embedded backend lacks, or whose old forms it reads otherwise.
fn of_the_library() -> Vec<Graph> {
    let scales = |values: &[f32]| Tensor::f32(&[4], values.to_vec());
    let resized = |opset, node: Node, values: &[f32]| {
        let mut node = node;
        node.inputs.push("scales".to_owned());
        old(opset, node, &[("scales", scales(values))])
    };
    let per_channel = |value: f32| Tensor::f32(&[3], vec![value, value + 0.5, value + 1.0]);
    let statistics = ["scale", "bias", "mean", "variance"];
    let mut norm = of_x("BatchNormalization").with("spatial", 1_i64);
    norm.inputs.extend(statistics.map(str::to_owned));
    let statistics: Vec<(&str, Tensor)> =
        statistics.into_iter().zip([0.5, -0.2, 0.1, 1.2].map(per_channel)).collect();
    let top = |node: Node| {
        let mut node = node;
        node.outputs.push("places".to_owned());
        node
    };
    let roi = Tensor::f32(&[0], vec![]);
    let mut sized = of_x("Resize").with("mode", "linear");
    sized.inputs.extend(["none", "none", "sizes"].map(str::to_owned));
    let mut by_scale = of_x("Resize").with("mode", "linear");
    by_scale.inputs.extend(["none", "scales"].map(str::to_owned));
    let mut scattered = of_x("Scatter").with("axis", 1_i64);
    scattered.inputs.extend(["places", "values"].map(str::to_owned));
    let places = Tensor { dims: vec![1, 2, 1, 1], data: Data::I64(vec![2, 0]) };
    let mut models = vec![
        resized(9, of_x("Upsample"), &[1.0, 1.0, 2.0, 3.0]),
        resized(9, of_x("Upsample").with("mode", "linear"), &[1.0, 1.0, 2.0, 2.0]),
        resized(10, of_x("Resize"), &[1.0, 1.0, 2.0, 1.5]),
        resized(10, of_x("Resize"), &[1.0, 1.0, 0.5, 0.75]),
        resized(10, of_x("Resize").with("mode", "linear"), &[1.0, 1.0, 0.5, 2.0]),
        old(7, of_x("Upsample").with("scales", Attribute::Floats(vec![1.0, 1.0, 2.0, 2.0])), &[]),
        old(11, sized, &[("none", roi.clone()), ("sizes", Tensor::i64(&[2, 3, 7, 5]))]),
        old(11, by_scale, &[("none", roi), ("scales", scales(&[1.0, 1.0, 1.5, 2.0]))]),
        old(7, norm.clone(), &statistics),
        old(8, norm, &statistics),
        old(9, top(of_x("TopK").with("k", 2_i64).with("axis", 2_i64)), &[]),
        old(10, of_x("Hardmax"), &[]),
        old(12, of_x("Hardmax").with("axis", 2_i64), &[]),
        old(
            9,
            scattered,
            &[("places", places), ("values", Tensor::f32(&[1, 2, 1, 1], vec![5.0, 6.0]))],
        ),
        old(
            12,
            Node::new("drop", "Dropout", &["x", "ratio"], "y"),
            &[("ratio", Tensor::scalar(0.6))],
        ),
    ];
    for op in ["ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp"] {
        let node = |axes: Vec<i64>| {
            let mut node = of_x(op).with("axes", axes);
            if op == "ReduceLogSum" {
                node.inputs = vec!["positive".to_owned()];
            }
            node
        };
        for (opset, axes) in [(7, vec![2, 3]), (13, vec![-2])] {
            let mut model = old(opset, node(axes), &[]);
            model.nodes.insert(0, Node::new("positive", "Exp", &["x"], "positive"));
            models.push(model);
        }
    }
    models
}

#[test]
fn a_raised_model_computes_the_same() {
    let mut models = everywhere();
    match runtime().unwrap().backend {
        Backend::Library => models.extend(of_the_library()),
        Backend::Embedded => eprintln!("skips the operators that the embedded backend lacks"),
    }
    for before in models {
        let told = format!("{:?} of opset {}", before.nodes, before.opset);
        let after = upgrade(before.clone()).expect(&told);
        assert_eq!(after.opset, OPSET);
        let ((dims, values), expected) = (run(&after), run(&before));
        assert_eq!(dims, expected.0, "{told}");
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * b.abs().max(1.0);
        assert!(values.iter().zip(&expected.1).all(near), "{told}\n{values:?}\n{expected:?}");
        let shapes = [vec![2, 3, 4, 4]];
        assert!(observe(runtime().unwrap(), &after, &shapes).is_ok(), "{told}");
    }
}

#[test]
fn an_operator_that_may_have_changed_is_refused_by_name() {
    let told = upgrade(old(9, of_x("Loop"), &[])).unwrap_err();
    let loops = NoUpgrade::Unknown { node: "Loop".into(), op: "Loop".into(), opset: 9 };
    assert_eq!(told, loops);
    assert_eq!(
        upgrade(old(5, of_x("Relu"), &[])).unwrap_err().to_string(),
        "the model is of opset 5; models from opset 6 on can be trained",
    );
    let sides = Tensor::f32(&[4], vec![1.0, 1.0, 2.0, 0.5]);
    let both = Node::new("size", "Resize", &["x", "scales"], "y");
    let told = upgrade(old(10, both, &[("scales", sides)])).unwrap_err();
    assert_eq!(
        told.to_string(),
        "node `size` (Resize, opset 10): it enlarges one axis and reduces another",
    );
}

#[test]
fn a_model_left_in_training_mode_is_refused_at_every_opset() {
    for opset in [15, 18, 21] {
        let node = of_x("BatchNormalization").with("training_mode", 1_i64);
        let told = upgrade(old(opset, node, &[])).unwrap_err().to_string();
        assert!(told.contains("export the model in evaluation mode"), "{told}");
    }
}

#[test]
fn an_output_for_training_alone_must_not_be_read() {
    let mut node = of_x("Dropout");
    node.outputs.push("mask".to_owned());
    let mut model = old(9, node, &[]);
    model.nodes.push(Node::new("cast_mask", "Cast", &["mask"], "m").with("to", 1_i64));
    let told = upgrade(model).unwrap_err().to_string();
    assert!(told.contains("its output `mask` is read"), "{told}");
}
