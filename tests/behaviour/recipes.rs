//! How networks are trained: losses, penalties, schedules, unfreezing, protocols.

use insta::assert_snapshot;

use crate::harness::{Backend, Study, rows, text};

/// A base that learns digits, and a stage that fine-tunes it by `recipe`.
fn study(recipe: &str) -> Study {
    Study::new(&format!(
        "\
name: study
seeds: 1
datasets:
  digits:
    csv: {{ path: digits.csv, header: false, label: last, shape: [8, 8] }}
    split: {{ train: 100, val: 50, test: 60 }}
stages:
  source:
    pretrain:
      dataset: digits
      architecture: residual_cnn
      input: {{ size: 8, channels: 1, scale: 16 }}
      steps: 60
      lr: 1e-2
  tuned:
    fine_tune: {{ model: source, dataset: digits, {recipe} }}
  scores:
    evaluate: {{ of: [source, tuned], metrics: [accuracy, log_loss] }}
"
    ))
    .with_digits(300)
}

fn accuracy(study: &Study) -> f64 {
    let scores = rows(&study.latest(), "scores");
    let found = scores.iter().find(|row| {
        row["stage"] == "tuned" && row["split"] == "test" && row["metric"] == "accuracy"
    });
    found.unwrap_or_else(|| panic!("no accuracy in {scores:?}"))["value"].parse().unwrap()
}

fn runs_and_learns(recipe: &str) -> Study {
    let study = study(recipe);
    study.run().succeeds();
    assert!(accuracy(&study) > 0.4, "{recipe}: {}", accuracy(&study));
    study
}

#[test]
fn every_loss_trains_and_tells_probabilities_if_it_has_any() {
    for (loss, has_probabilities) in [
        ("cross_entropy", true),
        ("binary_cross_entropy", true),
        ("squared_error", false),
        ("{ huber: { delta: 0.5 } }", false),
    ] {
        let recipe = format!("steps: 60, lr: 1e-2, class_weights: balanced, loss: {loss}");
        let study = runs_and_learns(&recipe);
        let items = rows(&study.latest(), "items");
        let of_tuned: Vec<_> = items.iter().filter(|row| row["stage"] == "tuned").collect();
        assert!(!of_tuned.is_empty());
        for row in of_tuned {
            assert_eq!(!row["probabilities"].is_empty(), has_probabilities, "{loss}: {row:?}");
            if has_probabilities {
                let values = row["probabilities"].split(';').map(|p| p.parse::<f64>().unwrap());
                assert!((values.sum::<f64>() - 1.0).abs() < 1e-6, "{loss}: {row:?}");
            }
        }
    }
}

#[test]
fn penalty_mixing_smoothing_and_pieces_run_together_the_same_on_any_number_of_jobs() {
    let recipe = "steps: 60, lr: 1e-2, batch: 20, micro_batch: 8, mixup: 0.2, clip: 1, \
                  label_smoothing: 0.1, l2_sp: { alpha: 0.01 }";
    let study = runs_and_learns(recipe);
    let tables = |study: &Study| {
        ["scores.csv", "items.csv", "convergence.csv"].map(|name| text(&study.latest(), name))
    };
    let other = Study::new(&study.pipeline()).with_digits(300);
    other.run_with(&Backend::Embedded, &["--jobs", "1"]).succeeds();
    assert!(tables(&study) == tables(&other));
    let plain = runs_and_learns("steps: 60, lr: 1e-2, batch: 20");
    assert!(tables(&study) != tables(&plain), "the recipe changes something");
}

#[test]
fn a_batch_in_pieces_gives_the_scores_of_a_whole_one() {
    let curve = |recipe: &str| -> Vec<f64> {
        let study = study(&format!("steps: 20, lr: 1e-2, batch: 12, {recipe}"));
        study.run().succeeds();
        let curve = rows(&study.latest(), "convergence");
        let of_tuned = curve.iter().filter(|row| row["stage"] == "tuned");
        of_tuned.map(|row| row["val_loss"].parse().unwrap()).collect()
    };
    // Batches below 16 use no statistics of their own.
    let (whole, pieces) = (curve("patience: 0"), curve("patience: 0, micro_batch: 5"));
    assert_eq!(whole.len(), pieces.len());
    for (one, other) in whole.iter().zip(&pieces) {
        assert!((one - other).abs() < 1e-4, "{whole:?} {pieces:?}");
    }
}

