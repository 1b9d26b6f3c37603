//! `runtime`: which ONNX Runtime computes and why, and how another comes into its place.

use std::path::{Path, PathBuf};
use std::process::Command;

use insta::assert_snapshot;
use tl_run::onnx::library::{RELEASE, wheel_here};

use crate::harness::{Backend, Study, Told, skipped};

fn study() -> Study {
    Study::new("name: study\n")
}

/// The folder in which the program of a study keeps a library.
fn own_folder(study: &Study) -> PathBuf {
    study.path("tl-run/runtime")
}

/// What lies in the study's own folder for libraries.
fn kept(study: &Study) -> Vec<String> {
    let listed = std::fs::read_dir(own_folder(study)).into_iter().flatten();
    listed.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// With the names of folders and the sizes of libraries replaced.
fn plain(told: &Told, study: &Study) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_tl-run")).parent().unwrap();
    let text = told.to_string();
    let text = text.replace(study.path("").to_str().unwrap().trim_end_matches('/'), "STUDY");
    let text = text.replace(program.to_str().unwrap(), "PROGRAM");
    let text = regex::Regex::new(r"libonnxruntime\S*").unwrap().replace_all(&text, "LIBRARY");
    let text = text.replace(wheel_here().map_or("PLATFORM", |wheel| wheel.platform), "PLATFORM");
    let text = regex::Regex::new(r"\(\d+\.\d MB\)").unwrap().replace_all(&text, "(SIZE)");
    text.into_owned()
}

fn runtime(study: &Study, arguments: &[&str]) -> Told {
    study.told(&[&["runtime"], arguments].concat())
}

