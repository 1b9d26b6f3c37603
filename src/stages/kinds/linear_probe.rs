//! `linear_probe`: multinomial logistic regression on features.

use crate::base::Located;
use crate::base::language::keys;
use crate::probe::{Grid, Named};

use super::super::class_weights::ClassWeights;
use super::super::names::Reference;
use super::super::probing::{Asked, Fit, LABELS, Probing, fits_on_features};
use super::super::site::{Offers, Site};
use super::Kind;

keys! {
    /// Multinomial logistic regression on frozen features, its strength chosen on items it was not
    /// fitted on.
    pub struct LinearProbe {
        /// The features, as in `codes.gap`.
        features: Located<Reference>,
        /// Inverse strength of the L2 penalty: values to choose from.
        c: Grid = Grid::Named(Named::Default),
        /// How much each class counts when it is decided: its probability times its weight. Every
        /// item counts the same in the fit, so that probabilities stay those of the data.
        class_weights: Located<ClassWeights> = ClassWeights::by_default(),
        ; .. probing: Probing
    }
}

impl Kind for LinearProbe {
    const WORD: &'static str = "linear_probe";

    fn references(&self) -> Vec<&Located<Reference>> {
        self.probing.references(&self.features)
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let job = |sample| {
            let fit = Fit::logistic(Self::WORD, sample, &self.c, &self.probing);
            Fit { decide: self.class_weights.value.clone(), ..fit }
        };
        let asked = Asked { probing: &self.probing, class_weights: Some(&self.class_weights) };
        fits_on_features(Self::WORD, LABELS, &self.features, asked, job, site)
    }
}
