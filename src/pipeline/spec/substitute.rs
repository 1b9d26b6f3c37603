//! `${name}` in values: replaced before values are typed, so that a number stays a number.

use std::collections::BTreeSet;

use crate::base::{Entry, Found, Origin, Problem, Value, Written};

/// What names in `${…}` stand for.
pub(super) struct Names<'a> {
    /// Their values.
    pub(super) known: Vec<(String, &'a Written)>,
    /// Names with this beginning are left for later.
    pub(super) later: Option<&'static str>,
}

impl Names<'_> {
    fn find(&self, name: &str) -> Option<&Written> {
        self.known.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    fn is_for_later(&self, name: &str) -> bool {
        self.later.is_some_and(|prefix| name.starts_with(prefix))
    }
}

/// A value with its names replaced; `used` hears of each name. A name that is not known is a
/// problem.
pub(super) fn substitute(
    written: &Written,
    names: &Names<'_>,
    used: &mut BTreeSet<String>,
    found: &mut Found,
) -> Written {
    let value = match &written.value {
        Value::Text(text) if text.contains("${") => {
            return in_text(written, text, names, used, found);
        }
        Value::List(items) => {
            Value::List(items.iter().map(|item| substitute(item, names, used, found)).collect())
        }
        Value::Map(entries) => {
            let entry = |entry: &Entry| Entry {
                key: entry.key.clone(),
                value: substitute(&entry.value, names, used, found),
            };
            Value::Map(entries.iter().map(entry).collect())
        }
        other => other.clone(),
    };
    Written { value, ..written.clone() }
}

fn in_text(
    written: &Written,
    text: &str,
    names: &Names<'_>,
    used: &mut BTreeSet<String>,
    found: &mut Found,
) -> Written {
    let mut out = String::new();
    let mut origin = written.origin;
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else {
            found.add(Problem::at(written.place, format!("`{text}` opens `${{` without a `}}`")));
            break;
        };
        let name = rest[start + 2..start + length].trim();
        let whole = start == 0 && length + 1 == rest.len() && out.is_empty();
        out.push_str(&rest[..start]);
        if names.is_for_later(name) {
            out.push_str(&rest[start..=start + length]);
        } else if let Some(value) = names.find(name) {
            used.insert(name.to_owned());
            if whole {
                return moved(value, written);
            }
            match value.scalar() {
                Some(scalar) => out.push_str(&scalar),
                None => found.add(
                    Problem::at(written.place, format!("`${{{name}}}` is {}", value.kind()))
                        .help("only single values can stand inside a text"),
                ),
            }
            if value.origin == Origin::CommandLine {
                origin = Origin::CommandLine;
            }
        } else {
            unknown(written, name, names, found);
        }
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    Written { value: Value::Text(out), place: written.place, origin }
}

/// A value as if it had been written where its name stands.
fn moved(value: &Written, to: &Written) -> Written {
    let inner = match &value.value {
        Value::List(items) => Value::List(items.iter().map(|item| moved(item, to)).collect()),
        other => other.clone(),
    };
    Written { value: inner, place: to.place, origin: value.origin }
}

fn unknown(written: &Written, name: &str, names: &Names<'_>, found: &mut Found) {
    let known: Vec<&str> = names.known.iter().map(|(known, _)| known.as_str()).collect();
    let problem = Problem::at(written.place, format!("nothing is called `${{{name}}}`"));
    let problem = match names.later {
        Some(_) => problem.help("names stand under `vars`; `${matrix.AXIS}` in stages"),
        None => problem,
    };
    found.add(problem.or_else_one_of(name, known));
}

#[cfg(test)]
mod tests {
    use super::super::yaml::{parse, parse_value};
    use super::*;

    fn replaced(text: &str) -> (Written, Vec<String>) {
        let root = parse(text).unwrap();
        let set = parse_value("images").unwrap();
        let vars = root.get("vars").unwrap().clone();
        let mut known: Vec<(String, &Written)> = vars
            .entries()
            .unwrap()
            .iter()
            .map(|entry| (entry.key.value.clone(), &entry.value))
            .collect();
        known.push(("folder".to_owned(), &set));
        let names = Names { known, later: Some("matrix.") };
        let mut found = Found::default();
        let written = substitute(root.get("x").unwrap(), &names, &mut BTreeSet::new(), &mut found);
        let told = found.into_result("f", text).err();
        let told = told.map(|p| p.messages().map(str::to_owned).collect()).unwrap_or_default();
        (written, told)
    }

    #[test]
    fn a_whole_value_keeps_its_type_and_a_part_becomes_text() {
        let (written, _) = replaced("vars: { n: 3 }\nx: ['${n}', 'a${n}', '${matrix.n}']\n");
        let Value::List(items) = written.value else { panic!() };
        assert_eq!(items[0].value, Value::Integer(3));
        assert_eq!(items[1].value, Value::Text("a3".into()));
        assert_eq!(items[2].value, Value::Text("${matrix.n}".into()));
    }

    #[test]
    fn what_the_command_line_brings_stays_its_own() {
        let (written, _) = replaced("vars: {}\nx: '${folder}/train'\n");
        assert_eq!(written.origin, Origin::CommandLine);
        assert_eq!(written.value, Value::Text("images/train".into()));
    }

    #[test]
    fn unknown_and_unfinished_names_are_told() {
        let (_, told) = replaced("vars: { epochs: 3 }\nx: ['${epoch}', '${epochs']\n");
        assert_eq!(told, ["nothing is called `${epoch}`", "`${epochs` opens `${` without a `}`"]);
    }
}
