//! Scores of features before training.

use serde::{Deserialize, Serialize};

/// All scores of one layer's features for one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimates {
    /// Training items that were looked at.
    pub items: usize,
    /// Features of an item.
    pub features: usize,
    /// Classes with at least one of these items; or how many labels or numbers each has.
    pub classes: usize,
    /// One row for each number.
    pub rows: Vec<Estimate>,
}

/// A number of a score, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The score it belongs to.
    pub family: String,
    /// What it is called.
    pub score: String,
    /// Whether higher is better.
    pub higher_is_better: bool,
    /// Its value.
    pub value: Option<f64>,
    /// Standard deviation over starts, where there are several.
    pub deviation: Option<f64>,
    /// How likely so large a distance is within one domain.
    pub p: Option<f64>,
    /// The same distance within the other domain.
    pub null: Option<f64>,
    /// Why there is no value, or what a reader should know of it.
    pub remark: Option<String>,
}
