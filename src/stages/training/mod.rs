//! Training as stages do it: a node for what never changes, a node for each learning rate, a node
//! that chooses.

mod choose;
mod drift;
mod gates;
mod network;
mod options;
mod pixelate;
mod planned;
mod probe_head;
mod proof;
mod protocol;
mod range_test;
mod rates;
mod scratch;
mod trial;

pub(super) use network::{Network, Pretraining, Recipe, Transfer, Tuning, pool_key};
pub(super) use options::{HeadInit, Training};
pub(super) use pixelate::Pixelate;
pub(super) use planned::Plan;
pub(super) use scratch::{LSUV, Scratch};

use choose::Choose;
use probe_head::ProbeHead;
use range_test::RangeTest;
use rates::Rate;
use trial::Trial;

use std::sync::Arc;

use crate::autodiff::Terms;
use crate::base::Target;
use crate::data::Reads;
use crate::onnx::graph::Port;
use crate::train::{Course, Examples, Preparation, Prepared, Rows, Settings, Start};

use super::artifacts::{ArrayRows, ChangedRows, PixelRows, ViewRows};
use super::data::Sample;
use super::feeding::{DatasetRows, fed};
use super::job::{Context, Failure, Speed};
use super::targets::Known;

/// Where one input of the part that learns comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cut {
    /// Fitted pixels; the model's own input.
    Pixels,
    /// An array of the data set; an input of the model.
    Array(Port),
    /// Cached values of a tensor.
    Cached,
}

/// The port of a cut.
pub(super) fn cut_port(index: usize) -> String {
    format!("cut_{index}")
}

/// The port of changed views of a cut.
pub(super) fn views_port(index: usize) -> String {
    format!("views_{index}")
}

/// Seconds to derive and open the graphs of a training.
const SESSIONS: f64 = 0.2;

/// Everything a training needs, in one place: what is trained, on what, how.
#[derive(Clone)]
pub(super) struct Task {
    pub(super) recipe: Recipe,
    pub(super) sample: Sample,
    pub(super) training: Training,
    pub(super) seed: crate::base::Seed,
    pub(super) cuts: Vec<Cut>,
    /// Multiply–accumulates of the part that learns, forward, for one item.
    pub(super) macs: u64,
}

impl Task {
    /// What of it belongs into a key.
    pub(super) fn key(&self) -> Result<serde_json::Value, Failure> {
        Ok(serde_json::json!({
            "recipe": self.recipe.key(),
            "sample": self.sample.key()?,
            "training": self.training.key(),
            "seed": self.seed,
        }))
    }

    /// Opens the inputs of the part that learns.
    pub(super) fn open(&self, context: &Context<'_>) -> Result<Vec<Box<dyn Rows>>, Failure> {
        let open = |(index, cut): (usize, &Cut)| -> Result<Box<dyn Rows>, Failure> {
            if let Cut::Array(port) = cut {
                return Ok(Box::new(self.array(port)?));
            }
            let rows = ArrayRows::open(context.bytes(&cut_port(index))?)?;
            let augment = self.training.augment.as_ref().map(|augment| augment.value.clone());
            let pixels = |rows| match self.recipe.input() {
                Reads::Image(rule) => Ok(PixelRows { rows, rule: rule.clone() }),
                Reads::AsItIs => Err(Failure::new("read pixels: the model reads arrays")),
            };
            Ok(match (cut, augment) {
                (Cut::Pixels | Cut::Array(_), None) => Box::new(pixels(rows)?),
                (Cut::Cached, None) => Box::new(rows),
                (Cut::Pixels | Cut::Array(_), Some(augment)) => {
                    Box::new(ChangedRows { pixels: pixels(rows)?, augment, seed: self.seed })
                }
                (Cut::Cached, Some(_)) => {
                    let views = ArrayRows::open(context.bytes(&views_port(index))?)?;
                    Box::new(ViewRows::new(rows, views, &self.sample.train))
                }
            })
        };
        self.cuts.iter().enumerate().map(open).collect()
    }

    /// The array of the data set that an input of the model reads.
    fn array(&self, port: &Port) -> Result<DatasetRows, Failure> {
        let Recipe::Transfer(transfer) = &self.recipe else {
            return Err(Failure::new("read arrays: the network reads pixels"));
        };
        let graph = &transfer.model.base.graph;
        let mut rows = fed(graph, std::slice::from_ref(port), &self.sample.data)?;
        rows.pop().ok_or_else(|| Failure::new("read arrays: there are none"))
    }

    /// Shapes of the inputs of the part that learns, without the batch.
    pub(super) fn item_shapes(&self, context: &Context<'_>) -> Result<Vec<Vec<usize>>, Failure> {
        let shape = |(index, cut): (usize, &Cut)| match cut {
            Cut::Pixels => match self.recipe.input() {
                Reads::Image(rule) => Ok(rule.item()),
                Reads::AsItIs => Err(Failure::new("read pixels: the model reads arrays")),
            },
            Cut::Array(port) => Ok(self.array(port)?.item().to_vec()),
            Cut::Cached => Ok(ArrayRows::open(context.bytes(&cut_port(index))?)?.item().to_vec()),
        };
        self.cuts.iter().enumerate().map(shape).collect()
    }

    /// What is to be told of each item.
    pub(super) fn target(&self) -> Target {
        self.sample.data.dataset.target()
    }

    /// What is right about each item, with its weight in the loss.
    pub(super) fn known(&self) -> Known {
        Known::of(&self.sample, &self.training.class_weights)
    }

