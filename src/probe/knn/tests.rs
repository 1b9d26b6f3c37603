use ndarray::{Array2, ArrayView2, Axis, array, concatenate, s};

use super::*;
use crate::probe::testing::{Digits, count_right, normal, twelve};

/// Every distance in 64 bits, sorted.
fn plain(train: &Array2<f64>, items: &Array2<f64>, k: usize, distance: Distance) -> Array2<usize> {
    let mut found = Array2::zeros((items.nrows(), k));
    for (row, item) in items.rows().into_iter().enumerate() {
        let measure = |other: ndarray::ArrayView1<'_, f64>| match distance {
            Distance::L2 => (&item - &other).mapv(|d| d * d).sum().sqrt(),
            Distance::Cosine => {
                let lengths = item.dot(&item).sqrt() * other.dot(&other).sqrt();
                1.0 - if lengths > 0.0 { item.dot(&other) / lengths } else { 0.0 }
            }
        };
        let mut all: Vec<(f64, usize)> =
            train.rows().into_iter().map(measure).enumerate().map(|(i, d)| (d, i)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (place, (_, index)) in all.into_iter().take(k).enumerate() {
            found[[row, place]] = index;
        }
    }
    found
}

fn found(train: &Array2<f64>, items: &Array2<f64>, k: usize, distance: Distance) -> Array2<usize> {
    let index = Neighbours::new(train.view(), distance).unwrap();
    index.nearest(items.view(), k, 2).unwrap().neighbours
}

#[test]
fn digits_have_the_known_numbers_of_right_answers() {
    let digits = Digits::read();
    let ((train, labels), (test, truth)) = (digits.train(), digits.test());
    let index = Neighbours::new(train, Distance::L2).unwrap();
    let nearest = index.nearest(test, 20, 2).unwrap();
    // Shares .96236, .95734 and .94605 of 797; a tie goes to the nearer label, in scikit-learn to
    // the lower.
    for (k, known) in [(1, 767), (5, 763), (20, 754)] {
        let voted = nearest.vote(labels, 10, k, Votes::Majority).unwrap();
        let right = count_right(&voted.predicted, truth);
        assert!(right.abs_diff(known) <= 3, "k = {k}: {right}");
        assert!(voted.probabilities.rows().into_iter().all(|row| (row.sum() - 1.0).abs() < 1e-12));
    }
}

#[test]
fn neighbours_are_those_of_all_distances_in_64_bits() {
    for (items, features) in [(40, 3), (1100, 20), (2500, 7)] {
        let train = normal(1, items, features) + 100.0;
        let queries = normal(2, 300, features) * 1.5 + 100.0;
        for distance in [Distance::L2, Distance::Cosine] {
            let expected = plain(&train, &queries, 9, distance);
            assert_eq!(found(&train, &queries, 9, distance), expected, "{items} {distance:?}");
        }
    }
}

#[test]
fn items_that_differ_less_than_32_bits_can_tell_are_told_apart() {
    // One far item sets the scale; the others lie within 1e-9 of each other.
    let near = normal(3, 200, 4) * 1e-9 + 1.0;
    let train = concatenate![Axis(0), array![[1e6, 0.0, 0.0, 0.0]], near];
    let queries = normal(4, 20, 4) * 1e-9 + 1.0;
    let expected = plain(&train, &queries, 5, Distance::L2);
    assert_eq!(found(&train, &queries, 5, Distance::L2), expected);
    let far = array![[-1e30, 1e30, 0.0, 1.0], [1e100, 0.0, 0.0, 0.0]];
    assert_eq!(found(&train, &far, 2, Distance::L2), plain(&train, &far, 2, Distance::L2));
}

#[test]
fn results_have_the_same_bits_on_any_number_of_threads() {
    let train = normal(5, 1500, 30);
    for distance in [Distance::L2, Distance::Cosine] {
        let index = Neighbours::new(train.view(), distance).unwrap();
        let alone = (index.nearest(train.view(), 7, 1), index.leave_one_out(7, 1));
        for threads in [2, 3, 16] {
            let several =
                (index.nearest(train.view(), 7, threads), index.leave_one_out(7, threads));
            assert_eq!(alone, several);
        }
    }
}

#[test]
fn an_item_left_out_is_known_by_its_row_and_not_by_its_distance() {
    let train = array![[0.0], [0.0], [3.0], [7.0]];
    let index = Neighbours::new(train.view(), Distance::L2).unwrap();
    let nearest = index.leave_one_out(2, 1).unwrap();
    assert_eq!(nearest.neighbours, array![[1, 2], [0, 2], [0, 1], [2, 0]]);
    assert_eq!(nearest.distances, array![[0.0, 3.0], [0.0, 3.0], [3.0, 3.0], [4.0, 7.0]]);
}

#[test]
fn the_nearest_other_item_of_each_of_twelve_is_of_its_class() {
    let (features, labels) = twelve();
    for distance in [Distance::L2, Distance::Cosine] {
        let index = Neighbours::new(features.view(), distance).unwrap();
        let nearest = index.leave_one_out(3, 1).unwrap();
        assert_eq!(nearest.vote(&labels, 3, 1, Votes::Majority).unwrap().predicted, labels);
    }
}

#[test]
fn a_tie_goes_to_the_class_of_the_nearer() {
    let train = array![[1.0], [2.0], [3.0], [4.0]];
    let index = Neighbours::new(train.view(), Distance::L2).unwrap();
    let nearest = index.nearest(array![[0.0]].view(), 4, 1).unwrap();
    let voted = nearest.vote(&[2, 0, 0, 2], 3, 4, Votes::Majority).unwrap();
    assert_eq!(voted.predicted, [2]);
    assert_eq!(voted.probabilities, array![[0.5, 0.0, 0.5]]);
    assert_eq!(nearest.vote(&[1, 0, 0, 1], 3, 3, Votes::Majority).unwrap().predicted, [0]);
}

