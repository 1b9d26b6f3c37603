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

#[cfg(test)]
mod tests {
    use super::super::changes;

    fn told(before: &str, after: &str) -> Vec<String> {
        let none = [];
        let found = changes((before, &none), (after, &none)).unwrap();
        let side = |side: Option<String>| side.unwrap_or("-".to_owned());
        found
            .into_iter()
            .map(|s| format!("{}: {} > {}", s.what, side(s.before), side(s.after)))
            .collect()
    }

    #[test]
    fn only_what_is_meant_counts() {
        let before = "name: x\nvars: { n: 3 }\nstages: { a: { svm: { c: '${n}', of: [1, 2] } } }\n";
        // Another order, another form, a var by another name, and seeds that the record has.
        let after = "seeds: 9\nvars: { m: 3 }\nname: x\nstages:\n  a:\n    svm:\n      of: [1, 2]\n      \
                     c: '${m}'\n";
        assert!(told(before, after).is_empty(), "{:?}", told(before, after));
    }

    #[test]
    fn what_is_changed_added_and_gone_is_told_with_its_path() {
        let before =
            "name: x\nstages: { a: { svm: { c: 1, of: [1, 2] } }, b: { majority: { d: e } } }\n";
        let after = "name: x\nstages: { a: { svm: { c: 2, of: [2], r: true } } }\n";
        assert_eq!(
            told(before, after),
            [
                "stages.a.svm.c: 1 > 2",
                "stages.a.svm.of: [1, 2] > [2]",
                "stages.a.svm.r: - > true",
                "stages.b: { majority: { d: e } } > -",
            ]
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_has_no_changes_to_tell() {
        assert_eq!(changes(("name: x\n", &[]), ("name: [\n", &[])), None);
    }
}
