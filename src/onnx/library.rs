//! Where ONNX Runtime's library is looked for, and how one comes into the user's own folder.
//!
//! Whoever puts a library there tries it first, in a process of its own; this room only unpacks and
//! moves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::graph::{Graph, Node, Port};
use super::proto;
use super::runtime::{Runtime, RuntimeError, Tensor};

/// A place that is looked at for a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which one.
    pub kind: PlaceKind,
    /// The folder that was looked at; none where a path is named.
    pub folder: Option<PathBuf>,
    /// The library named or found there.
    pub library: Option<PathBuf>,
}

/// Places in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    /// Named on the command line.
    Argument,
    /// Named by `ORT_DYLIB_PATH`.
    Variable,
    /// The folder of the program.
    BesideProgram,
    /// The user's own folder.
    UserFolder,
}

/// Every place, in order, with the library named or found there.
pub fn places(named: Option<&Path>) -> Vec<Place> {
    let path = |kind, library| Place { kind, folder: None, library };
    let folder = |kind, folder: Option<PathBuf>| {
        let library = folder.as_deref().and_then(library_in);
        Place { kind, folder, library }
    };
    let program = std::env::current_exe().ok();
    vec![
        path(PlaceKind::Argument, named.map(Path::to_path_buf)),
        path(PlaceKind::Variable, variable("ORT_DYLIB_PATH")),
        folder(PlaceKind::BesideProgram, program.and_then(|p| Some(p.parent()?.to_owned()))),
        folder(PlaceKind::UserFolder, user_folder()),
    ]
}

/// The library that serves: that of the first place which has one.
pub fn find(named: Option<&Path>) -> Option<PathBuf> {
    places(named).into_iter().find_map(|place| place.library)
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The folder in which a user keeps a library for tl-run.
pub fn user_folder() -> Option<PathBuf> {
    let caches = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
    Some(caches.join("tl-run").join("runtime"))
}

/// The library that lies in a folder; the last by name of several.
pub fn library_in(folder: &Path) -> Option<PathBuf> {
    libraries_in(folder).ok()?.pop()
}

fn libraries_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(is_library) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file of this name is the library: `libonnxruntime.so.1.31.1`,
/// `libonnxruntime.1.31.1.dylib`, `onnxruntime.dll`.
fn is_library(name: &str) -> bool {
    name.starts_with("libonnxruntime.") || name == "onnxruntime.dll"
}

/// A release of ONNX Runtime for one platform, as the Python package index has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wheel {
    /// The platform in the words of wheels.
    pub platform: &'static str,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: &'static str,
}

/// The release that is fetched.
pub const RELEASE: &str = "1.31.1";

/// The Python that its wheels are for; the library inside is the same for all.
pub const PYTHON: &str = "3.13";

/// System, processor, wheel.
const WHEELS: [(&str, &str, Wheel); 5] = [
    (
        "linux",
        "x86_64",
        Wheel {
            platform: "manylinux_2_28_x86_64",
            sha256: "74a6a52994616c4d18b33db1e13c226333a70a6ba07480a5cab9c2a50dff1430",
        },
    ),
    (
        "linux",
        "aarch64",
        Wheel {
            platform: "manylinux_2_28_aarch64",
            sha256: "dcaedc50333876f3829ab966b242147f0e548229e29c36fe44622ecf748c25ee",
        },
    ),
    (
        "macos",
        "aarch64",
        Wheel {
            platform: "macosx_14_0_arm64",
            sha256: "e4ad067d36e2220218e085d7223283b2ee1bc73d887e811fd14d21cf901a11ee",
        },
    ),
    (
        "windows",
        "x86_64",
        Wheel {
            platform: "win_amd64",
            sha256: "0558f29d5f6ac09957390c9c5495931485ee8ae7f0ce781ccee86a0ae5c2348b",
        },
    ),
    (
        "windows",
        "aarch64",
        Wheel {
            platform: "win_arm64",
            sha256: "075147c2e2430b4b29c436bffa78537b902a6ed58ed66f99ae3c6795e2081cb5",
        },
    ),
];

/// The wheel for a system and a processor; none where the index has none.
pub fn wheel_for(system: &str, processor: &str) -> Option<Wheel> {
    let found = WHEELS.iter().find(|(os, arch, _)| (*os, *arch) == (system, processor));
    found.map(|(.., wheel)| *wheel)
}

/// The wheel for this machine.
pub fn wheel_here() -> Option<Wheel> {
    // Wheels of this system are linked against glibc.
    let fits = !cfg!(target_env = "musl");
    wheel_for(std::env::consts::OS, std::env::consts::ARCH).filter(|_| fits)
}

/// A library that is not in its place yet: a file beside that place, removed when dropped.
#[derive(Debug)]
pub struct Candidate {
    name: String,
    file: NamedTempFile,
}

