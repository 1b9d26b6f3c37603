//! The verdict on an arm against its baseline: helps, hurts, the same, or cannot tell.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::evidence::{Decider, Evidence};
use super::holm::holm;
use super::looks::InterimLook;
use super::needed::{Needed, mde80, needed};
use super::rule::{
    Class, LEVEL, MAX_MISSING_SHARE, MIN_UNITS, NEUTRAL_MASS, classify, widened_rope,
};
use super::two_way::Masses;

/// One arm against its baseline on one metric: what [`judge`] is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Comparisons of the same family are corrected together.
    pub family: String,
    /// The test that is to decide.
    pub decider: Decider,
    /// What it says of paired differences, arm minus baseline, positive meaning better; `None`
    /// where there are none.
    pub evidence: Option<Evidence>,
    /// Which of several looks this is; none where there is one alone.
    pub look: Option<InterimLook>,
    /// Half the width of the region of practical equivalence, in the unit of the differences;
    /// widened to 1 / units if below.
    pub eps: f64,
    /// Seeds for which both arms have scores.
    pub seeds: usize,
    /// Independent test units: items, or groups of items.
    pub units: usize,
    /// Planned seeds that lack an arm.
    pub missing_seeds: usize,
    /// Why no claim may be made, as far as the caller knows.
    pub reasons: Vec<Reason>,
    /// Remarks to hand on, such as `diverged`.
    pub flags: Vec<String>,
}

/// Why no claim may be made, whatever the numbers say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Fewer than [`super::MIN_SEEDS`] paired seeds.
    TooFewSeeds,
    /// Fewer than [`super::SEEDS_TO_DRAW`] paired seeds for a metric that is no mean.
    TooFewSeedsToDraw,
    /// Fewer than [`MIN_UNITS`] test items or groups.
    TooFewUnits,
    /// More than [`MAX_MISSING_SHARE`] of the planned seeds lack an arm.
    Missing,
    /// There is nothing to compare, and no other reason says why.
    NoEstimate,
    /// The baseline is not above the majority class: beating it means nothing.
    InvalidBaseline,
    /// The best learning rate lies at the edge of what was tried.
    GridEdge,
    /// The arm that is behind was still improving when its training budget ran out.
    BudgetLimited,
    /// Anything else, in words.
    Other(String),
}

impl Reason {
    /// Whether more seeds or items would remove it.
    fn is_lack_of_data(&self) -> bool {
        self.is_lack_of_seeds() || *self == Self::TooFewUnits
    }

    /// Whether more seeds would remove it.
    #[must_use]
    pub fn is_lack_of_seeds(&self) -> bool {
        matches!(self, Self::TooFewSeeds | Self::TooFewSeedsToDraw)
    }
}

/// The word used in tables.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooFewSeeds => "too_few_seeds",
            Self::TooFewSeedsToDraw => "too_few_seeds_to_draw",
            Self::TooFewUnits => "too_few_units",
            Self::Missing => "missing",
            Self::NoEstimate => "no_estimate",
            Self::InvalidBaseline => "invalid_baseline",
            Self::GridEdge => "grid_edge",
            Self::BudgetLimited => "budget_limited",
            Self::Other(words) => words,
        })
    }
}

/// Where an inconclusive comparison points, at probability [`NEUTRAL_MASS`] of a difference of
/// either sign, however small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lean {
    /// Towards better.
    Positive,
    /// Towards worse.
    Negative,
}

/// What the differences say, in the unit of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// Mean difference Δ, arm minus baseline, positive meaning better.
    pub delta: f64,
    /// Its standard error.
    pub se: f64,
    /// Its degrees of freedom.
    pub df: f64,
    /// Lower end of the 95 % interval; at one of several looks, of one so wide that those of all
    /// looks hold the truth with that probability.
    pub ci_lo: f64,
    /// Upper end of that interval.
    pub ci_hi: f64,
    /// Two-sided p-value of Δ = 0.
    pub p: f64,
    /// P(Δ < -eps)
    pub p_neg: f64,
    /// P(-eps <= Δ <= eps)
    pub p_rope: f64,
    /// P(Δ > eps)
    pub p_pos: f64,
    /// p-value of Δ >= -eps, corrected over the family: small means "worse".
    pub q_neg_holm: f64,
    /// p-value of Δ <= eps, corrected over the family: small means "better".
    pub q_pos_holm: f64,
    /// Smallest true difference that would be found four times in five.
    pub mde80: f64,
}

