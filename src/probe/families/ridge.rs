//! Least squares with a penalty along λ; classes and labels as ±1.

use ndarray::Array2;

use super::super::ProbeError;
use super::super::family::{Family, Fitted, Path, Prepared};
use super::super::pool::{Pool, Targets};
use super::super::ridge::{self, Decomposed};
use super::linear::{Linear, Link};

/// Ridge regression.
#[derive(Clone, Copy, Debug)]
pub struct Ridge;

impl Family for Ridge {
    fn setting(&self) -> Option<&'static str> {
        Some("lambda")
    }

    fn prepare<'a>(&'a self, pool: &'a Pool) -> Result<Box<dyn Prepared + 'a>, ProbeError> {
        Ok(Box::new(Ready { pool }))
    }
}

struct Ready<'a> {
    pool: &'a Pool,
}

impl Prepared for Ready<'_> {
    fn path<'a>(&'a self, rows: &[usize]) -> Result<Box<dyn Path + 'a>, ProbeError> {
        let (targets, link) = match self.pool.targets.of(rows) {
            Targets::Classes { labels, classes } => {
                (ridge::class_targets(&labels, classes)?, Link::Margins)
            }
            Targets::Labels(known) if known.iter().any(|label| label.is_nan()) => {
                let why = "`ridge` needs every label of every training item";
                return Err(ProbeError::OtherTargets(why));
            }
            Targets::Labels(known) => (known.mapv(|label| 2.0 * label - 1.0), Link::Margins),
            Targets::Values(values) => (values, Link::Values),
        };
        let features = self.pool.rows(rows);
        let decomposed = Decomposed::new(features, targets.view(), self.pool.threads)?;
        Ok(Box::new(Along { pool: self.pool, decomposed, link, last: None }))
    }
}

struct Along<'a> {
    pool: &'a Pool,
    decomposed: Decomposed<'static>,
    link: Link,
    last: Option<(f64, Linear)>,
}

impl Along<'_> {
    fn last(&self) -> &(f64, Linear) {
        self.last.as_ref().expect("a fit was made")
    }
}

impl Path for Along<'_> {
    fn fit(&mut self, value: f64) -> Result<(), ProbeError> {
        let fitted = self.decomposed.fit(value)?;
        let too_small = || ProbeError::NoFit(format!("λ = {value} is too small to be told from 0"));
        let fitted = fitted.ok_or_else(too_small)?;
        let linear = Linear { weights: fitted.weights, biases: fitted.biases, link: self.link };
        self.last = Some((value, linear));
        Ok(())
    }

    fn scores(&self, rows: &[usize]) -> Array2<f64> {
        self.last().1.of(&self.pool.rows(rows).view())
    }

    fn left_out(&self) -> Option<Array2<f64>> {
        self.decomposed.leave_one_out(self.last().0).ok().flatten()
    }

    fn fitted(&self) -> Box<dyn Fitted> {
        Box::new(self.last().1.clone())
    }
}
