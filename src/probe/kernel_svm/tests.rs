//! LIBSVM's counts on digits, through scikit-learn's `SVC` and `SVR`; and bad input.

use ndarray::{Array2, array, s};

use super::super::testing::{Digits, correct};
use super::{Among, Classifier, ClassifierPath, RegressionPath, Settings};
use crate::probe::gram::{Gram, Kernel};
use crate::probe::newton::Stop;

const ONES: [f64; 10] = [1.0; 10];

/// At LIBSVM's usual tolerance a multiplier that is almost zero may be counted or not.
fn exact() -> Settings {
    Settings { tolerance: 1e-7, ..Settings::default() }
}

struct Shared {
    items: Digits,
    rows: Vec<usize>,
}

impl Shared {
    fn new() -> Self {
        Self { items: Digits::read(), rows: (0..1797).collect() }
    }

    /// γ of the first thousand, as scikit-learn's "scale".
    fn rbf(&self) -> Kernel {
        Kernel::Rbf { gamma: Kernel::gamma(1.0, &self.items.part(0..1000).0) }
    }

    fn gram(&self, kernel: Kernel) -> Gram {
        Gram::new(&self.items.features.view(), kernel, 2)
    }

    fn train(&self) -> (&[usize], &[usize]) {
        (&self.rows[..1000], &self.items.labels[..1000])
    }

    fn test(&self) -> (&[usize], &[usize]) {
        (&self.rows[1000..], &self.items.labels[1000..])
    }

    fn path<'a>(&self, gram: &'a Gram, weights: &[f64], threads: usize) -> ClassifierPath<'a> {
        let (rows, labels) = self.train();
        ClassifierPath::new(gram, rows, labels, weights, Among::Pairs, threads)
    }

    fn right(&self, gram: &Gram, fitted: &Classifier) -> usize {
        let (rows, labels) = self.test();
        let votes = fitted.votes_within(gram, rows);
        votes.iter().zip(labels).filter(|(vote, label)| vote == label).count()
    }
}

#[test]
fn counts_of_support_vectors_and_right_answers_are_libsvms() {
    let digits = Shared::new();
    let polynomial = Kernel::Polynomial { gamma: 1.0 / 64.0, offset: 1.0, degree: 3 };
    // C, support vectors, correct of 797.
    let known = [
        (digits.rbf(), [(0.1, 892, 738), (1.0, 516, 765), (10.0, 458, 769)]),
        (Kernel::Linear, [(0.1, 535, 745), (1.0, 353, 753), (10.0, 348, 751)]),
        (polynomial, [(0.1, 981, 707), (1.0, 603, 748), (10.0, 370, 755)]),
    ];
    for (kernel, known) in known {
        let gram = digits.gram(kernel);
        for (cost, support, right) in known {
            let fitted = digits.path(&gram, &ONES, 2).settings(exact()).fit(cost);
            assert_eq!(fitted.stop(), Stop::Converged);
            let seen = (fitted.support().len(), digits.right(&gram, &fitted));
            assert_eq!(seen, (support, right), "{kernel:?}, C = {cost}");
        }
    }
}

#[test]
fn scores_are_those_of_scikit_learn_and_the_same_from_other_items_kernel_values() {
    let digits = Shared::new();
    let gram = digits.gram(digits.rbf());
    let fitted = digits.path(&gram, &ONES, 1).settings(exact()).fit(1.0);
    let (rows, labels) = digits.test();
    let scores = fitted.scores_within(&gram, rows);
    for (score, known) in
        scores.row(0).iter().zip([-0.289_693_86, 9.300_502_96, 7.264_235_03, 8.268_727_34])
    {
        assert!((score - known).abs() < 2e-5, "{score} {known}");
    }
    assert_eq!(correct(&scores, labels), digits.right(&gram, &fitted));
    let all = digits.items.features.view();
    let others = digits.rbf().between(&all.slice(s![1000.., ..]), &all, 2);
    let again = fitted.scores(&others.view());
    assert!(scores.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-4));
}

#[test]
fn fits_along_a_path_are_those_from_the_start() {
    let digits = Shared::new();
    let gram = digits.gram(digits.rbf());
    let mut path = digits.path(&gram, &ONES, 2);
    for (cost, support, right) in [(0.1, 892, 738), (1.0, 516, 765), (10.0, 458, 769)] {
        let fitted = path.fit(cost);
        assert_eq!(digits.right(&gram, &fitted), right);
        assert!(fitted.support().len().abs_diff(support) <= 2, "{}", fitted.support().len());
    }
}

#[test]
fn class_weights_multiply_the_cost() {
    let digits = Shared::new();
    let gram = digits.gram(digits.rbf());
    let weights: Vec<f64> = (1..=10).map(f64::from).collect();
    let fitted = digits.path(&gram, &weights, 1).settings(exact()).fit(1.0);
    assert_eq!((fitted.support().len(), digits.right(&gram, &fitted)), (461, 767));
}

