//! What probes learn from and are asked about, in linfa's terms: borrowed features are its records,
//! targets its targets.

use linfa::dataset::{DatasetBase, Records};
use linfa::traits::{Fit, Predict};
use ndarray::{Array2, ArrayView2};

use super::family::{Family, Fitted};
use super::pool::{Pool, Targets};
use super::{ProbeError, checked};

/// Features of items, one row each, not copied.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a>(pub ArrayView2<'a, f64>);

impl Records for Features<'_> {
    type Elem = f64;

    fn nsamples(&self) -> usize {
        self.0.nrows()
    }

    fn nfeatures(&self) -> usize {
        self.0.ncols()
    }
}

/// Features with what is to be said of them.
pub type Examples<'a> = DatasetBase<Features<'a>, Targets>;

/// A family at one value of its setting.
#[derive(Clone, Copy)]
pub struct At<'f> {
    /// The family.
    pub family: &'f dyn Family,
    /// The value.
    pub value: f64,
    /// How many threads may work.
    pub threads: usize,
}

impl<'a> Fit<Features<'a>, Targets, ProbeError> for At<'_> {
    type Object = Box<dyn Fitted>;

    fn fit(&self, examples: &Examples<'a>) -> Result<Self::Object, ProbeError> {
        let features = examples.records.0.to_owned();
        let (train, threads) = (features.nrows(), self.threads);
        let pool = Pool { features, targets: examples.targets.clone(), train, threads };
        let rows: Vec<usize> = (0..pool.features.nrows()).collect();
        checked(&pool, [&rows[..]])?;
        let prepared = self.family.prepare(&pool)?;
        let mut path = prepared.path(&rows)?;
        path.fit(self.value)?;
        Ok(path.fitted())
    }
}

impl<'a> Predict<Features<'a>, Array2<f64>> for dyn Fitted {
    fn predict(&self, features: Features<'a>) -> Array2<f64> {
        self.scores(features.0)
    }
}

/// What linfa itself finds wrong.
impl From<linfa::Error> for ProbeError {
    fn from(error: linfa::Error) -> Self {
        Self::NoFit(error.to_string())
    }
}
