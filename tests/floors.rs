//! The house stands: a room imports only rooms on lower floors, and a heavy dependency is named
//! only behind its door.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the ground up. Rooms on one floor do not know each other.
const FLOORS: [&[&str]; 10] = [
    &["base"],
    &["kernels"],
    &["store", "data", "onnx", "stats", "events"],
    &["probe", "autodiff"],
    &["train", "transferability", "curves"],
    &["stages"],
    &["pipeline"],
    &["tables"],
    &["console"],
    &["cli"],
];

/// Dependencies whose changes must not ripple through the house, and the files that may name them.
const DOORS: [(&str, &[&str]); 15] = [
    ("dagrs", &["src/pipeline/engine/dagrs_engine.rs"]),
    ("fearless_simd", &["src/kernels/lanes.rs", "src/kernels/wide.rs"]),
    ("indicatif", &["src/console/bars.rs"]),
    ("linfa", &["src/probe/digits.rs", "src/probe/oracles.rs", "src/probe/records.rs"]),
    ("linfa_logistic", &["src/probe/oracles.rs"]),
    ("linfa_svm", &["src/probe/oracles.rs"]),
    ("ndarray_linfa", &["src/probe/oracles.rs"]),
    ("ndarray_npy", &["src/data/formats/npz.rs"]),
    ("nvml_wrapper", &["src/pipeline/energy/gpu.rs"]),
    ("ort", &["src/onnx/operators.rs", "src/onnx/runtime.rs"]),
    ("ort_tract", &["src/onnx/runtime.rs"]),
    ("polars", &["src/tables/frame.rs"]),
    ("serde_yaml", &["src/pipeline/spec/yaml.rs"]),
    ("tract_onnx", &["src/onnx/proto.rs"]),
    ("zip", &["src/onnx/library.rs"]),
];

#[test]
fn a_room_imports_only_rooms_on_lower_floors() {
    let found: Vec<String> = sources().iter().flat_map(Source::climbs).collect();
    assert!(found.is_empty(), "imports must go down:\n{}\n", found.join("\n"));
}

#[test]
fn every_room_is_on_a_floor() {
    let rooms = read(&root().join("src/lib.rs")).modules();
    let on_floors: BTreeSet<String> = FLOORS.concat().into_iter().map(str::to_owned).collect();
    assert_eq!(rooms, on_floors, "left: rooms of src/lib.rs; right: rooms on a floor");
}

#[test]
fn a_dependency_is_named_behind_its_door() {
    let sources = sources();
    for (dependency, doors) in DOORS {
        let naming = sources.iter().filter(|source| source.names(dependency));
        let files: Vec<&str> = naming.map(|source| source.path.as_str()).collect();
        assert_eq!(files, doors, "left: files that name {dependency}; right: its door");
    }
}

#[test]
fn a_violation_is_told_with_file_and_rooms() {
    let climbs = |path, text| Source::new(path, text).climbs();
    assert_eq!(
        climbs("src/stages/job.rs", "use crate::{base::{Seed, Digest}, pipeline::{plan, spec}};"),
        ["src/stages/job.rs uses pipeline, which is above stages"]
    );
    assert_eq!(
        climbs("src/store/mod.rs", "fn dims() -> crate::onnx::tensor::Shape { vec![] }"),
        ["src/store/mod.rs uses onnx, which is on the floor of store"]
    );
    assert_eq!(
        climbs("src/train/trial.rs", "use crate::attic::Box;"),
        ["src/train/trial.rs uses attic, which is on no floor"]
    );
    assert_eq!(
        climbs("src/attic.rs", "use crate::base::Seed;"),
        ["src/attic.rs lies in attic, which is on no floor"]
    );
}

#[test]
fn a_path_that_climbs_out_of_its_room_is_followed() {
    let uses = |path, text| Source::new(path, text).uses();
    let cli = BTreeSet::from(["cli".to_owned()]);
    assert_eq!(uses("src/base/seed.rs", "use super::super::cli::run;"), cli);
    assert_eq!(uses("src/base/mod.rs", "use super::{cli};"), cli);
    assert_eq!(uses("src/base/seed.rs", "mod tests { use super::super::super::cli; }"), cli);
    let inside = "mod tests { use super::super::cli; } use super::cli; use super::*;";
    assert!(uses("src/base/seed.rs", inside).is_empty());
}

