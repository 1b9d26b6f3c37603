//! What a classifier said of some labelled items, checked once so that no metric checks again.

use ndarray::{ArrayRef2, ArrayView2};
use thiserror::Error;

use super::measured::Undefined;

/// How far the probabilities of an item may be from summing to one. Softmax in f32 over a thousand
/// classes is off by about 1e-6; a row off by more than this is not a distribution.
const SUM_TOLERANCE: f64 = 1e-3;

/// A classifier's answers for N >= 1 items of C >= 2 classes: labels and predicted classes below
/// C, finite scores (N x C), probabilities (N x C, rows that sum to one) or why there are none.
#[derive(Clone, Copy, Debug)]
pub struct Predictions<'a> {
    labels: &'a [usize],
    predicted: &'a [usize],
    scores: ArrayView2<'a, f64>,
    probabilities: Result<ArrayView2<'a, f64>, &'a str>,
    classes: usize,
}

impl<'a> Predictions<'a> {
    /// Checks and keeps the views.
    ///
    /// Column c of `scores` is higher where class c is more likely, and must be comparable *between
    /// items*, since AUROC ranks items by it: probabilities, log-probabilities and one-vs-rest
    /// margins are; raw logits are not (a constant may be added to each row), so take their
    /// log-softmax first.
    ///
    /// # Errors
    /// The first thing found wrong: no items, fewer than two classes, lengths or shapes that do
    /// not agree, a class out of range, a score that is not finite, or a row of probabilities that
    /// is no distribution.
    #[expect(clippy::needless_pass_by_value, reason = "views are copied, as slices are")]
    pub fn new(
        labels: &'a [usize],
        predicted: &'a [usize],
        scores: ArrayView2<'a, f64>,
        probabilities: Result<ArrayView2<'a, f64>, &'a str>,
        classes: usize,
    ) -> Result<Self, PredictionsError> {
        check_size(labels.len(), classes)?;
        check_classes("label", labels, classes)?;
        if predicted.len() != labels.len() {
            let (found, expected) = (predicted.len(), labels.len());
            return Err(PredictionsError::Length { found, expected });
        }
        check_classes("predicted class", predicted, classes)?;
        check_shape("scores", &scores, labels.len(), classes)?;
        check_scores(&scores)?;
        if let Ok(rows) = &probabilities {
            check_shape("probabilities", rows, labels.len(), classes)?;
            check_distributions(rows)?;
        }
        Ok(Self { labels, predicted, scores, probabilities, classes })
    }

    /// The true class of each item.
    #[must_use]
    pub fn labels(&self) -> &'a [usize] {
        self.labels
    }

    /// The class that the classifier chose for each item.
    #[must_use]
    pub fn predicted(&self) -> &'a [usize] {
        self.predicted
    }

    /// Decision scores, items x classes; higher means more likely.
    #[must_use]
    pub fn scores(&self) -> ArrayView2<'a, f64> {
        self.scores
    }

    /// Class probabilities, items x classes.
    ///
    /// # Errors
    /// The reason given when this kind of classifier has no probabilities.
    pub fn probabilities(&self) -> Result<ArrayView2<'a, f64>, Undefined> {
        self.probabilities.map_err(Undefined::new)
    }

    /// The number of classes C of the task, including those without an item here.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The number of items N, at least one.
    #[must_use]
    pub fn items(&self) -> usize {
        self.labels.len()
    }

    /// Whether each item's predicted class is its label.
    pub fn correct(&self) -> impl Iterator<Item = bool> + 'a {
        self.labels.iter().zip(self.predicted).map(|(label, predicted)| label == predicted)
    }
}

/// Why some arrays are no [`Predictions`]. Rows count from 0.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PredictionsError {
    /// There is nothing to score.
    #[error("there are no items to score")]
    NoItems,
    /// One class leaves nothing to predict.
    #[error("a classifier needs at least 2 classes, not {0}")]
    TooFewClasses(usize),
    /// Labels and predicted classes are not parallel.
    #[error("{found} predicted classes for {expected} labels")]
    Length {
        /// How many predicted classes there are.
        found: usize,
        /// How many labels there are.
        expected: usize,
    },
    /// Scores or probabilities are not items x classes.
    #[error("{what} are {} x {}, expected {} x {}", found.0, found.1, expected.0, expected.1)]
    Shape {
        /// Which array.
        what: &'static str,
        /// Its rows and columns.
        found: (usize, usize),
        /// Items and classes.
        expected: (usize, usize),
    },
    /// A label or a predicted class that the task does not have.
    #[error("{what} {class} of item {row} is not below the {classes} classes")]
    Class {
        /// Label or predicted class.
        what: &'static str,
        /// The item.
        row: usize,
        /// The class found.
        class: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A score is NaN or infinite.
    #[error("the scores of item {row} are not finite")]
    Score {
        /// The item.
        row: usize,
    },
    /// A row of probabilities is negative somewhere, NaN, or does not sum to one.
    #[error("the probabilities of item {row} are no distribution: their sum is {sum}")]
    Distribution {
        /// The item.
        row: usize,
        /// What its probabilities sum to.
        sum: f64,
    },
}

