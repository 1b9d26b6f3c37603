//! How a probe's setting was chosen.

use serde::{Deserialize, Serialize};

use crate::probe::Choice;

/// The choice, and what its columns stand for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    /// What was chosen, and what every value gave.
    pub choice: Choice,
    /// Names of the classes, in the order of columns.
    pub classes: Vec<String>,
}