/// What may be said of an arm against its baseline, and on what grounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The claim.
    pub class: Class,
    /// The test that it stands on.
    #[serde(default)]
    pub decider: Decider,
    /// Which of several looks this is; none where there is one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<InterimLook>,
    /// Where an inconclusive comparison points.
    pub lean: Option<Lean>,
    /// Why no claim may be made; empty if only the data decide.
    pub reasons: Vec<Reason>,
    /// Remarks: the caller's, `missing_seeds`, `degenerate`.
    pub flags: Vec<String>,
    /// Half the width of the region of practical equivalence that was used.
    pub eps: f64,
    /// Paired seeds.
    pub seeds: usize,
    /// Independent test units.
    pub units: usize,
    /// The numbers behind the claim; given also where no claim may be made.
    pub numbers: Option<Numbers>,
    /// What would decide an inconclusive comparison that lacks nothing but data; its items are
    /// units.
    pub needed: Option<Needed>,
}

impl Verdict {
    /// The same in a unit that is so many times smaller: differences are so many times larger.
    #[must_use]
    pub fn times(mut self, scale: f64) -> Self {
        self.eps *= scale;
        if let Some(numbers) = &mut self.numbers {
            let in_unit = [
                &mut numbers.delta,
                &mut numbers.se,
                &mut numbers.ci_lo,
                &mut numbers.ci_hi,
                &mut numbers.mde80,
            ];
            for number in in_unit {
                *number *= scale;
            }
        }
        self
    }

    /// The reasons as one table cell; none if only the data decide.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let words: Vec<String> = self.reasons.iter().map(Reason::to_string).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// One verdict for each comparison, in order.
///
/// With Δ distributed as mean + se T(df), and eps the region of practical equivalence (Benavoli et
/// al. 2017):
///
/// ```text
/// negative      if the p-value of Δ >= -eps, 1 - P(Δ < -eps), is at most 0.05 after Holm
/// positive      if the p-value of Δ <=  eps, 1 - P(Δ >  eps), is at most 0.05 after Holm
/// neutral       if P(|Δ| <= eps) >= 0.95
/// inconclusive  otherwise, or if there is any reason
/// ```
///
/// A metric that is no mean has the shares of a two-way bootstrap instead. At one of several looks,
/// what that look may spend takes the place of 0.05.
///
/// Holm's correction runs over the comparisons of a family that have numbers, in each direction by
/// itself, whether or not a claim may be made of each: leaving some out afterwards would favour the
/// others.
#[must_use]
pub fn judge(comparisons: &[Comparison]) -> Vec<Verdict> {
    let corrections = corrections(comparisons);
    comparisons.iter().zip(corrections).map(|(one, correction)| verdict(one, correction)).collect()
}

/// What the family makes of a comparison's p-values; NaN for one without numbers.
#[derive(Clone, Copy)]
struct Correction {
    q_neg: f64,
    q_pos: f64,
    /// Comparisons of the family that have numbers.
    claims: usize,
}

/// One correction for each comparison, in order.
fn corrections(comparisons: &[Comparison]) -> Vec<Correction> {
    let mut families: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (position, comparison) in comparisons.iter().enumerate() {
        families.entry(&comparison.family).or_default().push(position);
    }
    let none = Correction { q_neg: f64::NAN, q_pos: f64::NAN, claims: 0 };
    let mut corrections = vec![none; comparisons.len()];
    for members in families.values() {
        let masses: Vec<Option<Masses>> =
            members.iter().map(|&member| comparisons[member].masses()).collect();
        let claims = masses.iter().flatten().count();
        let q_neg = corrected(&masses, |masses| masses.below);
        let q_pos = corrected(&masses, |masses| masses.above);
        for ((&member, q_neg), q_pos) in members.iter().zip(q_neg).zip(q_pos) {
            corrections[member] = Correction { q_neg, q_pos, claims };
        }
    }
    corrections
}

/// Holm's correction of 1 - P(claimed side).
fn corrected(family: &[Option<Masses>], side: fn(&Masses) -> f64) -> Vec<f64> {
    let p = |masses: &Option<Masses>| masses.as_ref().map_or(f64::NAN, |masses| 1.0 - side(masses));
    holm(&family.iter().map(p).collect::<Vec<f64>>())
}

fn verdict(comparison: &Comparison, correction: Correction) -> Verdict {
    let reasons = comparison.all_reasons();
    let class = match comparison.masses() {
        Some(masses) if reasons.is_empty() => {
            classify(masses, correction.q_neg, correction.q_pos, comparison.level())
        }
        _ => Class::Inconclusive,
    };
    let undecided = comparison.evidence.as_ref().filter(|_| class == Class::Inconclusive);
    let lacks_only_data = reasons.iter().all(Reason::is_lack_of_data);
    let more = |evidence: &Evidence| {
        needed(evidence, comparison.eps, correction.claims, comparison.level())
    };
    Verdict {
        class,
        decider: comparison.decider,
        look: comparison.look,
        lean: undecided.and_then(lean),
        reasons,
        flags: comparison.all_flags(),
        eps: comparison.rope(),
        seeds: comparison.seeds,
        units: comparison.units,
        numbers: comparison.numbers(correction),
        needed: undecided.filter(|_| lacks_only_data).map(more),
    }
}

fn lean(evidence: &Evidence) -> Option<Lean> {
    let masses = evidence.masses(0.0);
    if masses.below >= NEUTRAL_MASS {
        Some(Lean::Negative)
    } else if masses.above >= NEUTRAL_MASS {
        Some(Lean::Positive)
    } else {
        None
    }
}

impl Comparison {
    fn rope(&self) -> f64 {
        widened_rope(self.eps, self.units)
    }

