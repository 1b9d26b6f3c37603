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
fn a_class_without_training_items_is_an_error() {
    let rows = |start, end| Some(Amount::Rows(Range { start, end }));
    let sorted = Dataset::new(
        vec!["a".into(), "b".into()],
        (0..300)
            .map(|row| Item {
                id: row.to_string(),
                label: usize::from(row >= 200),
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
