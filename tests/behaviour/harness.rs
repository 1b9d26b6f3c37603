//! A study in a folder of its own: a pipeline file, small data, and the program run on them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tl_run::base::atomic;

/// Who computes.
#[derive(Clone, Debug)]
pub(crate) enum Backend {
    /// What is compiled in.
    Embedded,
    /// ONNX Runtime's own library.
    Library(PathBuf),
}

impl Backend {
    /// ONNX Runtime's own library; where there is none, says that the test is skipped.
    pub(crate) fn library() -> Option<Self> {
        let path = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
        let path = path.filter(|path| path.is_file());
        if path.is_none() {
            skipped("ORT_DYLIB_PATH names no ONNX Runtime library");
        }
        path.map(Self::Library)
    }

    /// The embedded one, and the library where there is one.
    pub(crate) fn all() -> Vec<Self> {
        std::iter::once(Self::Embedded).chain(Self::library()).collect()
    }
}

/// The folder of real models and images; where there is none, says that the test is skipped.
pub(crate) fn material() -> Option<PathBuf> {
    let path = std::env::var_os("TL_MATERIAL").map(PathBuf::from).filter(|path| path.is_dir());
    if path.is_none() {
        skipped("TL_MATERIAL names no folder of real models and images");
    }
    path
}

#[expect(clippy::print_stderr, reason = "whoever runs tests should see what was not tested")]
pub(crate) fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("{test}: skipped, as {why}");
}

/// The repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with a pipeline file and whatever it reads; removed when dropped.
pub(crate) struct Study {
    folder: tempfile::TempDir,
}

/// What the pipeline file is called.
const FILE: &str = "study.yaml";

impl Study {
    /// A folder with this pipeline.
    pub(crate) fn new(pipeline: &str) -> Self {
        let folder = tempfile::tempdir().expect("the system gives temporary folders");
        Self { folder }.with_file(FILE, pipeline.as_bytes())
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// With a file.
    pub(crate) fn with_file(self, name: &str, bytes: &[u8]) -> Self {
        self.write(name, bytes);
        self
    }

    /// Writes a file, or writes it anew.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        atomic::write(&self.path(name), bytes).expect("a temporary folder can be written to");
    }

    /// With the first of scikit-learn's digits as `digits.csv`.
    pub(crate) fn with_digits(self, rows: usize) -> Self {
        let path = repository().join("data/digits.csv.gz");
        let file = std::fs::File::open(&path).expect("the digits are part of the repository");
        let mut text = String::new();
        flate2::read::GzDecoder::new(file)
            .read_to_string(&mut text)
            .expect("they are gzipped text");
        let lines: Vec<&str> = text.lines().take(rows).collect();
        self.with_file("digits.csv", format!("{}\n", lines.join("\n")).as_bytes())
    }

    /// With 60 images of 8×8 pixels in `pets/cat` (dark) and `pets/dog` (light), two of each animal.
    pub(crate) fn with_pets(self) -> Self {
        for number in 0..60 {
            self.draw_pet(number, 0);
        }
        self
    }

    /// Draws one of the pets; another `shade` is another image.
    pub(crate) fn draw_pet(&self, number: u32, shade: u32) {
        let (kind, level) = if number.is_multiple_of(2) { ("cat", 40) } else { ("dog", 130) };
        // Noise from a multiplicative hash, mixed twice so that no two images are alike.
        let noise = |x: u32, y: u32| {
            let once = (number * 64 + y * 8 + x + 1).wrapping_mul(2_654_435_761);
            (once ^ once >> 15).wrapping_mul(2_246_822_519) >> 25
        };
        let pixel = |x: u32, y: u32| image::Luma([(level + shade + noise(x, y) % 90) as u8]);
        let path = self.path(&pet(number));
        let folder = path.parent().expect("it lies in the folder of its kind");
        std::fs::create_dir_all(folder).expect("a temporary folder can be written to");
        image::GrayImage::from_fn(8, 8, pixel).save(&path).expect("PNG holds grey images");
        assert!(path.to_string_lossy().contains(kind));
    }

    /// The pipeline's text.
    pub(crate) fn pipeline(&self) -> String {
        std::fs::read_to_string(self.path(FILE)).expect("every study has a pipeline")
    }

    /// Replaces a part of the pipeline, which must be there.
    pub(crate) fn replace(&self, from: &str, to: &str) {
        let before = self.pipeline();
        assert!(before.contains(from), "`{from}` is no part of\n{before}");
        self.write(FILE, before.replace(from, to).as_bytes());
    }