impl Candidate {
    fn new(name: &str, folder: &Path, from: &mut impl io::Read) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        // Loaders of some systems look at how a name ends.
        let suffix = format!("-{name}");
        let mut file =
            tempfile::Builder::new().prefix(".new-").suffix(&suffix).tempfile_in(folder)?;
        io::copy(from, &mut file)?;
        Ok(Self { name: name.to_owned(), file })
    }

    /// Takes the library out of a wheel, into `folder`.
    pub fn unpacked(wheel: &Path, folder: &Path) -> io::Result<Self> {
        let mut archive = zip::ZipArchive::new(fs::File::open(wheel)?)?;
        let inside = |path: &&str| path.strip_prefix("onnxruntime/capi/").is_some_and(is_library);
        let path = archive.file_names().find(inside).map(str::to_owned);
        let missing = || io::Error::other("the wheel has no library in onnxruntime/capi");
        let path = path.ok_or_else(missing)?;
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        Self::new(&name, folder, &mut archive.by_name(&path)?)
    }

    /// Copies a library of the user's into `folder`.
    pub fn copied(library: &Path, folder: &Path) -> io::Result<Self> {
        let name = library.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = if is_library(name) { name } else { usual_name() };
        Self::new(name, folder, &mut fs::File::open(library)?)
    }

    /// Where it lies for now, to be tried.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Moves it into its place in one step, and removes every other library there.
    pub fn settle(self, folder: &Path) -> io::Result<PathBuf> {
        let path = folder.join(&self.name);
        crate::base::atomic::commit(self.file, &path)?;
        remove_libraries(folder, Some(&path))?;
        Ok(path)
    }
}

fn usual_name() -> &'static str {
    match std::env::consts::OS {
        "windows" => "onnxruntime.dll",
        "macos" => "libonnxruntime.dylib",
        _ => "libonnxruntime.so",
    }
}

/// Removes the libraries of a folder but `keep`; tells which they were.
pub fn remove_libraries(folder: &Path, keep: Option<&Path>) -> io::Result<Vec<PathBuf>> {
    let found = match libraries_in(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => vec![],
        found => found?,
    };
    let others: Vec<PathBuf> =
        found.into_iter().filter(|path| Some(path.as_path()) != keep).collect();
    others.iter().try_for_each(fs::remove_file)?;
    Ok(others)
}

/// A graph of one operator, x + x.
pub(super) fn smallest() -> Graph {
    Graph {
        name: "double".into(),
        opset: 18,
        inputs: vec![Port::batch_of_floats("x", &[2])],
        outputs: vec![Port::batch_of_floats("y", &[2])],
        nodes: vec![Node::new("double", "Add", &["x", "x"], "y")],
        ..Graph::default()
    }
}

/// Runs a graph of one operator: a runtime that can do this is whole.
pub fn prove(runtime: &Runtime) -> Result<(), RuntimeError> {
    let mut session = runtime.load(&proto::encode(&smallest()), 1)?;
    let outputs = session.run(&[&Tensor::f32(&[1, 2], vec![1.0, 2.5])?])?;
    match outputs.first().and_then(Tensor::floats) {
        Some([2.0, 5.0]) => Ok(()),
        other => Err(RuntimeError::Run {
            runtime: runtime.version().to_owned(),
            cause: format!("1 + 1 and 2.5 + 2.5 came out as {other:?}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn wheel_with(folder: &Path, name: &str) -> PathBuf {
        let path = folder.join("some.whl");
        let mut archive = zip::ZipWriter::new(io::Cursor::new(vec![]));
        let plain = zip::write::SimpleFileOptions::default();
        for name in ["onnxruntime/capi/libonnxruntime_providers_shared.so", name] {
            archive.start_file(name, plain).unwrap();
            archive.write_all(name.as_bytes()).unwrap();
        }
        crate::base::atomic::write(&path, archive.finish().unwrap().get_ref()).unwrap();
        path
    }

    fn listed(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_library_is_taken_out_of_a_wheel_and_takes_the_place_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("runtime");
        fs::create_dir_all(&place).unwrap();
        for old in ["libonnxruntime.so.1.9.0", "notes.txt"] {
            crate::base::atomic::write(&place.join(old), b"old").unwrap();
        }
        let name = "onnxruntime/capi/libonnxruntime.so.1.31.1";
        let wheel = wheel_with(folder.path(), name);
        let candidate = Candidate::unpacked(&wheel, &place).unwrap();
        // As long as it is not settled, it is not found.
        assert!(library_in(&place).unwrap().ends_with("libonnxruntime.so.1.9.0"));
        let path = candidate.settle(&place).unwrap();
        assert_eq!(fs::read(&path).unwrap(), name.as_bytes());
        assert_eq!(library_in(&place), Some(path));
        assert_eq!(listed(&place), ["libonnxruntime.so.1.31.1", "notes.txt"]);
    }

    #[test]
    fn a_candidate_that_is_given_up_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("ort.so");
        crate::base::atomic::write(&library, b"a library").unwrap();
        let place = folder.path().join("runtime");
        drop(Candidate::copied(&library, &place).unwrap());
        assert!(listed(&place).is_empty());
        // A name by which nobody would find it is replaced by the usual one.
        let path = Candidate::copied(&library, &place).unwrap().settle(&place).unwrap();
        assert_eq!(library_in(&place), Some(path));
    }

    #[test]
    fn a_wheel_without_a_library_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = wheel_with(folder.path(), "onnxruntime/capi/other.so");
        let error = Candidate::unpacked(&wheel, folder.path()).unwrap_err();
        assert_eq!(error.to_string(), "the wheel has no library in onnxruntime/capi");
    }

    #[test]
    fn platforms_without_a_wheel_are_known() {
        assert!(wheel_for("linux", "x86_64").is_some_and(|wheel| wheel.sha256.len() == 64));
        assert_eq!(wheel_for("macos", "x86_64"), None);
    }

    #[test]
    fn a_runtime_that_works_proves_it() {
        prove(super::super::runtime::runtime().unwrap()).unwrap();
    }
}
