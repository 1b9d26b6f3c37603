//! Advice before training.

use serde::{Deserialize, Serialize};

use crate::transferability::advisor::{Case, Measures, Way};

/// What was measured of a layer for advice, with how much there was to measure it on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Training items.
    pub items: usize,
    /// Classes with at least one of these items.
    pub classes: usize,
    /// Items of the smallest class.
    pub least_class: usize,
    /// Features of an item.
    pub features: usize,
    /// The measures, on at most so many items as the advisor looks at.
    pub measures: Measures,
}

/// What is advised.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// Digest of the target's data.
    pub target: String,
    /// What is known of each source model.
    pub models: Vec<Evidence>,
    /// What is said of each arm, in the order they were named in.
    pub arms: Vec<Advised>,
    /// Positions of arms, the one that is advised first.
    pub ranking: Vec<usize>,
    /// How likely no transfer is better than scratch, if scratch is an arm.
    pub p_best_is_scratch: Option<f64>,
    /// How many earlier outcomes taught the probabilities; nothing if they are those of the table.
    pub learnt_from: Option<usize>,
}

/// What is known of a source model for a target: means over seeds, of its last layer unless said
/// otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Training items.
    pub items: f64,
    /// Their classes.
    pub classes: usize,
    /// Items of the smallest class.
    pub least_class: f64,
    /// Features of an item.
    pub features: usize,
    /// LEEP of the source's head as a share.
    pub leep_share: Option<f64>,
    /// `LogME` of features and of those by random weights, on as many principal components.
    pub log_me: Option<(f64, f64)>,
    /// Accuracy of five nearest neighbours among features.
    pub neighbours: Option<f64>,
    /// The same among pixels.
    pub neighbours_of_pixels: Option<f64>,
    /// (features − pixels) / (1 − pixels) of these.
    pub lift: Option<f64>,
    /// Error of ridge regression for each layer, the lowest first.
    pub errors: Vec<Option<f64>>,
    /// `LogME` after principal components for each layer, less that of random weights where known.
    pub log_me_of_layers: Vec<Option<f64>>,
    /// Proxy A-distance to the other data set, with its null.
    pub proxy_a: Option<(f64, Option<f64>)>,
    /// MMD² to the other data set, with its null and p.
    pub mmd: Option<(f64, Option<f64>, Option<f64>)>,
    /// How much the features are of use, from 0 to 1.
    pub similarity: f64,
    /// The case.
    pub case: Case,
    /// The layer that a probe should read.
    pub layer: Option<usize>,
}

/// What is said of an arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advised {
    /// How it uses its source.
    pub way: Way,
    /// Its source, by position.
    pub model: Option<usize>,
    /// P(the verdict is negative).
    pub p_neg: Option<f64>,
    /// Why it cannot be had.
    pub struck: Option<String>,
    /// Whether it could be advised: it transfers, or is scratch, and can be had.
    pub can: bool,
}
