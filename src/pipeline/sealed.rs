//! Scores before training stand before any training for their target begins.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Place;
use crate::stages::{Estimated, EstimatesOffer, Input, Offers, Runs, Site};
use crate::store::RunEstimated;

/// The kind of stage that scores before training.
const KIND: &str = "transferability";

/// Puts stages that score in front of every stage that none of them reads from, directly or not.
/// `before` tells for each stage, by position, what has to be planned before it.
pub(super) fn first(kinds: &[&str], places: &[Place], before: &mut [BTreeMap<usize, Place>]) {
    let scoring: Vec<usize> = (0..kinds.len()).filter(|&index| kinds[index] == KIND).collect();
    let mut read: BTreeSet<usize> = scoring.iter().copied().collect();
    let mut open = scoring.clone();
    while let Some(index) = open.pop() {
        open.extend(before[index].keys().filter(|earlier| read.insert(**earlier)));
    }
    for index in (0..kinds.len()).filter(|index| !read.contains(index)) {
        for &earlier in &scoring {
            before[index].entry(earlier).or_insert(places[earlier]);
        }
    }
}

/// Whoever predicts for a target begins once the scores planned for that target stand. Nobody reads
/// them, so without them the work can be done all the same.
pub(super) fn before(offers: &Offers, site: &Site) -> Vec<Input> {
    let Some(classifier) = &offers.classifier else { return vec![] };
    let scored = site.planned.iter().filter_map(|p| p.offers.as_ref()?.estimates.as_ref());
    let of_target = scored.filter(|offer| offer.target == classifier.arm.target);
    let runs = of_target
        .flat_map(|offer| &offer.features)
        .flat_map(|entry| std::iter::once(&entry.runs).chain(&entry.random).flat_map(Runs::all));
    runs.map(|node| Input { optional: true, ..Input::order(node) }).collect()
}

/// The layers that a stage scores, for the run's record.
pub(super) fn recorded(offer: &EstimatesOffer) -> Vec<RunEstimated> {
    let nodes = |runs: &Runs| runs.all().iter().map(|node| node.0).collect();
    let entry = |estimated: &Estimated| RunEstimated {
        features: estimated.features.clone(),
        base: estimated.base.clone(),
        target: offer.target.clone(),
        nodes: nodes(&estimated.runs),
        random: estimated.random.as_ref().map(nodes).unwrap_or_default(),
    };
    offer.features.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_not_read_comes_after_the_scores() {
        // A source, its features, a probe of them, scores of the features, and another source.
        let kinds = ["pretrain", "extract", "linear_probe", "transferability", "pretrain"];
        let place = Place::default();
        let mut before: Vec<BTreeMap<usize, Place>> = [vec![], vec![0], vec![1], vec![1], vec![]]
            .into_iter()
            .map(|earlier: Vec<usize>| earlier.into_iter().map(|at| (at, place)).collect())
            .collect();
        first(&kinds, &[place; 5], &mut before);
        let found: Vec<Vec<usize>> = before.iter().map(|b| b.keys().copied().collect()).collect();
        assert_eq!(found, [vec![], vec![0], vec![1, 3], vec![1], vec![3]]);
    }
}
