//! Planning a training: nodes for the cuts, for each learning rate, and for the choice.

use std::sync::Arc;

use crate::base::{Problem, Seed, counted};
use crate::data::Reads;
use crate::onnx::graph::{Graph, Port};
use crate::onnx::head::TokenPool;
use crate::onnx::macs;

use super::super::data::{OpenDataset, Sample};
use super::super::effort::Effort;
use super::super::kinds::{Pass, Views, pass_runs};
use super::super::model::ModelPart;
use super::super::probing::{FEATURES, noisy, sample};
use super::super::site::{Input, NodeId, Runs, Site};
use super::choose::trial_ports;
use super::options::HeadInit;
use super::{
    Choose, Cut, Network, Pixelate, ProbeHead, RangeTest, Rate, Recipe, Task, Training, Transfer,
    Trial, cut_port, probe_head, range_test, views_port,
};

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

/// What becomes of the tensors of a prefix.
struct Form {
    /// Rows and columns that maps are averaged to.
    spatial: Option<usize>,
    /// How a sequence of tokens becomes one row.
    tokens: Option<TokenPool>,
    /// Views of items instead of all items.
    views: Option<Views>,
}

impl Form {
    /// They stay as they are.
    const WHOLE: Self = Self { spatial: None, tokens: None, views: None };
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
            let sample = noisy(site, sample, &self.training.label_noise, Some(*seed))?;
            chosen.push(self.add_seed(site, position, *seed, sample, &cuts)?);
        }
        Some(Runs::Each(chosen))
    }

    /// What it may spend, for the first seed.
    pub(in super::super) fn effort(&self, site: &mut Site) -> Option<Effort> {
        let seed = site.seeds.first().copied();
        let sample = sample(site, &self.data, self.training.train_size.as_ref(), seed)?;
        let effort = self.training.effort(&sample);
        Some(effort.network_macs(self.network_macs(&sample)))
    }

    /// Multiply–accumulates of all trainings of a seed.
    fn network_macs(&self, sample: &Sample) -> f64 {
        let recipe = (self.recipe)(Seed(0));
        let of = |graph: &Graph| macs::forward_macs(graph, recipe.seen(), recipe.items()) as f64;
        let learns = of(&self.network.divided.suffix);
        let frozen = (of(&self.network.graph) - learns).max(0.0);
        let items = sample.train.len() + sample.split.val.len();
        3.0 * learns * self.training.shown(sample.train.len()) as f64 + frozen * items as f64
    }

    fn cuts(&self) -> Vec<Cut> {
        let graph: &Graph = &self.network.graph;
        let reads = (self.recipe)(Seed(0)).input().clone();
        let kind = |name: &String| {
            let port = graph.inputs.iter().find(|port| port.name == *name);
            match (port, &reads) {
                (Some(_), Reads::Image(_)) => Cut::Pixels,
                (Some(port), Reads::AsItIs) => Cut::Array(port.clone()),
                (None, _) => Cut::Cached,
            }
        };
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
        if let Recipe::Transfer(transfer) = &recipe
            && transfer.head_init == HeadInit::Probe
        {
            shared.push(self.probe_input(site, position, seed, transfer, &sample)?);
        }
        let training = self.training.clone();
        let task = Task { recipe, sample, training, seed, cuts: cuts.to_vec(), macs };
        self.check_stairs(&task, site)?;
        self.check_unfreezing(&task, site)?;
        let mut inputs = shared.clone();
        for (index, rate) in self.training.lr.tried().into_iter().enumerate() {
            let mut of_trial = shared.clone();
            if rate == Rate::Tested {
                let test = RangeTest { task: task.clone() };
                let node = site.add("lr range test", Some(seed), test, shared.clone());
                let curve = Input::new(range_test::CURVE, node, range_test::CURVE);
                of_trial.push(curve.clone());
                inputs.push(curve);
            }
            let trial = Trial { task: task.clone(), rate };
            let node = site.add(&rate.label(), Some(seed), trial, of_trial);
            let [result, weights] = trial_ports(index);
            inputs.push(Input::new(&result, node, "result"));
            inputs.push(Input::new(&weights, node, "weights"));
        }
        Some(site.add("", Some(seed), Choose { task, kind: self.kind }, inputs))
    }

    /// A step of a staircase after the end would never come, without a word.
    fn check_stairs(&self, task: &Task, site: &mut Site) -> Option<()> {
        let (_, total) = task.lengths();
        let Some(step) = self.training.schedule.never_reached(total).filter(|_| total > 0) else {
            return Some(());
        };
        let message =
            format!("the learning rate falls at step {step}, but training takes {total} steps");
        site.problem(
            Problem::at(self.training.place("schedule"), message)
                .help("say where it falls as a share of all steps, such as 0.5"),
        );
        None
    }

    /// Layer groups that begin one after the other must all have begun before the end.
    fn check_unfreezing(&self, task: &Task, site: &mut Site) -> Option<()> {
        let unfreeze = &self.training.unfreeze;
        let cohorts = unfreeze.cohort(self.network.depth()) + 1;
        let (per_epoch, total) = task.lengths();
        let needed = unfreeze.epochs(cohorts);
        if total == 0 || needed * per_epoch < total {
            return Some(());
        }
        let message = format!(
            "it takes {} until everything learns, and training takes {}",
            counted(needed, "epoch"),
            counted(total / per_epoch, "epoch"),
        );
        site.problem(
            Problem::at(self.training.place("unfreeze"), message)
                .help("train for more epochs, or freeze the lower layer groups with `freeze`"),
        );
        None
    }

    /// A probe on the features that the head reads, as the head's start.
    fn probe_input(
        &self,
        site: &mut Site,
        position: usize,
        seed: Seed,
        transfer: &Transfer,
        sample: &Sample,
    ) -> Option<Input> {
        let model = &transfer.model;
        let form = Form { spatial: Some(1), tokens: transfer.tokens.clone(), views: None };
        let node = self.prefix(site, position, model, &[&transfer.head_at], form)?;
        let class_weights = self.training.class_weights.clone();
        let job = ProbeHead { sample: sample.clone(), class_weights };
        let features = Input::new(FEATURES, node, &transfer.head_at);
        let probe = site.add("probe as head", Some(seed), job, vec![features]);
        Some(Input::new(probe_head::HEAD, probe, probe_head::HEAD))
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
            pass = Some(self.prefix(site, position, &transfer.model, &tensors, Form::WHOLE)?);
            if let Some(augment) = &self.training.augment {
                let augment = augment.value.clone();
                let items = sample.train.clone();
                let of = Views { augment, seed, items };
                views = Some(self.prefix(
                    site,
                    position,
                    &transfer.model,
                    &tensors,
                    Form { views: Some(of), ..Form::WHOLE },
                )?);
            }
        }
        let mut inputs = Vec::new();
        for (index, (name, cut)) in self.network.divided.cuts.iter().zip(cuts).enumerate() {
            let port = cut_port(index);
            match (cut, pass, recipe.input()) {
                (Cut::Cached, Some(node), _) => inputs.push(Input::new(&port, node, name)),
                (_, _, Reads::Image(rule)) => {
                    let pixels = Pixelate::shared(&self.data, rule, site);
                    inputs.push(Input::new(&port, pixels, "rows"));
                }
                // Arrays are read where they lie.
                (_, _, Reads::AsItIs) => {}
            }
            if let (Cut::Cached, Some(node)) = (cut, views) {
                inputs.push(Input::new(&views_port(index), node, name));
            }
        }
        Some(inputs)
    }

    /// The part that never changes, computed once for each item, or each view of one, and shared by
    /// all who cut there; maps pooled to `spatial` rows and columns if that is said.
    fn prefix(
        &self,
        site: &mut Site,
        position: usize,
        model: &ModelPart,
        tensors: &[&String],
        Form { spatial, tokens, views }: Form,
    ) -> Option<NodeId> {
        let model = &model.up_to(tensors);
        let ends: Vec<Port> = tensors.iter().map(|name| Port::named(name)).collect();
        let frozen = model.base.graph.part(&model.base.graph.inputs, &ends);
        let job = Pass {
            data: Arc::clone(&self.data),
            model: model.clone(),
            tensors: tensors.iter().map(|name| (*name).clone()).collect(),
            spatial,
            pools: vec![tokens; tensors.len()],
            macs: macs::forward_macs(&frozen, &model.base.seen, 1),
            views,
        };
        let until: Vec<&str> = tensors.iter().map(|name| name.as_str()).collect();
        // What makes a difference stands in the label, by which the node is found.
        let pooled = match &job.pools[..] {
            [Some(TokenPool::First), ..] => ", first token".to_owned(),
            [Some(TokenPool::Mean(None)), ..] => ", mean over tokens".to_owned(),
            [Some(TokenPool::Mean(Some(mask))), ..] => format!(", mean over tokens by {mask}"),
            _ => String::new(),
        };
        let drawn = match (&model.random, &model.kept) {
            (None, _) => String::new(),
            (Some(_), None) => " (random)".to_owned(),
            (Some(_), Some(kept)) => format!(" (random above {kept})"),
        };
        let drawn = match model.control {
            Some(control) => format!(" ({})", control.word()),
            None => drawn,
        };
        let mut label = format!(
            "{} of {}{} on {} up to {}{pooled}",
            if spatial.is_some() { "features" } else { "prefix" },
            model.base.name,
            drawn,
            self.data.name,
            until.join(", ")
        );
        let seed = job.views.as_ref().map(|views| views.seed).or(model.random);
        if let Some(views) = &job.views {
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
