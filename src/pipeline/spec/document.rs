//! A pipeline file as it is written: names, and what stands under them. Nothing is resolved yet.

use serde_json::{Value as Json, json};

use crate::base::language::{FilePath, Read, Word, keys, unexpected};
use crate::base::{Entry, Found, Located, Place, Problem, Value, Written};
use crate::data::{Format, OnBad, OnLeak, Reads, Select, SplitRule, format_words};
use crate::onnx::budget::Budget;
use crate::onnx::runtime::Device;
use crate::stages::{KIND_WORDS, Name, Reference, any_kind};

use super::energy::EnergySpec;
use super::seeds::Seeds;

keys! {
    /// One experiment. Everything is named; the order of names means nothing.
    pub struct Document {
        /// What the experiment is called; its results lie in a folder of that name.
        name: Located<Name>,
        /// Paired repetitions: how many, a list of numbers, or as many as the verdicts need.
        seeds: Seeds = Seeds::counted(5),
        /// What a small device has: arms that need more are marked.
        budget: Option<Budget> = None,
        /// What computes.
        device: Located<Device> = Located::new(Device::Cpu, Place::default()),
        /// What is told of energy beside what the machine counts.
        energy: Option<EnergySpec> = None,
        /// Values that `${name}` stands for; `--set name=value` replaces them.
        vars: Vars = Vars(vec![]),
        /// Data sets by name.
        datasets: Table<DatasetSpec> = Table::default(),
        /// Base models by name.
        models: Table<ModelSpec> = Table::default(),
        /// Stages by name.
        stages: Table<StageSpec>,
    }
}

/// Values by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Vars(pub Vec<(Located<String>, Written)>);

impl serde::Serialize for Vars {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (&name.value, value.scalar())))
    }
}

impl Read for Vars {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        let Some(entries) = written.entries() else {
            found.add(unexpected(written, "names with values"));
            return None;
        };
        let flat = |entry: &Entry| {
            let is_flat = match &entry.value.value {
                Value::Map(_) => false,
                Value::List(items) => items.iter().all(|item| item.scalar().is_some()),
                _ => true,
            };
            if !is_flat {
                found.add(unexpected(&entry.value, "a single value or a list of them"));
            }
            is_flat.then(|| (entry.key.clone(), entry.value.clone()))
        };
        let read: Vec<Option<_>> = entries.iter().map(flat).collect();
        read.into_iter().collect::<Option<_>>().map(Self)
    }

    fn schema() -> Json {
        json!({ "title": "names with values", "type": "object" })
    }
}

/// Things by name, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Table<T> {
    /// What could be read.
    pub entries: Vec<(Located<Name>, T)>,
    /// Names of what is there but wrong: that has been told, and need not be told where it is used.
    pub broken: Vec<String>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { entries: vec![], broken: vec![] }
    }
}

impl<T> serde::Serialize for Table<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.entries.iter().map(|(name, _)| (&name.value.0, ())))
    }
}

impl<T: Read> Read for Table<T> {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        let Some(entries) = written.entries() else {
            found.add(unexpected(written, "names"));
            return None;
        };
        let mut table = Self::default();
        for entry in entries {
            let name = Name::new(&entry.key);
            if name.is_none() {
                let message = format!("`{}` is no name", *entry.key);
                let help = "names are made of small letters, digits and `_`";
                found.add(Problem::at(entry.key.place, message).help(help));
            }
            let value = T::read(&entry.value, found);
            match (name, value) {
                (Some(name), Some(value)) => {
                    table.entries.push((Located::new(name, entry.key.place), value));
                }
                _ => table.broken.push(entry.key.value.clone()),
            }
        }
        // What could be read is worth checking even if something else could not.
        Some(table)
    }

    fn schema() -> Json {
        json!({
            "title": "names, each with its keys",
            "type": "object",
            "propertyNames": { "pattern": "^[a-z0-9_]+$" },
            "additionalProperties": T::schema(),
        })
    }
}

/// A data set: a format, and what is taken of it.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetSpec {
    /// What it is read from.
    pub format: Located<Format>,
    /// Who is trained on, who chooses, who is tested.
    pub split: Located<SplitRule>,
    /// The part that is taken.
    pub select: Option<Located<Select>>,
    /// What happens to items that cannot be read.
    pub on_bad: OnBad,
    /// What happens where items that are learnt from are copies of test items.
    pub on_leak: Located<OnLeak>,
    /// What kind of things its items are, in a word of one's own.
    pub domain: Option<Word>,
    /// What is told of them, in a word of one's own.
    pub task: Option<Word>,
}

