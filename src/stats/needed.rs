//! How much more data an undecided comparison would take.

use std::iter::successors;

use serde::{Deserialize, Serialize};

use super::evidence::Evidence;
use super::rule::{Class, MIN_UNITS, classify, widened_rope};
use super::two_way::TwoWay;

/// No study is asked for more seeds than this in all.
pub const MAX_SEEDS: usize = 1_000;

/// No study is asked for more test items (or groups of them) than this in all.
pub const MAX_ITEMS: usize = 1_000_000;

/// What would decide a comparison if its mean stayed as it is: either of the two, alone.
///
/// An even chance rather than a promise, since the mean will move with new data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needed {
    /// Further paired seeds on the same items; none if [`MAX_SEEDS`] in all would not do.
    pub more_seeds: Option<usize>,
    /// Further test items (or groups) for the same seeds; none if [`MAX_ITEMS`] in all would not
    /// do.
    pub more_items: Option<usize>,
}

/// Projects the variance components of `evidence` to other sizes, and looks for the first at which
/// the decision rule gives a verdict: a claim in the direction of the mean, or, for a mean within
/// `eps`, equality.
///
/// ```text
/// se'² = σ_S² / S' + σ_I² / N' + σ_R² / (S' N')
/// ```
///
/// Seeds average away the first term but not the second, and items the reverse; that is why one of
/// them may never be enough. `claims` is the number of comparisons in the family: p-values are
/// multiplied by it, the strictest that Holm's correction can ask. `level` is that of the rule. The
/// minimum sizes of a verdict are respected.
#[must_use]
pub fn needed(evidence: &Evidence, eps: f64, claims: usize, level: f64) -> Needed {
    let TwoWay { seeds, items, .. } = *evidence.summary();
    let decided = |seeds, items| is_decided(&evidence.projected(seeds, items), eps, claims, level);
    let enough_seeds = evidence.decider().least_seeds();
    let (least_seeds, least_items) = (enough_seeds.max(seeds + 1), MIN_UNITS.max(items + 1));
    let mut needed = Needed { more_seeds: None, more_items: None };
    if items >= MIN_UNITS {
        let enough = first(least_seeds, MAX_SEEDS, |more| decided(more, items));
        needed.more_seeds = enough.map(|enough| enough - seeds);
    }
    if seeds >= enough_seeds {
        let enough = first(least_items, MAX_ITEMS, |more| decided(seeds, more));
        needed.more_items = enough.map(|enough| enough - items);
    }
    needed
}

/// The smallest true difference that a two-sided test of this `level` would find four times in five,
/// at the present sizes: `(t_{df, 1 - level / 2} + t_{df, 0.8}) se`, in the unit of the metric.
#[must_use]
pub fn mde80(two_way: &TwoWay, level: f64) -> f64 {
    if two_way.degenerate {
        return 0.0;
    }
    (two_way.quantile(1.0 - level / 2.0) + two_way.quantile(0.8)) * two_way.se
}

fn is_decided(two_way: &TwoWay, eps: f64, claims: usize, level: f64) -> bool {
    let masses = two_way.masses(widened_rope(eps, two_way.items));
    let corrected = |p: f64| claims.max(1) as f64 * (1.0 - p);
    let class = classify(masses, corrected(masses.below), corrected(masses.above), level);
    class != Class::Inconclusive
}

/// The first number from `start` to `cap` that passes, to the precision of the steps: they grow by
/// a twentieth, and the step that passes is then halved down.
///
/// A plain bisection of the whole range would not do: more items also lower the degrees of freedom
/// towards S - 1, so that passing need not be monotone.
fn first(start: usize, cap: usize, passes: impl Fn(usize) -> bool) -> Option<usize> {
    let next = |&n: &usize| (n < cap).then(|| (n + (n / 20).max(1)).min(cap));
    let mut failed = start.saturating_sub(1);
    for candidate in successors((start <= cap).then_some(start), next) {
        if passes(candidate) {
            return Some(halve(failed, candidate, passes));
        }
        failed = candidate;
    }
    None
}

