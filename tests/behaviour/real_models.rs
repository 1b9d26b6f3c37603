//! Studies of real models and images, where there are any.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;

use crate::harness::{Backend, Study, Told, material, npy, rows};

/// A foreign model, the rule it was trained with, and a layer by some kind of name.
struct Foreign {
    path: &'static str,
    input: String,
    /// Further keys of its entry.
    more: &'static str,
    layer: &'static str,
    /// Images of the kind it was trained on, or near to it.
    images: Images,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Images {
    /// Chest radiographs.
    Chest,
    /// Handwritten digits.
    Digits,
    /// Pieces of photographs, in colour.
    Photographs,
}

const IMAGENET: &str = "mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]";
const CIFAR: &str = "mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.2010]";
const CAFFE: &str = "size: 224, order: bgr, scale: 1, mean: [104, 117, 123]";
const MOBILENET: &str = "size: 224, scale: 127.5, mean: 1";

/// Every classifier among the models.
fn classifiers() -> Vec<Foreign> {
    use Images::{Chest, Digits, Photographs};
    let model = |path, input: &str, more, layer, images| Foreign {
        path,
        input: input.to_owned(),
        more,
        layer,
        images,
    };
    let (imagenet, cifar) = (format!("size: 32, {IMAGENET}"), format!("size: 32, {CIFAR}"));
    let digits = |more: &str| format!("size: 28, channels: 1, {more}");
    vec![
        model(MOBILENET_V1, MOBILENET, "", "features", Chest),
        model("repacked/mobilenet_v2_0.35_224_cxr.onnx", MOBILENET, "output: probs", "gap", Chest),
        model(SQUEEZENET, CAFFE, "", "fire9", Chest),
        model("original/squeezenet1.1_fp16.onnx", CAFFE, "", "fire9/concat_1", Chest),
        model(RESNET20, &imagenet, "", "layer3", Photographs),
        model("original/cifar10_resnet_2b.onnx", &cifar, "", "'32'", Photographs),
        model("original/vit_cifar10_ibp_3_3_8.onnx", &cifar, "", "/1/1.2", Photographs),
        model("original/mnist-8.onnx", &digits("scale: 1"), "", "Pooling160", Digits),
        model(EMNIST, &digits("layout: nhwc"), POOLED, "pooled", Digits),
        model(MLP, &digits("layout: flat"), "", "BatchNormalization_7", Digits),
    ]
}

const MOBILENET_V1: &str = "repacked/mobilenet_v1_0.25_224.onnx";
const SQUEEZENET: &str = "repacked/squeezenet1.1_fp32_from_fp16.onnx";
const RESNET20: &str = "repacked/cifar10_resnet20.onnx";
const EMNIST: &str = "original/emnist_cnn.onnx";
const MLP: &str = "original/onnx2c_mnist_pytorch.onnx";
const POOLED: &str = "layers: { pooled: emnist_cnn_1/gap_1 }";

impl Images {
    /// Two dozen images of two classes, or of ten.
    fn draw(self, study: &Study, material: &Path) {
        match self {
            Self::Chest => radiographs(study, material),
            Self::Digits => digits(study, material),
            Self::Photographs => photographs(study, material),
        }
    }
}

/// Twelve chest radiographs of each class.
fn radiographs(study: &Study, material: &Path) {
    for class in ["NORMAL", "PNEUMONIA"] {
        let folder = material.join("chest_xray_224/train").join(class);
        let mut images: Vec<PathBuf> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        images.sort();
        for image in images.iter().take(12) {
            let name = image.file_name().unwrap().to_str().unwrap();
            study.write(&format!("images/{class}/{name}"), &std::fs::read(image).unwrap());
        }
    }
}

/// The first 80 digits of MNIST.
fn digits(study: &Study, material: &Path) {
    let unpacked = |name: &str, skip: usize| {
        let file = std::fs::File::open(material.join("mnist").join(name)).unwrap();
        let mut bytes = Vec::new();
        let mut reader = flate2::read::GzDecoder::new(file).take(80 * 784 + 16);
        reader.read_to_end(&mut bytes).unwrap();
        bytes.split_off(skip)
    };
    let labels = unpacked("train-labels-idx1-ubyte.gz", 8);
    let pixels = unpacked("train-images-idx3-ubyte.gz", 16);
    for (number, (label, image)) in labels.iter().zip(pixels.chunks_exact(784)).enumerate() {
        let image = image::GrayImage::from_raw(28, 28, image.to_vec()).unwrap();
        save(study, &format!("images/{label}/{number:02}.png"), &image.into());
    }
}

/// Sixteen pieces of each of two photographs.
fn photographs(study: &Study, material: &Path) {
    for (class, file) in [("person", "astronaut.png"), ("cat", "chelsea.png")] {
        let image = image::open(material.join("sample_images").join(file)).unwrap();
        let image = image.resize_exact(256, 256, image::imageops::FilterType::Triangle);
        for piece in 0..16 {
            let piece_of = image.crop_imm(piece % 4 * 64, piece / 4 * 64, 64, 64);
            save(study, &format!("images/{class}/{piece:02}.png"), &piece_of);
        }
    }
}

fn save(study: &Study, name: &str, image: &image::DynamicImage) {
    let path = study.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

/// Features of a layer, a probe on them, and a body that is frozen or not, of a real model.
fn study(material: &Path, model: &Foreign, freeze: &str) -> Study {
    let study = Study::new(&format!(
        "\
name: study
seeds: 1
datasets:
  images:
    image_folder: {{ path: images }}
    split: {{ train: 0.5, val: 0.25, test: 0.25 }}
models:
  base:
    onnx: {path}
    input: {{ {input} }}
    {more}
stages:
  codes:
    extract: {{ model: base, dataset: images, layers: {layer} }}
  probe:
    linear_probe: {{ features: codes, c: [0.01, 0.1] }}
  tuned:
    fine_tune: {{ model: base, dataset: images, freeze: {freeze}, steps: 4, batch: 4, lr: 1e-3 }}
  scores:
    evaluate: {{ of: [probe, tuned], metrics: [accuracy] }}
",
        path = material.join("models").join(model.path).display(),
        input = model.input,
        more = model.more,
        layer = model.layer,
    ));
    model.images.draw(&study, material);
    study
}

fn assert_is_used(model: &Foreign, freeze: &str, backend: &Backend, material: &Path) {
    let study = study(material, model, freeze);
    let told = study.run_with(backend, &[]);
    assert_eq!(told.code, Some(0), "{} with `freeze: {freeze}` on {backend:?}\n{told}", model.path);
    let told = told.never_says("warning: preprocessing");
    assert!(told.worked().iter().any(|label| label == "preprocessing of base on images"), "{told}");
    let scores = rows(&study.latest(), "scores");
    let accuracies = scores.iter().filter(|row| row["metric"] == "accuracy");
    let stages: Vec<&str> = accuracies.map(|row| row["stage"].as_str()).collect();
    assert_eq!(stages, ["probe", "tuned"], "{}", model.path);
}

#[test]
fn every_classifier_is_probed_and_tuned_with_a_frozen_body_on_either_backend() {
    let Some(material) = material() else { return };
    for backend in Backend::all() {
        for model in classifiers() {
            assert_is_used(&model, "all", &backend, &material);
        }
    }
}

#[test]
fn every_classifier_is_tuned_as_a_whole_on_the_library() {
    let (Some(material), Some(library)) = (material(), Backend::library()) else { return };
    for model in classifiers() {
        assert_is_used(&model, "none", &library, &material);
    }
}

#[test]
fn every_small_classifier_is_tuned_as_a_whole_on_the_embedded_backend() {
    let Some(material) = material() else { return };
    for model in classifiers().iter().filter(|model| model.images != Images::Chest) {
        assert_is_used(model, "none", &Backend::Embedded, &material);
    }
}

/// What is said of a model under another rule than its own.
fn told_of(path: &str, input: &str) -> Option<Told> {
    let material = material()?;
    let model = classifiers().into_iter().find(|model| model.path == path).unwrap();
    let model = Foreign { input: input.to_owned(), ..model };
    Some(study(&material, &model, "all").run())
}

#[test]
fn a_wrong_input_rule_is_told_with_the_better_one() {
    let cases = [
        (RESNET20, format!("size: 32, scale: 1, {IMAGENET}"), IMAGENET),
        (RESNET20, "size: 32".to_owned(), IMAGENET),
        (RESNET20, "size: 32, scale: 1".to_owned(), IMAGENET),
        (RESNET20, "size: 32, scale: 127.5, mean: 1".to_owned(), IMAGENET),
        (MLP, "size: 28, channels: 1, layout: flat, scale: 1".to_owned(), "layout: flat }"),
        (
            MLP,
            "size: 28, channels: 1, layout: flat, mean: 0.5, std: 0.5".to_owned(),
            "layout: flat }",
        ),
        (EMNIST, "size: 28, channels: 1, layout: nhwc, scale: 1".to_owned(), "layout: nhwc }"),
        (EMNIST, "size: 28, channels: 1, layout: nhwc, scale: 65025".to_owned(), "layout: nhwc }"),
    ];
    for (path, input, better) in cases {
        let Some(told) = told_of(path, &input) else { return };
        let told = told.says("warning: preprocessing of base on images: ");
        assert!(told.err.contains(better), "{path} with {input}\n{told}");
    }
}

/// What Python's onnxruntime says of a piece of the astronaut's picture.
const ASTRONAUT: [f32; 10] =
    [-6.799, -5.7193, 5.2029, 7.9999, 3.2994, -2.8218, 4.6529, -1.9269, -1.7844, -2.1199];

#[test]
fn an_example_tells_that_red_and_blue_are_swapped() {
    let Some(material) = material() else { return };
    let declared = |order: &str| {
        let input = format!("size: 32, order: {order}, {IMAGENET}");
        let model = classifiers().into_iter().find(|model| model.path == RESNET20).unwrap();
        let more = "example: { image: piece.png, output: piece.npy }";
        let study = study(&material, &Foreign { input, more, ..model }, "all");
        let image = image::open(material.join("sample_images/astronaut.png")).unwrap();
        image.crop_imm(200, 60, 32, 32).save(study.path("piece.png")).unwrap();
        study.write("piece.npy", &npy(&ASTRONAUT));
        study.run()
    };
    assert!(declared("rgb").succeeds().worked().contains(&"example of base".to_owned()));
    declared("bgr")
        .fails()
        .says("failed to come out with `input` as declared: what the model says of `piece.png` is up to 57 %")
        .says("help: it does with `input: { size: 32, channels: 3, mean: [0.485, 0.456, 0.406], std: [0.229");
}

#[test]
fn a_layout_that_does_not_fit_is_told_with_the_one_that_does() {
    let Some(material) = material() else { return };
    let model = classifiers().into_iter().find(|model| model.path == EMNIST).unwrap();
    let model = Foreign { input: "size: 28, channels: 1".to_owned(), ..model };
    let study = study(&material, &model, "all");
    study
        .refusal()
        .says(
            "is unk__213 × 28 × 28 × 1, but `input` gives 1 × 28 × 28 (channels × height × width)",
        )
        .says("help: write `layout: nhwc`");
}

#[test]
fn layers_are_found_by_tensor_node_scope_and_alias() {
    let Some(material) = material() else { return };
    let names = [
        (RESNET20, "[layer1, layer1.0, layer2.0.relu1, features]"),
        (SQUEEZENET, "[fire2, fire2/expand3x3_1, pool5_1]"),
        (EMNIST, "[pooled, emnist_cnn_1/pool1_1, emnist_cnn_1/relu1_1_1/Relu]"),
        ("original/vit_cifar10_ibp_3_3_8.onnx", "[/0, /1/1.0, /1/1.2/1.2.0, /2/2.0/ReduceMean]"),
        ("original/mnist-8.onnx", "[ReLU32, ReLU32_Output_0]"),
    ];
    for (path, layers) in names {
        let model = classifiers().into_iter().find(|model| model.path == path).unwrap();
        let study = study(&material, &model, "all");
        study.replace(&format!("layers: {} }}", model.layer), &format!("layers: {layers} }}"));
        study.replace("features: codes,", "features: codes.0,");
        let told = study.check();
        // Which of the layers the probe reads is no question here.
        assert!(!told.err.contains("has no layer `"), "{path}\n{told}");
    }
}

#[test]
fn a_layer_that_is_not_there_is_told_with_names_that_are() {
    let Some(material) = material() else { return };
    let refused = |path: &str, layer: &str| {
        let model = classifiers().into_iter().find(|model| model.path == path).unwrap();
        let study = study(&material, &model, "all");
        study.replace(&format!("layers: {} }}", model.layer), &format!("layers: {layer} }}"));
        study.check().err
    };
    assert_snapshot!(refused(RESNET20, "layer4"), @"
    error: `base` has no layer `layer4`
         study.yaml:14:54
     14 |     extract: { model: base, dataset: images, layers: layer4 }
        |                                                      ^^^^^^
      help: did you mean `layer1`?

    1 problem
    ");
    assert_snapshot!(refused(SQUEEZENET, "features"), @"
    error: `base` has no layer `features`
         study.yaml:14:54
     14 |     extract: { model: base, dataset: images, layers: features }
        |                                                      ^^^^^^^^
      help: there is: `fire2`, `fire3`, `fire4`, `fire5`, `fire6`, `fire7`, `fire8`, `fire9`, `conv1_1`, `conv1_2`, `fire2/squeeze1x1_1`, `fire2/squeeze1x1_2` and 49 more

    1 problem
    ");
}

#[test]
fn an_encoder_gets_its_head_on_its_output() {
    let Some(material) = material() else { return };
    let model = classifiers().into_iter().find(|model| model.more == "output: probs").unwrap();
    let model = Foreign { more: "output: features", ..model };
    study(&material, &model, "all").check().succeeds().says("tuned: new head on `features`");
}

#[test]
fn a_super_resolution_network_has_no_head_but_layers() {
    let (Some(material), Some(library)) = (material(), Backend::library()) else { return };
    let model = Foreign {
        path: "original/super_resolution_10.onnx",
        input: "size: 224, channels: 1".to_owned(),
        more: "",
        layer: "'13'",
        images: Images::Chest,
    };
    let study = study(&material, &model, "all");
    study
        .check()
        .says("no head is found in `base`: the output `output` has the shape")
        .says("help: say where the new head reads with `head: { at: LAYER }`");
    study.replace("freeze: all,", "freeze: all, head: { at: '13' },");
    study.run_with(&library, &[]).succeeds();
}

#[test]
fn a_model_without_an_operator_set_is_refused_with_a_way_out() {
    let Some(material) = material() else { return };
    let model = Foreign {
        path: "original/negative_no_opset_super_resolution.onnx",
        input: "size: 224, channels: 1".to_owned(),
        more: "",
        layer: "'13'",
        images: Images::Chest,
    };
    study(&material, &model, "all")
        .refusal()
        .says("the model names no operator set")
        .says("export it again with a current tool");
}