impl Read for DatasetSpec {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        let beside = ["split", "select", "on_bad", "on_leak", "domain", "task"];
        let (format, siblings) =
            verb_and_siblings(written, "a data set", format_words(), &beside, found)?;
        let format = Located::<Format>::read(&format, found);
        let split = match siblings.get("split") {
            Some(split) => Located::<SplitRule>::read(split, found),
            None => {
                let problem = Problem::at(written.place, "the data set has no `split`");
                found.add(problem.help("write `split: { train: 0.6, val: 0.2, test: 0.2 }`"));
                None
            }
        };
        let select = siblings.get("select").map(|s| Located::<Select>::read(s, found));
        let select = match select {
            None => Some(None),
            Some(read) => read.map(Some),
        };
        let on_bad = siblings.get("on_bad").map_or(Some(OnBad::Fail), |o| OnBad::read(o, found));
        let on_leak = match siblings.get("on_leak") {
            None => Some(Located::new(OnLeak::Warn, written.place)),
            Some(on_leak) => Located::<OnLeak>::read(on_leak, found),
        };
        let mut word = |key: &str| match siblings.get(key) {
            None => Some(None),
            Some(written) => Word::read(written, found).map(Some),
        };
        let (domain, task) = (word("domain"), word("task"));
        Some(Self {
            format: format?,
            split: split?,
            select: select?,
            on_bad: on_bad?,
            on_leak: on_leak?,
            domain: domain?,
            task: task?,
        })
    }

    fn schema() -> Json {
        json!({
            "title": "a data set",
            "allOf": [
                Format::schema(),
                { "type": "object", "properties": {
                    "split": SplitRule::schema(),
                    "select": Select::schema(),
                    "on_bad": OnBad::schema(),
                    "on_leak": OnLeak::schema(),
                    "domain": described::<Word>(
                        "What kind of things its items are, in a word of one's own, as in \
                         `radiographs`; compared with that of a model's source.",
                    ),
                    "task": described::<Word>(
                        "What is told of them, in a word of one's own, as in `pneumonia`; compared \
                         with that of a model's source.",
                    ),
                }, "required": ["split"] },
            ],
        })
    }
}

keys! {
    /// A base model from a file.
    pub struct ModelSpec {
        /// The ONNX file.
        onnx: Located<FilePath>,
        /// How pixels become its input, or `as_it_is` for arrays; may be left out for models that
        /// tl-run wrote, and for those with several inputs or with one of whole numbers.
        input: Option<Located<Reads>> = None,
        /// Inputs that are the same for all items, with their values: a temperature, a switch.
        constants: Vars = Vars(vec![]),
        /// Takes images of another size than the file's: layers that read a flattened map become
        /// convolutions, and scores are averaged over positions.
        fully_convolutional: bool = false,
        /// Names of one's own for layers.
        layers: Vars = Vars(vec![]),
        /// The output that the head ends in, if the model has several.
        output: Option<Located<Word>> = None,
        /// An image with what the model says of it where it was trained. A run compares, and tells
        /// which `input` would make it where the declared one does not.
        example: Option<ExampleSpec> = None,
        /// Its licence, as in `Apache-2.0`: kept in the record of every run, beside its digest.
        licence: Option<Word> = None,
        /// What it has learnt before, for the settings that tables tell.
        source: Option<SourceSpec> = None,
    }
}

keys! {
    /// The sure way to find a wrong `input`: what a model says of one image, computed where the model
    /// was trained or is known to work.
    pub struct ExampleSpec {
        /// The image, of the model's own size, so that nothing depends on how images are scaled; as
        /// PNG, since JPEGs are decoded in more than one way. One of which the model is not certain
        /// tells most.
        image: Located<FilePath>,
        /// What the model says of it: a NumPy file (`.npy`) of as many floats as it has outputs.
        output: Located<FilePath>,
    }
}

keys! {
    /// What a model has learnt before, in words of one's own: they are compared with those of data
    /// sets, and never interpreted.
    pub struct SourceSpec {
        /// What kind of things it saw, as in `photographs`.
        domain: Option<Word> = None,
        /// What it learnt to tell of them, as in `imagenet`.
        task: Option<Word> = None,
        /// Whether it learnt from labels; one that was taught by images alone did not.
        labels: bool = true,
    }
}

/// A stage: a kind with its keys, and what makes several of it.
#[derive(Clone, Debug, PartialEq)]
pub struct StageSpec {
    /// The word for its kind.
    pub word: Located<String>,
    /// What stands under the word.
    pub body: Written,
    /// Its axes with their values; one stage for each combination.
    pub matrix: Vec<(Located<Name>, Vec<Written>)>,
    /// Stages that must be done before it, though it reads nothing of theirs.
    pub needs: Vec<Located<Reference>>,
}

