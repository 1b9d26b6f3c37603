//! Measures of one layer's features for the advisor.

use ndarray::Array2;
use serde_json::{Value as Json, json};

use crate::base::Seed;
use crate::data::{strata, subset};
use crate::transferability::advisor::{MOST_ITEMS, measure};

use super::super::artifacts::{ArrayRows, Measured, put_json};
use super::super::data::Sample;
use super::super::job::{Context, Cores, Failure, Job, Outputs, Speed};
use super::super::probing::{FEATURES, matrix};
use super::MEASURES;

/// The port of the same features by random weights.
pub(in super::super) const RANDOM: &str = "random";

/// Measures one layer.
pub(in super::super) struct Measuring {
    pub(in super::super) sample: Sample,
    /// Whether the same features by random weights are read.
    pub(in super::super) has_random: bool,
    /// Names the draw of items where there are many.
    pub(in super::super) seed: Seed,
}

impl Job for Measuring {
    fn kind(&self) -> &'static str {
        "advise_measures"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({
            "sample": self.sample.key()?,
            "random": self.has_random,
            "seed": self.seed,
        }))
    }

    fn cores(&self) -> Cores {
        Cores::Share
    }

    fn expected(&self, _speed: Speed) -> f64 {
        5e-4 * self.sample.train.len().min(MOST_ITEMS) as f64
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let dataset = &self.sample.data.dataset;
        let train = &self.sample.train;
        let drawn = match train.len() > MOST_ITEMS {
            true => subset(train, &strata(dataset), MOST_ITEMS, self.seed)
                .map_err(|error| Failure::with_help(error.message, error.help))?,
            false => train.clone(),
        };
        let all = dataset.labels();
        let labels: Vec<usize> = drawn.iter().map(|&item| all[item]).collect();
        let read = |port: &str| -> Result<Array2<f64>, Failure> {
            Ok(matrix(&ArrayRows::open(context.bytes(port)?)?, &drawn))
        };
        let features = read(FEATURES)?;
        let random = if self.has_random { Some(read(RANDOM)?) } else { None };
        let random = random.as_ref().map(|rows| rows.view());
        let measures = measure(features.view(), &labels, random, context.cores).map_err(|e| {
            let help = "check the model's input rule, or choose another layer";
            Failure::with_help(format!("measure features: {e}"), help)
        })?;
        let mut counts = vec![0_usize; self.sample.data.classes()];
        for &item in train {
            counts[all[item]] += 1;
        }
        let present = || counts.iter().filter(|count| **count > 0);
        let measured = Measured {
            items: train.len(),
            classes: present().count(),
            least_class: present().min().copied().unwrap_or_default(),
            features: features.ncols(),
            measures,
        };
        Ok(Outputs::default().with(MEASURES, put_json(context.store, MEASURES, &measured)?))
    }
}
