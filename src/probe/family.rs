//! What every kind of probe is: a family of classifiers that differ in one number, along which they
//! are fitted one after the other.

use ndarray::{Array1, Array2, ArrayView2};

use super::ProbeError;
use super::pool::Pool;

/// Probes that differ in one number: inverse strengths, neighbours, penalties.
pub trait Family: Send + Sync {
    /// What the number is called: `c`, `lambda`, `k`; nothing if there is none to choose.
    fn setting(&self) -> Option<&'static str>;

    /// Whether its probabilities are too rough to choose by, as shares of few votes are.
    fn is_rough(&self) -> bool {
        false
    }

    /// Computes once what all fits on items of this pool share.
    fn prepare<'a>(&'a self, pool: &'a Pool) -> Result<Box<dyn Prepared + 'a>, ProbeError>;
}

/// A family that is ready for one pool.
pub trait Prepared {
    /// Fits on some items of the pool, to be made along the family's number.
    fn path<'a>(&'a self, rows: &[usize]) -> Result<Box<dyn Path + 'a>, ProbeError>;
}

/// Fits on the same items, one after the other; each may start from the one before.
pub trait Path {
    /// Fits at one value.
    fn fit(&mut self, value: f64) -> Result<(), ProbeError>;

    /// What the last fit says of some items of the pool.
    fn scores(&self, rows: &[usize]) -> Array2<f64>;

    /// What each item it was fitted on would be given by the fit without it, where that costs
    /// nothing.
    fn left_out(&self) -> Option<Array2<f64>> {
        None
    }

    /// The last fit, to be kept.
    fn fitted(&self) -> Box<dyn Fitted>;

    /// Whether the last fit ended at its limit of steps instead of its tolerance.
    fn is_capped(&self) -> bool {
        false
    }
}

/// A fitted probe.
pub trait Fitted: Send {
    /// Items × columns (classes, labels or values). Higher is more likely; logarithms of
    /// probabilities where [`Fitted::no_probabilities`] has no objection; values are just values.
    fn scores(&self, features: ArrayView2<'_, f64>) -> Array2<f64>;

    /// Why its scores are no probabilities, if they are none.
    fn no_probabilities(&self) -> Option<&'static str>;

    /// What a reader should know of it.
    fn note(&self) -> Option<String> {
        None
    }

    /// Scores = features · weights + biases before they are made probabilities, if that is all
    /// there is: features × columns, and one bias for each column.
    fn linear(&self) -> Option<(Array2<f64>, Array1<f64>)> {
        None
    }
}
