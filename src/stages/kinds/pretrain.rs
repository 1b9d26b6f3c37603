//! `pretrain`: makes a base model by training an architecture of ours on a source data set.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::language::keys;
use crate::base::{Located, Place, Problem, Seed};
use crate::data::{InputRule, Layout, Objective, Reads};
use crate::onnx::architecture::Architecture;
use crate::onnx::footprint::Footprint;
use crate::onnx::graph::Graph;
use crate::onnx::macs;
use crate::onnx::observe::Observation;

use super::super::data::OpenDataset;
use super::super::model::{BaseModel, Batch, Source, Tells};
use super::super::names::{Name, Reference};
use super::super::probing::{sample, told_noise};
use super::super::site::{Arm, ClassifierOffer, Offers, Runs, Site};
use super::super::surrogate::surrogate;
use super::super::training::{HeadInit, Network, Plan, Pretraining, Recipe, Training};
use super::Kind;

keys! {
    /// Trains an architecture of ours from random weights, to tell the labels of a data set or, by an
    /// `objective` of its own, without them; the model can be the base of other stages, and lies in
    /// the run's folder as an ordinary ONNX file.
    pub struct Pretrain {
        /// The source data set.
        dataset: Located<Name>,
        /// The architecture.
        architecture: Located<Architecture>,
        /// How pixels become its input.
        input: Located<InputRule>,
        /// What it is trained to tell.
        objective: Located<Objective> = Located::new(Objective::Supervised, Place::default()),
        ; .. training: Training
    }
}

impl Kind for Pretrain {
    const WORD: &'static str = "pretrain";

    fn references(&self) -> Vec<&Located<Reference>> {
        vec![]
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let is_supervised = self.objective.value == Objective::Supervised;
        let data = match is_supervised {
            true => site.dataset(&self.dataset),
            false => site.images(&self.dataset),
        };
        self.training.check(site)?;
        if let Some(contradiction) = self.input.contradiction() {
            site.problem(Problem::at(self.input.place, contradiction));
            return None;
        }
        if self.input.layout != Layout::Nchw {
            let message = "networks made here read channels × height × width";
            let help = "leave `layout` out";
            site.problem(Problem::at(self.input.place, message).help(help));
            return None;
        }
        self.training.check_items(&Reads::Image(self.input.value.clone()), site)?;
        let data = data?;
        site.fitting(&data, &self.input, self.dataset.place)?;
        let data = if is_supervised { data } else { self.shown(&data, site)? };
        let training = self.settled(&data, site)?;
        let told = |message: String| Problem::at(self.architecture.place, message);
        let graph = self.architecture.build(self.input.extents(), data.outputs()).map_err(told);
        let graph = site.found.keep(graph)?;
        let seen = self.seen(&graph, site)?;
        let name = site.stage.clone();
        let model = |source: Source| BaseModel {
            name: name.clone(),
            source,
            graph: graph.clone(),
            input: Reads::Image(self.input.value.clone()),
            constants: BTreeMap::new(),
            aliases: BTreeMap::new(),
            output: None,
            seen: seen.clone(),
            example: None,
            tells: Some(Tells::of(&data)),
            origin: None,
            batch: Batch::Free,
            is_fully_convolutional: false,
        };
        // While it is being planned, nothing has made it yet.
        let base = Arc::new(model(Source::Made(Runs::Each(vec![]))));
        let recipe = |_: Seed| Recipe::Pretrain(Pretraining { base: Arc::clone(&base) });
        let network = Network::of(graph.clone()).map_err(|error| told(error.to_string()));
        let network = site.found.keep(network)?;
        let plan = Plan {
            kind: Self::WORD,
            recipe: &recipe,
            data: Arc::clone(&data),
            training: &training,
            network: &network,
        };
        let runs = plan.add(site)?;
        let effort = plan.effort(site)?;
        let (parameters, trained_parameters) = network.parameters();
        let arm = Arm {
            kind: Self::WORD.to_owned(),
            target: data.name.clone(),
            random: true,
            init: Some("random".to_owned()),
            label_noise: told_noise(self.training.label_noise.value),
            parameters: Some(parameters),
            trained_parameters: Some(trained_parameters),
            macs: Some(macs::forward_macs(&graph, &seen, 1)),
            effort,
            size: Some(Footprint::of(&graph, &seen, 1)),
            ..Arm::default()
        };
        let model = Arc::new(model(Source::Made(runs.clone())));
        Some(Offers {
            model: Some(model),
            classifier: Some(ClassifierOffer { data, runs, arm, beside: None }),
            ..Offers::default()
        })
    }
}

impl Pretrain {
    /// The training with what its protocol fills in.
    fn settled(&self, data: &Arc<OpenDataset>, site: &mut Site) -> Option<Training> {
        let head = &self.training.head_init;
        if head.value != HeadInit::Random {
            site.problem(
                Problem::at(head.place, "all of a network that is pretrained starts random")
                    .help("leave `head_init` out"),
            );
            return None;
        }
        let mut training = self.training.clone();
        if self.objective.value != Objective::Supervised {
            // Images were counted where views were made of them.
            training.train_size = None;
            let noise = &self.training.label_noise;
            if noise.get() > 0.0 {
                let message = "an `objective` of its own reads no labels that could be wrong";
                let help = "leave `label_noise` out, or leave `objective` out";
                site.problem(Problem::at(noise.place, message).help(help));
                return None;
            }
        }
        let seed = site.seeds.first().copied();
        let sample = sample(site, data, training.train_size.as_ref(), seed)?;
        let training = training.settled(sample.train.len(), true, site)?;
        let training = training.suited(data, site)?;
        training.check(site)?;
        Some(training.extended(site))
    }

    /// The surrogate task that takes the place of labels.
    fn shown(&self, data: &Arc<OpenDataset>, site: &mut Site) -> Option<Arc<OpenDataset>> {
        let size = self.training.train_size.as_ref().map(|size| size.0);
        surrogate(&self.objective, data, &self.input, size, self.objective.place, site)
    }

    /// Shapes for one item.
    fn seen(&self, graph: &Graph, site: &mut Site) -> Option<Observation> {
        let shape: Vec<usize> = std::iter::once(1).chain(self.input.item()).collect();
        let seen = site.look.observe(graph, &[shape]);
        let place = self.architecture.place;
        site.found.keep(seen.map_err(|message| Problem::at(place, message)))
    }
}
