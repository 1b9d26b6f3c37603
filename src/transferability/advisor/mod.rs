//! Advice before training: from the four textbook cases of small or large data and similar or
//! different sources to a ranking of arms, with what each number was; and what the advice was worth.
//!
//! Thresholds and probabilities of the table are guesses to begin with. They are made to be scored,
//! and replaced once there is a record to learn from.

use crate::base::numbers::sigmoid;

mod case;
mod isotonic;
mod judged;
mod measures;
mod ranking;
mod refit;

pub use case::{Case, Likeness, Size, similarity};
pub use judged::{Bin, Brier, base_rate_brier, brier, calibration, wilson};
pub use measures::{MOST_ITEMS, Measures, log_me_gain, measure};
pub use ranking::{Candidate, Ranked, Way, predicted_layer, rank};
pub use refit::{Chance, LEAST_ROWS, Outcome, refit};
