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
        /// Those of 97 values from 1e-6 to 1e6 (8 a decade) that a search from coarse to fine comes
        /// to, as in the linear probes of CLIP: 1e-6, 1e-4 .. 1e6, then around the best in steps
        /// that halve.
        "clip" => Clip,
        /// 2^-19 to 2^-4 by factors of 2 and 1e-7 to 1e2 by factors of 10, as Goyal et al. (2019)
        /// try for support vector machines.
        "goyal" => Goyal,
        /// 25 values from 1e-6 to 1e6, for penalties that cost little to change.
        "ridge" => Ridge,
    }
}

impl Grid {
    /// Every value that may be tried but those beyond an edge, ascending, each once.
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
            Self::Named(Named::Clip) => (-STEPS..=STEPS).map(of_clip).collect(),
            Self::Named(Named::Goyal) => {
                let twos = (-19..=-4).map(|power| 2_f64.powi(power));
                twos.chain((-7..=2).map(|power| 10_f64.powi(power))).collect()
            }
            Self::Named(Named::Ridge) => {
                (0..25).map(|k| 10_f64.powf(-6.0 + f64::from(k) / 2.0)).collect()
            }
            Self::Listed(values) => values.iter().map(|value| value.get()).collect(),
        };
        values.sort_by(f64::total_cmp);
        values.dedup();
        values
    }

    /// The values to begin with, ascending.
    pub fn first(&self) -> Vec<f64> {
        match self {
            Self::Named(Named::Clip) => (-3..=3).map(|k| of_clip(k * COARSEST)).collect(),
            _ => self.values(),
        }
    }

    /// The values to go on with, given what those tried so far gave (ascending; lower is better,
    /// nothing where a fit failed); none to end.
    pub fn next(&self, tried: &[(f64, Option<f64>)]) -> Vec<f64> {
        let seen = tried.iter().filter_map(|&(value, seen)| Some((value, seen?)));
        let best = seen.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.total_cmp(&b.0)));
        let (Some((best, _)), Some(low), Some(high)) = (best, tried.first(), tried.last()) else {
            return vec![];
        };
        if *self == Self::Named(Named::Clip) {
            return finer(best, tried);
        }
        // A grid that may grow does so once.
        match tried.len() == self.values().len() {
            true if high.0.total_cmp(&best).is_eq() => self.beyond(true),
            true if low.0.total_cmp(&best).is_eq() => self.beyond(false),
            _ => vec![],
        }
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

/// Steps from 1 to the ends of CLIP's grid, eight a decade.
const STEPS: i32 = 48;
/// The steps it begins with: two decades.
const COARSEST: i32 = 16;

/// The value so many steps above 1.
fn of_clip(step: i32) -> f64 {
    10_f64.powf(f64::from(step) / 8.0)
}

/// The middles between the best value and those tried next to it.
fn finer(best: f64, tried: &[(f64, Option<f64>)]) -> Vec<f64> {
    let step_of = |value: f64| (8.0 * value.log10()).round() as i32;
    let best = step_of(best);
    let known = || tried.iter().map(|tried| step_of(tried.0));
    let below = known().filter(|step| *step < best).max();
    let above = known().filter(|step| *step > best).min();
    let middles = [below, above].into_iter().flatten().map(|next| i32::midpoint(best, next));
    middles.filter(|middle| !known().any(|step| step == *middle)).map(of_clip).collect()
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
        let goyal = Grid::Named(Named::Goyal).values();
        assert_eq!(goyal.len(), 26);
        assert!((goyal[0] - 1e-7).abs() < 1e-18 && (goyal[25] - 100.0).abs() < 1e-9);
        assert!(goyal.iter().any(|value| (value - 2_f64.powi(-19)).abs() < 1e-18));
        assert_eq!(Grid::Named(Named::VisslSvm).values().len(), 11);
        let ridge = Grid::Named(Named::Ridge).values();
        assert!(ridge.len() == 25 && (ridge[12] - 1.0).abs() < 1e-12);
    }

    /// All that is tried where a value's loss is its distance in decades from `best`.
    fn search(grid: &Grid, best: f64) -> Vec<f64> {
        let mut tried = vec![];
        let mut due = grid.first();
        while !due.is_empty() {
            let seen = |value: f64| Some((value.log10() - best).abs());
            tried.extend(due.iter().map(|&value| (value, seen(value))));
            tried.sort_by(|a: &(f64, _), b| a.0.total_cmp(&b.0));
            due = grid.next(&tried);
        }
        tried.into_iter().map(|tried| tried.0).collect()
    }

    #[test]
    fn clips_grid_is_searched_from_coarse_to_fine() {
        let grid = Grid::Named(Named::Clip);
        assert_eq!(grid.values().len(), 97);
        assert_eq!(grid.first().len(), 7);
        for best in [-6.0, -5.875, -1.3, 0.0, 0.125, 2.7, 6.0] {
            let tried = search(&grid, best);
            let found = tried.iter().map(|value| (value.log10() - best).abs());
            let nearest = found.fold(f64::INFINITY, f64::min);
            assert!(nearest <= 1.0 / 16.0 + 1e-9, "{best}: {nearest}");
            assert!(tried.len() <= 15, "{best}: {tried:?}");
            let all = grid.values();
            let is_known = |value: &f64| all.iter().any(|known| known.total_cmp(value).is_eq());
            assert!(tried.iter().all(is_known));
        }
    }

    #[test]
    fn the_default_grid_grows_once_beyond_an_edge() {
        let default = Grid::Named(Named::Default);
        assert_eq!(search(&default, 0.0).len(), 13);
        assert_eq!(search(&default, 9.0).len(), 16);
        assert_eq!(search(&default, -9.0).len(), 16);
        assert_eq!(search(&Grid::Named(Named::Dinov2), 9.0).len(), 45);
        let failed: Vec<_> = default.values().into_iter().map(|value| (value, None)).collect();
        assert!(default.next(&failed).is_empty() && default.next(&[]).is_empty());
    }

    #[test]
    fn a_list_is_sorted_and_each_value_is_tried_once() {
        let listed = [10.0, 0.1, 10.0].map(|value| Cost::new(value).unwrap()).to_vec();
        assert_eq!(Grid::Listed(listed).values(), [0.1, 10.0]);
    }
}
