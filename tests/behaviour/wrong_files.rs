//! A wrong pipeline: every problem is told at once, with its place and a way out, by `check` and by
//! a run alike; no work is done.

use insta::assert_snapshot;

use crate::harness::{Study, repository};

/// A study that is right; tests make it wrong.
fn study() -> Study {
    Study::new(STUDY).with_digits(300)
}

const STUDY: &str = "\
name: study
seeds: 2
vars: { epochs: 2 }
datasets:
  digits:
    csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
    split: { train: 100, val: 50, test: 60 }
stages:
  source:
    pretrain:
      dataset: digits
      architecture: { plain_cnn: { channels: 4, dense: 8 } }
      input: { size: 8, channels: 1, scale: 16 }
      epochs: ${epochs}
  codes:
    extract: { model: source, dataset: digits, layers: dense1 }
  probe:
    linear_probe: { features: codes.dense1, c: 0.1 }
  scores:
    evaluate: { of: [source, probe] }
";

/// What is said of the study after a part of it was replaced.
fn refusal(from: &str, to: &str) -> String {
    let study = study();
    study.replace(from, to);
    study.refusal().to_string()
}

#[test]
fn a_right_file_is_told_as_such() {
    assert_snapshot!(study().check(), @"
    exit code 0
    --- standard output
    study.yaml: nothing is wrong · 4 stages, 2 seeds, 17 nodes
      digits: 300 items (0 31, 1 30, 2 29, 3 29, 4 29, 5 32, 6 29, 7 29, 8 31, 9 31); train 100, val 50, test 60
      source: 650 of 650 parameters learn
    ");
}

#[test]
fn an_unknown_key_is_told_with_the_key_that_was_meant() {
    assert_snapshot!(refusal("epochs: ${epochs}", "epcohs: 2"), @"
    exit code 2
    --- standard error
    error: `epcohs` is not a key of `pretrain`
         study.yaml:14:7
     14 |       epcohs: 2
        |       ^^^^^^
      help: did you mean `epochs`?

    1 problem
    ");
}

#[test]
fn an_unknown_key_at_the_top_is_told_with_the_key_that_was_meant() {
    assert_snapshot!(refusal("seeds: 2", "sedes: 2"), @"
    exit code 2
    --- standard error
    error: `sedes` is not a key of `document`
        study.yaml:2:1
     2 | sedes: 2
       | ^^^^^
      help: did you mean `seeds`?

    1 problem
    ");
}

#[test]
fn an_unknown_architecture_is_told_with_those_there_are() {
    assert_snapshot!(refusal("{ plain_cnn: { channels: 4, dense: 8 } }", "transformer"), @"
    exit code 2
    --- standard error
    error: `transformer` is not a kind of `architecture`
         study.yaml:12:21
     12 |       architecture: transformer
        |                     ^^^^^^^^^^^
      help: there is: `residual_cnn`, `plain_cnn`, `mlp`

    1 problem
    ");
}

#[test]
fn an_unknown_option_of_an_architecture_is_told_with_the_one_that_was_meant() {
    assert_snapshot!(refusal("channels: 4,", "chanels: 4,"), @"
    exit code 2
    --- standard error
    error: `chanels` is not a key of `plain_cnn`
         study.yaml:12:36
     12 |       architecture: { plain_cnn: { chanels: 4, dense: 8 } }
        |                                    ^^^^^^^
      help: did you mean `channels`?

    1 problem
    ");
}

#[test]
fn a_network_that_is_too_deep_for_its_input_is_told_with_what_is_left_of_it() {
    assert_snapshot!(refusal("channels: 4,", "channels: [4, 4, 4, 4],"), @"
    exit code 2
    --- standard error
    error: after 3 poolings 1×1 pixels are left of 8×8; use fewer `channels` or a larger `size`
         study.yaml:12:21
     12 |       architecture: { plain_cnn: { channels: [4, 4, 4, 4], dense: 8 } }
        |                     ^^

    1 problem
    ");
}

#[test]
fn a_reference_to_no_stage_is_told_with_the_stage_that_was_meant() {
    assert_snapshot!(refusal("of: [source, probe]", "of: [source, prob]"), @"
    exit code 2
    --- standard error
    error: no stage is called `prob`
         study.yaml:20:30
     20 |     evaluate: { of: [source, prob] }
        |                              ^^^^
      help: did you mean `probe`?

    1 problem
    ");
}

#[test]
fn a_reference_to_no_data_set_is_told_with_the_one_that_was_meant() {
    assert_snapshot!(refusal("dataset: digits\n", "dataset: digit\n"), @"
    exit code 2
    --- standard error
    error: no data set is called `digit`
         study.yaml:11:16
     11 |       dataset: digit
        |                ^^^^^
      help: did you mean `digits`?

    1 problem
    ");
}

#[test]
fn a_layer_that_is_not_there_is_told_with_those_that_are() {
    assert_snapshot!(refusal("layers: dense1", "layers: stem"), @"
    exit code 2
    --- standard error
    error: `source` has no layer `stem`
         study.yaml:16:56
     16 |     extract: { model: source, dataset: digits, layers: stem }
        |                                                        ^^^^
      help: there is: `block1`, `dense1`, `block1/conv`, `block1/relu`, `flatten`, `dense1/gemm`, `dense1/relu`, `logits`

    1 problem
    ");
}

#[test]
fn features_that_were_not_extracted_are_told_with_those_that_were() {
    assert_snapshot!(refusal("features: codes.dense1", "features: codes.block1"), @"
    exit code 2
    --- standard error
    error: `codes` does not extract `block1`
         study.yaml:18:31
     18 |     linear_probe: { features: codes.block1, c: 0.1 }
        |                               ^^^^^^^^^^^^
      help: there is: `codes.dense1`

    1 problem
    ");
}

#[test]
fn stages_that_need_each_other_are_told_with_their_round() {
    let round = "evaluate: { of: [source, probe] }\n    needs: [last]\n  \
                 last:\n    majority: { dataset: digits }\n    needs: [scores]\n";
    assert_snapshot!(refusal("evaluate: { of: [source, probe] }\n", round), @"
    exit code 2
    --- standard error
    error: the stages need each other: scores ← last ← scores
         study.yaml:21:13
     21 |     needs: [last]
        |             ^^^^
      help: take one of these references away

    1 problem
    ");
}

#[test]
fn a_value_of_another_type_is_told_with_what_is_expected() {
    assert_snapshot!(refusal("epochs: ${epochs}", "epochs: two"), @"
    exit code 2
    --- standard error
    error: expected a whole number of at least 1, found `two`
         study.yaml:14:15
     14 |       epochs: two
        |               ^^^

    1 problem
    ");
}

#[test]
fn a_batch_of_no_items_is_refused() {
    assert_snapshot!(refusal("epochs: ${epochs}", "batch: 0"), @"
    exit code 2
    --- standard error
    error: expected a whole number of at least 1, found `0`
         study.yaml:14:14
     14 |       batch: 0
        |              ^

    1 problem
    ");
}

#[test]
fn a_stage_of_an_unknown_kind_is_the_only_problem_of_its_file() {
    let study = study();
    study.write("study.yaml", b"name: study\nstages:\n  tuned:\n    finetune: { epochs: 3 }\n");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: `finetune` is no kind of stage
        study.yaml:4:5
     4 |     finetune: { epochs: 3 }
       |     ^^^^^^^^
      help: did you mean `fine_tune`?

    1 problem
    ");
}

#[test]
fn every_problem_of_a_file_is_told_at_once_in_its_order() {
    let study = study();
    study.replace("seeds: 2", "seeds: none");
    study.replace("train: 100,", "train: 1.5,");
    study.replace("channels: 4,", "chanels: 4,");
    study.replace("c: 0.1", "c: -1");
    study.replace("of: [source, probe]", "of: [source, prob], metrics: [acuracy]");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: expected a whole number of at least 1, found `none`
        study.yaml:2:8
     2 | seeds: none
       |        ^^^^

    error: expected a decimal number between 0 and 1, found `1.5`
        study.yaml:7:21
     7 |     split: { train: 1.5, val: 50, test: 60 }
       |                     ^^^

    error: `chanels` is not a key of `plain_cnn`
         study.yaml:12:36
     12 |       architecture: { plain_cnn: { chanels: 4, dense: 8 } }
        |                                    ^^^^^^^
      help: did you mean `channels`?

    error: expected a number above 0, found `-1`
         study.yaml:18:48
     18 |     linear_probe: { features: codes.dense1, c: -1 }
        |                                                ^^

    error: no stage is called `prob`
         study.yaml:20:30
     20 |     evaluate: { of: [source, prob], metrics: [acuracy] }
        |                              ^^^^
      help: did you mean `probe`?

    error: no metric is called `acuracy`
         study.yaml:20:47
     20 |     evaluate: { of: [source, prob], metrics: [acuracy] }
        |                                               ^^^^^^^
      help: did you mean `accuracy`?

    6 problems
    ");
}

#[test]
fn a_problem_of_a_data_set_is_not_told_again_where_it_is_used() {
    let study = study();
    study.replace("    split: { train: 100, val: 50, test: 60 }\n", "");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: the data set has no `split`
        study.yaml:6:5
     6 |     csv: { path: digits.csv, header: false, label: last, shape: [8, 8] }
       |     ^
      help: write `split: { train: 0.6, val: 0.2, test: 0.2 }`

    1 problem
    ");
}

#[test]
fn a_reference_to_several_stages_where_one_is_wanted_is_told_with_two_ways_out() {
    let study = study();
    study.replace("layers: dense1 }", "layers: dense1, spatial: \"${matrix.side}\" }");
    study.replace("  probe:\n", "    matrix: { side: [1, 2] }\n  probe:\n");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: `codes.dense1` names 2 stages, but one is wanted here
         study.yaml:19:31
     19 |     linear_probe: { features: codes.dense1, c: 0.1 }
        |                               ^^^^^^^^^^^^
      help: choose one, such as `codes[side=1]`, `codes[side=2]`
      help: or give this stage the same axis and write `codes[side=${matrix.side}]`

    1 problem
    ");
}

#[test]
fn a_model_and_a_stage_of_one_name_are_refused() {
    let study = study();
    study.replace("stages:\n", "models:\n  probe: { onnx: probe.onnx }\nstages:\n");
    study.refusal().says("`probe`");
}

/// With a verdict on the two stages.
fn with_verdict(baseline: &str, metric: &str) -> Study {
    let study = study();
    let transfer = format!("transfer: {{ of: scores, baseline: {baseline}, metric: {metric} }}");
    study.replace("[source, probe] }\n", &format!("[probe] }}\n  verdict:\n    {transfer}\n"));
    study
}

#[test]
fn a_baseline_that_is_not_scored_is_told_with_where_to_add_it() {
    assert_snapshot!(with_verdict("source", "accuracy").refusal(), @"
    exit code 2
    --- standard error
    error: `source` is not among the stages scored
         study.yaml:22:39
     22 |     transfer: { of: scores, baseline: source, metric: accuracy }
        |                                       ^^^^^^
      help: add it to `of` of `scores`

    1 problem
    ");
}

#[test]
fn a_verdict_on_a_metric_that_nobody_knows_is_told_with_those_there_are() {
    assert_snapshot!(with_verdict("probe", "macro_f2").refusal(), @"
    exit code 2
    --- standard error
    error: no metric is called `macro_f2`
         study.yaml:22:54
     22 |     transfer: { of: scores, baseline: probe, metric: macro_f2 }
        |                                                      ^^^^^^^^
      help: did you mean `macro_f1`?

    1 problem
    ");
}

#[test]
fn a_list_of_the_same_seed_twice_is_refused() {
    // A seed that counts twice would make a verdict surer than it is.
    let study = study();
    study.replace("seeds: 2", "seeds: [0, 1, 0]");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: the seed 0 is listed twice
        study.yaml:2:8
     2 | seeds: [0, 1, 0]
       |        ^
      help: a repetition with the same seed is the same one; list each seed once

    1 problem
    ");
}

#[test]
fn a_stage_that_is_scored_twice_is_refused() {
    let study = study();
    study.replace("of: [source, probe]", "of: [probe, source, probe]");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: `probe` is scored twice
         study.yaml:20:37
     20 |     evaluate: { of: [probe, source, probe] }
        |                                     ^^^^^
      help: name each stage once; a name without axes means all of them

    1 problem
    ");
}

#[test]
fn scoring_no_stage_is_refused() {
    let study = study();
    study.replace("of: [source, probe]", "of: []");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: `evaluate` scores no stage
         study.yaml:20:21
     20 |     evaluate: { of: [] }
        |                     ^
      help: list the stages whose predictions are scored

    1 problem
    ");
}

#[test]
fn broken_yaml_is_told_with_its_line() {
    assert_snapshot!(refusal("seeds: 2", "seeds: [2"), @"
    exit code 2
    --- standard error
    error: this is no YAML: did not find expected ',' or ']'
        study.yaml:3:5
     3 | vars: { epochs: 2 }
       |     ^

    1 problem
    ");
}

#[test]
fn a_tab_as_indentation_is_told_with_its_line() {
    assert_snapshot!(refusal("  digits:\n", "\tdigits:\n"), @"
    exit code 2
    --- standard error
    error: this is no YAML: found character that cannot start any token
        study.yaml:5:1
     5 |  digits:
       | ^

    1 problem
    ");
}

#[test]
fn a_name_given_twice_is_told_with_the_line_of_the_second() {
    let study = study();
    study.replace("  codes:\n", "  codes:\n    majority: { dataset: digits }\n  codes:\n");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: `codes` stands here a second time
         study.yaml:17:3
     17 |   codes:
        |   ^^^^^
      help: the first is in line 15; rename one of them

    1 problem
    ");
}

#[test]
fn an_empty_file_is_told_as_such() {
    let study = study();
    study.write("study.yaml", b"");
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: the file is empty
        study.yaml:1:1
     1 | 
       | ^

    1 problem
    ");
}

#[test]
fn a_file_that_is_not_there_is_told_as_such() {
    let study = study();
    std::fs::remove_file(study.path("study.yaml")).unwrap();
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: read study.yaml: No such file or directory (os error 2)

    1 problem
    ");
}

#[test]
fn a_var_that_is_not_declared_is_told_with_those_that_are() {
    assert_snapshot!(refusal("epochs: ${epochs}", "epochs: ${epcohs}"), @"
    exit code 2
    --- standard error
    error: nothing is called `${epcohs}`
         study.yaml:14:15
     14 |       epochs: ${epcohs}
        |               ^^^^^^^^^
      help: names stand under `vars`; `${matrix.AXIS}` in stages
      help: did you mean `epochs`?

    1 problem
    ");
}

#[test]
fn an_axis_that_is_never_used_is_told_with_how_to_use_it() {
    let unused = "c: 0.1 }\n    matrix: { size: [10, 20] }";
    assert_snapshot!(refusal("c: 0.1 }", unused), @"
    exit code 2
    --- standard error
    error: the axis `size` is never used
         study.yaml:19:15
     19 |     matrix: { size: [10, 20] }
        |               ^^^^
      help: write `${matrix.size}` where its values belong

    1 problem
    ");
}

#[test]
fn a_repaired_file_runs() {
    let study = study();
    study.replace("layers: dense1", "layers: stem");
    study.refusal();
    study.replace("layers: stem", "layers: dense1");
    study.run().succeeds();
}

#[test]
fn every_shipped_pipeline_is_right() {
    let mut files: Vec<_> = std::fs::read_dir(repository().join("pipelines"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let file = file.to_str().unwrap();
        let arguments = [&["check", file, "--runtime", "embedded"], &brought(file)[..]].concat();
        let told = study().told(&arguments);
        match missing(file) {
            None => drop(told.succeeds().says(&format!("{file}: nothing is wrong"))),
            Some(missing) => {
                assert_eq!(told.code, Some(2), "{told}");
                told.says(missing).says("help: ");
            }
        }
    }
}

/// Where real data and models lie that some pipelines are pointed at.
fn material(path: &str) -> Option<String> {
    let folder = std::env::var_os("TL_MATERIAL").map(std::path::PathBuf::from);
    folder
        .map(|folder| folder.join(path).display().to_string())
        .filter(|path| std::path::Path::new(path).exists())
}

/// What a person says on the command line.
fn brought(file: &str) -> Vec<&'static str> {
    let sets: &[(&str, &str)] = match file {
        file if file.ends_with("chest-xray.yaml") => {
            &[("images", "chest_xray_224"), ("model", "models/repacked/mobilenet_v1_0.25_224.onnx")]
        }
        file if file.ends_with("pneumonia.yaml") => {
            &[("archive", "pneumoniamnist/pneumoniamnist_reconstructed.npz")]
        }
        file if file.ends_with("pneumonia-sources.yaml") => &[
            ("archive", "pneumoniamnist/pneumoniamnist_reconstructed.npz"),
            ("fashion", "fashion_mnist"),
        ],
        file if file.ends_with("fashion-mnist.yaml") => {
            &[("fashion", "fashion_mnist"), ("mnist", "mnist")]
        }
        file if file.ends_with("mnist-usps.yaml") => {
            &[("mnist", "mnist"), ("usps", "usps/usps.npz")]
        }
        _ => &[],
    };
    let set = |(name, path): &(&str, &str)| {
        let path = material(path)?;
        Some(["--set", format!("{name}={path}").leak()])
    };
    sets.iter().filter_map(set).flatten().collect()
}

/// What of a pipeline's data is not there, if so: some are not shipped.
fn missing(file: &str) -> Option<&'static str> {
    let needs: (&str, bool) = match file {
        file if file.ends_with("chest-xray.yaml") => {
            ("data/chest_xray", material("chest_xray_224").is_some())
        }
        file if file.ends_with("pneumonia.yaml") => {
            ("data/pneumoniamnist.npz", material("pneumoniamnist").is_some())
        }
        file if file.ends_with("pneumonia-sources.yaml") => {
            ("data/pneumoniamnist.npz", material("pneumoniamnist").is_some())
        }
        file if file.ends_with("fashion-mnist.yaml") => {
            ("data/fashion_mnist", material("fashion_mnist").is_some())
        }
        file if file.ends_with("mnist-usps.yaml") => ("data/mnist", material("mnist").is_some()),
        // Its images are drawn by an example.
        file if file.ends_with("pretrain-radiographs.yaml") => {
            ("data/phantom-source", repository().join("data/phantom-source").is_dir())
        }
        _ => ("", true),
    };
    (!needs.1).then_some(needs.0)
}
