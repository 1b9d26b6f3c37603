//! linfa's own solvers, which know nothing of ours, say the same.

use linfa::Dataset;
use linfa::traits::Fit as _;
use linfa_logistic::MultiLogisticRegression;
use ndarray::{Array2, ArrayView2};

use super::testing::Digits;
use super::*;

/// The same matrix for linfa, which is one ndarray behind.
fn for_linfa(matrix: &ArrayView2<'_, f64>) -> ndarray_linfa::Array2<f64> {
    let (rows, columns) = matrix.dim();
    ndarray_linfa::Array2::from_shape_vec((rows, columns), matrix.iter().copied().collect())
        .unwrap()
}

/// What a family fitted on some items says of them all.
fn ours(family: &dyn Family, features: &ArrayView2<'_, f64>, labels: &[usize]) -> Box<dyn Fitted> {
    let classes = labels.iter().max().unwrap() + 1;
    let targets = Targets::Classes { labels: labels.to_vec(), classes };
    let examples = Examples::new(Features(*features), targets);
    At { family, value: 1.0, threads: 1 }.fit(&examples).unwrap()
}

#[test]
fn linfas_logistic_regression_has_the_same_weights() {
    let digits = Digits::read();
    let (features, labels) = digits.part(0..200);
    let settings = Settings { tolerance: 1e-8, ..Settings::default() };
    let (weights, _) = ours(&Logistic { settings }, &features, labels).linear().unwrap();
    let labels: ndarray_linfa::Array1<usize> = labels.iter().copied().collect();
    let theirs = MultiLogisticRegression::default()
        .alpha(1.0)
        .max_iterations(2000)
        .gradient_tolerance(1e-6)
        .fit(&Dataset::new(for_linfa(&features), labels))
        .unwrap();
    let theirs: Vec<f64> = theirs.params().iter().copied().collect();
    let theirs = Array2::from_shape_vec(weights.dim(), theirs).unwrap();
    let apart = (&weights - &theirs).iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    assert!(apart < 1e-4, "{apart}");
}

#[test]
fn linfas_support_vector_machine_has_the_same_border() {
    let digits = Digits::read();
    let of_two: Vec<usize> = (0..300).filter(|&row| [3, 8].contains(&digits.labels[row])).collect();
    let features = digits.features.select(ndarray::Axis(0), &of_two);
    let labels: Vec<usize> =
        of_two.iter().map(|&row| usize::from(digits.labels[row] == 8)).collect();
    let kernel = KernelShape::Rbf { factor: 1.0 };
    let family = KernelSvm { kernel, weights: None, epsilon: 0.1 };
    let scores = ours(&family, &features.view(), &labels).scores(features.view());
    let width = features.ncols() as f64 * features.var(0.0);
    let targets: ndarray_linfa::Array1<bool> = labels.iter().map(|label| *label == 1).collect();
    let theirs = linfa_svm::Svm::<f64, bool>::params()
        .pos_neg_weights(1.0, 1.0)
        .eps(1e-5)
        .gaussian_kernel(width)
        .fit(&Dataset::new(for_linfa(&features.view()), targets))
        .unwrap();
    for (row, item) in for_linfa(&features.view()).rows().into_iter().enumerate() {
        let value = theirs.weighted_sum(&item.to_owned()) - theirs.rho;
        let says_eight = scores[[row, 1]] > scores[[row, 0]];
        assert!(value.abs() < 2e-3 || says_eight == (value > 0.0), "item {row}: {value}");
    }
}
