//! `--only`: some stages of a plan, and what they need.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Problem;
use crate::stages::{NodeId, Reference, Site, full_name};
use crate::store::RunStage;

/// Keeps the nodes of the named stages and those they read from; everything if nothing is named.
pub(super) fn keep(named: &[String], site: &mut Site, stages: &mut Vec<RunStage>) {
    if named.is_empty() {
        return;
    }
    let wanted: BTreeSet<String> = named.iter().flat_map(|name| matching(name, site)).collect();
    // Nodes come after those they read from, so one way back finds all of them.
    let mut kept = BTreeSet::new();
    for (index, node) in site.nodes.iter().enumerate().rev() {
        if wanted.contains(&node.stage) || kept.contains(&index) {
            kept.insert(index);
            kept.extend(node.inputs.iter().map(|input| input.from.0));
        }
    }
    let position: BTreeMap<usize, usize> =
        kept.iter().enumerate().map(|(new, &old)| (old, new)).collect();
    let nodes = std::mem::take(&mut site.nodes).into_iter().enumerate();
    site.nodes = nodes.filter(|(index, _)| kept.contains(index)).map(|(_, node)| node).collect();
    for input in site.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
        input.from = NodeId(position[&input.from.0]);
    }
    stages.retain(|stage| stage.nodes.iter().all(|node| kept.contains(node)));
    for stage in stages {
        let all = |nodes: &[usize]| nodes.iter().all(|node| kept.contains(node));
        stage.scored.retain(|(_, nodes)| all(nodes));
        stage.estimated.retain(|entry| all(&entry.nodes) && all(&entry.random));
        renumber(stage, &position);
    }
}

/// Gives a stage's nodes their new positions, of which each has one.
pub(super) fn renumber(stage: &mut RunStage, position: &BTreeMap<usize, usize>) {
    let renumber = |nodes: &mut Vec<usize>| nodes.iter_mut().for_each(|n| *n = position[n]);
    renumber(&mut stage.nodes);
    stage.scored.iter_mut().for_each(|(_, nodes)| renumber(nodes));
    for entry in &mut stage.estimated {
        renumber(&mut entry.nodes);
        renumber(&mut entry.random);
    }
}

/// Full names of the stages that a word of the command line names.
fn matching(name: &str, site: &mut Site) -> Vec<String> {
    let reference = Reference::parse(name).filter(|reference| reference.layer.is_none());
    let is_meant = |stage: &str, axes: &[(String, String)]| {
        reference.as_ref().is_some_and(|reference| {
            reference.stage == stage && reference.axes.iter().all(|axis| axes.contains(axis))
        })
    };
    let found: Vec<String> = site
        .planned
        .iter()
        .filter(|planned| is_meant(&planned.stage, &planned.axes))
        .map(|planned| full_name(&planned.stage, &planned.axes))
        .collect();
    if found.is_empty() {
        let known: Vec<String> =
            site.planned.iter().map(|p| full_name(&p.stage, &p.axes)).collect();
        let known: Vec<&str> = site
            .stage_names
            .iter()
            .map(String::as_str)
            .chain(known.iter().map(String::as_str))
            .collect();
        let problem = Problem::anywhere(format!("--only {name}: there is no such stage"));
        let problem = problem.or_else_one_of(name, known);
        site.problem(problem);
    }
    found
}
