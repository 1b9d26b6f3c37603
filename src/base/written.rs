//! A value as it was written: what it is and where it stands. Means nothing yet.

use std::ops::Deref;

use serde::{Serialize, Serializer};

use super::Place;

/// Whose words these are; paths are relative to the folder of that source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The pipeline file.
    #[default]
    File,
    /// A `--set` on the command line.
    CommandLine,
}

/// A node of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// What was written.
    pub value: Value,
    /// Where.
    pub place: Place,
    /// By whom.
    pub origin: Origin,
}

/// What was written, by YAML's core types.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `~` or `null`: as if it were left out.
    Null,
    /// Nothing at all after a key.
    Missing,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A decimal number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Written>),
    /// A map; keys in the order of the file.
    Map(Vec<Entry>),
}

/// One key of a map with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Located<String>,
    /// Its value.
    pub value: Written,
}

impl Written {
    /// An empty map, as if its keys were all left out.
    pub fn empty_map(place: Place) -> Self {
        Self { value: Value::Map(vec![]), place, origin: Origin::File }
    }

    /// The value under a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Written> {
        self.entries()?.iter().find(|entry| *entry.key == key).map(|entry| &entry.value)
    }

    /// The entries, if this is a map.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// What kind of thing this is, for messages: "a list".
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null | Value::Missing => "nothing",
            Value::Bool(_) => "true or false",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a decimal number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// A scalar as text; `None` for lists and maps.
    pub fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Null | Value::Missing => Some(String::new()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Integer(value) => Some(value.to_string()),
            Value::Float(value) => Some(value.to_string()),
            Value::Text(value) => Some(value.clone()),
            Value::List(_) | Value::Map(_) => None,
        }
    }
}

/// A value and where it was written. Equal values are equal wherever they stand.
#[derive(Clone, Debug)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}

impl<T> Located<T> {
    /// A value at a place.
    pub fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }
}

impl<T: PartialEq> PartialEq for Located<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Serialize> Serialize for Located<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}
