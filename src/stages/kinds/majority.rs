//! `majority`: always the most frequent class of the training items, or the mean of what is to be
//! told. The floor of any verdict.

use ndarray::Array2;
use serde_json::{Value as Json, json};

use crate::base::language::{Count, keys};
use crate::base::{Located, Target};

use super::super::artifacts::Predictions;
use super::super::data::Sample;
use super::super::job::{Context, Failure, Job, Learning, Outputs};
use super::super::names::{Name, Reference};
use super::super::probing::{sample, told};
use super::super::site::{Arm, ClassifierOffer, Offers, Site};
use super::super::targets::always;
use super::Kind;

keys! {
    /// Always predicts the most frequent class of the training items, with the shares of the
    /// classes as probabilities. Of several labels, the share of items that have each; of numbers,
    /// their mean.
    pub struct Majority {
        /// The data set.
        dataset: Located<Name>,
        /// Training items; all of the split's if not said.
        train_size: Option<Located<Count>> = None,
    }
}

impl Kind for Majority {
    const WORD: &'static str = "majority";

    fn references(&self) -> Vec<&Located<Reference>> {
        vec![]
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let data = site.dataset(&self.dataset)?;
        let size = self.train_size.as_ref();
        let differ = data.is_drawn(size.map(|size| size.0));
        let runs = site.for_seeds(differ, |site, _, seed| {
            let job = Prior { sample: sample(site, &data, size, seed)? };
            Some(site.add("", seed, job, vec![]))
        })?;
        let arm = Arm {
            kind: Self::WORD.to_owned(),
            target: data.name.clone(),
            macs: Some(0),
            parameters: Some(0),
            ..Arm::default()
        };
        let classifier = ClassifierOffer { data, runs, arm, beside: None };
        Some(Offers { classifier: Some(classifier), ..Offers::default() })
    }
}

struct Prior {
    sample: Sample,
}

impl Job for Prior {
    fn kind(&self) -> &'static str {
        "majority"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({ "sample": self.sample.key()? }))
    }

    fn learns(&self) -> Option<Learning> {
        Some(Learning { items: self.sample.train.len(), batch: None })
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        if self.sample.data.dataset.target() != Target::Classes {
            return self.told(&always(&self.sample), context);
        }
        let prior = self.sample.prior();
        let everyone = self.sample.everyone().len();
        let scores = Array2::from_shape_fn((everyone, prior.len()), |(_, class)| prior[class].ln());
        self.told(&told(&self.sample, scores, None), context)
    }
}

impl Prior {
    fn told(&self, predictions: &Predictions, context: &Context<'_>) -> Result<Outputs, Failure> {
        Ok(Outputs::default()
            .with("predictions", predictions.save(context.store)?)
            .fact("trained_on", self.sample.train.len()))
    }
}
