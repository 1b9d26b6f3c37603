//! The words a pipeline file is made of. A type that implements [`Read`] says how it is written,
//! what is wrong with it when it is not, and how an editor should complete it; the parser, the
//! JSON Schema and the reference page are made from the same declaration.

mod amounts;
mod fields;
mod leaves;
mod macros;

use serde_json::Value as Json;

use super::{Found, Problem, Value, Written};

pub use amounts::{Amount, Bytes, bytes, short};
pub use fields::Fields;
pub use leaves::{
    Above0, Count, FilePath, Fraction, Natural, OneOrMore, Pattern, Range, Share, Word,
};
pub use macros::{bare, called, chosen, one_of, snake};
pub(crate) use macros::{choice, keys};

/// A type that can be read from a pipeline file.
pub trait Read: Sized {
    /// The checked value; `None` after everything wrong with it has been added to `found`.
    fn read(written: &Written, found: &mut Found) -> Option<Self>;

    /// Its JSON Schema. `title` holds the words a person reads: "a number above 0".
    fn schema() -> Json;
}

/// A type that is written as the keys of a map.
pub trait Keys: Sized {
    /// Reads its keys from a map that may have others too.
    fn read_keys(fields: &mut Fields<'_>, found: &mut Found) -> Option<Self>;

    /// Adds the schemas of its keys, and which are required.
    fn describe(properties: &mut serde_json::Map<String, Json>, required: &mut Vec<&'static str>);
}

/// The value of a type whose keys all have defaults, when nothing was written.
///
/// # Panics
/// If a key has no default; which the test of the stage kinds would show.
pub fn defaults<T: Read>() -> T {
    let nothing = Written::empty_map(super::Place::default());
    T::read(&nothing, &mut Found::default()).expect("every key has a default")
}

/// "expected X, found Y".
pub fn unexpected(written: &Written, expected: &str) -> Problem {
    let shown = match written.scalar() {
        Some(text) if !text.is_empty() => format!("`{text}`"),
        _ => written.kind().to_owned(),
    };
    let problem = Problem::at(written.place, format!("expected {expected}, found {shown}"));
    match written.value {
        Value::Missing => problem.help("write a value, or leave the key out").unless_another(),
        _ => problem.unless_another(),
    }
}

/// The words for a schema: its title, or its type.
pub fn words(schema: &Json) -> &str {
    schema["title"].as_str().or_else(|| schema["type"].as_str()).unwrap_or("any value")
}

#[cfg(test)]
mod tests {
    use super::super::{Entry, Located, Origin, Place, Value};
    use super::*;

    keys! {
        /// How fast to learn.
        struct Speed {
            /// The rate.
            rate: Above0,
            /// How often.
            times: Count = Count(3),
        }
    }

    choice! {
        /// How to stop.
        enum Stop {
            /// Never.
            "never" => Never,
            /// At a speed.
            "at" => At(Speed),
        }
    }

    fn text(value: &str) -> Written {
        Written { value: Value::Text(value.into()), place: Place::default(), origin: Origin::File }
    }

    fn map(pairs: &[(&str, Written)]) -> Written {
        let entry = |(key, value): &(&str, Written)| Entry {
            key: Located::new((*key).to_owned(), Place::default()),
            value: value.clone(),
        };
        let value = Value::Map(pairs.iter().map(entry).collect());
        Written { value, place: Place::default(), origin: Origin::File }
    }

    fn float(value: f64) -> Written {
        Written { value: Value::Float(value), place: Place::default(), origin: Origin::File }
    }

    fn problems<T: Read>(written: &Written) -> Vec<String> {
        let mut found = Found::default();
        assert!(T::read(written, &mut found).is_none());
        found.into_result("f", "").unwrap_err().messages().map(str::to_owned).collect()
    }

    #[test]
    fn keys_are_read_and_defaults_fill_in() {
        let speed = Speed::read(&map(&[("rate", float(0.5))]), &mut Found::default());
        assert_eq!(speed, Some(Speed { rate: Above0::new(0.5).unwrap(), times: Count(3) }));
    }

    #[test]
    fn every_wrong_key_is_told_at_once() {
        let told = problems::<Speed>(&map(&[("rate", float(-1.0)), ("tmies", text("x"))]));
        assert_eq!(
            told,
            ["`tmies` is not a key of `speed`", "expected a number above 0, found `-1`"]
        );
    }

    #[test]
    fn a_choice_is_a_word_or_a_map_of_one_word() {
        let mut found = Found::default();
        assert_eq!(Stop::read(&text("never"), &mut found), Some(Stop::Never));
        let at = map(&[("at", map(&[("rate", float(2.0))]))]);
        let speed = Speed { rate: Above0::new(2.0).unwrap(), times: Count(3) };
        assert_eq!(Stop::read(&at, &mut found), Some(Stop::At(speed)));
        assert_eq!(problems::<Stop>(&text("nevr")), ["`nevr` is not a kind of `stop`"]);
        assert_eq!(problems::<Stop>(&text("at")), ["`speed` needs the key `rate`"]);
    }

    #[test]
    fn the_schema_tells_docs_types_and_defaults() {
        let schema = Speed::schema();
        assert_eq!(schema["description"], "How fast to learn.");
        assert_eq!(schema["properties"]["times"]["default"], 3);
        assert_eq!(schema["required"], serde_json::json!(["rate"]));
        assert_eq!(schema["additionalProperties"], false);
    }
}
