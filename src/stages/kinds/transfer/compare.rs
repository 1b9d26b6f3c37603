//! The job of a verdict: every arm against its baseline, judged together.

use serde_json::{Value as Json, json};

use crate::base::Target;
use crate::stats::{Comparison, InterimLook, Measure, judge};

use super::super::super::artifacts::{ArmRow, Verdicts, put_json};
use super::super::super::job::{Context, Cores, Failure, Job, Outputs, Speed};
use super::beside::{Asked, PlacedPair, beside};
use super::labels;
use super::methods::{self, Method};
use super::pair::{Compared, Pair};
use super::resampling::Resampling;
use super::runs::ArmRuns;

/// The comparison of all arms.
pub(super) struct Compare {
    pub(super) metric: &'static str,
    /// What the arms are tested on.
    pub(super) target: Target,
    pub(super) rope: f64,
    /// Whether `rope` is a share of the spread of the numbers that are predicted.
    pub(super) is_share: bool,
    /// The share of what the baseline is above the majority class that takes the place of `rope`.
    pub(super) relative: Option<f64>,
    pub(super) seeds: usize,
    pub(super) families: Vec<usize>,
    pub(super) targets: Vec<usize>,
    pub(super) pairs: Vec<(usize, usize)>,
    pub(super) asked: Asked,
    /// Which of several looks this is.
    pub(super) look: Option<InterimLook>,
    /// Arms to choose among.
    pub(super) methods: Vec<Method>,
    /// Items that are tested, about; part of no key.
    pub(super) items: usize,
}

/// Seconds to read the predictions of one item.
const READ: f64 = 1e-6;
/// Seconds of one item of one seed in one resample, for an arm and its baseline.
const RESAMPLED: f64 = 1e-8;

impl Job for Compare {
    fn kind(&self) -> &'static str {
        "transfer"
    }

    /// 1: first. 2: other tests, subgroups and changed items beside the verdict. 3: the test that
    /// decides, and verdicts on labels and methods. 4: lists that grew in some seeds alone have an
    /// end; a twin that diverged counts as the majority class, and tests that count items of groups
    /// singly say so; subgroups of metrics that are no means, and what of their differences comes
    /// from the source; differences seed by seed.
    fn version(&self) -> u32 {
        4
    }

    fn cores(&self) -> Cores {
        let is_mean = Measure::find(self.metric, self.target).is_some_and(|it| it.is_mean());
        if self.asked.also.is_empty() && is_mean { Cores::One } else { Cores::All }
    }

    /// Resamples, and all seeds and items but one, each look at every item of every seed.
    fn expected(&self, _speed: Speed) -> f64 {
        let (seeds, items) = (self.seeds as f64, self.items as f64);
        let looks = match self.asked.resamples {
            0 => 0.0,
            resamples => (resamples as f64 + seeds + items) * (1 + self.asked.also.len()) as f64,
        };
        let (arms, pairs) = (self.families.len() as f64, self.pairs.len() as f64);
        0.02 + seeds * items * (arms * READ + pairs * looks * RESAMPLED)
    }

    fn parameters(&self) -> Result<Json, Failure> {
        let mut parameters = json!({
            "metric": self.metric,
            "rope": self.rope,
            "seeds": self.seeds,
            "families": self.families,
            "targets": self.targets,
            "pairs": self.pairs,
            "resamples": self.asked.resamples,
            "also": self.asked.also.iter().map(|metric| metric.name()).collect::<Vec<_>>(),
            "twins": self.asked.twins,
        });
        if self.target != Target::Classes {
            parameters["of"] = json!([self.target, self.is_share]);
        }
        if let Some(relative) = self.relative {
            parameters["relative"] = json!(relative);
        }
        if !self.methods.is_empty() {
            parameters["methods"] = json!(self.methods);
        }
        if let Some(look) = self.look {
            parameters["look"] = json!(look);
        }
        Ok(parameters)
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let metric = Measure::find(self.metric, self.target)
            .ok_or_else(|| Failure::new(format!("no metric is called `{}`", self.metric)))?;
        let arms: Vec<ArmRuns> = (0..self.families.len())
            .map(|arm| ArmRuns::load(arm, self.seeds, metric, context))
            .collect::<Result<_, _>>()?;
        let pairs: Vec<Pair<'_>> = self
            .pairs
            .iter()
            .map(|&(arm, baseline)| Pair {
                arm: &arms[arm],
                baseline: &arms[baseline],
                others: arms
                    .iter()
                    .zip(&self.targets)
                    .filter(|(_, target)| **target == self.targets[arm])
                    .map(|(other, _)| other)
                    .collect(),
                metric,
                rope: self.rope,
                is_share: self.is_share,
                relative: self.relative,
                look: self.look,
                resampling: Resampling { resamples: self.asked.resamples, cores: context.cores },
            })
            .collect();
        let mut compared: Vec<Compared> = Vec::with_capacity(pairs.len());
        for pair in &pairs {
            context.go_on()?;
            compared.push(pair.compare()?);
        }
        let comparisons: Vec<Comparison> = compared
            .iter()
            .zip(&self.pairs)
            .map(|(compared, (arm, _))| Comparison {
                family: self.families[*arm].to_string(),
                ..compared.comparison.clone()
            })
            .collect();
        let placed: Vec<PlacedPair<'_>> = (0..pairs.len())
            .map(|index| PlacedPair {
                at: self.pairs[index],
                pair: &pairs[index],
                comparison: &comparisons[index],
                scale: compared[index].scale,
                twin: self.asked.twins[index].map(|twin| &arms[twin]),
            })
            .collect();
        let mut beside = beside(&placed, &self.asked, context)?;
        for (pair, &at) in pairs.iter().zip(&self.pairs) {
            beside.labels.extend(labels::verdicts(pair, at, context)?);
        }
        let rows = compared
            .into_iter()
            .zip(judge(&comparisons))
            .zip(&self.pairs)
            .map(|((compared, verdict), &(arm, baseline))| ArmRow {
                arm,
                baseline,
                numbers: compared.numbers,
                verdict: verdict.times(compared.scale),
            })
            .collect();
        let like = |arm: usize| -> Vec<usize> {
            let own = self.targets[arm];
            (0..self.targets.len()).filter(|other| self.targets[*other] == own).collect()
        };
        let methods = match pairs.first() {
            Some(any) => methods::verdicts(&self.methods, &arms, like, any, context)?,
            None => vec![],
        };
        let verdicts = Verdicts { metric: self.metric.to_owned(), rows, methods };
        let outputs =
            Outputs::default().with("verdict", put_json(context.store, "verdict", &verdicts)?);
        Ok(outputs.with("beside", put_json(context.store, "beside", &beside)?))
    }
}
