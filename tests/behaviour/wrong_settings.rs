//! What a newcomer may write wrong of curves, advice, devices, surrogate tasks and growing studies:
//! each is told with its place and a way out.

use insta::assert_snapshot;

use crate::harness::Study;

const STUDY: &str = "\
name: study
seeds: 3
budget: { flash: 64 KiB }
datasets:
  known:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    select: { rows: 0..300, classes: 0..=4 }
    split: { train: 90, val: 30, test: 20 }
  fresh:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    select: { rows: 300..700, classes: 5..=9 }
    split: { train: 60, val: 30, test: 80 }
stages:
  source:
    pretrain:
      dataset: known
      architecture: { plain_cnn: { channels: 4, dense: 16 } }
      input: { size: 8, channels: 1, scale: 16 }
      steps: 40
      lr: 1e-2
  codes:
    extract: { model: source, dataset: fresh, layers: [block1, dense1] }
  noise:
    extract: { model: source, dataset: fresh, layers: [block1, dense1], init: random }
  before:
    transferability: { of: codes.dense1, random: noise.dense1, scores: [log_me] }
  advice:
    advise: { of: before, arms: [probe, tuned, scratch] }
  probe:
    linear_probe: { features: codes.dense1, c: 1 }
  as_is:
    direct: { model: source, dataset: fresh, map: learnt }
  tuned:
    fine_tune: { model: source, dataset: fresh, transfer_depth: block1, freeze: block1, steps: 20 }
  scratch:
    fine_tune: { model: source, init: random, dataset: fresh, steps: 20 }
  scores:
    evaluate: { of: [probe, tuned, scratch, as_is], metrics: [balanced_accuracy] }
  sweep:
    freeze_sweep: { of: scores, base: scratch, frozen: tuned }
";

/// What is said of the study after parts of it were replaced.
#[track_caller]
fn refused(parts: &[(&str, &str)]) -> String {
    let study = Study::new(STUDY).with_digits(700);
    for (from, to) in parts {
        study.replace(from, to);
    }
    study.refusal().problems()
}

#[test]
fn the_study_is_right_before_it_is_made_wrong() {
    Study::new(STUDY).with_digits(700).check().succeeds();
}

