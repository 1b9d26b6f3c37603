//! Planning a training: nodes for the cuts, for each learning rate, and for the choice.

use std::sync::Arc;

use crate::base::Seed;
use crate::onnx::graph::{Graph, Port};
use crate::onnx::macs;

use super::super::data::{OpenDataset, Sample};
use super::super::kinds::{Pass, Views, pass_runs};
use super::super::model::ModelPart;
use super::super::probing::sample;
use super::super::site::{Input, NodeId, Runs, Site};
use super::choose::trial_ports;
use super::{Choose, Cut, Network, Pixelate, Recipe, Task, Training, Trial, cut_port, views_port};

/// A training to be planned.
pub(in super::super) struct Plan<'a> {
    /// The stage's word.
    pub(in super::super) kind: &'static str,
    /// Where the network comes from, for a seed.
    pub(in super::super) recipe: &'a dyn Fn(Seed) -> Recipe,
    /// Items.
    pub(in super::super) data: Arc<OpenDataset>,
    /// How to train.
    pub(in super::super) training: &'a Training,
    /// The network's structure; its weights do not matter here.
    pub(in super::super) network: &'a Network,
}

impl Plan<'_> {
    /// Adds the nodes; tells those that choose.
    pub(in super::super) fn add(&self, site: &mut Site) -> Option<Runs> {
        let cuts = self.cuts();
        let seeds = site.seeds.clone();
        let size = self.training.train_size.as_ref();
        let mut chosen = Vec::new();
        for (position, seed) in seeds.iter().enumerate() {
            let sample = sample(site, &self.data, size, Some(*seed))?;
            chosen.push(self.add_seed(site, position, *seed, sample, &cuts)?);
        }
        Some(Runs::Each(chosen))
    }

    fn cuts(&self) -> Vec<Cut> {
        let graph: &Graph = &self.network.graph;
        let is_input = |name: &String| graph.inputs.iter().any(|port| port.name == *name);
        let kind = |name: &String| if is_input(name) { Cut::Pixels } else { Cut::Cached };
        self.network.divided.cuts.iter().map(kind).collect()
    }

    fn add_seed(
        &self,
        site: &mut Site,
        position: usize,
        seed: Seed,
        sample: Sample,
        cuts: &[Cut],
    ) -> Option<NodeId> {
        let recipe = (self.recipe)(seed);
        let mut shared = Self::model_input(&recipe, position);
        shared.extend(self.cut_inputs(site, position, &recipe, (&sample, seed), cuts)?);
        let macs = macs::forward_macs(&self.network.divided.suffix, recipe.seen(), 1);
        let training = self.training.clone();
        let task = Task { recipe, sample, training, seed, cuts: cuts.to_vec(), macs };
        let mut inputs = shared.clone();
        for (index, rate) in self.training.rates().into_iter().enumerate() {
            let trial = Trial { task: task.clone(), rate };
            let node = site.add(&format!("lr={rate}"), Some(seed), trial, shared.clone());
            let [result, weights] = trial_ports(index);
            inputs.push(Input::new(&result, node, "result"));
            inputs.push(Input::new(&weights, node, "weights"));
        }
        Some(site.add("", Some(seed), Choose { task, kind: self.kind }, inputs))
    }

    /// The model itself, if a stage makes it.
    fn model_input(recipe: &Recipe, position: usize) -> Vec<Input> {
        match recipe {
            Recipe::Transfer(transfer) => transfer.model.input(position).into_iter().collect(),
            Recipe::Pretrain(_) => vec![],
        }
    }

    fn cut_inputs(
        &self,
        site: &mut Site,
        position: usize,
        recipe: &Recipe,
        (sample, seed): (&Sample, Seed),
        cuts: &[Cut],
    ) -> Option<Vec<Input>> {
        let tensors: Vec<&String> = self
            .network
            .divided
            .cuts
            .iter()
            .zip(cuts)
            .filter(|(_, cut)| **cut == Cut::Cached)
            .map(|(name, _)| name)
            .collect();
        let (mut pass, mut views) = (None, None);
        // Where nothing is frozen, the cut is the input.
        if let Recipe::Transfer(transfer) = recipe
            && !tensors.is_empty()
        {
            pass = Some(self.prefix(site, position, &transfer.model, &tensors, None)?);
            if let Some(augment) = &self.training.augment {
                let augment = augment.value.clone();
                let items = sample.train.clone();
                let of = Views { augment, seed, items };
                views = Some(self.prefix(site, position, &transfer.model, &tensors, Some(of))?);
            }
        }
        let mut inputs = Vec::new();
        for (index, (name, cut)) in self.network.divided.cuts.iter().zip(cuts).enumerate() {
            let port = cut_port(index);
            inputs.push(match (cut, pass) {
                (Cut::Cached, Some(node)) => Input::new(&port, node, name),
                _ => Input::new(&port, Pixelate::shared(&self.data, recipe.input(), site), "rows"),
            });
            if let (Cut::Cached, Some(node)) = (cut, views) {
                inputs.push(Input::new(&views_port(index), node, name));
            }
        }
        Some(inputs)
    }

    /// The part that never changes, computed once for each item, or each view of one, and shared by
    /// all who cut there.
    fn prefix(
        &self,
        site: &mut Site,
        position: usize,
        model: &ModelPart,
        tensors: &[&String],
        views: Option<Views>,
    ) -> Option<NodeId> {
        let model = &model.up_to(tensors);
        let ends: Vec<Port> = tensors.iter().map(|name| Port::named(name)).collect();
        let frozen = model.base.graph.part(&model.base.graph.inputs, &ends);
        let job = Pass {
            data: Arc::clone(&self.data),
            model: model.clone(),
            tensors: tensors.iter().map(|name| (*name).clone()).collect(),
            spatial: None,
            macs: macs::forward_macs(&frozen, &model.base.seen, 1),
            views,
        };
        let until: Vec<&str> = tensors.iter().map(|name| name.as_str()).collect();
        let drawn = match (&model.random, &model.kept) {
            (None, _) => String::new(),
            (Some(_), None) => " (random)".to_owned(),
            (Some(_), Some(kept)) => format!(" (random above {kept})"),
        };
        let mut label = format!(
            "prefix of {}{} on {} up to {}",
            model.base.name,
            drawn,
            self.data.name,
            until.join(", ")
        );
        let seed = job.views.as_ref().map(|views| views.seed).or(model.random);
        if let Some(views) = &job.views {
            // What makes a difference stands in the label, by which the node is found.
            let (words, items) = (views.augment.words(), views.items.len());
            label = format!("{label}, {words} of {items} items");
        }
        if let Some(seed) = seed {
            let inputs = model.input(position).into_iter().collect();
            return Some(site.shared(&label, Some(seed), job, inputs));
        }
        let runs = pass_runs(&job, site, |site, seed, inputs| {
            site.shared(&label, seed, job.clone(), inputs)
        })?;
        Some(runs.of(position))
    }
}
