use std::collections::BTreeSet;

use ndarray::array;

use super::*;

fn classes(labels: &[usize], groups: Option<&[usize]>, count: usize) -> Result<Folds, Unfit> {
    let classes = labels.iter().max().map_or(0, |most| most + 1);
    Folds::new(Strata::Classes { labels, classes }, groups, count, Seed(3))
}

/// How many items of a label each fold has.
fn counts(folds: &Folds, has: impl Fn(usize) -> bool) -> Vec<usize> {
    let count = |rows: &Vec<usize>| rows.iter().filter(|&&row| has(row)).count();
    folds.held().iter().map(count).collect()
}

fn spread(counts: &[usize]) -> usize {
    counts.iter().max().unwrap() - counts.iter().min().unwrap()
}

#[test]
fn each_class_is_in_each_fold_as_often_but_for_one() {
    let labels: Vec<usize> = (0..203).map(|row| [0, 0, 0, 1, 0, 2, 0][row % 7]).collect();
    for count in [2, 3, 5, 10] {
        let folds = classes(&labels, None, count).unwrap();
        for class in 0..3 {
            assert!(spread(&counts(&folds, |row| labels[row] == class)) <= 1);
        }
        assert!(spread(&counts(&folds, |_| true)) <= 1);
        assert!(folds.notes().is_empty());
        let (train, held) = folds.parts(0);
        assert_eq!(held, folds.held()[0]);
        let mut all = [train, held].concat();
        all.sort_unstable();
        assert_eq!(all, (0..203).collect::<Vec<_>>());
    }
}

#[test]
fn no_group_stands_in_two_folds_and_classes_stay_even() {
    let mut stream = Seed(1).stream("test", "groups");
    // 60 patients with 1 to 8 images each; a third are of class 1.
    let sizes: Vec<usize> = (0..60).map(|_| 1 + stream.below(8)).collect();
    let groups: Vec<usize> = (0..60).flat_map(|group| vec![group * 7; sizes[group]]).collect();
    let labels: Vec<usize> = groups.iter().map(|group| usize::from(group / 7 % 3 == 0)).collect();
    let folds = classes(&labels, Some(&groups), 5).unwrap();
    let pairs: BTreeSet<(usize, usize)> =
        groups.iter().copied().zip(folds.of().iter().copied()).collect();
    assert_eq!(pairs.len(), 60);
    for class in 0..2 {
        let counts = counts(&folds, |row| labels[row] == class);
        assert!(spread(&counts) <= 3, "class {class}: {counts:?}");
    }
    let sizes = counts(&folds, |_| true);
    assert!(spread(&sizes) <= 4, "{sizes:?}");
}

#[test]
fn labels_of_which_an_item_may_have_several_stay_even() {
    let mut stream = Seed(2).stream("test", "labels");
    let shares = [0.5, 0.2, 0.05, 0.02];
    let known = Array2::from_shape_fn((500, 4), |(_, label)| {
        f64::from(u8::from(stream.uniform() < shares[label]))
    });
    let folds = Folds::new(Strata::Labels(known.view()), None, 5, Seed(0)).unwrap();
    for label in 0..4 {
        let counts = counts(&folds, |row| known[[row, label]] > 0.5);
        assert!(spread(&counts) <= 2, "label {label}: {counts:?}");
    }
    let none = counts(&folds, |row| known.row(row).sum() < 0.5);
    assert!(spread(&none) <= 2, "{none:?}");
    let sizes = counts(&folds, |_| true);
    assert!(spread(&sizes) <= 5, "{sizes:?}");
}

#[test]
fn quantiles_of_numbers_stay_even() {
    let values = Array2::from_shape_fn((100, 1), |(row, _)| ((row * 37) % 100) as f64);
    let folds = Folds::new(Strata::Values(values.view()), None, 5, Seed(0)).unwrap();
    for tenth in 0..10 {
        let of_tenth = counts(&folds, |row| (values[[row, 0]] as usize) / 10 == tenth);
        assert_eq!(of_tenth, [2; 5]);
    }
    let alike = Array2::zeros((10, 2));
    let folds = Folds::new(Strata::Values(alike.view()), None, 3, Seed(0)).unwrap();
    assert!(spread(&counts(&folds, |_| true)) <= 1);
}