#[test]
fn layer_groups_are_unfrozen_one_an_epoch() {
    let study = runs_and_learns("epochs: 12, lr: 1e-2, unfreeze: gradual, decay_per_group: 2.6");
    let told = study.run().succeeds();
    assert_eq!(told.done_and_hits().0, 0, "all is there");
    // The head alone learns what a frozen body allows.
    let alone = runs_and_learns("epochs: 12, lr: 1e-2, freeze: all");
    assert!(text(&study.latest(), "items.csv") != text(&alone.latest(), "items.csv"));
}

#[test]
fn unfreezing_that_does_not_come_to_its_end_is_told() {
    let study = study("epochs: 2, unfreeze: gradual");
    assert_snapshot!(study.refusal().to_string(), @"
    exit code 2
    --- standard error
    error: it takes 4 epochs until everything learns, and training takes 2 epochs
         study.yaml:16:61
     16 |     fine_tune: { model: source, dataset: digits, epochs: 2, unfreeze: gradual }
        |                                                             ^^^^^^^^
      help: train for more epochs, or freeze the lower layer groups with `freeze`

    1 problem
    ");
}

#[test]
fn a_probe_as_head_predicts_as_the_probe_does() {
    let study = study("steps: 0, lr: 1e-2, head_init: probe");
    study.replace(
        "  scores:\n",
        "  codes:\n    extract: { model: source, dataset: digits, layers: [gap] }\n  \
         probe:\n    linear_probe: { features: codes.gap }\n  scores:\n",
    );
    study.replace("of: [source, tuned]", "of: [source, tuned, probe]");
    study.run().succeeds();
    let items = rows(&study.latest(), "items");
    let predicted = |stage: &str| -> Vec<(String, String)> {
        let of_stage = items.iter().filter(|row| row["stage"] == stage);
        of_stage.map(|row| (row["item"].clone(), row["predicted"].clone())).collect()
    };
    assert!(!predicted("probe").is_empty());
    assert_eq!(predicted("tuned"), predicted("probe"));
}

#[test]
fn a_range_test_leaves_its_curve_and_the_rate_it_found() {
    let study = study("steps: 30, lr: range_test");
    study.run().succeeds();
    let curve = rows(&study.latest(), "lr_range");
    assert!(curve.len() > 20 && curve.iter().all(|row| row["stage"] == "tuned"), "{curve:?}");
    let number = |row: &std::collections::BTreeMap<String, String>, column: &str| -> f64 {
        row[column].parse().unwrap()
    };
    let best = curve
        .iter()
        .min_by(|a, b| number(a, "smoothed").total_cmp(&number(b, "smoothed")))
        .map(|row| number(row, "lr") / 10.0);
    let trained = rows(&study.latest(), "convergence");
    let of_tuned = trained.iter().find(|row| row["stage"] == "tuned").unwrap();
    assert!((number(of_tuned, "lr") / best.unwrap() - 1.0).abs() < 1e-9);
}

/// Transfer and scratch by one protocol.
fn by_protocol(protocol: &str, more: &str) -> Study {
    let study = study(&format!("protocol: {protocol}{more}"));
    study.replace(
        "  scores:\n",
        &format!(
            "  scratch:\n    fine_tune: {{ model: source, init: random, dataset: digits, \
             protocol: {protocol}{more} }}\n  scores:\n"
        ),
    );
    study.replace("of: [source, tuned]", "of: [tuned, scratch]");
    study
}

#[test]
fn what_a_protocol_fills_in_and_what_is_not_done_is_told() {
    let told: Vec<String> =
        ["bit-hyperrule", "vtab-1k", "fastai", "lp-ft", "medmnist", "kornblith"]
            .map(|protocol| by_protocol(protocol, ", batch: 16").check().facts())
            .to_vec();
    assert_snapshot!(told.join("\n\n"), @"
      digits: 300 items (0 31, 1 30, 2 29, 3 29, 4 29, 5 32, 6 29, 7 29, 8 31, 9 31); train 100, val 50, test 60
      source: 19810 of 19810 parameters learn
      tuned: new head on `gap`, 19810 of 19810 parameters learn
      scratch: new head on `gap`, 19810 of 19810 parameters learn
    note: protocol `bit-hyperrule` fills in `steps: 500`, `lr: [0.003]`, `optimizer: { sgd: { momentum: 0.9, nesterov: false, weight_decay: 0.0 } }`, `schedule: { step: { at: [0.4, 0.6, 0.8], factor: 0.1, warmup: 0.2 } }`, `head_init: zero`, `patience: 0`; the file's own `batch` stays; not done: its image sizes (160 cropped to 128, or 512 cropped to 480: say `size` of the model's `input`), its random crops and flips, its last weights (the best on val are kept)

      digits: 300 items (0 31, 1 30, 2 29, 3 29, 4 29, 5 32, 6 29, 7 29, 8 31, 9 31); train 100, val 50, test 60
      source: 19810 of 19810 parameters learn
      tuned: new head on `gap`, 19810 of 19810 parameters learn
      scratch: new head on `gap`, 19810 of 19810 parameters learn
    note: protocol `vtab-1k` fills in `steps: 1000`, `lr: [0.01]`, `optimizer: { sgd: { momentum: 0.9, nesterov: false, weight_decay: 0.0 } }`, `schedule: { step: { at: [0.3, 0.6, 0.9], factor: 0.1, warmup: 0.08 } }`, `patience: 0`; the file's own `batch` stays; not done: its 800 training and 200 val items (say `train_size` and `split`), its last fit on all 1,000, its image size (224: say `size` of the model's `input`), its last weights (the best on val are kept)

      digits: 300 items (0 31, 1 30, 2 29, 3 29, 4 29, 5 32, 6 29, 7 29, 8 31, 9 31); train 100, val 50, test 60
      source: 19810 of 19810 parameters learn
      tuned: new head on `gap`, 19810 of 19810 parameters learn
      scratch: new head on `gap`, 19810 of 19810 parameters learn
    note: protocol `fastai` fills in `lr: [0.001]`, `optimizer: { adamw: { beta1: 0.9, beta2: 0.99, epsilon: 0.00001, weight_decay: 0.01 } }`, `schedule: { one_cycle: { div: 5.0, final_div: 100000.0, rise: 0.3 } }`, `unfreeze: { head_first: { epochs: 1, lr: 2.0, schedule: { one_cycle: { div: 25.0, final_div: 100000.0, rise: 0.99 } } } }`, `lowest_lr: 0.01`, `patience: 0`; the file's own `batch` stays; not done: its cycle of the momentum, its training of frozen normalisations, its augmentation, its two-layer head, its last weights (the best on val are kept)
    note: protocol `fastai` fills in `lr: [0.001]`, `optimizer: { adamw: { beta1: 0.9, beta2: 0.99, epsilon: 0.00001, weight_decay: 0.01 } }`, `schedule: { one_cycle: { div: 5.0, final_div: 100000.0, rise: 0.3 } }`, `patience: 0`; the file's own `batch` stays; random weights start without its `unfreeze`, `lowest_lr`; not done: its cycle of the momentum, its training of frozen normalisations, its augmentation, its two-layer head, its last weights (the best on val are kept)

      digits: 300 items (0 31, 1 30, 2 29, 3 29, 4 29, 5 32, 6 29, 7 29, 8 31, 9 31); train 100, val 50, test 60
      source: 19810 of 19810 parameters learn
      tuned: new head on `gap`, 19810 of 19810 parameters learn
      scratch: new head on `gap`, 19810 of 19810 parameters learn
    note: protocol `lp-ft` fills in `epochs: 20`, `lr: [3e-7, 1e-6, 3e-6, 0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01]`, `optimizer: { sgd: { momentum: 0.9, nesterov: false, weight_decay: 0.0 } }`, `schedule: { cosine: { warmup: 0 } }`, `head_init: probe`, `patience: 0`; the file's own `batch` stays; not done: its augmentation, its last weights (the best on val are kept)
    note: protocol `lp-ft` fills in `epochs: 20`, `lr: [3e-7, 1e-6, 3e-6, 0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01]`, `optimizer: { sgd: { momentum: 0.9, nesterov: false, weight_decay: 0.0 } }`, `schedule: { cosine: { warmup: 0 } }`, `patience: 0`; the file's own `batch` stays; random weights start without its `head_init`; not done: its augmentation, its last weights (the best on val are kept)

      digits: 300 items (0 31, 1 30, 2 29, 3 29, 4 29, 5 32, 6 29, 7 29, 8 31, 9 31); train 100, val 50, test 60
      source: 19810 of 19810 parameters learn
      tuned: new head on `gap`, 19810 of 19810 parameters learn
      scratch: new head on `gap`, 19810 of 19810 parameters learn
    note: protocol `medmnist` fills in `epochs: 100`, `lr: [0.001]`, `optimizer: { adamw: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 } }`, `schedule: { step: { at: [0.5, 0.75], factor: 0.1 } }`, `patience: 0`; the file's own `batch` stays; not done: its image sizes (28 or 224: say `size` of the model's `input`), its last weights (the best on val are kept)

      digits: 300 items (0 31, 1 30, 2 29, 3 29, 4 29, 5 32, 6 29, 7 29, 8 31, 9 31); train 100, val 50, test 60
      source: 19810 of 19810 parameters learn
      tuned: new head on `gap`, 19810 of 19810 parameters learn
      scratch: new head on `gap`, 19810 of 19810 parameters learn
    note: protocol `kornblith` fills in `steps: 20000`, `lr: [0.0001, 0.00031622776601683794, 0.001, 0.0031622776601683794, 0.01, 0.03162277660168379, 0.1]`, `optimizer: { sgd: { momentum: 0.9, nesterov: true, weight_decay: 0.0 } }`, `schedule: { cosine: { warmup: 0 } }`, `patience: 0`; the file's own `batch` stays; not done: its grid of weight decays (none is applied: say `optimizer`), its pace of normalisation statistics (the model's own is kept), its random crops and flips, its last weights (the best on val are kept)
    ");
}

