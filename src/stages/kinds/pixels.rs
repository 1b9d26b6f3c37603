//! `pixels`: what is seen without any model, as features.

use std::sync::Arc;

use crate::base::language::{Count, keys};
use crate::base::{Located, Place, Problem};
use crate::data::{InputRule, Size};

use super::super::data::OpenDataset;
use super::super::names::{Name, Reference};
use super::super::site::{FeaturesOffer, Offers, Runs, Site};
use super::super::training::Pixelate;
use super::Kind;

keys! {
    /// Pixels as features, as in `raw.pixels`: the input of probes, or a part of what `concat` puts
    /// together. Tables of numbers are features as they are.
    pub struct Pixels {
        /// The data set.
        dataset: Located<Name>,
        /// Height and width that images are resized to; tables of numbers stay as they are.
        size: Size = Size { height: 16, width: 16 },
        /// 1 for grey, 3 for colour.
        channels: Count = Count(1),
    }
}

/// What the features are called.
const LAYER: &str = "pixels";

impl Kind for Pixels {
    const WORD: &'static str = "pixels";

    fn references(&self) -> Vec<&Located<Reference>> {
        vec![]
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let data = site.dataset(&self.dataset)?;
        let rule = plain_rule(&data, self.size, self.channels, self.dataset.place, site)?;
        let node = Pixelate::shared(&data, &rule, site);
        let features = FeaturesOffer {
            data,
            runs: Runs::Once(node),
            layers: [(LAYER.to_owned(), "rows".to_owned())].into(),
            macs: [("rows".to_owned(), 0)].into(),
            base: None,
            origin: None,
            sizes: std::collections::BTreeMap::default(),
            random: false,
            init: None,
        };
        Some(Offers { features: Some(features), ..Offers::default() })
    }
}

/// Images at the asked size, numbers at their own; a problem at `place` if the items have no pixels.
pub(super) fn plain_rule(
    data: &Arc<OpenDataset>,
    size: Size,
    channels: Count,
    place: Place,
    site: &mut Site,
) -> Option<InputRule> {
    let (size, channels) = if data.is_images {
        (size, channels.0)
    } else {
        match data.dataset.pixels(0) {
            Ok(first) => (Size { height: first.height, width: first.width }, first.channels),
            Err(error) => {
                site.problem(Problem::at(place, error.to_string()));
                return None;
            }
        }
    };
    let rule = InputRule::plain(size, channels);
    site.fitting(data, &rule, place)?;
    Some(rule)
}
