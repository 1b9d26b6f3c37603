//! What the tests of this room share.

use ndarray::{Array2, array};

use super::Items;
use crate::base::Seed;
use crate::probe::testing::Digits;

/// Panics with both numbers unless they are within `tolerance` of each other.
#[track_caller]
pub(super) fn assert_close(actual: f64, expected: f64, tolerance: f64) {
    assert!(
        (actual - expected).abs() <= tolerance,
        "{actual} is not within {tolerance} of {expected}"
    );
}

/// Twelve items of three features in three classes, with probabilities of three source classes.
pub(super) struct Twelve {
    pub(super) features: Array2<f64>,
    pub(super) source: Array2<f64>,
    pub(super) labels: Vec<usize>,
}

impl Twelve {
    pub(super) fn items(&self) -> Items<'_> {
        let items = Items::new(self.features.view(), &self.labels).unwrap();
        items.with_source(self.source.view()).unwrap()
    }
}

pub(super) fn twelve() -> Twelve {
    let (features, labels) = crate::probe::testing::twelve();
    let source = array![
        [0.7, 0.2, 0.1],
        [0.6, 0.3, 0.1],
        [0.8, 0.1, 0.1],
        [0.5, 0.3, 0.2],
        [0.2, 0.7, 0.1],
        [0.3, 0.6, 0.1],
        [0.1, 0.8, 0.1],
        [0.4, 0.5, 0.1],
        [0.1, 0.2, 0.7],
        [0.2, 0.2, 0.6],
        [0.1, 0.1, 0.8],
        [0.3, 0.2, 0.5],
    ];
    Twelve { features, source, labels }
}

/// scikit-learn's digits: pixels / 16 and labels.
pub(super) fn digits() -> (Array2<f64>, Vec<usize>) {
    let Digits { features, labels } = Digits::read();
    (features, labels)
}

/// The first so many of the digits.
pub(super) fn first_digits(count: usize) -> (Array2<f64>, Vec<usize>) {
    let (features, labels) = digits();
    (features.slice(ndarray::s![..count, ..]).to_owned(), labels[..count].to_vec())
}

/// Items around the means of their classes, `apart` standard deviations from the middle.
pub(super) fn clusters(
    (count, features, classes): (usize, usize, usize),
    apart: f64,
    seed: u64,
) -> (Array2<f64>, Vec<usize>) {
    let mut stream = Seed(seed).stream("test", "clusters");
    let means = Array2::from_shape_simple_fn((classes, features), || apart * stream.normal());
    let labels: Vec<usize> = (0..count).map(|item| item % classes).collect();
    let values = Array2::from_shape_fn((count, features), |(item, feature)| {
        means[[labels[item], feature]] + stream.normal()
    });
    (values, labels)
}

/// Two small domains.
pub(super) fn domains() -> (Array2<f64>, Array2<f64>) {
    let here = array![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 1.0]];
    (here, array![[2.0, 2.0], [3.0, 2.0], [2.0, 3.0], [4.0, 2.0]])
}
