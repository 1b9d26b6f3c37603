//! `transfer`: is each arm better than, equal to, or worse than training from scratch, and how
//! sure is that?

mod beside;

use std::collections::{BTreeMap, BTreeSet};

use ndarray::Array2;
use serde_json::{Value as Json, json};

use crate::base::language::{Above0, Natural, Word, keys};
use crate::base::{Located, Problem, Target};
use crate::stats::{
    Comparison, Discordant, Measure, Metric, Reason, TwoWay, Unit, judge, metric, student_quantile,
    superiority, units,
};

use super::super::artifacts::{ArmNumbers, ArmRow, Predictions, Verdicts, put_json};
use super::super::job::{Context, Cores, Failure, Given, Job, Outputs};
use super::super::names::{Reference, full_name};
use super::super::site::{Input, Offers, ScoredArm, ScoresOffer, Site};
use super::super::targets::log_odds;
use super::Kind;
use beside::{Asked, PlacedPair, beside};

keys! {
    /// Compares each scored stage with a baseline over the same seeds and test items, and says
    /// whether it helps, makes no difference, hurts, or cannot be told yet.
    pub struct Transfer {
        /// The `evaluate` stage.
        of: Located<Reference>,
        /// What the others are compared with: the same architecture from random weights. With a
        /// matrix, each arm is compared with the combination that shares its axes.
        baseline: Located<Reference>,
        /// The metric that is compared; it must be a mean over items. If not said,
        /// `balanced_accuracy` of classes, `log_loss` of several labels, `mse` of numbers.
        metric: Option<Located<Word>> = None,
        /// Differences up to this size are no difference; by the metric's default if not said,
        /// and never below one test item. Of numbers it is in the unit of the metric, and by default a
        /// hundredth of their variance or standard deviation over the test items.
        rope: Option<Above0> = None,
        /// Further metrics of classes, such as `macro_f1` or `auroc`, whose differences are told
        /// beside the verdict with intervals by bootstrap. They decide nothing.
        also: Vec<Located<Word>> = Vec::new(),
        /// Resamples of each bootstrap beside the verdict; 0 for none. Seeds and items are drawn,
        /// or items alone where there are fewer than 5 seeds.
        resamples: Natural = Natural(10_000),
    }
}

impl Kind for Transfer {
    const WORD: &'static str = "transfer";

    fn references(&self) -> Vec<&Located<Reference>> {
        vec![&self.of, &self.baseline]
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let known = self.known_metric(site);
        let also = self.also(site);
        let scores = self.scores(site)?;
        let pairs = self.pairs(&scores, site)?;
        known?;
        let metric = self.metric(&scores, site)?;
        let mut inputs = Vec::new();
        for (arm, scored) in scores.arms.iter().enumerate() {
            for seed in 0..site.seeds.len() {
                inputs.push(Input::optional(&port(arm, seed), scored.runs.of(seed), "items"));
            }
        }
        let job = Compare {
            metric: metric.name(),
            target: scores.arms.first().map(|arm| arm.data.dataset.target()).unwrap_or_default(),
            rope: self.rope.map_or(metric.rope(), Above0::get),
            is_share: self.rope.is_none() && is_scaled(metric),
            seeds: site.seeds.len(),
            families: families(&scores.arms),
            targets: targets(&scores.arms),
            asked: Asked {
                resamples: self.resamples.0,
                also: also?,
                twins: beside::twins(&scores.arms, &pairs),
            },
            pairs,
        };
        site.add("", None, job, inputs);
        let verdict_of = scores.arms.iter().map(ScoredArm::name).collect();
        Some(Offers { verdict_of, ..Offers::default() })
    }
}

fn port(arm: usize, seed: usize) -> String {
    format!("arm_{arm}_seed_{seed}")
}

/// Arms of one source and target are corrected together.
fn families(arms: &[ScoredArm]) -> Vec<usize> {
    let mut known: BTreeMap<(Option<&str>, &str), usize> = BTreeMap::new();
    arms.iter()
        .map(|scored| {
            let next = known.len();
            let source = (scored.arm.source.as_deref(), scored.arm.target.as_str());
            *known.entry(source).or_insert(next)
        })
        .collect()
}

/// Arms of one target have the same test items.
fn targets(arms: &[ScoredArm]) -> Vec<usize> {
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    arms.iter()
        .map(|scored| {
            let next = known.len();
            *known.entry(scored.arm.target.as_str()).or_insert(next)
        })
        .collect()
}

