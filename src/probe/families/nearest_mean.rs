//! Nearest class mean: nothing to choose.

use ndarray::{Array2, ArrayView2};

use super::super::ProbeError;
use super::super::family::{Family, Fitted, Path, Prepared};
use super::super::knn::Distance;
use super::super::nearest_mean::NearestMean as Means;
use super::super::pool::{Pool, Targets};
use super::only::Only;

/// Each item to the class whose mean is nearest.
#[derive(Clone, Copy, Debug)]
pub struct NearestMean {
    /// How far items are from means.
    pub distance: Distance,
}

impl Family for NearestMean {
    fn setting(&self) -> Option<&'static str> {
        None
    }

    fn prepare<'a>(&'a self, pool: &'a Pool) -> Result<Box<dyn Prepared + 'a>, ProbeError> {
        Ok(Box::new(Ready { pool, distance: self.distance }))
    }
}

struct Ready<'a> {
    pool: &'a Pool,
    distance: Distance,
}

impl Prepared for Ready<'_> {
    fn path<'a>(&'a self, rows: &[usize]) -> Result<Box<dyn Path + 'a>, ProbeError> {
        let Targets::Classes { labels, classes } = self.pool.targets.of(rows) else {
            return Err(ProbeError::OtherTargets("means of classes need one class an item"));
        };
        let features = self.pool.rows(rows);
        let means = Means::fit(features.view(), &labels, classes, self.distance)?;
        Ok(Box::new(Only { pool: self.pool, model: Model(means) }))
    }
}

#[derive(Clone, Debug)]
struct Model(Means);

impl Fitted for Model {
    fn scores(&self, features: ArrayView2<'_, f64>) -> Array2<f64> {
        self.0.scores(features).expect("items have the features of training")
    }

    fn no_probabilities(&self) -> Option<&'static str> {
        Some("it gives distances from means, not probabilities")
    }
}
