//! How far scores before training agree on which features are of more use.

use std::collections::BTreeMap;

use crate::stats::concordance;

use super::estimates::Estimated;
use super::frame::Table;

/// Scores of the features of one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    /// The data set.
    pub target: String,
    /// How many features were scored.
    pub features: usize,
    /// Scores that have a number for all of them.
    pub scores: Vec<String>,
    /// Kendall's W: 1 where all scores put the features in the same order, about 0 where they have
    /// nothing in common.
    pub w: f64,
}

/// For each target of at least three features, scored by at least two scores of labels. What a score
/// says is its difference to random weights where that is known, as scores of layers of different
/// sizes cannot be compared otherwise; a mean over seeds.
pub(super) fn agreements(all: &[Estimated]) -> Vec<Agreement> {
    let mut targets: Vec<&str> = Vec::new();
    for one in all {
        if !targets.contains(&one.entry.target.as_str()) {
            targets.push(&one.entry.target);
        }
    }
    targets.into_iter().filter_map(|target| agreement(target, all)).collect()
}

fn agreement(target: &str, all: &[Estimated]) -> Option<Agreement> {
    let mut features: Vec<&str> = Vec::new();
    // Numbers of each score, by feature.
    let mut told: BTreeMap<&str, BTreeMap<&str, Vec<f64>>> = BTreeMap::new();
    for one in all.iter().filter(|one| one.entry.target == target) {
        if !features.contains(&one.entry.features.as_str()) {
            features.push(&one.entry.features);
        }
        let mut families: Vec<&str> = Vec::new();
        for row in &one.estimates.rows {
            let is_first = !families.contains(&row.family.as_str());
            families.push(&row.family);
            let number = one.difference(row).or(row.value).filter(|_| row.higher_is_better);
            if let (true, Some(number)) = (is_first, number) {
                let of_score = told.entry(&row.score).or_default();
                of_score.entry(&one.entry.features).or_default().push(number);
            }
        }
    }
    let mean = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let of_all = |found: &BTreeMap<&str, Vec<f64>>| {
        features.iter().map(|name| found.get(name).map(mean)).collect::<Option<Vec<f64>>>()
    };
    let known = told.iter().filter_map(|(score, found)| Some((*score, of_all(found)?)));
    let varies = |values: &[f64]| values.iter().any(|value| !value.total_cmp(&values[0]).is_eq());
    let known: Vec<(&str, Vec<f64>)> = known.filter(|(_, values)| varies(values)).collect();
    let (scores, judges): (Vec<&str>, Vec<Vec<f64>>) = known.into_iter().unzip();
    Some(Agreement {
        target: target.to_owned(),
        features: features.len(),
        scores: scores.into_iter().map(str::to_owned).collect(),
        w: concordance(&judges)?,
    })
}

/// One row for each target.
pub(super) fn table(all: &[Agreement]) -> Table {
    let each = || all.iter();
    Table::default()
        .text("target", each().map(|one| Some(one.target.as_str())))
        .whole("features", each().map(|one| Some(one.features as i64)))
        .texts("scores", each().map(|one| one.scores.clone()))
        .number("kendall_w", each().map(|one| Some(one.w)))
}
