//! What holds for every score: a new one is tested before its author writes a test.

use std::collections::BTreeSet;

use ndarray::{Array2, Axis, concatenate, s};

use super::testing::clusters;
use super::{Change, Items, Needs, Number, Refusal, SCORES, Score, score};
use crate::base::{Seed, Target};

/// Items with all that any score needs.
#[derive(Clone)]
struct Study {
    features: Array2<f64>,
    labels: Vec<usize>,
    source: Array2<f64>,
    other: Array2<f64>,
}

impl Study {
    fn new(items: usize, features: usize) -> Self {
        let (values, labels) = clusters((items, features, 4), 1.0, 11);
        let (other, _) = clusters((150, features, 3), 1.5, 12);
        let mut stream = Seed(13).stream("test", "source");
        let mut source = Array2::from_shape_simple_fn((items, 5), || stream.uniform() + 0.01);
        for (mut row, &label) in source.rows_mut().into_iter().zip(&labels) {
            row[label] += 1.0;
            row /= row.sum();
        }
        Self { features: values, labels, source, other }
    }

    fn numbers(&self, score: &dyn Score, threads: usize) -> Result<Vec<Number>, Refusal> {
        let items = Items::new(self.features.view(), &self.labels)?;
        let items = items.with_source(self.source.view())?.with_other(self.other.view())?;
        score.numbers(&items.with_seed(Seed(1)).on_threads(threads))
    }

    fn changed(&self, change: Change) -> Self {
        let features = self.features.ncols();
        let all = |table: &Array2<f64>| match change {
            Change::Scale => table * 3.0,
            Change::Shift => table + &Array2::from_shape_fn((1, features), |(_, j)| j as f64 - 2.0),
            Change::Rotation => table.dot(&rotation(features)),
        };
        Self { features: all(&self.features), other: all(&self.other), ..self.clone() }
    }
}

/// An orthogonal matrix: a product of reflections.
fn rotation(size: usize) -> Array2<f64> {
    let mut stream = Seed(14).stream("test", "rotation");
    (0..3).fold(Array2::eye(size), |turned, _| {
        let v = Array2::from_shape_simple_fn((size, 1), || stream.normal());
        let square = (&v * &v).sum();
        turned.dot(&(Array2::eye(size) - v.dot(&v.t()) * (2.0 / square)))
    })
}

fn assert_same(name: &str, what: &str, before: &[Number], after: &[Number]) {
    for (before, after) in before.iter().zip(after) {
        let far = (before.value - after.value).abs();
        let tolerance = 1e-4 * before.value.abs().max(1.0);
        assert!(far <= tolerance, "{name} and {what}: {before:?}, {after:?}");
    }
    assert_eq!(before.len(), after.len(), "{name} and {what}");
}

#[test]
fn every_score_has_a_name_of_its_own_and_says_what_it_is() {
    let study = Study::new(120, 12);
    let mut names = BTreeSet::new();
    for known in SCORES {
        assert!(known.description().len() > 30, "{}", known.name());
        let found = score(known.name()).expect("a listed score is found by its name");
        assert_eq!(found.name(), known.name());
        let numbers = study.numbers(*known, 1).unwrap();
        assert_eq!(numbers[0].name.split("_1").next(), known.name().split("_1").next());
        for number in numbers {
            assert!(names.insert(number.name), "two numbers are called {}", number.name);
        }
    }
    assert!(score("entropy").is_none());
}

#[test]
fn every_number_is_finite_and_the_same_on_any_number_of_threads() {
    for (items, features) in [(120, 12), (40, 70), (30, 5)] {
        let study = Study::new(items, features);
        for score in SCORES {
            let alone = study.numbers(*score, 1).unwrap();
            for number in &alone {
                assert!(number.value.is_finite(), "{number:?}");
                let others = [number.deviation, number.p, number.null];
                assert!(others.iter().flatten().all(|value| value.is_finite()), "{number:?}");
            }
            for threads in [0, 2, 5] {
                assert_eq!(alone, study.numbers(*score, threads).unwrap(), "{}", score.name());
            }
        }
    }
}

#[test]
fn every_score_stays_what_it_is_under_the_changes_it_names() {
    for (items, features) in [(120, 12), (60, 70)] {
        let study = Study::new(items, features);
        for score in SCORES {
            let before = study.numbers(*score, 1).unwrap();
            for &change in score.unchanged_by() {
                let after = study.changed(change).numbers(*score, 1).unwrap();
                assert_same(score.name(), &format!("{change:?}"), &before, &after);
            }
        }
    }
}

