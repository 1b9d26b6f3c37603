//! Nothing is chosen by test items: whatever is true of them, the same is chosen.

use crate::harness::{Backend, Study, rows, text};

#[test]
fn labels_of_test_items_change_no_choice_and_no_score_on_val() {
    for backend in Backend::all() {
        let study = Study::new(
            "\
name: study
seeds: 2
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 60, test: { rows: 0..100 } }
stages:
  net:
    pretrain:
      dataset: digits
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 20
      lr: [1e-2, 3e-2]
  codes:
    extract: { model: net, dataset: digits, layers: dense1 }
  probe:
    linear_probe: { features: codes.dense1, c: [0.01, 0.1, 1] }
  folds:
    svm: { features: codes.dense1, c: [0.01, 0.1], select: { folds: { count: 3 } } }
  scores:
    evaluate: { of: [net, probe, folds], split: val, metrics: [accuracy, log_loss] }
",
        )
        .with_digits(300);
        let found = || {
            study.run_with(&backend, &["--quiet"]).succeeds();
            let tables = ["selection.csv", "convergence.csv", "scores.csv", "items.csv"];
            tables.map(|name| text(&study.latest(), name))
        };
        let before = found();
        let digits = text(&study.path(""), "digits.csv");
        let turned = digits.lines().enumerate().map(|(row, line)| {
            let (pixels, label) = line.rsplit_once(',').unwrap();
            let label: u32 = label.trim().parse::<f64>().unwrap() as u32;
            format!("{pixels},{}\n", if row < 100 { (label + 1) % 10 } else { label })
        });
        study.write("digits.csv", turned.collect::<String>().as_bytes());
        assert_eq!(found(), before);
        assert!(!rows(&study.latest(), "selection").is_empty());
    }
}
