//! One arm against its baseline.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use ndarray::Array2;

use crate::base::Target;
use crate::base::numbers::{deviation, mean_if_any};
use crate::stats::{
    Bootstrapped, Comparison, Decider, Design, Discordant, Evidence, InterimLook, Measure, Reason,
    TwoWay, TwoWayBootstrap, superiority, units,
};

use super::super::super::artifacts::{ArmNumbers, Predictions};
use super::super::super::job::Failure;
use super::super::super::targets::log_odds;
use super::resampling::Resampling;
use super::runs::{ArmRuns, SeedRun};

/// An arm and its baseline.
pub(super) struct Pair<'a> {
    pub(super) arm: &'a ArmRuns,
    pub(super) baseline: &'a ArmRuns,
    /// All arms of the same target: where both of the pair diverged, these know the test items.
    pub(super) others: Vec<&'a ArmRuns>,
    pub(super) metric: Measure,
    pub(super) rope: f64,
    /// Whether `rope` is a share of the spread of the numbers that are predicted.
    pub(super) is_share: bool,
    /// The share of what the baseline is above the majority class that takes the place of `rope`.
    pub(super) relative: Option<f64>,
    /// Which of several looks this is.
    pub(super) look: Option<InterimLook>,
    /// How a metric that is no mean is resampled.
    pub(super) resampling: Resampling,
}

/// Both runs of every seed that has both.
pub(super) struct Aligned<'a> {
    /// The arm's and the baseline's.
    pub(super) seeds: Vec<[Cow<'a, Predictions>; 2]>,
    /// Position of each among all seeds.
    pub(super) numbers: Vec<usize>,
    /// The group of each item, where they have groups.
    pub(super) groups: Option<Vec<usize>>,
}

impl Aligned<'_> {
    /// The same of some items alone.
    pub(super) fn part(&self, items: &[usize]) -> Aligned<'static> {
        let both = |pair: &[Cow<'_, Predictions>; 2]| {
            [0, 1].map(|side| Cow::Owned(pair[side].rows(items)))
        };
        let groups = self.groups.as_ref();
        let own = groups.map(|all| items.iter().map(|&item| all[item]).collect::<Vec<usize>>());
        Aligned {
            seeds: self.seeds.iter().map(both).collect(),
            numbers: self.numbers.clone(),
            groups: own.map(|own| renumbered(&own)),
        }
    }

    /// Items, or groups of items.
    pub(super) fn units(&self) -> usize {
        match (&self.groups, self.seeds.first()) {
            (Some(groups), _) => distinct(groups),
            (None, Some([sample, _])) => sample.ids.len(),
            (None, None) => 0,
        }
    }
}

/// A comparison that is yet to be judged among its family.
pub(super) struct Compared {
    /// In units of `scale`.
    pub(super) comparison: Comparison,
    pub(super) numbers: ArmNumbers,
    /// How large the unit is: the spread of the numbers that are predicted, 1 of anything else.
    pub(super) scale: f64,
}

