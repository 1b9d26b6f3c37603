//! `svm`: support vector machines on features, one class against the rest.

use serde_json::{Value as Json, json};

use crate::base::Located;
use crate::base::language::{Count, keys};
use crate::probe::{self, Cost, Grid, Kernel, Labelled, Normalise};

use super::super::artifacts::ArrayRows;
use super::super::class_weights::ClassWeights;
use super::super::data::Sample;
use super::super::job::{Context, Failure, Job, Outputs, Speed};
use super::super::names::Reference;
use super::super::probing::{FEATURES, Probe, fits_on_features, matrix};
use super::super::site::{Offers, Site};
use super::Kind;

keys! {
    /// Support vector machines (plain hinge, one class against the rest) on frozen features, C
    /// chosen on val. They give distances, no probabilities.
    pub struct Svm {
        /// The features, as in `codes.block2`.
        features: Located<Reference>,
        /// What two items have in common.
        kernel: Kernel = Kernel::Linear,
        /// Cost of a violated margin: values to choose from.
        c: Grid = Grid::Listed([0.01, 0.1, 1.0, 10.0].into_iter().filter_map(Cost::new).collect()),
        /// How features are scaled; learnt from the training items alone.
        normalize: Normalise = Normalise::Standard,
        /// How much a violated margin costs in each class.
        class_weights: ClassWeights = ClassWeights::None,
        /// Training items; all of the split's if not said.
        train_size: Option<Located<Count>> = None,
    }
}

impl Kind for Svm {
    const WORD: &'static str = "svm";

    fn references(&self) -> Vec<&Located<Reference>> {
        vec![&self.features]
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let job = |sample| Fit {
            sample,
            kernel: self.kernel.clone(),
            grid: self.c.clone(),
            normalise: self.normalize.clone(),
            class_weights: self.class_weights.clone(),
        };
        fits_on_features(Self::WORD, &self.features, self.train_size.as_ref(), job, site)
    }
}

struct Fit {
    sample: Sample,
    kernel: Kernel,
    grid: Grid,
    normalise: Normalise,
    class_weights: ClassWeights,
}

impl Job for Fit {
    fn kind(&self) -> &'static str {
        "svm"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({
            "sample": self.sample.key()?,
            "kernel": self.kernel,
            "c": self.grid.values(),
            "grows": self.grid.beyond(true),
            "normalize": self.normalise,
            "class_weights": self.class_weights,
        }))
    }

    fn expected(&self, _speed: Speed) -> f64 {
        1e-6 * self.sample.train.len() as f64
            * (self.sample.train.len() * self.grid.values().len()) as f64
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let rows = ArrayRows::open(context.bytes(FEATURES)?)?;
        let weights = self.class_weights.of(&self.sample);
        let fit = |data: &Labelled<'_>, cost: f64, _: Option<&probe::Svm>| {
            let costs: Vec<f64> = weights.iter().map(|weight| cost * weight).collect();
            probe::Svm::fit(data, &costs, &self.kernel)
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
