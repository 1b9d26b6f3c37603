//! `predict`: the models that a run leaves say of images what the run's tables say.

use std::collections::BTreeMap;

use insta::assert_snapshot;

use crate::harness::{Backend, Study, Told, pet, rows};

/// Networks for pets; one is trained with class weights on a part with more cats.
fn study() -> Study {
    let study = Study::new(
        "\
name: study
seeds: 1
datasets:
  pets:
    image_folder: { path: pets }
    split: { train: 0.5, val: 0.2, test: 0.3 }
stages:
  plain:
    pretrain:
      dataset: pets
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 6, channels: 1, mean: 0.5, std: 0.25 }
      steps: 30
      lr: 1e-2
  weighted:
    pretrain:
      dataset: pets
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 8, channels: 3, fit: cover }
      steps: 30
      lr: 1e-2
      class_weights: balanced
  scores:
    evaluate: { of: [plain, weighted] }
",
    );
    let study = study.with_pets();
    for number in (1..60).step_by(6) {
        std::fs::remove_file(study.path(&pet(number))).unwrap();
    }
    study
}

fn predict(study: &Study, backend: &Backend, arguments: &[&str]) -> Told {
    let mut program = study.bare_program();
    match backend {
        Backend::Embedded => program.args(["--runtime", "embedded"]),
        Backend::Library(path) => program.env("ORT_DYLIB_PATH", path),
    };
    Told::of(program.arg("predict").args(arguments).output().unwrap())
}

/// The table by file.
fn table(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader.deserialize::<BTreeMap<String, String>>();
    rows.map(|row| row.unwrap()).map(|row| (row["file"].clone(), row)).collect()
}

#[test]
fn probabilities_are_those_of_the_runs_items() {
    for backend in Backend::all() {
        let study = study();
        study.run_with(&backend, &[]).succeeds();
        let mut unequal_priors = 0;
        for stage in ["plain", "weighted"] {
            let model = format!("results/study/latest/models/{stage}-seed0.onnx");
            let told = predict(&study, &backend, &[&model, "pets"]).succeeds();
            let predicted = table(&told.out);
            assert_eq!(predicted.len(), 50);
            let items = rows(&study.latest(), "items");
            let items: Vec<_> = items.iter().filter(|row| row["stage"] == stage).collect();
            assert!(items.len() > 10, "{}", items.len());
            for item in items {
                let row = &predicted[&format!("pets/{}", item["item"])];
                assert_eq!(row["label"], item["predicted"], "{item:?}");
                let values = item["probabilities"].split(';');
                for (value, class) in values.zip(["p_cat", "p_dog"]) {
                    let (expected, found): (f64, f64) =
                        (value.parse().unwrap(), row[class].parse().unwrap());
                    assert!((expected - found).abs() < 1e-6, "{item:?} {row:?}");
                    unequal_priors += usize::from((0.01..0.99).contains(&expected));
                }
            }
        }
        assert!(unequal_priors > 10, "all are certain, so that a shift would not be seen");
    }
}

#[test]
fn probabilities_follow_the_loss_that_a_model_was_trained_with() {
    let study = study();
    study.replace(
        "class_weights: balanced",
        "class_weights: balanced\n      loss: binary_cross_entropy",
    );
    let plain = "mean: 0.5, std: 0.25 }\n      steps: 30";
    study.replace(plain, &format!("{plain}\n      loss: squared_error"));
    study.run().succeeds();
    let items = rows(&study.latest(), "items");
    for (stage, has_any) in [("plain", false), ("weighted", true)] {
        let model = format!("results/study/latest/models/{stage}-seed0.onnx");
        let predicted =
            table(&predict(&study, &Backend::Embedded, &[&model, "pets"]).succeeds().out);
        for item in items.iter().filter(|row| row["stage"] == stage) {
            let row = &predicted[&format!("pets/{}", item["item"])];
            assert_eq!(row["label"], item["predicted"], "{item:?}");
            assert_eq!(row["p_cat"].is_empty(), !has_any, "{row:?}");
            let values = item["probabilities"].split(';').filter(|_| has_any);
            for (value, class) in values.zip(["p_cat", "p_dog"]) {
                let (expected, found): (f64, f64) =
                    (value.parse().unwrap(), row[class].parse().unwrap());
                assert!((expected - found).abs() < 1e-6, "{item:?} {row:?}");
            }
        }
    }
}

#[test]
fn probabilities_are_the_same_whatever_the_number_of_jobs() {
    let study = study();
    study.run().succeeds();
    let model = "results/study/latest/models/plain-seed0.onnx";
    let one = predict(&study, &Backend::Embedded, &[model, "pets", "--jobs", "1"]).succeeds();
    let three = predict(&study, &Backend::Embedded, &[model, "pets", "--jobs", "3"]).succeeds();
    assert_eq!(one.out, three.out);
    let files: Vec<&str> =
        one.out.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert!(files.is_sorted(), "{files:?}");
    // A file holds the same, and standard output nothing then.
    let arguments = [model, "pets", "--output", "told.csv"];
    let told = predict(&study, &Backend::Embedded, &arguments).succeeds();
    assert_eq!(told.out, "");
    assert_eq!(std::fs::read_to_string(study.path("told.csv")).unwrap(), one.out);
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_goes_on() {
    let study = study();
    study.run().succeeds();
    study.write(&pet(4), b"no image");
    let model = "results/study/latest/models/plain-seed0.onnx";
    let images = [pet(2), pet(4), "missing.png".to_owned(), pet(3)];
    let arguments: Vec<&str> =
        std::iter::once(model).chain(images.iter().map(String::as_str)).collect();
    let told = predict(&study, &Backend::Embedded, &arguments).fails();
    let probability = regex::Regex::new(r"\d\.\d{4,}(e-\d+)?").unwrap();
    assert_snapshot!(probability.replace_all(&told.to_string(), "#"), @"
    exit code 1
    --- standard output
    file,label,p_cat,p_dog
    pets/cat/animal2_02.png,cat,#,#
    pets/dog/animal3_03.png,dog,#,#
    --- standard error
    error: read pets/cat/animal4_04.png: The image format could not be determined
    error: read missing.png: No such file or directory (os error 2)
    2 of 4 images could not be read
    ");
}

#[test]
fn a_model_that_does_not_say_its_labels_is_refused() {
    let study = study().with_file("small.onnx", &crate::models::small());
    let told = predict(&study, &Backend::Embedded, &["small.onnx", "pets"]);
    assert_snapshot!(told, @"
    exit code 2
    --- standard error
    error: small.onnx cannot predict: it does not say its classes
      help: models that `tl-run` trained carry it, as in results/NAME/latest/models; name this one under `models` of a pipeline to train a head for it
    ");
    let told = predict(&study, &Backend::Embedded, &["study.yaml", "pets"]);
    assert_eq!(told.code, Some(2));
    told.says("error: read study.yaml: ");
    std::fs::create_dir(study.path("empty")).unwrap();
    study.replace("steps: 30", "steps: 1");
    study.run().succeeds();
    let model = "results/study/latest/models/plain-seed0.onnx";
    let told = predict(&study, &Backend::Embedded, &[model, "empty"]);
    assert_snapshot!(told, @"
    exit code 2
    --- standard error
    error: there is no JPEG or PNG image below empty
    ");
}
