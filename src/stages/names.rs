//! Names of stages and how one stage refers to another.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};

use crate::base::language::{Read, unexpected};
use crate::base::{Found, Written};

/// A name: small letters, digits and underscores.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(pub String);

impl Name {
    /// `None` unless it is made of small letters, digits and underscores.
    pub fn new(text: &str) -> Option<Self> {
        let fits =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
        (!text.is_empty() && text.chars().all(fits)).then(|| Self(text.to_owned()))
    }
}

const NAME: &str = "a name of small letters, digits and `_`";

impl Read for Name {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        let name = written.scalar().and_then(|text| Self::new(&text));
        if name.is_none() {
            found.add(unexpected(written, NAME));
        }
        name
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[a-z0-9_]+$", "title": NAME })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What something is called is no part of what it is, so a name never enters a key.
impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

/// A stage, perhaps one combination of its matrix, perhaps one of its layers:
/// `codes`, `codes[base=near]`, `codes.gap`, `codes[base=near].gap`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The stage.
    pub stage: String,
    /// Chosen values of its axes.
    pub axes: Vec<(String, String)>,
    /// Everything after the first dot.
    pub layer: Option<String>,
}

impl Reference {
    /// Reads a reference; `None` if it has no such form.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find(['[', '.']).unwrap_or(text.len());
        let (stage, rest) = text.split_at(end);
        let (axes, rest) = match rest.strip_prefix('[') {
            None => (vec![], rest),
            Some(inside) => {
                let (inside, rest) = inside.split_once(']')?;
                let axis = |pair: &str| {
                    let (axis, value) = pair.split_once('=')?;
                    Some((axis.trim().to_owned(), value.trim().to_owned()))
                };
                (inside.split(',').map(axis).collect::<Option<Vec<_>>>()?, rest)
            }
        };
        let layer = match rest.strip_prefix('.') {
            Some("") => return None,
            Some(layer) => Some(layer.to_owned()),
            None if rest.is_empty() => None,
            None => return None,
        };
        Name::new(stage).map(|name| Self { stage: name.0, axes, layer })
    }
}

const REFERENCE: &str = "a stage, as in `probe`, `tuned[freeze=none]` or `codes.gap`";

impl Read for Reference {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        let reference = written.scalar().and_then(|text| Self::parse(&text));
        if reference.is_none() {
            found.add(unexpected(written, REFERENCE));
        }
        reference
    }

    fn schema() -> Json {
        json!({ "type": "string", "title": REFERENCE })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", full_name(&self.stage, &self.axes))?;
        self.layer.iter().try_for_each(|layer| write!(f, ".{layer}"))
    }
}

/// The layer is part of what is computed; the stage's name is not.
impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.layer.serialize(serializer)
    }
}

/// `tuned[freeze=none]`.
pub fn full_name(stage: &str, axes: &[(String, String)]) -> String {
    if axes.is_empty() {
        return stage.to_owned();
    }
    let axes: Vec<String> = axes.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
    format!("{stage}[{}]", axes.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_with_axes_and_layers() {
        for text in ["codes", "codes.gap", "codes[base=near]", "codes[lr=0.1,n=5]./layer1/conv.x"] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
        let reference = Reference::parse("codes[lr=0.1, n=5]./layer1/conv.x").unwrap();
        assert_eq!(reference.layer.as_deref(), Some("/layer1/conv.x"));
        assert_eq!(reference.axes[1], ("n".to_owned(), "5".to_owned()));
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in ["", "Codes", "codes.", "codes[base]", "codes[base=near", "co des"] {
            assert_eq!(Reference::parse(text), None, "{text}");
        }
    }
}
