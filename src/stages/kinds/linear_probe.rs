//! `linear_probe`: multinomial logistic regression on features.

use serde_json::{Value as Json, json};

use crate::base::Located;
use crate::base::language::{Count, keys};
use crate::probe::{Grid, Labelled, Logistic, Named, Normalise};

use super::super::artifacts::ArrayRows;
use super::super::class_weights::ClassWeights;
use super::super::data::Sample;
use super::super::job::{Context, Failure, Job, Outputs, Speed};
use super::super::names::Reference;
use super::super::probing::{FEATURES, Probe, fits_on_features, matrix};
use super::super::site::{Offers, Site};
use super::Kind;

keys! {
    /// Multinomial logistic regression on frozen features, its strength chosen on val.
    pub struct LinearProbe {
        /// The features, as in `codes.gap`.
        features: Located<Reference>,
        /// Inverse strength of the L2 penalty: values to choose from.
        c: Grid = Grid::Named(Named::Default),
        /// How features are scaled; learnt from the training items alone.
        normalize: Normalise = Normalise::Standard,
        /// How much each class counts when it is decided; probabilities stay those of the data.
        class_weights: ClassWeights = ClassWeights::None,
        /// Training items; all of the split's if not said.
        train_size: Option<Located<Count>> = None,
    }
}

impl Kind for LinearProbe {
    const WORD: &'static str = "linear_probe";

    fn references(&self) -> Vec<&Located<Reference>> {
        vec![&self.features]
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let job = |sample| Fit {
            kind: Self::WORD,
            sample,
            grid: self.c.clone(),
            normalise: self.normalize.clone(),
            class_weights: self.class_weights.clone(),
        };
        fits_on_features(Self::WORD, &self.features, self.train_size.as_ref(), job, site)
    }
}

/// Logistic regression on rows of numbers, whatever they are.
pub(super) struct Fit {
    /// The word of the stage's kind.
    pub(super) kind: &'static str,
    pub(super) sample: Sample,
    pub(super) grid: Grid,
    pub(super) normalise: Normalise,
    pub(super) class_weights: ClassWeights,
}

impl Job for Fit {
    fn kind(&self) -> &'static str {
        self.kind
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({
            "sample": self.sample.key()?,
            "c": self.grid.values(),
            "grows": self.grid.beyond(true),
            "normalize": self.normalise,
            "class_weights": self.class_weights,
        }))
    }

    fn expected(&self, _speed: Speed) -> f64 {
        1e-4 * (self.sample.train.len() * self.grid.values().len()) as f64
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let rows = ArrayRows::open(context.bytes(FEATURES)?)?;
        let fit = |data: &Labelled<'_>, cost: f64, before: Option<&Logistic>| {
            Logistic::fit(data, cost, before)
        };
        let probe = Probe {
            sample: &self.sample,
            grid: &self.grid,
            normalise: &self.normalise,
            class_weights: &self.class_weights,
            fit,
        };
        probe.run(&|items| Ok(matrix(&rows, items)), context)
    }
}
