//! `nearest_mean`: the class whose mean is nearest.

use std::sync::Arc;

use serde_json::json;

use crate::base::Located;
use crate::base::language::keys;
use crate::probe;

use super::super::names::Reference;
use super::super::probing::{Asked, CLASSES, Fit, Probing, fits_on_features};
use super::super::site::{Offers, Site};
use super::Kind;
use super::knn::Distance;

keys! {
    /// Each item to the class whose mean among frozen features is nearest; the probe for a handful of
    /// items a class.
    pub struct NearestMean {
        /// The features, as in `codes.gap`.
        features: Located<Reference>,
        /// How far items are from means.
        distance: Distance = Distance::L2,
        ; .. probing: Probing
    }
}

impl Kind for NearestMean {
    const WORD: &'static str = "nearest_mean";

    fn references(&self) -> Vec<&Located<Reference>> {
        self.probing.references(&self.features)
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let settings = json!({ "distance": self.distance });
        let job = |sample| {
            let family = Arc::new(probe::NearestMean { distance: self.distance.measure() });
            let nothing = Arc::new(vec![0.0]);
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
