//! Splits, drawn and given.

use crate::base::language::defaults;

use super::super::dataset::{Item, ReadError, Source};
use super::super::pixels::Pixels;
use super::*;

struct Nothing;

impl Source for Nothing {
    fn pixels(&self, _: usize) -> Result<Pixels, ReadError> {
        unreachable!("splitting looks at no pixels")
    }

    fn digest(&self, _: usize) -> Result<Digest, ReadError> {
        Ok(Digest::of(b""))
    }
}

/// 300 items, a third of class 1; groups of two neighbours if asked for.
fn dataset(grouped: bool, part: impl Fn(usize) -> Option<Part>) -> Dataset {
    let item = |row: usize| Item {
        id: format!("{row:03}"),
        label: usize::from(row % 6 < 2),
        values: vec![],
        group: grouped.then(|| format!("p{}", row / 2)),
        part: part(row),
        row,
        cells: vec![],
    };
    let classes = vec!["a".to_owned(), "b".to_owned()];
    Dataset::new(classes, (0..300).map(item).collect(), Box::new(Nothing))
}

fn thirds() -> SplitRule {
    SplitRule {
        train: Some(Amount::Fraction(Fraction::new(0.6).unwrap())),
        val: Some(Amount::Fraction(Fraction::new(0.2).unwrap())),
        test: Some(Amount::Fraction(Fraction::new(0.2).unwrap())),
        ..defaults()
    }
}

fn sizes(split: &Split) -> [usize; 3] {
    [split.train.len(), split.val.len(), split.test.len()]
}

#[test]
fn fractions_are_drawn_in_proportion_of_classes() {
    let dataset = dataset(false, |_| None);
    let split = thirds().draw(&dataset, Seed(0)).unwrap();
    assert_eq!(sizes(&split), [180, 60, 60]);
    for part in [Part::Train, Part::Val, Part::Test] {
        let items = split.part(part);
        let ones = items.iter().filter(|&&i| dataset.items()[i].label == 1).count();
        assert_eq!(ones * 3, items.len(), "{part:?}");
    }
}

#[test]
fn where_nothing_is_in_proportion_labels_decide_nothing() {
    let of_labels = |ones: usize| {
        let dataset = dataset(false, |_| None);
        let mut items = dataset.items().to_vec();
        for item in &mut items {
            item.label = usize::from(item.row < ones);
        }
        Dataset::new(dataset.classes().to_vec(), items, Box::new(Nothing))
    };
    let count = |count| Some(Amount::Count(Count(count)));
    let rule = |stratify| SplitRule {
        train: count(90),
        val: count(60),
        test: count(60),
        stratify,
        ..defaults()
    };
    let drawn = |stratify, ones| rule(stratify).draw(&of_labels(ones), Seed(0)).unwrap();
    assert_eq!(drawn(false, 100).train.len(), 90);
    assert_eq!(drawn(false, 100), drawn(false, 200));
    assert_ne!(drawn(true, 100), drawn(true, 200));
}

#[test]
fn the_test_part_is_the_same_for_every_seed_and_the_rest_is_not() {
    let dataset = dataset(false, |_| None);
    let [first, second] = [0, 1].map(|seed| thirds().draw(&dataset, Seed(seed)).unwrap());
    assert_eq!(first.test, second.test);
    assert_ne!(first.val, second.val);
    assert!(first.is_drawn);
}

#[test]
fn groups_stay_together() {
    let dataset = dataset(true, |_| None);
    let split = thirds().draw(&dataset, Seed(3)).unwrap();
    let groups = dataset.groups();
    let side = |part: Part| -> BTreeSet<usize> {
        split.part(part).iter().map(|&index| groups[index]).collect()
    };
    assert!(side(Part::Train).is_disjoint(&side(Part::Test)));
    assert!(side(Part::Train).is_disjoint(&side(Part::Val)));
    assert!(side(Part::Val).is_disjoint(&side(Part::Test)));
    assert_eq!(sizes(&split).iter().sum::<usize>(), 300);
}