impl Read for StageSpec {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        let siblings = ["matrix", "needs"];
        let (verb, siblings) = verb_and_siblings(written, "a stage", KIND_WORDS, &siblings, found)?;
        let entry = verb.entries()?.first()?.clone();
        let matrix = siblings.get("matrix").map_or(Some(vec![]), |m| matrix(m, found));
        let needs = siblings.get("needs").map_or(Some(vec![]), |n| Vec::read(n, found));
        Some(Self { word: entry.key, body: entry.value, matrix: matrix?, needs: needs? })
    }

    fn schema() -> Json {
        json!({
            "title": "a stage",
            "allOf": [
                any_kind(),
                { "type": "object", "properties": {
                    "matrix": {
                        "description": "Axes with their values; one stage for each combination, \
                                        `${matrix.AXIS}` stands for the value.",
                        "type": "object",
                        "additionalProperties": { "type": "array", "minItems": 1 },
                    },
                    "needs": {
                        "description": "Stages that must be done before it.",
                        "type": "array",
                        "items": Reference::schema(),
                    },
                } },
            ],
        })
    }
}

fn matrix(written: &Written, found: &mut Found) -> Option<Vec<(Located<Name>, Vec<Written>)>> {
    let table = Table::<Axis>::read(written, found)?;
    Some(table.entries.into_iter().map(|(name, axis)| (name, axis.0)).collect())
}

/// Values of an axis.
struct Axis(Vec<Written>);

impl Read for Axis {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        match &written.value {
            Value::List(items)
                if !items.is_empty() && items.iter().all(|item| item.scalar().is_some()) =>
            {
                let mut once: Vec<Written> = Vec::new();
                for item in items {
                    if once.iter().any(|before| before.scalar() == item.scalar()) {
                        let shown = item.scalar().unwrap_or_default();
                        let message = format!("`{shown}` stands here a second time");
                        let help = "an axis has each value once";
                        found.add(Problem::at(item.place, message).help(help));
                    } else {
                        once.push(item.clone());
                    }
                }
                Some(Self(once))
            }
            _ => {
                found.add(unexpected(written, "a list of single values"));
                None
            }
        }
    }

    fn schema() -> Json {
        json!({ "type": "array" })
    }
}

/// What stands beside a verb, by name.
struct Siblings<'a>(Vec<(&'a str, &'a Written)>);

impl Siblings<'_> {
    fn get(&self, name: &str) -> Option<&Written> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// Splits a map into its one verb (as a map of its own) and the siblings it may have.
fn verb_and_siblings<'a>(
    written: &'a Written,
    what: &str,
    verbs: &[&str],
    siblings: &[&str],
    found: &mut Found,
) -> Option<(Written, Siblings<'a>)> {
    let Some(entries) = written.entries() else {
        found.add(unexpected(written, &format!("{what}: a kind with its keys")));
        return None;
    };
    let beside: Vec<(&str, &Written)> = entries
        .iter()
        .filter(|entry| siblings.contains(&entry.key.as_str()))
        .map(|entry| (entry.key.as_str(), &entry.value))
        .collect();
    let rest: Vec<&Entry> =
        entries.iter().filter(|entry| !siblings.contains(&entry.key.as_str())).collect();
    let known: Vec<&str> = verbs.iter().chain(siblings).copied().collect();
    let mut wrong = false;
    for entry in &rest {
        if !verbs.contains(&entry.key.as_str()) {
            let message = format!("`{}` is no kind of {}", *entry.key, &what[2..]);
            found.add(
                Problem::at(entry.key.place, message)
                    .or_else_one_of(&entry.key, known.iter().copied()),
            );
            wrong = true;
        }
    }
    match rest[..] {
        [only] if !wrong => {
            let verb = Written {
                value: Value::Map(vec![only.clone()]),
                place: only.key.place,
                origin: written.origin,
            };
            Some((verb, Siblings(beside)))
        }
        [] => {
            let message = format!("{what} needs its kind");
            let listed: Vec<String> = verbs.iter().map(|verb| format!("`{verb}`")).collect();
            let help = format!("one of {}", listed.join(", "));
            found.add(Problem::at(written.place, message).help(help));
            None
        }
        [_, second, ..] if !wrong => {
            let message = format!("{what} has one kind; `{}` is a second", *second.key);
            found.add(Problem::at(second.key.place, message).help("make it one of its own"));
            None
        }
        _ => None,
    }
}

/// The schema of a type with a description.
fn described<T: Read>(about: &str) -> Json {
    let mut schema = T::schema();
    schema["description"] = about.into();
    schema
}

/// The JSON Schema of a whole file.
pub fn schema() -> Json {
    let mut schema = Document::schema();
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["title"] = "a tl-run pipeline".into();
    schema
}