impl<'a> Pair<'a> {
    pub(super) fn compare(&self) -> Result<Compared, Failure> {
        let aligned = self.aligned()?;
        let pairs: Vec<(Scored, Scored)> = aligned
            .seeds
            .iter()
            .map(|[arm, baseline]| Ok((self.scored(arm)?, self.scored(baseline)?)))
            .collect::<Result<_, Failure>>()?;
        let missing = self.arm.seeds.len() - pairs.len();
        let sample = self.sample();
        let groups = sample.filter(|p| p.grouped).map(|p| renumbered(&p.groups));
        let scale = match sample {
            Some(predictions) => self.metric.scale(&predictions.judged()?),
            None => 1.0,
        };
        let items = match pairs.is_empty() {
            true => 0,
            false => sample.map_or(0, |sample| sample.ids.len()),
        };
        let (evidence, units) = match self.decider() {
            Decider::TwoWay => two_way(&(differences(&pairs) / scale), groups.as_deref())?,
            Decider::TwoWayBootstrap => {
                let drawn = self.resampling.of(self.metric, &aligned, scale)?;
                let grouped = groups.as_ref().filter(|_| items > 0).map(|groups| distinct(groups));
                (drawn.and_then(decides), grouped.unwrap_or(items))
            }
        };
        let means = |side: fn(&(Scored, Scored)) -> &Scored| -> Vec<f64> {
            pairs.iter().map(|pair| side(pair).value).collect()
        };
        let (transfer, scratch) = (means(|pair| &pair.0), means(|pair| &pair.1));
        let by_seed: Vec<f64> =
            transfer.iter().zip(&scratch).map(|(t, s)| (t - s) * self.sign()).collect();
        let delta =
            mean_if_any(&transfer).zip(mean_if_any(&scratch)).map(|(t, s)| (t - s) * self.sign());
        let floor = self.floor()?;
        let m_majority = sample.and_then(|like| majority(like, self.metric));
        let comparison = Comparison {
            family: String::new(),
            decider: self.decider(),
            flags: self.flags(evidence.as_ref()),
            evidence,
            look: self.look,
            eps: self.eps(mean_if_any(&scratch).zip(m_majority), scale),
            seeds: pairs.len(),
            units,
            missing_seeds: missing,
            reasons: self.reasons(delta, floor, scale),
        };
        let discordant = discordant(&pairs);
        let numbers = ArmNumbers {
            m_transfer: mean_if_any(&transfer),
            m_scratch: mean_if_any(&scratch),
            sd_scratch: deviation(&scratch),
            m_majority,
            n_train: sample.map(|p| p.trained_on),
            items,
            groups: groups.map(|groups| distinct(&groups)),
            lr_head: self.arm.chosen("lr"),
            c: self.arm.chosen("c"),
            n01: discordant.as_ref().map(|d| d.gained),
            n10: discordant.as_ref().map(|d| d.lost),
            mcnemar_p: discordant.as_ref().map(Discordant::exact_p),
            p_gt: superiority(&by_seed),
            by_seed: (0..self.arm.seeds.len())
                .map(|seed| Some(by_seed[aligned.numbers.iter().position(|own| *own == seed)?]))
                .collect(),
        };
        Ok(Compared { comparison, numbers, scale })
    }

    /// Half the width of the region of practical equivalence, in units of `scale`; `known` are the
    /// means of the baseline and of the majority class.
    fn eps(&self, known: Option<(f64, f64)>, scale: f64) -> f64 {
        match (self.relative, known) {
            (Some(share), Some((scratch, majority))) => {
                share * ((scratch - majority) * self.sign()).max(0.0) / scale
            }
            _ if self.is_share => self.rope,
            _ => self.rope / scale,
        }
    }

    /// The test that decides.
    fn decider(&self) -> Decider {
        if self.metric.is_mean() { Decider::TwoWay } else { Decider::TwoWayBootstrap }
    }