#[test]
fn classes_may_be_called_by_any_numbers_and_some_may_be_absent() {
    let study = Study::new(120, 12);
    let renamed = [7, 2, 30, 4];
    let labels = study.labels.iter().map(|&label| renamed[label]).collect();
    let other = Study { labels, ..study.clone() };
    for score in SCORES {
        let [before, after] = [&study, &other].map(|study| study.numbers(*score, 1).unwrap());
        assert_same(score.name(), "renamed classes", &before, &after);
    }
}

#[test]
fn the_order_of_items_does_not_matter_where_all_are_looked_at() {
    let study = Study::new(120, 12);
    let order: Vec<usize> = (0..120).map(|item| (item * 7) % 120).collect();
    let reordered = Study {
        features: study.features.select(Axis(0), &order),
        source: study.source.select(Axis(0), &order),
        labels: order.iter().map(|&item| study.labels[item]).collect(),
        other: study.other.clone(),
    };
    for score in SCORES {
        // These draw items by their position.
        if score.needs() == Needs::Other || score.name() == "n_leep" {
            continue;
        }
        let [before, after] = [&study, &reordered].map(|study| study.numbers(*score, 1).unwrap());
        assert_same(score.name(), "another order", &before, &after);
    }
}

#[test]
fn constant_columns_break_nothing() {
    let mut study = Study::new(120, 12);
    study.features.slice_mut(s![.., ..3]).fill(0.3);
    study.other.slice_mut(s![.., ..3]).fill(0.3);
    for score in SCORES {
        let numbers = study.numbers(*score, 1).unwrap();
        assert!(numbers.iter().all(|number| number.value.is_finite()), "{}", score.name());
    }
}

#[test]
fn items_that_are_all_the_same_have_a_score_or_a_refusal() {
    let mut study = Study::new(60, 6);
    study.features.fill(0.1);
    study.other.fill(0.1);
    for score in SCORES {
        match study.numbers(*score, 1) {
            Ok(numbers) => assert!(numbers.iter().all(|n| n.value.is_finite()), "{numbers:?}"),
            Err(refusal) => assert!(
                matches!(refusal, Refusal::Same | Refusal::NoValue(_) | Refusal::TooFew { .. }),
                "{}: {refusal}",
                score.name()
            ),
        }
    }
}

#[test]
fn one_class_only_is_refused_by_all_that_look_at_labels() {
    let study = Study { labels: vec![3; 60], ..Study::new(60, 6) };
    for score in SCORES {
        let found = study.numbers(*score, 1);
        if score.needs() == Needs::Other {
            assert!(found.is_ok(), "{}", score.name());
        } else {
            assert_eq!(found, Err(Refusal::OneClass(60)), "{}", score.name());
        }
    }
}

#[test]
fn what_is_missing_is_named() {
    let study = Study::new(60, 6);
    let items = Items::new(study.features.view(), &study.labels).unwrap();
    for score in SCORES {
        let found = score.numbers(&items);
        match score.needs() {
            Needs::Features => assert!(found.is_ok(), "{}", score.name()),
            Needs::Source | Needs::Other => {
                assert!(matches!(found, Err(Refusal::Missing(_))), "{}", score.name());
            }
        }
    }
}

#[test]
fn huge_and_tiny_features_have_a_score_or_a_refusal() {
    for size in [1e-200, 1e-20, 1e20, 1e200] {
        let mut study = Study::new(60, 6);
        study.features *= size;
        study.other *= size;
        for score in SCORES {
            if let Ok(numbers) = study.numbers(*score, 1) {
                let all = numbers.iter().all(|number| number.value.is_finite());
                assert!(all, "{} at {size}: {numbers:?}", score.name());
            }
        }
    }
}

#[test]
fn very_few_items_have_a_score_or_a_refusal() {
    for items in 0..8 {
        let study = Study::new(items, 5);
        for score in SCORES {
            if let Ok(numbers) = study.numbers(*score, 1) {
                let all = numbers.iter().all(|number| number.value.is_finite());
                assert!(all, "{} of {items}: {numbers:?}", score.name());
            }
        }
    }
}

fn one_hot(labels: &[usize]) -> Array2<f64> {
    Array2::from_shape_fn((labels.len(), 4), |(item, c)| f64::from(u8::from(labels[item] == c)))
}

/// Scores that tell a target, with their numbers for these columns.
fn told(
    study: &Study,
    columns: &Array2<f64>,
    target: Target,
    threads: usize,
) -> Vec<(&'static str, Vec<Number>)> {
    let items = Items::of_columns(study.features.view(), columns.view(), target).unwrap();
    let items = items.with_other(study.other.view()).unwrap().on_threads(threads);
    let telling = SCORES.iter().filter(|score| score.tells().contains(&target));
    telling.map(|score| (score.name(), score.numbers(&items).unwrap())).collect()
}

