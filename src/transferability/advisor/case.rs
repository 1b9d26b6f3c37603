//! Which of the textbook cases a study is: how much data there is for each class, and how much the
//! source's features are of use for these labels.

use serde::{Deserialize, Serialize};

use super::sigmoid;

/// How much data there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// Little.
    Small,
    /// Between.
    Medium,
    /// Much.
    Large,
}

/// How much the source's features are of use for the target's labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Likeness {
    /// Much.
    Similar,
    /// Somewhat.
    Partly,
    /// Hardly.
    Different,
}

/// Fewer items than these are little data, however few the classes.
const SEVERAL_HUNDRED: f64 = 300.0;

impl Size {
    /// Of n training items and C classes: σ((log₁₀(n/C) − log₁₀ 200) / 0.3) below .25 is small,
    /// above .75 large; fewer than 300 items are small in any case.
    pub fn of(items: f64, classes: usize) -> Self {
        let level = Self::level(items, classes);
        match level {
            _ if items < SEVERAL_HUNDRED => Self::Small,
            level if level < 0.25 => Self::Small,
            level if level > 0.75 => Self::Large,
            _ => Self::Medium,
        }
    }

    /// The level between 0 and 1 that is compared with .25 and .75.
    pub fn level(items: f64, classes: usize) -> f64 {
        let for_each = items / classes.max(1) as f64;
        sigmoid((for_each.log10() - 200_f64.log10()) / 0.3)
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }
}

impl Likeness {
    /// Above .6 similar, below .35 different.
    pub fn of(similarity: f64) -> Self {
        match similarity {
            s if s > 0.6 => Self::Similar,
            s if s < 0.35 => Self::Different,
            _ => Self::Partly,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Similar => "similar",
            Self::Partly => "partly similar",
            Self::Different => "different",
        }
    }
}

/// How much features are of use for these labels, from 0 to 1: the mean of what is known of LEEP as
/// a share, the lift of nearest neighbours over pixels (within 0 and 1), and σ(ΔLogME / .05) against
/// random weights. Nothing if nothing is known.
pub fn similarity(
    leep_share: Option<f64>,
    lift: Option<f64>,
    log_me_gain: Option<f64>,
) -> Option<f64> {
    let lift = lift.map(|lift| lift.clamp(0.0, 1.0));
    let gain = log_me_gain.map(|gain| sigmoid(gain / 0.05));
    let known: Vec<f64> = [leep_share, lift, gain].into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

/// A case of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// How much data there is.
    pub size: Size,
    /// How much the source's features are of use.
    pub likeness: Likeness,
}

impl Case {
    /// What textbooks advise for it, the first choice first.
    pub fn textbook(self) -> &'static str {
        use Likeness::{Different, Partly, Similar};
        match (self.size, self.likeness) {
            (Size::Small, Similar) => "a probe on the last layer; then all layers, tuned gently",
            (Size::Small, Partly) => {
                "a probe on the best layer; then the lower layers frozen and the rest tuned"
            }
            (Size::Small, Different) => {
                "a probe on an earlier layer; the upper layers cut off, or all tuned; scratch beside it"
            }
            (Size::Medium, Different) => {
                "all layers, tuned gently; some of them frozen; scratch beside it"
            }
            (Size::Medium, _) => "all layers, tuned gently; some of them frozen",
            (Size::Large, Similar) => "all layers tuned, gently and at one rate",
            (Size::Large, Partly) => "all layers tuned; scratch beside it",
            (Size::Large, Different) => {
                "all layers tuned, and scratch, both in full: textbooks differ on which is better"
            }
        }
    }

    /// P(negative transfer) with everything frozen, and with everything tuned. Those of medium sizes
    /// are means of their neighbours, and so is what lies between similar and different of much data.
    pub fn chances(self) -> (f64, f64) {
        use Likeness::{Different, Partly, Similar};
        let between = |a: (f64, f64), b: (f64, f64)| (0.5 * (a.0 + b.0), 0.5 * (a.1 + b.1));
        let of = |size, likeness| Self { size, likeness }.chances();
        match (self.size, self.likeness) {
            (Size::Small, Similar) => (0.05, 0.15),
            (Size::Small, Partly) => (0.30, 0.25),
            (Size::Small, Different) => (0.60, 0.40),
            (Size::Large, Similar) => (0.20, 0.03),
            (Size::Large, Different) => (0.70, 0.25),
            (Size::Large, Partly) => between(of(Size::Large, Similar), of(Size::Large, Different)),
            (Size::Medium, any) => between(of(Size::Small, any), of(Size::Large, any)),
        }
    }

    /// The same for an arm of which so large a share is frozen: a line between the two.
    pub fn chance(self, frozen: f64) -> f64 {
        let (all, none) = self.chances();
        none + frozen.clamp(0.0, 1.0) * (all - none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transferability::testing::assert_close;

    #[test]
    fn sizes_are_told_by_items_for_each_class() {
        assert_close(Size::level(2000.0, 10), 0.5, 1e-12);
        assert_eq!(Size::of(2000.0, 10), Size::Medium);
        assert_eq!(Size::of(800.0, 10), Size::Small);
        assert_eq!(Size::of(20_000.0, 10), Size::Large);
        // Two hundred for each class of one: still not several hundred.
        assert_eq!(Size::of(299.0, 1), Size::Small);
        assert_eq!(Size::of(300.0, 1), Size::Medium);
    }

    #[test]
    fn similarity_is_the_mean_of_what_is_known() {
        assert_eq!(similarity(None, None, None), None);
        assert_eq!(similarity(Some(0.21), None, None), Some(0.21));
        assert_close(similarity(Some(0.2), Some(-1.0), Some(0.0)).unwrap(), 0.7 / 3.0, 1e-12);
        assert_close(similarity(None, Some(3.0), Some(0.05)).unwrap(), 0.865_529_289, 1e-9);
        let likeness = [0.61, 0.6, 0.35, 0.34].map(Likeness::of);
        let words = likeness.map(Likeness::word);
        assert_eq!(words, ["similar", "partly similar", "partly similar", "different"]);
    }

    #[test]
    fn chances_between_are_means_of_their_neighbours() {
        let chances = |size, likeness| Case { size, likeness }.chances();
        for (size, likeness, all, none) in [
            (Size::Medium, Likeness::Similar, 0.125, 0.09),
            (Size::Medium, Likeness::Different, 0.65, 0.325),
            (Size::Large, Likeness::Partly, 0.45, 0.14),
        ] {
            let (frozen, tuned) = chances(size, likeness);
            assert_close(frozen, all, 1e-12);
            assert_close(tuned, none, 1e-12);
        }
        let small = Case { size: Size::Small, likeness: Likeness::Different };
        assert_close(small.chance(0.5), 0.5, 1e-12);
    }
}
