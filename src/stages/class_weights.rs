//! Classes that are rarer than others, and what each then counts.

use crate::base::language::choice;
use crate::base::{Located, Place, Problem, Target};

use super::data::{OpenDataset, Sample};

choice! {
    /// How much each class counts; of several labels, having each and not having it.
    pub enum ClassWeights {
        /// Each item counts the same.
        "none" => None,
        /// Each class counts the same: `N / (C · N_c)`, at most 20.
        "balanced" => Balanced,
    }
}

/// A rare class counts at most this many times as much.
const MOST_WEIGHT: f64 = 20.0;

impl ClassWeights {
    /// Where nothing is said.
    pub(super) fn by_default() -> Located<Self> {
        Located::new(Self::None, Place::default())
    }

    /// What a probe of items without classes cannot weigh.
    pub(super) fn misfit(said: &Located<Self>, data: &OpenDataset) -> Option<Problem> {
        let target = data.dataset.target();
        let asks = said.value != Self::None && target != Target::Classes;
        let message = format!(
            "items of `{}` have {}, so a probe has no classes that could have weights",
            data.name,
            target.told()
        );
        asks.then(|| Problem::at(said.place, message).help("leave `class_weights` out"))
    }

    /// The weight of each class, where there are classes.
    pub(super) fn of(&self, sample: &Sample) -> Vec<f64> {
        let prior = sample.prior();
        match self {
            Self::None => vec![1.0; prior.len()],
            Self::Balanced => balanced(&prior),
        }
    }
}

pub(super) fn balanced(prior: &[f64]) -> Vec<f64> {
    let classes = prior.len() as f64;
    prior.iter().map(|share| (1.0 / (classes * share)).min(MOST_WEIGHT)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_weights_make_classes_count_the_same_up_to_a_limit() {
        // Counts 90, 9, 1: .37037037, 3.7037037, 33.3333333.
        let weights = balanced(&[0.9, 0.09, 0.01]);
        for (weight, expected) in weights.iter().zip([0.370_370_37, 3.703_703_7, 20.0]) {
            assert!((weight - expected).abs() < 1e-7, "{weight}");
        }
    }
}