    /// The program in this folder, with nothing of the outer world that it would listen to.
    pub(crate) fn bare_program(&self) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_tl-run"));
        program.current_dir(self.folder.path());
        for name in ["RUST_BACKTRACE", "RUST_LOG", "ORT_DYLIB_PATH", "NO_COLOR"] {
            program.env_remove(name);
        }
        // A library in the user's own cache would be found by itself.
        program.env("HOME", self.folder.path()).env("XDG_CACHE_HOME", self.folder.path());
        program
    }

    /// The program about to run the pipeline.
    pub(crate) fn runner(&self, backend: &Backend) -> Command {
        let mut program = self.bare_program();
        program.arg(FILE);
        match backend {
            Backend::Embedded => program.args(["--runtime", "embedded"]),
            Backend::Library(path) => program.env("ORT_DYLIB_PATH", path),
        };
        program
    }

    /// What the program says to these arguments.
    pub(crate) fn told(&self, arguments: &[&str]) -> Told {
        Told::of(self.bare_program().args(arguments).output().expect("the program starts"))
    }

    /// Checks the pipeline.
    pub(crate) fn check(&self) -> Told {
        self.told(&["check", FILE, "--runtime", "embedded"])
    }

    /// Runs the pipeline on the embedded backend.
    pub(crate) fn run(&self) -> Told {
        self.run_with(&Backend::Embedded, &[])
    }

    /// Runs the pipeline.
    pub(crate) fn run_with(&self, backend: &Backend, more: &[&str]) -> Told {
        Told::of(self.runner(backend).args(more).output().expect("the program starts"))
    }

    /// What `check` and a run say alike of a wrong pipeline, after which nothing is left to trust.
    pub(crate) fn refusal(&self) -> Told {
        let checked = self.check();
        let run = self.run();
        assert_eq!(checked.code, Some(2), "a wrong file ends with 2, not as in\n{checked}");
        assert_eq!(checked.to_string(), run.to_string(), "`check` and a run say the same");
        assert!(checked.out.is_empty(), "problems go to standard error, not as in\n{checked}");
        let results = std::fs::read_dir(self.path("results")).into_iter().flatten();
        let left: Vec<PathBuf> = results
            .map(|entry| entry.expect("results can be listed").path())
            .filter(|path| !path.ends_with(".store"))
            .collect();
        assert!(left.is_empty(), "a refused run leaves no results, but here are {left:?}");
        checked
    }

    /// The folder that `latest` points to.
    pub(crate) fn latest(&self) -> PathBuf {
        let link = self.path("results/study/latest");
        let name = std::fs::read_link(&link).expect("`latest` is a link");
        link.with_file_name(name)
    }
}

/// The path of one of the pets.
pub(crate) fn pet(number: u32) -> String {
    let kind = if number.is_multiple_of(2) { "cat" } else { "dog" };
    format!("pets/{kind}/animal{}_{number:02}.png", number % 30)
}

