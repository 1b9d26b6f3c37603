//! `svm`: support vector machines on features, one class against the rest.

use std::sync::Arc;

use serde_json::json;

use crate::base::Located;
use crate::base::language::keys;
use crate::probe::{self, Cost, Grid, Kernel};

use super::super::class_weights::ClassWeights;
use super::super::data::Sample;
use super::super::names::Reference;
use super::super::probing::{Choosing, Fit, fits_on_features};
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
        /// How much a violated margin costs in each class.
        class_weights: ClassWeights = ClassWeights::None,
        ; .. choosing: Choosing
    }
}

impl Kind for Svm {
    const WORD: &'static str = "svm";

    fn references(&self) -> Vec<&Located<Reference>> {
        vec![&self.features]
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let job = |sample: Sample| Fit {
            kind: Self::WORD,
            family: Arc::new(probe::Svm {
                kernel: self.kernel.clone(),
                weights: self.class_weights.of(&sample),
            }),
            sample,
            settings: json!({ "kernel": self.kernel, "class_weights": self.class_weights }),
            values: Arc::new(self.c.clone()),
            choosing: self.choosing.clone(),
            per_class: false,
            decide: ClassWeights::None,
        };
        fits_on_features(Self::WORD, &self.features, &self.choosing, job, site)
    }
}
