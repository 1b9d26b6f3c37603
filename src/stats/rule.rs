//! The decision rule: what a verdict asks of the probabilities. Its thresholds are choices of this
//! program, fixed before any data are seen.

use serde::{Deserialize, Serialize};

use super::two_way::Masses;

/// Family-wise probability of a wrong claim, for each direction.
pub const LEVEL: f64 = 0.05;

/// Probability that the difference is practically none, from which the arms count as equal where
/// there is one look; also the probability from which an undecided comparison leans to one side.
pub const NEUTRAL_MASS: f64 = 0.95;

/// Fewer paired seeds than this say nothing of their spread.
pub const MIN_SEEDS: usize = 3;

/// Fewer test items, or groups of items, than this carry no verdict.
pub const MIN_UNITS: usize = 50;

/// A larger share of seeds without both arms carries no verdict: what failed may not be a random
/// part.
pub const MAX_MISSING_SHARE: f64 = 0.2;

/// What is claimed of an arm against its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Better by more than the region of practical equivalence.
    Positive,
    /// Practically the same.
    Neutral,
    /// Worse by more than the region of practical equivalence: negative transfer.
    Negative,
    /// The data do not tell, or must not be asked.
    Inconclusive,
}

/// Half the width of the region of practical equivalence for a test of so many units: `eps`, but
/// never below 1 / units, since one item more or less is no difference between methods.
#[must_use]
pub fn widened_rope(eps: f64, units: usize) -> f64 {
    eps.max(1.0 / units.max(1) as f64)
}

/// `q_neg` and `q_pos` are the p-values, corrected for the family, of "not worse than -eps" and
/// "not better than eps"; `level` is [`LEVEL`], or what one of several looks may spend of it.
pub(super) fn classify(masses: Masses, q_neg: f64, q_pos: f64, level: f64) -> Class {
    if q_neg <= level {
        Class::Negative
    } else if q_pos <= level {
        Class::Positive
    } else if masses.within >= 1.0 - level {
        Class::Neutral
    } else {
        Class::Inconclusive
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::assert_close;

    fn masses(below: f64, above: f64) -> Masses {
        Masses { below, within: 1.0 - below - above, above }
    }

    #[test]
    fn the_region_is_never_narrower_than_one_item() {
        assert_close(widened_rope(0.01, 1000), 0.01, 0.0);
        assert_close(widened_rope(0.01, 50), 0.02, 0.0);
        assert_close(widened_rope(f64::NAN, 50), 0.02, 0.0);
        assert!(widened_rope(0.01, 0).is_finite());
    }

    #[test]
    fn each_class_has_its_threshold() {
        assert_eq!(classify(masses(0.96, 0.0), 0.05, 1.0, LEVEL), Class::Negative);
        assert_eq!(classify(masses(0.0, 0.96), 1.0, 0.05, LEVEL), Class::Positive);
        assert_eq!(classify(masses(0.02, 0.02), 0.98, 0.98, LEVEL), Class::Neutral);
        assert_eq!(classify(masses(0.5, 0.1), 0.5, 0.9, LEVEL), Class::Inconclusive);
    }

    #[test]
    fn one_look_of_several_asks_for_more() {
        let class = |masses, q_neg, q_pos| classify(masses, q_neg, q_pos, 0.01);
        assert_eq!(class(masses(0.96, 0.0), 0.04, 1.0), Class::Inconclusive);
        assert_eq!(class(masses(0.02, 0.02), 0.98, 0.98), Class::Inconclusive);
        assert_eq!(class(masses(0.004, 0.004), 0.99, 0.99), Class::Neutral);
    }

    #[test]
    fn a_correction_can_take_a_claim_away() {
        assert_eq!(classify(masses(0.96, 0.0), 0.12, 1.0, LEVEL), Class::Inconclusive);
    }
}