#[test]
fn every_place_that_is_looked_at_is_told() {
    let study = study();
    let told = runtime(&study, &[]).succeeds();
    assert_snapshot!(plain(&told, &study), @"
    exit code 0
    --- standard output
    RUNTIME computes: it is part of tl-run

    looked at, in this order:
      --runtime         not given
      ORT_DYLIB_PATH    not given
      beside tl-run     none in PROGRAM
      your own folder   none in STUDY/tl-run/runtime
    ▸ part of tl-run    RUNTIME

    to change it:
      tl-run runtime install       fetches ONNX Runtime 1.31.1 into your own folder
      tl-run runtime use PATH      takes a library of yours; `use embedded` takes it away
      --runtime, ORT_DYLIB_PATH    choose for one command; `--runtime embedded` chooses none
    ");
}

#[test]
fn a_library_that_is_named_and_broken_is_told_with_its_place() {
    let study = study().with_file("broken.so", b"no library");
    let program =
        study.bare_program().env("ORT_DYLIB_PATH", study.path("broken.so")).arg("runtime").output();
    let told = Told::of(program.unwrap());
    assert_eq!(told.code, Some(2));
    told.says("  --runtime         not given")
        .says(&format!("▸ ORT_DYLIB_PATH    {}", study.path("broken.so").display()))
        .says("broken.so cannot serve: ");
}

#[test]
fn a_library_of_ones_own_computes_until_it_is_taken_away() {
    let Some(Backend::Library(library)) = Backend::library() else { return };
    let study = study();
    let taken = runtime(&study, &["use", library.to_str().unwrap()]).succeeds();
    assert_snapshot!(plain(&taken, &study), @"
    exit code 0
    --- standard output
    RUNTIME computes from now on: STUDY/tl-run/runtime/LIBRARY (SIZE)
    ");
    assert_eq!(kept(&study).len(), 1);
    let told = runtime(&study, &[]).succeeds();
    assert_snapshot!(plain(&told, &study), @"
    exit code 0
    --- standard output
    RUNTIME computes, from STUDY/tl-run/runtime/LIBRARY

    looked at, in this order:
      --runtime         not given
      ORT_DYLIB_PATH    not given
      beside tl-run     none in PROGRAM
    ▸ your own folder   STUDY/tl-run/runtime/LIBRARY
      part of tl-run    RUNTIME

    to change it:
      tl-run runtime install       fetches ONNX Runtime 1.31.1 into your own folder
      tl-run runtime use PATH      takes a library of yours; `use embedded` takes it away
      --runtime, ORT_DYLIB_PATH    choose for one command; `--runtime embedded` chooses none
    ");
    // There is nothing to install any more.
    let again = runtime(&study, &["install"]).succeeds();
    assert_snapshot!(plain(&again, &study), @"
    exit code 0
    --- standard output
    RUNTIME is there already: STUDY/tl-run/runtime/LIBRARY
    nothing was done; --force fetches it again
    ");
    // A folder that holds a library names it as well; one that is broken takes no place.
    runtime(&study, &["use", library.parent().unwrap().to_str().unwrap()]).succeeds();
    study.write("libonnxruntime.so.9", b"no library");
    let refused = runtime(&study, &["use", "libonnxruntime.so.9"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    refused.says("the library cannot serve, and was not taken: ");
    assert_eq!(kept(&study), [library.file_name().unwrap().to_str().unwrap()]);
    let removed = runtime(&study, &["use", "embedded"]).succeeds();
    assert_snapshot!(plain(&removed, &study), @"
    exit code 0
    --- standard output
    removed STUDY/tl-run/runtime/LIBRARY
    RUNTIME computes from now on
    ");
    assert!(kept(&study).is_empty());
}

#[test]
fn a_broken_library_never_comes_into_place() {
    let study = study().with_file("libonnxruntime.so", b"no library");
    let told = runtime(&study, &["use", "libonnxruntime.so"]);
    assert_eq!(told.code, Some(2), "{told}");
    told.says("error: the library cannot serve, and was not taken: ");
    let told = runtime(&study, &["use", "missing.so"]);
    assert_eq!(told.code, Some(2), "{told}");
    told.says("error: copy missing.so: ");
    assert!(kept(&study).is_empty());
}

#[test]
fn without_pip_the_way_by_hand_is_told() {
    if wheel_here().is_none() {
        return skipped("there is no wheel for this machine");
    }
    let study = study();
    let output =
        study.bare_program().env("PATH", study.path("")).args(["runtime", "install"]).output();
    let told = Told::of(output.unwrap());
    assert_snapshot!(told, @"
    exit code 2
    --- standard error
    error: neither pip nor uv is there to fetch onnxruntime
      help: with a browser: fetch a wheel of RUNTIME from PyPI, unzip it, and say `tl-run runtime use` with onnxruntime/capi/libonnxruntime.so.* (.dylib, .dll)
    ");
    assert!(kept(&study).is_empty());
}

/// Installs from a folder of wheels alone; nothing if this machine cannot.
fn install_from(study: &Study, wheels: &Path) -> Option<Told> {
    let pip = Command::new("python3").args(["-m", "pip", "--version"]).output();
    if wheel_here().is_none() || !pip.is_ok_and(|output| output.status.success()) {
        skipped("there is no pip, or no wheel for this machine");
        return None;
    }
    let mut program = study.bare_program();
    program.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", wheels);
    Some(Told::of(program.args(["runtime", "install"]).output().unwrap()))
}

fn wheel_name() -> String {
    let platform = wheel_here().map_or("any", |wheel| wheel.platform);
    format!("onnxruntime-{RELEASE}-cp313-cp313-{platform}.whl")
}

#[test]
fn a_wheel_with_another_digest_is_not_taken() {
    let study = study().with_file(&format!("wheels/{}", wheel_name()), b"something else");
    let Some(told) = install_from(&study, &study.path("wheels")) else { return };
    assert_eq!(told.code, Some(2), "{told}");
    let told = told.says(&format!("could not fetch onnxruntime {RELEASE}"));
    let expected = wheel_here().unwrap().sha256;
    told.says(expected).says("  help: with a browser: ");
    assert!(kept(&study).is_empty());
}

#[test]
fn a_wheel_that_is_not_to_be_had_is_told_in_pips_words() {
    let study = study().with_file("wheels/none.txt", b"");
    let Some(told) = install_from(&study, &study.path("wheels")) else { return };
    assert_eq!(told.code, Some(2), "{told}");
    told.says("No matching distribution found for onnxruntime");
    assert!(kept(&study).is_empty());
}

#[test]
fn the_wheel_is_fetched_checked_and_computes() {
    let wheels = std::env::var_os("PIP_FIND_LINKS").map(PathBuf::from);
    let Some(wheels) = wheels.filter(|folder| folder.join(wheel_name()).is_file()) else {
        return skipped("PIP_FIND_LINKS names no folder with the wheel of ONNX Runtime");
    };
    let study = study();
    let Some(told) = install_from(&study, &wheels) else { return };
    let told = told.succeeds();
    assert_snapshot!(plain(&told, &study), @"
    exit code 0
    --- standard output
    RUNTIME computes from now on: STUDY/tl-run/runtime/LIBRARY (SIZE)
    --- standard error
    fetching RUNTIME for PLATFORM by `python3 -m pip`
    ");
    assert_eq!(kept(&study).len(), 1);
    runtime(&study, &[]).succeeds().says("▸ your own folder");
}

const PROBED: &str = "\
name: study
device: cuda
seeds: 1
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
      epochs: 1
  scores:
    evaluate: { of: [source] }
";

#[test]
fn cuda_without_a_library_that_has_it_is_told_where_it_was_asked_for() {
    let study = Study::new(PROBED).with_digits(300);
    assert_snapshot!(study.refusal(), @"
    exit code 2
    --- standard error
    error: the embedded backend computes on the processor alone
        study.yaml:2:9
     2 | device: cuda
       |         ^^^^
      help: name a library that has CUDA by `--runtime PATH` (the Python package onnxruntime-gpu holds one), or write `device: cpu`

    1 problem
    ");
}

/// Where a GPU and a library for it are at hand, the same graphs run there and tell much the same.
#[test]
fn a_study_runs_on_a_gpu_where_there_is_one() {
    let Some(library) = std::env::var_os("TL_CUDA_LIBRARY") else {
        println!("skipped: TL_CUDA_LIBRARY names no ONNX Runtime library for CUDA");
        return;
    };
    let study = Study::new(PROBED).with_digits(300);
    let told = study.run_with(&Backend::Library(library.into()), &[]);
    assert_eq!(told.code, Some(0), "{told}");
}