#[test]
fn labels_that_are_classes_are_scored_as_classes() {
    let study = Study::new(120, 12);
    let classes = Items::new(study.features.view(), &study.labels).unwrap();
    let of_labels = told(&study, &one_hot(&study.labels), Target::Labels, 1);
    let names: Vec<&str> = of_labels.iter().map(|(name, _)| *name).collect();
    let distances = ["proxy_a", "mmd", "frechet", "coral", "sliced_wasserstein"];
    assert_eq!(names[..4], ["log_me", "parc", "neighbours", "cka"]);
    assert_eq!(names[4..], distances);
    for (name, numbers) in
        of_labels.iter().filter(|(name, _)| ["log_me", "parc", "cka"].contains(name))
    {
        assert_same(name, "labels", &score(name).unwrap().numbers(&classes).unwrap(), numbers);
    }
}

#[test]
fn numbers_are_scored_alike_in_any_unit_and_on_any_number_of_threads() {
    let study = Study::new(120, 12);
    let mut stream = Seed(15).stream("test", "weights");
    let weights = Array2::from_shape_simple_fn((12, 2), || stream.normal());
    let values = study.features.dot(&weights);
    let other_unit = values.mapv(|value| 40.0 * value - 7.0);
    let before = told(&study, &values, Target::Values, 1);
    for ((name, before), (_, after)) in
        before.iter().zip(told(&study, &other_unit, Target::Values, 3))
    {
        assert_same(name, "another unit", before, &after);
        assert!(before.iter().all(|number| number.value.is_finite()), "{before:?}");
    }
    let noise = Array2::from_shape_simple_fn((120, 2), || stream.normal());
    let of_noise = told(&study, &noise, Target::Values, 1);
    for name in ["log_me", "neighbours", "cka"] {
        let first = |all: &[(&str, Vec<Number>)]| {
            let numbers = &all.iter().find(|(known, _)| *known == name).unwrap().1;
            numbers[numbers.len().min(2) - 1].value
        };
        assert!(first(&before) > first(&of_noise) + 0.1, "{name}");
    }
}

#[test]
fn labels_and_numbers_that_do_not_differ_are_refused() {
    let study = Study::new(30, 6);
    let columns = Array2::from_elem((30, 2), 0.3);
    let items = Items::of_columns(study.features.view(), columns.view(), Target::Values).unwrap();
    for name in ["log_me", "neighbours", "cka"] {
        let found = score(name).unwrap().numbers(&items);
        assert_eq!(found, Err(Refusal::NothingDiffers), "{name}");
    }
    for name in ["sfda", "gbc", "h_score", "trans_rate", "n_leep", "parc"] {
        let found = score(name).unwrap().numbers(&items);
        assert!(matches!(found, Err(Refusal::NotOfClasses(_))), "{name}: {found:?}");
    }
    assert!(
        Items::of_columns(study.features.view(), columns.slice(s![..4, ..]), Target::Values)
            .is_err()
    );
}

#[test]
fn a_distance_is_larger_than_its_null_for_another_domain_and_like_it_for_the_same() {
    let (features, labels) = clusters((200, 10, 4), 1.0, 21);
    let (same, _) = clusters((1000, 10, 4), 1.0, 21);
    let moved = &same * 1.5 + 2.0;
    // The same means of classes: the same domain.
    for score in SCORES.iter().filter(|score| score.needs() == Needs::Other) {
        let number = |other: &Array2<f64>| {
            let items = Items::new(features.view(), &labels).unwrap();
            score.numbers(&items.with_other(other.view()).unwrap()).unwrap().remove(0)
        };
        let (near, far) = (number(&same), number(&moved));
        let null = near.null.unwrap();
        assert!(far.value > 3.0 * far.null.unwrap().max(0.0), "{far:?}");
        assert!(near.value < 0.5 * far.value && null < 0.5 * far.value, "{near:?} {far:?}");
    }
}

#[test]
fn features_that_are_no_numbers_or_do_not_fit_are_refused() {
    let study = Study::new(60, 6);
    let mut broken = study.features.clone();
    broken[[3, 2]] = f64::NAN;
    let refusal = Items::new(broken.view(), &study.labels).unwrap_err();
    assert_eq!(refusal.to_string(), "features: value 2 of item 3 is NaN");
    assert!(Items::new(study.features.view(), &study.labels[1..]).is_err());
    let items = || Items::new(study.features.view(), &study.labels).unwrap();
    assert!(items().with_other(study.other.slice(s![.., ..4])).is_err());
    assert!(items().with_source(study.source.slice(s![..4, ..])).is_err());
    let unlikely = concatenate(Axis(1), &[study.source.view(), study.source.view()]).unwrap();
    assert!(items().with_source(unlikely.view()).is_err());
}
