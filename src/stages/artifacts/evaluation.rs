//! Scores of predictions.

use serde::{Deserialize, Serialize};

use crate::stats::Measured;

/// A value, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The metric.
    pub metric: String,
    /// The class it is about, if it is about one.
    pub class: Option<String>,
    /// Its value.
    pub value: Option<f64>,
    /// Why there is none.
    pub reason: Option<String>,
}

impl Score {
    /// A measured score.
    pub fn new(metric: &str, class: Option<&str>, measured: &Measured) -> Self {
        Self {
            metric: metric.to_owned(),
            class: class.map(str::to_owned),
            value: measured.value(),
            reason: measured.reason().map(str::to_owned),
        }
    }
}

/// A count of the confusion table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassScore {
    /// The class items have.
    pub truth: String,
    /// The class predicted.
    pub predicted: String,
    /// How many.
    pub count: usize,
}

/// All scores of one set of predictions on one part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The part.
    pub part: String,
    /// Items in it.
    pub items: usize,
    /// Scores.
    pub scores: Vec<Score>,
    /// The confusion table, row by row.
    pub confusion: Vec<ClassScore>,
}
