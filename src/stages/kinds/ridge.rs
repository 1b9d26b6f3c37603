//! `ridge`: least squares on features, whose every strength costs next to nothing.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::base::Located;
use crate::base::language::keys;
use crate::probe::{Grid, Named, Ridge as Family};

use super::super::names::Reference;
use super::super::probing::{ANYTHING, Asked, Fit, Probing, fits_on_features};
use super::super::site::{Offers, Site};
use super::Kind;

keys! {
    /// Ridge regression on frozen features: least squares on classes as 1 and −1, or on values. One
    /// decomposition serves every strength, so it is the fastest probe for a sweep.
    pub struct Ridge {
        /// The features, as in `codes.gap`.
        features: Located<Reference>,
        /// Strength of the L2 penalty: values to choose from.
        lambda: Grid = Grid::Named(Named::Ridge),
        /// Whether each class has a strength of its own.
        per_class: bool = false,
        ; .. probing: Probing
    }
}

impl Kind for Ridge {
    const WORD: &'static str = "ridge";

    fn references(&self) -> Vec<&Located<Reference>> {
        self.probing.references(&self.features)
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let job = |sample| {
            let (family, values) = (Arc::new(Family), Arc::new(self.lambda.clone()));
            let fit = Fit::new(Self::WORD, sample, family, Json::Null, values, &self.probing);
            Fit { per_class: self.per_class, ..fit }
        };
        fits_on_features(
            Self::WORD,
            ANYTHING,
            &self.features,
            Asked::plain(&self.probing),
            job,
            site,
        )
    }
}
