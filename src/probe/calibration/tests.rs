use ndarray::{Array2, array};

use super::*;
use crate::base::Seed;

/// Ten items of three classes with their probabilities.
fn ten() -> (Array2<f64>, Vec<usize>) {
    let probabilities = array![
        [0.7, 0.2, 0.1],
        [0.6, 0.3, 0.1],
        [0.3, 0.5, 0.2],
        [0.8, 0.1, 0.1],
        [0.2, 0.7, 0.1],
        [0.1, 0.8, 0.1],
        [0.1, 0.4, 0.5],
        [0.1, 0.2, 0.7],
        [0.5, 0.2, 0.3],
        [0.05, 0.05, 0.9],
    ];
    (probabilities, vec![0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
}

fn held_out(scores: Array2<f64>) -> HeldOut {
    HeldOut::of_other_part(scores).unwrap()
}

fn loss(log_probabilities: &Array2<f64>, labels: &[usize]) -> f64 {
    let rows = log_probabilities.rows().into_iter().zip(labels);
    -rows.map(|(row, &label)| row[label]).sum::<f64>() / labels.len() as f64
}

#[test]
fn ten_items_have_the_known_temperature() {
    let (probabilities, labels) = ten();
    let logits = probabilities.mapv(f64::ln);
    let fitted = Temperature::fit(&held_out(logits.clone()), &labels).unwrap();
    assert!((fitted.value - 0.496_253_56).abs() < 1e-7, "{}", fitted.value);
    assert!(!fitted.at_edge);
    let after = loss(&fitted.log_probabilities(&logits.view()), &labels);
    assert!((after - 0.444_997_78).abs() < 1e-8, "{after}");
    let plain = Temperature { value: 1.0, at_edge: false };
    let before = loss(&plain.log_probabilities(&logits.view()), &labels);
    assert!((before - 0.545_673_44).abs() < 1e-8);
}

#[test]
fn a_temperature_beyond_its_range_is_told() {
    let separable = array![[9.0, 0.0], [0.0, 9.0]];
    let cold = Temperature::fit(&held_out(separable.clone()), &[0, 1]).unwrap();
    assert!(cold.at_edge && (cold.value - (-3.0_f64).exp()).abs() < 1e-12);
    let hot = Temperature::fit(&held_out(separable), &[1, 0]).unwrap();
    assert!(hot.at_edge && (hot.value - 3.0_f64.exp()).abs() < 1e-12);
    let alike = Temperature::fit(&held_out(Array2::zeros((2, 2))), &[0, 1]).unwrap();
    assert!(alike.value.is_finite());
}

#[test]
fn a_class_that_no_fit_knew_stays_impossible() {
    let none = f64::NEG_INFINITY;
    let scores = array![[2.0, 1.0, none], [0.0, 1.0, none], [1.0, 0.5, none], [0.2, 0.1, none]];
    let fitted = Temperature::fit(&held_out(scores.clone()), &[0, 1, 1, 2]).unwrap();
    let log_probabilities = fitted.log_probabilities(&scores.view());
    assert!(log_probabilities.column(2).iter().all(|value| value.total_cmp(&none).is_eq()));
    assert!(log_probabilities.column(0).iter().all(|value| value.is_finite()));
    let sigmoids = Sigmoids::of_classes(&held_out(scores.clone()), &[0, 1, 1, 2]).unwrap();
    let probabilities = sigmoids.of_one(&scores.view()).unwrap();
    for row in probabilities.rows() {
        assert!((row.sum() - 1.0).abs() < 1e-12 && row[2].abs() < 1e-300);
    }
    let only = held_out(array![[none, 0.0]]);
    assert_eq!(Temperature::fit(&only, &[0]).unwrap_err(), Unfit::NoItems);
}

/// Margins with their answers: well mixed, and of one kind mostly.
fn margins() -> Vec<(f64, bool)> {
    let scores = [-2.5, -1.75, -1.0, -0.5, -0.25, 0.125, 0.5, 0.75, 1.5, 2.0, 3.0, -0.75];
    let answers = [false, false, false, true, false, true, false, true, true, true, true, true];
    scores.into_iter().zip(answers).collect()
}

#[test]
fn a_sigmoid_has_scikit_learns_slope_and_offset() {
    let fitted = Sigmoid::fit(&margins()).unwrap();
    assert!((fitted.slope - PLATT.0).abs() < 1e-6, "{fitted:?}");
    assert!((fitted.offset - PLATT.1).abs() < 1e-6, "{fitted:?}");
    assert!(fitted.probability(3.0) > 0.8 && fitted.probability(-3.0) < 0.2);
}

/// Slope and offset: `benches/peers/probe_values.py`.
const PLATT: (f64, f64) = (-0.775_814_942, -0.351_506_416);

#[test]
fn a_fitted_sigmoid_is_where_the_gradient_vanishes() {
    let mut stream = Seed(1).stream("test", "margins");
    for scale in [1e-6, 1.0, 1e9] {
        let points: Vec<(f64, bool)> = (0..300)
            .map(|_| {
                let margin = stream.normal() + 0.5;
                (scale * margin, stream.uniform() < sigmoid(-2.0 * margin + 0.7))
            })
            .collect();
        let yes = points.iter().filter(|point| point.1).count() as f64;
        let no = 300.0 - yes;
        let fitted = Sigmoid::fit(&points).unwrap();
        let (mut first, mut second) = (0.0, 0.0);
        for (score, answer) in points {
            let target = if answer { (yes + 1.0) / (yes + 2.0) } else { 1.0 / (no + 2.0) };
            let rest = target - fitted.probability(score);
            first += rest * score / scale;
            second += rest;
        }
        assert!(first.abs() < 1e-6 && second.abs() < 1e-6, "{scale}: {first} {second}");
    }
}

#[test]
fn separable_constant_and_one_sided_margins_give_finite_sigmoids() {
    let separable: Vec<(f64, bool)> = (0..20).map(|i| (f64::from(i) - 9.5, i > 9)).collect();
    let constant: Vec<(f64, bool)> = (0..20).map(|i| (4.0, i > 4)).collect();
    let one_sided: Vec<(f64, bool)> = (0..20).map(|i| (f64::from(i), true)).collect();
    let single = vec![(0.0, false)];
    let huge = vec![(-1e300, false), (1e300, true), (1.0, true)];
    for points in [separable, constant, one_sided, single, huge] {
        let fitted = Sigmoid::fit(&points).unwrap();
        assert!(fitted.slope.is_finite() && fitted.offset.is_finite(), "{points:?}");
        let all = points.iter().map(|(score, _)| fitted.probability(*score));
        assert!(all.into_iter().all(|p| (0.0..=1.0).contains(&p)));
    }
    // Three quarters of 20 items, pulled a little towards one half.
    let constant: Vec<(f64, bool)> = (0..20).map(|i| (4.0, i > 4)).collect();
    let share = Sigmoid::fit(&constant).unwrap().probability(4.0);
    assert!((share - (15.0 * 16.0 / 17.0 + 5.0 / 7.0) / 20.0).abs() < 1e-6, "{share}");
    assert_eq!(Sigmoid::fit(&[]).unwrap_err(), Unfit::NoItems);
    assert_eq!(Sigmoid::fit(&[(f64::NEG_INFINITY, true)]).unwrap_err(), Unfit::NoItems);
}

#[test]
fn probabilities_of_classes_sum_to_one() {
    let (probabilities, labels) = ten();
    let scores = probabilities.mapv(|p| 4.0 * p - 2.0);
    let sigmoids = Sigmoids::of_classes(&held_out(scores.clone()), &labels).unwrap();
    let calibrated = sigmoids.of_one(&scores.view()).unwrap();
    assert!(calibrated.rows().into_iter().all(|row| (row.sum() - 1.0).abs() < 1e-12));
    let far = sigmoids.of_one(&array![[-1e9, -1e9, -1e9]].view()).unwrap();
    assert!((far.sum() - 1.0).abs() < 1e-12);
}

#[test]
fn labels_are_calibrated_each_by_itself_and_unknown_ones_passed_over() {
    let scores = array![[-1.0, 2.0], [1.0, -2.0], [2.0, 0.5], [-2.0, 0.0]];
    let known = array![[0.0, 1.0], [1.0, 0.0], [1.0, f64::NAN], [0.0, f64::NAN]];
    let sigmoids = Sigmoids::of_labels(&held_out(scores.clone()), &known.view()).unwrap();
    let probabilities = sigmoids.of_each(&scores.view()).unwrap();
    assert!(probabilities[[2, 0]] > 0.6 && probabilities[[3, 0]] < 0.4);
    let two = Sigmoid::fit(&[(2.0, true), (-2.0, false)]).unwrap();
    assert!((probabilities[[2, 1]] - two.probability(0.5)).abs() < 1e-12);
}

#[test]
fn what_cannot_be_calibrated_is_told() {
    let told = HeldOut::of_other_part(array![[1.0, f64::NAN]]).unwrap_err();
    assert_eq!(told.to_string(), "feature 1 of item 0 is NaN");
    let scores = held_out(array![[1.0, 0.0]]);
    assert!(matches!(Sigmoids::of_classes(&scores, &[2]), Err(Unfit::NoSuchClass { .. })));
    assert!(matches!(Temperature::fit(&scores, &[0, 1]), Err(Unfit::Length { .. })));
    let sigmoids = Sigmoids::of_classes(&scores, &[0]).unwrap();
    assert!(matches!(sigmoids.of_each(&array![[1.0]].view()), Err(Unfit::Width { .. })));
}
