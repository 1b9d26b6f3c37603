//! LEEP (Nguyen et al. 2020): the log likelihood of the labels under the classifier that a source
//! model is without any training, and the same on a scale from 0 to 1.

use ndarray::{Array1, Array2, ArrayView2};

use crate::transferability::items::{Items, Refusal};
use crate::transferability::matrix::product;
use crate::transferability::score::{Change, Needs, Number, Score};

/// Log expected empirical prediction.
pub(in super::super) struct Leep;

impl Score for Leep {
    fn name(&self) -> &'static str {
        "leep"
    }

    fn description(&self) -> &'static str {
        "mean log likelihood of the labels by way of source classes, from −H(Y) to 0 \
         (Nguyen 2020); `leep_share` is 1 + LEEP / H(Y), from 0 to 1"
    }

    fn needs(&self) -> Needs {
        Needs::Source
    }

    fn unchanged_by(&self) -> &'static [Change] {
        &[Change::Scale, Change::Shift, Change::Rotation]
    }

    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal> {
        items.told_apart()?;
        let source = items.source.ok_or(Refusal::Missing("probabilities of source classes"))?;
        let value = leep(items, source);
        let share = 1.0 + value / entropy(items);
        Ok(vec![Number::new("leep", value), Number::new("leep_share", share)])
    }
}

/// H(Y) of the labels.
fn entropy(items: &Items<'_>) -> f64 {
    let count = items.labels.len() as f64;
    let part = |n: usize| n as f64 / count;
    -items.counts().into_iter().map(|n| part(n) * part(n).ln()).sum::<f64>()
}

/// Mass below which a source class is left out.
const LEAST: f64 = 1e-300;

/// Mean over items of `ln Σ_z P(y | z) θ_z`, where `P(y, z)` is the mean over items of θ in class y,
/// for rows of θ that sum to 1.
pub(super) fn leep(items: &Items<'_>, theta: ArrayView2<'_, f64>) -> f64 {
    let mut joint = Array2::<f64>::zeros((items.classes, theta.ncols()));
    for (row, &label) in theta.rows().into_iter().zip(&items.labels) {
        let mut into = joint.row_mut(label);
        into += &row;
    }
    let mass: Array1<f64> = joint.sum_axis(ndarray::Axis(0));
    let usual = mass.mapv(|mass| if mass > LEAST { 1.0 / mass } else { 0.0 });
    joint *= &usual;
    let told = product(theta, joint.t(), items.threads);
    let likelihood = |(row, &label): (usize, &usize)| told[[row, label]].ln();
    items.labels.iter().enumerate().map(likelihood).sum::<f64>() / theta.nrows() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;
    use crate::transferability::testing::{assert_close, twelve};

    fn numbers(items: &Items<'_>) -> [f64; 2] {
        let numbers = Leep.numbers(items).unwrap();
        [numbers[0].value, numbers[1].value]
    }

    #[test]
    fn twelve_items_have_the_known_values() {
        let twelve = twelve();
        let [value, share] = numbers(&twelve.items());
        assert_close(value, -0.720_404_10, 1e-8);
        assert_close(share, 0.344_259_93, 1e-8);
    }

    #[test]
    fn a_source_that_knows_nothing_gives_the_entropy_and_one_that_knows_all_zero() {
        let features = Array2::<f64>::zeros((10, 1));
        let labels = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1];
        let items = Items::new(features.view(), &labels).unwrap();
        let even = Array2::from_elem((10, 4), 0.25);
        let [value, share] = numbers(&items.clone().with_source(even.view()).unwrap());
        assert_close(value, -0.673_011_67, 1e-8);
        assert_close(share, 0.0, 1e-12);
        let sure = Array2::from_shape_fn((10, 3), |(i, z)| f64::from(u8::from(labels[i] == z)));
        let [value, share] = numbers(&items.with_source(sure.view()).unwrap());
        assert_close(value, 0.0, 1e-15);
        assert_close(share, 1.0, 1e-15);
    }

    #[test]
    fn it_lies_between_minus_the_entropy_and_zero() {
        let mut stream = Seed(1).stream("test", "leep");
        let features = Array2::<f64>::zeros((30, 1));
        for _ in 0..200 {
            let mut labels: Vec<usize> = (0..30).map(|_| stream.below(4)).collect();
            labels[..2].copy_from_slice(&[0, 1]);
            let mut theta = Array2::from_shape_simple_fn((30, 6), || stream.uniform().powi(4));
            theta.rows_mut().into_iter().for_each(|mut row| row /= row.sum());
            let items = Items::new(features.view(), &labels).unwrap();
            let [value, share] = numbers(&items.with_source(theta.view()).unwrap());
            assert!(value <= 0.0 && (-1e-12..=1.0).contains(&share), "{value} {share}");
        }
    }
}