#[test]
fn every_protocol_trains_transfer_and_scratch() {
    for (protocol, more) in [
        ("bit-hyperrule", ", steps: 40, batch: 20"),
        ("vtab-1k", ", steps: 40, batch: 20"),
        ("fastai", ", epochs: 3, batch: 20"),
        ("lp-ft", ", epochs: 2, lr: 1e-3"),
        ("medmnist", ", epochs: 3, batch: 20"),
        ("kornblith", ", steps: 40, batch: 20, lr: 1e-2"),
    ] {
        let study = by_protocol(protocol, more);
        study.run().succeeds();
        let scores = rows(&study.latest(), "scores");
        for arm in ["tuned", "scratch"] {
            assert!(scores.iter().any(|row| row["stage"] == arm), "{protocol}: no {arm}");
        }
    }
}

#[test]
fn what_contradicts_a_protocol_is_told() {
    let study = study("protocol: lp-ft, head_init: zero");
    assert_snapshot!(study.refusal().to_string(), @"
    exit code 2
    --- standard error
    error: `lp-ft` is made up by `head_init: probe`
         study.yaml:16:67
     16 |     fine_tune: { model: source, dataset: digits, protocol: lp-ft, head_init: zero }
        |                                                                   ^^^^^^^^^
      help: leave this out, or leave `protocol: lp-ft` out

    1 problem
    ");
}

#[test]
fn wrong_values_and_contradictions_are_told_at_once() {
    let wrong = [
        "protocol: bit",
        "loss: mse",
        "loss: { huber: { delta: 0 } }",
        "label_smoothing: 1",
        "label_smoothing: 0.1, loss: squared_error",
        "mixup: 0",
        "l2_sp: { beta: 0.1 }",
        "micro_batch: 0",
        "unfreeze: slowly",
        "unfreeze: { gradual: { epochs: 0 } }",
        "decay_per_group: -1",
        "decay_per_group: 2.6, lowest_lr: 0.01",
        "head_init: probes",
        "head_init: probe, loss: huber",
        "lr: range",
        "schedule: step",
        "schedule: { step: { at: [0.5, 1.5] } }",
        "schedule: { one_cycle: { rise: 1 } }",
        "steps: 100, schedule: { step: { at: [0.5, 200] } }",
        "protocol: lp-ft, loss: huber",
    ];
    let told: Vec<String> = wrong
        .iter()
        .map(|recipe| format!("{recipe}\n{}", study(recipe).refusal().problems()))
        .collect();
    assert_snapshot!(told.join("\n\n"), @"
    protocol: bit
    error: `bit` is not a kind of `protocol`
      help: there is: `bit-hyperrule`, `vtab-1k`, `fastai`, `lp-ft`, `medmnist`, `kornblith`

    loss: mse
    error: `mse` is not a kind of `loss`
      help: there is: `cross_entropy`, `binary_cross_entropy`, `squared_error`, `huber`

    loss: { huber: { delta: 0 } }
    error: expected a number above 0, found `0`

    label_smoothing: 1
    error: expected a number from 0 up to but without 1, found `1`

    label_smoothing: 0.1, loss: squared_error
    error: `squared_error` has no probabilities that labels could be smoothed to
      help: leave `label_smoothing` out, or take a cross-entropy as `loss`

    mixup: 0
    error: expected a number above 0, found `0`

    l2_sp: { beta: 0.1 }
    error: `l2_sp` needs the key `alpha`
      help: `alpha` is a number from 0 up to but without 1

    micro_batch: 0
    error: expected a whole number of at least 1, found `0`

    unfreeze: slowly
    error: `slowly` is not a kind of `unfreeze`
      help: there is: `at_once`, `gradual`, `head_first`

    unfreeze: { gradual: { epochs: 0 } }
    error: expected a whole number of at least 1, found `0`

    decay_per_group: -1
    error: expected a number above 0, found `-1`

    decay_per_group: 2.6, lowest_lr: 0.01
    error: both `decay_per_group` and `lowest_lr` are given
      help: keep one of them

    head_init: probes
    error: `probes` is not a kind of `head_init`
      help: did you mean `probe`?

    head_init: probe, loss: huber
    error: a probe is fitted by `cross_entropy`, not by `huber`
      help: start the head at `zero` or `random`, or leave `loss` out

    lr: range
    error: expected a number above 0 or a list of them, or `range_test`, found `range`

    schedule: step
    error: `stairs` needs the key `at`
      help: `at` is a number of steps, or a decimal number between 0 and 1: their share, or a list

    schedule: { step: { at: [0.5, 1.5] } }
    error: expected a number of steps, or a decimal number between 0 and 1: their share, found `1.5`

    schedule: { one_cycle: { rise: 1 } }
    error: expected a decimal number between 0 and 1, found `1`

    steps: 100, schedule: { step: { at: [0.5, 200] } }
    error: the learning rate falls at step 200, but training takes 100 steps
      help: say where it falls as a share of all steps, such as 0.5

    protocol: lp-ft, loss: huber
    error: a probe is fitted by `cross_entropy`, not by `huber`
      help: start the head at `zero` or `random`, or leave `loss` out
    ");
}

#[test]
fn a_base_is_pretrained_from_random_weights() {
    let study = study("steps: 1");
    study.replace("      steps: 60\n", "      steps: 60\n      head_init: probe\n");
    assert_snapshot!(study.refusal().problems(), @"
    error: all of a network that is pretrained starts random
      help: leave `head_init` out
    ");
}
