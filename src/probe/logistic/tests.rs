//! Known answers on digits, agreement with linfa, and bad input.

use ndarray::{Array2, array};

use super::super::testing::{Digits, correct};
use super::path::Fitted;
use super::{LogisticPath, Settings};
use crate::probe::newton::Stop;

/// −mean ln softmax at the labels.
fn log_loss(scores: &Array2<f64>, labels: &[usize]) -> f64 {
    let losses = scores.rows().into_iter().zip(labels).map(|(row, label)| {
        let most = row.fold(f64::NEG_INFINITY, |most, value| most.max(*value));
        row.iter().map(|value| (value - most).exp()).sum::<f64>().ln() - (row[*label] - most)
    });
    losses.sum::<f64>() / labels.len() as f64
}

fn exact(tolerance: f64) -> Settings {
    Settings { tolerance, ..Settings::default() }
}

fn close(a: f64, b: f64, relative: f64) -> bool {
    (a - b).abs() <= relative * b.abs()
}

/// C, correct of 797, log-loss, J, ‖W‖².
const KNOWN: [(f64, usize, f64, f64, f64); 5] = [
    (0.01, 704, 1.299_308, 16.591_841, 8.174_69),
    (0.1, 732, 0.507_304, 71.426_048, 64.583_97),
    (1.0, 743, 0.283_388, 230.260_988, 240.846_62),
    (10.0, 745, 0.274_853, 636.734_431, 762.752_85),
    (100.0, 737, 0.356_339, 1_450.813_124, 1_983.197),
];

#[test]
fn a_path_gives_scikit_learns_counts_losses_objectives_and_norms() {
    let digits = Digits::read();
    let ((train, labels), (test, known)) = (digits.part(0..1000), digits.part(1000..1797));
    let mut path = LogisticPath::new(&train, labels, 10, 1).settings(exact(1e-9));
    for (cost, count, loss, objective, norm) in KNOWN {
        let fitted = path.fit(cost);
        assert_eq!(fitted.stop, Stop::Converged, "C = {cost}");
        let scores = fitted.scores(&test);
        assert_eq!(correct(&scores, known), count, "C = {cost}");
        assert!((log_loss(&scores, known) - loss).abs() < 1e-6, "C = {cost}");
        assert!((fitted.objective - objective).abs() < 6e-7, "C = {cost}: {}", fitted.objective);
        assert!(close(fitted.norm, norm, 1e-6), "C = {cost}: {}", fitted.norm);
    }
}

#[test]
fn objectives_are_exact_at_the_usual_tolerance_in_any_order() {
    let digits = Digits::read();
    let (train, labels) = digits.part(0..1000);
    let mut path = LogisticPath::new(&train, labels, 10, 2);
    for at in [2, 0, 4, 1, 3] {
        let (cost, _, _, objective, _) = KNOWN[at];
        let fitted = path.fit(cost);
        assert!(close(fitted.objective, objective, 1e-6), "C = {cost}: {}", fitted.objective);
    }
}

#[test]
fn standardised_features_and_few_items_give_scikit_learns_accuracy() {
    let digits = Digits::read();
    let (test, known) = digits.part(1000..1797);
    let counts: Vec<usize> = [20, 50, 100, 200, 500]
        .into_iter()
        .map(|items| {
            let (train, labels) = digits.part(0..items);
            let fitted = LogisticPath::new(&train, labels, 10, 1).settings(exact(1e-8)).fit(1.0);
            correct(&fitted.scores(&test), known)
        })
        .collect();
    // .7917, .8043, .8457, .8432 and .9109 of 797.
    assert_eq!(counts, [631, 641, 674, 672, 726]);
}

#[test]
fn results_are_the_same_bits_on_any_number_of_threads() {
    let digits = Digits::read();
    let (train, labels) = digits.part(0..300);
    let fit = |threads| {
        let mut path = LogisticPath::new(&train, labels, 10, threads);
        let fits: Vec<Fitted> = [0.1, 1.0, 10.0].map(|cost| path.fit(cost)).into();
        fits.into_iter().map(|fit| (fit.weights, fit.biases, fit.rounds)).collect::<Vec<_>>()
    };
    assert_eq!(fit(1), fit(2));
    assert_eq!(fit(1), fit(5));
}

