//! From the text of a file to values with places. `serde_yaml` reads the values, the events of a
//! second parser tell where they stand. The only place that knows either.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, Span};
use serde_yaml::Value as Yaml;

use crate::base::{Entry, Located, Origin, Place, Problem, Value, Written};

/// Reads a file's text.
pub(super) fn parse(text: &str) -> Result<Written, Problem> {
    let mut twice = None;
    let places = Places::read(text, &mut twice);
    if let Some(problem) = twice {
        return Err(problem);
    }
    let yaml: Yaml = serde_yaml::from_str(text).map_err(|error| refused(&error))?;
    let written = join(&yaml, places.as_ref(), Place { line: 1, column: 1, width: 1 }, FILE)?;
    match written.value {
        Value::Map(_) => Ok(written),
        Value::Null | Value::Missing => Err(Problem::at(written.place, "the file is empty")),
        _ => Err(Problem::at(written.place, "a pipeline is a map with `name` and `stages`")),
    }
}

const FILE: Origin = Origin::File;

/// Reads the value of a `--set`.
pub(super) fn parse_value(text: &str) -> Result<Written, String> {
    let yaml: Yaml = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    join(&yaml, None, Place::default(), Origin::CommandLine)
        .map_err(|problem| problem.message().to_owned())
}

fn refused(error: &serde_yaml::Error) -> Problem {
    let message = error.to_string();
    // The location is drawn, it need not be told twice.
    let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
    match error.location() {
        Some(location) => {
            let place = Place { line: location.line(), column: location.column(), width: 1 };
            Problem::at(place, format!("this is no YAML: {message}"))
        }
        None => Problem::anywhere(format!("this is no YAML: {message}")),
    }
}

/// Where each value of a document stands.
#[derive(Clone, Debug)]
enum Places {
    /// A scalar, and whether nothing is written there.
    Scalar(Place, bool),
    List(Place, Vec<Places>),
    Map(Place, Vec<(Place, Places)>),
}

impl Places {
    /// `None` if the text is no single document; the value parser will tell. A key that a map has
    /// twice is told here, where its place is known.
    fn read(text: &str, twice: &mut Option<Problem>) -> Option<Self> {
        let mut parser = Parser::new_from_str(text);
        let mut anchors = BTreeMap::new();
        loop {
            match parser.next_event()?.ok()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (event, span) => {
                    return Self::node(&event, &span, &mut parser, &mut anchors, twice);
                }
            }
        }
    }

    fn node<'a, T: saphyr_parser::Input>(
        event: &Event<'a>,
        span: &Span,
        parser: &mut Parser<'a, T>,
        anchors: &mut BTreeMap<usize, Self>,
        twice: &mut Option<Problem>,
    ) -> Option<Self> {
        let (anchor, node) = match *event {
            Event::Scalar(_, _, anchor, _) => (anchor, Self::Scalar(place(span), span.is_empty())),
            Event::Alias(anchor) => (0, anchors.get(&anchor)?.clone()),
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match parser.next_event()?.ok()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => {
                            items.push(Self::node(&event, &span, parser, anchors, twice)?);
                        }
                    }
                }
                (anchor, Self::List(place(span), items))
            }
            Event::MappingStart(anchor, _) => {
                let mut entries = Vec::new();
                let mut lines: BTreeMap<String, usize> = BTreeMap::new();
                loop {
                    let (event, key) = parser.next_event()?.ok()?;
                    if matches!(event, Event::MappingEnd) {
                        break;
                    }
                    Self::node(&event, &key, parser, anchors, twice)?;
                    if let Event::Scalar(word, ..) = &event {
                        let first = lines.insert(word.to_string(), key.start.line());
                        if let (Some(line), None) = (first, &*twice) {
                            let message = format!("`{word}` stands here a second time");
                            let help = format!("the first is in line {line}; rename one of them");
                            *twice = Some(Problem::at(place(&key), message).help(help));
                        }
                    }
                    let (event, span) = parser.next_event()?.ok()?;
                    let value = Self::node(&event, &span, parser, anchors, twice)?;
                    entries.push((place(&key), value));
                }
                (anchor, Self::Map(place(span), entries))
            }
            _ => return None,
        };
        if anchor > 0 {
            anchors.insert(anchor, node.clone());
        }
        Some(node)
    }

    fn place(&self) -> Place {
        match self {
            Self::Scalar(place, _) | Self::List(place, _) | Self::Map(place, _) => *place,
        }
    }
}

fn place(span: &Span) -> Place {
    let width = if span.start.line() == span.end.line() { span.len() } else { 1 };
    Place { line: span.start.line(), column: span.start.col() + 1, width: width.max(1) }
}

