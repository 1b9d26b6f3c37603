//! Finding items that cannot be read and items that are copies, and remembering in the store what was
//! found: the same content is decoded once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::data::{Copies, Dataset, FindAcross, FindCopies, Survey, Taken};
use crate::store::{Key, Record, Store};

/// Finds items that cannot be read; remembers in the store, if there is one.
pub(super) fn survey(store: Option<Arc<Store>>) -> Survey {
    Box::new(move |dataset: &Dataset| {
        let fields = dataset.readable_by().map(|contents| {
            json!({
                "kind": "survey",
                "version": 1,
                "contents": contents,
                "by": env!("CARGO_PKG_VERSION"),
            })
        });
        known(store.as_deref(), fields, UNREADABLE, || dataset.unreadable())
    })
}

/// Finds copies among items; remembers in the store, if there is one.
pub(super) fn copies(store: Option<Arc<Store>>) -> FindCopies {
    Box::new(move |dataset: &Dataset, are_images: bool| -> Copies {
        let fields = dataset.readable_by().map(|contents| {
            json!({
                "kind": "copies",
                "version": 1,
                "contents": contents,
                "are_images": are_images,
                "by": env!("CARGO_PKG_VERSION"),
            })
        });
        known(store.as_deref(), fields, COPIES, || dataset.copies(are_images))
    })
}

/// Finds copies across data sets; remembers in the store, if there is one.
pub(super) fn across(store: Option<Arc<Store>>) -> FindAcross {
    Box::new(move |one: Taken<'_>, other: Taken<'_>| -> Copies {
        let contents = one.content().zip(other.content());
        let fields = contents.map(|contents| {
            json!({
                "kind": "copies_across",
                "version": 1,
                "contents": contents,
                "by": env!("CARGO_PKG_VERSION"),
            })
        });
        known(store.as_deref(), fields, COPIES, || one.copies_in(&other))
    })
}

const UNREADABLE: &str = "unreadable";
const COPIES: &str = "copies";

/// What was found before of these fields, or what is found now.
fn known<T: Serialize + DeserializeOwned>(
    store: Option<&Store>,
    fields: Option<serde_json::Value>,
    what: &str,
    find: impl Fn() -> T,
) -> T {
    let Some((store, fields)) = store.zip(fields) else { return find() };
    let key = Key::of(&fields);
    if let Some(known) = remembered(store, key, what) {
        return known;
    }
    let found = find();
    remember(store, key, fields, what, &found);
    found
}

fn remembered<T: DeserializeOwned>(store: &Store, key: Key, what: &str) -> Option<T> {
    let record = store.lookup(key, &mut |_| ())?;
    serde_json::from_value(record.facts.get(what)?.clone()).ok()
}

/// What cannot be remembered is looked at again next time.
fn remember<T: Serialize>(
    store: &Store,
    key: Key,
    fields: serde_json::Value,
    what: &str,
    found: &T,
) {
    let facts = [(what.to_owned(), json!(found))].into();
    let record = Record { fields, facts, ..Record::default() };
    let saved = store.lock(key, &AtomicBool::new(false)).and_then(|lock| lock.save(&record));
    if let Err(error) = saved {
        tracing::warn!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Unreadable;

    #[test]
    fn what_was_found_is_remembered_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for found in [Unreadable::new(), [(3, "cut off".to_owned()), (12, String::new())].into()] {
            let fields = json!({ "found": found });
            let key = Key::of(&fields);
            assert_eq!(remembered::<Unreadable>(&store, key, UNREADABLE), None);
            remember(&store, key, fields, UNREADABLE, &found);
            assert_eq!(remembered(&store, key, UNREADABLE), Some(found));
        }
    }
}
