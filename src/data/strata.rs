//! What a split keeps in proportion, and what cannot be learnt from what it leaves.

use crate::base::Target;

use super::dataset::Dataset;

/// Bins of numbers.
const BINS: usize = 10;

/// The stratum of each item.
///
/// Of classes, the class. Of several labels, the rarest that the item has, by how many items of the
/// data set have it: rare labels are those that chance spreads unevenly. Strata are in the order of
/// rarity, and items without any label are the last one. Of numbers, tenths of the items by rank of
/// the first number (equal numbers are in one of them); items of which it is not known are the last
/// one.
pub fn strata(dataset: &Dataset) -> Vec<usize> {
    match dataset.target() {
        Target::Classes => dataset.labels(),
        Target::Labels => by_rarest(dataset),
        Target::Values => by_rank(dataset),
    }
}

fn by_rarest(dataset: &Dataset) -> Vec<usize> {
    let has = |item: &super::Item, label: usize| item.values[label] == Some(1.0);
    let labels = dataset.names().len();
    let count = |label: &usize| dataset.items().iter().filter(|item| has(item, *label)).count();
    let counts: Vec<usize> = (0..labels).map(|label| count(&label)).collect();
    let mut by_rarity: Vec<usize> = (0..labels).collect();
    by_rarity.sort_by_key(|label| counts[*label]);
    let rarest = |item| by_rarity.iter().position(|label| has(item, *label)).unwrap_or(labels);
    dataset.items().iter().map(rarest).collect()
}

fn by_rank(dataset: &Dataset) -> Vec<usize> {
    let first = |item: &super::Item| item.values.first().copied().flatten();
    let mut known: Vec<f64> = dataset.items().iter().filter_map(first).collect();
    known.sort_by(f64::total_cmp);
    let bin = |number: f64| {
        let below = known.partition_point(|other| *other < number);
        (below * BINS / known.len().max(1)).min(BINS - 1)
    };
    dataset.items().iter().map(|item| first(item).map_or(BINS, bin)).collect()
}

/// Why nothing can be learnt from these items, if they have labels or numbers.
pub(crate) fn unlearnable(dataset: &Dataset, items: &[usize]) -> Option<String> {
    match dataset.target() {
        Target::Classes => None,
        Target::Labels => {
            let one_sided = lacking(dataset, items).len();
            (one_sided == dataset.names().len()).then(|| {
                "no label has training items with it and without it, so none can be learnt"
                    .to_owned()
            })
        }
        Target::Values => (0..dataset.names().len()).find_map(|column| {
            let mut known = items.iter().filter_map(|&item| dataset.items()[item].values[column]);
            let name = &dataset.names()[column];
            let Some(first) = known.next() else {
                return Some(format!("`{name}` is not known of any training item"));
            };
            let differs = |other: f64| other.total_cmp(&first).is_ne();
            (!known.any(differs)).then(|| {
                format!("`{name}` is {first} for every training item, so it cannot be learnt")
            })
        }),
    }
}

/// Labels that all of these items have, or none of them, with what is missing.
fn lacking<'a>(dataset: &'a Dataset, items: &[usize]) -> Vec<(&'a str, &'static str)> {
    if dataset.target() != Target::Labels {
        return vec![];
    }
    let has = |column: usize, value: f64| {
        items.iter().any(|&item| dataset.items()[item].values[column] == Some(value))
    };
    let missing = |column: usize| match (has(column, 1.0), has(column, 0.0)) {
        (true, true) => None,
        (false, _) => Some("with it"),
        (true, false) => Some("without it"),
    };
    let names = dataset.names().iter().enumerate();
    names.filter_map(|(column, name)| Some((name.as_str(), missing(column)?))).collect()
}

/// Notes on labels of which nothing can be learnt from these items.
pub(super) fn one_sided(dataset: &Dataset, items: &[usize]) -> Vec<String> {
    let told = |(name, missing): (&str, &str)| {
        format!("`{name}` has no training item {missing}, so nothing is learnt of it")
    };
    lacking(dataset, items).into_iter().map(told).collect()
}
