//! Data for tests.

use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

use ndarray::{Array2, ArrayView2, s};

/// Features with labels.
pub(crate) struct Items {
    pub(crate) features: Array2<f64>,
    pub(crate) labels: Vec<usize>,
}

impl Items {
    /// scikit-learn's digits, pixels / 16.
    pub(crate) fn digits() -> Self {
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

    /// Features and labels of some rows.
    pub(crate) fn part(&self, rows: Range<usize>) -> (ArrayView2<'_, f64>, &[usize]) {
        (self.features.slice(s![rows.clone(), ..]), &self.labels[rows])
    }
}

/// How many items have their highest score, the first of them, in their class.
pub(crate) fn correct(scores: &Array2<f64>, labels: &[usize]) -> usize {
    let best = |row: ndarray::ArrayView1<'_, f64>| {
        (0..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
    };
    scores.rows().into_iter().zip(labels).filter(|(row, label)| best(row.view()) == **label).count()
}
