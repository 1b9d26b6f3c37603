//! The two declarations of the language: `keys!` for a map, `choice!` for one of several words.

/// Declares a struct that is written as a map. Each key has a doc comment (which becomes its
/// description) and, after `=`, the value it has when left out. `; .. name: Type` at the end takes
/// over the keys of another such struct.
macro_rules! keys {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident {
            $( $(#[doc = $about:literal])* $key:ident : $type:ty $(= $default:expr)? ),* $(,)?
            $( ; .. $more:ident : $shared:ty )?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        $vis struct $name {
            $( $(#[doc = $about])* pub $key: $type, )*
            $( /// Keys shared with others.
               #[serde(flatten)]
               pub $more: $shared, )?
        }

        impl $crate::base::language::Keys for $name {
            fn read_keys(
                fields: &mut $crate::base::language::Fields<'_>,
                found: &mut $crate::base::Found,
            ) -> Option<Self> {
                $(
                    let $key: Option<$type> = $crate::base::language::keys!(
                        @read fields, found, $key $(, $default)?
                    );
                )*
                $( let $more = <$shared as $crate::base::language::Keys>::read_keys(fields, found); )?
                Some(Self { $( $key: $key?, )* $( $more: $more?, )? })
            }

            fn describe(
                #[allow(unused_variables, reason = "a map may have no keys")]
                properties: &mut serde_json::Map<String, serde_json::Value>,
                #[allow(unused_variables, reason = "a map may have no key that is required")]
                required: &mut Vec<&'static str>,
            ) {
                $(
                    let mut key = <$type as $crate::base::language::Read>::schema();
                    key["description"] = concat!($($about),*).trim().into();
                    $crate::base::language::keys!(@default key, required, $key, $type $(, $default)?);
                    properties.insert(stringify!($key).to_owned(), key);
                )*
                $( <$shared as $crate::base::language::Keys>::describe(properties, required); )?
            }
        }

        impl $crate::base::language::Read for $name {
            fn read(
                written: &$crate::base::Written,
                found: &mut $crate::base::Found,
            ) -> Option<Self> {
                let of = $crate::base::language::called(stringify!($name));
                let mut fields = $crate::base::language::Fields::open(&of, written, found)?;
                let read = <Self as $crate::base::language::Keys>::read_keys(&mut fields, found);
                fields.close(found);
                read
            }

            fn schema() -> serde_json::Value {
                let mut properties = serde_json::Map::new();
                let mut required: Vec<&'static str> = vec![];
                <Self as $crate::base::language::Keys>::describe(&mut properties, &mut required);
                serde_json::json!({
                    "type": "object",
                    "title": format!(
                        "the keys of `{}`",
                        $crate::base::language::called(stringify!($name))
                    ),
                    "description": concat!($($doc),*).trim(),
                    "properties": properties,
                    "required": required,
                    "additionalProperties": false,
                })
            }
        }
    };
    (@read $fields:ident, $found:ident, $key:ident) => {
        $fields.required(stringify!($key), $found)
    };
    (@read $fields:ident, $found:ident, $key:ident, $default:expr) => {
        $fields.or(stringify!($key), || $default, $found)
    };
    (@default $schema:ident, $required:ident, $key:ident, $type:ty) => {
        $required.push(stringify!($key));
    };
    (@default $schema:ident, $required:ident, $key:ident, $type:ty, $default:expr) => {
        let default: $type = $default;
        $schema["default"] = serde_json::json!(default);
    };
}

/// Declares an enum that is written as a word, or as a map with that one word as its key.
macro_rules! choice {
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $name:ident {
            $( $(#[doc = $about:literal])* $word:literal => $variant:ident $(($body:ty))? ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        $vis enum $name {
            $( $(#[doc = $about])* #[serde(rename = $word)] $variant $(($body))?, )*
        }

        impl $crate::base::language::Read for $name {
            fn read(
                written: &$crate::base::Written,
                found: &mut $crate::base::Found,
            ) -> Option<Self> {
                let of = $crate::base::language::snake(stringify!($name));
                let (word, body) =
                    $crate::base::language::chosen(&of, &[$($word),*], written, found)?;
                match word.as_str() {
                    $( $word => $crate::base::language::choice!(
                        @read $variant, body, found $(, $body)?
                    ), )*
                    _ => None,
                }
            }

            fn schema() -> serde_json::Value {
                let mut options: Vec<serde_json::Value> = vec![];
                $(
                    let about = concat!("", $($about),*).trim();
                    $crate::base::language::choice!(@schema options, $word, about $(, $body)?);
                )*
                serde_json::json!({
                    "title": $crate::base::language::one_of(&[$($word),*]),
                    "description": concat!($($doc),*).trim(),
                    "oneOf": options,
                })
            }
        }
    };
    (@read $variant:ident, $body:ident, $found:ident) => {
        $crate::base::language::bare(&$body, $found).then_some(Self::$variant)
    };
    (@read $variant:ident, $body:ident, $found:ident, $type:ty) => {
        <$type as $crate::base::language::Read>::read(&$body, $found).map(Self::$variant)
    };
    (@schema $options:ident, $word:literal, $about:ident) => {
        $options.push(serde_json::json!({ "const": $word, "description": $about }));
    };
    (@schema $options:ident, $word:literal, $about:ident, $type:ty) => {
        let body = <$type as $crate::base::language::Read>::schema();
        if body["required"].as_array().is_some_and(|keys| keys.is_empty()) {
            $options.push(serde_json::json!({ "const": $word, "description": $about }));
        }
        $options.push(serde_json::json!({
            "type": "object",
            "description": $about,
            "properties": { $word: body },
            "required": [$word],
            "additionalProperties": false,
        }));
    };
}

pub(crate) use {choice, keys};

use crate::base::{Found, Problem, Written};

/// `FineTune` as it is written: `fine_tune`.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    for (index, letter) in name.char_indices() {
        if letter.is_uppercase() && index > 0 {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// What the keys of a type are the keys of, as a person would say: `EnergySpec` is `energy`.
pub fn called(name: &str) -> String {
    let written = snake(name);
    let plain = ["_spec", "_rule"].iter().find_map(|end| written.strip_suffix(end));
    plain.unwrap_or(&written).to_owned()
}

/// "`a`, `b` or `c`".
pub fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// The word that was chosen and what was written under it.
pub fn chosen(
    of: &str,
    words: &[&str],
    written: &Written,
    found: &mut Found,
) -> Option<(String, Written)> {
    let (word, place, body) = match (written.scalar(), written.entries()) {
        (Some(word), _) if !word.is_empty() => {
            (word, written.place, Written::empty_map(written.place))
        }
        (None, Some([entry])) => (entry.key.value.clone(), entry.key.place, entry.value.clone()),
        _ => {
            found.add(super::unexpected(written, &one_of(words)));
            return None;
        }
    };
    if words.contains(&word.as_str()) {
        return Some((word, body));
    }
    let problem = Problem::at(place, format!("`{word}` is not a kind of `{of}`"));
    found.add(problem.or_else_one_of(&word, words.iter().copied()));
    None
}

/// Whether nothing was written under a word that takes nothing.
pub fn bare(body: &Written, found: &mut Found) -> bool {
    let empty = body.entries().is_some_and(<[_]>::is_empty);
    if !empty {
        found.add(super::unexpected(body, "nothing under this word"));
    }
    empty
}