    /// The error probability that may be spent.
    fn level(&self) -> f64 {
        self.look.map_or(LEVEL, |look| look.level)
    }

    fn masses(&self) -> Option<Masses> {
        self.evidence.as_ref().map(|evidence| evidence.masses(self.rope()))
    }

    /// The reasons that the sizes give, then those of the caller.
    fn all_reasons(&self) -> Vec<Reason> {
        let planned = self.seeds + self.missing_seeds;
        let too_few_seeds = match self.decider {
            Decider::TwoWay => Reason::TooFewSeeds,
            Decider::TwoWayBootstrap => Reason::TooFewSeedsToDraw,
        };
        let found = [
            (self.seeds < self.decider.least_seeds(), too_few_seeds),
            (self.units < MIN_UNITS, Reason::TooFewUnits),
            (self.missing_seeds as f64 > MAX_MISSING_SHARE * planned as f64, Reason::Missing),
        ];
        let mut reasons: Vec<Reason> =
            found.into_iter().filter_map(|(holds, reason)| holds.then_some(reason)).collect();
        for reason in &self.reasons {
            if !reasons.contains(reason) {
                reasons.push(reason.clone());
            }
        }
        if reasons.is_empty() && self.evidence.is_none() {
            reasons.push(Reason::NoEstimate);
        }
        reasons
    }

    fn all_flags(&self) -> Vec<String> {
        let degenerate = self.evidence.as_ref().is_some_and(|found| found.summary().degenerate);
        let own = [(self.missing_seeds > 0, "missing_seeds"), (degenerate, "degenerate")];
        let own = own.into_iter().filter(|(holds, _)| *holds).map(|(_, flag)| flag.to_owned());
        self.flags.iter().cloned().chain(own).collect()
    }

