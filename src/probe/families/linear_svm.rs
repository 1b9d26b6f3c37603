//! Linear support vector machines along C, each class or label against the rest.

use ndarray::Array2;

use super::super::ProbeError;
use super::super::family::{Family, Fitted, Path, Prepared};
use super::super::linear_svm::{Bias, Loss, Settings, SvmPath, Targets as Sides};
use super::super::newton::Stop;
use super::super::pool::{Pool, Targets};
use super::linear::{Linear, Link};

/// Linear machines.
#[derive(Clone, Debug)]
pub struct LinearSvm {
    /// What an item costs that lies within the margin or beyond.
    pub loss: Loss,
    /// What C is multiplied with for items of each class; of the rest, as much as their items cost
    /// on average. Nothing for labels.
    pub weights: Option<Vec<f64>>,
    /// What C is multiplied with, besides, for items of the class or label that is told from the
    /// rest.
    pub positive: f64,
}

impl Family for LinearSvm {
    fn setting(&self) -> Option<&'static str> {
        Some("c")
    }

    fn prepare<'a>(&'a self, pool: &'a Pool) -> Result<Box<dyn Prepared + 'a>, ProbeError> {
        Ok(Box::new(Ready { pool, svm: self }))
    }
}

struct Ready<'a> {
    pool: &'a Pool,
    svm: &'a LinearSvm,
}

impl Prepared for Ready<'_> {
    fn path<'a>(&'a self, rows: &[usize]) -> Result<Box<dyn Path + 'a>, ProbeError> {
        let (features, threads) = (self.pool.rows(rows), self.pool.threads);
        let features = features.view();
        let settings = Settings {
            loss: self.svm.loss,
            bias: Bias::Free,
            weights: (self.svm.positive, 1.0),
            ..Settings::default()
        };
        let path = match self.pool.targets.of(rows) {
            Targets::Classes { labels, classes } => {
                let even = vec![1.0; classes];
                let own = self.svm.weights.as_ref().unwrap_or(&even);
                let of = |class| (self.svm.positive * own[class], of_others(class, &labels, own));
                let weights: Vec<(f64, f64)> = (0..classes).map(of).collect();
                let sides = Sides::Classes { labels: &labels, classes };
                SvmPath::weighted(&features, &sides, &weights, settings, threads)
            }
            Targets::Labels(known) => {
                let known = known.mapv(|label| (!label.is_nan()).then_some(label > 0.5));
                SvmPath::new(&features, &Sides::Columns(known.view()), settings, threads)
            }
            Targets::Values(_) => {
                let why = "linear machines tell classes and labels; `ridge` tells values";
                return Err(ProbeError::OtherTargets(why));
            }
        };
        Ok(Box::new(Along { pool: self.pool, path, last: None }))
    }
}

/// Mean weight of the items of all other classes; where all weigh the same, exactly that.
fn of_others(class: usize, labels: &[usize], weights: &[f64]) -> f64 {
    let own = weights[class];
    let others = labels.iter().filter(|label| **label != class);
    let (count, more) =
        others.fold((0, 0.0), |(count, more), &label| (count + 1, more + (weights[label] - own)));
    own + more / f64::from(count.max(1))
}

struct Along<'a> {
    pool: &'a Pool,
    path: SvmPath,
    last: Option<(Linear, bool)>,
}

impl Along<'_> {
    fn last(&self) -> &(Linear, bool) {
        self.last.as_ref().expect("a fit was made")
    }
}

impl Path for Along<'_> {
    fn fit(&mut self, value: f64) -> Result<(), ProbeError> {
        let fitted = self.path.fit(value);
        let is_capped = fitted.stops.contains(&Stop::Cap);
        let (weights, biases) = (fitted.weights, fitted.biases);
        self.last = Some((Linear { weights, biases, link: Link::Margins }, is_capped));
        Ok(())
    }

    fn scores(&self, rows: &[usize]) -> Array2<f64> {
        self.last().0.of(&self.pool.rows(rows).view())
    }

    fn fitted(&self) -> Box<dyn Fitted> {
        Box::new(self.last().0.clone())
    }

    fn is_capped(&self) -> bool {
        self.last().1
    }
}
