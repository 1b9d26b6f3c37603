use ndarray::{Array2, Axis, array, concatenate, s};

use super::*;
use crate::probe::testing::{Digits, best, count_right, normal, twelve};

/// Mean over items and targets of squared differences.
fn mean_square(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    (a - b).mapv(|d| d * d).mean().unwrap()
}

#[test]
fn twelve_items_have_the_known_errors() {
    let (features, labels) = twelve();
    let targets = class_targets(&labels, 3).unwrap();
    let decomposed = Decomposed::new(features.view(), targets.view(), 1).unwrap();
    for (lambda, known) in [(0.1, 0.149_371_97), (1.0, 0.143_953_21), (10.0, 0.492_346_41)] {
        let left_out = decomposed.leave_one_out(lambda).unwrap().unwrap();
        let error = mean_square(&left_out, &targets);
        assert!((error - known).abs() < 1e-7, "λ = {lambda}: {error}");
    }
}

#[test]
fn digits_have_the_known_answers() {
    let digits = Digits::read();
    let ((train, labels), (test, truth)) = (digits.train(), digits.test());
    let targets = class_targets(labels, 10).unwrap();
    let decomposed = Decomposed::new(train, targets.view(), 2).unwrap();
    // Shares .89460, .89460 and .90464 of 797; mean squares of scikit-learn's RidgeCV.
    for (lambda, right, error) in KNOWN {
        let fitted = decomposed.fit(lambda).unwrap().unwrap();
        let scores = fitted.predict(test, 2).unwrap();
        assert_eq!(count_right(&best(&scores), truth), right, "λ = {lambda}");
        let left_out = decomposed.leave_one_out(lambda).unwrap().unwrap();
        let seen = mean_square(&left_out, &targets);
        assert!((seen - error).abs() < 1e-9, "λ = {lambda}: {seen}");
    }
}

/// λ, right answers of 797, mean squared error of items left out: `benches/peers/probe_values.py`.
const KNOWN: [(f64, usize, f64); 3] =
    [(0.1, 713, 0.130_429_645_507), (1.0, 713, 0.129_584_561_507), (10.0, 721, 0.131_094_653_799)];

#[test]
fn an_item_left_out_gets_what_a_fit_without_it_says() {
    // More items than features, and fewer.
    for (items, features) in [(14, 4), (9, 9), (8, 30)] {
        let (x, y) = (normal(1, items, features) + 3.0, normal(2, items, 2));
        for lambda in [0.05, 2.0] {
            let decomposed = Decomposed::new(x.view(), y.view(), 1).unwrap();
            let left_out = decomposed.leave_one_out(lambda).unwrap().unwrap();
            for row in 0..items {
                let others: Vec<usize> = (0..items).filter(|other| *other != row).collect();
                let (x_others, y_others) = (x.select(Axis(0), &others), y.select(Axis(0), &others));
                let without = Decomposed::new(x_others.view(), y_others.view(), 1).unwrap();
                let fitted = without.fit(lambda).unwrap().unwrap();
                let said = fitted.predict(x.slice(s![row..=row, ..]), 1).unwrap();
                for target in 0..2 {
                    let apart = left_out[[row, target]] - said[[0, target]];
                    assert!(apart.abs() < 1e-9, "{items} × {features}, λ = {lambda}");
                }
            }
        }
    }
}

#[test]
fn both_sides_give_the_same_weights() {
    let (x, y) = (normal(3, 20, 20), normal(4, 20, 3));
    let narrow = Decomposed::new(x.view(), y.view(), 1).unwrap();
    // A feature of zeros makes it the other side's turn.
    let wide = concatenate![Axis(1), x, Array2::zeros((20, 1))];
    let wide = Decomposed::new(wide.view(), y.view(), 1).unwrap();
    assert!(matches!((&narrow.side, &wide.side), (Side::Features { .. }, Side::Items { .. })));
    let (a, b) = (narrow.fit(0.3).unwrap().unwrap(), wide.fit(0.3).unwrap().unwrap());
    assert!((&a.weights - &b.weights.slice(s![..20, ..])).iter().all(|d| d.abs() < 1e-10));
    assert!((&a.biases - &b.biases).iter().all(|d| d.abs() < 1e-10));
    assert!(b.weights.row(20).iter().all(|weight| weight.abs() < 1e-12));
}

