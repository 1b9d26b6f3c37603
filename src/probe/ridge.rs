//! Least squares with an L2 penalty on the weights and none on the biases: ‖Y − XW − b‖² + λ‖W‖².
//! One decomposition serves every λ, and what each item would get from a fit without it is exact.

#![allow(clippy::needless_pass_by_value, reason = "views are copied, as slices are")]

use ndarray::{Array1, Array2, ArrayView2, Axis, CowArray, Ix2};

use super::products::{product, with_itself};
use super::tridiagonal::{Shifted, Tridiagonal};
use super::unfit::{
    Unfit, check_classes, check_features, check_labels, check_size, check_targets, check_width,
};

/// Training items decomposed, ready for every λ.
#[derive(Clone, Debug)]
pub struct Decomposed<'a> {
    features: CowArray<'a, f64, Ix2>,
    mean: Array1<f64>,
    targets: Array2<f64>,
    target_mean: Array1<f64>,
    reduced: Tridiagonal,
    /// Which matrix was reduced, with what every λ needs.
    side: Side,
    threads: usize,
}

/// `XᵀX` where there are as many items as features or more, `XXᵀ` where there are fewer.
#[derive(Clone, Debug)]
enum Side {
    Features {
        /// `QᵀXᵀ`: features × items.
        items: Array2<f64>,
        /// `QᵀXᵀY`.
        right: Array2<f64>,
    },
    Items {
        /// What was added to `XXᵀ`: so much times 1 · 1ᵀ / n. Centred items say nothing along 1; what
        /// rounding leaves there must not be divided by λ.
        lifted: f64,
        /// Qᵀ: items × items.
        items: Array2<f64>,
        /// `QᵀY`.
        right: Array2<f64>,
    },
}

/// Weights and biases.
#[derive(Clone, Debug, PartialEq)]
pub struct Ridge {
    /// Features × targets.
    pub weights: Array2<f64>,
    /// One for each target.
    pub biases: Array1<f64>,
}

/// A share of an item in its own prediction that leaves nothing to the others.
const ALL_ITS_OWN: f64 = 1e-10;

/// Targets of classes: 1 for the class of an item, −1 for the others (items × classes).
pub fn class_targets(labels: &[usize], classes: usize) -> Result<Array2<f64>, Unfit> {
    check_labels(labels, classes, labels.len())?;
    check_classes(labels)?;
    let mut targets = Array2::from_elem((labels.len(), classes), -1.0);
    for (mut row, &label) in targets.rows_mut().into_iter().zip(labels) {
        row[label] = 1.0;
    }
    Ok(targets)
}

