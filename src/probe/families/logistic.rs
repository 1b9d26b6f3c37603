//! Logistic regression along C: multinomial for classes, one for each label by itself.

use ndarray::Array2;

use super::super::ProbeError;
use super::super::family::{Family, Fitted, Path, Prepared};
use super::super::logistic::{LogisticPath, Settings};
use super::super::newton::Stop;
use super::super::pool::{Pool, Targets};
use super::linear::{Linear, Link};

/// Logistic regression with an L2 penalty on the weights and none on the biases.
#[derive(Clone, Debug, Default)]
pub struct Logistic {
    /// When a fit is good enough.
    pub settings: Settings,
}

impl Family for Logistic {
    fn setting(&self) -> Option<&'static str> {
        Some("c")
    }

    fn prepare<'a>(&'a self, pool: &'a Pool) -> Result<Box<dyn Prepared + 'a>, ProbeError> {
        Ok(Box::new(Ready { pool, settings: &self.settings }))
    }
}

struct Ready<'a> {
    pool: &'a Pool,
    settings: &'a Settings,
}

impl Prepared for Ready<'_> {
    fn path<'a>(&'a self, rows: &[usize]) -> Result<Box<dyn Path + 'a>, ProbeError> {
        let (features, threads) = (self.pool.rows(rows), self.pool.threads);
        let features = features.view();
        let (path, link) = match self.pool.targets.of(rows) {
            Targets::Classes { labels, classes } => {
                (LogisticPath::new(&features, &labels, classes, threads), Link::Softmax)
            }
            Targets::Labels(known) => {
                let known = known.mapv(|label| (!label.is_nan()).then_some(label > 0.5));
                (LogisticPath::of_columns(&features, &known.view(), threads), Link::Sigmoid)
            }
            Targets::Values(_) => {
                let why = "logistic regression tells classes and labels; `ridge` tells values";
                return Err(ProbeError::OtherTargets(why));
            }
        };
        let path = path.settings(*self.settings);
        Ok(Box::new(Along { pool: self.pool, path, link, last: None }))
    }
}

struct Along<'a> {
    pool: &'a Pool,
    path: LogisticPath,
    link: Link,
    last: Option<(Linear, Stop)>,
}

impl Along<'_> {
    fn last(&self) -> &(Linear, Stop) {
        self.last.as_ref().expect("a fit was made")
    }
}

impl Path for Along<'_> {
    fn fit(&mut self, value: f64) -> Result<(), ProbeError> {
        let fitted = self.path.fit(value);
        let linear = Linear { weights: fitted.weights, biases: fitted.biases, link: self.link };
        self.last = Some((linear, fitted.stop));
        Ok(())
    }

    fn scores(&self, rows: &[usize]) -> Array2<f64> {
        self.last().0.of(&self.pool.rows(rows).view())
    }

    fn fitted(&self) -> Box<dyn Fitted> {
        Box::new(self.last().0.clone())
    }

    fn is_capped(&self) -> bool {
        self.last().1 == Stop::Cap
    }
}
