//! Which classes are taken for which.

use ndarray::{Array2, ArrayView2};

use crate::stats::predictions::Predictions;

/// Counts of items by label (row) and predicted class (column).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    counts: Array2<usize>,
}

impl Confusion {
    /// Counts the predictions.
    #[must_use]
    pub fn of(predictions: &Predictions<'_>) -> Self {
        let classes = predictions.classes();
        let mut counts = Array2::zeros((classes, classes));
        for (&label, &predicted) in predictions.labels().iter().zip(predictions.predicted()) {
            counts[[label, predicted]] += 1;
        }
        Self { counts }
    }

    /// Counts that are there already, rows are the truth.
    pub(in crate::stats) fn from_counts(counts: Array2<usize>) -> Self {
        Self { counts }
    }

    /// The C x C counts, rows are the truth.
    #[must_use]
    pub fn counts(&self) -> ArrayView2<'_, usize> {
        self.counts.view()
    }

    /// The number of classes C.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.counts.nrows()
    }

    /// The number of items N.
    #[must_use]
    pub fn items(&self) -> usize {
        self.counts.sum()
    }

    /// Items of `class` that are predicted as such. 0 for a class that does not exist.
    #[must_use]
    pub fn hits(&self, class: usize) -> usize {
        self.counts.get([class, class]).copied().unwrap_or_default()
    }

    /// Items whose label is `class`. 0 for a class that does not exist.
    #[must_use]
    pub fn labelled(&self, class: usize) -> usize {
        self.counts.rows().into_iter().nth(class).map_or(0, |row| row.sum())
    }

    /// Items predicted as `class`. 0 for a class that does not exist.
    #[must_use]
    pub fn predicted(&self, class: usize) -> usize {
        self.counts.columns().into_iter().nth(class).map_or(0, |column| column.sum())
    }

    /// The classes that occur among the labels, ascending; at least one.
    pub fn present(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.classes()).filter(|&class| self.labelled(class) > 0)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::stats::testing::ten_items;

    #[test]
    fn rows_are_the_truth() {
        let confusion = Confusion::of(&ten_items().view());
        assert_eq!(confusion.counts(), array![[3, 1, 0], [0, 2, 1], [1, 0, 2]]);
        assert_eq!(confusion.items(), 10);
    }

    #[test]
    fn margins_count_labels_and_predictions() {
        let confusion = Confusion::of(&ten_items().view());
        assert_eq!([0, 1, 2].map(|class| confusion.labelled(class)), [4, 3, 3]);
        assert_eq!([0, 1, 2].map(|class| confusion.predicted(class)), [4, 3, 3]);
        assert_eq!([0, 1, 2].map(|class| confusion.hits(class)), [3, 2, 2]);
        assert_eq!((confusion.hits(9), confusion.labelled(9), confusion.predicted(9)), (0, 0, 0));
    }

    #[test]
    fn classes_without_labels_are_not_present() {
        let mut answers = ten_items();
        answers.labels = vec![0, 0, 0, 0, 2, 2, 2, 2, 2, 2];
        let confusion = Confusion::of(&answers.view());
        assert_eq!(confusion.present().collect::<Vec<_>>(), [0, 2]);
    }
}
