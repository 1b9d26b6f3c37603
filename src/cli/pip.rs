//! Fetching a wheel with whatever of Python's package tools the user has. tl-run itself never talks
//! to a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::Context as _;

use crate::base::atomic;
use crate::console;
use crate::onnx::library::{PYTHON, RELEASE, Wheel};

/// Ways to call pip, the first that works being taken.
const TOOLS: [&[&str]; 5] = [
    &["python3", "-m", "pip"],
    &["python", "-m", "pip"],
    &["pip3"],
    &["pip"],
    &["uv", "tool", "run", "--quiet", "pip"],
];

/// How somebody without pip gets the library.
pub(super) fn by_hand() -> String {
    format!(
        "with a browser: fetch a wheel of onnxruntime {RELEASE} from PyPI, unzip it, and say \
         `tl-run runtime use` with onnxruntime/capi/libonnxruntime.so.* (.dylib, .dll)"
    )
}

/// Fetches a wheel into a folder; nothing but the file whose digest is known is taken.
pub(super) fn download(wheel: &Wheel, folder: &Path) -> anyhow::Result<PathBuf> {
    let Some(tool) = TOOLS.iter().find(|tool| works(tool)) else {
        anyhow::bail!("neither pip nor uv is there to fetch onnxruntime\n  help: {}", by_hand());
    };
    let requirements = folder.join("requirements.txt");
    let pinned = format!("onnxruntime=={RELEASE} --hash=sha256:{}\n", wheel.sha256);
    atomic::write(&requirements, pinned.as_bytes()).context("write what pip is to fetch")?;
    console::err(&format!(
        "fetching onnxruntime {RELEASE} for {} by `{}`",
        wheel.platform,
        tool.join(" ")
    ));
    let output = command(tool)
        .args(["download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"])
        .args(["--require-hashes", "--only-binary=:all:", "--platform", wheel.platform])
        .args(["--python-version", PYTHON, "--implementation", "cp", "--dest"])
        .arg(folder)
        .arg("--requirement")
        .arg(&requirements)
        .output()
        .with_context(|| format!("start `{}`", tool.join(" ")))?;
    if !output.status.success() {
        anyhow::bail!(
            "`{}` could not fetch onnxruntime {RELEASE}:\n{}\n  help: {}",
            tool.join(" "),
            complaint(&output),
            by_hand()
        );
    }
    wheel_in(folder)
}

fn command(tool: &[&str]) -> Command {
    let mut command = Command::new(tool[0]);
    command.args(&tool[1..]).stdin(Stdio::null());
    command
}

fn works(tool: &[&str]) -> bool {
    command(tool).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// What pip said, without what it says of itself.
fn complaint(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr);
    let lines = told.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let lines: Vec<String> = lines.map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

fn wheel_in(folder: &Path) -> anyhow::Result<PathBuf> {
    let listed = fs::read_dir(folder).context("look at what pip fetched")?;
    let mut paths = listed.filter_map(Result::ok).map(|entry| entry.path());
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "whl");
    paths.find(is_wheel).context("pip said that all went well, but left no wheel")
}
