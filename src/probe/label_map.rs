//! Classes of one task that stand for those of another: what a classifier that was trained for the
//! one says of the other.

use ndarray::{Array2, ArrayView1, ArrayView2};

/// The target class that each source class stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMap {
    of: Vec<Option<usize>>,
    targets: usize,
}

impl LabelMap {
    /// As it is said: for each source class a target class below `targets`, or none.
    pub fn given(of: Vec<Option<usize>>, targets: usize) -> Self {
        debug_assert!(of.iter().flatten().all(|target| *target < targets));
        Self { of, targets }
    }

    /// A source class stands for what most items are at which it scores highest; the first class of
    /// equals, in scores and in counts. One that scores highest nowhere stands for nothing.
    pub fn learnt(scores: &ArrayView2<'_, f64>, labels: &[usize], targets: usize) -> Self {
        let mut counts = Array2::<usize>::zeros((scores.ncols(), targets));
        for (row, &label) in scores.rows().into_iter().zip(labels) {
            counts[[first_largest(row.iter().copied()), label]] += 1;
        }
        let most = |row: ArrayView1<'_, usize>| {
            let seen = row.iter().any(|count| *count > 0);
            seen.then(|| first_largest(row.iter().map(|count| *count as f64)))
        };
        Self { of: counts.rows().into_iter().map(most).collect(), targets }
    }

    /// The target class of each source class.
    pub fn classes(&self) -> &[Option<usize>] {
        &self.of
    }

    /// Target classes that no source class stands for.
    pub fn missing(&self) -> Vec<usize> {
        let is_missing = |target: &usize| !self.of.contains(&Some(*target));
        (0..self.targets).filter(is_missing).collect()
    }

    /// ln p of target classes, items × targets, from ln p of source classes: sums over the source
    /// classes that stand for each, divided by their total, since an item is one of the target
    /// classes. A target class that nothing stands for has −∞; an item of which all source classes
    /// that stand for something have the probability 0 may be any target class.
    pub fn log_probabilities(&self, source: &ArrayView2<'_, f64>) -> Array2<f64> {
        let mut target = Array2::from_elem((source.nrows(), self.targets), f64::NEG_INFINITY);
        for (mut to, from) in target.rows_mut().into_iter().zip(source.rows()) {
            for (class, cell) in to.iter_mut().enumerate() {
                let stands =
                    |(of, value): (&Option<usize>, &f64)| (*of == Some(class)).then_some(*value);
                *cell = log_sum(self.of.iter().zip(from).filter_map(stands));
            }
            let total = log_sum(to.iter().copied());
            match total.is_finite() {
                true => to -= total,
                false => to.fill(-(self.targets as f64).ln()),
            }
        }
        target
    }
}

/// ln Σ exp(v), without overflow; −∞ of nothing.
fn log_sum(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return most;
    }
    most + values.map(|value| (value - most).exp()).sum::<f64>().ln()
}

/// Where the largest value is, the first of equals.
fn first_largest(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn probabilities_are_summed_over_the_classes_that_stand_for_one() {
        // Tabby and siamese are cats, beagle is a dog, the tram is neither.
        let map = LabelMap::given(vec![Some(0), Some(0), Some(1), None], 2);
        let source = array![[0.2, 0.3, 0.1, 0.4], [0.0, 0.1, 0.9, 0.0]].mapv(f64::ln);
        let found = map.log_probabilities(&source.view()).mapv(f64::exp);
        let expected = array![[5.0 / 6.0, 1.0 / 6.0], [0.1, 0.9]];
        assert!((&found - &expected).iter().all(|d| d.abs() < 1e-15), "{found}");
    }

    #[test]
    fn a_source_class_stands_for_what_most_items_are_that_it_wins() {
        let scores = array![
            [0.9, 0.1, 0.0],
            [0.8, 0.2, 0.0],
            [0.7, 0.3, 0.0],
            // A tie between two source classes goes to the first.
            [0.5, 0.5, 0.0],
            [0.1, 0.9, 0.0],
            [0.2, 0.8, 0.0],
        ];
        let map = LabelMap::learnt(&scores.view(), &[2, 2, 0, 0, 1, 0], 3);
        // Class 0 won two items of 2 and two of 0, class 1 one of each: the smaller class of equals.
        assert_eq!(map.classes(), [Some(0), Some(0), None]);
        assert_eq!(map.missing(), [1, 2]);
        let clear = LabelMap::learnt(&scores.view(), &[2, 2, 2, 0, 1, 1], 3);
        assert_eq!(clear.classes(), [Some(2), Some(1), None]);
    }

    #[test]
    fn what_nothing_stands_for_is_never_said_and_zeros_say_nothing() {
        let map = LabelMap::given(vec![Some(0), None], 2);
        let source = array![[0.25_f64, 0.75], [0.0, 1.0]].mapv(f64::ln);
        let found = map.log_probabilities(&source.view()).mapv(f64::exp);
        assert_eq!(found.row(0).to_vec(), [1.0, 0.0]);
        assert!(found.row(1).iter().all(|p| (p - 0.5).abs() < 1e-15), "{found}");
    }

    #[test]
    fn log_probabilities_far_below_zero_are_summed() {
        let map = LabelMap::given(vec![Some(0), Some(0), Some(1)], 2);
        let found = map.log_probabilities(&array![[-2000.0, -2000.0, -2000.0]].view());
        assert!((found[[0, 0]] - (2.0_f64 / 3.0).ln()).abs() < 1e-12, "{found}");
    }
}