#[test]
fn the_same_seed_gives_the_same_folds_and_another_one_others() {
    let labels: Vec<usize> = (0..60).map(|row| row % 2).collect();
    let groups: Vec<usize> = (0..60).map(|row| row / 2).collect();
    for groups in [None, Some(&groups[..])] {
        let draw = |seed| {
            let strata = Strata::Classes { labels: &labels, classes: 2 };
            Folds::new(strata, groups, 4, Seed(seed)).unwrap()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}

#[test]
fn too_few_items_or_groups_make_fewer_folds() {
    let folds = classes(&[0, 1, 0], None, 5).unwrap();
    assert_eq!(folds.count(), 3);
    assert_eq!(folds.notes()[0], "3 items make 3 folds, not 5");
    let folds = classes(&[0, 1, 0, 1], Some(&[9, 9, 4, 4]), 3).unwrap();
    assert_eq!(folds.notes(), ["2 groups make 2 folds, not 3"]);
    assert_eq!(counts(&folds, |_| true), [2, 2]);
    let one = classes(&[0, 1, 0], Some(&[5, 5, 5]), 2).unwrap_err();
    assert_eq!(one.to_string(), "1 groups cannot be divided into 2 folds or more");
    assert_eq!(classes(&[], None, 2).unwrap_err(), Unfit::NoFolds { units: 0, what: "items" });
}

#[test]
fn a_class_with_fewer_items_than_folds_is_told() {
    let labels = [0, 0, 0, 0, 0, 0, 1, 2, 2];
    let folds = classes(&labels, None, 3).unwrap();
    let all_in_one = "class 1 has all of its 1 items in one fold: while that is held out nothing \
                      is learnt of it";
    assert_eq!(folds.notes(), [all_in_one, "class 2 has 2 items: 1 of 3 folds have none of it"]);
}

#[test]
fn every_fold_has_a_group_even_beside_a_huge_one() {
    let groups = [vec![0; 50], vec![1], vec![2], vec![3]].concat();
    let labels: Vec<usize> = (0..53).map(|row| row % 2).collect();
    let folds = classes(&labels, Some(&groups), 4).unwrap();
    let mut sizes = counts(&folds, |_| true);
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 1, 50]);
}

#[test]
fn held_out_scores_come_from_fits_that_did_not_see_the_item() {
    let folds = classes(&[0, 1, 0, 1, 0], None, 2).unwrap();
    let seen = folds.held_out(5, |train, held| {
        let scores = Array2::from_shape_fn((held.len(), 5), |(_, row)| {
            f64::from(u8::from(train.contains(&row)))
        });
        Ok::<_, Unfit>(scores)
    });
    let seen = seen.unwrap();
    for row in 0..5 {
        assert!(seen.scores()[[row, row]] < 0.5);
        assert!(seen.scores().row(row).sum() >= 2.0);
    }
    let narrow = folds.held_out(2, |_, held| Ok::<_, Unfit>(Array2::zeros((held.len(), 1))));
    assert_eq!(narrow.unwrap_err(), Unfit::Width { found: 1, expected: 2 });
}

#[test]
fn what_cannot_be_divided_is_told() {
    let told = classes(&[0, 1], None, 1).unwrap_err().to_string();
    assert_eq!(told, "`folds` is 1, but must be 2 or more");
    let told = classes(&[0, 1], Some(&[1]), 2).unwrap_err().to_string();
    assert_eq!(told, "1 groups for 2 training items");
    let strata = Strata::Classes { labels: &[0, 4], classes: 2 };
    assert!(matches!(Folds::new(strata, None, 2, Seed(0)), Err(Unfit::NoSuchClass { .. })));
    let broken = array![[1.0], [f64::NAN]];
    let told = Folds::new(Strata::Values(broken.view()), None, 2, Seed(0)).unwrap_err();
    assert_eq!(told.to_string(), "target 0 of item 1 is NaN");
}
