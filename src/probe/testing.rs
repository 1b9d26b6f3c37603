//! Data for tests of probes.

use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

use ndarray::{Array2, ArrayView2, array, s};

use crate::base::Seed;

/// scikit-learn's digits: 1,797 items of 64 pixels / 16, and their labels.
pub(crate) struct Digits {
    pub(crate) features: Array2<f64>,
    pub(crate) labels: Vec<usize>,
}

impl Digits {
    pub(crate) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits.csv.gz");
        let mut text = String::new();
        let file = std::fs::File::open(path).unwrap();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        let (mut values, mut labels) = (vec![], vec![]);
        for line in text.lines() {
            let row: Vec<f64> = line.split(',').map(|value| value.parse().unwrap()).collect();
            values.extend(row[..64].iter().map(|value| value / 16.0));
            labels.push(row[64] as usize);
        }
        Self { features: Array2::from_shape_vec((labels.len(), 64), values).unwrap(), labels }
    }

    /// The first 1,000 items.
    pub(super) fn train(&self) -> (ArrayView2<'_, f64>, &[usize]) {
        (self.features.slice(s![..1000, ..]), &self.labels[..1000])
    }

    /// Features and labels of some rows.
    pub(super) fn part(&self, rows: Range<usize>) -> (ArrayView2<'_, f64>, &[usize]) {
        (self.features.slice(s![rows.clone(), ..]), &self.labels[rows])
    }

    /// The last 797 items.
    pub(super) fn test(&self) -> (ArrayView2<'_, f64>, &[usize]) {
        (self.features.slice(s![1000.., ..]), &self.labels[1000..])
    }
}

/// Twelve items of three features in three classes.
pub(crate) fn twelve() -> (Array2<f64>, Vec<usize>) {
    let features = array![
        [1.0, 0.2, 0.1],
        [0.8, 0.1, -0.2],
        [1.2, -0.1, 0.0],
        [0.9, 0.4, 0.3],
        [0.1, 1.1, 0.2],
        [-0.2, 0.9, -0.1],
        [0.0, 1.3, 0.1],
        [0.3, 0.8, -0.3],
        [-0.9, -1.0, 0.2],
        [-1.1, -0.8, -0.1],
        [-0.7, -1.2, 0.4],
        [-1.0, -0.9, 0.0],
    ];
    (features, (0..12).map(|row| row / 4).collect())
}

/// Normally distributed features.
pub(super) fn normal(seed: u64, items: usize, features: usize) -> Array2<f64> {
    let mut stream = Seed(seed).stream("probe", "features");
    Array2::from_shape_simple_fn((items, features), || stream.normal())
}

/// How many predictions are right.
pub(super) fn count_right(predicted: &[usize], labels: &[usize]) -> usize {
    predicted.iter().zip(labels).filter(|(predicted, label)| predicted == label).count()
}

/// The class with the highest score, the first of equals.
pub(super) fn best(scores: &Array2<f64>) -> Vec<usize> {
    let row = |row: ndarray::ArrayView1<'_, f64>| {
        let mut best = 0;
        for (class, score) in row.iter().enumerate() {
            if *score > row[best] {
                best = class;
            }
        }
        best
    };
    scores.rows().into_iter().map(row).collect()
}

/// How many items have their highest score, the first of them, in their class.
pub(super) fn correct(scores: &Array2<f64>, labels: &[usize]) -> usize {
    count_right(&best(scores), labels)
}
