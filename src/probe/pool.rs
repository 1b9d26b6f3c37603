//! The items that a probe is chosen and fitted on.

use ndarray::{Array2, Axis};

use super::folds::{Folds, Strata};
use super::unfit::Unfit;
use crate::base::Seed;

/// What is to be said of items.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// One class each.
    Classes {
        /// The class of each item.
        labels: Vec<usize>,
        /// How many classes there are; some may have no item.
        classes: usize,
    },
    /// Any number of labels each.
    Labels(
        /// Items × labels: 1 where an item has the label, 0 where not, NaN where nobody knows.
        Array2<f64>,
    ),
    /// Numbers.
    Values(
        /// Items × values.
        Array2<f64>,
    ),
}

impl Targets {
    /// Columns of scores that a probe gives.
    pub fn columns(&self) -> usize {
        match self {
            Self::Classes { classes, .. } => *classes,
            Self::Labels(all) | Self::Values(all) => all.ncols(),
        }
    }

    /// Folds that have their share of each class, label or quantile; no group is in two of them.
    pub fn folds(
        &self,
        groups: Option<&[usize]>,
        count: usize,
        seed: Seed,
    ) -> Result<Folds, Unfit> {
        let strata = match self {
            Self::Classes { labels, classes } => Strata::Classes { labels, classes: *classes },
            Self::Labels(all) => Strata::Labels(all.view()),
            Self::Values(all) => Strata::Values(all.view()),
        };
        Folds::new(strata, groups, count, seed)
    }

    /// Those of some items.
    #[must_use]
    pub fn of(&self, rows: &[usize]) -> Self {
        match self {
            Self::Classes { labels, classes } => Self::Classes {
                labels: rows.iter().map(|&row| labels[row]).collect(),
                classes: *classes,
            },
            Self::Labels(all) => Self::Labels(all.select(Axis(0), rows)),
            Self::Values(all) => Self::Values(all.select(Axis(0), rows)),
        }
    }
}

/// Items with their features, scaled, and what is to be said of them: those trained on and those
/// that choose, in one matrix, so that whatever depends on pairs of items is computed once.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Items × features.
    pub features: Array2<f64>,
    /// One for each item.
    pub targets: Targets,
    /// How many of the first items are those of training.
    pub train: usize,
    /// How many threads may work; the result does not depend on it.
    pub threads: usize,
}

impl Pool {
    /// Features of some items.
    pub fn rows(&self, rows: &[usize]) -> Array2<f64> {
        self.features.select(Axis(0), rows)
    }
}
