//! Multinomial logistic regression with an L2 penalty on the weights and none on the biases:
//! J = C Σᵢ −ln softmax(W xᵢ + b)_yᵢ + ½ ‖W‖², all classes parameterised.

mod path;

pub use path::{Fitted, LogisticPath, Settings};

use linfa::Dataset;
use linfa::traits::Fit;
use linfa_logistic::MultiLogisticRegression;
use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};

use super::{Classifier, Labelled, ProbeError, Scaler, check, for_linfa, from_linfa};

/// A fitted logistic regression.
#[derive(Clone, Debug)]
pub struct Logistic {
    /// Features × classes that were in training.
    weights: Array2<f64>,
    biases: Array1<f64>,
    /// Which classes those are.
    present: Vec<usize>,
    classes: usize,
}

/// Steps of L-BFGS at most.
const MOST_STEPS: u64 = 1000;
/// Norm of the gradient at which it stops.
const TOLERANCE: f64 = 1e-4;

impl Logistic {
    /// Fits by L-BFGS, starting from `before` if there is one (a weaker penalty's solution lies
    /// near that of a stronger one).
    pub fn fit(data: &Labelled<'_>, cost: f64, before: Option<&Self>) -> Result<Self, ProbeError> {
        check(data)?;
        let mut present = data.labels.to_vec();
        present.sort_unstable();
        present.dedup();
        let labels: ndarray_linfa::Array1<usize> = data.labels.iter().copied().collect();
        let dataset = Dataset::new(for_linfa(&data.features), labels);
        let mut settings = MultiLogisticRegression::default()
            .alpha(1.0 / cost)
            .max_iterations(MOST_STEPS)
            .gradient_tolerance(TOLERANCE);
        if let Some(before) = before {
            settings = settings.initial_params(before.as_start());
        }
        let fitted =
            settings.fit(&dataset).map_err(|error| ProbeError::NoFit(error.to_string()))?;
        Ok(Self {
            weights: from_linfa(fitted.params()),
            biases: fitted.intercept().iter().copied().collect(),
            present,
            classes: data.classes,
        })
    }

    /// Weights (features × classes) and biases that say of unscaled features what this says of
    /// those that `scaler` has scaled by mean and deviation: W/σ and b − μ·(W/σ). A class that was
    /// not in training has zeros.
    pub fn on_unscaled(&self, scaler: &Scaler) -> (Array2<f64>, Array1<f64>) {
        let mut weights = Array2::zeros((self.weights.nrows(), self.classes));
        let mut biases = Array1::zeros(self.classes);
        for (column, &class) in self.present.iter().enumerate() {
            weights.column_mut(class).assign(&self.weights.column(column));
            biases[class] = self.biases[column];
        }
        if let Scaler::Standard { mean, deviation } = scaler {
            weights /= &deviation.view().insert_axis(Axis(1));
            biases -= &mean.dot(&weights);
        }
        (weights, biases)
    }

    /// Weights with the biases as a last row, as linfa starts from.
    fn as_start(&self) -> ndarray_linfa::Array2<f64> {
        let biases = self.biases.view().insert_axis(Axis(0));
        let joined = concatenate(Axis(0), &[self.weights.view(), biases]);
        for_linfa(&joined.expect("one bias for each class").view())
    }
}

impl Classifier for Logistic {
    /// Logarithms of probabilities; a class that was not in training has −∞.
    fn scores(&self, features: ArrayView2<'_, f64>) -> Array2<f64> {
        let linear = features.dot(&self.weights) + &self.biases;
        let mut scores = Array2::from_elem((features.nrows(), self.classes), f64::NEG_INFINITY);
        for (mut row, values) in scores.rows_mut().into_iter().zip(linear.rows()) {
            let most = values.fold(f64::NEG_INFINITY, |a, b| a.max(*b));
            let total = values.fold(0.0, |sum, value| sum + (value - most).exp()).ln() + most;
            for (class, value) in self.present.iter().zip(values) {
                row[*class] = value - total;
            }
        }
        scores
    }

    fn no_probabilities(&self) -> Option<&'static str> {
        None
    }
}

#[cfg(test)]
mod tests;