    fn numbers(&self, correction: Correction) -> Option<Numbers> {
        let (evidence, masses) = (self.evidence.as_ref()?, self.masses()?);
        let two_way = evidence.summary();
        let (ci_lo, ci_hi) = evidence.interval(1.0 - self.level());
        Some(Numbers {
            delta: two_way.mean,
            se: two_way.se,
            df: two_way.df,
            ci_lo,
            ci_hi,
            p: two_way.p,
            p_neg: masses.below,
            p_rope: masses.within,
            p_pos: masses.above,
            q_neg_holm: correction.q_neg,
            q_pos_holm: correction.q_pos,
            mde80: mde80(two_way, self.level()),
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::stats::looks::InterimLooks;
    use crate::stats::testing::{PRINTED, assert_close};
    use crate::stats::two_way::TwoWay;

    #[test]
    fn another_unit_changes_numbers_and_no_verdict() {
        let verdict = &judge(&[comparison(0.1, 0.01)])[0];
        let times = verdict.clone().times(4.0);
        assert_eq!((times.class, &times.reasons), (verdict.class, &verdict.reasons));
        assert_close(times.eps, 4.0 * verdict.eps, 1e-15);
        let [found, before] = [&times, verdict].map(|verdict| verdict.numbers.unwrap());
        assert_close(found.ci_lo, 4.0 * before.ci_lo, 1e-15);
        assert_close(found.delta, 4.0 * before.delta, 1e-15);
        assert_close(found.p, before.p, 0.0);
    }

    /// An estimate with 9 degrees of freedom from 10 seeds and 1000 items.
    fn estimate(mean: f64, se: f64) -> TwoWay {
        let v = se * se * 10_000.0;
        TwoWay {
            mean,
            seeds: 10,
            items: 1000,
            ms_seeds: v,
            ms_items: 0.1 * v,
            ms_residual: 0.1 * v,
            v,
            se,
            df: 9.0,
            t: Some(mean / se),
            p: 0.5,
            degenerate: false,
        }
    }

    fn comparison(mean: f64, se: f64) -> Comparison {
        Comparison {
            family: "xray".to_owned(),
            decider: Decider::TwoWay,
            evidence: Some(estimate(mean, se).into()),
            look: None,
            eps: 0.01,
            seeds: 10,
            units: 1000,
            missing_seeds: 0,
            reasons: Vec::new(),
            flags: Vec::new(),
        }
    }

    fn judge_one(comparison: Comparison) -> Verdict {
        judge(&[comparison]).remove(0)
    }

    #[test]
    fn the_numbers_follow_the_t_distribution() {
        let numbers = judge_one(comparison(-0.05, 0.02)).numbers.unwrap();
        assert_close(numbers.p_neg, 0.961_723_588, PRINTED);
        assert_close(numbers.p_pos, 0.007_478_182, PRINTED);
        assert_close(numbers.p_rope, 1.0 - 0.961_723_588 - 0.007_478_182, PRINTED);
        assert_close(numbers.q_neg_holm, 0.038_276_412, PRINTED);
        assert_close(numbers.q_pos_holm, 0.992_521_818, PRINTED);
        assert_close(numbers.mde80, 0.062_911_220, PRINTED);
        assert_close(numbers.ci_lo, -0.095_243_143, PRINTED);
        assert_close(numbers.ci_hi, -0.004_756_857, PRINTED);
    }

    #[test]
    fn worse_better_equal_and_unclear_are_told_apart() {
        let class = |mean, se| judge_one(comparison(mean, se)).class;
        assert_eq!(class(-0.05, 0.02), Class::Negative);
        assert_eq!(class(0.05, 0.02), Class::Positive);
        assert_eq!(class(0.001, 0.003), Class::Neutral);
        assert_eq!(class(0.02, 0.02), Class::Inconclusive);
    }

    #[test]
    fn an_unclear_difference_may_lean() {
        let lean = |mean| judge_one(comparison(mean, 0.02)).lean;
        assert_eq!(lean(-0.045), Some(Lean::Negative));
        assert_eq!(lean(0.045), Some(Lean::Positive));
        assert_eq!(lean(0.02), None);
        // A verdict says it already.
        assert_eq!(lean(-0.05), None);
    }

    #[test]
    fn an_unclear_difference_says_what_is_needed() {
        let needed = judge_one(comparison(-0.045, 0.02)).needed.unwrap();
        assert!(needed.more_seeds.is_some());
        assert_eq!(judge_one(comparison(-0.05, 0.02)).needed, None);
    }

    #[test]
    fn a_family_needs_stronger_evidence_than_one_comparison() {
        let one = comparison(-0.05, 0.02);
        let alone = judge(std::slice::from_ref(&one));
        let together = judge(&[one.clone(), one.clone()]);
        assert_eq!(alone[0].class, Class::Negative);
        assert!(together.iter().all(|verdict| verdict.class == Class::Inconclusive));
        let other_family = Comparison { family: "skin".to_owned(), ..one.clone() };
        assert_eq!(judge(&[one, other_family])[0].class, Class::Negative);
    }

    #[test]
    fn a_comparison_without_numbers_does_not_count_in_its_family() {
        let empty = Comparison { evidence: None, ..comparison(0.0, 1.0) };
        let verdicts = judge(&[comparison(-0.05, 0.02), empty]);
        assert_eq!(verdicts[0].class, Class::Negative);
        assert_eq!(verdicts[1].class, Class::Inconclusive);
        assert_eq!(verdicts[1].reason().as_deref(), Some("no_estimate"));
        assert_eq!((verdicts[1].numbers, verdicts[1].needed), (None, None));
    }

    #[test]
    fn a_reason_forbids_the_claim_and_keeps_the_numbers() {
        let mut flawed = comparison(-0.2, 0.02);
        flawed.reasons = vec![Reason::InvalidBaseline, Reason::GridEdge];
        let verdict = judge_one(flawed);
        assert_eq!(verdict.class, Class::Inconclusive);
        assert_eq!(verdict.reason().as_deref(), Some("invalid_baseline, grid_edge"));
        assert_eq!(verdict.lean, Some(Lean::Negative));
        assert!(verdict.numbers.unwrap().q_neg_holm < 0.001);
        // More of the same data would not mend the baseline.
        assert_eq!(verdict.needed, None);
    }

    #[test]
    fn too_few_seeds_or_items_forbid_the_claim() {
        let few_seeds = Comparison { seeds: 2, ..comparison(-0.2, 0.02) };
        assert_eq!(judge_one(few_seeds).reason().as_deref(), Some("too_few_seeds"));
        let few_items = Comparison { units: 49, ..comparison(-0.2, 0.02) };
        assert_eq!(judge_one(few_items).reason().as_deref(), Some("too_few_units"));
        let one_seed = Comparison { seeds: 1, evidence: None, ..comparison(-0.2, 0.02) };
        assert_eq!(judge_one(one_seed).reason().as_deref(), Some("too_few_seeds"));
    }

    #[test]
    fn a_fifth_of_the_seeds_may_be_missing_but_not_more() {
        let missing = |seeds, missing_seeds| {
            judge_one(Comparison { seeds, missing_seeds, ..comparison(-0.2, 0.02) })
        };
        let tolerated = missing(8, 2);
        assert_eq!(tolerated.class, Class::Negative);
        assert_eq!(tolerated.flags, ["missing_seeds"]);
        assert_eq!(missing(7, 3).reason().as_deref(), Some("missing"));
    }

    #[test]
    fn the_region_is_widened_to_one_item() {
        let verdict = judge_one(Comparison { units: 50, ..comparison(-0.05, 0.02) });
        assert_close(verdict.eps, 0.02, 0.0);
        assert_eq!(verdict.class, Class::Inconclusive);
    }

    #[test]
    fn arms_that_never_differ_are_neutral_and_flagged() {
        let same = TwoWay::of(&Array2::zeros((10, 1000)));
        let verdict = judge_one(Comparison {
            evidence: same.map(Evidence::from),
            flags: vec!["diverged".to_owned()],
            ..comparison(0.0, 1.0)
        });
        assert_eq!(verdict.class, Class::Neutral);
        assert_eq!(verdict.flags, ["diverged", "degenerate"]);
    }

    #[test]
    fn one_look_of_several_claims_less_and_has_a_wider_interval() {
        let look = InterimLooks::new(5, 10).at(10);
        let looked = judge_one(Comparison { look, ..comparison(-0.05, 0.02) });
        let once = judge_one(comparison(-0.05, 0.02));
        assert_eq!((once.class, looked.class), (Class::Negative, Class::Inconclusive));
        assert_eq!(looked.look, look);
        let [found, before] = [&looked, &once].map(|verdict| verdict.numbers.unwrap());
        assert!(found.ci_lo < before.ci_lo && found.mde80 > before.mde80);
        assert_close(found.p_neg, before.p_neg, 0.0);
    }

    #[test]
    fn a_metric_that_is_no_mean_needs_five_seeds() {
        let few = Comparison {
            decider: Decider::TwoWayBootstrap,
            evidence: None,
            seeds: 4,
            ..comparison(0.0, 1.0)
        };
        let verdict = judge_one(few);
        assert_eq!(verdict.reason().as_deref(), Some("too_few_seeds_to_draw"));
        assert!(verdict.reasons[0].is_lack_of_seeds());
    }

    #[test]
    fn no_comparisons_give_no_verdicts() {
        assert!(judge(&[]).is_empty());
    }
}
