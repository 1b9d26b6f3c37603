//! What a model reads of an item: an image, or arrays as they are.

use serde_json::{Value as Json, json};

use crate::base::language::Read;
use crate::base::{Found, Value, Written};

use super::input::InputRule;

/// What a model reads of an item.
#[derive(Clone, Debug, PartialEq)]
pub enum Reads {
    /// An image, fitted and scaled by a rule.
    Image(InputRule),
    /// Arrays of the data set, by the names of the model's inputs.
    AsItIs,
}

/// The word for arrays.
const AS_IT_IS: &str = "as_it_is";

impl Reads {
    /// The rule for images, if it reads one.
    pub fn image(&self) -> Option<&InputRule> {
        match self {
            Self::Image(rule) => Some(rule),
            Self::AsItIs => None,
        }
    }
}

/// As it is read.
impl serde::Serialize for Reads {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Image(rule) => serde::Serialize::serialize(rule, serializer),
            Self::AsItIs => serializer.serialize_str(AS_IT_IS),
        }
    }
}

impl Read for Reads {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        match &written.value {
            Value::Text(word) if word == AS_IT_IS => Some(Self::AsItIs),
            _ => InputRule::read(written, found).map(Self::Image),
        }
    }

    fn schema() -> Json {
        let word = json!({
            "const": AS_IT_IS,
            "description": "The arrays of the data set, by the names of the model's inputs: token \
                            ids, masks, signals, rows of features.",
        });
        json!({
            "title": format!("the keys of `input`, or `{AS_IT_IS}`"),
            "oneOf": [word, InputRule::schema()],
        })
    }
}
