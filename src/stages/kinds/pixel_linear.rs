//! `pixel_linear`: logistic regression on pixels. Does any deep arm earn its cost?

use std::sync::Arc;

use crate::base::language::{Count, keys};
use crate::base::{Located, Problem};
use crate::data::{InputRule, Size};
use crate::onnx::footprint::Footprint;
use crate::probe::{Grid, Named};

use super::super::class_weights::ClassWeights;
use super::super::data::OpenDataset;
use super::super::names::{Name, Reference};
use super::super::probing::{Choosing, FEATURES, Fit, LABELS, fits_target, sample};
use super::super::site::{Arm, ClassifierOffer, Input, Offers, Site};
use super::super::training::Pixelate;
use super::Kind;

keys! {
    /// Multinomial logistic regression on pixels, its strength chosen on items it was not fitted
    /// on.
    pub struct PixelLinear {
        /// The data set.
        dataset: Located<Name>,
        /// Height and width that images are resized to; tables of numbers stay as they are.
        size: Size = Size { height: 16, width: 16 },
        /// 1 for grey, 3 for colour.
        channels: Count = Count(1),
        /// Inverse strength of the L2 penalty: values to choose from.
        c: Grid = Grid::Named(Named::Default),
        /// How much each class counts when it is decided; probabilities stay those of the data.
        class_weights: ClassWeights = ClassWeights::None,
        ; .. choosing: Choosing
    }
}

impl Kind for PixelLinear {
    const WORD: &'static str = "pixel_linear";

    fn references(&self) -> Vec<&Located<Reference>> {
        vec![]
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let data = site.dataset(&self.dataset)?;
        fits_target(Self::WORD, LABELS, &self.choosing, &data, self.dataset.place, site)?;
        let rule = self.rule(&data, site)?;
        site.fitting(&data, &rule, self.dataset.place)?;
        let pixels = Pixelate::shared(&data, &rule, site);
        let size = self.choosing.train_size.as_ref();
        let differ = data.is_drawn(size.map(|size| size.0));
        let runs = site.for_seeds(differ, |site, _, seed| {
            let sample = sample(site, &data, size, seed)?;
            let fit = Fit::logistic(Self::WORD, sample, &self.c, &self.choosing);
            let job = Fit { decide: self.class_weights.clone(), ..fit };
            Some(site.add("", seed, job, vec![Input::new(FEATURES, pixels, "rows")]))
        })?;
        let weights = rule.length() * data.outputs();
        let arm = Arm {
            kind: Self::WORD.to_owned(),
            target: data.name.clone(),
            parameters: Some(weights + data.outputs()),
            trained_parameters: Some(weights + data.outputs()),
            macs: Some(weights as u64),
            size: Some(Footprint::default().with_linear(rule.length(), data.outputs())),
            ..Arm::default()
        };
        Some(Offers { classifier: Some(ClassifierOffer { data, runs, arm }), ..Offers::default() })
    }
}

impl PixelLinear {
    /// Images at the asked size; numbers at their own.
    fn rule(&self, data: &Arc<OpenDataset>, site: &mut Site) -> Option<InputRule> {
        let (size, channels) = if data.is_images {
            (self.size, self.channels.0)
        } else {
            match data.dataset.pixels(0) {
                Ok(first) => (Size { height: first.height, width: first.width }, first.channels),
                Err(error) => {
                    site.problem(Problem::at(self.dataset.place, error.to_string()));
                    return None;
                }
            }
        };
        Some(InputRule::plain(size, channels))
    }
}
