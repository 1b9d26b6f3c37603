//! Multinomial logistic regression with an L2 penalty on the weights and none on the biases:
//! J = C Σᵢ −ln softmax(W xᵢ + b)_yᵢ + ½ ‖W‖², all classes parameterised.

use linfa::Dataset;
use linfa::traits::Fit;
use linfa_logistic::MultiLogisticRegression;
use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};

use super::family::{Family, Fitted, Path, Prepared};
use super::pool::{Pool, Targets};
use super::{ProbeError, for_linfa, from_linfa};

/// Multinomial logistic regression along C.
#[derive(Clone, Copy, Debug)]
pub struct Logistic;

impl Family for Logistic {
    fn setting(&self) -> Option<&'static str> {
        Some("c")
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
        let Targets::Classes { labels, classes } = self.pool.targets.of(rows) else {
            return Err(ProbeError::OtherTargets("logistic regression tells classes"));
        };
        let (features, last) = (self.pool.rows(rows), None);
        Ok(Box::new(Along { pool: self.pool, features, labels, classes, last }))
    }
}

struct Along<'a> {
    pool: &'a Pool,
    features: Array2<f64>,
    labels: Vec<usize>,
    classes: usize,
    last: Option<Model>,
}

impl Path for Along<'_> {
    fn fit(&mut self, value: f64) -> Result<(), ProbeError> {
        let data = (&self.features, &self.labels[..], self.classes);
        self.last = Some(Model::fit(data, value, self.last.as_ref())?);
        Ok(())
    }

    fn scores(&self, rows: &[usize]) -> Array2<f64> {
        let last = self.last.as_ref().expect("a fit was made");
        last.scores(self.pool.rows(rows).view())
    }

    fn fitted(&self) -> Box<dyn Fitted> {
        Box::new(self.last.clone().expect("a fit was made"))
    }
}

/// A fitted logistic regression.
#[derive(Clone, Debug)]
struct Model {
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

impl Model {
    /// Fits by L-BFGS, starting from `before` if there is one (a weaker penalty's solution lies
    /// near that of a stronger one).
    fn fit(
        (features, labels, classes): (&Array2<f64>, &[usize], usize),
        cost: f64,
        before: Option<&Self>,
    ) -> Result<Self, ProbeError> {
        let mut present = labels.to_vec();
        present.sort_unstable();
        present.dedup();
        let labels: ndarray_linfa::Array1<usize> = labels.iter().copied().collect();
        let dataset = Dataset::new(for_linfa(&features.view()), labels);
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
            classes,
        })
    }

    /// Weights with the biases as a last row, as linfa starts from.
    fn as_start(&self) -> ndarray_linfa::Array2<f64> {
        let biases = self.biases.view().insert_axis(Axis(0));
        let joined = concatenate(Axis(0), &[self.weights.view(), biases]);
        for_linfa(&joined.expect("one bias for each class").view())
    }
}

impl Fitted for Model {
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

    /// A class that was not in training has zeros.
    fn linear(&self) -> Option<(Array2<f64>, Array1<f64>)> {
        let mut weights = Array2::zeros((self.weights.nrows(), self.classes));
        let mut biases = Array1::zeros(self.classes);
        for (column, &class) in self.present.iter().enumerate() {
            weights.column_mut(class).assign(&self.weights.column(column));
            biases[class] = self.biases[column];
        }
        Some((weights, biases))
    }
}