#[test]
fn comments_and_texts_import_nothing() {
    let text = r##"
        //! As crate::cli does it.
        /* crate::cli /* crate::cli */ crate::cli */
        pub(crate) fn say<'a>() -> &'a str { r#"crate::"cli"#; b'"'; '\''; '"'; "\"crate::cli" }
        use $crate::train::Budget;
    "##;
    assert_eq!(Source::new("src/base/seed.rs", text).uses(), BTreeSet::from(["train".to_owned()]));
}

#[test]
fn a_dependency_is_named_by_a_path_or_an_import() {
    let names = |text| Source::new("src/base/seed.rs", text).names("ort");
    assert!(names("use ort::Session;") && names("use ort as runtime;") && names("<ort::Error>"));
    assert!(!names("let ort = ort_tract::api(); crate::onnx::ort::load(); // ort::Session"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the library, ordered by path.
fn sources() -> Vec<Source> {
    let mut paths = vec![];
    collect(&root().join("src"), &mut paths);
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Source {
    let names = path.strip_prefix(root()).expect("sources lie in the repository").iter();
    let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
    Source::new(&names.join("/"), &fs::read_to_string(path).expect("a source is text"))
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// One file, without comments and texts.
struct Source {
    /// From the root of the repository, with slashes.
    path: String,
    tokens: Vec<String>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), tokens: tokens(text) }
    }

    /// The modules around its items, the room first; none for the root of the library.
    fn place(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').filter(|name| !["lib", "main", "mod"].contains(name)).collect()
    }

    /// What it imports that is not on a lower floor, in words.
    fn climbs(&self) -> Vec<String> {
        let (path, place) = (&self.path, self.place());
        let Some(room) = place.first() else { return vec![] };
        let Some(here) = floor(room) else {
            return vec![format!("{path} lies in {room}, which is on no floor")];
        };
        let others = self.uses().into_iter().filter(|used| used != room);
        others
            .filter_map(|used| match floor(&used) {
                Some(there) if there < here => None,
                Some(there) if there == here => {
                    Some(format!("{path} uses {used}, which is on the floor of {room}"))
                }
                Some(_) => Some(format!("{path} uses {used}, which is above {room}")),
                None => Some(format!("{path} uses {used}, which is on no floor")),
            })
            .collect()
    }

    /// The rooms it uses, its own among them if it calls that by name.
    fn uses(&self) -> BTreeSet<String> {
        let mut depth = self.place().len();
        let mut opens_module = vec![];
        let mut used = BTreeSet::new();
        for at in 0..self.tokens.len() {
            match self.token(at) {
                "{" => {
                    let is_module = at > 1 && self.token(at - 2) == "mod";
                    depth += usize::from(is_module);
                    opens_module.push(is_module);
                }
                "}" => depth -= usize::from(opens_module.pop() == Some(true)),
                "crate" if self.token(at + 1) == "::" => used.extend(self.heads(at + 2)),
                "super" if at < 2 || self.token(at - 2) != "super" => {
                    let climbed = (0..=depth).take_while(|up| self.climbs_at(at + 2 * up)).count();
                    if climbed == depth {
                        used.extend(self.heads(at + 2 * climbed));
                    }
                }
                _ => {}
            }
        }
        used
    }

    fn climbs_at(&self, at: usize) -> bool {
        self.token(at) == "super" && self.token(at + 1) == "::"
    }

    /// What a path goes on with: one name, or the first names of a group.
    fn heads(&self, at: usize) -> Vec<String> {
        if self.token(at) != "{" {
            return vec![self.token(at).to_owned()];
        }
        let mut heads = vec![];
        let mut nesting = 0;
        for at in at..self.tokens.len() {
            match self.token(at) {
                "{" => nesting += 1,
                "}" => nesting -= 1,
                name if nesting == 1 && name != "," && ["{", ","].contains(&self.token(at - 1)) => {
                    heads.push(name.to_owned());
                }
                _ => {}
            }
            if nesting == 0 {
                break;
            }
        }
        heads
    }

    /// The modules that lie in files of their own.
    fn modules(&self) -> BTreeSet<String> {
        let windows = self.tokens.windows(3);
        windows.filter(|w| w[0] == "mod" && w[2] == ";").map(|w| w[1].clone()).collect()
    }

    /// Whether it reaches into another crate.
    fn names(&self, dependency: &str) -> bool {
        (0..self.tokens.len()).filter(|&at| self.token(at) == dependency).any(|at| {
            let before = if at > 0 { self.token(at - 1) } else { "" };
            before == "use" || (before != "::" && self.token(at + 1) == "::")
        })
    }

    /// A token, empty beyond the end.
    fn token(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", String::as_str)
    }
}

/// How far above the ground a room lies.
fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Words and marks of a Rust file, `::` as one; comments, texts and letters are left out.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = vec![];
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|letter: char| !is_of_word(letter)).unwrap_or(rest.len());
        let skipped = comment(rest).or_else(|| raw_text(rest)).or_else(|| quoted(rest));
        let length = skipped.unwrap_or(match first {
            _ if word > 0 => word,
            ':' if rest.starts_with("::") => 2,
            mark => mark.len_utf8(),
        });
        if skipped.is_none() && !first.is_whitespace() {
            tokens.push(rest[..length].to_owned());
        }
        rest = &rest[length..];
    }
    tokens
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The length of a comment that begins here; those in `/* */` nest.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let (mut nesting, mut at) = (0, 0);
    while at < text.len() {
        let (step, deeper) = match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step;
        nesting += deeper;
        if nesting == 0 {
            break;
        }
    }
    Some(at)
}

/// The length of a text like `r#"…"#` that begins here.
fn raw_text(text: &str) -> Option<usize> {
    let fenced = ["r", "br", "cr"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let inner = fenced.trim_start_matches('#');
    let end = format!("\"{}", "#".repeat(fenced.len() - inner.len()));
    let inner = inner.strip_prefix('"')?;
    let after = inner.find(&end).map_or("", |at| &inner[at + end.len()..]);
    Some(text.len() - after.len())
}

/// The length of a text or a letter that begins here; `'a` is a lifetime.
fn quoted(text: &str) -> Option<usize> {
    let mark = text.chars().next().filter(|mark| ['"', '\''].contains(mark))?;
    let mut inside = text.char_indices().skip(1);
    if mark == '\'' {
        let (_, letter) = inside.next()?;
        let closes = text[1 + letter.len_utf8()..].starts_with('\'');
        if letter != '\\' {
            return closes.then_some(2 + letter.len_utf8());
        }
        inside.next();
    }
    while let Some((at, letter)) = inside.next() {
        match letter {
            '\\' => _ = inside.next(),
            _ if letter == mark => return Some(at + 1),
            _ => {}
        }
    }
    Some(text.len())
}
