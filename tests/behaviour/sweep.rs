//! A sweep over depths and seeds computes what never changes once.

use crate::harness::{Study, repository, rows};

const SWEEP: &str = "\
name: study
seeds: 5
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 60, val: 50, test: 60 }
models:
  base:
    onnx: digits.onnx
    input: { size: 32, channels: 1, scale: 16 }
stages:
  tuned:
    fine_tune: { model: base, dataset: digits, freeze: \"${matrix.freeze}\", steps: 2, lr: [1e-3, 1e-2] }
    matrix: { freeze: [none, block1, block2, all] }
  scores:
    evaluate: { of: [tuned], metrics: [accuracy] }
";

#[test]
fn a_sweep_of_five_seeds_and_four_depths_computes_each_frozen_prefix_once() {
    let model = std::fs::read(repository().join("data/models/digits.onnx")).unwrap();
    let study = Study::new(SWEEP).with_digits(200).with_file("digits.onnx", &model);
    let planned = study.told(&["plan", "study.yaml", "--runtime", "embedded"]).succeeds();
    let told = study.run().succeeds();
    let worked = told.worked();
    let prefixes: Vec<&String> = worked.iter().filter(|label| label.contains("prefix")).collect();
    assert_eq!(
        prefixes,
        [
            "prefix of base on digits up to block1/relu2",
            "prefix of base on digits up to block2/relu2",
            "prefix of base on digits up to gap",
        ],
        "{told}"
    );
    for prefix in &prefixes {
        assert_eq!(planned.out.matches(prefix.as_str()).count(), 1, "{planned}");
    }
    let of = |word: &str| worked.iter().filter(|label| label.contains(word)).count();
    // Five seeds, four depths, two rates each; without a frozen part the pixels are shared alike.
    assert_eq!(of(" lr="), 40, "{told}");
    let scores = rows(&study.latest(), "scores");
    assert_eq!(scores.iter().filter(|row| row["metric"] == "accuracy").count(), 20);
}