#[test]
fn arms_that_are_not_those_of_a_sweep_are_told() {
    assert_snapshot!(refused(&[("frozen: tuned", "frozen: probe")]), @"
    error: `probe` takes over no layers and trains none
      help: name a `fine_tune` stage with `transfer_depth`
    ");
    assert_snapshot!(refused(&[("base: scratch", "base: tuned")]), @"
    error: `tuned` is not trained from scratch
      help: name a `pretrain` stage, or a `fine_tune` stage with `init: random`
    ");
}

#[test]
fn advice_is_asked_for_in_the_words_of_budgets_and_never_of_nothing() {
    let study = Study::new(STUDY).with_digits(700);
    study.replace("scratch] }\n  probe", "scratch], budget: { macs: 1.5 M } }\n  probe");
    study.check().succeeds();
    assert_snapshot!(refused(&[("arms: [probe, tuned, scratch]", "arms: []")]), @"
    error: expected at least one value, found an empty list
      help: name one, or several
    ");
    let flash = ("[probe, tuned, scratch] }", "[probe], budget: { flash: 1 MiB } }");
    assert_snapshot!(refused(&[flash]), @"
    error: `flash` is not a key of `budget`
      help: there is: `macs`, `parameters`
    ");
    let belief = ("of: before,", "of: before, believed: simmilar,");
    assert_snapshot!(refused(&[belief]), @"
    error: `simmilar` is not a kind of `belief`
      help: did you mean `similar`?
    ");
}

#[test]
fn advice_on_what_it_waits_for_is_refused_at_the_arm() {
    let study = Study::new(STUDY).with_digits(700);
    study.replace("scratch] }\n  probe", "scratch] }\n    needs: [tuned]\n  probe");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: `advice` waits for `tuned`, on which it is to advise
         study.yaml:28:41
     28 |     advise: { of: before, arms: [probe, tuned, scratch] }
        |                                         ^^^^^
      help: leave that arm away, or what reads its model: advice stands before its arms are trained

    1 problem
    ");
}

#[test]
fn an_axis_with_a_value_twice_is_told_at_the_second() {
    let sizes = ("c: 1 }", "c: 1, train_size: \"${matrix.n}\" }\n    matrix: { n: [20, 40, 20] }");
    let told = refused(&[sizes]);
    assert_eq!(told, "error: `20` stands here a second time\n  help: an axis has each value once");
}

#[test]
fn a_map_of_classes_that_says_nothing_is_told() {
    assert_snapshot!(refused(&[("map: learnt", "map: by_name")]), @"
    error: no class of `source` is called like one of `fresh`
      help: say what they stand for, as in `map: { 0: 5 }`, or write `map: learnt`
    ");
    assert_snapshot!(refused(&[("map: learnt", "map: {}")]), @"
    error: expected `by_name`, `learnt`, or classes of the target by those of the source, found a map
      help: write them as in `map: { tabby: cat, siamese: cat }`
    ");
}

#[test]
fn a_surrogate_task_that_cannot_be_is_told_with_one_that_can() {
    let with = |objective: &str| {
        refused(&[(
            "      steps: 40\n",
            &format!("      objective: {objective}\n      steps: 40\n"),
        )])
    };
    assert_snapshot!(with("{ jigsaw: { grid: 9 } }"), @"
    error: 9×9 tiles: 2×2 and 3×3 can be shuffled
      help: write `grid: 2` or `grid: 3`
    ");
    assert_snapshot!(with("{ jigsaw: { permutations: 100 } }"), @"
    error: 4 tiles have 2 to 24 permutations to tell apart
      help: write `permutations: 12`
    ");
    assert_snapshot!(with("{ jigsaw: { permutations: 3 } }"), @"
    error: 4 views of an image cannot all differ in 3 permutations
      help: write `views: 3` or less
    ");
    assert_snapshot!(with("{ denoise: { size: 20 } }"), @"
    error: 8×8 pixels have no version of 20×20
      help: write `size: 8` or less
    ");
    assert_snapshot!(with("rotation\n      label_noise: 0.2"), @"
    error: an `objective` of its own reads no labels that could be wrong
      help: leave `label_noise` out, or leave `objective` out
    ");
}

#[test]
fn a_study_that_grows_without_an_end_is_told_how_to_write_one() {
    assert_snapshot!(refused(&[("seeds: 3", "seeds: until_decided")]), @"
    error: `until_decided` needs the key `most`
      help: write `seeds: { until_decided: { most: 20 } }`
    ");
}

#[test]
fn keys_are_told_by_the_name_that_stands_in_the_file() {
    let energy = ("seeds: 3", "seeds: 3\nenergy: { allow_estimates: true }");
    let input = ("scale: 16 }", "scal: 16 }");
    assert_snapshot!(refused(&[energy, input]), @"
    error: `allow_estimates` is not a key of `energy`
      help: did you mean `allow_estimate`?
    error: `scal` is not a key of `input`
      help: did you mean `scale`?
    ");
}

#[test]
fn a_data_set_or_a_feature_where_something_else_belongs_is_told_as_what_it_is() {
    let train_on =
        ("features: codes.dense1, c: 1", "features: codes.dense1, train_on: known, c: 1");
    assert_snapshot!(refused(&[train_on]), @"
    error: no stage is called `known`
      help: `known` is a data set; name a stage that makes something of it
    ");
    let adapted = "  renewed:\n    adapt_batch_norm: { model: codes, dataset: fresh }\n  before:";
    assert_snapshot!(refused(&[("  before:", adapted)]), @"
    error: `codes` makes no model
      help: name a model of the file, or a stage that trains or adapts one
    ");
}

#[test]
fn a_stage_where_a_data_set_belongs_is_told_as_what_it_is() {
    let of_stage = ("init: random, dataset: fresh", "init: random, dataset: codes");
    assert_snapshot!(refused(&[of_stage]), @"
    error: no data set is called `codes`
      help: `codes` is a stage; name a data set under `datasets`
    ");
}

#[test]
fn a_rate_of_nothing_is_no_way_to_freeze() {
    for (from, to) in [
        ("init: random, dataset", "init: random, lr: 0, dataset"),
        ("steps: 40\n", "steps: 40\n      lr: [0]\n"),
    ] {
        let told = match to.contains("[0]") {
            true => refused(&[("      lr: 1e-2\n", ""), (from, to)]),
            false => refused(&[(from, to)]),
        };
        assert_eq!(told, "error: expected a number above 0, found `0`");
    }
}

#[test]
fn a_key_without_a_value_is_never_taken_for_its_default() {
    for (from, to) in [
        ("steps: 40\n", "steps:\n"),
        ("metrics: [balanced_accuracy]", "metrics:"),
        ("{ flash: 64 KiB }", "{ flash: }"),
        ("split: { train: 60, val: 30, test: 80 }", "split: { train: , val: 30, test: 80 }"),
        ("map: learnt", "map: "),
        ("frozen: tuned }", "frozen: tuned, rope: }"),
        ("init: random, dataset", "init: , dataset"),
    ] {
        let told = refused(&[(from, to)]);
        assert!(told.contains("found nothing"), "{to}:\n{told}");
        assert!(told.contains("help: write a value, or leave the key out"), "{to}:\n{told}");
    }
    // Who writes `~` means it.
    let study = Study::new(STUDY).with_digits(700);
    study.replace("metrics: [balanced_accuracy]", "metrics: ~");
    study.check().succeeds();
}