/// The bytes of a NumPy file of one row of floats.
pub(crate) fn npy(row: &[f32]) -> Vec<u8> {
    let shape = format!("(1, {})", row.len());
    let head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let length = (10 + head.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(length).expect("a short head").to_le_bytes());
    bytes.extend(format!("{head:<width$}\n", width = length - 1).into_bytes());
    bytes.extend(row.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// A file of results, as text.
pub(crate) fn text(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of a table of results, by column.
pub(crate) fn rows(folder: &Path, table: &str) -> Vec<BTreeMap<String, String>> {
    let text = text(folder, &format!("{table}.csv"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(|row| row.expect("tables are CSV")).collect()
}

/// Files below a folder, in order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be listed").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// How a run ended and what it said.
pub(crate) struct Told {
    /// The exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Told {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it speaks UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Asserts that all is done.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// Asserts that a stage failed.
    #[track_caller]
    pub(crate) fn fails(self) -> Self {
        assert_eq!(self.code, Some(1), "{self}");
        self
    }

    /// Asserts that it says this.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(format!("{}{}", self.out, self.err).contains(words), "no `{words}` in\n{self}");
        self
    }

    /// Asserts that it does not say this.
    #[track_caller]
    pub(crate) fn never_says(self, words: &str) -> Self {
        assert!(!format!("{}{}", self.out, self.err).contains(words), "`{words}` in\n{self}");
        self
    }

    /// What is wrong and the ways out, without places.
    pub(crate) fn problems(&self) -> String {
        let told = self
            .err
            .lines()
            .filter(|line| line.starts_with("error: ") || line.starts_with("  help: "));
        told.collect::<Vec<_>>().join("\n")
    }

    /// What a check says of data sets and models, and its notes.
    #[track_caller]
    pub(crate) fn facts(self) -> String {
        let told = self.succeeds();
        let facts = told.out.lines().filter(|line| line.starts_with("  "));
        let notes = told
            .err
            .lines()
            .filter(|line| line.starts_with("note: ") && !line.contains("no ONNX Runtime library"));
        facts.chain(notes).collect::<Vec<_>>().join("\n")
    }

    /// The folder of the run.
    #[track_caller]
    pub(crate) fn folder(&self, study: &Study) -> PathBuf {
        let line = self.out.lines().find_map(|line| line.strip_prefix("tables in "));
        study.path(line.unwrap_or_else(|| panic!("no folder is named in\n{self}")))
    }

    /// How many nodes worked, and how many results were there already.
    #[track_caller]
    pub(crate) fn done_and_hits(&self) -> (usize, usize) {
        let pattern =
            regex::Regex::new(r"(\d+) done, (\d+) were there already").expect("a pattern");
        let found = pattern.captures(&self.err);
        let found = found.unwrap_or_else(|| panic!("nothing is counted in\n{self}"));
        let number = |group: usize| found[group].parse().expect("digits are a number");
        (number(1), number(2))
    }

    /// Labels of the nodes that worked.
    pub(crate) fn worked(&self) -> Vec<String> {
        let pattern = regex::Regex::new(r"(?m)^\[\d+/\d+\] (.*) · \d+\.\d s$").expect("a pattern");
        let mut labels: Vec<String> =
            pattern.captures_iter(&self.err).map(|found| found[1].to_owned()).collect();
        labels.sort();
        labels
    }
}

/// Everything it said: what differs from run to run is masked, lines of nodes are sorted, as several
/// work at a time.
impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => writeln!(f, "exit code {code}")?,
            None => writeln!(f, "ended by a signal")?,
        }
        if !self.out.is_empty() {
            writeln!(f, "--- standard output\n{}", masked(self.out.trim_end()))?;
        }
        if !self.err.is_empty() {
            writeln!(f, "--- standard error\n{}", sorted(&masked(self.err.trim_end())))?;
        }
        Ok(())
    }
}

/// Run ids, times and counters replaced.
fn masked(text: &str) -> String {
    let masks = [
        (r"\d{8}-\d{6}-\d{6}-[0-9a-f]{4}", "RUN"),
        (r"\d+\.\d s\b", "TIME"),
        (r"(?m)^\[\d+/(\d+)\]", "[·/$1]"),
        (r"tract [0-9.]+ \(ort-tract [0-9.]+\)|onnxruntime [0-9.]+", "RUNTIME"),
        // Whether this note belongs there is a test of its own.
        (r"(?m)^note: no ONNX Runtime library.*\n", ""),
    ];
    masks.iter().fold(text.to_owned(), |text, (pattern, mask)| {
        regex::Regex::new(pattern).expect("a pattern").replace_all(&text, *mask).into_owned()
    })
}

/// Lines of nodes, each with its help, in the order of the alphabet; the others where they stand.
fn sorted(text: &str) -> String {
    let mut pieces: Vec<String> = Vec::new();
    for line in text.lines() {
        match pieces.last_mut() {
            Some(piece) if line.starts_with("  help: ") => *piece = format!("{piece}\n{line}"),
            _ => pieces.push(line.to_owned()),
        }
    }
    let is_of_a_node = |piece: &String| piece.starts_with('[') || piece.starts_with("warning: ");
    let mut of_nodes: Vec<String> = pieces.iter().filter(|p| is_of_a_node(p)).cloned().collect();
    of_nodes.sort();
    let mut of_nodes = of_nodes.into_iter();
    let in_place = |piece: String| match is_of_a_node(&piece) {
        true => of_nodes.next().unwrap_or_default(),
        false => piece,
    };
    pieces.into_iter().map(in_place).collect::<Vec<_>>().join("\n")
}

/// Scores replaced: numbers of a network differ between processors.
pub(crate) fn masked_scores(text: &str) -> String {
    let score = regex::Regex::new(r"\d+\.\d{3}\b").expect("a pattern");
    score.replace_all(text, "#.###").into_owned()
}
