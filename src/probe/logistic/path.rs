//! Logistic regressions of one training set for one cost after another.

use ndarray::{Array1, Array2, ArrayView2};

use crate::probe::newton::{Link, Path, Stop};

/// When a fit is good enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// ‖∇J‖∞ / (C·n) at which a fit stops, as scikit-learn's `tol`; besides, what J can still fall
    /// by must be about a thousandth of this, as a share of J.
    pub tolerance: f64,
    /// Rounds over the features at most, each of them a gradient or a product with the second
    /// derivatives.
    pub most_rounds: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { tolerance: 1e-4, most_rounds: 1000 }
    }
}

/// A logistic regression for one cost.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// Features × classes (or columns); zeros for a class that was not in training.
    pub weights: Array2<f64>,
    /// One for each class; −∞ for one that was not in training.
    pub biases: Array1<f64>,
    /// J = C Σᵢ lossᵢ + ½ ‖W‖², of all columns together.
    pub objective: f64,
    /// ‖W‖².
    pub norm: f64,
    /// ‖∇J‖∞ / (C·n).
    pub gradient: f64,
    /// Rounds over the features.
    pub rounds: usize,
    /// Steps of Newton's method.
    pub steps: usize,
    /// Why it stopped; the worst of columns by themselves.
    pub stop: Stop,
}

impl Fitted {
    /// W·x + b for items × classes.
    pub fn scores(&self, features: &ArrayView2<'_, f64>) -> Array2<f64> {
        features.dot(&self.weights) + &self.biases
    }
}

/// One training set, and what earlier fits of it taught. Fits go fastest in ascending order of cost:
/// each starts where the two before it point.
#[derive(Debug)]
pub struct LogisticPath {
    path: Path,
    /// The class of each column.
    present: Vec<usize>,
    classes: usize,
    joint: bool,
}

impl LogisticPath {
    /// Multinomial: each item is of one of `classes`. Classes without items take no part.
    /// `features` are items × features, all of them finite.
    pub fn new(
        features: &ArrayView2<'_, f64>,
        labels: &[usize],
        classes: usize,
        threads: usize,
    ) -> Self {
        Self::weighted(features, labels, &vec![1.0; classes], threads)
    }

    /// The same, where the losses of each class's items are multiplied by its weight, above zero.
    pub fn weighted(
        features: &ArrayView2<'_, f64>,
        labels: &[usize],
        weights: &[f64],
        threads: usize,
    ) -> Self {
        let mut present = labels.to_vec();
        present.sort_unstable();
        present.dedup();
        let column = |label: &usize| present.binary_search(label).unwrap_or(0);
        let link = labels.iter().map(|label| (column(label), weights[*label])).collect();
        let path = Path::new(features, present.len(), Link::Softmax(link), false, threads);
        Self { path, present, classes: weights.len(), joint: true }
    }

    /// Each column of `targets` (items × columns) by itself, its unknown targets left out.
    pub fn of_columns(
        features: &ArrayView2<'_, f64>,
        targets: &ArrayView2<'_, Option<bool>>,
        threads: usize,
    ) -> Self {
        let columns = targets.ncols();
        let sign = |target: &Option<bool>| target.map_or(0.0, |yes| if yes { 1.0 } else { -1.0 });
        let link = Link::Sigmoid(targets.iter().map(sign).collect());
        let path = Path::new(features, columns, link, false, threads);
        Self { path, present: (0..columns).collect(), classes: columns, joint: false }
    }

    /// The same with other settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.path.ask(settings.tolerance, settings.most_rounds);
        self
    }

    /// Fits for a cost above zero.
    pub fn fit(&mut self, cost: f64) -> Fitted {
        let reached = self.path.fit(cost);
        let mut weights = Array2::zeros((reached.weights.nrows(), self.classes));
        let mut biases = Array1::from_elem(self.classes, f64::NEG_INFINITY);
        for (column, &class) in self.present.iter().enumerate() {
            weights.column_mut(class).assign(&reached.weights.column(column));
            biases[class] = reached.biases[column];
        }
        let all = |values: &[f64]| match self.joint {
            true => values.first().copied().unwrap_or(0.0),
            false => values.iter().sum(),
        };
        Fitted {
            weights,
            biases,
            objective: all(&reached.objectives),
            norm: all(&reached.norms),
            gradient: reached.gradients.iter().copied().fold(0.0, f64::max),
            rounds: reached.rounds,
            steps: reached.steps,
            stop: reached.stops.into_iter().max().unwrap_or(Stop::Converged),
        }
    }
}
