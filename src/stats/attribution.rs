//! Is it the source, or the way of training? The difference of an arm split by its twin.

use std::fmt;

use ndarray::ArrayRef2;
use serde::{Deserialize, Serialize};

use super::evidence::Evidence;
use super::two_way::TwoWay;
use super::units::units;

/// The difference of an arm from scratch, split by the arm's twin: the same freezing, learning rates
/// and budget with random weights instead of the source's.
///
/// ```text
/// arm - scratch = (twin - scratch) + (arm - twin)
///                  protocol effect    source effect
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Attribution {
    /// Arm minus scratch.
    pub total: Evidence,
    /// Twin minus scratch: what the way of training does without any source.
    pub protocol: Evidence,
    /// Arm minus twin: what the source adds to it.
    pub source: Evidence,
}

/// What a difference comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The way of training.
    Protocol,
    /// The weights of the source.
    Source,
    /// Both, in the same direction.
    Both,
}

/// The word used in tables.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Protocol => "protocol",
            Self::Source => "source",
            Self::Both => "both",
        })
    }
}

impl Attribution {
    /// Analyses scores of the three arms, seeds × items, higher being better, each paired with the
    /// others; `groups` are those of [`units`]. A metric that is no mean over items has no such
    /// scores: its three effects come from resamples.
    ///
    /// `None` where shapes differ or a part cannot be analysed.
    #[must_use]
    pub fn of(
        arm: &ArrayRef2<f64>,
        twin: &ArrayRef2<f64>,
        scratch: &ArrayRef2<f64>,
        groups: Option<&[usize]>,
    ) -> Option<Self> {
        if arm.dim() != twin.dim() || arm.dim() != scratch.dim() {
            return None;
        }
        let analyse = |better: &ArrayRef2<f64>, worse: &ArrayRef2<f64>| {
            TwoWay::of(&units(&(better.to_owned() - worse), groups).ok()?).map(Evidence::from)
        };
        Some(Self {
            total: analyse(arm, scratch)?,
            protocol: analyse(twin, scratch)?,
            source: analyse(arm, twin)?,
        })
    }

    /// Which of the two effects have an interval of probability `level` that excludes 0 on the side
    /// of the whole difference; none if neither has.
    ///
    /// An effect that pulls the other way is no cause of the difference, however certain it is.
    #[must_use]
    pub fn cause(&self, level: f64) -> Option<Cause> {
        let same_side = |effect: &Evidence| {
            let (low, high) = effect.interval(level);
            if self.total.summary().mean < 0.0 { high < 0.0 } else { low > 0.0 }
        };
        match (same_side(&self.protocol), same_side(&self.source)) {
            (true, true) => Some(Cause::Both),
            (true, false) => Some(Cause::Protocol),
            (false, true) => Some(Cause::Source),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::stats::testing::{Draws, assert_close};

    /// Scores of three arms that share seeds and items.
    fn arms(protocol: f64, source: f64) -> [Array2<f64>; 3] {
        let mut draws = Draws::seeded(6);
        let common = Array2::from_shape_simple_fn((5, 80), || draws.normal());
        let mut around = |mean: f64| {
            &common + mean + Array2::from_shape_simple_fn((5, 80), || 0.1 * draws.normal())
        };
        [around(protocol + source), around(protocol), around(0.0)]
    }

    fn cause(protocol: f64, source: f64) -> Option<Cause> {
        let [arm, twin, scratch] = arms(protocol, source);
        Attribution::of(&arm, &twin, &scratch, None).unwrap().cause(0.95)
    }

    #[test]
    fn both_effects_add_up_to_the_difference() {
        let [arm, twin, scratch] = arms(-0.1, -0.09);
        let found = Attribution::of(&arm, &twin, &scratch, None).unwrap();
        let [protocol, source, total] =
            [&found.protocol, &found.source, &found.total].map(|effect| effect.summary().mean);
        assert_close(protocol + source, total, 1e-12);
        assert_close(protocol, -0.1, 0.03);
        assert_close(source, -0.09, 0.03);
    }

    #[test]
    fn the_cause_is_what_excludes_zero() {
        assert_eq!(cause(-0.2, 0.0), Some(Cause::Protocol));
        assert_eq!(cause(0.0, 0.2), Some(Cause::Source));
        assert_eq!(cause(-0.2, -0.2), Some(Cause::Both));
        assert_eq!(cause(0.0, 0.0), None);
    }

    #[test]
    fn what_pulls_the_other_way_is_no_cause() {
        assert_eq!(cause(-0.5, 0.2), Some(Cause::Protocol));
        assert_eq!(cause(-0.2, 0.5), Some(Cause::Source));
    }

    #[test]
    fn arms_of_other_shapes_cannot_be_split() {
        let [arm, twin, scratch] = arms(0.0, 0.0);
        assert_eq!(Attribution::of(&arm, &twin, &Array2::zeros((5, 79)), None), None);
        assert_eq!(Attribution::of(&arm, &twin, &scratch, Some(&[0, 1])), None);
        let single = Array2::zeros((1, 9));
        assert_eq!(Attribution::of(&single, &single, &single, None), None);
    }

    #[test]
    fn groups_count_once() {
        let [arm, twin, scratch] = arms(0.1, 0.1);
        let pairs: Vec<usize> = (0..80).map(|item| item / 2).collect();
        let found = Attribution::of(&arm, &twin, &scratch, Some(&pairs)).unwrap();
        assert_eq!(found.total.summary().items, 40);
    }
}
