//! Strengths that are tried.

use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};

use crate::base::language::{Above0, OneOrMore, Read, choice};
use crate::base::{Found, Value, Written};

/// Inverse regularisation strength C: finite and above zero.
pub type Cost = Above0;

/// The values of C that are tried, ascending.
#[derive(Clone, Debug, PartialEq)]
pub enum Grid {
    /// By name.
    Named(Named),
    /// One by one.
    Listed(Vec<Cost>),
}

choice! {
    /// A grid by name.
    pub enum Named {
        /// 13 values from 1e-4 to 1e4, three more beyond an edge that proves best.
        "default" => Default,
        /// 45 values from 1e-6 to 1e5, as in the linear evaluation of `DINOv2`.
        "dinov2" => Dinov2,
        /// .01 .1 1 2 5 10 15 20 50 100 1000, as in VISSL's SVM benchmark.
        "vissl_svm" => VisslSvm,
    }
}

impl Grid {
    /// The values, ascending, each once.
    pub fn values(&self) -> Vec<f64> {
        let mut values: Vec<f64> = match self {
            Self::Named(Named::Default) => {
                (0..13).map(|k| 10_f64.powf(-4.0 + 2.0 * f64::from(k) / 3.0)).collect()
            }
            Self::Named(Named::Dinov2) => {
                (0..45).map(|k| 10_f64.powf(-6.0 + 11.0 * f64::from(k) / 44.0)).collect()
            }
            Self::Named(Named::VisslSvm) => {
                vec![0.01, 0.1, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0, 1000.0]
            }
            Self::Listed(values) => values.iter().map(|value| value.get()).collect(),
        };
        values.sort_by(f64::total_cmp);
        values.dedup();
        values
    }

    /// Three more values beyond the lower or upper end, if this grid may grow.
    pub fn beyond(&self, upwards: bool) -> Vec<f64> {
        if *self != Self::Named(Named::Default) {
            return vec![];
        }
        let steps = (1..=3).map(|step| 2.0 * f64::from(step) / 3.0);
        steps.map(|step| 10_f64.powf(if upwards { 4.0 + step } else { -4.0 - step })).collect()
    }
}

impl Serialize for Grid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Named(named) => json!({ "grid": named }).serialize(serializer),
            Self::Listed(values) => values.serialize(serializer),
        }
    }
}

impl Read for Grid {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        match &written.value {
            Value::Map(entries) if entries.len() == 1 && *entries[0].key == "grid" => {
                Named::read(&entries[0].value, found).map(Self::Named)
            }
            Value::Map(_) | Value::Text(_) => {
                found.add(crate::base::language::unexpected(written, WORDS));
                None
            }
            _ => OneOrMore::read(written, found).map(|values| Self::Listed(values.0)),
        }
    }

    fn schema() -> Json {
        let named = json!({
            "type": "object",
            "properties": { "grid": Named::schema() },
            "required": ["grid"],
            "additionalProperties": false,
        });
        json!({ "title": WORDS, "oneOf": [OneOrMore::<Cost>::schema(), named] })
    }
}

const WORDS: &str = "a number above 0, a list of them, or `{ grid: NAME }`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_grids_have_their_published_values() {
        let dinov2 = Grid::Named(Named::Dinov2).values();
        assert_eq!(dinov2.len(), 45);
        assert!((dinov2[0] - 1e-6).abs() < 1e-18 && (dinov2[44] - 1e5).abs() < 1e-6);
        let default = Grid::Named(Named::Default);
        assert_eq!(default.values().len(), 13);
        assert!((default.beyond(true)[2] - 1e6).abs() < 1e-4);
        assert!(Grid::Named(Named::Dinov2).beyond(true).is_empty());
    }

    #[test]
    fn a_list_is_sorted_and_each_value_is_tried_once() {
        let listed = [10.0, 0.1, 10.0].map(|value| Cost::new(value).unwrap()).to_vec();
        assert_eq!(Grid::Listed(listed).values(), [0.1, 10.0]);
    }
}