#[test]
fn results_have_the_same_bits_on_any_number_of_threads() {
    let y = normal(6, 300, 3);
    for features in [40, 400] {
        let x = normal(5, 300, features);
        let run = |threads| {
            let decomposed = Decomposed::new(x.view(), y.view(), threads).unwrap();
            (decomposed.fit(1.0).unwrap(), decomposed.leave_one_out(1.0).unwrap())
        };
        assert_eq!(run(1), run(2));
        assert_eq!(run(1), run(7));
    }
}

#[test]
fn constant_and_repeated_features_and_items_give_finite_answers() {
    let (features, labels) = twelve();
    let constant = Array2::from_elem((12, 2), 0.1);
    let twice = concatenate![Axis(1), features, features, constant];
    let twice = concatenate![Axis(0), twice, twice];
    let labels = [labels.clone(), labels].concat();
    let targets = class_targets(&labels, 4).unwrap();
    let decomposed = Decomposed::new(twice.view(), targets.view(), 1).unwrap();
    for lambda in [1e-6, 1.0, 1e6] {
        let fitted = decomposed.fit(lambda).unwrap().unwrap();
        assert!(fitted.weights.iter().all(|weight| weight.is_finite()));
        let left_out = decomposed.leave_one_out(lambda).unwrap().unwrap();
        assert!(left_out.iter().all(|value| value.is_finite()));
    }
    let fitted = decomposed.fit(1.0).unwrap().unwrap();
    assert_eq!(best(&fitted.predict(twice.view(), 1).unwrap()), labels);
}

#[test]
fn features_that_say_nothing_leave_the_mean() {
    let x = Array2::from_elem((4, 3), 7.0);
    let y = array![[1.0], [2.0], [3.0], [6.0]];
    let decomposed = Decomposed::new(x.view(), y.view(), 1).unwrap();
    let fitted = decomposed.fit(1.0).unwrap().unwrap();
    assert_eq!(fitted.predict(x.view(), 1).unwrap(), Array2::from_elem((4, 1), 3.0));
    let left_out = decomposed.leave_one_out(1.0).unwrap().unwrap();
    let expected = array![[11.0 / 3.0], [10.0 / 3.0], [3.0], [2.0]];
    assert!((&left_out - &expected).iter().all(|d| d.abs() < 1e-12));
}

#[test]
fn a_single_item_has_nobody_to_learn_from() {
    let decomposed = Decomposed::new(array![[1.0]].view(), array![[2.0]].view(), 1).unwrap_err();
    assert_eq!(decomposed, Unfit::OneItem);
}

#[test]
fn a_vanishing_penalty_is_told_by_nothing_and_never_by_noise() {
    let x = normal(7, 10, 40) * 1e6;
    let y = normal(8, 10, 1);
    let decomposed = Decomposed::new(x.view(), y.view(), 1).unwrap();
    for lambda in [1e-300, 1e-12, 1e-3] {
        if let Some(left_out) = decomposed.leave_one_out(lambda).unwrap() {
            assert!(left_out.iter().all(|value| value.is_finite()));
        }
        if let Some(fitted) = decomposed.fit(lambda).unwrap() {
            assert!(fitted.weights.iter().all(|weight| weight.abs() < 1.0));
        }
    }
}

#[test]
fn what_cannot_be_fitted_is_told() {
    let (features, targets) = (normal(9, 4, 2), normal(10, 4, 1));
    let decomposed = Decomposed::new(features.view(), targets.view(), 1).unwrap();
    assert!(matches!(decomposed.fit(0.0), Err(Unfit::Setting { .. })));
    assert!(matches!(decomposed.leave_one_out(f64::NAN), Err(Unfit::Setting { .. })));
    let broken = array![[1.0], [2.0], [f64::NAN], [3.0]];
    let told = Decomposed::new(features.view(), broken.view(), 1).unwrap_err();
    assert_eq!(told.to_string(), "target 0 of item 2 is NaN");
    let told = Decomposed::new(broken.view(), targets.view(), 1).unwrap_err();
    assert_eq!(told.to_string(), "feature 0 of item 2 is NaN");
    assert_eq!(class_targets(&[1, 1], 3).unwrap_err(), Unfit::OneClass(2));
}
