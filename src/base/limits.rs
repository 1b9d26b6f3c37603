//! What a small device has.

use serde::{Deserialize, Serialize};

/// What a small device has for one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes for weights.
    pub flash: u64,
    /// Bytes for activations that are alive at once.
    pub ram: u64,
    /// Multiply–accumulates of one prediction, if they are limited.
    pub macs: Option<u64>,
    /// Whether numbers have 8 bits rather than 32.
    pub int8: bool,
}
