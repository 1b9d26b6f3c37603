//! Metrics by name, whatever is predicted.

use crate::base::Target;

use super::columns::{ColumnMetric, Columns, LABEL_METRICS, Unit, VALUE_METRICS};
use super::measured::{Measured, Undefined};
use super::metrics::{Direction, METRICS, Metric};
use super::predictions::Predictions;

/// A metric of any target.
#[derive(Clone, Copy)]
pub enum Measure {
    /// Of one class an item.
    Class(&'static dyn Metric),
    /// Of several labels or numbers an item.
    Column(&'static dyn ColumnMetric),
}

/// Answers to be measured.
#[derive(Clone, Copy, Debug)]
pub enum Judged<'a> {
    /// One class an item.
    Classes(Predictions<'a>),
    /// Several labels or numbers an item.
    Columns(Columns<'a>),
}

impl Measure {
    /// All of a target, in the order of tables.
    pub fn all(target: Target) -> Vec<Self> {
        let columns = |metrics: &'static [&'static dyn ColumnMetric]| {
            metrics.iter().map(|metric| Self::Column(*metric)).collect()
        };
        match target {
            Target::Classes => METRICS.iter().map(|metric| Self::Class(*metric)).collect(),
            Target::Labels => columns(LABEL_METRICS),
            Target::Values => columns(VALUE_METRICS),
        }
    }

    /// The metric of that name for a target.
    pub fn find(name: &str, target: Target) -> Option<Self> {
        Self::all(target).into_iter().find(|measure| measure.name() == name)
    }

    /// The metric of that name for whatever target has one.
    pub fn named(name: &str) -> Option<Self> {
        let targets = [Target::Classes, Target::Labels, Target::Values];
        targets.into_iter().find_map(|target| Self::find(name, target))
    }

    /// The word used in pipelines and tables.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Class(metric) => metric.name(),
            Self::Column(metric) => metric.name(),
        }
    }

    /// Which way is better.
    #[must_use]
    pub fn direction(&self) -> Direction {
        match self {
            Self::Class(metric) => metric.direction(),
            Self::Column(metric) => metric.direction(),
        }
    }

    /// Half the width of the region of practical equivalence, in the unit of [`Measure::scale`].
    #[must_use]
    pub fn rope(&self) -> f64 {
        match self {
            Self::Class(metric) => metric.rope(),
            Self::Column(metric) => metric.rope(),
        }
    }

    /// Whether it is told where nobody says which metrics to tell.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        match self {
            Self::Class(metric) => metric.is_usual(),
            Self::Column(_) => true,
        }
    }

    /// Whether it is a mean over items, so that items can be compared one by one.
    #[must_use]
    pub fn is_mean(&self) -> bool {
        match self {
            Self::Class(metric) => {
                let scores = ndarray::Array2::from_elem((1, 2), 0.5);
                let view = Predictions::new(&[0], &[0], scores.view(), Ok(scores.view()), 2);
                view.is_ok_and(|view| metric.per_item(&view).is_some())
            }
            Self::Column(metric) => metric.loss().is_some(),
        }
    }

    /// How large its unit is for these answers: 1, or the mean over columns of the standard
    /// deviation (or the variance) of what is true. 1 where that is 0.
    #[must_use]
    pub fn scale(&self, judged: &Judged<'_>) -> f64 {
        let (Self::Column(metric), Judged::Columns(columns)) = (self, judged) else { return 1.0 };
        if metric.unit() == Unit::Own {
            return 1.0;
        }
        let spread = |index: usize| {
            let truths = columns.column(index).truths;
            let count = truths.len() as f64;
            let centre = truths.iter().sum::<f64>() / count;
            let variance = truths.iter().map(|truth| (truth - centre).powi(2)).sum::<f64>() / count;
            if metric.unit() == Unit::Squared { variance } else { variance.sqrt() }
        };
        let known = (0..columns.count()).map(spread).filter(|spread| *spread > 0.0);
        let known: Vec<f64> = known.collect();
        if known.is_empty() { 1.0 } else { super::metrics::mean(&known) }
    }

    /// The value, or why there is none.
    #[must_use]
    pub fn value(&self, judged: &Judged<'_>) -> Measured {
        match (self, judged) {
            (Self::Class(metric), Judged::Classes(predictions)) => metric.value(predictions),
            (Self::Column(metric), Judged::Columns(columns)) => metric.value(columns),
            _ => Measured::undefined("the metric does not fit what is predicted"),
        }
    }

    /// What each item contributes, higher being better; `None` unless it is a mean over items.
    #[must_use]
    pub fn per_item(&self, judged: &Judged<'_>) -> Option<Result<Vec<f64>, Undefined>> {
        match (self, judged) {
            (Self::Class(metric), Judged::Classes(predictions)) => metric.per_item(predictions),
            (Self::Column(metric), Judged::Columns(columns)) => metric.per_item(columns),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::stats::testing::assert_close;

    #[test]
    fn a_name_means_what_the_target_makes_of_it() {
        let is_mean = |name, target| Measure::find(name, target).map(|found| found.is_mean());
        assert_eq!(is_mean("accuracy", Target::Classes), Some(true));
        assert_eq!(is_mean("accuracy", Target::Labels), None);
        assert_eq!(is_mean("auroc", Target::Labels), Some(false));
        assert_eq!(is_mean("log_loss", Target::Labels), Some(true));
        assert_eq!(is_mean("mae", Target::Values), Some(true));
        assert!(Measure::named("r2").is_some() && Measure::named("accurracy").is_none());
    }

    #[test]
    fn errors_of_numbers_are_as_large_as_the_numbers_spread() {
        let (truths, told) = (array![[1.0], [5.0]], array![[1.0], [1.0]]);
        let judged = Judged::Columns(Columns::values(truths.view(), told.view()).unwrap());
        let scale = |name| Measure::find(name, Target::Values).unwrap().scale(&judged);
        assert_close(scale("mse"), 4.0, 1e-12);
        assert_close(scale("mae"), 2.0, 1e-12);
        assert_close(scale("r2"), 1.0, 0.0);
    }
}