impl Transfer {
    /// Refuses a metric that no target has, or that is no mean.
    fn known_metric(&self, site: &mut Site) -> Option<()> {
        let Some(word) = &self.metric else { return Some(()) };
        let target_of = |target| Measure::find(&word.0, target);
        let targets = [Target::Classes, Target::Labels, Target::Values];
        if targets.into_iter().filter_map(target_of).any(|measure| measure.is_mean()) {
            return Some(());
        }
        let message = match Measure::named(&word.0) {
            None => format!("no metric is called `{}`", word.0),
            Some(_) => format!("`{}` is no mean over items, which this test needs", word.0),
        };
        // What is tested is not known where nothing can be scored; classes are the usual case.
        let target = self.target(site).unwrap_or_default();
        let known = means(target);
        site.problem(Problem::at(word.place, message).or_else_one_of(&word.0, known));
        None
    }

    /// Further metrics, which must be of classes.
    fn also(&self, site: &mut Site) -> Option<Vec<&'static dyn Metric>> {
        let of_classes = self.target(site).unwrap_or_default() == Target::Classes;
        let mut found = Some(Vec::new());
        for word in &self.also {
            let known = metric(&word.0).filter(|_| of_classes);
            if known.is_none() {
                let problem = |message: String| Problem::at(word.place, message);
                site.problem(match of_classes {
                    true => {
                        let names = crate::stats::METRICS.iter().map(|metric| metric.name());
                        let message = format!("no metric is called `{}`", word.0);
                        problem(message).or_else_one_of(&word.0, names.collect::<Vec<_>>())
                    }
                    false => problem("`also` takes metrics of classes".to_owned())
                        .help("leave `also` away: what is told here has no classes"),
                });
            }
            found = found.zip(known).map(|(mut all, metric)| {
                all.push(metric);
                all
            });
        }
        found
    }

    /// What the arms are tested on, if that can be seen.
    fn target(&self, site: &Site) -> Option<Target> {
        let stages = site.planned.iter().filter(|planned| planned.stage == self.of.stage);
        let mut scores = stages.filter_map(|planned| planned.offers.as_ref()?.scores.as_ref());
        Some(scores.next()?.arms.first()?.data.dataset.target())
    }

    /// The metric for what the arms are tested on, which must be the same for all of them.
    fn metric(&self, scores: &ScoresOffer, site: &mut Site) -> Option<Measure> {
        let target = scores.arms.first()?.data.dataset.target();
        let differs = |arm: &&ScoredArm| arm.data.dataset.target() != target;
        if let Some(other) = scores.arms.iter().find(differs) {
            let message = format!(
                "items of `{}` have {}, but those of `{}` have {}",
                scores.arms[0].data.name,
                target.told(),
                other.data.name,
                other.data.dataset.target().told()
            );
            let help = "score them in `evaluate` stages of their own";
            site.problem(Problem::at(self.of.place, message).help(help));
            return None;
        }
        let usual = match target {
            Target::Classes => "balanced_accuracy",
            Target::Labels => "log_loss",
            Target::Values => "mse",
        };
        let word = self.metric.as_ref().map_or(usual, |word| word.0.as_str());
        let found = Measure::find(word, target).filter(Measure::is_mean);
        if let (None, Some(named)) = (found, &self.metric) {
            let message = format!(
                "`{word}` cannot compare what is told of items of `{}`, which have {}",
                scores.arms[0].data.name,
                target.told()
            );
            let problem = Problem::at(named.place, message);
            site.problem(problem.or_else_one_of(word, means(target)));
        }
        found
    }

    fn scores(&self, site: &mut Site) -> Option<ScoresOffer> {
        let planned = site.one(&self.of)?;
        let scores = planned.offers?.scores;
        if scores.is_none() {
            let message = format!("`{}` has no scores", self.of.value);
            let help = "name an `evaluate` stage";
            site.problem(Problem::at(self.of.place, message).help(help));
        }
        scores
    }

    /// Each arm with its baseline.
    fn pairs(&self, scores: &ScoresOffer, site: &mut Site) -> Option<Vec<(usize, usize)>> {
        let is_baseline = |arm: &ScoredArm| {
            arm.stage == self.baseline.stage
                && self.baseline.axes.iter().all(|axis| arm.axes.contains(axis))
        };
        let baselines: Vec<usize> =
            (0..scores.arms.len()).filter(|&index| is_baseline(&scores.arms[index])).collect();
        if baselines.is_empty() {
            // A baseline that does not exist is told as such; else it was not scored.
            site.matching(&self.baseline)?;
            let message = format!("`{}` is not among the stages scored", self.baseline.value);
            let help = format!("add it to `of` of `{}`", self.of.value);
            site.problem(Problem::at(self.baseline.place, message).help(help));
            return None;
        }
        let mut pairs = Vec::new();
        for (index, arm) in scores.arms.iter().enumerate() {
            if baselines.contains(&index) {
                continue;
            }
            pairs.push((index, self.baseline_of(arm, &baselines, scores, site)?));
        }
        Some(pairs)
    }

    /// The baseline that agrees with an arm on every axis both have, and was made from the same
    /// data set.
    fn baseline_of(
        &self,
        arm: &ScoredArm,
        baselines: &[usize],
        scores: &ScoresOffer,
        site: &mut Site,
    ) -> Option<usize> {
        let shared = |baseline: &ScoredArm| {
            baseline.axes.iter().all(|(axis, value)| {
                arm.axes.iter().all(|(other, chosen)| other != axis || chosen == value)
            })
        };
        let fitting: Vec<usize> =
            baselines.iter().copied().filter(|&index| shared(&scores.arms[index])).collect();
        let problem = |message: String| Problem::at(self.baseline.place, message);
        match fitting[..] {
            [only] => {
                let baseline = &scores.arms[only];
                if baseline.data.name == arm.data.name {
                    return Some(only);
                }
                site.problem(problem(format!(
                    "`{}` is tested on `{}`, but its baseline on `{}`",
                    arm.name(),
                    arm.data.name,
                    baseline.data.name
                )));
            }
            [] => site.problem(problem(format!("`{}` has no baseline that fits it", arm.name()))),
            _ => {
                let names: Vec<String> =
                    fitting.iter().map(|&index| scores.arms[index].name()).collect();
                let axis = axes_missing(arm, &scores.arms[fitting[0]]);
                site.problem(
                    problem(format!(
                        "`{}` could be compared with {} baselines: {}",
                        arm.name(),
                        names.len(),
                        names.join(", ")
                    ))
                    .help(format!(
                        "choose one as in `{}`, or give the arm the axis `{axis}`",
                        full_name(&self.baseline.stage, &scores.arms[fitting[0]].axes)
                    )),
                );
            }
        }
        None
    }
}

