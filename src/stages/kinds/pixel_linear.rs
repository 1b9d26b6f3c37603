//! `pixel_linear`: logistic regression on pixels. Does any deep arm earn its cost?

use crate::base::Located;
use crate::base::language::{Count, keys};
use crate::data::Size;
use crate::onnx::footprint::Footprint;
use crate::probe::{Grid, Named};

use super::super::class_weights::ClassWeights;
use super::super::names::{Name, Reference};
use super::super::probing::{
    Choosing, FEATURES, Fit, LABELS, Weighed, fits_target, noisy, sample, told_noise,
};
use super::super::site::{Arm, ClassifierOffer, Input, Offers, Site};
use super::super::training::Pixelate;
use super::Kind;
use super::pixels::plain_rule;

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
        /// How much each class counts when it is decided: its probability times its weight. Every
        /// item counts the same in the fit, so that probabilities stay those of the data.
        class_weights: Located<ClassWeights> = ClassWeights::by_default(),
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
        let asked = Weighed { choosing: &self.choosing, class_weights: Some(&self.class_weights) };
        fits_target(Self::WORD, LABELS, asked, &data, self.dataset.place, site)?;
        let rule = plain_rule(&data, self.size, self.channels, self.dataset.place, site)?;
        let pixels = Pixelate::shared(&data, &rule, site);
        let size = self.choosing.train_size.as_ref();
        let noise = &self.choosing.label_noise;
        let differ = noise.get() > 0.0 || data.is_drawn(size.map(|size| size.0));
        let first = site.seeds.first().copied();
        let first = sample(site, &data, size, first)?;
        let effort = Fit::logistic(Self::WORD, first, &self.c, &self.choosing).effort();
        let runs = site.for_seeds(differ, |site, _, seed| {
            let sample = sample(site, &data, size, seed)?;
            let sample = noisy(site, sample, noise, seed)?;
            let fit = Fit::logistic(Self::WORD, sample, &self.c, &self.choosing);
            let job = Fit { decide: self.class_weights.value.clone(), ..fit };
            Some(site.add("", seed, job, vec![Input::new(FEATURES, pixels, "rows")]))
        })?;
        let weights = rule.length() * data.outputs();
        let arm = Arm {
            kind: Self::WORD.to_owned(),
            target: data.name.clone(),
            label_noise: told_noise(noise.value),
            parameters: Some(weights + data.outputs()),
            trained_parameters: Some(weights + data.outputs()),
            macs: Some(weights as u64),
            effort,
            size: Some(Footprint::default().with_linear(rule.length(), data.outputs())),
            ..Arm::default()
        };
        let classifier = ClassifierOffer { data, runs, arm, beside: None };
        Some(Offers { classifier: Some(classifier), ..Offers::default() })
    }
}
