//! `svm`: support vector machines on features, one class against the rest.

use std::sync::Arc;

use serde_json::json;

use crate::base::language::{choice, keys};
use crate::base::{Located, Problem};
use crate::probe::{self, Cost, Family, Grid, Kernel};

use super::super::class_weights::ClassWeights;
use super::super::data::Sample;
use super::super::names::Reference;
use super::super::probing::{Choosing, Fit, fits_on_features};
use super::super::site::{Offers, Site};
use super::Kind;

keys! {
    /// Support vector machines on frozen features, C chosen on items they were not fitted on. Linear
    /// ones tell each class from the rest.
    pub struct Svm {
        /// The features, as in `codes.block2`.
        features: Located<Reference>,
        /// What two items have in common.
        kernel: Kernel = Kernel::Linear,
        /// Cost of a violated margin: values to choose from.
        c: Grid = Grid::Listed([0.01, 0.1, 1.0, 10.0].into_iter().filter_map(Cost::new).collect()),
        /// What an item costs that lies within the margin or beyond, for linear machines;
        /// `squared_hinge` if not said.
        loss: Option<Loss> = None,
        /// Whether each class has a C of its own, for linear machines.
        per_class: bool = false,
        /// How much a violated margin costs in each class.
        class_weights: ClassWeights = ClassWeights::None,
        ; .. choosing: Choosing
    }
}

choice! {
    /// What an item costs that lies within the margin or beyond it.
    pub enum Loss {
        /// How far it lies.
        "hinge" => Hinge,
        /// The square of how far it lies.
        "squared_hinge" => SquaredHinge,
    }
}

impl Kind for Svm {
    const WORD: &'static str = "svm";

    fn references(&self) -> Vec<&Located<Reference>> {
        vec![&self.features]
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        if self.loss.is_some() && self.kernel != Kernel::Linear {
            let help = "leave `loss` out, or choose `kernel: linear`";
            let message = "only linear machines have a choice of `loss`";
            site.problem(Problem::at(self.features.place, message).help(help));
            return None;
        }
        let settings = json!({
            "kernel": self.kernel, "loss": self.loss, "class_weights": self.class_weights,
        });
        let job = |sample: Sample| {
            let (family, values) = (self.family(&sample), Arc::new(self.c.clone()));
            let settings = settings.clone();
            let fit = Fit::new(Self::WORD, sample, family, settings, values, &self.choosing);
            Fit { per_class: self.per_class, ..fit }
        };
        fits_on_features(Self::WORD, &self.features, &self.choosing, job, site)
    }
}

impl Svm {
    fn family(&self, sample: &Sample) -> Arc<dyn Family> {
        let weights = self.class_weights.of(sample);
        match self.kernel {
            Kernel::Linear => Arc::new(probe::LinearSvm {
                loss: match self.loss {
                    Some(Loss::Hinge) => probe::Loss::Plain,
                    Some(Loss::SquaredHinge) | None => probe::Loss::Squared,
                },
                weights: Some(weights),
            }),
            _ => Arc::new(probe::Svm { kernel: self.kernel.clone(), weights }),
        }
    }
}
