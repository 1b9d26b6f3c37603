//! `transfer`: is each arm better than, equal to, or worse than training from scratch, and how
//! sure is that?

mod beside;
mod compare;
mod labels;
mod methods;
mod pair;
mod parts;
mod resampling;
mod runs;

use std::collections::{BTreeMap, BTreeSet};

use crate::base::language::{Above0, Natural, Word, keys};
use crate::base::{Located, Problem, Target};
use crate::data::Part;
use crate::stats::{Measure, Metric, Unit, metric};

use super::super::names::{Reference, full_name};
use super::super::site::{Input, Offers, ScoredArm, ScoresOffer, Site};
use super::Kind;
use super::scored::{common_target, scores, usual};
use beside::Asked;
use compare::Compare;
pub(in super::super) use pair::always_majority;
use runs::port;

pub(super) use pair::renumbered;

keys! {
    /// Compares each scored stage with a baseline over the same seeds and test items, and says
    /// whether it helps, makes no difference, hurts, or cannot be told yet. Learning rates and other
    /// settings are chosen anew in each seed, on its val part: choosing is part of what is repeated
    /// and judged, and never sees test items. Whether a list of learning rates grows, of an arm and of
    /// its baseline alike (`extend_lr`), is decided once for all seeds. Where there are several arms
    /// to choose among, a row with `scope` `method` compares the transfer arm that is best on val in
    /// each seed with the scratch arm that is. The table `audit` tells what each arm and its baseline
    /// may spend, and the summary where the baseline had less of it: trainings are compared with
    /// trainings, fits of probes with fits of probes, and what the network computes for either.
    pub struct Transfer {
        /// The `evaluate` stage.
        of: Located<Reference>,
        /// What the others are compared with: the same architecture from random weights. With a
        /// matrix, each arm is compared with the combination that shares its axes.
        baseline: Located<Reference>,
        /// The metric that is compared. If not said, `balanced_accuracy` of classes, `log_loss` of
        /// several labels, `mse` of numbers. Means over items are judged by a two-way t over seeds and
        /// items; any other, such as `macro_f1` or `auroc`, by a two-way bootstrap, which needs 5
        /// seeds; its subgroups have at most 2000 resamples each.
        metric: Option<Located<Word>> = None,
        /// Differences up to this size are no difference; by the metric's default if not said,
        /// and never below one test item. Of numbers it is in the unit of the metric, and by default a
        /// hundredth of their variance or standard deviation over the test items.
        rope: Option<Above0> = None,
        /// Instead of `rope`: differences up to this share of how far an arm's baseline is above the
        /// majority class are no difference; 0.1 is usual.
        relative_rope: Option<Located<Above0>> = None,
        /// Further metrics of classes, such as `macro_f1` or `auroc`, whose differences are told
        /// beside the verdict with intervals by bootstrap. They decide nothing.
        also: Vec<Located<Word>> = Vec::new(),
        /// Resamples of each bootstrap; 0 for none beside the verdict. Seeds and items are drawn, or
        /// items alone where there are fewer than 5 seeds. A verdict by bootstrap needs 1000.
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
        let one_rope = self.one_rope(site);
        let also = self.also(site);
        let scores = scores(&self.of, site)?;
        let pairs = self.pairs(&scores, site)?;
        known?;
        one_rope?;
        let metric = self.metric(&scores, site)?;
        let mut inputs = Vec::new();
        for (arm, scored) in scores.arms.iter().enumerate() {
            for seed in 0..site.seeds.len() {
                inputs.push(Input::optional(&port(arm, seed), scored.runs.of(seed), "items"));
            }
        }
        // Whoever is judged on val cannot be chosen on it too.
        let methods = match scores.part {
            Part::Test => methods::methods(&scores.arms, &pairs),
            _ => vec![],
        };
        inputs.extend(methods::inputs(&scores.arms, &methods, site.seeds.len()));
        let compared = pairs.clone();
        let job = Compare {
            metric: metric.name(),
            target: scores.arms.first().map(|arm| arm.data.dataset.target()).unwrap_or_default(),
            rope: self.rope.map_or(metric.rope(), Above0::get),
            is_share: self.rope.is_none() && is_scaled(metric),
            relative: self.relative_rope.as_ref().map(|share| share.value.get()),
            seeds: site.seeds.len(),
            families: families(&scores.arms),
            targets: targets(&scores.arms),
            asked: Asked {
                resamples: self.resamples.0,
                also: also?,
                twins: beside::twins(&scores.arms, &pairs),
            },
            look: site.interim,
            pairs,
            methods,
            items: tested(&scores, site),
        };
        site.add("", None, job, inputs);
        let verdict_of = scores.arms.iter().map(ScoredArm::name).collect();
        Some(Offers { verdict_of, pairs: compared, ..Offers::default() })
    }
}

/// The most items that an arm is judged on in the first seed.
fn tested(scores: &ScoresOffer, site: &Site) -> usize {
    let Some(&seed) = site.seeds.first() else { return 0 };
    let items = |scored: &ScoredArm| Some(scored.data.split(seed).ok()?.part(scores.part).len());
    scores.arms.iter().filter_map(items).max().unwrap_or_default()
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
    /// Refuses a metric that no target has, and resamples too few for one that is no mean.
    fn known_metric(&self, site: &mut Site) -> Option<()> {
        let Some(word) = &self.metric else { return Some(()) };
        // What is tested is not known where nothing can be scored; classes are the usual case.
        let target = self.target(site).unwrap_or_default();
        let Some(metric) = Measure::find(&word.0, target).or_else(|| Measure::named(&word.0))
        else {
            let message = format!("no metric is called `{}`", word.0);
            let problem = Problem::at(word.place, message);
            site.problem(problem.or_else_one_of(&word.0, names(target)));
            return None;
        };
        let resamples = self.resamples.0;
        if metric.is_mean() || resamples >= LEAST_RESAMPLES {
            return Some(());
        }
        let message = format!(
            "`{}` is no mean over items: it is judged by resamples, and {resamples} are too few",
            word.0
        );
        let help = format!("write `resamples: {LEAST_RESAMPLES}` or more, or leave it out");
        site.problem(Problem::at(word.place, message).help(help));
        None
    }

    /// Refuses two ropes.
    fn one_rope(&self, site: &mut Site) -> Option<()> {
        let (Some(_), Some(share)) = (self.rope, &self.relative_rope) else { return Some(()) };
        let message = "both `rope` and `relative_rope` are given".to_owned();
        site.problem(Problem::at(share.place, message).help("keep one of them"));
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
        let target = common_target(self.of.place, &scores.arms, site)?;
        let word = self.metric.as_ref().map_or(usual(target), |word| word.0.as_str());
        let found = Measure::find(word, target);
        if let (None, Some(named)) = (found, &self.metric) {
            let message = format!(
                "`{word}` cannot compare what is told of items of `{}`, which have {}",
                scores.arms[0].data.name,
                target.told()
            );
            let problem = Problem::at(named.place, message);
            site.problem(problem.or_else_one_of(word, names(target)));
        }
        found
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

/// Fewer resamples than this tell the small shares that a verdict asks for too coarsely.
const LEAST_RESAMPLES: usize = 1_000;

/// Names of metrics.
fn names(target: Target) -> Vec<&'static str> {
    Measure::all(target).into_iter().map(|measure| measure.name()).collect()
}

/// Whether a metric is measured in the unit of the numbers that are predicted.
fn is_scaled(measure: Measure) -> bool {
    matches!(measure, Measure::Column(metric) if metric.unit() != Unit::Own)
}
