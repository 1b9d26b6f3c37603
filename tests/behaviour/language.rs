//! What the program says of its own language.

use serde_json::Value as Json;

use crate::harness::{Study, repository, text};

fn printed(arguments: &[&str]) -> String {
    Study::new("").told(arguments).succeeds().out
}

#[test]
fn the_schema_for_editors_is_the_one_that_is_committed() {
    let schema = printed(&["schema"]);
    let parsed: Json = serde_json::from_str(&schema).unwrap();
    assert_eq!(parsed["$schema"], "http://json-schema.org/draft-07/schema#");
    let committed = std::fs::read_to_string(repository().join("tl-run.schema.json"));
    assert!(
        committed.is_ok_and(|committed| committed == schema),
        "the language has changed; run `cargo run --release -- schema > tl-run.schema.json`"
    );
}

#[test]
fn the_reference_page_is_the_one_that_is_committed() {
    let page = printed(&["schema", "--reference"]);
    let committed = std::fs::read_to_string(repository().join("docs/language.md"));
    assert!(
        committed.is_ok_and(|committed| committed == page),
        "the language has changed; run `cargo run --release -- schema --reference > \
         docs/language.md`"
    );
}

#[test]
fn the_page_about_operators_is_the_one_that_is_committed() {
    let page = printed(&["schema", "--operators"]);
    let committed = std::fs::read_to_string(repository().join("docs/operators.md"));
    assert!(
        committed.is_ok_and(|committed| committed == page),
        "the rules of gradients have changed; run `cargo run --release -- schema --operators > \
         docs/operators.md`"
    );
}

#[test]
fn every_key_of_the_language_is_described() {
    fn walk(schema: &Json, path: &str, bare: &mut Vec<String>) {
        for (key, value) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{key}");
            // A word of a choice is described beside it.
            let described = value["description"].as_str().or(schema["description"].as_str());
            if described.is_none_or(str::is_empty) {
                bare.push(path.clone());
            }
            walk(value, &path, bare);
        }
        for key in ["oneOf", "allOf"] {
            for option in schema[key].as_array().into_iter().flatten() {
                walk(option, path, bare);
            }
        }
        if schema["additionalProperties"].is_object() {
            walk(&schema["additionalProperties"], path, bare);
        }
    }
    let schema: Json = serde_json::from_str(&printed(&["schema"])).unwrap();
    let mut bare = Vec::new();
    walk(&schema, "", &mut bare);
    assert!(bare.is_empty(), "these keys are not described: {bare:?}");
}

#[test]
fn every_pipeline_and_every_test_named_on_the_page_of_settings_is_there() {
    let page = text(&repository().join("docs"), "settings.md");
    let named =
        regex::Regex::new(r"`(?:pipelines/([a-z-]+\.yaml)|([a-z_]+\.rs): ([a-z_]+))`").unwrap();
    let mut count = 0;
    for found in named.captures_iter(&page) {
        count += 1;
        if let Some(pipeline) = found.get(1) {
            let path = repository().join("pipelines").join(pipeline.as_str());
            assert!(path.is_file(), "{} is no file", path.display());
            continue;
        }
        let tests = text(&repository().join("tests/behaviour"), &found[2]);
        let test = format!("fn {}()", &found[3]);
        assert!(tests.contains(&test), "{} has no test {}", &found[2], &found[3]);
    }
    let rows = page.lines().filter(|line| line.starts_with("| ")).count();
    let heads = page.matches("| idea |").count();
    assert_eq!(count, rows - heads, "every idea is shown by something");
}