fn axes_missing(arm: &ScoredArm, baseline: &ScoredArm) -> String {
    let known: BTreeSet<&str> = arm.axes.iter().map(|(axis, _)| axis.as_str()).collect();
    let missing = baseline.axes.iter().find(|(axis, _)| !known.contains(axis.as_str()));
    missing.map(|(axis, _)| axis.clone()).unwrap_or_default()
}

/// Names of metrics that are means over items.
fn means(target: Target) -> Vec<&'static str> {
    let all = Measure::all(target).into_iter();
    all.filter(Measure::is_mean).map(|measure| measure.name()).collect()
}

/// Whether a metric is measured in the unit of the numbers that are predicted.
fn is_scaled(measure: Measure) -> bool {
    matches!(measure, Measure::Column(metric) if metric.unit() != Unit::Own)
}

/// The comparison of all arms.
struct Compare {
    metric: &'static str,
    /// What the arms are tested on.
    target: Target,
    rope: f64,
    /// Whether `rope` is a share of the spread of the numbers that are predicted.
    is_share: bool,
    seeds: usize,
    families: Vec<usize>,
    targets: Vec<usize>,
    pairs: Vec<(usize, usize)>,
    asked: Asked,
}

impl Job for Compare {
    fn kind(&self) -> &'static str {
        "transfer"
    }

    /// 1: first. 2: other tests, subgroups and changed items beside the verdict.
    fn version(&self) -> u32 {
        2
    }

    fn cores(&self) -> Cores {
        if self.asked.also.is_empty() { Cores::One } else { Cores::All }
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
            })
            .collect();
        let compared: Vec<Compared> = pairs.iter().map(Pair::compare).collect::<Result<_, _>>()?;
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
        let beside = beside(&placed, &self.asked, context)?;
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
        let verdicts = Verdicts { metric: self.metric.to_owned(), rows };
        let outputs =
            Outputs::default().with("verdict", put_json(context.store, "verdict", &verdicts)?);
        Ok(outputs.with("beside", put_json(context.store, "beside", &beside)?))
    }
}

/// What one arm predicted, seed by seed.
struct ArmRuns {
    seeds: Vec<SeedRun>,
}

/// One seed of an arm.
enum SeedRun {
    /// Predictions on the test part.
    Present(Box<Predictions>),
    /// Training diverged: counted as the majority class.
    Diverged,
    /// No result.
    Missing,
}

impl SeedRun {
    fn present(&self) -> Option<&Predictions> {
        match self {
            Self::Present(predictions) => Some(predictions),
            _ => None,
        }
    }
}

