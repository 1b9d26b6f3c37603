//! Finding items that cannot be read, and remembering in the store what was found: the same content
//! is decoded once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::json;

use crate::data::{Dataset, Survey, Unreadable};
use crate::store::{Key, Record, Store};

/// Finds items that cannot be read; remembers in the store, if there is one.
pub(super) fn survey(store: Option<Arc<Store>>) -> Survey {
    Box::new(move |dataset: &Dataset| {
        let Some((store, contents)) = store.as_deref().zip(dataset.readable_by()) else {
            return dataset.unreadable();
        };
        let fields = json!({
            "kind": "survey",
            "version": 1,
            "contents": contents,
            "by": env!("CARGO_PKG_VERSION"),
        });
        let key = Key::of(&fields);
        if let Some(known) = remembered(store, key) {
            return known;
        }
        let unreadable = dataset.unreadable();
        remember(store, key, fields, &unreadable);
        unreadable
    })
}

const UNREADABLE: &str = "unreadable";

fn remembered(store: &Store, key: Key) -> Option<Unreadable> {
    let record = store.lookup(key, &mut |_| ())?;
    serde_json::from_value(record.facts.get(UNREADABLE)?.clone()).ok()
}

/// What cannot be remembered is looked at again next time.
fn remember(store: &Store, key: Key, fields: serde_json::Value, unreadable: &Unreadable) {
    let facts = [(UNREADABLE.to_owned(), json!(unreadable))].into();
    let record = Record { fields, facts, ..Record::default() };
    let saved = store.lock(key, &AtomicBool::new(false)).and_then(|lock| lock.save(&record));
    if let Err(error) = saved {
        tracing::warn!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_remembered_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for found in [Unreadable::new(), [(3, "cut off".to_owned()), (12, String::new())].into()] {
            let fields = json!({ "found": found });
            let key = Key::of(&fields);
            assert_eq!(remembered(&store, key), None);
            remember(&store, key, fields, &found);
            assert_eq!(remembered(&store, key), Some(found));
        }
    }
}
