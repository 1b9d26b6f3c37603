//! Items that transfer loses, whatever it gains on others.

use serde::{Deserialize, Serialize};

use super::mcnemar::Discordant;

/// Items on which one arm is reliably right and the other mostly wrong: the hidden part of a
/// difference, after Meftah et al. (2021). A mean can rise while these are lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden {
    /// Items that every run of the baseline has right and more than half of the candidate's wrong.
    pub lost: Vec<usize>,
    /// Items that every run of the candidate has right and more than half of the baseline's wrong.
    pub gained: Vec<usize>,
}

impl Hidden {
    /// Asks, for each run of each arm, which items were right.
    ///
    /// `None` without runs, or where runs have other numbers of items.
    #[must_use]
    pub fn of(candidate: &[Vec<bool>], baseline: &[Vec<bool>]) -> Option<Self> {
        let items = candidate.first()?.len();
        if baseline.is_empty() || candidate.iter().chain(baseline).any(|run| run.len() != items) {
            return None;
        }
        let all = |runs: &[Vec<bool>], item: usize| runs.iter().all(|run| run[item]);
        let mostly_wrong = |runs: &[Vec<bool>], item: usize| {
            2 * runs.iter().filter(|run| !run[item]).count() > runs.len()
        };
        let items = || 0..items;
        let lost = items().filter(|&item| all(baseline, item) && mostly_wrong(candidate, item));
        let gained = items().filter(|&item| all(candidate, item) && mostly_wrong(baseline, item));
        Some(Self { lost: lost.collect(), gained: gained.collect() })
    }

    /// Both counts, to test whether more are lost than gained. As always with counts of items, the
    /// seeds are not in the variance.
    #[must_use]
    pub fn discordant(&self) -> Discordant {
        Discordant { gained: self.gained.len(), lost: self.lost.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(texts: &[&str]) -> Vec<Vec<bool>> {
        texts.iter().map(|text| text.chars().map(|mark| mark == '1').collect()).collect()
    }

    #[test]
    fn items_that_scratch_always_and_transfer_mostly_not_has_right_are_lost() {
        let transfer = runs(&["011101", "001111", "101101"]);
        let scratch = runs(&["110101", "111001", "110011"]);
        let found = Hidden::of(&transfer, &scratch).unwrap();
        assert_eq!(found, Hidden { lost: vec![0, 1], gained: vec![2, 3] });
        assert_eq!(found.discordant(), Discordant { gained: 2, lost: 2 });
    }

    #[test]
    fn half_is_not_most() {
        let found = Hidden::of(&runs(&["01", "11"]), &runs(&["11", "11"])).unwrap();
        assert_eq!(found, Hidden::default());
    }

    #[test]
    fn swapping_the_arms_swaps_the_lists() {
        let (one, other) = (runs(&["0110", "0011"]), runs(&["1110", "1010"]));
        let (there, back) = (Hidden::of(&one, &other).unwrap(), Hidden::of(&other, &one).unwrap());
        assert_eq!((there.lost, there.gained), (back.gained, back.lost));
    }

    #[test]
    fn arms_without_runs_or_with_other_items_cannot_be_compared() {
        assert_eq!(Hidden::of(&[], &runs(&["1"])), None);
        assert_eq!(Hidden::of(&runs(&["1"]), &[]), None);
        assert_eq!(Hidden::of(&runs(&["1"]), &runs(&["10"])), None);
    }
}
