//! Training as stages do it: a node for what never changes, a node for each learning rate, a node
//! that chooses.

mod choose;
mod gates;
mod network;
mod options;
mod pixelate;
mod planned;
mod proof;
mod scratch;
mod trial;

pub(super) use network::{Network, Pretraining, Recipe, Transfer, Tuning};
pub(super) use options::Training;
pub(super) use pixelate::Pixelate;
pub(super) use planned::Plan;
pub(super) use scratch::{LSUV, Scratch};

use choose::Choose;
use trial::Trial;

use std::sync::Arc;

use crate::train::{Examples, Rows};

use super::artifacts::{ArrayRows, ChangedRows, PixelRows, ViewRows};
use super::data::Sample;
use super::job::{Context, Failure, Speed};

/// Where one input of the part that learns comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Fitted pixels; the model's own input.
    Pixels,
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
        let mut training = serde_json::json!(self.training);
        // Rates are tried in ascending order, however they were written.
        training["lr"] = serde_json::json!(self.training.rates());
        if self.training.augment.is_none()
            && let Some(training) = training.as_object_mut()
        {
            training.remove("augment");
        }
        Ok(serde_json::json!({
            "recipe": self.recipe.key(),
            "sample": self.sample.key()?,
            "training": training,
            "seed": self.seed,
        }))
    }

    /// Opens the inputs of the part that learns.
    pub(super) fn open(&self, context: &Context<'_>) -> Result<Vec<Box<dyn Rows>>, Failure> {
        let open = |(index, cut): (usize, &Cut)| -> Result<Box<dyn Rows>, Failure> {
            let rows = ArrayRows::open(context.bytes(&cut_port(index))?)?;
            let augment = self.training.augment.as_ref().map(|augment| augment.value.clone());
            let pixels = |rows| PixelRows { rows, rule: self.recipe.input().clone() };
            Ok(match (cut, augment) {
                (Cut::Pixels, None) => Box::new(pixels(rows)),
                (Cut::Cached, None) => Box::new(rows),
                (Cut::Pixels, Some(augment)) => {
                    Box::new(ChangedRows { pixels: pixels(rows), augment, seed: self.seed })
                }
                (Cut::Cached, Some(_)) => {
                    let views = ArrayRows::open(context.bytes(&views_port(index))?)?;
                    Box::new(ViewRows::new(rows, views, &self.sample.train))
                }
            })
        };
        self.cuts.iter().enumerate().map(open).collect()
    }

    /// Shapes of the inputs of the part that learns, without the batch.
    pub(super) fn item_shapes(&self, context: &Context<'_>) -> Result<Vec<Vec<usize>>, Failure> {
        let shape = |(index, cut): (usize, &Cut)| match cut {
            Cut::Pixels => Ok(self.recipe.input().item()),
            Cut::Cached => Ok(ArrayRows::open(context.bytes(&cut_port(index))?)?.item().to_vec()),
        };
        self.cuts.iter().enumerate().map(shape).collect()
    }

    /// Weight of each class in the loss.
    pub(super) fn class_weights(&self) -> Vec<f64> {
        self.training.class_weights.of(&self.sample)
    }

    /// What training reads.
    pub(super) fn examples<'a>(
        &'a self,
        sources: &'a [Box<dyn Rows>],
        labels: &'a [usize],
        class_weights: &'a [f64],
    ) -> Examples<'a> {
        Examples {
            sources: sources.iter().map(AsRef::as_ref).collect(),
            labels,
            train: &self.sample.train,
            val: &self.sample.split.val,
            class_weights,
        }
    }

    /// Items in a step.
    pub(super) fn batch(&self) -> usize {
        crate::train::batch_size(self.training.batch.0, self.sample.train.len())
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

    /// The step graphs, made once and shared.
    pub(super) fn prepare(
        &self,
        network: &Network,
        context: &Context<'_>,
    ) -> Result<Arc<crate::train::Prepared>, Failure> {
        let items = self.item_shapes(context)?;
        let clip = self.training.clip.map(|clip| clip.get() as f32);
        let preparation = crate::train::Preparation {
            divided: &network.divided,
            items: &items,
            batch: self.batch(),
            rate: &|name| network.rate(name, self.recipe.body_rate()),
            optimiser: &self.training.optimizer,
            clip,
        };
        let identity = serde_json::json!({
            "skeleton": network.skeleton(),
            "items": items,
            "batch": self.batch(),
            "body_rate": self.recipe.body_rate(),
            "optimizer": self.training.optimizer,
            "clip": clip,
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
