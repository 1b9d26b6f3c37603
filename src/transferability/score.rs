//! What every score can say of itself and of items.

use super::distances::{Coral, Frechet, Mmd, ProxyA, SlicedWasserstein};
use super::items::{Items, Refusal};
use super::scores::{Cka, Gbc, HScore, Leep, LogMe, NLeep, Nce, Neighbours, Parc, Sfda, TransRate};
use crate::base::Target;
use crate::stats::Direction;

/// What a score is computed from, beside the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Features.
    Features,
    /// Probabilities of the source's classes.
    Source,
    /// Features, and those of another domain; no labels.
    Other,
}

/// A change of all features that may leave a score what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// All are multiplied by one number.
    Scale,
    /// Something is added to each feature, the same for all items.
    Shift,
    /// The axes are turned.
    Rotation,
}

/// A number of a score.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// What it is called in tables.
    pub name: &'static str,
    /// Never NaN.
    pub value: f64,
    /// Its standard deviation over starts, where it has several.
    pub deviation: Option<f64>,
    /// How likely so large a distance is within one domain, where that was tested.
    pub p: Option<f64>,
    /// The same distance between two random halves of the other domain.
    pub null: Option<f64>,
    /// What a reader should know.
    pub warning: Option<&'static str>,
}

impl Number {
    /// Just a value.
    pub(super) fn new(name: &'static str, value: f64) -> Self {
        Self { name, value, deviation: None, p: None, null: None, warning: None }
    }
}

/// Whatever items have.
pub(super) const ANYTHING: &[Target] = &[Target::Classes, Target::Labels, Target::Values];

/// Numbers for items, computed together.
pub trait Score: Sync {
    /// The word used in pipelines.
    fn name(&self) -> &'static str;

    /// What it measures, with its range and whose it is, in a sentence.
    fn description(&self) -> &'static str;

    /// Which way is better; of distances, closer.
    fn direction(&self) -> Direction {
        Direction::HigherIsBetter
    }

    /// What it is computed from.
    fn needs(&self) -> Needs {
        Needs::Features
    }

    /// What it can be told for: what items have.
    fn tells(&self) -> &'static [Target] {
        match self.needs() {
            Needs::Other => ANYTHING,
            Needs::Features | Needs::Source => &[Target::Classes],
        }
    }

    /// Changes of the features that leave it what it is, but for rounding.
    fn unchanged_by(&self) -> &'static [Change];

    /// The numbers, or why there are none. Each is finite.
    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal>;
}

/// Every score, in the order of tables.
pub const SCORES: &[&dyn Score] = &[
    &Nce,
    &Leep,
    &NLeep,
    &LogMe,
    &HScore,
    &TransRate,
    &Gbc,
    &Sfda,
    &Parc,
    &Neighbours,
    &Cka,
    &ProxyA,
    &Mmd,
    &Frechet,
    &Coral,
    &SlicedWasserstein,
];

/// A score by name.
pub fn score(name: &str) -> Option<&'static dyn Score> {
    SCORES.iter().find(|score| score.name() == name).copied()
}
