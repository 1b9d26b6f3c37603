//! Probes that learn on another data set: with labels of a source, and none of the target.

use std::ops::Deref;

use serde_json::{Value as Json, json};

use crate::base::language::{Count, choice, keys};
use crate::base::{Located, Place, Problem, Target};

use super::super::data::{OpenDataset, Sample};
use super::super::job::Failure;
use super::super::names::Reference;
use super::super::site::{Arm, Manner, Setting, Site};
use super::{Choosing, Layer, layer, told_noise};

keys! {
    /// Where a probe learns, how it is chosen and what it sees.
    pub struct Probing {
        /// The same features of another data set with the same classes, as in `near.gap`: the probe
        /// learns and chooses there, and no label of its own data set is read. Scores on both, and
        /// how much is lost between them, stand in the table `scores`.
        train_on: Option<Located<Reference>> = None,
        /// How features of the other data set are brought nearer to those of its own: learnt from
        /// training items of both, without labels.
        adapt: Located<Adapt> = Located::new(Adapt::None, Place::default()),
        ; .. choosing: Choosing
    }
}

choice! {
    /// How two domains are brought nearer to each other.
    pub enum Adapt {
        /// Not at all: what scales features is learnt on the other data set, too.
        "none" => None,
        /// Features of each data set are scaled by its own training items; those of the other then
        /// get the covariance of its own, each plus the identity (Sun, Feng and Saenko 2016).
        "coral" => Coral,
        /// Features of each data set are scaled by its own training items, and taken in so many of
        /// its own principal components; those of the other are turned onto its own (Fernando et
        /// al. 2013).
        "subspace" => Subspace(Subspace),
    }
}

keys! {
    /// Principal components of each data set.
    pub struct Subspace {
        /// How many.
        dim: Count,
    }
}

impl Adapt {
    /// As it is written.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Coral => "coral",
            Self::Subspace(_) => "subspace",
        }
    }
}

impl Deref for Probing {
    type Target = Choosing;

    fn deref(&self) -> &Choosing {
        &self.choosing
    }
}

/// Features of another data set that a probe learns on.
pub(super) struct Other {
    pub(super) layer: Layer,
    /// For each class of the target, its position there.
    order: Vec<usize>,
}

/// That a probe learns where it is said, whether elsewhere or not.
pub(super) struct Learns(pub(super) Option<Other>);

impl Probing {
    /// The stages that a probe of these features refers to.
    pub(in super::super) fn references<'a>(
        &'a self,
        features: &'a Located<Reference>,
    ) -> Vec<&'a Located<Reference>> {
        std::iter::once(features).chain(&self.train_on).collect()
    }

    /// Where the probe learns that says something of the items of a layer.
    pub(super) fn learns(&self, told: &Layer, site: &mut Site) -> Option<Learns> {
        let Some(train_on) = &self.train_on else {
            if self.adapt.value == Adapt::None {
                return Some(Learns(None));
            }
            let message = "`adapt` is said, but the probe learns on its own data set";
            let help = "say with `train_on` which features of another data set it learns on";
            site.problem(Problem::at(self.adapt.place, message).help(help));
            return None;
        };
        let other = layer(train_on, site)?;
        let order = fits(&other, told, train_on, site)?;
        Some(Learns(Some(Other { layer: other, order })))
    }
}

impl Probing {
    /// What tables tell of a probe of these features, but for its kind.
    pub(super) fn arm(&self, told: &Layer, other: Option<&Other>) -> Arm {
        let offer = &told.offer;
        Arm {
            source: offer.base.clone(),
            target: offer.data.name.clone(),
            freeze: offer.base.is_some().then(|| "all".to_owned()),
            random: offer.random,
            init: offer.init.map(str::to_owned),
            setting: other.is_some().then_some(Setting::Transductive),
            train_on: other.map(|other| other.layer.offer.data.name.clone()),
            adapt: other.map(|_| self.adapt.word().to_owned()),
            label_noise: told_noise(self.label_noise.value),
            macs: told.macs(),
            manner: Manner { layer: Some(told.port.clone()), ..Manner::default() },
            ..Arm::default()
        }
    }
}

/// The order of classes, if features of two data sets are of the same kind and stand for the same.
fn fits(
    other: &Layer,
    told: &Layer,
    written: &Located<Reference>,
    site: &mut Site,
) -> Option<Vec<usize>> {
    let (here, there) = (&told.offer.data, &other.offer.data);
    let same_layer = (&other.offer.origin, &other.port) == (&told.offer.origin, &told.port);
    let (message, help) = if here.name == there.name {
        let message = format!("`{}` is of `{}`, as the features are", written.value, here.name);
        (message, "name features of another data set, or leave `train_on` out")
    } else if !same_layer {
        let message = format!("`{}` is not the same layer of the same model", written.value);
        (message, "name what the same model gives of the other data set")
    } else if let Some(message) = of_other_targets(here, there) {
        (message, "probes are carried over where items have one class each")
    } else if let Some(message) = other_classes(here, there) {
        (message, "take those that both have with `select: { classes: … }`")
    } else {
        let position = |name: &String| there.dataset.classes().iter().position(|n| n == name);
        return here.dataset.classes().iter().map(position).collect();
    };
    site.problem(Problem::at(written.place, message).help(help));
    None
}

fn of_other_targets(here: &OpenDataset, there: &OpenDataset) -> Option<String> {
    let odd = [here, there].into_iter().find(|data| data.dataset.target() != Target::Classes)?;
    Some(format!("items of `{}` have {}", odd.name, odd.dataset.target().told()))
}

/// Classes that only one of two data sets has, in words.
fn other_classes(here: &OpenDataset, there: &OpenDataset) -> Option<String> {
    let only = |one: &OpenDataset, other: &OpenDataset| {
        let known = other.dataset.classes();
        let only = one.dataset.classes().iter().filter(|name| !known.contains(name));
        let words: Vec<String> = only.map(|name| format!("`{name}`")).collect();
        (!words.is_empty()).then(|| format!("only `{}` has {}", one.name, words.join(", ")))
    };
    let odd: Vec<String> = only(here, there).into_iter().chain(only(there, here)).collect();
    (!odd.is_empty()).then(|| format!("classes differ: {}", odd.join("; ")))
}

/// Whom a probe speaks of, where that are not the items of the data set it learns on.
#[derive(Clone, Debug)]
pub(crate) struct Elsewhere {
    /// Items that it speaks of; labels of theirs are only what it is judged by.
    pub(super) sample: Sample,
    /// For each class, its position where the probe learns.
    pub(super) order: Vec<usize>,
    pub(super) adapt: Adapt,
}

impl Elsewhere {
    /// Everything that can change what is said.
    pub(super) fn key(&self) -> Result<Json, Failure> {
        let (sample, order, adapt) = (self.sample.key()?, &self.order, &self.adapt);
        Ok(json!({ "sample": sample, "order": order, "adapt": adapt }))
    }
}

impl Other {
    /// Whom the probe speaks of.
    pub(super) fn elsewhere(&self, sample: Sample, adapt: &Adapt) -> Elsewhere {
        Elsewhere { sample, order: self.order.clone(), adapt: adapt.clone() }
    }
}