#[test]
fn a_tiny_given_val_is_drawn_anew_and_the_split_says_so() {
    let given = |row: usize| match row {
        0..200 => Part::Train,
        200..216 => Part::Val,
        _ => Part::Test,
    };
    let rule = SplitRule { given: Some(Given::Folders), ..defaults() };
    let split = rule.draw(&dataset(false, |row| Some(given(row))), Seed(0)).unwrap();
    assert_eq!(sizes(&split), [184, 32, 84]);
    assert_eq!(split.notes.len(), 2, "{:?}", split.notes);
}

#[test]
fn a_group_on_two_sides_is_an_error_or_dropped() {
    let crossing = |row: usize| Some(if row % 4 == 1 { Part::Test } else { Part::Train });
    let dataset = dataset(true, crossing);
    let rule = SplitRule { given: Some(Given::Folders), ..defaults() };
    let told = rule.draw(&dataset, Seed(0)).unwrap_err();
    assert!(told.message.starts_with("75 groups stand both in test"), "{told}");
    let dropping = SplitRule { on_group_cross: OnGroupCross::DropFromTrain, ..rule };
    let split = dropping.draw(&dataset, Seed(0)).unwrap();
    assert_eq!(sizes(&split).iter().sum::<usize>(), 225);
    assert!(split.notes[0].contains("75 items of 75 groups"), "{:?}", split.notes);
}

#[test]
fn a_group_that_chooses_is_not_trained_on() {
    let crossing = |row: usize| match row {
        240.. => Part::Test,
        _ if row % 4 == 1 => Part::Val,
        _ => Part::Train,
    };
    let dataset = dataset(true, |row| Some(crossing(row)));
    let given = SplitRule { given: Some(Given::Folders), ..defaults() };
    let told = given.draw(&dataset, Seed(0)).unwrap_err();
    assert!(told.message.starts_with("60 groups stand both in val and in train"), "{told}");
    let dropping = SplitRule { on_group_cross: OnGroupCross::DropFromTrain, ..given };
    let split = dropping.draw(&dataset, Seed(0)).unwrap();
    assert_eq!(sizes(&split)[1..], [60, 60]);
    let rows = |start, end| Some(Amount::Rows(Range { start, end }));
    let by_rows = SplitRule { val: rows(0, 101), test: rows(200, 300), ..defaults() };
    let told = by_rows.draw(&dataset, Seed(0)).unwrap_err();
    assert!(told.message.starts_with("1 groups stand both in val and in train"), "{told}");
}

#[test]
fn rows_fix_the_parts() {
    let rows = |start, end| Some(Amount::Rows(Range { start, end }));
    let rule = SplitRule { train: rows(100, 200), test: rows(200, 300), ..defaults() };
    let split = rule.draw(&dataset(false, |_| None), Seed(0)).unwrap();
    assert_eq!(sizes(&split), [85, 15, 100]);
    assert!(split.train.iter().all(|index| (100..200).contains(index)));
}

#[test]
fn subsets_of_one_seed_are_nested() {
    let dataset = dataset(false, |_| None);
    let everyone: Vec<usize> = (0..300).collect();
    let labels = dataset.labels();
    let draw = |count| -> BTreeSet<usize> {
        subset(&everyone, &labels, count, Seed(4)).unwrap().into_iter().collect()
    };
    for count in 2..60 {
        assert!(draw(count).is_subset(&draw(count + 1)), "{count}");
    }
}

#[test]
fn subsets_are_nested_within_every_seed_whatever_their_strata_and_differ_between_seeds() {
    let everyone: Vec<usize> = (0..300).collect();
    let uneven: Vec<usize> = everyone.iter().map(|row| usize::from(row % 30 == 7)).collect();
    let tenths: Vec<usize> = everyone.iter().map(|row| row / 30).collect();
    let sizes = [12, 25, 50, 100, 200, 300];
    for strata in [dataset(false, |_| None).labels(), uneven, tenths] {
        let draw = |count, seed| -> BTreeSet<usize> {
            subset(&everyone, &strata, count, Seed(seed)).unwrap().into_iter().collect()
        };
        for seed in 0..5 {
            for pair in sizes.windows(2) {
                assert!(draw(pair[0], seed).is_subset(&draw(pair[1], seed)), "{pair:?}");
            }
            assert_ne!(draw(50, seed), draw(50, seed + 1));
        }
    }
}