#[test]
fn results_are_the_same_bits_on_any_number_of_threads() {
    let digits = Shared::new();
    let gram = digits.gram(digits.rbf());
    let (rows, _) = digits.test();
    let fit = |threads| digits.path(&gram, &ONES, threads).fit(1.0).scores_within(&gram, rows);
    assert_eq!(fit(1), fit(3));
}

#[test]
fn one_against_the_rest_is_each_column_by_itself() {
    let digits = Shared::new();
    let gram = digits.gram(digits.rbf());
    let (rows, labels) = digits.train();
    let (test, known) = digits.test();
    let rest = ClassifierPath::new(&gram, rows, labels, &ONES, Among::Rest, 2).fit(10.0);
    let scores = rest.scores_within(&gram, test);
    assert!((763..=775).contains(&correct(&scores, known)));
    let columns = Array2::from_shape_fn((1000, 10), |(item, class)| Some(labels[item] == class));
    let columns = ClassifierPath::of_columns(&gram, rows, &columns.view(), 1).fit(10.0);
    assert_eq!(scores, columns.scores_within(&gram, test));
    // What is not known is as if it were not there.
    let half =
        Array2::from_shape_fn((1000, 1), |(item, _)| (item < 500).then(|| labels[item] == 3));
    let few = half.slice(s![..500, ..]);
    let all = ClassifierPath::of_columns(&gram, rows, &half.view(), 1).fit(1.0);
    let few = ClassifierPath::of_columns(&gram, &rows[..500], &few, 1).fit(1.0);
    assert_eq!(all.scores_within(&gram, test), few.scores_within(&gram, test));
}

#[test]
fn regression_gives_libsvms_errors() {
    let digits = Shared::new();
    let gram = digits.gram(digits.rbf());
    let targets: Vec<f64> = digits.items.labels[..500].iter().map(|label| *label as f64).collect();
    let (rows, known) = digits.test();
    let mut path = RegressionPath::new(&gram, &digits.rows[..500], &targets, 0.1);
    // C, mean squared error, J of the primal (at a tolerance of 1e-8).
    let exact = [
        (0.1, 6.042_812, 101.543_985),
        (1.0, 2.405_612, 509.892_770),
        (10.0, 1.481_827, 1_529.348_293),
    ];
    for (cost, error, objective) in exact {
        let fitted = path.fit(cost);
        let square =
            |(row, label): (&usize, &usize)| (fitted.of_row(&gram, *row) - *label as f64).powi(2);
        let seen = rows.iter().zip(known).map(square).sum::<f64>() / 797.0;
        assert!((seen - error).abs() < 1e-3, "C = {cost}: {seen}");
        assert!((-fitted.objective / objective - 1.0).abs() < 1e-4, "{}", fitted.objective);
    }
}

#[test]
fn bad_input_has_defined_results_and_ends() {
    let digits = Shared::new();
    let rows: Vec<usize> = (0..20).chain(0..20).collect();
    let features = digits.items.features.select(ndarray::Axis(0), &rows);
    let labels: Vec<usize> = rows.iter().map(|row| digits.items.labels[*row]).collect();
    let all: Vec<usize> = (0..40).collect();
    for kernel in [Kernel::Linear, digits.rbf()] {
        let gram = Gram::new(&features.view(), kernel, 1);
        for among in [Among::Pairs, Among::Rest] {
            let fitted = ClassifierPath::new(&gram, &all, &labels, &ONES, among, 1).fit(1e9);
            assert_eq!(correct(&fitted.scores_within(&gram, &all), &labels), 40);
            let alike = ClassifierPath::new(&gram, &all, &[4; 40], &ONES, among, 1).fit(1.0);
            assert_eq!(correct(&alike.scores_within(&gram, &all), &[4; 40]), 40);
            let few = ClassifierPath::new(&gram, &[0, 1], &[9, 3], &ONES, among, 1).fit(1.0);
            assert_eq!(correct(&few.scores_within(&gram, &[0, 1]), &[9, 3]), 2);
            let none = ClassifierPath::new(&gram, &[], &[], &ONES, among, 1).fit(1.0);
            assert_eq!(none.scores_within(&gram, &[]).dim(), (0, 10));
        }
    }
    // Opposite labels of equal items, and an enormous cost.
    let same = array![[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]];
    let gram = Gram::new(&same.view(), Kernel::Rbf { gamma: 1.0 }, 1);
    let coin = ClassifierPath::new(&gram, &[0, 1, 2], &[0, 1, 1], &[1.0; 2], Among::Pairs, 1);
    let coin = { coin }.fit(1e9);
    assert!(coin.scores_within(&gram, &[0, 1, 2]).iter().all(|score| score.is_finite()));
}

#[test]
fn a_cap_that_is_hit_is_told() {
    let digits = Shared::new();
    let gram = digits.gram(digits.rbf());
    let settings = Settings { most_steps: 3, ..Settings::default() };
    assert_eq!(digits.path(&gram, &ONES, 1).settings(settings).fit(1.0).stop(), Stop::Cap);
}
