//! Choosing C on the val part.

use std::rc::Rc;

use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

use super::grid::Grid;
use super::{Classifier, Labelled, ProbeError};

/// What each value of C gave on val; lower is better.
pub type Curve = Vec<(f64, Option<f64>)>;

/// The value that was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The value.
    pub cost: f64,
    /// What it gave on val.
    pub val: f64,
    /// What is compared on val.
    pub criterion: String,
    /// Every value with what it gave; nothing where the fit failed.
    pub curve: Curve,
    /// Whether it lies at an end of the grid, so that a better one may lie beyond.
    pub at_edge: bool,
}

/// A fitted classifier and how it was chosen.
pub struct Selected<C> {
    /// The classifier.
    pub classifier: Rc<C>,
    /// How it was chosen.
    pub choice: Choice,
}

/// Fits every value of the grid, ascending, each from the one before; keeps the best on val (the
/// smallest of equals). Probabilities are compared by log-loss, distances by the share of val
/// items that are wrong, each class weighing the same. `stop` ends it early.
pub fn select<C: Classifier>(
    grid: &Grid,
    train: &Labelled<'_>,
    val: &Labelled<'_>,
    fit: impl Fn(&Labelled<'_>, f64, Option<&C>) -> Result<C, ProbeError>,
    stop: &dyn Fn() -> bool,
) -> Result<Selected<C>, ProbeError> {
    let mut tried = Tried { curve: vec![], best: None, last: None, error: None };
    let values = grid.values();
    for &cost in &values {
        if stop() {
            return Err(ProbeError::NoFit("interrupted".to_owned()));
        }
        tried.add(cost, train, val, &fit)?;
    }
    let best = tried.best.as_ref().map(|best| best.cost);
    let ends = [values.first().copied(), values.last().copied()];
    for (upwards, end) in [(false, ends[0]), (true, ends[1])] {
        if best.is_some() && best == end {
            tried.last = None;
            for cost in grid.beyond(upwards) {
                tried.add(cost, train, val, &fit)?;
            }
        }
    }
    tried.finish()
}

struct Tried<C> {
    curve: Curve,
    best: Option<Best<C>>,
    last: Option<Rc<C>>,
    error: Option<ProbeError>,
}

struct Best<C> {
    cost: f64,
    val: f64,
    criterion: &'static str,
    classifier: Rc<C>,
}

impl<C: Classifier> Tried<C> {
    fn add(
        &mut self,
        cost: f64,
        train: &Labelled<'_>,
        val: &Labelled<'_>,
        fit: &impl Fn(&Labelled<'_>, f64, Option<&C>) -> Result<C, ProbeError>,
    ) -> Result<(), ProbeError> {
        let fitted = match fit(train, cost, self.last.as_deref()) {
            Ok(fitted) => Rc::new(fitted),
            // One value may fail to converge; the data itself being wrong is another matter.
            Err(error @ ProbeError::NoFit(_)) => {
                self.curve.push((cost, None));
                self.error = Some(error);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let scores = fitted.scores(val.features);
        let (criterion, seen) = match fitted.no_probabilities() {
            None => ("log_loss", log_loss(&scores, val.labels)),
            Some(_) => ("balanced_error", balanced_error(&scores, val)),
        };
        self.curve.push((cost, Some(seen)));
        let better = self
            .best
            .as_ref()
            .is_none_or(|best| seen < best.val || (seen <= best.val && cost < best.cost));
        if better {
            self.best = Some(Best { cost, val: seen, criterion, classifier: Rc::clone(&fitted) });
        }
        self.last = Some(fitted);
        Ok(())
    }

    fn finish(mut self) -> Result<Selected<C>, ProbeError> {
        let none = ProbeError::NoFit("the grid is empty".to_owned());
        let best = self.best.ok_or(self.error.unwrap_or(none))?;
        self.curve.sort_by(|a, b| a.0.total_cmp(&b.0));
        let fitted: Vec<f64> = self.curve.iter().map(|point| point.0).collect();
        let is_end = |end: Option<&f64>| end.is_some_and(|end| end.total_cmp(&best.cost).is_eq());
        let at_edge = fitted.len() > 1 && (is_end(fitted.first()) || is_end(fitted.last()));
        Ok(Selected {
            classifier: best.classifier,
            choice: Choice {
                cost: best.cost,
                val: best.val,
                criterion: best.criterion.to_owned(),
                curve: self.curve,
                at_edge,
            },
        })
    }
}

/// Mean −ln p of the right class; scores are logarithms of probabilities.
fn log_loss(scores: &Array2<f64>, labels: &[usize]) -> f64 {
    let floor = 2.2e-16_f64.ln();
    let rows = scores.axis_iter(Axis(0)).zip(labels);
    rows.map(|(row, &label)| -row[label].max(floor)).sum::<f64>() / labels.len() as f64
}

/// 1 − mean over classes of the share predicted right.
fn balanced_error(scores: &Array2<f64>, val: &Labelled<'_>) -> f64 {
    let mut right = vec![0.0; val.classes];
    let mut count = vec![0.0; val.classes];
    for (row, &label) in scores.axis_iter(Axis(0)).zip(val.labels) {
        count[label] += 1.0;
        right[label] += f64::from(u8::from(best_class(row.iter().copied()) == label));
    }
    let shares: Vec<f64> =
        right.iter().zip(&count).filter(|(_, n)| **n > 0.0).map(|(r, n)| r / n).collect();
    1.0 - shares.iter().sum::<f64>() / shares.len() as f64
}

/// The class with the highest score; the first of equals.
fn best_class(scores: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (class, score) in scores.enumerate() {
        if score > best.1 {
            best = (class, score);
        }
    }
    best.0
}
