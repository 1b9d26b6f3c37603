//! One arm against its baseline.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::Array2;

use crate::base::Target;
use crate::stats::{Comparison, Discordant, Measure, Reason, TwoWay, superiority, units};

use super::super::super::artifacts::{ArmNumbers, Predictions};
use super::super::super::job::Failure;
use super::super::super::targets::log_odds;
use super::runs::{ArmRuns, SeedRun, deviation, mean};

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
}

/// A comparison that is yet to be judged among its family.
pub(super) struct Compared {
    /// In units of `scale`.
    pub(super) comparison: Comparison,
    pub(super) numbers: ArmNumbers,
    /// How large the unit is: the spread of the numbers that are predicted, 1 of anything else.
    pub(super) scale: f64,
}

impl Pair<'_> {
    pub(super) fn compare(&self) -> Result<Compared, Failure> {
        let pairs = self.seed_pairs()?;
        let missing = self.arm.seeds.len() - pairs.len();
        let others = self.others.iter().copied();
        let runs = [self.baseline, self.arm].into_iter().chain(others);
        let sample = runs.flat_map(ArmRuns::present).next();
        let groups = sample.filter(|p| p.grouped).map(|p| renumbered(&p.groups));
        let scale = match sample {
            Some(predictions) => self.metric.scale(&predictions.judged()?),
            None => 1.0,
        };
        let differences = differences(&pairs) / scale;
        let items = differences.ncols();
        let collapsed = units(&differences, groups.as_deref())
            .map_err(|error| Failure::new(format!("compare arms: {error}")))?;
        let means = |side: fn(&(Scored, Scored)) -> &Scored| -> Vec<f64> {
            pairs.iter().map(|pair| side(pair).value).collect()
        };
        let (transfer, scratch) = (means(|pair| &pair.0), means(|pair| &pair.1));
        let majority = sample.and_then(|p| self.majority(p));
        let by_seed: Vec<f64> =
            transfer.iter().zip(&scratch).map(|(t, s)| (t - s) * self.sign()).collect();
        let delta = mean(&transfer).zip(mean(&scratch)).map(|(t, s)| (t - s) * self.sign());
        let comparison = Comparison {
            family: String::new(),
            two_way: TwoWay::of(&collapsed),
            eps: if self.is_share { self.rope } else { self.rope / scale },
            seeds: pairs.len(),
            units: collapsed.ncols(),
            missing_seeds: missing,
            reasons: self.reasons(delta, mean(&scratch), majority, scale),
            flags: self.flags(),
        };
        let discordant = discordant(&pairs);
        let numbers = ArmNumbers {
            m_transfer: mean(&transfer),
            m_scratch: mean(&scratch),
            sd_scratch: deviation(&scratch),
            m_majority: majority,
            n_train: sample.map(|p| p.trained_on),
            items,
            groups: groups.map(|groups| groups.iter().collect::<BTreeSet<_>>().len()),
            lr_head: self.arm.chosen("lr"),
            c: self.arm.chosen("c"),
            n01: discordant.as_ref().map(|d| d.gained),
            n10: discordant.as_ref().map(|d| d.lost),
            mcnemar_p: discordant.as_ref().map(Discordant::exact_p),
            p_gt: superiority(&by_seed),
        };
        Ok(Compared { comparison, numbers, scale })
    }

    /// What counts as a difference of the score on val: balanced accuracy, or what takes its place
    /// where there are no classes.
    fn rise(&self) -> f64 {
        match self.metric {
            Measure::Class(_) => self.rope,
            Measure::Column(_) => RISE,
        }
    }

    /// 1 where higher is better, −1 where lower is.
    pub(super) fn sign(&self) -> f64 {
        self.metric.direction().sign()
    }

    /// Both arms of every seed that has both.
    fn seed_pairs(&self) -> Result<Vec<(Scored, Scored)>, Failure> {
        let mut pairs = Vec::new();
        for (seed, (arm, baseline)) in self.arm.seeds.iter().zip(&self.baseline.seeds).enumerate() {
            let others = self.others.iter().map(|other| &other.seeds[seed]);
            let like = [arm, baseline].into_iter().chain(others).find_map(SeedRun::present);
            let Some(like) = like else { continue };
            let scored = |run: &SeedRun| match run {
                SeedRun::Present(p) => self.scored(p).map(Some),
                SeedRun::Diverged => self.scored(&always_majority(like)).map(Some),
                SeedRun::Missing => Ok(None),
            };
            if let (SeedRun::Present(a), SeedRun::Present(b)) = (arm, baseline)
                && a.ids != b.ids
            {
                return Err(Failure::with_help(
                    "compare arms that were tested on different items",
                    "arms of one verdict need the same data set and the same split",
                ));
            }
            if let (Some(arm), Some(baseline)) = (scored(arm)?, scored(baseline)?) {
                pairs.push((arm, baseline));
            }
        }
        Ok(pairs)
    }

    pub(super) fn scored(&self, predictions: &Predictions) -> Result<Scored, Failure> {
        let view = predictions.judged()?;
        let items = match self.metric.per_item(&view) {
            Some(Ok(items)) => items,
            Some(Err(reason)) => return Err(Failure::new(reason.reason().to_owned())),
            None => return Err(Failure::new(format!("{} is no mean", self.metric.name()))),
        };
        let value = self.metric.value(&view).value().unwrap_or(f64::NAN);
        let right = predictions.labels.iter().zip(&predictions.predicted);
        let right = right.map(|(label, predicted)| f64::from(u8::from(label == predicted)));
        Ok(Scored { value, items, right: right.collect() })
    }

    /// What the most frequent training class gives, if the metric can say.
    fn majority(&self, like: &Predictions) -> Option<f64> {
        let predictions = always_majority(like);
        let view = predictions.judged().ok()?;
        self.metric.value(&view).value()
    }

    /// Why no claim may be made.
    fn reasons(
        &self,
        delta: Option<f64>,
        scratch: Option<f64>,
        majority: Option<f64>,
        scale: f64,
    ) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let rope = if self.is_share { self.rope * scale } else { self.rope };
        if let (Some(scratch), Some(majority)) = (scratch, majority)
            && (scratch - majority) * self.sign() <= rope
        {
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

    fn flags(&self) -> Vec<String> {
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
        flags
    }
}

/// A difference of an area under ROC curves, or of a share of variance, that is worth a word.
const RISE: f64 = 0.01;

/// One seed of one arm: the metric, its items (higher is better), and which items were right.
pub(super) struct Scored {
    pub(super) value: f64,
    pub(super) items: Vec<f64>,
    pub(super) right: Vec<f64>,
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
