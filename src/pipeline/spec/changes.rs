//! What two pipelines set otherwise, as both mean it: names replaced by their values.

use serde::Serialize;

use crate::base::{Value, Written};

/// Something that is set otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Where it stands: `stages.tuned.fine_tune.epochs`.
    pub what: String,
    /// What it was; nothing if it was not there.
    pub before: Option<String>,
    /// What it is; nothing if it is there no more.
    pub after: Option<String>,
}

/// Differences of two documents, in the order of the first.
pub(super) fn between(before: &Written, after: &Written) -> Vec<Setting> {
    let mut found = Vec::new();
    collect("", Some(before), Some(after), &mut found);
    found
}

fn collect(
    what: &str,
    before: Option<&Written>,
    after: Option<&Written>,
    found: &mut Vec<Setting>,
) {
    if let (Some(Value::Map(first)), Some(Value::Map(second))) =
        (before.map(|b| &b.value), after.map(|a| &a.value))
    {
        let added = second.iter().filter(|entry| !first.iter().any(|e| *e.key == *entry.key));
        for key in first.iter().chain(added).map(|entry| entry.key.as_str()) {
            // Vars show where they are used, seeds are on record as they were run.
            if what.is_empty() && ["vars", "seeds"].contains(&key) {
                continue;
            }
            let path = if what.is_empty() { key.to_owned() } else { format!("{what}.{key}") };
            let side = |side: Option<&'_ Written>| side.and_then(|map| map.get(key)).cloned();
            collect(&path, side(before).as_ref(), side(after).as_ref(), found);
        }
        return;
    }
    let (before, after) = (before.map(flow), after.map(flow));
    if before != after {
        found.push(Setting { what: what.to_owned(), before, after });
    }
}

/// A value on one line.
fn flow(written: &Written) -> String {
    match &written.value {
        Value::List(items) => {
            format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", "))
        }
        Value::Map(entries) => {
            let pairs = entries.iter().map(|e| format!("{}: {}", *e.key, flow(&e.value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        _ => written.scalar().unwrap_or_default(),
    }
}
