//! Linear discriminant analysis: nothing to choose.

use ndarray::{Array2, ArrayView2};

use super::super::ProbeError;
use super::super::family::{Family, Fitted, Path, Prepared};
use super::super::lda::{Lda as Discriminant, Shrinkage};
use super::super::pool::{Pool, Targets};
use super::only::Only;

/// Linear discriminant analysis.
#[derive(Clone, Copy, Debug)]
pub struct Lda {
    /// How far covariances are shrunk.
    pub shrinkage: Shrinkage,
}

impl Family for Lda {
    fn setting(&self) -> Option<&'static str> {
        None
    }

    fn prepare<'a>(&'a self, pool: &'a Pool) -> Result<Box<dyn Prepared + 'a>, ProbeError> {
        Ok(Box::new(Ready { pool, shrinkage: self.shrinkage }))
    }
}

struct Ready<'a> {
    pool: &'a Pool,
    shrinkage: Shrinkage,
}

impl Prepared for Ready<'_> {
    fn path<'a>(&'a self, rows: &[usize]) -> Result<Box<dyn Path + 'a>, ProbeError> {
        let Targets::Classes { labels, classes } = self.pool.targets.of(rows) else {
            return Err(ProbeError::OtherTargets("a discriminant needs one class an item"));
        };
        let (features, threads) = (self.pool.rows(rows), self.pool.threads);
        let fitted = Discriminant::fit(features.view(), &labels, classes, self.shrinkage, threads)?;
        Ok(Box::new(Only { pool: self.pool, model: Model { fitted, threads } }))
    }
}

#[derive(Clone, Debug)]
struct Model {
    fitted: Discriminant,
    threads: usize,
}

impl Fitted for Model {
    fn scores(&self, features: ArrayView2<'_, f64>) -> Array2<f64> {
        self.fitted.scores(features, self.threads).expect("items have the features of training")
    }

    fn no_probabilities(&self) -> Option<&'static str> {
        None
    }

    fn note(&self) -> Option<String> {
        let count = self.fitted.left_out();
        let why = "constant within classes or sums of others";
        (count > 0).then(|| format!("{count} features were left out: {why}"))
    }
}