fn check_size(items: usize, classes: usize) -> Result<(), PredictionsError> {
    match (items, classes) {
        (0, _) => Err(PredictionsError::NoItems),
        (_, 0 | 1) => Err(PredictionsError::TooFewClasses(classes)),
        _ => Ok(()),
    }
}

fn check_classes(
    what: &'static str,
    found: &[usize],
    classes: usize,
) -> Result<(), PredictionsError> {
    match found.iter().position(|&class| class >= classes) {
        Some(row) => Err(PredictionsError::Class { what, row, class: found[row], classes }),
        None => Ok(()),
    }
}

fn check_shape(
    what: &'static str,
    array: &ArrayRef2<f64>,
    items: usize,
    classes: usize,
) -> Result<(), PredictionsError> {
    let (found, expected) = (array.dim(), (items, classes));
    if found == expected { Ok(()) } else { Err(PredictionsError::Shape { what, found, expected }) }
}

fn check_scores(scores: &ArrayRef2<f64>) -> Result<(), PredictionsError> {
    let bad = scores.rows().into_iter().position(|row| row.iter().any(|score| !score.is_finite()));
    match bad {
        Some(row) => Err(PredictionsError::Score { row }),
        None => Ok(()),
    }
}

fn check_distributions(probabilities: &ArrayRef2<f64>) -> Result<(), PredictionsError> {
    for (row, shares) in probabilities.rows().into_iter().enumerate() {
        let sum = shares.sum();
        // Written so that a NaN fails both halves.
        let fine = shares.iter().all(|&p| p >= 0.0) && (sum - 1.0).abs() <= SUM_TOLERANCE;
        if !fine {
            return Err(PredictionsError::Distribution { row, sum });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    fn checked(labels: &[usize], predicted: &[usize], scores: &Array2<f64>) -> String {
        match Predictions::new(labels, predicted, scores.view(), Err("no probabilities"), 2) {
            Ok(_) => "fine".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn arrays_that_agree_are_accepted() {
        assert_eq!(checked(&[0, 1], &[1, 1], &Array2::zeros((2, 2))), "fine");
    }

    #[test]
    fn arrays_that_disagree_are_named() {
        let scores = Array2::zeros((2, 2));
        assert_eq!(checked(&[], &[], &scores), "there are no items to score");
        assert_eq!(checked(&[0, 1], &[1], &scores), "1 predicted classes for 2 labels");
        assert_eq!(checked(&[0], &[1], &scores), "scores are 2 x 2, expected 1 x 2");
        assert_eq!(
            checked(&[0, 2], &[1, 1], &scores),
            "label 2 of item 1 is not below the 2 classes"
        );
        assert_eq!(
            checked(&[0, 1], &[3, 1], &scores),
            "predicted class 3 of item 0 is not below the 2 classes"
        );
    }

    #[test]
    fn a_task_of_one_class_is_refused() {
        let scores = Array2::zeros((1, 1));
        let result = Predictions::new(&[0], &[0], scores.view(), Err("none"), 1);
        assert_eq!(result.err(), Some(PredictionsError::TooFewClasses(1)));
    }

    #[test]
    fn scores_must_be_finite() {
        let scores = array![[0.0, 1.0], [f64::NAN, 0.0]];
        assert_eq!(checked(&[0, 1], &[1, 1], &scores), "the scores of item 1 are not finite");
    }

    #[test]
    fn probabilities_must_be_distributions() {
        let scores = Array2::zeros((1, 2));
        for row in [[0.7, 0.7], [1.5, -0.5], [f64::NAN, 1.0]] {
            let rows = array![row];
            let result = Predictions::new(&[0], &[0], scores.view(), Ok(rows.view()), 2);
            assert!(matches!(result, Err(PredictionsError::Distribution { row: 0, .. })));
        }
    }

    #[test]
    fn missing_probabilities_keep_their_reason() {
        let scores = Array2::zeros((1, 2));
        let predictions =
            Predictions::new(&[0], &[0], scores.view(), Err("an SVM has none"), 2).unwrap();
        assert_eq!(predictions.probabilities().unwrap_err().reason(), "an SVM has none");
    }
}
