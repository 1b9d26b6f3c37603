//! Linear discriminant analysis with a shrunk covariance (scikit-learn's `lsqr`).

#![allow(clippy::needless_pass_by_value, reason = "views are copied, as slices are")]

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::cholesky::Pivoted;
use super::products::{product, with_itself};
use super::softmax::log_softmax;
use super::unfit::{Unfit, check_classes, check_features, check_labels, check_size, check_width};

/// How far covariances are pulled towards a multiple of the identity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shrinkage {
    /// Not at all.
    None,
    /// As far as Ledoit and Wolf (2004) estimate for each class, on features of standard deviation
    /// 1 within the class.
    Auto,
    /// So far: 0 is not at all, 1 all the way to the mean variance.
    Given(f64),
}

/// A fitted discriminant: linear scores of each class.
#[derive(Clone, Debug)]
pub struct Lda {
    /// Features × classes that were in training.
    weights: Array2<f64>,
    biases: Array1<f64>,
    present: Vec<usize>,
    classes: usize,
    left_out: usize,
}

impl Lda {
    /// Fits to items × features: the covariance within classes is the mean of those of the classes
    /// (divisor Nc) weighted by their shares, and shares are the prior probabilities.
    ///
    /// Features that are constant within classes, or combinations of others but for 1e-8 of their
    /// variance, are left out; shrinkage leaves few of these.
    pub fn fit(
        features: ArrayView2<'_, f64>,
        labels: &[usize],
        classes: usize,
        shrinkage: Shrinkage,
        threads: usize,
    ) -> Result<Self, Unfit> {
        check_features(&features)?;
        check_labels(labels, classes, features.nrows())?;
        check_classes(labels)?;
        check_shrinkage(shrinkage)?;
        check_size(features.ncols())?;
        let rows_of = rows_of_classes(labels, classes);
        let present: Vec<usize> =
            (0..classes).filter(|&class| !rows_of[class].is_empty()).collect();
        let width = features.ncols();
        let mut covariance = Array2::zeros((width, width));
        let mut means = Array2::zeros((width, present.len()));
        let mut biases = Array1::zeros(present.len());
        for (column, &class) in present.iter().enumerate() {
            let mut items = features.select(Axis(0), &rows_of[class]);
            let mean = items.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(width));
            items -= &mean;
            settle(&mut items, &mean);
            let share = items.nrows() as f64 / labels.len() as f64;
            covariance.scaled_add(share, &shrunk(items, shrinkage, threads));
            means.column_mut(column).assign(&mean);
            biases[column] = share.ln();
        }
        // Distances from a point amid the classes do not lose digits to the place of the origin.
        let centre = features.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(width));
        means -= &centre.view().insert_axis(Axis(1));
        let factors = Pivoted::of(covariance);
        let weights = factors.solve(&means);
        for (column, bias) in biases.iter_mut().enumerate() {
            let weights = weights.column(column);
            *bias -= weights.dot(&means.column(column)).mul_add(0.5, weights.dot(&centre));
        }
        let left_out = factors.left_out();
        Ok(Self { weights, biases, present, classes, left_out })
    }

    /// Items × classes: logarithms of posterior probabilities; a class that was not in training
    /// has −∞.
    pub fn scores(
        &self,
        features: ArrayView2<'_, f64>,
        threads: usize,
    ) -> Result<Array2<f64>, Unfit> {
        check_width(&features, self.weights.nrows())?;
        let linear = product(features, self.weights.view(), threads) + &self.biases;
        let mut scores = Array2::from_elem((features.nrows(), self.classes), f64::NEG_INFINITY);
        for (values, &class) in linear.columns().into_iter().zip(&self.present) {
            scores.column_mut(class).assign(&values);
        }
        log_softmax(&mut scores);
        Ok(scores)
    }

    /// How many features were left out.
    pub fn left_out(&self) -> usize {
        self.left_out
    }
}

fn check_shrinkage(shrinkage: Shrinkage) -> Result<(), Unfit> {
    match shrinkage {
        Shrinkage::Given(share) if !(0.0..=1.0).contains(&share) => Err(Unfit::Setting {
            name: "shrinkage",
            value: share.to_string(),
            range: "must lie between 0 and 1",
        }),
        _ => Ok(()),
    }
}

/// Rows of the items of each class.
fn rows_of_classes(labels: &[usize], classes: usize) -> Vec<Vec<usize>> {
    let mut rows = vec![vec![]; classes];
    for (row, &label) in labels.iter().enumerate() {
        rows[label].push(row);
    }
    rows
}

/// The shrunk covariance of centred items of one class.
fn shrunk(mut items: Array2<f64>, shrinkage: Shrinkage, threads: usize) -> Array2<f64> {
    match shrinkage {
        Shrinkage::None => covariance(&items, threads),
        Shrinkage::Given(share) => towards_mean_variance(covariance(&items, threads), share),
        Shrinkage::Auto => {
            let scales = deviations(&items);
            items /= &scales;
            let covariance = covariance(&items, threads);
            let share = ledoit_wolf(&items, &covariance);
            let mut shrunk = towards_mean_variance(covariance, share);
            shrunk *= &scales;
            shrunk *= &scales.view().insert_axis(Axis(1));
            shrunk
        }
    }
}

/// `XᵀX / n`.
fn covariance(centred: &Array2<f64>, threads: usize) -> Array2<f64> {
    with_itself(centred.t(), threads) / centred.nrows() as f64
}

/// (1 − share) S + share · tr(S) / d · I.
fn towards_mean_variance(mut covariance: Array2<f64>, share: f64) -> Array2<f64> {
    let mean = covariance.diag().sum() / covariance.nrows() as f64;
    covariance *= 1.0 - share;
    covariance.diag_mut().mapv_inplace(|value| value + share * mean);
    covariance
}

/// Where a feature is constant, centring leaves rounding noise: none of it stays.
fn settle(centred: &mut Array2<f64>, mean: &Array1<f64>) {
    for (mut column, mean) in centred.columns_mut().into_iter().zip(mean) {
        if column.iter().all(|value| value.abs() <= 1e-12 * mean.abs()) {
            column.fill(0.0);
        }
    }
}

/// Standard deviations; 1 where a feature is constant.
fn deviations(centred: &Array2<f64>) -> Array1<f64> {
    let items = centred.nrows() as f64;
    let deviation = |column: ndarray::ArrayView1<'_, f64>| (column.dot(&column) / items).sqrt();
    let deviations = centred.columns().into_iter().map(deviation);
    deviations.map(|deviation| if deviation > 0.0 { deviation } else { 1.0 }).collect()
}

/// The share by which the expected squared error of a covariance is least (Ledoit and Wolf 2004).
fn ledoit_wolf(centred: &Array2<f64>, covariance: &Array2<f64>) -> f64 {
    let (items, features) = (centred.nrows() as f64, centred.ncols() as f64);
    let mean = covariance.diag().sum() / features;
    let squares: f64 = covariance.iter().map(|value| value * value).sum();
    let fourth: f64 = centred.rows().into_iter().map(|row| row.dot(&row).powi(2)).sum();
    let spread = (squares - features * mean * mean) / features;
    let error = ((fourth / items - squares) / (features * items)).min(spread);
    if error > 0.0 { error / spread } else { 0.0 }
}

#[cfg(test)]
#[path = "lda/tests.rs"]
mod tests;
