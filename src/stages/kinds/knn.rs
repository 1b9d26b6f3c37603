//! `knn`: what the nearest training items are.

use std::sync::Arc;

use serde_json::json;

use crate::base::Located;
use crate::base::language::{Above0, Count, OneOrMore, choice, keys};
use crate::probe::{self, Counts, Neighbourhood};

use super::super::names::Reference;
use super::super::probing::{ANYTHING, Asked, Fit, Probing, fits_on_features};
use super::super::site::{Offers, Site};
use super::Kind;

keys! {
    /// k nearest neighbours among frozen features. Nothing is learnt, so what they say is what the
    /// features themselves say.
    pub struct Knn {
        /// The features, as in `codes.gap`.
        features: Located<Reference>,
        /// How many neighbours are asked: values to choose from.
        k: OneOrMore<Count> = OneOrMore([1, 5, 20].map(Count).to_vec()),
        /// How far items are from each other.
        distance: Distance = Distance::L2,
        /// What each neighbour counts.
        votes: Votes = Votes::Majority,
        ; .. probing: Probing
    }
}

choice! {
    /// How far two items are from each other.
    pub enum Distance {
        /// The length of their difference.
        "l2" => L2,
        /// 1 − the cosine of the angle between them.
        "cosine" => Cosine,
    }
}

choice! {
    /// What each neighbour counts.
    pub enum Votes {
        /// The same; of classes with as many votes that of the nearest item wins.
        "majority" => Majority,
        /// exp(similarity / temperature): similarity is the cosine, or the negative distance.
        "weighted" => Weighted(Weighted),
    }
}

keys! {
    /// How fast votes fall with distance.
    pub struct Weighted {
        /// The temperature; .07 is DINO's for cosines.
        temperature: Above0 = Above0::new(0.07).expect("a default above 0"),
    }
}

impl Distance {
    /// As the probe knows it.
    pub(super) fn measure(&self) -> probe::Distance {
        match self {
            Self::L2 => probe::Distance::L2,
            Self::Cosine => probe::Distance::Cosine,
        }
    }
}

impl Kind for Knn {
    const WORD: &'static str = "knn";

    fn references(&self) -> Vec<&Located<Reference>> {
        self.probing.references(&self.features)
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let counts = Counts::new(self.k.0.iter().map(|k| k.0));
        let how = Neighbourhood {
            distance: self.distance.measure(),
            votes: match &self.votes {
                Votes::Majority => probe::Votes::Majority,
                Votes::Weighted(weighted) => probe::Votes::Weighted(weighted.temperature.get()),
            },
            most: counts.most(),
        };
        let settings = json!({ "distance": self.distance, "votes": self.votes });
        let job = |sample| {
            let (family, values) = (Arc::new(probe::Knn(how)), Arc::new(counts.clone()));
            Fit::new(Self::WORD, sample, family, settings.clone(), values, &self.probing)
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