/// Puts values and places together. Where the two parsers differ in shape, the place of the value
/// around it serves.
fn join(
    yaml: &Yaml,
    places: Option<&Places>,
    around: Place,
    origin: Origin,
) -> Result<Written, Problem> {
    let place = places.map_or(around, Places::place);
    let value = match yaml {
        Yaml::Null if matches!(places, Some(Places::Scalar(_, true))) => Value::Missing,
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(*value),
        Yaml::String(text) => Value::Text(text.clone()),
        Yaml::Number(number) => match number.as_i64() {
            Some(whole) => Value::Integer(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Yaml::Sequence(items) => {
            let inside = |index: usize| match places {
                Some(Places::List(_, list)) => list.get(index),
                _ => None,
            };
            let items = items.iter().enumerate();
            let items = items.map(|(index, item)| join(item, inside(index), place, origin));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(pairs) => {
            let inside = |index: usize| match places {
                Some(Places::Map(_, list)) => list.get(index),
                _ => None,
            };
            let mut entries = Vec::new();
            for (index, (key, value)) in pairs.iter().enumerate() {
                let (key_place, value_place) = match inside(index) {
                    Some((key, value)) => (*key, Some(value)),
                    None => (place, None),
                };
                let key = key_text(key)
                    .ok_or_else(|| Problem::at(key_place, "a key must be a plain word"))?;
                let value = join(value, value_place, key_place, origin)?;
                entries.push(Entry { key: Located::new(key, key_place), value });
            }
            Value::Map(merged(entries)?)
        }
        Yaml::Tagged(tagged) => {
            return Err(Problem::at(place, format!("the tag `{}` is not read", tagged.tag)));
        }
    };
    Ok(Written { value, place, origin })
}

/// Takes over the keys of maps under `<<`, unless the map has them itself.
fn merged(entries: Vec<Entry>) -> Result<Vec<Entry>, Problem> {
    let (merges, mut own): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| *entry.key == "<<");
    for merge in merges {
        let Value::Map(taken) = merge.value.value else {
            return Err(Problem::at(merge.key.place, "`<<` takes over the keys of a map"));
        };
        for entry in taken {
            if !own.iter().any(|known| *known.key == *entry.key) {
                own.push(entry);
            }
        }
    }
    Ok(own)
}

fn key_text(key: &Yaml) -> Option<String> {
    match key {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Number(number) => Some(number.to_string()),
        Yaml::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: usize, column: usize, width: usize) -> Place {
        Place { line, column, width }
    }

    #[test]
    fn every_value_knows_its_place() {
        let text = "name: xray\nstages:\n  probe: { c: [1, 3e-4], on: ~ }\n";
        let written = parse(text).unwrap();
        assert_eq!(written.get("name").unwrap().place, at(1, 7, 4));
        let probe = written.get("stages").unwrap().get("probe").unwrap();
        assert_eq!(probe.entries().unwrap()[0].key.place, at(3, 12, 1));
        let Value::List(values) = &probe.get("c").unwrap().value else { panic!() };
        assert_eq!(values[1].place, at(3, 19, 4));
        assert_eq!(values[1].value, Value::Float(3e-4));
        assert_eq!(probe.get("on").unwrap().value, Value::Null);
    }

    #[test]
    fn nothing_after_a_key_is_no_null() {
        let written = parse("a:\nb: ~\nc: { d: , e: null }\n").unwrap();
        let value = |key: &str| written.get(key).unwrap().value.clone();
        assert_eq!((value("a"), value("b")), (Value::Missing, Value::Null));
        let inner = written.get("c").unwrap();
        assert_eq!(inner.get("d").unwrap().value, Value::Missing);
        assert_eq!(inner.get("e").unwrap().value, Value::Null);
    }

    #[test]
    fn places_survive_anchors_and_letters_beyond_ascii() {
        let text = "größe: &a { zwei: 2 }\nsame: *a\n";
        let written = parse(text).unwrap();
        assert_eq!(written.get("größe").unwrap().get("zwei").unwrap().place, at(1, 19, 1));
        assert_eq!(written.get("same").unwrap().get("zwei").unwrap().value, Value::Integer(2));
    }

    #[test]
    fn keys_are_taken_over_from_other_maps() {
        let text = "a: &a { x: 1, y: 2 }\nb: { <<: *a, y: 3 }\n";
        let b = parse(text).unwrap().get("b").unwrap().clone();
        assert_eq!(b.get("x").unwrap().value, Value::Integer(1));
        assert_eq!(b.get("y").unwrap().value, Value::Integer(3));
        assert_eq!(b.entries().unwrap().len(), 2);
    }

    #[test]
    fn broken_yaml_and_doubled_keys_are_told_with_their_line() {
        let told = |text: &str| {
            let problem = parse(text).unwrap_err();
            crate::base::Problems::one("f", text, problem).to_string()
        };
        assert!(told("name: x\nname: y\n").contains("`name` stands here a second time\n    f:2:1"));
        assert!(told("name: [x\n").contains("f:"));
        assert!(told("").contains("the file is empty"));
        assert!(told("- a\n").contains("a pipeline is a map"));
        assert!(told("name: !python x\n").contains("tag"));
    }
}
