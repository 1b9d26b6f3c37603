//! Looking several times while seeds are added, without more false claims than one look makes.

use serde::{Deserialize, Serialize};

use super::rule::LEVEL;

/// Looks beyond this number buy little and cost much of each one's error.
const MAX_LOOKS: usize = 5;

/// One of the looks that are planned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterimLook {
    /// Its number, from 1.
    pub number: usize,
    /// How many are planned.
    pub of: usize,
    /// The error probability that this look may spend.
    pub level: f64,
    /// What this look and all planned before it spend together, whether or not they were taken.
    pub spent: f64,
}

/// The numbers of seeds at which a growing study may be looked at, fixed before any data are seen.
///
/// The error is spent in proportion to the seeds that a look adds:
///
/// ```text
/// α_k = α (S_k - S_(k-1)) / S_K        Σ α_k = α
/// ```
///
/// A false claim at the last look that is taken is a false claim at one of those planned, so that its
/// probability is at most α: by Boole's inequality, however much the looks depend on each other, and
/// whichever of them are left out because a projection says that they would not decide. That the
/// sizes are fixed is what makes this hold; sizes chosen from the data would need more. What
/// `O'Brien` and Fleming spend grows faster than the seeds, and leaves next to nothing to a first look
/// at five of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterimLooks {
    /// Seeds at each look, ascending.
    sizes: Vec<usize>,
}

impl InterimLooks {
    /// Looks from `first` to `most` seeds, evenly spaced: five, or as many as there are sizes.
    /// `first` is at least 1 and at most `most`.
    #[must_use]
    pub fn new(first: usize, most: usize) -> Self {
        let (first, most) = (first.clamp(1, most.max(1)), most.max(1));
        let steps = (most - first).min(MAX_LOOKS - 1);
        // Rounded to the nearest.
        let size = |step: usize| first + (2 * (most - first) * step + steps) / (2 * steps.max(1));
        Self { sizes: (0..=steps).map(size).collect() }
    }

    /// Seeds at each look.
    #[must_use]
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The look at so many seeds, if one is planned.
    #[must_use]
    pub fn at(&self, seeds: usize) -> Option<InterimLook> {
        let index = self.sizes.iter().position(|size| *size == seeds)?;
        let before = index.checked_sub(1).map_or(0, |index| self.sizes[index]);
        let most = self.sizes.last().copied().unwrap_or(1) as f64;
        let share = |seeds: usize| LEVEL * seeds as f64 / most;
        let (level, spent) = (share(seeds - before), share(seeds));
        Some(InterimLook { number: index + 1, of: self.sizes.len(), level, spent })
    }

    /// Seeds at the first look with `more` seeds than there are, or at the last one; none if all are
    /// there.
    #[must_use]
    pub fn after(&self, seeds: usize, more: usize) -> Option<usize> {
        let last = self.sizes.last().copied().filter(|last| *last > seeds)?;
        let enough = seeds.saturating_add(more.max(1));
        Some(self.sizes.iter().copied().find(|size| *size >= enough).unwrap_or(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::assert_close;

    #[test]
    fn looks_are_evenly_spaced_and_end_at_the_most() {
        let sizes = |first, most| InterimLooks::new(first, most).sizes().to_vec();
        assert_eq!(sizes(5, 30), [5, 11, 18, 24, 30]);
        assert_eq!(sizes(5, 7), [5, 6, 7]);
        assert_eq!(sizes(5, 10), [5, 6, 8, 9, 10]);
        assert_eq!(sizes(4, 4), [4]);
        assert_eq!(sizes(9, 4), [4]);
    }

    #[test]
    fn all_looks_together_spend_the_level_of_one() {
        for (first, most) in [(3, 4), (5, 30), (5, 10), (10, 200), (6, 6)] {
            let looks = InterimLooks::new(first, most);
            let of = |size: &usize| looks.at(*size).unwrap();
            let spent: f64 = looks.sizes().iter().map(|size| of(size).level).sum();
            assert_close(spent, LEVEL, 1e-12);
            assert_close(of(&most).spent, LEVEL, 1e-12);
            assert_eq!(of(&first).number, 1);
        }
        assert_eq!(InterimLooks::new(5, 30).at(7), None);
    }

    #[test]
    fn the_next_look_has_the_seeds_that_are_missing_or_is_the_last() {
        let looks = InterimLooks::new(5, 30);
        assert_eq!(looks.after(5, 0), Some(11));
        assert_eq!(looks.after(5, 6), Some(11));
        assert_eq!(looks.after(5, 7), Some(18));
        assert_eq!(looks.after(5, 900), Some(30));
        assert_eq!(looks.after(30, 1), None);
    }
}
