//! Scores before training stand before any training for their target begins.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Place, Problem};
use crate::stages::{
    AdviceOffer, Estimated, EstimatesOffer, Input, NodeId, Offers, Planned, Runs, Site, full_name,
};
use crate::store::{RunAdvised, RunEstimated, RunStage};

use super::only::renumber;

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

/// What advice is about, for the run's record.
pub(super) fn advised(offer: &AdviceOffer) -> RunAdvised {
    let believed = offer.believed.map(str::to_owned);
    RunAdvised { target: offer.target.clone(), models: offer.models.clone(), believed }
}

/// Whoever predicts for a target begins once the advice on that target stands. Advice is planned
/// after the arms it speaks of, so its work is moved before theirs.
pub(super) fn advise_first(site: &mut Site, stages: &mut [RunStage]) {
    let all = site.planned.clone();
    let advice: Vec<(&Planned, &AdviceOffer)> = all
        .iter()
        .filter_map(|planned| Some((planned, planned.offers.as_ref()?.advice.as_ref()?)))
        .collect();
    if advice.is_empty() {
        return;
    }
    for (planned, offer) in advice {
        let read = read_by(offer.node, site);
        tell_read_arms(planned, &read, site);
        let waits = |planned: &&Planned| {
            let classifier = planned.offers.as_ref().and_then(|o| o.classifier.as_ref());
            classifier.is_some_and(|classifier| classifier.arm.target == offer.target)
        };
        let waiting: BTreeSet<String> =
            all.iter().filter(waits).map(|p| full_name(&p.stage, &p.axes)).collect();
        for index in (0..site.nodes.len()).filter(|index| !read.contains(index)) {
            if waiting.contains(&site.nodes[index].stage) {
                let order = Input { optional: true, ..Input::order(offer.node) };
                site.nodes[index].inputs.push(order);
            }
        }
    }
    reorder(site, stages);
}

/// The nodes that a node reads from, directly or not, and itself.
fn read_by(node: NodeId, site: &Site) -> BTreeSet<usize> {
    let mut read = BTreeSet::from([node.0]);
    let mut open = vec![node.0];
    while let Some(index) = open.pop() {
        let inputs = site.nodes[index].inputs.iter().map(|input| input.from.0);
        open.extend(inputs.filter(|from| read.insert(*from)).collect::<Vec<_>>());
    }
    read
}

/// Refuses advice on an arm that has to be trained before it can be given.
fn tell_read_arms(advice: &Planned, read: &BTreeSet<usize>, site: &mut Site) {
    let own: BTreeSet<&str> = read.iter().map(|&node| site.nodes[node].stage.as_str()).collect();
    let Some((offers, offer)) =
        advice.offers.as_ref().and_then(|offers| Some((offers, offers.advice.as_ref()?)))
    else {
        return;
    };
    let arms = offers.verdict_of.iter().zip(&offer.places);
    let trained: Vec<(&String, &Place)> =
        arms.filter(|(arm, _)| own.contains(arm.as_str())).collect();
    for (arm, place) in trained {
        let stage = full_name(&advice.stage, &advice.axes);
        let message = format!("`{stage}` waits for `{arm}`, on which it is to advise");
        let help = "leave that arm away, or what reads its model: advice stands before its arms are \
                    trained";
        site.problem(Problem::at(*place, message).help(help));
    }
}

/// Puts nodes in an order in which each comes after those it waits for, otherwise as they were.
fn reorder(site: &mut Site, stages: &mut [RunStage]) {
    let count = site.nodes.len();
    let mut left: Vec<usize> = vec![0; count];
    let mut after: Vec<Vec<usize>> = vec![vec![]; count];
    for (index, node) in site.nodes.iter().enumerate() {
        let from: BTreeSet<usize> = node.inputs.iter().map(|input| input.from.0).collect();
        left[index] = from.len();
        for from in from {
            after[from].push(index);
        }
    }
    let mut ready: BTreeSet<usize> = (0..count).filter(|&index| left[index] == 0).collect();
    let mut position = BTreeMap::new();
    let mut order = Vec::new();
    while let Some(index) = ready.pop_first() {
        position.insert(index, order.len());
        order.push(index);
        for &next in &after[index] {
            left[next] -= 1;
            if left[next] == 0 {
                ready.insert(next);
            }
        }
    }
    // Arms that advice reads are told as a problem and wait for nothing, so there is no circle.
    let nodes = std::mem::take(&mut site.nodes);
    site.nodes = order.iter().map(|&index| nodes[index].clone()).collect();
    for input in site.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
        input.from = NodeId(position[&input.from.0]);
    }
    for stage in stages {
        renumber(stage, &position);
    }
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
