//! Whether two runs were tested on the same items: only then do their scores say anything of each
//! other.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::base::counted;

use super::opened::{Item, OpenedRun, Tested};

/// Runs were tested on other items.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "the runs {reference} and {run} were tested on different items, so that their scores say \
     nothing of each other\n{}",
    lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
)]
pub struct TestsDiffer {
    /// Id of the reference.
    pub reference: String,
    /// Id of the run.
    pub run: String,
    /// What differs.
    pub lines: Vec<String>,
}

/// Refuses runs whose test items differ in any arm that both have; tells what cannot be known.
pub(super) fn check(
    reference: &OpenedRun,
    run: &OpenedRun,
    split: &str,
) -> Result<Vec<String>, TestsDiffer> {
    let mut notes = Vec::new();
    let mut lines = Vec::new();
    let mut seen = BTreeSet::new();
    for stage in reference.record.stages.iter().map(|stage| &stage.name) {
        let (Some(before), Some(after)) =
            (first_items(reference, stage, split), first_items(run, stage, split))
        else {
            continue;
        };
        let targets = (reference.target(stage), run.target(stage));
        // Arms of one data set have the same test items.
        if targets.0.is_some() && !seen.insert(targets) {
            continue;
        }
        let of = targets.0.map(|name| format!("of `{name}`")).unwrap_or_default();
        let found = differences(before, after, &of);
        if !found.is_empty() {
            lines.extend(found);
        } else if split == "test" {
            contents(reference, run, targets, before, &mut lines, &mut notes);
        }
    }
    match lines.is_empty() {
        true => Ok(notes),
        false => Err(TestsDiffer {
            reference: reference.record.run.clone(),
            run: run.record.run.clone(),
            lines,
        }),
    }
}

/// The items of a stage's first seed that has any.
fn first_items<'a>(run: &'a OpenedRun, stage: &str, split: &str) -> Option<&'a [Item]> {
    let of = |seed: Option<u64>| Tested {
        stage: stage.to_owned(),
        seed: seed.map(|seed| seed as i64),
        split: split.to_owned(),
    };
    let seeds = run.record.seeds.iter().map(|seed| Some(*seed));
    seeds.chain(std::iter::once(None)).find_map(|seed| run.items(&of(seed)))
}

fn differences(before: &[Item], after: &[Item], of: &str) -> Vec<String> {
    let by_id = |items: &[Item]| -> BTreeMap<String, Item> {
        items.iter().map(|item| (item.id.clone(), item.clone())).collect()
    };
    let (left, right) = (by_id(before), by_id(after));
    let missing = |these: &BTreeMap<String, Item>, others: &BTreeMap<String, Item>| {
        these.keys().filter(|id| !others.contains_key(*id)).cloned().collect::<Vec<_>>()
    };
    let relabelled: Vec<String> = left
        .values()
        .filter(|item| right.get(&item.id).is_some_and(|other| other.label != item.label))
        .map(|item| item.id.clone())
        .collect();
    let mut lines = Vec::new();
    let mut tell = |ids: &[String], what: &str| {
        if !ids.is_empty() {
            lines.push(format!("{} {of} {what}: {}", counted(ids.len(), "item"), some(ids)));
        }
    };
    tell(&missing(&left, &right), "only in the first");
    tell(&missing(&right, &left), "only in the second");
    tell(&relabelled, "with another label");
    if lines.is_empty() {
        let moved = regrouped(&left, &right);
        if !moved.is_empty() {
            let count = counted(moved.len(), "item");
            lines.push(format!("{count} {of} in another group: {}", some(&moved)));
        }
    }
    lines.into_iter().map(|line| line.replace("  ", " ")).collect()
}

/// Items that stand together with others in one run than in the other; numbers of groups mean
/// nothing.
fn regrouped(left: &BTreeMap<String, Item>, right: &BTreeMap<String, Item>) -> Vec<String> {
    let company = |items: &BTreeMap<String, Item>| {
        let mut first: BTreeMap<i64, String> = BTreeMap::new();
        let of =
            |item: &Item| item.group.map(|g| first.entry(g).or_insert(item.id.clone()).clone());
        items.values().map(of).collect::<Vec<_>>()
    };
    let pairs = company(left).into_iter().zip(company(right));
    left.keys().zip(pairs).filter(|(_, (a, b))| a != b).map(|(id, _)| id.clone()).collect()
}

/// Compares what the records say of contents. Items are in the same order in record and table.
fn contents(
    reference: &OpenedRun,
    run: &OpenedRun,
    targets: (Option<&str>, Option<&str>),
    items: &[Item],
    lines: &mut Vec<String>,
    notes: &mut Vec<String>,
) {
    let record = |run: &'_ OpenedRun, name: Option<&str>| {
        run.record.tests.iter().find(|test| Some(test.dataset.as_str()) == name).cloned()
    };
    let (before, after) = (record(reference, targets.0), record(run, targets.1));
    let (Some(before), Some(after)) = (before, after) else {
        let name = targets.0.unwrap_or("the data");
        notes.push(format!(
            "contents of the test items of `{name}` are not on record in both runs: names, labels \
             and groups were compared"
        ));
        return;
    };
    if before.digest == after.digest {
        return;
    }
    let pieces = |text: &str| -> Vec<String> {
        text.as_bytes().chunks(8).map(|piece| String::from_utf8_lossy(piece).into_owned()).collect()
    };
    let other = pieces(&before.contents).into_iter().zip(pieces(&after.contents));
    let changed: Vec<String> = items
        .iter()
        .zip(other)
        .filter(|(_, (a, b))| a != b)
        .map(|(item, _)| item.id.clone())
        .collect();
    // Group names can differ where their members do not.
    if !changed.is_empty() {
        let count = counted(changed.len(), "item");
        lines.push(format!(
            "{count} of `{}` with other content: {}",
            before.dataset,
            some(&changed)
        ));
    }
}

/// The first few.
fn some(ids: &[String]) -> String {
    const MOST: usize = 5;
    let shown = ids[..ids.len().min(MOST)].join(", ");
    match ids.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, group: i64, label: &str) -> Item {
        Item {
            id: id.to_owned(),
            group: Some(group),
            label: label.to_owned(),
            predicted: String::new(),
        }
    }

    #[test]
    fn numbers_of_groups_and_the_order_of_items_mean_nothing() {
        let before = [item("a", 0, "cat"), item("b", 0, "dog"), item("c", 1, "dog")];
        let after = [item("c", 4, "dog"), item("b", 7, "dog"), item("a", 7, "cat")];
        assert!(differences(&before, &after, "").is_empty());
    }

    #[test]
    fn other_items_labels_and_groups_are_told() {
        let before = [item("a", 0, "cat"), item("b", 0, "dog"), item("c", 1, "dog")];
        let regrouped = [item("a", 0, "cat"), item("b", 1, "dog"), item("c", 1, "dog")];
        let told = differences(&before, &regrouped, "of `pets`");
        assert_eq!(told, ["2 items of `pets` in another group: b, c"]);
        let other = [item("a", 0, "dog"), item("b", 0, "dog"), item("d", 1, "dog")];
        assert_eq!(
            differences(&before, &other, "of `pets`"),
            [
                "1 item of `pets` only in the first: c",
                "1 item of `pets` only in the second: d",
                "1 item of `pets` with another label: a",
            ]
        );
    }
}
