//! Learning rates to try: those that are listed, or one that a test finds.

use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};

use crate::base::language::{Above0, OneOrMore, Read, unexpected};
use crate::base::{Found, Value, Written};

/// Learning rates of the head to choose from, on val.
#[derive(Clone, Debug, PartialEq)]
pub enum Rates {
    /// These.
    Listed(Vec<Above0>),
    /// The one that a range test finds.
    RangeTest,
}

/// One rate to try.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rate {
    /// This one.
    Known(f64),
    /// The one that a range test has found; it comes in at a port.
    Tested,
}

const RANGE_TEST: &str = "range_test";
const WORDS: &str = "a number above 0 or a list of them, or `range_test`";

impl Rates {
    /// The rates, ascending, each once.
    pub(super) fn tried(&self) -> Vec<Rate> {
        match self {
            Self::RangeTest => vec![Rate::Tested],
            Self::Listed(_) => self.listed().into_iter().map(Rate::Known).collect(),
        }
    }

    /// What of them belongs into a key: rates are tried in ascending order, however they were
    /// written.
    pub(super) fn key(&self) -> Json {
        match self {
            Self::RangeTest => json!(RANGE_TEST),
            Self::Listed(_) => json!(self.listed()),
        }
    }

    /// The rates that are listed, ascending, each once.
    pub(super) fn listed(&self) -> Vec<f64> {
        let Self::Listed(rates) = self else { return vec![] };
        let mut rates: Vec<f64> = rates.iter().map(|rate| rate.get()).collect();
        rates.sort_by(f64::total_cmp);
        rates.dedup();
        rates
    }
}

impl Rates {
    /// The same list with more rates.
    pub(super) fn with(&self, more: &[f64]) -> Self {
        Self::from(&[&self.listed(), more].concat()[..])
    }
}

impl Rate {
    /// What people see.
    pub(super) fn label(self) -> String {
        match self {
            Self::Known(rate) => format!("lr={rate}"),
            Self::Tested => format!("lr={RANGE_TEST}"),
        }
    }
}

impl From<&[f64]> for Rates {
    fn from(rates: &[f64]) -> Self {
        Self::Listed(rates.iter().copied().filter_map(Above0::new).collect())
    }
}

impl Serialize for Rates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Listed(rates) => rates.serialize(serializer),
            Self::RangeTest => serializer.serialize_str(RANGE_TEST),
        }
    }
}

impl Read for Rates {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        match &written.value {
            Value::Text(word) if word == RANGE_TEST => Some(Self::RangeTest),
            Value::Text(_) => {
                found.add(unexpected(written, WORDS));
                None
            }
            _ => OneOrMore::read(written, found).map(|rates| Self::Listed(rates.0)),
        }
    }

    fn schema() -> Json {
        let test = json!({
            "const": RANGE_TEST,
            "description": "Trains for 100 steps at rates from 1e-7 to 10 and takes a tenth of the \
                            one at which the loss was smallest.",
        });
        let listed = OneOrMore::<Above0>::schema();
        json!({
            "title": WORDS,
            "oneOf": [listed, test],
        })
    }
}
