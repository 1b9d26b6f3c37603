//! Known answers on scikit-learn's digits: the first 1,000 rows train, the last 797 test.

use ndarray::Array2;

use super::testing::Items;
use super::*;

struct Task {
    features: Array2<f64>,
    labels: Vec<usize>,
}

impl Task {
    fn new() -> Self {
        let Items { features, labels } = Items::digits();
        Self { features, labels }
    }

    fn part(&self, rows: std::ops::Range<usize>) -> Labelled<'_> {
        Labelled {
            features: self.features.slice(ndarray::s![rows.clone(), ..]),
            labels: &self.labels[rows],
            classes: 10,
        }
    }
}

fn correct(classifier: &impl Classifier, test: &Labelled<'_>) -> usize {
    let scores = classifier.scores(test.features);
    let right = |(row, &label): (ndarray::ArrayView1<'_, f64>, &usize)| {
        let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
        best == label
    };
    scores.rows().into_iter().zip(test.labels).filter(|(r, l)| right((r.view(), l))).count()
}

#[test]
fn logistic_regression_gives_scikit_learns_counts_and_losses() {
    let task = Task::new();
    let (train, test) = (task.part(0..1000), task.part(1000..1797));
    let mut before = None;
    // C, correct of 797, log-loss.
    let known = [
        (0.01, 704, 1.299_308),
        (0.1, 732, 0.507_304),
        (1.0, 743, 0.283_388),
        (10.0, 745, 0.274_853),
    ];
    for (cost, count, loss) in known {
        let fitted = Logistic::fit(&train, cost, before.as_ref()).unwrap();
        assert!(correct(&fitted, &test).abs_diff(count) <= 1, "C = {cost}");
        let scores = fitted.scores(test.features);
        let rows = scores.rows().into_iter().zip(test.labels);
        let seen = -rows.map(|(row, &label)| row[label]).sum::<f64>() / 797.0;
        assert!((seen - loss).abs() < 2e-4, "C = {cost}: {seen}");
        before = Some(fitted);
    }
}

#[test]
fn standardised_logistic_regression_gives_scikit_learns_accuracy() {
    let task = Task::new();
    let scaler = Scaler::fit(&Normalise::Standard, &task.part(0..1000).features);
    let task = Task { features: scaler.apply(task.features), labels: task.labels };
    let fitted = Logistic::fit(&task.part(0..1000), 1.0, None).unwrap();
    // .93350 of 797 is 744.
    assert!(correct(&fitted, &task.part(1000..1797)).abs_diff(744) <= 1);
}

#[test]
fn an_rbf_machine_gives_the_known_accuracy() {
    let task = Task::new();
    let kernel = Kernel::Rbf(crate::base::language::defaults());
    let fitted = Svm::fit(&task.part(0..1000), &[10.0; 10], &kernel).unwrap();
    // scikit-learn's one-against-one machines: .96487 of 797 is 769; one against the rest may
    // differ by a few items.
    let right = correct(&fitted, &task.part(1000..1797));
    assert!((763..=775).contains(&right), "{right}");
}

#[test]
fn the_best_strength_is_chosen_on_val_and_an_edge_is_told() {
    let task = Task::new();
    let (train, val) = (task.part(0..400), task.part(400..700));
    let fit =
        |data: &Labelled<'_>, cost, before: Option<&Logistic>| Logistic::fit(data, cost, before);
    let listed = |values: &[f64]| {
        Grid::Listed(values.iter().map(|value| Cost::new(*value).unwrap()).collect())
    };
    let chosen = select(&listed(&[1e-3, 1.0, 1e3]), &train, &val, fit, &|| false).unwrap();
    assert!((chosen.choice.cost - 1.0).abs() < 1e-12 && !chosen.choice.at_edge);
    let low = select(&listed(&[1e-4, 1e-3]), &train, &val, fit, &|| false).unwrap();
    assert!((low.choice.cost - 1e-3).abs() < 1e-12 && low.choice.at_edge);
}

#[test]
fn bad_features_are_told_and_never_hang() {
    let mut task = Task::new();
    task.features[[3, 5]] = f64::NAN;
    let told = Logistic::fit(&task.part(0..10), 1.0, None).unwrap_err();
    assert_eq!(told, ProbeError::NotFinite { row: 3, column: 5, value: "NaN".into() });
    let task = Task::new();
    let alike = Labelled { labels: &[1; 10], ..task.part(0..10) };
    assert_eq!(Logistic::fit(&alike, 1.0, None).unwrap_err(), ProbeError::OneClass(10));
    // Separable, duplicated rows, an enormous C: defined results.
    let few = task.part(0..20);
    let fitted = Logistic::fit(&few, 1e9, None);
    assert!(fitted.is_err() || fitted.is_ok_and(|f| f.scores(few.features)[[0, 0]].is_finite()));
}