#[test]
fn votes_are_weighted_by_the_softmax_of_similarities() {
    let train = array![[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]];
    let index = Neighbours::new(train.view(), Distance::Cosine).unwrap();
    let nearest = index.nearest(array![[2.0, 0.0]].view(), 3, 1).unwrap();
    let voted = nearest.vote(&[0, 1, 1], 2, 3, Votes::Weighted(0.07)).unwrap();
    let weights = [1.0_f64, 0.6, 0.0].map(|similarity| (similarity / 0.07).exp());
    let share = weights[0] / weights.iter().sum::<f64>();
    assert!((voted.probabilities[[0, 0]] - share).abs() < 1e-12);
    assert_eq!(voted.predicted, [0]);
}

#[test]
fn means_of_targets_are_scikit_learns() {
    let digits = Digits::read();
    let ((train, labels), (test, _)) = (digits.train(), digits.test());
    let targets = Array2::from_shape_fn((1000, 2), |(row, column)| match column {
        0 => labels[row] as f64,
        _ => f64::from(u8::from(labels[row] > 4)),
    });
    let index = Neighbours::new(train, Distance::Cosine).unwrap();
    let nearest = index.nearest(test, 5, 2).unwrap();
    let means = nearest.mean(targets.view(), 5, Votes::Majority).unwrap();
    let (sum, first) = (means.sum_axis(Axis(0)), means.row(0).to_vec());
    assert!((sum[0] - KNN_REGRESSION.0).abs() < 1e-9, "{sum}");
    assert!((sum[1] - KNN_REGRESSION.1).abs() < 1e-9, "{sum}");
    assert!((first[0] - KNN_REGRESSION.2).abs() < 1e-9, "{first:?}");
}

/// Sums over the test items of the means of both targets, and the first mean of the first item:
/// `benches/peers/probe_values.py`.
const KNN_REGRESSION: (f64, f64, f64) = (3562.0, 400.8, 1.0);

#[test]
fn constant_and_duplicated_items_are_taken_in_the_order_of_their_rows() {
    let alike = Array2::from_elem((300, 5), 0.1);
    for distance in [Distance::L2, Distance::Cosine] {
        assert_eq!(
            found(&alike, &alike.slice(s![..1, ..]).to_owned(), 3, distance),
            array![[0, 1, 2]]
        );
    }
    let zeros = array![[0.0, 0.0], [1.0, 1.0], [-1.0, 0.0]];
    let index = Neighbours::new(zeros.view(), Distance::Cosine).unwrap();
    let nearest = index.nearest(array![[0.0, 0.0], [5.0, 5.0]].view(), 3, 1).unwrap();
    assert_eq!(nearest.neighbours, array![[0, 1, 2], [1, 0, 2]]);
    assert_eq!(nearest.distances.row(0).to_vec(), [1.0, 1.0, 1.0]);
}

#[test]
fn more_neighbours_than_items_are_all_items() {
    let train = array![[1.0], [2.0]];
    let index = Neighbours::new(train.view(), Distance::L2).unwrap();
    let nearest = index.nearest(array![[1.9]].view(), 20, 1).unwrap();
    assert_eq!(nearest.neighbours, array![[1, 0]]);
    assert_eq!(nearest.vote(&[1, 1], 2, 20, Votes::Majority).unwrap().predicted, [1]);
    let nobody: ArrayView2<'_, f64> = train.slice(s![..0, ..]);
    assert_eq!(index.nearest(nobody, 1, 1).unwrap().neighbours.nrows(), 0);
}

#[test]
fn what_cannot_be_looked_up_is_told() {
    let wrong = |train: Array2<f64>| Neighbours::new(train.view(), Distance::L2).unwrap_err();
    let message = wrong(array![[1.0, 2.0], [f64::NAN, 0.0]]).to_string();
    assert_eq!(message, "feature 0 of item 1 is NaN");
    assert_eq!(wrong(Array2::zeros((0, 3))), Unfit::NoItems);
    assert_eq!(wrong(Array2::zeros((3, 0))), Unfit::NoFeatures);
    assert!(matches!(wrong(array![[1e200]]), Unfit::TooLarge { .. }));
    let train = array![[1.0], [2.0]];
    let index = Neighbours::new(train.view(), Distance::L2).unwrap();
    let infinite = index.nearest(array![[1.0], [f64::INFINITY]].view(), 1, 1).unwrap_err();
    assert_eq!(infinite.to_string(), "feature 0 of item 1 is inf");
    let wide = index.nearest(array![[1.0, 2.0]].view(), 1, 1).unwrap_err();
    assert_eq!(wide, Unfit::Width { found: 2, expected: 1 });
    assert!(matches!(index.nearest(array![[1.0]].view(), 0, 1), Err(Unfit::Setting { .. })));
    let nearest = index.leave_one_out(1, 1).unwrap();
    assert!(matches!(nearest.vote(&[0, 5], 2, 1, Votes::Majority), Err(Unfit::NoSuchClass { .. })));
    let cold = nearest.vote(&[0, 1], 2, 1, Votes::Weighted(0.0)).unwrap_err();
    assert_eq!(cold.to_string(), "`temperature` is 0, but must be above 0");
    let single = train.slice(s![..1, ..]);
    let single = Neighbours::new(single, Distance::L2).unwrap();
    assert_eq!(single.leave_one_out(1, 1).unwrap_err(), Unfit::OneItem);
}
