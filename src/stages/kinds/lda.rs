//! `lda`: linear discriminant analysis.

use std::sync::Arc;

use serde_json::json;

use crate::base::Located;
use crate::base::language::{Share, choice, keys};
use crate::probe;

use super::super::names::Reference;
use super::super::probing::{Asked, CLASSES, Fit, Probing, fits_on_features};
use super::super::site::{Offers, Site};
use super::Kind;

keys! {
    /// Linear discriminant analysis of frozen features: normal distributions of one covariance, which
    /// is shrunk. It has nothing to choose and gives probabilities.
    pub struct Lda {
        /// The features, as in `codes.gap`.
        features: Located<Reference>,
        /// How far the covariance is pulled towards a multiple of the identity.
        shrinkage: Shrinkage = Shrinkage::Auto,
        ; .. probing: Probing
    }
}

choice! {
    /// How far a covariance is shrunk.
    pub enum Shrinkage {
        /// As far as Ledoit and Wolf (2004) estimate for each class.
        "auto" => Auto,
        /// Not at all.
        "none" => None,
        /// So far: 0 is not at all, 1 all the way.
        "share" => Share(Share),
    }
}

impl Kind for Lda {
    const WORD: &'static str = "lda";

    fn references(&self) -> Vec<&Located<Reference>> {
        self.probing.references(&self.features)
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let shrinkage = match &self.shrinkage {
            Shrinkage::Auto => probe::Shrinkage::Auto,
            Shrinkage::None => probe::Shrinkage::None,
            Shrinkage::Share(share) => probe::Shrinkage::Given(share.get()),
        };
        let settings = json!({ "shrinkage": self.shrinkage });
        let job = |sample| {
            let (family, nothing) = (Arc::new(probe::Lda { shrinkage }), Arc::new(vec![0.0]));
            Fit::new(Self::WORD, sample, family, settings.clone(), nothing, &self.probing)
        };
        fits_on_features(
            Self::WORD,
            CLASSES,
            &self.features,
            Asked::plain(&self.probing),
            job,
            site,
        )
    }
}
