//! Where two curves of the error cross.

use serde::{Deserialize, Serialize};

use super::power_law::PowerLaw;

/// How an arm stands to its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its error is smaller.
    Ahead,
    /// The errors are equal.
    Level,
    /// Its error is larger.
    Behind,
}

/// Where an arm's curve crosses its baseline's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crossing {
    /// Sizes at which they cross, ascending.
    pub at: Vec<f64>,
    /// How the arm stands before the first of them; everywhere if there is none.
    pub below: Standing,
}

/// Sizes at which signs are compared.
const SCAN: usize = 400;
/// How far beyond the largest size is looked.
pub(super) const BEYOND: f64 = 4.0;

impl Crossing {
    /// Signs of the difference at even steps of `ln n` from the smallest size to four times the
    /// largest, and bisection where they change.
    #[must_use]
    pub fn of(arm: &PowerLaw, baseline: &PowerLaw, (least, most): (f64, f64)) -> Self {
        let (from, to) = (least.ln(), (BEYOND * most).ln());
        let more = |ln_n: f64| arm.at(ln_n.exp()) - baseline.at(ln_n.exp());
        let mut at = Vec::new();
        let mut below = Standing::Level;
        let mut last: Option<(f64, f64)> = None;
        for step in 0..=SCAN {
            let ln_n = from + (to - from) * step as f64 / SCAN as f64;
            let here = more(ln_n);
            if here == 0.0 {
                continue;
            }
            match last {
                None => below = if here < 0.0 { Standing::Ahead } else { Standing::Behind },
                Some((before, there)) if (there < 0.0) != (here < 0.0) => {
                    at.push(bisected(&more, before, ln_n).exp());
                }
                Some(_) => {}
            }
            last = Some((ln_n, here));
        }
        Self { at, below }
    }

    /// How the arm stands after the first crossing; everywhere if there is none.
    #[must_use]
    pub fn above(&self) -> Standing {
        match (self.at.is_empty(), self.below) {
            (false, Standing::Ahead) => Standing::Behind,
            (false, Standing::Behind) => Standing::Ahead,
            (_, below) => below,
        }
    }

    /// Where it crosses in this direction first: infinite if the arm stands so everywhere, 0 if it
    /// stands the other way everywhere; none if it crosses the other way alone.
    pub(super) fn in_direction(&self, below: Standing) -> Option<f64> {
        match (self.below == below, &self.at[..]) {
            (true, [first, ..]) => Some(*first),
            (true, []) => Some(f64::INFINITY),
            (false, [_, second, ..]) => Some(*second),
            (false, [_]) => None,
            (false, []) => Some(0.0),
        }
    }
}

fn bisected(more: &impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let sign = more(low) < 0.0;
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        match (more(middle) < 0.0) == sign {
            true => low = middle,
            false => high = middle,
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRATCH: PowerLaw = PowerLaw { a: 0.05, b: 2.0, c: 0.6 };
    const TRANSFER: PowerLaw = PowerLaw { a: 0.09, b: 0.45, c: 0.4 };

    #[test]
    fn transfer_is_ahead_below_the_printed_size_and_behind_above() {
        let found = Crossing::of(&TRANSFER, &SCRATCH, (25.0, 800.0));
        assert_eq!((found.below, found.above()), (Standing::Ahead, Standing::Behind));
        assert_eq!(found.at.len(), 1);
        assert!((found.at[0] - 143.0241).abs() < 1e-3, "{found:?}");
        let back = Crossing::of(&SCRATCH, &TRANSFER, (25.0, 800.0));
        assert_eq!((back.below, back.above()), (Standing::Behind, Standing::Ahead));
        assert!((back.at[0] - found.at[0]).abs() < 1e-9);
    }

    #[test]
    fn a_crossing_is_looked_for_up_to_four_times_the_largest_size() {
        let within = Crossing::of(&TRANSFER, &SCRATCH, (10.0, 36.0));
        assert!(within.at[0] > 36.0);
        let none = Crossing::of(&TRANSFER, &SCRATCH, (10.0, 35.0));
        assert!(none.at.is_empty());
        assert_eq!((none.below, none.above()), (Standing::Ahead, Standing::Ahead));
        let same = Crossing::of(&SCRATCH, &SCRATCH, (10.0, 35.0));
        assert_eq!((same.below, same.at.len()), (Standing::Level, 0));
    }

    #[test]
    fn curves_may_cross_twice() {
        // Equal rests: b / n^c are lines over ln n, one of which is bent by a larger rest.
        let arm = PowerLaw { a: 0.1, b: 1.0, c: 1.0 };
        let baseline = PowerLaw { a: 0.0, b: 1.0, c: 0.5 };
        let found = Crossing::of(&arm, &baseline, (1.5, 400.0));
        assert_eq!(found.below, Standing::Ahead);
        let found = Crossing::of(&arm, &PowerLaw { b: 0.9, ..baseline }, (1.05, 400.0));
        assert_eq!((found.below, found.at.len()), (Standing::Behind, 2), "{found:?}");
        assert_eq!(found.in_direction(Standing::Ahead), Some(found.at[1]));
    }

    #[test]
    fn a_direction_that_never_turns_lies_at_infinity_or_at_nothing() {
        let ahead = Crossing { at: vec![], below: Standing::Ahead };
        assert_eq!(ahead.in_direction(Standing::Ahead), Some(f64::INFINITY));
        assert_eq!(ahead.in_direction(Standing::Behind), Some(0.0));
        let turned = Crossing { at: vec![7.0], below: Standing::Behind };
        assert_eq!(turned.in_direction(Standing::Ahead), None);
        assert_eq!(turned.in_direction(Standing::Behind), Some(7.0));
    }
}
