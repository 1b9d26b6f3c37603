//! Single values of the language, each of which cannot be wrong once it exists.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};

use super::super::{Found, Located, Origin, Problem, Value, Written};
use super::{Read, unexpected};

/// A number: finite and above zero.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
pub struct Above0(f64);

impl Above0 {
    /// What changes nothing as a factor or a divisor.
    pub const ONE: Self = Self(1.0);

    /// `None` for zero, negative, infinite, or NaN.
    pub fn new(value: f64) -> Option<Self> {
        (value.is_finite() && value > 0.0).then_some(Self(value))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// A number from 0 up to but without 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
pub struct Share(f64);

impl Share {
    /// Nothing of it.
    pub const ZERO: Self = Self(0.0);

    /// `None` outside [0, 1).
    pub fn new(value: f64) -> Option<Self> {
        (0.0..1.0).contains(&value).then_some(Self(value))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// A decimal number above 0 and below 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
pub struct Fraction(f64);

impl Fraction {
    /// `None` unless 0 < value < 1.
    pub fn new(value: f64) -> Option<Self> {
        (value > 0.0 && value < 1.0).then_some(Self(value))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// A whole number of at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Count(pub usize);

/// A whole number of at least 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Natural(pub usize);

/// Text without line breaks that is not empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Word(pub String);

/// One value or a list of at least one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OneOrMore<T>(pub Vec<T>);

/// Whole numbers from `start` up to but without `end`; written `500..1000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The first.
    pub start: usize,
    /// One after the last.
    pub end: usize,
}

impl Range {
    /// Whether it holds this number.
    pub fn contains(&self, number: usize) -> bool {
        (self.start..self.end).contains(&number)
    }
}

/// A path; relative to the pipeline file, or to the current folder if `--set` brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePath {
    text: String,
    origin: Origin,
}

impl FilePath {
    /// What helps whoever wrote a path under which nothing lies.
    pub const HELP: &str =
        "paths in the file are relative to it, those of `--set` to the current folder";

    /// The path from here, given the pipeline file's folder.
    pub fn resolve(&self, beside_file: &Path) -> PathBuf {
        match self.origin {
            Origin::File => beside_file.join(&self.text),
            Origin::CommandLine => PathBuf::from(&self.text),
        }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Where a thing lies does not change what it is, so a path never enters a key.
impl Serialize for FilePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

/// A regular expression.
#[derive(Clone, Debug)]
pub struct Pattern(pub regex::Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

fn number(written: &Written) -> Option<f64> {
    match written.value {
        Value::Integer(value) => Some(value as f64),
        Value::Float(value) => Some(value),
        _ => None,
    }
}

fn whole(written: &Written) -> Option<usize> {
    match written.value {
        Value::Integer(value) => usize::try_from(value).ok(),
        _ => None,
    }
}

/// Keeps a value, or adds "expected …".
fn expect<T>(value: Option<T>, written: &Written, found: &mut Found, expected: &str) -> Option<T> {
    if value.is_none() {
        found.add(unexpected(written, expected));
    }
    value
}

/// Implements `Read` for a value that is one scalar.
macro_rules! leaf {
    ($type:ty, $words:literal, $schema:tt, $read:expr) => {
        impl Read for $type {
            fn read(written: &Written, found: &mut Found) -> Option<Self> {
                let read: fn(&Written) -> Option<Self> = $read;
                expect(read(written), written, found, $words)
            }

            fn schema() -> Json {
                let mut schema = json!($schema);
                schema["title"] = $words.into();
                schema
            }
        }
    };
}

leaf!(Above0, "a number above 0", { "type": "number", "exclusiveMinimum": 0 }, |written| {
    number(written).and_then(Above0::new)
});
leaf!(
    Share,
    "a number from 0 up to but without 1",
    { "type": "number", "minimum": 0, "exclusiveMaximum": 1 },
    |written| number(written).and_then(Share::new)
);
leaf!(
    Fraction,
    "a decimal number between 0 and 1",
    { "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 },
    |written| number(written).and_then(Fraction::new)
);
leaf!(f64, "a number", { "type": "number" }, |written| {
    number(written).filter(|value| value.is_finite())
});
leaf!(Count, "a whole number of at least 1", { "type": "integer", "minimum": 1 }, |written| {
    whole(written).filter(|value| *value >= 1).map(Count)
});
leaf!(Natural, "a whole number of at least 0", { "type": "integer", "minimum": 0 }, |written| {
    whole(written).map(Natural)
});
leaf!(bool, "`true` or `false`", { "type": "boolean" }, |written| match written.value {
    Value::Bool(value) => Some(value),
    _ => None,
});
leaf!(Word, "a word", { "type": ["string", "number", "boolean"] }, |written| {
    written
        .scalar()
        .filter(|text| !text.is_empty() && !text.contains(['\n', '\r']))
        .map(Word)
});
leaf!(Range, "a range of whole numbers such as `500..1000`", { "type": "string" }, |written| {
    let text = written.scalar()?;
    let (start, end) = text.split_once("..")?;
    let range = Range { start: start.trim().parse().ok()?, end: end.trim().parse().ok()? };
    (range.start < range.end).then_some(range)
});
leaf!(FilePath, "a path", { "type": "string" }, |written| match &written.value {
    Value::Text(text) if !text.is_empty() => {
        Some(FilePath { text: text.clone(), origin: written.origin })
    }
    _ => None,
});

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Read for Pattern {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        let text = expect(written.scalar(), written, found, "a regular expression")?;
        let refused = |error: regex::Error| {
            let why = error.to_string().lines().last().unwrap_or_default().to_owned();
            Problem::at(written.place, format!("`{text}` is not a regular expression: {why}"))
        };
        found.keep(regex::Regex::new(&text).map_err(refused)).map(Self)
    }

    fn schema() -> Json {
        json!({ "type": "string", "format": "regex", "title": "a regular expression" })
    }
}

impl<T: Read> Read for OneOrMore<T> {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        let Value::List(items) = &written.value else {
            return T::read(written, found).map(|only| Self(vec![only]));
        };
        let read: Vec<Option<T>> = items.iter().map(|item| T::read(item, found)).collect();
        let all: Option<Vec<T>> = read.into_iter().collect();
        match all {
            Some(list) if list.is_empty() => {
                let message = "expected at least one value, found an empty list";
                found.add(Problem::at(written.place, message).help("name one, or several"));
                None
            }
            list => list.map(Self),
        }
    }

    fn schema() -> Json {
        let one = T::schema();
        let title = format!("{}, or a list", super::words(&one));
        json!({
            "title": title,
            "oneOf": [one, { "type": "array", "items": T::schema(), "minItems": 1 }],
        })
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        let Value::List(items) = &written.value else {
            found.add(unexpected(written, "a list"));
            return None;
        };
        let read: Vec<Option<T>> = items.iter().map(|item| T::read(item, found)).collect();
        read.into_iter().collect()
    }

    fn schema() -> Json {
        let one = T::schema();
        let title = format!("a list; each is {}", super::words(&one));
        json!({ "title": title, "type": "array", "items": one })
    }
}

impl<T: Read> Read for Option<T> {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        match written.value {
            Value::Null => Some(None),
            _ => T::read(written, found).map(Some),
        }
    }

    fn schema() -> Json {
        T::schema()
    }
}

impl<T: Read> Read for Located<T> {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        T::read(written, found).map(|value| Located::new(value, written.place))
    }

    fn schema() -> Json {
        T::schema()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Place;
    use super::*;

    fn read<T: Read>(value: Value) -> Option<T> {
        let written = Written { value, place: Place::default(), origin: Origin::CommandLine };
        T::read(&written, &mut Found::default())
    }

    #[test]
    fn numbers_are_checked_where_they_are_read() {
        assert_eq!(read(Value::Integer(2)), Above0::new(2.0));
        assert_eq!(read::<Above0>(Value::Float(f64::NAN)), None);
        assert_eq!(read::<Count>(Value::Integer(0)), None);
        assert_eq!(read::<Count>(Value::Float(2.0)), None);
        assert_eq!(read::<Fraction>(Value::Integer(1)), None);
        assert_eq!(read(Value::Integer(0)), Share::new(0.0));
        assert_eq!(read::<Share>(Value::Float(1.0)), None);
    }

    #[test]
    fn a_range_is_half_open_and_not_empty() {
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(read(text("500..1000")), Some(Range { start: 500, end: 1000 }));
        assert_eq!(read::<Range>(text("5..5")), None);
        assert_eq!(read::<Range>(text("5..=9")), None);
    }

    #[test]
    fn a_path_of_the_command_line_is_not_relative_to_the_file() {
        let path: FilePath = read(Value::Text("images".into())).unwrap();
        assert_eq!(path.resolve(Path::new("pipelines")), PathBuf::from("images"));
    }

    #[test]
    fn one_or_more_takes_both_and_refuses_none() {
        assert_eq!(read(Value::Integer(3)), Some(OneOrMore(vec![Count(3)])));
        assert_eq!(read::<OneOrMore<Count>>(Value::List(vec![])), None);
    }
}
