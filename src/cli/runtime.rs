//! `runtime`: which ONNX Runtime computes and why; puts a library into the user's folder, where it
//! is found from then on. No library comes there that has not been tried.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::console;
use crate::onnx::library::{self, Candidate, Place, PlaceKind, RELEASE};
use crate::onnx::runtime::{self, EMBEDDED_VERSION};

use super::Exit;
use super::arguments::{Common, RuntimeAction};
use super::pip;

/// Runs the command.
pub(super) fn runtime(action: Option<&RuntimeAction>, common: &Common) -> anyhow::Result<Exit> {
    match action {
        None => Ok(tell(common)),
        Some(RuntimeAction::Install { force }) => install(*force, common),
        Some(RuntimeAction::Use { library }) if library == Path::new(EMBEDDED) => remove(common),
        Some(RuntimeAction::Use { library }) => take(library, common),
    }
}

/// What names the backend compiled in.
const EMBEDDED: &str = "embedded";

/// Tells which runtime serves and which places were looked at before.
fn tell(common: &Common) -> Exit {
    let places = library::places(common.runtime.as_deref());
    let serving = places.iter().find(|place| place.library.is_some());
    let serving = serving.filter(|place| place.library.as_deref() != Some(Path::new(EMBEDDED)));
    let tried =
        serving.and_then(|place| place.library.as_deref()).map(|path| (path, try_out(path)));
    match &tried {
        None => console::out(&format!("{EMBEDDED_VERSION} computes: it is part of tl-run")),
        Some((path, Ok(version))) => {
            console::out(&format!("{version} computes, from {}", path.display()));
        }
        Some((path, Err(_))) => console::out(&format!("{} is broken", path.display())),
    }
    console::out("\nlooked at, in this order:");
    for place in &places {
        console::out(&line(place, Some(place) == serving));
    }
    let embedded = if serving.is_none() { '▸' } else { ' ' };
    console::out(&format!("{embedded} {:<17} {EMBEDDED_VERSION}", "part of tl-run"));
    console::out(&format!(
        "\nto change it:\n  tl-run runtime install       fetches ONNX Runtime {RELEASE} into your \
         own folder\n  tl-run runtime use PATH      takes a library of yours; `use embedded` takes \
         it away\n  --runtime, ORT_DYLIB_PATH    choose for one command; `--runtime embedded` \
         chooses none"
    ));
    match tried {
        Some((path, Err(why))) => {
            console::err(&format!("error: {} cannot serve: {why}", path.display()));
            Exit::Wrong
        }
        _ => Exit::Good,
    }
}

fn line(place: &Place, serves: bool) -> String {
    let name = match place.kind {
        PlaceKind::Argument => "--runtime",
        PlaceKind::Variable => "ORT_DYLIB_PATH",
        PlaceKind::BesideProgram => "beside tl-run",
        PlaceKind::UserFolder => "your own folder",
    };
    let what = match (&place.library, &place.folder) {
        (Some(library), _) => library.display().to_string(),
        (None, Some(folder)) => format!("none in {}", folder.display()),
        (None, None) => "not given".to_owned(),
    };
    format!("{} {name:<17} {what}", if serves { '▸' } else { ' ' })
}

/// Loads a library in a process of its own and lets it compute; tells its version or what is wrong.
fn try_out(library: &Path) -> Result<String, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program).arg("try-library").arg(library).output();
    let output = output.map_err(|error| format!("it cannot be tried: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    let told = told.lines().find_map(|line| line.strip_prefix("error: ")).map(str::to_owned);
    Err(told.unwrap_or_else(|| format!("it makes the program crash ({})", output.status)))
}

/// The child: loads a library, lets it compute, and prints its version.
pub(super) fn child(library: &Path) -> anyhow::Result<Exit> {
    let runtime = match runtime::start(Some(library)) {
        Ok(runtime) => runtime,
        // Whoever asked knows which library it is.
        Err(runtime::RuntimeError::Library { cause, .. }) => anyhow::bail!("{cause}"),
        Err(error) => return Err(error.into()),
    };
    library::prove(runtime)?;
    console::out(runtime.version());
    Ok(Exit::Good)
}

fn folder() -> anyhow::Result<PathBuf> {
    library::user_folder().context("there is no folder for a library: set HOME or XDG_CACHE_HOME")
}

/// Fetches ONNX Runtime into the user's folder, unless a library is there that serves.
fn install(force: bool, common: &Common) -> anyhow::Result<Exit> {
    let folder = folder()?;
    if let Some(there) = library::library_in(&folder).filter(|_| !force) {
        match try_out(&there) {
            Ok(version) => {
                console::out(&format!("{version} is there already: {}", there.display()));
                console::out("nothing was done; --force fetches it again");
                warn_of_others(&there, common);
                return Ok(Exit::Good);
            }
            Err(why) => {
                console::err(&format!("note: {} is broken: {why}", there.display()));
            }
        }
    }
    let wheel = library::wheel_here().with_context(|| {
        let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
        format!(
            "there is no wheel of onnxruntime {RELEASE} for {system} on {processor}; take a \
             library of yours with `tl-run runtime use PATH`"
        )
    })?;
    let fetched = tempfile::tempdir().context("make a temporary folder")?;
    let wheel = pip::download(&wheel, fetched.path())?;
    let candidate = Candidate::unpacked(&wheel, &folder);
    let candidate = candidate.with_context(|| format!("unpack {}", wheel.display()))?;
    settle(candidate, &folder, common)
}

/// Takes a library of the user's into the user's folder.
fn take(path: &Path, common: &Common) -> anyhow::Result<Exit> {
    let folder = folder()?;
    let inside = path.is_dir().then(|| library::library_in(path));
    let path = match inside {
        Some(None) => anyhow::bail!("there is no ONNX Runtime library in {}", path.display()),
        Some(Some(found)) => found,
        None => path.to_owned(),
    };
    let candidate = Candidate::copied(&path, &folder);
    let candidate = candidate.with_context(|| format!("copy {}", path.display()))?;
    settle(candidate, &folder, common)
}

/// Tries a library and moves it into its place; a broken one leaves what was there.
fn settle(candidate: Candidate, folder: &Path, common: &Common) -> anyhow::Result<Exit> {
    let version = try_out(candidate.path())
        .map_err(|why| anyhow::anyhow!("the library cannot serve, and was not taken: {why}"))?;
    let bytes = std::fs::metadata(candidate.path()).context("look at the library")?.len();
    let path = candidate.settle(folder).with_context(|| format!("fill {}", folder.display()))?;
    let size = bytes as f64 / 1e6;
    console::out(&format!("{version} computes from now on: {} ({size:.1} MB)", path.display()));
    warn_of_others(&path, common);
    Ok(Exit::Good)
}

/// Takes the library out of the user's folder.
fn remove(common: &Common) -> anyhow::Result<Exit> {
    let folder = folder()?;
    let gone = library::remove_libraries(&folder, None);
    let gone = gone.with_context(|| format!("empty {}", folder.display()))?;
    for path in gone {
        console::out(&format!("removed {}", path.display()));
    }
    match library::find(common.runtime.as_deref()) {
        None => console::out(&format!("{EMBEDDED_VERSION} computes from now on")),
        Some(other) => console::err(&format!("note: {} still computes", other.display())),
    }
    Ok(Exit::Good)
}

/// Tells of a library that is found before this one.
fn warn_of_others(own: &Path, common: &Common) {
    match library::find(common.runtime.as_deref()) {
        Some(first) if first != own => console::err(&format!(
            "note: {} comes first and computes; see `tl-run runtime`",
            first.display()
        )),
        _ => {}
    }
}
