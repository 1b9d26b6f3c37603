//! Groups that look invented: they were meant to keep persons together, but say something else.

use std::collections::BTreeMap;

use crate::base::Target;

use super::dataset::{Dataset, Item};
use super::split::Part;

/// What is odd about the groups of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OddGroups {
    /// What is odd, for a person.
    pub message: String,
    /// A way out.
    pub help: &'static str,
    /// Whether no split by such groups can work.
    pub is_fatal: bool,
}

/// Tells groups that cannot be what they are meant to be: all items share one, each is alone in its
/// own, they count the rows, or they repeat the class or the part.
pub fn odd_groups(dataset: &Dataset) -> Option<OddGroups> {
    let items = dataset.items();
    let group = |item: &Item| item.group.clone();
    let named: Vec<String> = items.iter().filter_map(group).collect();
    if named.len() < items.len() || items.len() < 2 {
        return None;
    }
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, name) in named.iter().enumerate() {
        members.entry(name).or_default().push(index);
    }
    let odd = |message: String, help, is_fatal| Some(OddGroups { message, help, is_fatal });
    let first = &named[0];
    if members.len() == 1 {
        let message = format!("all {} items are of one group, `{first}`", items.len());
        return odd(message, ONE, true);
    }
    if follows_class(dataset, &members) {
        let message = format!(
            "the groups are the classes: every item of `{first}` is of one class, and no other group is"
        );
        return odd(message, ONE, true);
    }
    if items.iter().all(repeats_part) {
        let message =
            "the groups are the parts `train`, `val` and `test`, so they keep nobody together";
        return odd(message.to_owned(), ONE, true);
    }
    if members.len() < items.len() {
        return None;
    }
    let counts = |from: usize| {
        items.iter().zip(&named).all(|(item, name)| name.parse() == Ok(item.row + from))
    };
    let message = match counts(0) || counts(1) {
        true => format!("the groups count the rows: each of the {} items has its own", items.len()),
        false => format!("each of the {} items is in a group of its own", items.len()),
    };
    odd(message, EACH, false)
}

const ONE: &str = "say a column or a pattern that tells persons apart, or leave the groups out";
const EACH: &str = "if items do share persons, say what tells these; if not, leave the groups out";

/// Whether each class has one group of its own.
fn follows_class(dataset: &Dataset, members: &BTreeMap<&str, Vec<usize>>) -> bool {
    if dataset.target() != Target::Classes || members.len() != dataset.classes().len() {
        return false;
    }
    let class_of = |group: &Vec<usize>| {
        let class = dataset.items()[group[0]].label;
        group.iter().all(|&item| dataset.items()[item].label == class).then_some(class)
    };
    let mut classes: Vec<Option<usize>> = members.values().map(class_of).collect();
    classes.sort_unstable();
    classes.dedup();
    classes.len() == members.len() && !classes.contains(&None)
}

fn repeats_part(item: &Item) -> bool {
    let named = item.group.as_deref().and_then(Part::from_word);
    named.is_some() && named == item.part
}
