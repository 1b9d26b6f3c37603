//! How long to train, when to look, when to stop.

use std::collections::BTreeSet;

/// How long to train at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Passes over the training items.
    Epochs(usize),
    /// Steps.
    Steps(usize),
}

/// Length and patience of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How long at most.
    pub length: Length,
    /// Evaluations without a better val loss after which it stops; 0 never stops early.
    pub patience: usize,
}

/// Regular evaluations over a whole training at most.
const EVALUATIONS: usize = 20;
/// Regular evaluations even of a training of few epochs, so that patience means something.
const FEWEST: usize = 10;

impl Budget {
    /// Evaluations at most, given the steps of an epoch.
    pub fn looks(&self, per_epoch: usize) -> usize {
        let looks = Looks::over(self.steps(per_epoch), per_epoch);
        looks.regular.len() + looks.early.len()
    }

    /// Steps at most, given the steps of an epoch.
    pub fn steps(&self, per_epoch: usize) -> usize {
        match self.length {
            Length::Epochs(epochs) => epochs * per_epoch,
            Length::Steps(steps) => steps,
        }
    }
}

/// After which steps to evaluate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Looks {
    /// Evenly spread; patience counts these.
    regular: BTreeSet<usize>,
    /// At the start, where curves change most.
    early: BTreeSet<usize>,
}

impl Looks {
    /// Twenty evenly spread looks, the last at the end, but not more than one an epoch; and early
    /// ones at 0, 1, 4, 16, …
    pub(super) fn over(steps: usize, per_epoch: usize) -> Self {
        let count = EVALUATIONS.min(steps.div_ceil(per_epoch.max(1)).max(FEWEST)).min(steps);
        let regular: BTreeSet<usize> =
            (1..=count).map(|look| look * steps / count.max(1)).collect();
        let first = regular.first().copied().unwrap_or(steps);
        let growing = std::iter::successors(Some(1_usize), |step| step.checked_mul(4));
        let early = std::iter::once(0).chain(growing.take_while(|step| *step < first)).collect();
        Self { regular, early }
    }

    pub(super) fn at(&self, step: usize) -> bool {
        self.regular.contains(&step) || self.early.contains(&step)
    }

    pub(super) fn counts_for_patience(&self, step: usize) -> bool {
        self.regular.contains(&step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_dense_at_the_start_and_even_after() {
        let looks = Looks::over(240, 3);
        let at: Vec<usize> = (0..=240).filter(|&step| looks.at(step)).collect();
        assert_eq!(at[..6], [0, 1, 4, 12, 24, 36]);
        assert_eq!(at.last(), Some(&240));
    }

    #[test]
    fn a_training_of_few_epochs_is_looked_at_once_an_epoch() {
        let regular = |steps, per_epoch| Looks::over(steps, per_epoch).regular.len();
        assert_eq!(regular(72, 6), 12);
        assert_eq!(regular(18, 6), 10);
    }

    #[test]
    fn a_short_training_is_looked_at_after_each_step() {
        let looks = Looks::over(3, 1);
        assert!((0..=3).all(|step| looks.at(step)));
        assert!(!looks.counts_for_patience(0) && looks.counts_for_patience(3));
    }
}
