//! Curves and what they say: the error over the number of training items, what freezing costs at
//! each depth, and how a training rises over its steps.
//!
//! Pure functions on numbers, as [`crate::stats`] is. Errors over sizes become a [`PowerLaw`], two of
//! these a [`Crossing`], and a [`SizeCurve`] adds intervals over seeds; differences of arms over
//! depths become a [`Sweep`]; looks at val become a [`Rise`]. It must not know what a stage, a model
//! or a table is.

mod censored;
mod crossing;
mod draws;
mod freezing;
mod power_law;
mod rise;
mod size_curve;
mod used;

pub use censored::{Time, median};
pub use crossing::{Crossing, Standing};
pub use draws::{Draws, Interval, SEEDS_TO_DRAW, percentile, percentiles};
pub use freezing::{Arms, Dip, Effect, EffectKind, Finding, SeedItems, Sweep, SweepArm};
pub use power_law::{NoFit, PowerLaw, SizePoint};
pub use rise::{Gains, Look, Rise};
pub use size_curve::{Against, SizeCurve, SizedErrors};
pub use used::used_by;
