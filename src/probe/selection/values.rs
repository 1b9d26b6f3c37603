//! The values of a setting that are tried.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::super::grid::Grid;
use super::Curve;

/// Which values are tried, and in what order.
pub trait Values: Send + Sync {
    /// Those to begin with, ascending.
    fn first(&self) -> Vec<f64>;

    /// Those to go on with, given what all tried so far gave; none to end.
    fn next(&self, _curve: &Curve) -> Vec<f64> {
        vec![]
    }

    /// All of the above, for keys.
    fn key(&self) -> Json;

    /// Whether there are values below the smallest, so that a best one there is at an edge.
    fn is_open_below(&self) -> bool {
        true
    }
}

/// Just these.
impl Values for Vec<f64> {
    fn first(&self) -> Vec<f64> {
        self.clone()
    }

    fn key(&self) -> Json {
        json!(self)
    }
}

impl Values for Grid {
    fn first(&self) -> Vec<f64> {
        Self::first(self)
    }

    fn next(&self, curve: &Curve) -> Vec<f64> {
        Self::next(self, curve)
    }

    fn key(&self) -> Json {
        json!([self.values(), self.beyond(true), Self::first(self)])
    }
}

/// Whole numbers of at least 1, ascending: there is nothing below the smallest one there can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts(Vec<usize>);

impl Counts {
    /// Each once.
    pub fn new(counts: impl IntoIterator<Item = usize>) -> Self {
        let all: BTreeSet<usize> = counts.into_iter().collect();
        Self(all.into_iter().collect())
    }

    /// The largest.
    pub fn most(&self) -> usize {
        self.0.last().copied().unwrap_or(1)
    }
}

impl Values for Counts {
    fn first(&self) -> Vec<f64> {
        self.0.iter().map(|&count| count as f64).collect()
    }

    fn key(&self) -> Json {
        json!(self.0)
    }

    fn is_open_below(&self) -> bool {
        self.0.first() != Some(&1)
    }
}