    /// What training reads.
    pub(super) fn examples<'a>(
        &'a self,
        sources: &'a [Box<dyn Rows>],
        known: &'a Known,
    ) -> Examples<'a> {
        Examples {
            sources: sources.iter().map(AsRef::as_ref).collect(),
            answers: known.answers(),
            open: self.sample.open(),
        }
    }

    /// Items in a step.
    pub(super) fn batch(&self) -> usize {
        crate::train::batch_size(self.training.batch.0, self.sample.train.len())
    }

    /// Items that are computed at a time.
    fn piece(&self) -> usize {
        let most = self.training.micro_batch.map(|count| count.0);
        crate::train::piece_size(self.batch(), most)
    }

    /// Steps of an epoch, and steps at most.
    pub(super) fn lengths(&self) -> (usize, usize) {
        let per_epoch = (self.sample.train.len() / self.batch().max(1)).max(1);
        (per_epoch, self.training.budget().steps(per_epoch))
    }

    /// Seconds that one trial is thought to take: a step costs three forward passes, a look at val
    /// one.
    pub(super) fn expected(&self, speed: Speed) -> f64 {
        let per_epoch = self.sample.train.len().div_ceil(self.batch().max(1));
        let budget = self.training.budget();
        let (steps, looks) = (budget.steps(per_epoch), budget.looks(per_epoch));
        let forward = 3 * steps * self.batch() + looks * self.sample.split.val.len();
        SESSIONS + speed.seconds(forward, self.macs)
    }

    /// How to train at a rate.
    pub(super) fn settings(&self, rate: f64, threads: usize) -> Settings<'_> {
        Settings {
            rate,
            schedule: &self.training.schedule,
            unfreeze: &self.training.unfreeze,
            optimiser: &self.training.optimizer,
            loss: &self.training.loss,
            mixing: self.training.mixing(),
            batch: self.batch(),
            budget: self.training.budget(),
            monitor: &self.training.monitor,
            seed: self.seed,
            threads,
        }
    }

    /// Where training starts.
    pub(super) fn start(&self, network: &Network, prepared: &Prepared) -> Start {
        let weights = prepared.weights.gather(&network.graph);
        let anchor = match self.training.l2_sp {
            None => vec![],
            Some(_) => {
                let home = |slot: &crate::autodiff::Slot| {
                    !self.recipe.is_random() && !network.is_head(&slot.name)
                };
                let slots = prepared.weights.slots().iter();
                let kept = slots.flat_map(|slot| std::iter::repeat_n(home(slot), slot.len()));
                weights.iter().zip(kept).map(|(w, kept)| if kept { *w } else { 0.0 }).collect()
            }
        };
        let statistics = prepared.statistics.gather(&network.graph);
        Start { weights, statistics, anchor }
    }

    /// The step graphs of each phase of the training, made once and shared; the last one's has
    /// everything that learns.
    pub(super) fn prepare(
        &self,
        network: &Network,
        context: &Context<'_>,
    ) -> Result<Vec<Arc<Prepared>>, Failure> {
        let course = self.course(network);
        let learning = (0..course.phases()).map(|phase| course.learning(phase));
        learning.map(|learning| self.prepare_phase(network, learning, context)).collect()
    }

    /// The step graphs of everything that learns.
    pub(super) fn prepare_whole(
        &self,
        network: &Network,
        context: &Context<'_>,
    ) -> Result<Arc<Prepared>, Failure> {
        let course = self.course(network);
        self.prepare_phase(network, course.learning(course.phases() - 1), context)
    }

    fn course(&self, network: &Network) -> Course {
        let (per_epoch, total) = self.lengths();
        let (schedule, unfreeze) = (&self.training.schedule, &self.training.unfreeze.value);
        let cohorts = unfreeze.cohort(network.depth()) + 1;
        Course::new(schedule, unfreeze, cohorts, per_epoch, total)
    }

    fn prepare_phase(
        &self,
        network: &Network,
        learning: usize,
        context: &Context<'_>,
    ) -> Result<Arc<Prepared>, Failure> {
        let training = &self.training;
        let items = self.item_shapes(context)?;
        let clip = training.clip.map(|clip| clip.get() as f32);
        let pull = training.l2_sp.as_ref().map(|l2_sp| {
            |name: &str| match network.is_head(name) {
                true => l2_sp.beta.get() as f32,
                false => l2_sp.alpha.get() as f32,
            }
        });
        let terms = Terms {
            loss: training.loss.clone(),
            pull: pull.as_ref().map(|pull| pull as &dyn Fn(&str) -> f32),
            cohort: &|name| training.unfreeze.cohort(network.depth_of(name)),
            learning,
            summed: self.piece() < self.batch(),
            by_score: self.target() != Target::Classes,
        };
        let body_rate = self.recipe.body_rate();
        let preparation = Preparation {
            divided: &network.divided,
            items: &items,
            batch: self.piece(),
            rate: &|name| network.rate(name, body_rate, training),
            optimiser: &training.optimizer,
            clip,
            terms: &terms,
        };
        let identity = serde_json::json!({
            "skeleton": network.skeleton(),
            "items": items,
            "batch": self.piece(),
            "body_rate": body_rate,
            "optimizer": training.optimizer,
            "clip": clip,
            "loss": training.loss,
            "l2_sp": training.l2_sp,
            "unfreeze": training.unfreeze,
            "decay_per_group": training.decay_per_group,
            "lowest_lr": training.lowest_lr,
            "learning": learning,
            "summed": terms.summed,
            "by_score": terms.by_score,
        });
        let key = crate::base::Digest::of_json(&identity);
        context.workshop.prepare(key, &preparation).map_err(|error| {
            Failure::with_help(
                format!("prepare the training graph: {error}"),
                "freeze the model below the nodes named, or take another model",
            )
        })
    }
}
