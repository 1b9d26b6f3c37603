//! A pipeline file: its text, its names, its values before they mean anything.

mod changes;
mod document;
mod energy;
mod seeds;
mod substitute;
mod yaml;

use std::collections::BTreeSet;
use std::path::Path;

use crate::base::language::Read;
use crate::base::{Found, Located, Problem, Problems, Value, Written};
use crate::onnx::runtime::Device;
use crate::stages::Name;

pub use document::{
    DatasetSpec, Document, ExampleSpec, ModelSpec, SourceSpec, StageSpec, Table, Vars, schema,
};
pub use seeds::{Seeds, UntilDecided};

pub use changes::Setting;
pub use energy::EnergySpec;
use substitute::{Names, substitute};

/// A file that was read: its text for messages, and what it says.
#[derive(Clone, Debug)]
pub struct Source {
    /// What it is called in messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self { name, text }),
            Err(error) => {
                let problem = Problem::anywhere(format!("read {name}: {error}"));
                Err(Problems::one(&name, "", problem))
            }
        }
    }

    /// Wraps one problem.
    pub fn problem(&self, problem: Problem) -> Problems {
        Problems::one(&self.name, &self.text, problem)
    }
}

/// Reads a document; `sets` are the `--set` of the command line. What is wrong is added to
/// `found`; what could be read is there to be checked further.
pub fn read(source: &Source, sets: &[(String, String)], found: &mut Found) -> Option<Document> {
    let root = substituted(&source.text, sets, found)?;
    Document::read(&root, found).or_else(|| Some(readable_rest(&root)))
}

/// A file's values, with those of vars in the place of their names.
fn substituted(text: &str, sets: &[(String, String)], found: &mut Found) -> Option<Written> {
    let root = found.keep(yaml::parse(text))?;
    let vars = vars(&root, sets, found)?;
    let known = vars.0.iter().map(|(name, value)| (name.value.clone(), value)).collect();
    let names = Names { known, later: Some(MATRIX) };
    let mut used = BTreeSet::new();
    let entries = root.entries()?.iter().map(|entry| {
        let mut entry = entry.clone();
        if *entry.key != "vars" {
            entry.value = substitute(&entry.value, &names, &mut used, found);
        }
        entry
    });
    Some(Written { value: Value::Map(entries.collect()), ..root.clone() })
}

/// A file's text with the `--set` it was read with.
pub type TextAndSets<'a> = (&'a str, &'a [(String, String)]);

/// What two files set otherwise; nothing if one of them cannot be read.
pub fn changes(before: TextAndSets<'_>, after: TextAndSets<'_>) -> Option<Vec<Setting>> {
    let read = |(text, sets): TextAndSets<'_>| {
        let mut found = Found::default();
        let root = substituted(text, sets, &mut found)?;
        found.into_result("", text).ok().map(|()| root)
    };
    Some(changes::between(&read(before)?, &read(after)?))
}

/// What can be read of a document in which something is wrong: worth checking all the same, so
/// that every problem is told at once. It is never run.
fn readable_rest(root: &Written) -> Document {
    fn table<T: Read>(root: &Written, key: &str) -> Table<T> {
        // What is wrong in it has been told already.
        let mut told = Found::default();
        let read = root.get(key).and_then(|written| Table::read(written, &mut told));
        read.unwrap_or_default()
    }
    Document {
        name: Located::new(Name("unnamed".to_owned()), root.place),
        seeds: Seeds::counted(1),
        budget: None,
        device: Located::new(Device::Cpu, root.place),
        energy: None,
        vars: Vars(vec![]),
        datasets: table(root, "datasets"),
        models: table(root, "models"),
        stages: table(root, "stages"),
    }
}

/// Names of the axes of a stage begin with this.
const MATRIX: &str = "matrix.";

/// The vars of the file, with those of the command line in their place.
fn vars(root: &Written, sets: &[(String, String)], found: &mut Found) -> Option<Vars> {
    let mut vars = match root.get("vars") {
        Some(written) => Vars::read(written, found)?,
        None => Vars(vec![]),
    };
    for (name, text) in sets {
        let value = match yaml::parse_value(text) {
            Ok(value) => value,
            Err(error) => {
                found.add(Problem::anywhere(format!("--set {name}={text}: {error}")));
                continue;
            }
        };
        match vars.0.iter_mut().find(|(known, _)| known.value == *name) {
            Some((_, known)) => *known = value,
            None => {
                let known: Vec<&str> = vars.0.iter().map(|(name, _)| name.as_str()).collect();
                let problem = Problem::anywhere(format!("--set {name}: the file has no such var"));
                found.add(problem.or_else_one_of(name, known));
            }
        }
    }
    Some(vars)
}

/// One combination of a stage's axes.
pub struct Combination {
    /// Its axes, in the order written.
    pub axes: Vec<(String, String)>,
    /// The stage's keys, axes replaced.
    pub body: Written,
}

impl StageSpec {
    /// The combinations of the axes, the first axis slowest. An axis that is never used would make
    /// the same stage several times, and is a problem.
    pub fn combinations(&self, found: &mut Found) -> Vec<Combination> {
        let mut used = BTreeSet::new();
        let mut combinations = Vec::new();
        for values in product(&self.matrix) {
            let known = values
                .iter()
                .map(|(name, value)| (format!("{MATRIX}{}", name.0), *value))
                .collect();
            let names = Names { known, later: None };
            let body = substitute(&self.body, &names, &mut used, found);
            let axis = |(name, value): &(&Located<Name>, &Written)| {
                (name.0.clone(), value.scalar().unwrap_or_default())
            };
            combinations.push(Combination { axes: values.iter().map(axis).collect(), body });
        }
        for (axis, _) in &self.matrix {
            if !used.contains(&format!("{MATRIX}{}", axis.0)) {
                let message = format!("the axis `{}` is never used", axis.0);
                let help = format!("write `${{matrix.{}}}` where its values belong", axis.0);
                found.add(Problem::at(axis.place, message).help(help));
            }
        }
        combinations
    }
}

/// Every choice of one value for each axis.
fn product(matrix: &[(Located<Name>, Vec<Written>)]) -> Vec<Vec<(&Located<Name>, &Written)>> {
    let mut rows = vec![vec![]];
    for (name, values) in matrix {
        rows = rows
            .into_iter()
            .flat_map(|row: Vec<(&Located<Name>, &Written)>| {
                values.iter().map(move |value| [row.as_slice(), &[(name, value)]].concat())
            })
            .collect();
    }
    rows
}
