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

/// Regular evaluations over a whole training.
const EVALUATIONS: usize = 20;

impl Budget {
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
    /// Twenty evenly spread looks, the last at the end, and early ones at 0, 1, 2, 4, 8, …
    pub(super) fn over(steps: usize) -> Self {
        let count = EVALUATIONS.min(steps);
        let regular: BTreeSet<usize> =
            (1..=count).map(|look| look * steps / count.max(1)).collect();
        let first = regular.first().copied().unwrap_or(steps);
        let doubling = std::iter::successors(Some(1_usize), |step| step.checked_mul(2));
        let early = std::iter::once(0).chain(doubling.take_while(|step| *step < first)).collect();
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
        let looks = Looks::over(240);
        let at: Vec<usize> = (0..=240).filter(|&step| looks.at(step)).collect();
        assert_eq!(at[..6], [0, 1, 2, 4, 8, 12]);
        assert_eq!(at[6..9], [24, 36, 48]);
        assert_eq!(at.last(), Some(&240));
    }

    #[test]
    fn a_short_training_is_looked_at_after_each_step() {
        let looks = Looks::over(3);
        assert!((0..=3).all(|step| looks.at(step)));
        assert!(!looks.counts_for_patience(0) && looks.counts_for_patience(3));
    }
}
