//! What the test that decides a verdict says, whichever test it is.

use serde::{Deserialize, Serialize};

use super::bootstrap::{SEEDS_TO_DRAW, TwoWayBootstrap};
use super::rule::MIN_SEEDS;
use super::two_way::{Masses, TwoWay};

/// The test that decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decider {
    /// The two-way random-effects t, of a mean over items.
    #[default]
    TwoWay,
    /// The two-way bootstrap, of any other metric.
    TwoWayBootstrap,
}

impl Decider {
    /// Fewer paired seeds than this say nothing of their spread.
    #[must_use]
    pub fn least_seeds(self) -> usize {
        match self {
            Self::TwoWay => MIN_SEEDS,
            Self::TwoWayBootstrap => SEEDS_TO_DRAW,
        }
    }
}

/// What it says of a difference, arm minus baseline, positive meaning better.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// Of a mean over items.
    TwoWay(TwoWay),
    /// Of any other metric.
    Resampled(TwoWayBootstrap),
}

impl Evidence {
    /// Which test it is.
    #[must_use]
    pub fn decider(&self) -> Decider {
        match self {
            Self::TwoWay(_) => Decider::TwoWay,
            Self::Resampled(_) => Decider::TwoWayBootstrap,
        }
    }

    /// Estimate, standard error, degrees of freedom and p-value.
    #[must_use]
    pub fn summary(&self) -> &TwoWay {
        match self {
            Self::TwoWay(found) => found,
            Self::Resampled(found) => found.summary(),
        }
    }

    /// The two-way t; none of a metric that is no mean.
    #[must_use]
    pub fn two_way(&self) -> Option<TwoWay> {
        match self {
            Self::TwoWay(found) => Some(*found),
            Self::Resampled(_) => None,
        }
    }

    /// The interval of probability `level`.
    #[must_use]
    pub fn interval(&self, level: f64) -> (f64, f64) {
        match self {
            Self::TwoWay(found) => found.interval(level),
            Self::Resampled(found) => found.interval(level),
        }
    }

    /// How the probability splits at -`eps` and `eps`.
    #[must_use]
    pub fn masses(&self, eps: f64) -> Masses {
        match self {
            Self::TwoWay(found) => found.masses(eps),
            Self::Resampled(found) => found.masses(eps),
        }
    }

    /// What the same estimate would look like with other numbers of seeds and items.
    pub(super) fn projected(&self, seeds: usize, items: usize) -> TwoWay {
        match self {
            Self::TwoWay(found) => found.projected(seeds, items),
            Self::Resampled(found) => found.projected(seeds, items),
        }
    }
}

impl From<TwoWay> for Evidence {
    fn from(found: TwoWay) -> Self {
        Self::TwoWay(found)
    }
}

impl From<TwoWayBootstrap> for Evidence {
    fn from(found: TwoWayBootstrap) -> Self {
        Self::Resampled(found)
    }
}
