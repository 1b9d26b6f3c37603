//! What classes of a source stand for, as the file says it.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::base::language::{Read, Word, unexpected};
use crate::base::{Found, Located, Place, Problem, Value, Written};
use crate::probe::LabelMap;

use super::super::super::data::OpenDataset;
use super::super::super::model::BaseModel;
use super::super::super::site::Site;
use super::Head;
use super::job::Settled;

/// What classes of a source stand for.
#[derive(Clone, Debug, PartialEq)]
pub enum Mapping {
    /// The class of the target that has the same name.
    ByName,
    /// What most training items are for which they score highest.
    Learnt,
    /// Classes of the target by those of the source.
    Given(Vec<(Located<String>, Located<Word>)>),
}

const MAPPING: &str = "`by_name`, `learnt`, or classes of the target by those of the source";

impl Read for Mapping {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        match &written.value {
            Value::Text(word) if word == "by_name" => Some(Self::ByName),
            Value::Text(word) if word == "learnt" => Some(Self::Learnt),
            Value::Map(entries) if !entries.is_empty() => {
                let pairs = entries.iter().map(|entry| {
                    let target = Located::<Word>::read(&entry.value, found)?;
                    Some((entry.key.clone(), target))
                });
                // Every entry is read, so that everything wrong is told.
                let pairs: Vec<Option<_>> = pairs.collect();
                pairs.into_iter().collect::<Option<_>>().map(Self::Given)
            }
            Value::Text(word) => {
                let problem = unexpected(written, MAPPING);
                found.add(problem.or_else_one_of(word, ["by_name", "learnt"]));
                None
            }
            _ => {
                let help = "write them as in `map: { tabby: cat, siamese: cat }`";
                found.add(unexpected(written, MAPPING).help(help));
                None
            }
        }
    }

    fn schema() -> Json {
        let by_name = "Each class of the target is what the source calls by the same name.";
        let learnt = "Each class of the source stands for what most training items are for which it \
                      scores highest; the first class of equals.";
        json!({
            "title": MAPPING,
            "oneOf": [
                { "const": "by_name", "description": by_name },
                { "const": "learnt", "description": learnt },
                { "type": "object", "additionalProperties": Word::schema(), "minProperties": 1 },
            ],
        })
    }
}

impl serde::Serialize for Mapping {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::ByName => serializer.serialize_str("by_name"),
            Self::Learnt => serializer.serialize_str("learnt"),
            Self::Given(pairs) => {
                serializer.collect_map(pairs.iter().map(|(from, to)| (&from.value, &to.value)))
            }
        }
    }
}

impl Mapping {
    /// By positions of classes; or everything that is wrong with it.
    pub(super) fn settled(
        &self,
        head: &Head,
        (base, data): (&BaseModel, &OpenDataset),
        place: Place,
        site: &mut Site,
    ) -> Option<Settled> {
        let targets = data.dataset.classes();
        let of = match self {
            Self::Learnt => return Some(Settled::Learnt),
            Self::ByName => by_name(head, (base, data), place, site)?,
            Self::Given(pairs) => {
                let mut of = vec![None; head.classes];
                let mut first: BTreeMap<usize, &str> = BTreeMap::new();
                let mut is_whole = true;
                for (source, target) in pairs {
                    let from = source_class(source, head, base, site);
                    let to = target_class(target, targets, data, site);
                    let (Some(from), Some(to)) = (from, to) else {
                        is_whole = false;
                        continue;
                    };
                    if let Some(other) = first.insert(from, source) {
                        let message =
                            format!("`{}` and `{other}` are the same class", source.value);
                        site.problem(
                            Problem::at(source.place, message).help("leave one of them out"),
                        );
                        is_whole = false;
                    }
                    of[from] = Some(to);
                }
                is_whole.then_some(of)?
            }
        };
        Some(Settled::Given(LabelMap::given(of, targets.len())))
    }
}

/// Each class of the source stands for the target's of the same name.
fn by_name(
    head: &Head,
    (base, data): (&BaseModel, &OpenDataset),
    place: Place,
    site: &mut Site,
) -> Option<Vec<Option<usize>>> {
    let targets = data.dataset.classes();
    let Some(names) = &head.names else {
        let message = format!("`{}` does not say what its classes are called", base.name);
        let help =
            format!("name classes of `{}` by numbers: `map: {{ 0: {} }}`", data.name, targets[0]);
        site.problem(Problem::at(place, message).help(help));
        return None;
    };
    let position = |name: &String| targets.iter().position(|target| target == name);
    let of: Vec<Option<usize>> = names.iter().map(position).collect();
    if of.iter().all(Option::is_none) {
        let message = format!("no class of `{}` is called like one of `{}`", base.name, data.name);
        let help = format!(
            "say what they stand for, as in `map: {{ {}: {} }}`, or write `map: learnt`",
            names[0], targets[0]
        );
        site.problem(Problem::at(place, message).help(help));
        return None;
    }
    Some(of)
}

fn words(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// The position of a source's class, by its name or its number.
fn source_class(
    written: &Located<String>,
    head: &Head,
    base: &BaseModel,
    site: &mut Site,
) -> Option<usize> {
    let names = head.names.as_deref().unwrap_or_default();
    let by_name = names.iter().position(|name| *name == written.value);
    let number = || written.parse().ok().filter(|number| *number < head.classes);
    if let Some(found) = by_name.or_else(number) {
        return Some(found);
    }
    let message = format!("`{}` has no class `{}`", base.name, written.value);
    let problem = Problem::at(written.place, message);
    site.problem(match names.is_empty() {
        false => problem.or_else_one_of(&written.value, words(names)),
        true => problem.help(format!(
            "it does not say what its {0} classes are called: number them from 0 to {1}",
            head.classes,
            head.classes - 1
        )),
    });
    None
}

fn target_class(
    written: &Located<Word>,
    targets: &[String],
    data: &OpenDataset,
    site: &mut Site,
) -> Option<usize> {
    let found = targets.iter().position(|name| *name == written.0);
    if found.is_none() {
        let message = format!("`{}` has no class `{}`", data.name, written.0);
        let problem = Problem::at(written.place, message);
        site.problem(problem.or_else_one_of(&written.0, words(targets)));
    }
    found
}