impl ArmRuns {
    fn load(
        arm: usize,
        seeds: usize,
        metric: Measure,
        context: &Context<'_>,
    ) -> Result<Self, Failure> {
        let run = |seed: usize| -> Result<SeedRun, Failure> {
            let port = port(arm, seed);
            match context.inputs.get(&port) {
                Some(Given::Artifact(_)) => {
                    let predictions = Predictions::load(&context.bytes(&port)?)?;
                    let judged = predictions.judged()?;
                    let defined = metric.per_item(&judged).is_some_and(|items| items.is_ok());
                    // A kind without probabilities has no items of a metric that needs them.
                    Ok(if defined {
                        SeedRun::Present(Box::new(predictions))
                    } else {
                        SeedRun::Missing
                    })
                }
                Some(Given::Missing { diverged: true }) => Ok(SeedRun::Diverged),
                _ => Ok(SeedRun::Missing),
            }
        };
        Ok(Self { seeds: (0..seeds).map(run).collect::<Result<_, _>>()? })
    }

    fn present(&self) -> impl Iterator<Item = &Predictions> {
        self.seeds.iter().filter_map(SeedRun::present)
    }

    fn diverged(&self) -> bool {
        self.seeds.iter().any(|run| matches!(run, SeedRun::Diverged))
    }

    /// Whether the value chosen most often lies at an end of a list of several: judged by the mean
    /// over seeds of what each value gave on val.
    fn at_grid_edge(&self) -> bool {
        let curves: Vec<_> = self.present().filter_map(|p| p.selection.as_ref()).collect();
        let Some(first) = curves.first() else { return false };
        let count = first.curve.len();
        if count < 2 || curves.iter().any(|selection| selection.curve.len() != count) {
            return false;
        }
        let mean = |index: usize| {
            let values = curves.iter().map(|s| s.curve[index].1.unwrap_or(f64::INFINITY));
            values.sum::<f64>() / curves.len() as f64
        };
        let best = (0..count).min_by(|a, b| mean(*a).total_cmp(&mean(*b)));
        best == Some(0) || best == Some(count - 1)
    }

    /// Whether the val score still rose when the budget ran out: by more than half of what counts
    /// as a difference on average over seeds, and by more than its own noise (one-sided t, 5 %).
    /// Seeds that stopped early had reached their plateau.
    fn was_still_rising(&self, rope: f64) -> bool {
        let rises: Vec<f64> = self.present().map(|p| p.still_rising.unwrap_or(0.0)).collect();
        let (Some(rise), Some(spread)) = (mean(&rises), deviation(&rises)) else { return false };
        let noise = spread / (rises.len() as f64).sqrt();
        rise > rope / 2.0 && rise > student_quantile(0.95, (rises.len() - 1) as f64) * noise
    }

    fn chosen(&self, setting: &str) -> Option<f64> {
        let of = |p: &Predictions| {
            let selection = p.selection.as_ref().filter(|s| s.setting == setting)?;
            Some(selection.chosen)
        };
        let mut values: Vec<f64> = self.present().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }
}

/// An arm and its baseline.
struct Pair<'a> {
    arm: &'a ArmRuns,
    baseline: &'a ArmRuns,
    /// All arms of the same target: where both of the pair diverged, these know the test items.
    others: Vec<&'a ArmRuns>,
    metric: Measure,
    rope: f64,
    /// Whether `rope` is a share of the spread of the numbers that are predicted.
    is_share: bool,
}

/// A comparison that is yet to be judged among its family.
struct Compared {
    /// In units of `scale`.
    comparison: Comparison,
    numbers: ArmNumbers,
    /// How large the unit is: the spread of the numbers that are predicted, 1 of anything else.
    scale: f64,
}

impl Pair<'_> {
    fn compare(&self) -> Result<Compared, Failure> {
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
    fn sign(&self) -> f64 {
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

    fn scored(&self, predictions: &Predictions) -> Result<Scored, Failure> {
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
struct Scored {
    value: f64,
    items: Vec<f64>,
    right: Vec<f64>,
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
fn always_majority(like: &Predictions) -> Predictions {
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
fn renumbered(groups: &[usize]) -> Vec<usize> {
    let mut numbers = BTreeMap::new();
    groups
        .iter()
        .map(|group| {
            let next = numbers.len();
            *numbers.entry(*group).or_insert(next)
        })
        .collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Standard deviation over seeds (divisor n − 1).
fn deviation(values: &[f64]) -> Option<f64> {
    let centre = mean(values).filter(|_| values.len() > 1)?;
    let square: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    Some((square / (values.len() - 1) as f64).sqrt())
}
