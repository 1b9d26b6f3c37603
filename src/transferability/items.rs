//! What scores are computed from.

use ndarray::{Array2, ArrayView2, Axis};
use thiserror::Error;

use crate::base::{Seed, Target};

/// Why there is no score.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// A number is NaN or infinite.
    #[error("{what}: value {column} of item {row} is {value}")]
    NotFinite {
        /// What it is a value of.
        what: &'static str,
        /// Which item.
        row: usize,
        /// Which of its values.
        column: usize,
        /// What it is.
        value: String,
    },
    /// Numbers so large that their squares are no numbers.
    #[error("the features are too large to be squared")]
    TooLarge,
    /// Fewer than two classes.
    #[error("all {0} items are of one class")]
    OneClass(usize),
    /// It is made for classes.
    #[error("it is made for classes, not for {0}")]
    NotOfClasses(&'static str),
    /// Every label or number is the same for all items.
    #[error("no label or number differs between the items")]
    NothingDiffers,
    /// Too few items.
    #[error("{items} items are too few; at least {least} are needed")]
    TooFew {
        /// How many there are.
        items: usize,
        /// How many are needed.
        least: usize,
    },
    /// Fewer features than classes.
    #[error("{features} features are fewer than {classes} classes")]
    FewerFeatures {
        /// How many features there are.
        features: usize,
        /// How many classes.
        classes: usize,
    },
    /// Nothing tells items apart.
    #[error("the features of all items are the same")]
    Same,
    /// Something it is computed from is not given.
    #[error("it needs {0}")]
    Missing(&'static str),
    /// Two tables do not fit each other.
    #[error("{0}")]
    Unfit(String),
    /// Its computation came to no end.
    #[error("it has no value here: {0}")]
    NoValue(&'static str),
}

/// Target items that are trained on, and whatever else is known.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    pub(super) features: ArrayView2<'a, f64>,
    /// Numbered without gaps: a class that no item has does not count.
    pub(super) labels: Vec<usize>,
    pub(super) classes: usize,
    /// What is told of items.
    pub(super) target: Target,
    /// Items × columns: 1 for the class of an item and 0 for others; 1 for each label it has; or
    /// numbers, of mean 0 and variance 1.
    pub(super) targets: Array2<f64>,
    pub(super) source: Option<ArrayView2<'a, f64>>,
    pub(super) other: Option<ArrayView2<'a, f64>>,
    pub(super) seed: Seed,
    pub(super) threads: usize,
}

impl<'a> Items<'a> {
    /// Items × features, and the class of each item.
    pub fn new(features: ArrayView2<'a, f64>, labels: &[usize]) -> Result<Self, Refusal> {
        if features.nrows() != labels.len() {
            let (rows, labels) = (features.nrows(), labels.len());
            return Err(Refusal::Unfit(format!("{rows} items have {labels} labels")));
        }
        finite("features", &features)?;
        let mut present = labels.to_vec();
        present.sort_unstable();
        present.dedup();
        let number = |label: &usize| present.binary_search(label).unwrap_or_default();
        let labels: Vec<usize> = labels.iter().map(number).collect();
        let mut targets = Array2::zeros((labels.len(), present.len()));
        for (row, &label) in labels.iter().enumerate() {
            targets[[row, label]] = 1.0;
        }
        Ok(Self {
            features,
            labels,
            classes: present.len(),
            target: Target::Classes,
            targets,
            source: None,
            other: None,
            seed: Seed(0),
            threads: 1,
        })
    }

    /// Items × features, and items × labels (1 for those an item has, else 0) or items × numbers. A
    /// label or number that is the same for all items does not count.
    pub fn of_columns(
        features: ArrayView2<'a, f64>,
        columns: ArrayView2<'_, f64>,
        target: Target,
    ) -> Result<Self, Refusal> {
        let count = features.nrows();
        if count != columns.nrows() {
            let rows = columns.nrows();
            return Err(Refusal::Unfit(format!("{count} items have {rows} rows of columns")));
        }
        finite("columns", &columns)?;
        let spread = columns.std_axis(Axis(0), 0.0);
        let differs = |column: &usize| {
            let size = columns.column(*column).fold(0.0_f64, |most, v| most.max(v.abs()));
            spread[*column] > 1e-12 * size
        };
        let kept: Vec<usize> = (0..columns.ncols()).filter(differs).collect();
        let mut targets = columns.select(Axis(1), &kept);
        if target == Target::Values {
            for (mut column, &from) in targets.columns_mut().into_iter().zip(&kept) {
                let mean = column.mean().unwrap_or_default();
                column.mapv_inplace(|value| (value - mean) / spread[from]);
            }
        }
        let items = Self::new(features, &vec![0; count])?;
        Ok(Self { classes: 0, labels: vec![0; count], target, targets, ..items })
    }

    /// With probabilities of source classes: items × source classes.
    pub fn with_source(mut self, source: ArrayView2<'a, f64>) -> Result<Self, Refusal> {
        finite("source probabilities", &source)?;
        if source.nrows() != self.labels.len() {
            let (rows, labels) = (source.nrows(), self.labels.len());
            let message = format!("{labels} items have source probabilities of {rows}");
            return Err(Refusal::Unfit(message));
        }
        let wrong = |row: ndarray::ArrayView1<'_, f64>| {
            (row.sum() - 1.0).abs() > 1e-6 || row.iter().any(|p| *p < 0.0)
        };
        if source.axis_iter(Axis(0)).any(wrong) {
            return Err(Refusal::Unfit("source probabilities of an item do not sum to 1".into()));
        }
        self.source = Some(source);
        Ok(self)
    }

    /// With the same features of items of another domain: other items × features.
    pub fn with_other(mut self, other: ArrayView2<'a, f64>) -> Result<Self, Refusal> {
        finite("features of the other domain", &other)?;
        let (here, there) = (self.features.ncols(), other.ncols());
        if here != there {
            let message = format!("items have {here} features, those of the other domain {there}");
            return Err(Refusal::Unfit(message));
        }
        self.other = Some(other);
        Ok(self)
    }

    /// Names the draws of scores that look at some items only.
    #[must_use]
    pub fn with_seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// How many threads may work; no number depends on it.
    #[must_use]
    pub fn on_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Items with at least two classes.
    pub(super) fn told_apart(&self) -> Result<(), Refusal> {
        match self.classes {
            _ if self.target != Target::Classes => Err(Refusal::NotOfClasses(self.target.told())),
            0 => Err(Refusal::TooFew { items: 0, least: 2 }),
            1 => Err(Refusal::OneClass(self.labels.len())),
            _ if self.features.ncols() == 0 => Err(Refusal::Same),
            _ => Ok(()),
        }
    }

    /// Items of which something differs, whatever is told of them.
    pub(super) fn differ(&self) -> Result<(), Refusal> {
        match self.target {
            Target::Classes => self.told_apart(),
            _ if self.features.nrows() < 2 => {
                Err(Refusal::TooFew { items: self.features.nrows(), least: 2 })
            }
            _ if self.targets.ncols() == 0 => Err(Refusal::NothingDiffers),
            _ if self.features.ncols() == 0 => Err(Refusal::Same),
            _ => Ok(()),
        }
    }

    /// How many items each class has.
    pub(super) fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        self.labels.iter().for_each(|&label| counts[label] += 1);
        counts
    }

    /// Some items of all, at most `most`, in their order; drawn by the seed.
    pub(super) fn some(&self, purpose: &str, most: usize) -> Vec<usize> {
        drawn(self.labels.len(), most, self.seed, purpose)
    }
}

/// At most `most` of so many, in their order.
pub(super) fn drawn(count: usize, most: usize, seed: Seed, purpose: &str) -> Vec<usize> {
    let mut all: Vec<usize> = (0..count).collect();
    if count > most {
        seed.stream("transferability", purpose).shuffle(&mut all);
        all.truncate(most);
        all.sort_unstable();
    }
    all
}

fn finite(what: &'static str, values: &ArrayView2<'_, f64>) -> Result<(), Refusal> {
    let wrong = values.indexed_iter().find(|(_, value)| !value.is_finite());
    let Some(((row, column), value)) = wrong else { return Ok(()) };
    Err(Refusal::NotFinite { what, row, column, value: value.to_string() })
}
