use ndarray::{Array2, Axis, array, concatenate};

use super::*;
use crate::probe::testing::{Digits, best, count_right, normal, twelve};

/// Right answers, mean −ln p of the right class on digits.
fn on_digits(shrinkage: Shrinkage) -> (usize, f64) {
    let digits = Digits::read();
    let ((train, labels), (test, truth)) = (digits.train(), digits.test());
    let fitted = Lda::fit(train, labels, 10, shrinkage, 2).unwrap();
    let scores = fitted.scores(test, 2).unwrap();
    let loss = scores.rows().into_iter().zip(truth).map(|(row, &label)| -row[label]).sum::<f64>();
    (count_right(&best(&scores), truth), loss / 797.0)
}

#[test]
fn digits_have_the_known_answers_and_losses() {
    // scikit-learn's `lsqr`: shares .92095 (auto) and, without shrinkage, .91719 of its `svd`.
    for (shrinkage, right, loss) in KNOWN {
        let (seen, seen_loss) = on_digits(shrinkage);
        assert_eq!(seen, right, "{shrinkage:?}");
        assert!((seen_loss - loss).abs() < 1e-6 * loss, "{shrinkage:?}: {seen_loss}");
    }
}

/// Right answers of 797 and log-losses: `benches/peers/probe_values.py`.
const KNOWN: [(Shrinkage, usize, f64); 4] = [
    (Shrinkage::Auto, 734, 0.497_054_950_989),
    (Shrinkage::Given(0.1), 744, 0.508_833_897_229),
    (Shrinkage::Given(1.0), 710, 1.702_860_895_964),
    (Shrinkage::None, 731, 0.733_088_591_971),
];

#[test]
fn posteriors_of_two_normals_are_those_of_bayes_rule() {
    // Variance 1 in both classes, means 0 and 2, shares 1/4 and 3/4.
    let train = array![[-1.0], [1.0], [1.0], [3.0], [1.0], [3.0], [1.0], [3.0]];
    let labels = [0, 0, 1, 1, 1, 1, 1, 1];
    let fitted = Lda::fit(train.view(), &labels, 2, Shrinkage::None, 1).unwrap();
    let scores = fitted.scores(array![[1.0], [0.5]].view(), 1).unwrap();
    let weights = [0.25 * (-0.125_f64).exp(), 0.75 * (-1.125_f64).exp()];
    let posterior = weights[0] / (weights[0] + weights[1]);
    assert!((scores[[0, 0]].exp() - 0.25).abs() < 1e-12);
    assert!((scores[[1, 0]].exp() - posterior).abs() < 1e-12);
}

#[test]
fn results_have_the_same_bits_on_any_number_of_threads() {
    let digits = Digits::read();
    let ((train, labels), (test, _)) = (digits.train(), digits.test());
    let run = |threads| {
        let fitted = Lda::fit(train, labels, 10, Shrinkage::Auto, threads).unwrap();
        fitted.scores(test, threads).unwrap()
    };
    assert_eq!(run(1), run(2));
    assert_eq!(run(1), run(5));
}

#[test]
fn a_place_far_from_the_origin_changes_nothing() {
    let (features, labels) = twelve();
    let scores = |shift: f64| {
        let moved = &features + shift;
        let fitted = Lda::fit(moved.view(), &labels, 3, Shrinkage::Auto, 1).unwrap();
        fitted.scores(moved.view(), 1).unwrap()
    };
    let (here, there) = (scores(0.0), scores(1e5));
    assert!((&here - &there).iter().all(|d| d.abs() < 1e-5));
}

#[test]
fn constant_repeated_and_too_many_features_give_finite_answers() {
    let (features, labels) = twelve();
    let constant = Array2::from_elem((12, 2), 0.1);
    let wide = concatenate![Axis(1), features, features, constant, normal(1, 12, 30)];
    for shrinkage in [Shrinkage::None, Shrinkage::Auto, Shrinkage::Given(0.2)] {
        let fitted = Lda::fit(wide.view(), &labels, 5, shrinkage, 1).unwrap();
        let scores = fitted.scores(wide.view(), 1).unwrap();
        assert!(scores.columns().into_iter().take(3).all(|c| c.iter().all(|v| v.is_finite())));
        assert!(scores.column(4).iter().all(|v| *v == f64::NEG_INFINITY));
        // Without shrinkage what lies outside the spread within classes is not looked at.
        if shrinkage != Shrinkage::None {
            assert_eq!(best(&scores), labels, "{shrinkage:?}");
        }
    }
    // Twelve items less three means span nine dimensions.
    let fitted = Lda::fit(wide.view(), &labels, 3, Shrinkage::None, 1).unwrap();
    assert_eq!(fitted.left_out(), 38 - 9);
}

#[test]
fn one_item_a_class_leaves_the_shares() {
    let train = array![[1.0, 2.0], [3.0, 4.0]];
    let fitted = Lda::fit(train.view(), &[0, 1], 2, Shrinkage::Auto, 1).unwrap();
    let scores = fitted.scores(train.view(), 1).unwrap();
    assert!(scores.iter().all(|score| (score - 0.5_f64.ln()).abs() < 1e-12));
    assert_eq!(fitted.left_out(), 2);
}

#[test]
fn what_cannot_be_fitted_is_told() {
    let train = array![[1.0, 2.0], [3.0, f64::NAN]];
    let told = Lda::fit(train.view(), &[0, 1], 2, Shrinkage::Auto, 1).unwrap_err();
    assert_eq!(told.to_string(), "feature 1 of item 1 is NaN");
    let train = array![[1.0], [2.0]];
    let told = Lda::fit(train.view(), &[1, 1], 2, Shrinkage::Auto, 1).unwrap_err();
    assert_eq!(told, Unfit::OneClass(2));
    let wide = Array2::zeros((2, 10_001));
    let told = Lda::fit(wide.view(), &[0, 1], 2, Shrinkage::Auto, 1).unwrap_err();
    assert_eq!(told, Unfit::TooLargeToDecompose { size: 10_001, most: 10_000 });
    let told = Lda::fit(train.view(), &[0, 1], 2, Shrinkage::Given(1.5), 1).unwrap_err();
    assert_eq!(told.to_string(), "`shrinkage` is 1.5, but must lie between 0 and 1");
}