    /// Any run on the test items.
    pub(super) fn sample(&self) -> Option<&'a Predictions> {
        let others = self.others.iter().copied();
        [self.baseline, self.arm].into_iter().chain(others).flat_map(ArmRuns::present).next()
    }

    /// What counts as a difference of the score on val: balanced accuracy, or what takes its place
    /// where there are no classes.
    fn rise(&self) -> f64 {
        match self.metric {
            // Losses and calibration errors have regions of another unit.
            Measure::Class(metric) if !["log_loss", "brier", "ece"].contains(&metric.name()) => {
                self.rope
            }
            _ => RISE,
        }
    }

    /// 1 where higher is better, −1 where lower is.
    pub(super) fn sign(&self) -> f64 {
        self.metric.direction().sign()
    }

    /// Both runs of every seed that has both, what diverged counted as the majority class.
    pub(super) fn aligned(&self) -> Result<Aligned<'a>, Failure> {
        let (mut seeds, mut numbers) = (Vec::new(), Vec::new());
        for (seed, sides) in self.arm.seeds.iter().zip(&self.baseline.seeds).enumerate() {
            let others = self.others.iter().map(|other| &other.seeds[seed]);
            let like = [sides.0, sides.1].into_iter().chain(others).find_map(SeedRun::present);
            let Some(like) = like else { continue };
            let (Some(arm), Some(baseline)) = (sides.0.counted(like), sides.1.counted(like)) else {
                continue;
            };
            if arm.ids != baseline.ids {
                return Err(Failure::with_help(
                    "compare arms that were tested on different items",
                    "arms of one verdict need the same data set and the same split",
                ));
            }
            seeds.push([arm, baseline]);
            numbers.push(seed);
        }
        let groups = seeds.first().filter(|pair| pair[0].grouped);
        let groups = groups.map(|pair| renumbered(&pair[0].groups));
        Ok(Aligned { seeds, numbers, groups })
    }

    pub(super) fn scored(&self, predictions: &Predictions) -> Result<Scored, Failure> {
        let view = predictions.judged()?;
        let items = match self.metric.per_item(&view) {
            Some(Ok(items)) => items,
            Some(Err(reason)) => return Err(Failure::new(reason.reason().to_owned())),
            None => Vec::new(),
        };
        let value = self.metric.value(&view).value().unwrap_or(f64::NAN);
        let right = predictions.labels.iter().zip(&predictions.predicted);
        let right = right.map(|(label, predicted)| f64::from(u8::from(label == predicted)));
        Ok(Scored { value, items, right: right.collect() })
    }

    /// What the baseline must surpass, and how it does. Whoever always tells the shares of the
    /// classes is never wrongly sure, so that of calibration nothing can be asked; balanced accuracy
    /// takes its place.
    fn floor(&self) -> Result<Option<Floor>, Failure> {
        let metric = match self.metric.name() {
            "ece" => Measure::find("balanced_accuracy", Target::Classes),
            _ => Some(self.metric),
        };
        let (Some(metric), Some(sample)) = (metric, self.sample()) else { return Ok(None) };
        let mut values = Vec::new();
        for [_, baseline] in &self.aligned()?.seeds {
            values.extend(metric.value(&baseline.judged()?).value());
        }
        let own = metric.name() == self.metric.name();
        let rope = if own { self.rope } else { metric.rope() };
        let known = mean_if_any(&values).zip(majority(sample, metric));
        let sign = metric.direction().sign();
        Ok(known.map(|(scratch, majority)| Floor { above: (scratch - majority) * sign, rope }))
    }

    /// Why no claim may be made.
    fn reasons(&self, delta: Option<f64>, floor: Option<Floor>, scale: f64) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let scale = if self.is_share { scale } else { 1.0 };
        if floor.is_some_and(|floor| floor.above <= floor.rope * scale) {
            reasons.push(Reason::InvalidBaseline);
        }
        // A claim that one arm is better is threatened only if the other could have done better:
        // by a value beyond the end of its list, or with more steps.
        let behind: &[&ArmRuns] = match delta {
            Some(delta) if delta > 0.0 => &[self.baseline],
            Some(delta) if delta < 0.0 => &[self.arm],
            _ => &[self.arm, self.baseline],
        };
        if behind.iter().any(|arm| arm.at_grid_edge()) {
            reasons.push(Reason::GridEdge);
        }
        if behind.iter().any(|arm| arm.was_still_rising(self.rise())) {
            reasons.push(Reason::BudgetLimited);
        }
        reasons
    }

    fn flags(&self, evidence: Option<&Evidence>) -> Vec<String> {
        let sides = [("", self.arm), ("baseline_", self.baseline)];
        let mut flags = Vec::new();
        for (prefix, arm) in sides {
            let marks = [
                ("diverged", arm.diverged()),
                ("grid_edge", arm.at_grid_edge()),
                ("budget_limited", arm.was_still_rising(self.rise())),
            ];
            let set = marks.iter().filter(|(_, set)| *set);
            flags.extend(set.map(|(mark, _)| format!("{prefix}{mark}")));
        }
        flags.extend(evidence.filter(|found| lost_many(found)).map(|_| UNDEFINED.to_owned()));
        flags
    }
}

/// What resamples say, if seeds were drawn too.
pub(super) fn decides((plain, design): (Bootstrapped, Design)) -> Option<Evidence> {
    TwoWayBootstrap::of(&plain, &design).map(Evidence::from)
}

