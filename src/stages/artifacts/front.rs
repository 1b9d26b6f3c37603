//! Scores of arms beside what they ask of a device.

use serde::{Deserialize, Serialize};

/// What one arm scored, and what cutting it off cost. Names and sizes are added by whoever reads the
/// plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrontRow {
    /// Position of the arm among the stage's inputs.
    pub arm: usize,
    /// Position of the whole model it is compared with, if it is.
    pub full: Option<usize>,
    /// Seeds with a score.
    pub seeds: usize,
    /// Items that were scored.
    pub items: usize,
    /// Mean over seeds of the metric.
    pub score: Option<f64>,
    /// Its standard deviation over seeds.
    pub deviation: Option<f64>,
    /// Score less that of the whole model, positive meaning better; nothing where it is compared
    /// with none.
    pub damage: Option<Damage>,
}

/// A difference to the whole model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Damage {
    /// The mean over seeds and items.
    pub delta: f64,
    /// Lower end of the 95 % interval over seeds and items; nothing for one seed.
    pub lo: Option<f64>,
    /// Upper end.
    pub hi: Option<f64>,
    /// Two-sided p-value of no difference.
    pub p: Option<f64>,
}

/// The rows of a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FrontRows {
    /// The metric.
    pub metric: String,
    /// Whether a higher value is better.
    pub higher: bool,
    /// One row for each arm.
    pub rows: Vec<FrontRow>,
}
