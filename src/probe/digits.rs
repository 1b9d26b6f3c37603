//! Known answers on scikit-learn's digits: the first 1,000 rows train, the last 797 test.

use linfa::traits::{Fit as _, Predict as _};
use ndarray::{Array2, Axis};

use super::linear_svm::{Settings as SvmSettings, SvmPath, Targets as Sides};
use super::testing::Digits;
use super::*;

fn pool() -> Pool {
    let Digits { features, labels } = Digits::read();
    Pool { features, targets: Targets::Classes { labels, classes: 10 }, train: 1000, threads: 1 }
}

fn rows(range: std::ops::Range<usize>) -> Vec<usize> {
    range.collect()
}

fn labels(pool: &Pool, rows: &[usize]) -> Vec<usize> {
    match pool.targets.of(rows) {
        Targets::Classes { labels, .. } => labels,
        _ => unreachable!("digits have classes"),
    }
}

/// How many of some items are predicted right.
fn right(scores: &Array2<f64>, labels: &[usize]) -> usize {
    let best = |row: ndarray::ArrayView1<'_, f64>| {
        row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0
    };
    scores.axis_iter(Axis(0)).zip(labels).filter(|(row, label)| best(*row) == **label).count()
}

/// Fits the first thousand at each value in turn; what is then said of the last 797.
fn along(family: &dyn Family, pool: &Pool, values: &[f64]) -> Vec<(usize, Array2<f64>)> {
    let prepared = family.prepare(pool).unwrap();
    let mut path = prepared.path(&rows(0..1000)).unwrap();
    let test = rows(1000..1797);
    let known = labels(pool, &test);
    let fit = |&value: &f64| {
        path.fit(value).unwrap();
        let scores = path.scores(&test);
        let apart = &scores - &path.fitted().scores(pool.rows(&test).view());
        assert!(apart.iter().all(|difference| difference.is_nan() || difference.abs() < 1e-3));
        (right(&scores, &known), scores)
    };
    values.iter().map(fit).collect()
}

#[test]
fn standardised_logistic_regression_gives_scikit_learns_accuracy() {
    let pool = pool();
    let scaler = Scaler::fit(&Normalise::Standard, &pool.rows(&rows(0..1000)).view());
    let pool = Pool { features: scaler.apply(pool.features), ..pool };
    // .93350 of 797.
    assert_eq!(along(&Logistic::default(), &pool, &[1.0])[0].0, 744);
}

#[test]
fn an_rbf_machine_gives_the_known_accuracies() {
    let kernel = KernelShape::Rbf { factor: 1.0 };
    let family = KernelSvm { kernel, weights: None, epsilon: 0.1 };
    // .95985 and .96487 of 797 by votes; of classes with as many votes ours takes the nearer one.
    let found = along(&family, &pool(), &[1.0, 10.0]);
    assert_eq!(found.iter().map(|(right, _)| *right).collect::<Vec<_>>(), [765, 770]);
}

fn held(fit: std::ops::Range<usize>, held: std::ops::Range<usize>) -> Plan {
    let (fit, held) = (rows(fit), rows(held));
    let last = fit.clone();
    let rounds = vec![Round::Held { fit, held }];
    Plan { rounds, last, criterion: Criterion::Auto, per_column: false }
}

fn chosen(values: &dyn Values, plan: &Plan) -> Selected {
    select(&Logistic::default(), values, &pool(), plan, &|| false).unwrap()
}

#[test]
fn the_best_strength_is_chosen_on_items_held_out_and_an_edge_is_told() {
    let plan = held(0..400, 400..700);
    let choice = chosen(&vec![1e-3, 1.0, 1e3], &plan).choice.unwrap();
    assert!((choice.value - 1.0).abs() < 1e-12 && !choice.at_edge);
    let low = chosen(&vec![1e-4, 1e-3], &plan).choice.unwrap();
    assert!((low.value - 1e-3).abs() < 1e-12 && low.at_edge);
}

