//! Each item to the class whose mean is nearest.

#![allow(clippy::needless_pass_by_value, reason = "views are copied, as slices are")]

use ndarray::{Array2, ArrayView2};

use super::knn::Distance;
use super::products::{dot, squared_distance};
use super::unfit::{Unfit, check_classes, check_features, check_labels, check_width};

/// Means of classes.
#[derive(Clone, Debug)]
pub struct NearestMean {
    distance: Distance,
    /// Classes × features; nothing for a class that was not in training. For cosine the means are
    /// those of items of length 1, of length 1 themselves.
    means: Vec<Option<Vec<f64>>>,
    features: usize,
}

impl NearestMean {
    /// Takes the means of the items (items × features) of each class.
    pub fn fit(
        features: ArrayView2<'_, f64>,
        labels: &[usize],
        classes: usize,
        distance: Distance,
    ) -> Result<Self, Unfit> {
        check_features(&features)?;
        check_labels(labels, classes, features.nrows())?;
        check_classes(labels)?;
        let width = features.ncols();
        let mut sums: Vec<Option<(Vec<f64>, f64)>> = vec![None; classes];
        for (item, &label) in features.rows().into_iter().zip(labels) {
            let item = compared(item.to_vec(), distance);
            let (sum, count) = sums[label].get_or_insert_with(|| (vec![0.0; width], 0.0));
            for (sum, value) in sum.iter_mut().zip(item) {
                *sum += value;
            }
            *count += 1.0;
        }
        let mean = |(sum, count): (Vec<f64>, f64)| {
            compared(sum.into_iter().map(|value| value / count).collect(), distance)
        };
        let means = sums.into_iter().map(|sum| sum.map(mean)).collect();
        Ok(Self { distance, means, features: width })
    }

    /// Items × classes: −½ distance² to each class's mean, or the cosine between them; higher is
    /// nearer. A class that was not in training has −∞.
    pub fn scores(&self, features: ArrayView2<'_, f64>) -> Result<Array2<f64>, Unfit> {
        check_width(&features, self.features)?;
        let mut scores = Array2::from_elem((features.nrows(), self.means.len()), f64::NEG_INFINITY);
        for (item, mut scores) in features.rows().into_iter().zip(scores.rows_mut()) {
            let item = compared(item.to_vec(), self.distance);
            for (score, mean) in scores.iter_mut().zip(&self.means) {
                if let Some(mean) = mean {
                    *score = match self.distance {
                        Distance::L2 => -0.5 * squared_distance(&item, mean),
                        Distance::Cosine => dot(&item, mean),
                    };
                }
            }
        }
        Ok(scores)
    }
}

/// An item as it is compared: of length 1 for cosine, unless it is zeros.
fn compared(mut item: Vec<f64>, distance: Distance) -> Vec<f64> {
    let largest = item.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    if distance == Distance::Cosine && largest > 0.0 {
        for value in &mut item {
            *value /= largest;
        }
        let length = dot(&item, &item).sqrt();
        for value in &mut item {
            *value /= length;
        }
    }
    item
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::probe::testing::{Digits, best, count_right};

    #[test]
    fn digits_have_the_known_number_of_right_answers() {
        let digits = Digits::read();
        let ((train, labels), (test, truth)) = (digits.train(), digits.test());
        // Shares .89084 (scikit-learn's NearestCentroid) and, for cosine, of a plain script.
        for (distance, known) in [(Distance::L2, 710), (Distance::Cosine, COSINE)] {
            let means = NearestMean::fit(train, labels, 10, distance).unwrap();
            let scores = means.scores(test).unwrap();
            assert_eq!(count_right(&best(&scores), truth), known, "{distance:?}");
        }
    }
    const COSINE: usize = 709;

    #[test]
    fn a_class_without_items_is_never_nearest() {
        let train = array![[0.0, 1.0], [2.0, 1.0], [9.0, 9.0]];
        let means = NearestMean::fit(train.view(), &[0, 0, 2], 4, Distance::L2).unwrap();
        let scores = means.scores(array![[1.0, 1.0], [9.0, 8.0]].view()).unwrap();
        let none = f64::NEG_INFINITY;
        assert_eq!(scores, array![[0.0, none, -64.0, none], [-56.5, none, -0.5, none]]);
    }

    #[test]
    fn an_item_of_zeros_has_no_direction() {
        let train = array![[0.0, 0.0], [0.0, 3.0]];
        let means = NearestMean::fit(train.view(), &[0, 1], 2, Distance::Cosine).unwrap();
        let scores = means.scores(array![[0.0, 7.0], [0.0, 0.0]].view()).unwrap();
        assert_eq!(scores, array![[0.0, 1.0], [0.0, 0.0]]);
    }

    #[test]
    fn one_class_and_broken_features_are_told() {
        let fit = |features: Array2<f64>, labels: &[usize]| {
            NearestMean::fit(features.view(), labels, 2, Distance::L2).unwrap_err()
        };
        assert_eq!(fit(array![[1.0], [2.0]], &[1, 1]), Unfit::OneClass(2));
        let told = fit(array![[1.0], [f64::NEG_INFINITY]], &[0, 1]);
        assert_eq!(told.to_string(), "feature 0 of item 1 is -inf");
        let told = fit(array![[1.0], [2.0]], &[0]).to_string();
        assert_eq!(told, "1 labels for 2 training items");
    }
}
