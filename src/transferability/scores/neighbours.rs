//! Nearest neighbours, each item judged by the others.

use ndarray::{Array2, ArrayView2, Axis, s};

use crate::base::Target;
use crate::transferability::items::{Items, Refusal};
use crate::transferability::matrix::{each_part, product};
use crate::transferability::score::{ANYTHING, Change, Number, Score};

/// Accuracy of nearest neighbours, leaving one out.
pub(in super::super) struct Neighbours;

/// Items looked at.
const MOST_ITEMS: usize = 5000;
/// Neighbours that vote.
const COUNTS: [usize; 3] = [1, 5, 20];
/// Items compared with all others at once.
const BLOCK: usize = 128;

impl Score for Neighbours {
    fn name(&self) -> &'static str {
        "neighbours"
    }

    fn description(&self) -> &'static str {
        "accuracy of the 1, 5 and 20 nearest other items, by Euclidean distance and by angle, over \
         at most 5,000 items; of labels and numbers the share of variance that their mean tells"
    }

    fn tells(&self) -> &'static [Target] {
        ANYTHING
    }

    fn unchanged_by(&self) -> &'static [Change] {
        &[Change::Scale, Change::Rotation]
    }

    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal> {
        items.differ()?;
        let rows = items.some("neighbours", MOST_ITEMS);
        if items.target != Target::Classes {
            return of_columns(items, &rows);
        }
        let labels: Vec<usize> = rows.iter().map(|&row| items.labels[row]).collect();
        let features = items.features.select(Axis(0), &rows);
        let right = neighbours(features.view(), &labels, items)?;
        let number = |(name, right): (&'static str, usize)| {
            Number::new(name, right as f64 / labels.len() as f64)
        };
        Ok(NAMES.into_iter().flatten().zip(right.into_iter().flatten()).map(number).collect())
    }
}

/// By distance and by angle, for each count of neighbours.
const NAMES: [[&str; 3]; 2] = [
    ["neighbours_1", "neighbours_5", "neighbours_20"],
    ["neighbours_1_cosine", "neighbours_5_cosine", "neighbours_20_cosine"],
];

/// Of labels and numbers: 1 − squared error of the mean of the nearest others over that of the mean
/// of all, mean over columns.
fn of_columns(items: &Items<'_>, rows: &[usize]) -> Result<Vec<Number>, Refusal> {
    let features = items.features.select(Axis(0), rows);
    let targets = items.targets.select(Axis(0), rows);
    let squares: Vec<f64> = features.rows().into_iter().map(|row| row.dot(&row)).collect();
    if squares.iter().any(|square| !square.is_finite()) {
        return Err(Refusal::TooLarge);
    }
    let starts: Vec<usize> = (0..rows.len()).step_by(BLOCK).collect();
    let shape = (COUNTS.len(), targets.ncols());
    let parts = each_part(items.threads, starts, |_, start| {
        let end = (start + BLOCK).min(rows.len());
        let products = product(features.slice(s![start..end, ..]), features.t(), 1);
        let mut wrong = [Array2::<f64>::zeros(shape), Array2::zeros(shape)];
        for (row, along) in (start..end).zip(products.rows()) {
            let others = || (0..rows.len()).filter(|&other| other != row);
            let distance = |other: usize| squares[row] + squares[other] - 2.0 * along[other];
            let angle = |other: usize| {
                let lengths = (squares[row] * squares[other]).sqrt();
                1.0 - if lengths > 0.0 { along[other] / lengths } else { 0.0 }
            };
            let sorted = |far: &dyn Fn(usize) -> f64| {
                let mut all: Vec<(f64, usize)> =
                    others().map(|other| (far(other), other)).collect();
                all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                all.truncate(COUNTS[2]);
                all
            };
            for (wrong, near) in wrong.iter_mut().zip([sorted(&distance), sorted(&angle)]) {
                for (at, count) in COUNTS.into_iter().enumerate() {
                    let near: Vec<usize> = near.iter().take(count).map(|(_, n)| *n).collect();
                    let mean = targets.select(Axis(0), &near).mean_axis(Axis(0));
                    let Some(mean) = mean else { continue };
                    let error = (&targets.row(row) - &mean).mapv(|e| e * e);
                    let mut into = wrong.row_mut(at);
                    into += &error;
                }
            }
        }
        wrong
    });
    let mut wrong = [Array2::<f64>::zeros(shape), Array2::zeros(shape)];
    for part in parts {
        wrong.iter_mut().zip(&part).for_each(|(sum, part)| *sum += part);
    }
    let all = targets.var_axis(Axis(0), 0.0) * rows.len() as f64;
    let skill = |row: ndarray::ArrayView1<'_, f64>| {
        let known = row.iter().zip(&all).filter(|(_, all)| **all > 0.0);
        let shares: Vec<f64> = known.map(|(wrong, all)| 1.0 - wrong / all).collect();
        shares.iter().sum::<f64>() / shares.len().max(1) as f64
    };
    let numbers = NAMES.iter().zip(&wrong).flat_map(|(names, wrong)| {
        names.iter().zip(wrong.rows()).map(|(name, row)| Number::new(name, skill(row)))
    });
    Ok(numbers.collect())
}