#[test]
fn the_fit_that_is_kept_is_that_of_the_chosen_value_on_the_last_items() {
    let pool = pool();
    let plan = held(0..400, 400..700);
    let kept = chosen(&vec![0.1, 1.0, 10.0], &plan);
    let value = kept.choice.unwrap().value;
    let family = Logistic::default();
    let anew = |rows: &[usize]| {
        let features = pool.rows(rows);
        let examples = Examples::new(Features(features.view()), pool.targets.of(rows));
        let fitted = At { family: &family, value, threads: 1 }.fit(&examples).unwrap();
        fitted.predict(Features(pool.features.view()))
    };
    let close = |a: &Array2<f64>, b: &Array2<f64>| (a - b).iter().all(|d| d.abs() < 1e-2);
    assert!(close(&kept.fitted.scores(pool.features.view()), &anew(&rows(0..400))));
    let both = Plan { last: rows(0..700), ..plan };
    let refitted = chosen(&vec![0.1, 1.0, 10.0], &both);
    assert!(close(&refitted.fitted.scores(pool.features.view()), &anew(&rows(0..700))));
}

#[test]
fn folds_judge_every_item_once_by_a_fit_without_it() {
    let fold = |k: usize| (0..300).filter(|row| row % 3 == k).collect::<Vec<_>>();
    let round = |k: usize| Round::Held {
        fit: (0..300).filter(|row| row % 3 != k).collect(),
        held: fold(k),
    };
    let rounds = (0..3).map(round).collect();
    let plan = Plan { rounds, last: rows(0..300), criterion: Criterion::Error, per_column: false };
    let selected = chosen(&vec![0.1, 10.0], &plan);
    assert_eq!(selected.held, [fold(0), fold(1), fold(2)].concat());
    assert_eq!(selected.held_scores.dim(), (300, 10));
    let wrong = 300 - right(&selected.held_scores, &labels(&pool(), &selected.held));
    let seen = selected.choice.unwrap().seen;
    assert!((wrong as f64 / 300.0 - seen).abs() < 1e-12, "{wrong} of 300, but {seen}");
}

#[test]
fn each_class_may_have_a_strength_of_its_own() {
    let pool = pool();
    let family = LinearSvm { loss: Loss::Squared, weights: None, positive: 1.0 };
    let plan =
        Plan { criterion: Criterion::AveragePrecision, per_column: true, ..held(0..150, 150..300) };
    let values = vec![1e-3, 1e-1, 10.0];
    let selected = select(&family, &values, &pool, &plan, &|| false).unwrap();
    let own = selected.choice.unwrap().by_column.unwrap();
    assert_eq!(own.len(), 10);
    assert!(own.iter().any(|value| value.total_cmp(&own[0]).is_ne()), "{own:?}");
    let scores = selected.fitted.scores(pool.features.view());
    let prepared = family.prepare(&pool).unwrap();
    for (class, &value) in own.iter().enumerate() {
        let mut path = prepared.path(&rows(0..150)).unwrap();
        path.fit(value).unwrap();
        let alone = path.scores(&rows(0..1797));
        let apart = &scores.column(class) - &alone.column(class);
        assert!(apart.iter().all(|d| d.abs() < 1e-2), "class {class}");
    }
}

#[test]
fn a_class_may_weigh_more_than_the_rest() {
    let (pool, own) = (pool(), rows(0..150));
    let family = LinearSvm { loss: Loss::Squared, weights: None, positive: 2.0 };
    let prepared = family.prepare(&pool).unwrap();
    let mut path = prepared.path(&own).unwrap();
    path.fit(1.0).unwrap();
    let features = pool.rows(&own);
    let labels = labels(&pool, &own);
    let sides = Sides::Classes { labels: &labels, classes: 10 };
    let settings = SvmSettings { weights: (2.0, 1.0), ..SvmSettings::default() };
    let mut twice = SvmPath::new(&features.view(), &sides, settings, pool.threads);
    assert_eq!(path.scores(&own), twice.fit(1.0).scores(&features.view()));
}

#[test]
fn bad_features_are_told_and_never_hang() {
    let mut bad = pool();
    bad.features[[3, 5]] = f64::NAN;
    let plan = held(0..10, 10..20);
    let told = |pool: &Pool| {
        select(&Logistic::default(), &vec![1.0], pool, &plan, &|| false).err().unwrap()
    };
    assert_eq!(told(&bad), Unfit::NotFinite { row: 3, column: 5, value: "NaN".into() }.into());
    let alike = Targets::Classes { labels: vec![1; 1797], classes: 10 };
    assert_eq!(told(&Pool { targets: alike, ..pool() }), Unfit::OneClass(10).into());
    // Separable, few items, an enormous C: defined results.
    let few = select(&Logistic::default(), &vec![1e9], &pool(), &held(0..20, 20..40), &|| false);
    let finite = |selected: Selected| selected.held_scores.iter().all(|score| !score.is_nan());
    assert!(few.is_err() || few.is_ok_and(finite));
}
