//! Penalised losses of linear scores, J(W, b) = C Σᵢ lossᵢ(W xᵢ + b) + ½ ‖W‖², minimised by
//! Newton's method. Columns of W that do not meet in a loss are problems of their own, which are
//! solved side by side: they share the rounds over the features, and nothing else.

mod approximation;
mod link;
mod minimise;
mod path;
mod problem;

pub(crate) use link::Link;
pub(crate) use path::Path;

/// Why a solver stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// It is as exact as was asked for.
    Converged,
    /// The objective cannot be bettered by more than its rounding error.
    Rounding,
    /// The cap on the work was reached before.
    Cap,
}
