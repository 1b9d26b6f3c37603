//! Solvers as linfa's `Fit` and `Predict`. linfa is one ndarray behind; features and targets are
//! lent to it by types of our own, so that nothing is copied: its traits ask of records only that
//! they can count themselves.

use linfa::dataset::{DatasetBase, Records};
use linfa::traits::{Fit, Predict};
use ndarray::{Array2, ArrayView2};
use thiserror::Error;

use super::linear_svm::{self, SvmPath, Targets};
use super::logistic::{self, LogisticPath};

/// Features of items, borrowed: items × features.
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

/// Features with targets, both borrowed.
pub type Lent<'a> = DatasetBase<Features<'a>, Targets<'a>>;

/// Settings of a solver, with what it is fitted for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Solver<S> {
    /// What is minimised, and when it is good enough.
    pub settings: S,
    /// C, above zero.
    pub cost: f64,
    /// Threads that are used; results do not depend on it.
    pub threads: usize,
}

/// Why nothing could be fitted.
#[derive(Debug, Error)]
pub enum FitError {
    /// There are not as many targets as items.
    #[error("{items} items have {targets} targets")]
    Lengths {
        /// Rows of the features.
        items: usize,
        /// Targets.
        targets: usize,
    },
    /// What linfa says.
    #[error(transparent)]
    Linfa(#[from] linfa::Error),
}

fn check(dataset: &Lent<'_>) -> Result<(), FitError> {
    let (items, targets) = (dataset.records.nsamples(), dataset.targets.items());
    if items == targets { Ok(()) } else { Err(FitError::Lengths { items, targets }) }
}

impl<'a> Fit<Features<'a>, Targets<'a>, FitError> for Solver<logistic::Settings> {
    type Object = logistic::Fitted;

    fn fit(&self, dataset: &Lent<'a>) -> Result<Self::Object, FitError> {
        check(dataset)?;
        let features = &dataset.records.0;
        let path = match &dataset.targets {
            Targets::Classes { labels, classes } => {
                LogisticPath::new(features, labels, *classes, self.threads)
            }
            Targets::Columns(targets) => LogisticPath::of_columns(features, targets, self.threads),
        };
        Ok(path.settings(self.settings).fit(self.cost))
    }
}

impl<'a> Fit<Features<'a>, Targets<'a>, FitError> for Solver<linear_svm::Settings> {
    type Object = linear_svm::Fitted;

    fn fit(&self, dataset: &Lent<'a>) -> Result<Self::Object, FitError> {
        check(dataset)?;
        let features = &dataset.records.0;
        let mut path = SvmPath::new(features, &dataset.targets, self.settings, self.threads);
        Ok(path.fit(self.cost))
    }
}

impl Predict<Features<'_>, Array2<f64>> for logistic::Fitted {
    fn predict(&self, features: Features<'_>) -> Array2<f64> {
        self.scores(&features.0)
    }
}

impl Predict<Features<'_>, Array2<f64>> for linear_svm::Fitted {
    fn predict(&self, features: Features<'_>) -> Array2<f64> {
        self.scores(&features.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Items, correct};
    use super::*;

    #[test]
    fn linfas_traits_fit_and_predict_without_a_copy() {
        let digits = Items::digits();
        let ((train, labels), (test, known)) = (digits.part(0..1000), digits.part(1000..1797));
        let targets = Targets::Classes { labels, classes: 10 };
        let lent = DatasetBase::new(Features(train), targets);
        assert_eq!(lent.records.0.as_ptr(), digits.features.as_ptr());
        let logistic = Solver { settings: logistic::Settings::default(), cost: 1.0, threads: 2 };
        let scores = logistic.fit(&lent).unwrap().predict(Features(test));
        assert_eq!(correct(&scores, known), 743);
        let settings = linear_svm::Settings {
            bias: linear_svm::Bias::Penalised,
            ..linear_svm::Settings::default()
        };
        let machine = Solver { settings, cost: 1.0, threads: 2 };
        let scores = machine.fit(&lent).unwrap().predict(Features(test));
        assert_eq!(correct(&scores, known), 739);
        let short = DatasetBase::new(Features(test), targets);
        assert!(matches!(
            logistic.fit(&short),
            Err(FitError::Lengths { items: 797, targets: 1000 })
        ));
    }
}