impl<'a> Decomposed<'a> {
    /// Decomposes items × features, to be fitted to items × targets.
    pub fn new(
        features: impl Into<CowArray<'a, f64, Ix2>>,
        targets: ArrayView2<'_, f64>,
        threads: usize,
    ) -> Result<Self, Unfit> {
        let features = features.into();
        check_features(&features.view())?;
        check_targets(&targets, features.nrows())?;
        if features.nrows() == 1 {
            return Err(Unfit::OneItem);
        }
        check_size(features.nrows().min(features.ncols()))?;
        let mean = features.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(0));
        let target_mean = targets.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(0));
        let targets = &targets - &target_mean;
        let centred = &features - &mean;
        let (reduced, side) = match features.nrows() < features.ncols() {
            true => by_items(&centred, &targets, threads),
            false => by_features(centred, &targets, threads),
        };
        Ok(Self { features, mean, targets, target_mean, reduced, side, threads })
    }

    /// The fit for one λ above 0; nothing if λ is too small beside the features to be told from 0.
    pub fn fit(&self, lambda: f64) -> Result<Option<Ridge>, Unfit> {
        check_lambda(lambda)?;
        let Some(shifted) = self.reduced.shifted(lambda) else { return Ok(None) };
        let mut solved = self.solved(&shifted);
        let weights = match self.side {
            Side::Features { .. } => solved,
            Side::Items { .. } => {
                // Coefficients sum to 0 over items, so that the mean of the features drops out.
                let sums = solved.sum_axis(Axis(0));
                solved -= &(sums / solved.nrows() as f64);
                product(self.features.t(), solved.view(), self.threads)
            }
        };
        let biases = &self.target_mean - &self.mean.dot(&weights);
        let finite = weights.iter().chain(&biases).all(|value| value.is_finite());
        Ok(finite.then_some(Ridge { weights, biases }))
    }

    /// What a fit without the item would say of each item (items × targets); nothing if λ is too
    /// small for it to be told. (e / (1 − H), Golub, Heath and Wahba 1979.)
    pub fn leave_one_out(&self, lambda: f64) -> Result<Option<Array2<f64>>, Unfit> {
        check_lambda(lambda)?;
        let Some(shifted) = self.reduced.shifted(lambda) else { return Ok(None) };
        let share = 1.0 / self.features.nrows() as f64;
        let (mut residuals, left, least) = match &self.side {
            Side::Features { items, right } => {
                let mut solved = right.clone();
                shifted.solve(&mut solved);
                let fitted = product(items.t(), solved.view(), self.threads);
                (&self.targets - &fitted, 1.0 - share - shifted.quadratic(items), ALL_ITS_OWN)
            }
            // Both are divided by λ.
            Side::Items { items, lifted, .. } => {
                let along = share / (lambda + lifted);
                let left = shifted.quadratic(items) - along;
                (self.solved(&shifted), left, ALL_ITS_OWN * along)
            }
        };
        if left.iter().any(|left| !left.is_finite() || *left <= least) {
            return Ok(None);
        }
        residuals /= &left.insert_axis(Axis(1));
        Ok(Some(&self.targets + &self.target_mean - residuals))
    }

    /// Weights of features, or coefficients of items.
    fn solved(&self, shifted: &Shifted) -> Array2<f64> {
        let (Side::Features { right, .. } | Side::Items { right, .. }) = &self.side;
        let mut solved = right.clone();
        shifted.solve(&mut solved);
        self.reduced.turn_back(&mut solved, self.threads);
        solved
    }
}

fn by_features(centred: Array2<f64>, targets: &Array2<f64>, threads: usize) -> (Tridiagonal, Side) {
    let reduced = Tridiagonal::of(with_itself(centred.t(), threads));
    let mut items = centred.reversed_axes().as_standard_layout().into_owned();
    reduced.turn(&mut items, threads);
    let right = product(items.view(), targets.view(), threads);
    (reduced, Side::Features { items, right })
}

fn by_items(centred: &Array2<f64>, targets: &Array2<f64>, threads: usize) -> (Tridiagonal, Side) {
    let mut matrix = with_itself(centred.view(), threads);
    let lifted = matrix.diag().mean().unwrap_or(0.0);
    matrix += lifted / centred.nrows() as f64;
    let reduced = Tridiagonal::of(matrix);
    let (mut items, mut right) = (Array2::eye(centred.nrows()), targets.clone());
    reduced.turn(&mut items, threads);
    reduced.turn(&mut right, threads);
    (reduced, Side::Items { lifted, items, right })
}

impl Ridge {
    /// Items × targets.
    pub fn predict(
        &self,
        features: ArrayView2<'_, f64>,
        threads: usize,
    ) -> Result<Array2<f64>, Unfit> {
        check_width(&features, self.weights.nrows())?;
        Ok(product(features, self.weights.view(), threads) + &self.biases)
    }
}

fn check_lambda(lambda: f64) -> Result<(), Unfit> {
    match lambda.is_finite() && lambda > 0.0 {
        true => Ok(()),
        false => Err(Unfit::Setting {
            name: "lambda",
            value: lambda.to_string(),
            range: "must be above 0",
        }),
    }
}

#[cfg(test)]
#[path = "ridge/tests.rs"]
mod tests;
