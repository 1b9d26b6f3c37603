//! What stages that look at curves found. Arms are positions among the stage's inputs.

use serde::{Deserialize, Serialize};

use crate::curves::{Effect, Finding, PowerLaw, Standing, Time};

/// An interval, an end of which may lie beyond what was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Its lower end; none below what was looked at.
    pub lo: Option<f64>,
    /// Its upper end; none beyond what was looked at.
    pub hi: Option<f64>,
}

impl Span {
    /// An interval of numbers above 0, in which 0 and infinity stand for what was not looked at.
    pub fn above_0((lo, hi): (f64, f64)) -> Self {
        let known = |end: f64| Some(end).filter(|end| end.is_finite() && *end > 0.0);
        Self { lo: known(lo), hi: known(hi) }
    }

    /// An interval of any numbers, in which infinity stands for what was not looked at.
    pub fn of((lo, hi): (f64, f64)) -> Self {
        let known = |end: f64| Some(end).filter(|end| end.is_finite());
        Self { lo: known(lo), hi: known(hi) }
    }
}

/// Learning curves and where they cross.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LearningCurves {
    /// What the errors are.
    pub error: String,
    /// The curves.
    pub curves: Vec<CurveRow>,
}

/// One learning curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurveRow {
    /// Its sizes, ascending.
    pub sizes: Vec<SizeRow>,
    /// Its power law.
    pub law: Option<LawRow>,
    /// Why there is none.
    pub reason: Option<String>,
    /// What it is compared with.
    pub crossing: Option<CrossingRow>,
}

/// One size of a curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SizeRow {
    /// The arm.
    pub arm: usize,
    /// Items it was trained on: the mean over seeds.
    pub n: f64,
    /// Seeds that have a result.
    pub seeds: usize,
    /// Mean error.
    pub error: Option<f64>,
    /// Its standard deviation over seeds.
    pub deviation: Option<f64>,
    /// The error by the power law.
    pub fitted: Option<f64>,
    /// Items with which the baseline has that error by its law; none where no number is enough.
    pub effective: Option<f64>,
}

/// A power law with its intervals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LawRow {
    /// The law.
    pub law: PowerLaw,
    /// Interval of what is left at infinitely many items.
    pub a: Option<Span>,
    /// Interval of the factor.
    pub b: Option<Span>,
    /// Interval of the exponent.
    pub c: Option<Span>,
    /// Whether the exponent lies at an end of what is allowed.
    pub at_bound: bool,
}

/// Where a curve crosses its baseline's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossingRow {
    /// Position of the baseline's curve.
    pub baseline: usize,
    /// Sizes at which they cross; none if either has no law.
    pub at: Vec<f64>,
    /// How the arm stands below the first of them.
    pub below: Option<Standing>,
    /// How it stands above it.
    pub above: Option<Standing>,
    /// Interval of the first crossing.
    pub interval: Option<Span>,
    /// Share of draws of seeds in which the arm stands so below the crossing.
    pub agreement: Option<f64>,
    /// Whether the crossing lies beyond the largest size.
    pub extrapolated: bool,
}

/// What freezing costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FreezeSweeps {
    /// The metric.
    pub metric: String,
    /// One for each source and whatever else is varied.
    pub sweeps: Vec<SweepRow>,
}

/// One sweep over depths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepRow {
    /// The arm from scratch.
    pub base: usize,
    /// The frozen arm of each depth.
    pub frozen: Vec<usize>,
    /// Seeds.
    pub seeds: usize,
    /// Half the width of what is no difference.
    pub rope: f64,
    /// Mean score of the arm from scratch.
    pub score: Option<f64>,
    /// Effects, depth by depth.
    pub effects: Vec<Effect>,
    /// What each depth shows.
    pub findings: Vec<Finding>,
    /// Position of the depth of the dip that is shown, and its p.
    pub dip: Option<(usize, f64)>,
    /// Whether specificity grows with depth.
    pub specificity_grows: Option<bool>,
}

/// How trainings rise over their steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Risings {
    /// What was looked at on val.
    pub score: String,
    /// One row for each arm.
    pub rows: Vec<RisingRow>,
}

/// One arm against its baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RisingRow {
    /// The arm.
    pub arm: usize,
    /// Its baseline.
    pub baseline: usize,
    /// Seeds in which both have a curve.
    pub seeds: usize,
    /// Mean number of steps that both were looked at for.
    pub horizon: Option<f64>,
    /// Score at the start less the baseline's.
    pub jumpstart: Mean,
    /// Score a step until half of its own rise is done.
    pub slope: Mean,
    /// The same of the baseline.
    pub slope_baseline: Mean,
    /// Score at the end.
    pub asymptote: Mean,
    /// Score at the end less the baseline's.
    pub asymptotic_gain: Mean,
    /// Area below the curve over the baseline's, less 1.
    pub area_ratio: Mean,
    /// The same of areas above what guessing gives.
    pub area_ratio_above: Mean,
    /// Times to shares of the baseline's asymptote.
    pub times: Vec<TimesRow>,
}

/// A mean over seeds, with its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean; none where it is not defined in some seed.
    pub mean: Option<f64>,
    /// Student's interval over seeds.
    pub interval: Option<(f64, f64)>,
}

/// The time to a share of the baseline's asymptote.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimesRow {
    /// The share.
    pub share: f64,
    /// The score that is to be reached.
    pub level: f64,
    /// Median steps of the arm over seeds.
    pub arm: Option<Time>,
    /// Its interval.
    pub arm_interval: Option<Span>,
    /// Median steps of the baseline over seeds.
    pub baseline: Option<Time>,
    /// Its interval.
    pub baseline_interval: Option<Span>,
    /// Items that the arm saw by then.
    pub arm_items: Option<f64>,
    /// Items that the baseline saw by then.
    pub baseline_items: Option<f64>,
    /// Steps of the baseline over steps of the arm.
    pub speed_up: Option<f64>,
    /// Its interval.
    pub speed_up_interval: Option<Span>,
}