/// How many items are judged right: by distance and by angle, for each count of neighbours.
fn neighbours(
    features: ArrayView2<'_, f64>,
    labels: &[usize],
    items: &Items<'_>,
) -> Result<[[usize; 3]; 2], Refusal> {
    let squares: Vec<f64> = features.rows().into_iter().map(|row| row.dot(&row)).collect();
    if squares.iter().any(|square| !square.is_finite()) {
        return Err(Refusal::TooLarge);
    }
    let starts: Vec<usize> = (0..labels.len()).step_by(BLOCK).collect();
    let counted = each_part(items.threads, starts, |_, start| {
        let end = (start + BLOCK).min(labels.len());
        let products = product(features.slice(s![start..end, ..]), features.t(), 1);
        let mut right = [[0; 3]; 2];
        let mut found = Nearest { labels, classes: items.classes, all: vec![] };
        for (row, along) in (start..end).zip(products.rows()) {
            let by_distance =
                |other: usize| (squares[row] + squares[other] - 2.0 * along[other]).max(0.0).sqrt();
            let by_angle = |other: usize| {
                let lengths = (squares[row] * squares[other]).sqrt();
                1.0 - if lengths > 0.0 { along[other] / lengths } else { 0.0 }
            };
            found.judge(row, by_distance, &mut right[0]);
            found.judge(row, by_angle, &mut right[1]);
        }
        right
    });
    let add = |mut sum: [[usize; 3]; 2], right: [[usize; 3]; 2]| {
        sum.iter_mut().flatten().zip(right.iter().flatten()).for_each(|(sum, n)| *sum += n);
        sum
    };
    Ok(counted.into_iter().fold([[0; 3]; 2], add))
}

struct Nearest<'a> {
    labels: &'a [usize],
    classes: usize,
    all: Vec<(f64, usize)>,
}

impl Nearest<'_> {
    /// Counts an item where its nearest others, itself excluded by its index, tell its class.
    fn judge(&mut self, row: usize, far: impl Fn(usize) -> f64, right: &mut [usize; 3]) {
        let others = (0..self.labels.len()).filter(|&other| other != row);
        self.all.clear();
        self.all.extend(others.map(|other| (far(other), other)));
        let by = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        let most = COUNTS[2].min(self.all.len());
        if most < self.all.len() {
            self.all.select_nth_unstable_by(most, by);
        }
        self.all.truncate(most);
        self.all.sort_unstable_by(by);
        for (count, right) in COUNTS.into_iter().zip(right) {
            *right += usize::from(self.vote(count) == Some(self.labels[row]));
        }
    }

    /// The class of most of the nearest; of several, the one whose distances have the least sum.
    fn vote(&self, count: usize) -> Option<usize> {
        let mut votes = vec![(0_usize, 0.0); self.classes];
        for &(far, other) in self.all.iter().take(count) {
            let (n, sum) = &mut votes[self.labels[other]];
            *n += 1;
            *sum += far;
        }
        let better = |a: &usize, b: &usize| {
            let (a, b) = (votes[*a], votes[*b]);
            a.0.cmp(&b.0).then(b.1.total_cmp(&a.1))
        };
        // Of all equal, the first class.
        (0..self.classes).rev().max_by(better)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::transferability::testing::{assert_close, first_digits, twelve};

    fn values(features: ArrayView2<'_, f64>, labels: &[usize], threads: usize) -> Vec<f64> {
        let items = Items::new(features, labels).unwrap().on_threads(threads);
        Neighbours.numbers(&items).unwrap().iter().map(|number| number.value).collect()
    }

    #[test]
    fn each_of_twelve_items_is_told_by_its_nearest() {
        let twelve = twelve();
        let values = values(twelve.features.view(), &twelve.labels, 1);
        assert_eq!((values[0], values[3]), (1.0, 1.0));
    }

    /// scikit-learn's `KNeighborsClassifier` with `LeaveOneOut`.
    #[test]
    fn digits_are_told_as_often_as_scikit_learn_tells_them() {
        let (features, labels) = first_digits(1000);
        let values = values(features.view(), &labels, 2);
        for (value, expected) in values.into_iter().zip(DIGITS) {
            assert_close(value, expected, 1.1e-3);
        }
    }
    const DIGITS: [f64; 6] = [0.988, 0.986, 0.972, 0.987, 0.983, 0.967];

    #[test]
    fn a_duplicate_is_a_neighbour_and_an_item_is_none_of_its_own() {
        let features = array![[0.0], [0.0], [5.0], [5.0]];
        assert_close(values(features.view(), &[0, 1, 0, 1], 1)[0], 0.0, 1e-15);
        assert_close(values(features.view(), &[0, 0, 1, 1], 1)[0], 1.0, 1e-15);
    }

    #[test]
    fn a_tie_goes_to_the_class_that_is_nearer() {
        // Item 0 has two neighbours of each class among five at most; class 1 is nearer.
        let features = array![[0.0], [1.0], [-1.0], [2.0], [-2.0]];
        let labels = [1, 1, 1, 0, 0];
        let items = Items::new(features.view(), &labels).unwrap();
        let mut right = [0; 3];
        let mut found = Nearest { labels: &labels, classes: 2, all: vec![] };
        found.judge(0, |other| items.features[[other, 0]].abs(), &mut right);
        assert_eq!(right, [1, 1, 1]);
    }
}