#[test]
fn columns_by_themselves_are_what_two_classes_each_would_be() {
    let digits = Digits::read();
    let (train, labels) = digits.part(0..200);
    let columns = [3, 5, 8];
    let targets = Array2::from_shape_fn((200, 3), |(item, column)| {
        // The last column's first fifty targets are not known.
        (column < 2 || item >= 50).then(|| labels[item] == columns[column])
    });
    let fitted =
        LogisticPath::of_columns(&train, &targets.view(), 2).settings(exact(1e-9)).fit(2.0);
    for (column, first) in [(0, 0), (2, 50)] {
        let (train, labels) = digits.part(first..200);
        let binary: Vec<usize> =
            labels.iter().map(|label| usize::from(*label == columns[column])).collect();
        // Two columns of softmax share the penalty: ½ ‖w₀‖² + ½ ‖w₁‖² = ¼ ‖w₁ − w₀‖².
        let pair = LogisticPath::new(&train, &binary, 2, 1).settings(exact(1e-9)).fit(1.0);
        let twice = &pair.weights.column(1) - &pair.weights.column(0);
        let alone = LogisticPath::of_columns(
            &train,
            &Array2::from_shape_fn((labels.len(), 1), |(item, _)| Some(binary[item] == 1)).view(),
            1,
        )
        .settings(exact(1e-9))
        .fit(2.0);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-5;
        let weights = fitted.weights.column(column);
        assert!(weights.iter().zip(alone.weights.column(0)).all(|(a, b)| near(*a, *b)));
        assert!(twice.iter().zip(alone.weights.column(0)).all(|(a, b)| near(*a, *b)));
    }
}

#[test]
fn a_class_without_items_takes_no_part() {
    let features = array![[0.0, 1.0], [1.0, 0.0], [2.0, 0.5], [3.0, 1.0]];
    let apart = LogisticPath::new(&features.view(), &[0, 0, 1, 1], 2, 1).fit(1.0);
    let among = LogisticPath::new(&features.view(), &[1, 1, 3, 3], 5, 1).fit(1.0);
    assert_eq!(among.weights.column(1), apart.weights.column(0));
    assert_eq!(among.weights.column(3), apart.weights.column(1));
    assert!(among.weights.column(2).iter().all(|weight| weight.abs() < f64::MIN_POSITIVE));
    assert!(among.biases[4].is_infinite() && among.biases[4] < 0.0);
    assert_eq!(among.objective.to_bits(), apart.objective.to_bits());
}

#[test]
fn one_class_no_items_and_more_classes_than_items_have_defined_results() {
    let features = array![[0.5, -1.0], [2.0, 1.0]];
    let one = LogisticPath::new(&features.view(), &[2, 2], 4, 1).fit(1.0);
    assert_eq!((one.stop, one.objective), (Stop::Converged, 0.0));
    assert_eq!(correct(&one.scores(&features.view()), &[2, 2]), 2);
    let two = LogisticPath::new(&features.view(), &[7, 0], 9, 2).fit(10.0);
    assert_eq!(correct(&two.scores(&features.view()), &[7, 0]), 2);
    let none = LogisticPath::new(&Array2::zeros((0, 3)).view(), &[], 3, 1).fit(1.0);
    assert_eq!((none.weights.dim(), none.stop), ((3, 3), Stop::Converged));
    let unknown = Array2::from_elem((2, 2), None);
    let unknown = LogisticPath::of_columns(&features.view(), &unknown.view(), 1).fit(1.0);
    assert_eq!(unknown.weights, Array2::<f64>::zeros((2, 2)));
}

#[test]
fn constant_columns_duplicated_rows_and_an_enormous_cost_end() {
    let digits = Digits::read();
    // Digits have constant columns; twenty items are separable, and here stand twice.
    let rows: Vec<usize> = (0..20).chain(0..20).collect();
    let features = digits.features.select(ndarray::Axis(0), &rows);
    let labels: Vec<usize> = rows.iter().map(|row| digits.labels[*row]).collect();
    for cost in [1e-9, 1e9] {
        let fitted = LogisticPath::new(&features.view(), &labels, 10, 1).fit(cost);
        assert!(fitted.objective.is_finite() && fitted.rounds <= 1100, "{}", fitted.rounds);
        assert!(fitted.weights.iter().chain(&fitted.biases).all(|value| value.is_finite()));
    }
    // Opposite labels of equal items: as separable as a coin.
    let same = array![[1.0, 1.0], [1.0, 1.0]];
    let coin = LogisticPath::new(&same.view(), &[0, 1], 2, 1).fit(1e9);
    assert!((coin.objective / 1e9 - 2.0 * 2_f64.ln()).abs() < 1e-9);
}

#[test]
fn a_cap_that_is_hit_is_told() {
    let digits = Digits::read();
    let (train, labels) = digits.part(0..200);
    let settings = Settings { tolerance: 1e-12, most_rounds: 5 };
    let fitted = LogisticPath::new(&train, labels, 10, 1).settings(settings).fit(100.0);
    assert_eq!(fitted.stop, Stop::Cap);
    assert!(fitted.gradient > 1e-12);
}