/// The boundary between a number that `failed` and one `found` to pass.
fn halve(mut failed: usize, mut found: usize, passes: impl Fn(usize) -> bool) -> usize {
    while found - failed > 1 {
        let middle = usize::midpoint(failed, found);
        if passes(middle) {
            found = middle;
        } else {
            failed = middle;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::stats::rule::LEVEL;
    use crate::stats::testing::{Draws, PRINTED, assert_close};

    /// Differences with a mean, and given spreads of seeds, items and cells.
    fn study(seeds: usize, items: usize, mean: f64, spreads: [f64; 3]) -> Evidence {
        let mut draws = Draws::seeded(11);
        let mut centred = |n: usize| {
            let effects: Vec<f64> = (0..n).map(|_| draws.normal()).collect();
            let shift = effects.iter().sum::<f64>() / n as f64;
            effects.into_iter().map(|value| value - shift).collect::<Vec<_>>()
        };
        let (of_seed, of_item, of_cell) = (centred(seeds), centred(items), centred(seeds * items));
        let d = Array2::from_shape_fn((seeds, items), |(s, i)| {
            mean + spreads[0] * of_seed[s]
                + spreads[1] * of_item[i]
                + spreads[2] * of_cell[s * items + i]
        });
        TwoWay::of(&d).unwrap().into()
    }

    #[test]
    fn the_numbers_asked_for_are_just_enough() {
        let found = study(5, 200, -0.04, [0.02, 0.25, 0.3]);
        assert!(!is_decided(found.summary(), 0.01, 1, LEVEL));
        let more = needed(&found, 0.01, 1, LEVEL);
        let (seeds, items) = (more.more_seeds.unwrap(), more.more_items.unwrap());
        assert!(is_decided(&found.projected(5 + seeds, 200), 0.01, 1, LEVEL));
        assert!(!is_decided(&found.projected(4 + seeds, 200), 0.01, 1, LEVEL));
        assert!(is_decided(&found.projected(5, 200 + items), 0.01, 1, LEVEL));
        assert!(!is_decided(&found.projected(5, 199 + items), 0.01, 1, LEVEL));
    }

    #[test]
    fn seeds_do_not_help_where_items_are_the_trouble() {
        let found = study(5, 100, -0.05, [0.0, 0.5, 0.1]);
        let answer = needed(&found, 0.01, 1, LEVEL);
        assert_eq!(answer.more_seeds, None);
        assert!(answer.more_items.is_some());
    }

    #[test]
    fn items_do_not_help_where_seeds_are_the_trouble() {
        let found = study(5, 400, -0.04, [0.1, 0.0, 0.1]);
        let answer = needed(&found, 0.01, 1, LEVEL);
        assert_eq!(answer.more_items, None);
        assert!(answer.more_seeds.is_some());
    }

    #[test]
    fn equality_takes_data_too() {
        let found = study(5, 100, 0.001, [0.0, 0.1, 0.1]);
        let more = needed(&found, 0.01, 1, LEVEL).more_items.unwrap();
        let masses = found.projected(5, 100 + more).masses(0.01);
        assert!(masses.within >= 0.95);
    }

    #[test]
    fn a_larger_family_asks_for_more() {
        let found = study(5, 200, -0.04, [0.05, 0.1, 0.3]);
        let (alone, among_six) = (needed(&found, 0.01, 1, LEVEL), needed(&found, 0.01, 6, LEVEL));
        assert!(among_six.more_seeds.unwrap() > alone.more_seeds.unwrap());
    }

    #[test]
    fn a_mean_on_the_edge_is_never_decided() {
        let found = study(5, 100, 0.01, [0.01, 0.1, 0.1]);
        assert_eq!(needed(&found, 0.01, 1, LEVEL), Needed { more_seeds: None, more_items: None });
    }

    #[test]
    fn the_minimum_sizes_of_a_verdict_come_first() {
        let strong = study(2, 100, -0.5, [0.001, 0.01, 0.01]);
        assert_eq!(
            needed(&strong, 0.01, 1, LEVEL),
            Needed { more_seeds: Some(1), more_items: None }
        );
        let small = study(4, 30, -0.5, [0.001, 0.01, 0.01]);
        assert_eq!(
            needed(&small, 0.01, 1, LEVEL),
            Needed { more_seeds: None, more_items: Some(20) }
        );
        let tiny = study(2, 30, -0.5, [0.001, 0.01, 0.01]);
        assert_eq!(needed(&tiny, 0.01, 1, LEVEL), Needed { more_seeds: None, more_items: None });
    }

    #[test]
    fn the_search_finds_the_first_and_respects_its_cap() {
        assert_eq!(first(3, 1000, |n| n >= 3), Some(3));
        assert_eq!(first(3, 1000, |n| n >= 777), Some(777));
        assert_eq!(first(3, 1000, |n| n >= 1000), Some(1000));
        assert_eq!(first(3, 1000, |n| n > 1000), None);
        assert_eq!(first(1001, 1000, |_| true), None);
    }

    #[test]
    fn the_detectable_difference_is_two_quantiles_of_errors() {
        let d = ndarray::array![
            [0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        ];
        assert_close(mde80(&TwoWay::of(&d).unwrap(), LEVEL), 0.387_063_77, PRINTED);
        assert_close(mde80(&TwoWay::of(&Array2::zeros((3, 3))).unwrap(), LEVEL), 0.0, 0.0);
    }
}
