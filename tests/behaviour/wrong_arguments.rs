//! Wrong arguments: told in words, exit code 2.

use insta::assert_snapshot;

use crate::harness::{Study, Told};

fn study() -> Study {
    Study::new(
        "\
name: study
seeds: 1
vars: { size: 8, images: pets }
datasets:
  pets:
    image_folder: { path: \"${images}\" }
    split: { train: 0.6, val: 0.2, test: 0.2 }
stages:
  pixels:
    pixel_linear: { dataset: pets, size: \"${size}\", c: 0.1 }
  scores:
    evaluate: { of: [pixels], metrics: [accuracy] }
",
    )
    .with_pets()
}

fn told(arguments: &[&str]) -> Told {
    let told = study().told(arguments);
    assert_eq!(told.code, Some(2), "{told}");
    told
}

#[test]
fn a_var_that_the_file_does_not_have_is_told_with_those_it_has() {
    assert_snapshot!(told(&["check", "study.yaml", "--set", "sise=9"]), @"
    exit code 2
    --- standard error
    error: --set sise: the file has no such var
      help: did you mean `size`?

    1 problem
    ");
    assert_snapshot!(told(&["study.yaml", "--set", "sise=9"]), @"
    exit code 2
    --- standard error
    error: --set sise: the file has no such var
      help: did you mean `size`?

    1 problem
    ");
}

#[test]
fn a_var_of_the_wrong_type_is_told_where_it_is_used() {
    assert_snapshot!(told(&["check", "study.yaml", "--set", "size=large"]), @r#"
    exit code 2
    --- standard error
    error: expected a whole number of at least 1, found `large`
         study.yaml:10:42
     10 |     pixel_linear: { dataset: pets, size: "${size}", c: 0.1 }
        |                                          ^^^^^^^^^

    1 problem
    "#);
}

#[test]
fn a_set_without_a_value_is_told_with_how_to_write_it() {
    assert_snapshot!(told(&["check", "study.yaml", "--set", "size"]), @"
    exit code 2
    --- standard error
    error: invalid value 'size' for '--set <NAME=VALUE>': write NAME=VALUE

    For more information, try '--help'.
    ");
}

#[test]
fn a_path_of_the_command_line_is_told_as_it_was_written() {
    let told = told(&["check", "study.yaml", "--set", "images=else/where"]);
    told.says("else/where").says("study.yaml:6:");
}

#[test]
fn no_cores_and_no_seeds_are_refused() {
    assert_snapshot!(told(&["study.yaml", "--jobs", "0"]), @"
    exit code 2
    --- standard error
    error: invalid value '0' for '--jobs <N>': a whole number of at least 1 is wanted

    For more information, try '--help'.
    ");
    assert_snapshot!(told(&["study.yaml", "--seeds", "none"]), @"
    exit code 2
    --- standard error
    error: invalid value 'none' for '--seeds <N>': a whole number of at least 1 is wanted

    For more information, try '--help'.
    ");
}

#[test]
fn a_runtime_that_is_not_there_is_told() {
    assert_snapshot!(told(&["study.yaml", "--runtime", "lib/onnxruntime.so"]), @"
    exit code 2
    --- standard error
    error: load ONNX Runtime from lib/onnxruntime.so: there is no such file
    ");
}

#[test]
fn a_file_that_is_no_runtime_is_told() {
    // What the system says of it differs.
    told(&["study.yaml", "--runtime", "study.yaml"]).says("load ONNX Runtime from study.yaml");
}

#[test]
fn nothing_to_do_is_answered_with_what_could_be_done() {
    told(&[]).says("Usage: tl-run [OPTIONS] [FILE]").says("Commands:");
}

#[test]
fn options_may_stand_before_a_command() {
    let check = ["--jobs", "1", "--runtime", "embedded", "check", "study.yaml"];
    study().told(&check).succeeds().says("nothing is wrong");
}

#[test]
fn whoever_asks_for_the_embedded_backend_is_not_told_how_to_get_another() {
    study().run().succeeds().never_says("no ONNX Runtime library was found");
}

#[test]
fn results_that_cannot_be_written_are_told() {
    let study = study().with_file("results", b"a file where a folder should be");
    let told = study.run();
    assert!(matches!(told.code, Some(1 | 2)), "{told}");
    let causes = told.err.matches("(os error").count();
    assert_eq!(causes, 1, "the cause is told once, not as in\n{told}");
    told.says("results").says("error: ");
}

#[test]
fn without_colours_for_a_pipe() {
    let study = study();
    let told = study.told(&["study.yaml", "--runtime", "embedded", "-vv"]);
    told.succeeds().never_says("\u{1b}[");
}
