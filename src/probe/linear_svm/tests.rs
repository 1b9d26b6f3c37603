//! Known answers on digits, what both solvers must agree on, and bad input.

use ndarray::{Array2, array};

use super::super::testing::{Digits, correct};
use super::{Bias, Fitted, Loss, Settings, SvmPath, Targets};
use crate::probe::newton::Stop;

/// C, correct of 797, Σ J of all columns, by scikit-learn's `LinearSVC` with a tolerance of 1e-8.
const SQUARED: [(f64, usize, f64); 4] = [
    (0.01, 728, 15.281_992_231),
    (0.1, 740, 60.719_373_902),
    (1.0, 739, 243.205_952_618),
    (10.0, 738, 1_028.890_760_343),
];
const PLAIN: [(f64, f64); 3] =
    [(0.01, 17.516_066_910), (0.1, 75.293_624_072), (1.0, 280.826_105_698)];
/// C, J and bias of "3 or not", by scikit-learn's `SVC` with a linear kernel.
const FREE: [(f64, f64, f64); 2] =
    [(0.1, 7.136_445_440_8, -1.353_645_36), (1.0, 22.745_837_742_4, -1.273_507_94)];

fn of(labels: &[usize]) -> Targets<'_> {
    Targets::Classes { labels, classes: 10 }
}

fn as_liblinear(loss: Loss) -> Settings {
    Settings { loss, bias: Bias::Penalised, most_rounds: 100_000, ..Settings::default() }
}

#[test]
fn squared_hinge_gives_liblinears_counts_and_objectives() {
    let digits = Digits::read();
    let ((train, labels), (test, known)) = (digits.part(0..1000), digits.part(1000..1797));
    let settings = as_liblinear(Loss::Squared);
    let mut path = SvmPath::new(&train, &of(labels), settings, 2);
    for (cost, count, objective) in SQUARED {
        let fitted = path.fit(cost);
        assert_eq!(correct(&fitted.scores(&test), known), count, "C = {cost}");
        let sum: f64 = fitted.objectives.iter().sum();
        assert!((sum / objective - 1.0).abs() < 1e-6, "C = {cost}: {sum}");
        assert!(fitted.gaps.iter().sum::<f64>() < 1e-3 * sum, "C = {cost}");
        assert_eq!(fitted.stops, [Stop::Converged; 10]);
    }
}

#[test]
fn plain_hinge_gives_liblinears_objectives() {
    let digits = Digits::read();
    let (train, labels) = digits.part(0..1000);
    let settings = as_liblinear(Loss::Plain);
    let mut path = SvmPath::new(&train, &of(labels), settings, 2);
    for (cost, objective) in PLAIN {
        let fitted = path.fit(cost);
        let sum: f64 = fitted.objectives.iter().sum();
        assert!((sum / objective - 1.0).abs() < 1e-4, "C = {cost}: {sum}");
        assert!(fitted.gaps.iter().sum::<f64>() < 1e-3 * sum, "C = {cost}");
    }
}

#[test]
fn a_free_bias_gives_libsvms_objectives() {
    let digits = Digits::read();
    let (train, labels) = digits.part(0..1000);
    let settings = Settings {
        loss: Loss::Plain,
        most_rounds: 100_000,
        tolerance: 1e-6,
        ..Settings::default()
    };
    let targets = Array2::from_shape_fn((1000, 1), |(item, _)| Some(labels[item] == 3));
    let mut path = SvmPath::new(&train, &Targets::Columns(targets.view()), settings, 1);
    for (cost, objective, bias) in FREE {
        let fitted = path.fit(cost);
        assert!((fitted.objectives[0] / objective - 1.0).abs() < 1e-6, "{}", fitted.objectives[0]);
        assert!((fitted.biases[0] - bias).abs() < 1e-3, "{}", fitted.biases[0]);
    }
}

#[test]
fn results_are_the_same_bits_on_any_number_of_threads() {
    let digits = Digits::read();
    let (train, labels) = digits.part(0..300);
    for loss in [Loss::Squared, Loss::Plain] {
        let fit = |threads| {
            let settings = Settings { loss, ..Settings::default() };
            let mut path = SvmPath::new(&train, &of(labels), settings, threads);
            let fits = [0.1, 1.0].map(|cost| path.fit(cost));
            fits.map(|fit| (fit.weights, fit.biases, fit.rounds))
        };
        assert_eq!(fit(1), fit(3));
    }
}

#[test]
fn weights_of_a_class_are_copies_of_its_items() {
    let digits = Digits::read();
    let (train, labels) = digits.part(0..200);
    let targets = |labels: &[usize]| {
        Array2::from_shape_fn((labels.len(), 1), |(item, _)| Some(labels[item] == 8))
    };
    let twice: Vec<usize> = (0..200).chain((0..200).filter(|row| labels[*row] == 8)).collect();
    let features = train.select(ndarray::Axis(0), &twice);
    let again: Vec<usize> = twice.iter().map(|row| labels[*row]).collect();
    for loss in [Loss::Squared, Loss::Plain] {
        let settings =
            Settings { loss, tolerance: 1e-7, most_rounds: 50_000, ..Settings::default() };
        let weighted = Settings { weights: (2.0, 1.0), ..settings };
        let fit = |features, labels: &[usize], settings| {
            let targets = targets(labels);
            SvmPath::new(features, &Targets::Columns(targets.view()), settings, 1).fit(1.0)
        };
        let a = fit(&train, labels, weighted).objectives[0];
        let b = fit(&features.view(), &again, settings).objectives[0];
        assert!((a / b - 1.0).abs() < 1e-6, "{a} {b}");
    }
}

fn finite(fitted: &Fitted) -> bool {
    fitted.objectives.iter().chain(&fitted.weights).all(|value| value.is_finite())
}

#[test]
fn bad_input_has_defined_results_and_ends() {
    let digits = Digits::read();
    let rows: Vec<usize> = (0..20).chain(0..20).collect();
    let features = digits.features.select(ndarray::Axis(0), &rows);
    let labels: Vec<usize> = rows.iter().map(|row| digits.labels[*row]).collect();
    for loss in [Loss::Squared, Loss::Plain] {
        for bias in [Bias::Free, Bias::Penalised] {
            let settings = Settings { loss, bias, ..Settings::default() };
            for cost in [1e-9, 1e9] {
                let fitted = SvmPath::new(&features.view(), &of(&labels), settings, 1).fit(cost);
                assert!(finite(&fitted));
                let right = correct(&fitted.scores(&features.view()), &labels);
                assert!(cost < 1.0 || right == 40, "{right}");
            }
            let alike = SvmPath::new(&features.view(), &of(&[4; 40]), settings, 1).fit(1.0);
            assert_eq!(correct(&alike.scores(&features.view()), &[4; 40]), 40);
            let constant = array![[1.0], [1.0], [1.0]];
            let coin = SvmPath::new(&constant.view(), &of(&[0, 1, 1]), settings, 1).fit(1e9);
            assert!(finite(&coin));
            let none = Array2::zeros((0, 2));
            assert!(finite(&SvmPath::new(&none.view(), &of(&[]), settings, 1).fit(1.0)));
        }
    }
}

#[test]
fn a_cap_that_is_hit_is_told() {
    let digits = Digits::read();
    let (train, labels) = digits.part(0..200);
    for loss in [Loss::Squared, Loss::Plain] {
        let settings = Settings { loss, tolerance: 1e-10, most_rounds: 4, ..Settings::default() };
        let fitted = SvmPath::new(&train, &of(labels), settings, 1).fit(10.0);
        assert!(fitted.stops.contains(&Stop::Cap));
    }
}
