//! `schema`: the language of pipeline files, for editors and for people; made from the types that
//! read it.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::base::language::words;
use crate::console;
use crate::pipeline::spec;
use crate::stages::StageKind;

use super::Exit;

/// Prints the JSON Schema, or the reference page.
pub(super) fn print(reference: bool) -> Exit {
    if reference {
        console::out(page().trim_end());
    } else {
        let schema = spec::schema();
        console::out(&serde_json::to_string_pretty(&schema).unwrap_or_default());
    }
    Exit::Good
}

/// The reference of the language, as Markdown.
pub(crate) fn page() -> String {
    let mut page = String::from(
        "# The language of pipelines\n\nMade by `tl-run schema --reference` from the types that \
         read it; do not edit.\n",
    );
    let schema = spec::schema();
    section(&mut page, 2, "A file", &schema);
    let parts = [
        ("A data set", "datasets", &["split", "select", "on_bad", "on_leak", "domain", "task"][..]),
        ("A base model", "models", &[]),
    ];
    for (title, key, siblings) in parts {
        let entry = &schema["properties"][key]["additionalProperties"];
        let _ = write!(page, "\n## {title}\n");
        if siblings.is_empty() {
            keys(&mut page, entry);
            nested(&mut page, entry);
        } else {
            let _ = write!(
                page,
                "\nOne of these kinds, with `split` and perhaps `select`, `on_bad`, \
                 `on_leak`, `domain` and `task` beside it.\n"
            );
            choices(&mut page, 3, &entry["allOf"][0]);
            for sibling in siblings {
                let sub = &entry["allOf"][1]["properties"][*sibling];
                section(&mut page, 3, &format!("`{sibling}`"), sub);
                if sub["oneOf"].is_array() {
                    choices(&mut page, 0, sub);
                }
            }
        }
    }
    page.push_str(
        "\n## A stage\n\nOne of these kinds, perhaps with `matrix` (axes with values, one stage \
         for each combination, `${matrix.AXIS}` stands for the value) and `needs` (stages that \
         must be done before it) beside it.\n",
    );
    for (word, schema) in StageKind::schemas() {
        section(&mut page, 3, &format!("`{word}`"), &schema);
    }
    page
}

fn section(page: &mut String, level: usize, title: &str, schema: &Json) {
    let _ = write!(page, "\n{} {title}\n", "#".repeat(level));
    if let Some(text) = schema["description"].as_str() {
        let _ = write!(page, "\n{text}\n");
    }
    keys(page, schema);
    nested(page, schema);
}

/// A table of keys.
fn keys(page: &mut String, schema: &Json) {
    let Some(properties) = schema["properties"].as_object() else { return };
    if properties.is_empty() {
        return;
    }
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    page.push_str("\n| key | what it is | if left out | |\n|---|---|---|---|\n");
    for (key, value) in properties {
        let default = match (&value["default"], required.contains(&key.as_str())) {
            (_, true) => "required".to_owned(),
            (Json::Null, false) => String::new(),
            (default, false) => format!("`{default}`"),
        };
        let about = value["description"].as_str().unwrap_or_default();
        let _ = writeln!(page, "| `{key}` | {} | {default} | {about} |", words(value));
    }
}

/// Choices of keys that are one of several words.
fn nested(page: &mut String, schema: &Json) {
    let Some(properties) = schema["properties"].as_object() else { return };
    for (key, value) in properties {
        let is_choice = value["oneOf"]
            .as_array()
            .is_some_and(|options| options.iter().any(|one| one["const"].is_string()));
        if is_choice {
            let _ = write!(page, "\n`{key}` is one of:\n");
            choices(page, 0, value);
        } else if let Some(described) = described(value) {
            let _ = write!(page, "\n`{key}` may be:\n");
            choices(page, 0, described);
        } else if value["properties"].is_object() {
            let _ = write!(page, "\nThe keys of `{key}`:\n");
            keys(page, value);
            nested(page, value);
        }
    }
}

/// What may be a plain value too, if one of its other forms is described.
fn described(value: &Json) -> Option<&Json> {
    let forms = value["oneOf"].as_array()?;
    let is_described =
        |form: &Json| form["description"].is_string() && form["properties"].is_object();
    forms.iter().any(is_described).then_some(value)
}

/// Words that can be chosen, each with its own keys. `level` 0 lists them.
fn choices(page: &mut String, level: usize, schema: &Json) {
    for option in schema["oneOf"].as_array().into_iter().flatten() {
        let about = option["description"].as_str().unwrap_or_default();
        if let Some(word) = option["const"].as_str() {
            let _ = if level == 0 { write!(page, "\n- `{word}`: {about}") } else { Ok(()) };
        } else if option["title"].as_str().is_some_and(|title| title.starts_with("the keys of")) {
            let _ = write!(page, "\n- keys: {about}\n");
            keys(page, option);
            nested(page, option);
        } else if let Some((word, body)) =
            option["properties"].as_object().and_then(|map| map.iter().next())
        {
            if level == 0 {
                let _ = write!(page, "\n- `{word}: {{ … }}`: {about}\n");
            } else {
                let _ = write!(page, "\n{} `{word}`\n\n{about}\n", "#".repeat(level));
            }
            keys(page, body);
            nested(page, body);
        }
    }
    page.push('\n');
}
