//! What machines are to tell apart.

use ndarray::ArrayView2;

/// Targets of items.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// One class of several each; a column for each class.
    Classes {
        /// Of each item.
        labels: &'a [usize],
        /// Number of classes.
        classes: usize,
    },
    /// Whether each item is of each column, where that is known.
    Columns(ArrayView2<'a, Option<bool>>),
}

impl Targets<'_> {
    /// Number of columns.
    pub fn columns(&self) -> usize {
        match self {
            Self::Classes { classes, .. } => *classes,
            Self::Columns(targets) => targets.ncols(),
        }
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        match self {
            Self::Classes { labels, .. } => labels.len(),
            Self::Columns(targets) => targets.nrows(),
        }
    }

    fn all(&self) -> Vec<Option<bool>> {
        match self {
            Self::Classes { labels, classes } => labels
                .iter()
                .flat_map(|label| (0..*classes).map(move |class| Some(class == *label)))
                .collect(),
            Self::Columns(targets) => targets.iter().copied().collect(),
        }
    }

    /// The first weight of a column for its items, − the second for others, 0 where it is not known;
    /// items × columns.
    pub(super) fn signed(&self, weights: &[(f64, f64)]) -> Vec<f64> {
        let sign = |(yes, (positive, negative)): (bool, (f64, f64))| match yes {
            true => positive,
            false => -negative,
        };
        let all = self.all().into_iter().zip(weights.iter().copied().cycle());
        all.map(|(target, weights)| target.map_or(0.0, |yes| sign((yes, weights)))).collect()
    }

    /// How many items are of each column, and how many are known not to be.
    pub(super) fn counts(&self) -> Vec<(usize, usize)> {
        let mut counts = vec![(0, 0); self.columns()];
        for row in self.all().chunks(self.columns().max(1)) {
            for (count, target) in counts.iter_mut().zip(row) {
                match target {
                    Some(true) => count.0 += 1,
                    Some(false) => count.1 += 1,
                    None => {}
                }
            }
        }
        counts
    }
}
