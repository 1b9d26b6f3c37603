//! A number that may not exist, and why.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a quantity has no value for this input. Reads after "undefined: ".
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{0}")]
pub struct Undefined(String);

impl Undefined {
    /// Keeps the reason: a lowercase fragment without a full stop.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// The reason as text, for a table's cell.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0
    }
}

/// What a metric says of some predictions: a number that is never NaN, or the reason for none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// The value, in the metric's own unit and range.
    Defined(f64),
    /// No value exists, and why.
    Undefined(Undefined),
}

impl Measured {
    /// The number, if there is one.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Defined(value) => Some(*value),
            Self::Undefined(_) => None,
        }
    }

    /// The reason why there is no number, if there is none.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Defined(_) => None,
            Self::Undefined(undefined) => Some(undefined.reason()),
        }
    }

    /// No value, because of `reason`.
    pub(super) fn undefined(reason: impl Into<String>) -> Self {
        Self::Undefined(Undefined::new(reason))
    }
}

impl From<Result<f64, Undefined>> for Measured {
    fn from(result: Result<f64, Undefined>) -> Self {
        match result {
            Ok(value) => Self::Defined(value),
            Err(undefined) => Self::Undefined(undefined),
        }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defined(value) => value.fmt(f),
            Self::Undefined(undefined) => write!(f, "undefined: {undefined}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measured_value_shows_its_number_with_the_asked_precision() {
        assert_eq!(format!("{:.3}", Measured::Defined(0.74249)), "0.742");
    }

    #[test]
    fn an_undefined_value_shows_its_reason() {
        let measured = Measured::undefined("no positives");
        assert_eq!(measured.to_string(), "undefined: no positives");
        assert_eq!(measured.reason(), Some("no positives"));
        assert_eq!(measured.value(), None);
    }
}