/// Whether many resamples had no value.
pub(super) fn lost_many(evidence: &Evidence) -> bool {
    let Evidence::Resampled(found) = evidence else { return false };
    let lost = found.plain().undefined;
    lost as f64 > MAX_UNDEFINED * (lost + found.plain().resamples()) as f64
}

/// Remark that many resamples had no value.
pub(super) const UNDEFINED: &str = "undefined_resamples";

/// A difference of an area under ROC curves, or of a share of variance, that is worth a word.
const RISE: f64 = 0.01;

/// More resamples without a value than this share deserve a word: a class or label is so rare that
/// they lose it.
const MAX_UNDEFINED: f64 = 0.05;

/// How far the baseline is above the majority class.
struct Floor {
    above: f64,
    /// What it must be above by.
    rope: f64,
}

/// One seed of one arm: the metric, its items (higher is better; none of what is no mean), and which
/// items were right.
pub(super) struct Scored {
    pub(super) value: f64,
    pub(super) items: Vec<f64>,
    pub(super) right: Vec<f64>,
}

/// The two-way test on differences (seeds × items), and how many units they have.
fn two_way(
    differences: &Array2<f64>,
    groups: Option<&[usize]>,
) -> Result<(Option<Evidence>, usize), Failure> {
    if differences.is_empty() {
        return Ok((None, 0));
    }
    let collapsed = units(differences, groups)
        .map_err(|error| Failure::new(format!("compare arms: {error}")))?;
    Ok((TwoWay::of(&collapsed).map(Evidence::from), collapsed.ncols()))
}

fn distinct(groups: &[usize]) -> usize {
    groups.iter().collect::<BTreeSet<_>>().len()
}

/// What the most frequent training class gives, if the metric can say.
fn majority(like: &Predictions, metric: Measure) -> Option<f64> {
    let predictions = always_majority(like);
    let view = predictions.judged().ok()?;
    metric.value(&view).value()
}

/// Arm less baseline, seeds × items.
fn differences(pairs: &[(Scored, Scored)]) -> Array2<f64> {
    let items = pairs.first().map_or(0, |(arm, _)| arm.items.len());
    let mut differences = Array2::zeros((pairs.len(), items));
    for (mut row, (arm, baseline)) in differences.rows_mut().into_iter().zip(pairs) {
        for (cell, (a, b)) in row.iter_mut().zip(arm.items.iter().zip(&baseline.items)) {
            *cell = a - b;
        }
    }
    differences
}

/// Items that only one of the first seed's two models got right.
fn discordant(pairs: &[(Scored, Scored)]) -> Option<Discordant> {
    let (arm, baseline) = pairs.first()?;
    let both_known = !arm.right.is_empty() && !baseline.right.is_empty();
    both_known.then(|| Discordant::count(arm.right.iter().zip(&baseline.right).map(|(a, b)| a - b)))
}

/// The same items, all given the most frequent training class; or the shares of labels, or the means
/// of numbers.
pub(in super::super::super) fn always_majority(like: &Predictions) -> Predictions {
    let most = like.prior.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let class = like.prior.iter().position(|share| *share >= most).unwrap_or_default();
    let shape = (like.ids.len(), like.prior.len());
    let prior = Array2::from_shape_fn(shape, |(_, class)| like.prior[class]);
    match like.target {
        Target::Classes => {}
        Target::Labels => {
            let scores = prior.mapv(log_odds);
            return Predictions { scores, probabilities: Ok(prior), ..like.clone() };
        }
        Target::Values => return Predictions { scores: prior, ..like.clone() },
    }
    Predictions {
        predicted: vec![class; like.ids.len()],
        scores: prior.clone(),
        probabilities: Ok(prior),
        ..like.clone()
    }
}

/// Group numbers without gaps.
pub(in super::super) fn renumbered(groups: &[usize]) -> Vec<usize> {
    let mut numbers = BTreeMap::new();
    groups
        .iter()
        .map(|group| {
            let next = numbers.len();
            *numbers.entry(*group).or_insert(next)
        })
        .collect()
}
