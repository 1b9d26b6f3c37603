//! Scores that say, before anything is trained, how well features of a base model may serve a
//! target's labels, and how far two domains are apart.
//!
//! Pure functions on numbers, as [`crate::stats`] is. The way through the room is [`Items`] → a
//! [`Score`] of [`SCORES`] → its [`Number`]s, and afterwards [`weighted_tau`] and [`regret`] say
//! what the scores were worth. It must not know what a stage, a model or a table is.

#![allow(clippy::needless_pass_by_value, reason = "a view of an array is a reference itself")]

pub mod advisor;
mod align;
mod distances;
mod items;
mod judged;
mod matrix;
mod score;
mod scores;

#[cfg(test)]
mod moons;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod testing;

pub use align::{Alignment, Unalignable};
pub use items::{Items, Refusal};
pub use judged::{regret, weighted_tau};
pub use score::{Change, Needs, Number, SCORES, Score, score};