#[test]
fn a_class_without_training_items_is_an_error() {
    let rows = |start, end| Some(Amount::Rows(Range { start, end }));
    let sorted = Dataset::new(
        vec!["a".into(), "b".into()],
        (0..300)
            .map(|row| Item {
                id: row.to_string(),
                label: usize::from(row >= 200),
                values: vec![],
                group: None,
                part: None,
                row,
                cells: vec![],
            })
            .collect(),
        Box::new(Nothing),
    );
    let rule = SplitRule { train: rows(0, 200), test: rows(200, 300), ..defaults() };
    let told = rule.draw(&sorted, Seed(0)).unwrap_err();
    assert!(told.message.contains("class `b`"), "{told}");
}

/// 300 items in groups of three with two labels: every second item has the first, every thirtieth the
/// second. Or numbers: their row.
fn columns(target: Target) -> Dataset {
    let is = |is: bool| Some(f64::from(u8::from(is)));
    let item = |row: usize| Item {
        id: format!("{row:03}"),
        label: 0,
        values: match target {
            Target::Labels => vec![is(row.is_multiple_of(2)), is(row % 30 == 7)],
            _ => vec![Some(row as f64)],
        },
        group: Some(format!("p{}", row / 3)),
        part: None,
        row,
        cells: vec![],
    };
    let names = if target == Target::Labels { vec!["often", "rare"] } else { vec!["row"] };
    let names = names.into_iter().map(str::to_owned).collect();
    Dataset::new(names, (0..300).map(item).collect(), Box::new(Nothing)).with_target(target)
}

#[test]
fn a_rare_label_is_spread_in_proportion_and_groups_stay_together() {
    let dataset = columns(Target::Labels);
    for seed in 0..5 {
        let split = thirds().draw(&dataset, Seed(seed)).unwrap();
        let rare = |items: &[usize]| {
            items.iter().filter(|&&i| dataset.items()[i].values[1] == Some(1.0)).count()
        };
        assert_eq!([&split.train, &split.val, &split.test].map(|part| rare(part)), [6, 2, 2]);
        let groups = dataset.groups();
        let of = |items: &[usize]| items.iter().map(|&i| groups[i]).collect::<BTreeSet<_>>();
        let [train, val, test] = [&split.train, &split.val, &split.test].map(|part| of(part));
        assert!(train.is_disjoint(&val) && train.is_disjoint(&test) && val.is_disjoint(&test));
    }
}

#[test]
fn numbers_are_spread_by_tenths_of_their_rank() {
    let dataset = columns(Target::Values);
    let split = thirds().draw(&dataset, Seed(1)).unwrap();
    for tenth in 0..10 {
        let within = split.test.iter().filter(|row| **row / 30 == tenth).count();
        assert_eq!(within, 6, "groups of three of thirty, a fifth of which is tested");
    }
}

#[test]
fn a_label_that_nobody_has_in_train_is_noted_and_one_that_all_have_alone_is_refused() {
    let rows = |start, end| Some(Amount::Rows(Range { start, end }));
    let rule = SplitRule { train: rows(9, 36), test: rows(36, 300), ..defaults() };
    let split = rule.draw(&columns(Target::Labels), Seed(0)).unwrap();
    assert!(
        split.notes.contains(
            &"`rare` has no training item with it, so nothing is learnt of it".to_owned()
        ),
        "{:?}",
        split.notes
    );
    let told = unlearnable(&columns(Target::Values), &[5]);
    assert_eq!(told.as_deref(), Some("`row` is 5 for every training item, so it cannot be learnt"));
    let told = unlearnable(&columns(Target::Labels), &[5]);
    assert!(told.is_some_and(|told| told.contains("none can be learnt")));
}
