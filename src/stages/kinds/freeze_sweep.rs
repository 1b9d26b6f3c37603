//! `freeze_sweep`: what freezing costs at each depth, and whether it is co-adaptation or specificity.

use serde_json::{Value as Json, json};

use crate::base::language::{Above0, Word, keys};
use crate::base::numbers::mean_if_any;
use crate::base::{Located, Problem, Target};
use crate::curves::{Arms, SeedItems, SweepArm};
use crate::stats::{Measure, Unit, widened_rope};

use super::super::artifacts::{FreezeSweeps, Predictions, SweepRow, put_json};
use super::super::job::{Context, Failure, Job, Outputs};
use super::super::names::{Reference, full_name};
use super::super::site::{Arm, Offers, ScoredArm, Site};
use super::Kind;
use super::fine_tune::FineTune;
use super::pretrain::Pretrain;
use super::scored::{self, Predicted};
use super::transfer::renumbered;

keys! {
    /// Compares stages that freeze more and more layers with training from scratch (Yosinski et al.
    /// 2014): what is lost as layers that learnt together are parted, and what as the source's layers
    /// are not the target's. The depth of an arm is what it freezes, or takes over.
    pub struct FreezeSweep {
        /// The `evaluate` stage.
        of: Located<Reference>,
        /// The target from scratch, `baseB`. Best a `pretrain` stage: of a `fine_tune` stage with
        /// `init: random`, what the selffer draws anew starts as it once did, which may hide some
        /// co-adaptation.
        base: Located<Reference>,
        /// The source's lower layers frozen, the rest drawn anew, `AnB`: `transfer_depth` and `freeze`
        /// are the depth.
        frozen: Located<Reference>,
        /// The source's lower layers, all learning, `AnB+`: `transfer_depth` is the depth.
        tuned: Option<Located<Reference>> = None,
        /// The lower layers of `base` itself frozen, the rest drawn anew, `BnB`: `model` is the stage
        /// from scratch. Without it, co-adaptation and specificity cannot be told apart.
        self_frozen: Option<Located<Reference>> = None,
        /// The lower layers of `base` itself, all learning, `BnB+`.
        self_tuned: Option<Located<Reference>> = None,
        /// The metric, which must be a mean over items; if not said, `balanced_accuracy` of classes,
        /// `log_loss` of several labels, `mse` of numbers.
        metric: Option<Located<Word>> = None,
        /// Differences up to this size are no difference; by the metric's default if not said, and
        /// never below one test item.
        rope: Option<Above0> = None,
    }
}

/// The arms of one depth, as far as they are there.
#[derive(Clone, Debug, serde::Serialize)]
struct Depth {
    frozen: usize,
    tuned: Option<usize>,
    self_frozen: Option<usize>,
    self_tuned: Option<usize>,
}

/// The depths of one source and whatever else is varied.
#[derive(Clone, Debug, serde::Serialize)]
struct Planned {
    base: usize,
    depths: Vec<Depth>,
}

impl Kind for FreezeSweep {
    const WORD: &'static str = "freeze_sweep";

    fn references(&self) -> Vec<&Located<Reference>> {
        let beside = [&self.tuned, &self.self_frozen, &self.self_tuned];
        let needed = [&self.of, &self.base, &self.frozen];
        needed.into_iter().chain(beside.into_iter().flatten()).collect()
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let scores = scored::scores(&self.of, site)?;
        let arms = &scores.arms;
        let (word, place) = (self.metric.as_ref(), self.of.place);
        let measure = scored::measure(word, place, arms, Measure::is_mean, site);
        let sweeps = self.sweeps(arms, site)?;
        self.note_same_draws(arms, &sweeps, site);
        let measure = measure?;
        let job = Effects {
            metric: measure.name(),
            target: arms[0].data.dataset.target(),
            rope: self.rope.map(Above0::get),
            seeds: site.seeds.len(),
            targets: scored::targets(arms),
            sweeps,
        };
        let inputs = scored::inputs(arms.iter().map(|arm| &arm.runs), "items", job.seeds);
        site.add("", None, job, inputs);
        let verdict_of = arms.iter().map(ScoredArm::name).collect();
        Some(Offers { verdict_of, ..Offers::default() })
    }
}

/// How much of a model an arm takes over; none if it takes nothing.
fn taken(arm: &Arm) -> Option<&str> {
    match &arm.transfer_depth {
        Some(depth) => Some(depth),
        None => (!arm.random).then_some("all"),
    }
}

/// What an arm freezes; none if nothing.
fn frozen(arm: &Arm) -> Option<&str> {
    arm.freeze.as_deref().filter(|depth| *depth != "none")
}

/// A stage that may be left out, with its arms.
type Beside<'a> = (Option<&'a Located<Reference>>, Vec<usize>);

impl FreezeSweep {
    fn sweeps(&self, arms: &[ScoredArm], site: &mut Site) -> Option<Vec<Planned>> {
        let base = scored::named(&self.base, arms, &self.of, site)?;
        from_scratch(&self.base, &base, arms, site)?;
        let own = scored::named(&self.frozen, arms, &self.of, site)?;
        as_they_should_be(&self.frozen, &own, arms, true, site)?;
        let tuned = self.beside(self.tuned.as_ref(), arms, false, site)?;
        let self_frozen = self.beside(self.self_frozen.as_ref(), arms, true, site)?;
        let self_tuned = self.beside(self.self_tuned.as_ref(), arms, false, site)?;
        let axis = depth_axis(&own, arms);
        let candidates: Vec<(String, Vec<(String, String)>)> =
            base.iter().map(|&at| (arms[at].stage.clone(), arms[at].axes.clone())).collect();
        let mut sweeps: Vec<(Vec<(String, String)>, Planned)> = Vec::new();
        for &at in &own {
            let arm = &arms[at];
            let mut axes = arm.axes.clone();
            axis.map(|axis| axes.remove(axis));
            let pair = (arm.stage.as_str(), &arm.axes[..]);
            let base = base[scored::only_agreeing(pair, &candidates, &self.base, site)?];
            let depth = Depth {
                frozen: at,
                tuned: same_depth(&tuned, at, arms, site)?.0,
                self_frozen: same_depth(&self_frozen, at, arms, site)?.of(base, arms, site)?.0,
                self_tuned: same_depth(&self_tuned, at, arms, site)?.of(base, arms, site)?.0,
            };
            match sweeps.iter_mut().find(|(known, _)| *known == axes) {
                Some((_, sweep)) => sweep.depths.push(depth),
                None => sweeps.push((axes, Planned { base, depths: vec![depth] })),
            }
        }
        Some(sweeps.into_iter().map(|(_, sweep)| sweep).collect())
    }

    /// Tells that the selffer draws what the baseline once drew, where it does.
    fn note_same_draws(&self, arms: &[ScoredArm], sweeps: &[Planned], site: &mut Site) {
        let tunes = |sweep: &&Planned| arms[sweep.base].arm.kind == "fine_tune";
        let (Some(own), Some(sweep)) = (&self.self_frozen, sweeps.iter().find(tunes)) else {
            return;
        };
        site.note(format!(
            "{}: what `{}` draws anew starts as it did in `{}`, which may hide some co-adaptation; a \
             `pretrain` stage as `base` draws on its own",
            site.stage,
            own.value,
            arms[sweep.base].name()
        ));
    }

    /// The arms of a stage that may be left out.
    fn beside<'a>(
        &self,
        reference: Option<&'a Located<Reference>>,
        arms: &[ScoredArm],
        freezes: bool,
        site: &mut Site,
    ) -> Option<Beside<'a>> {
        let Some(named) = reference else { return Some((None, vec![])) };
        let found = scored::named(named, arms, &self.of, site)?;
        as_they_should_be(named, &found, arms, freezes, site)?;
        Some((reference, found))
    }
}

/// Tells a baseline that is no network trained from random weights in full.
fn from_scratch(
    reference: &Located<Reference>,
    found: &[usize],
    arms: &[ScoredArm],
    site: &mut Site,
) -> Option<()> {
    let is_scratch = |arm: &Arm| {
        let trains = [FineTune::WORD, Pretrain::WORD].contains(&arm.kind.as_str());
        trains && arm.random && frozen(arm).is_none()
    };
    let Some(&other) = found.iter().find(|&&at| !is_scratch(&arms[at].arm)) else {
        return Some(());
    };
    let message = format!("`{}` is not trained from scratch", arms[other].name());
    let help = "name a `pretrain` stage, or a `fine_tune` stage with `init: random`";
    site.problem(Problem::at(reference.place, message).help(help));
    None
}

/// Tells arms that are not what the design wants: all but what is taken over is drawn anew, and
/// what is frozen is all that is taken over, or nothing.
fn as_they_should_be(
    reference: &Located<Reference>,
    found: &[usize],
    arms: &[ScoredArm],
    freezes: bool,
    site: &mut Site,
) -> Option<()> {
    for &at in found {
        let arm = &arms[at].arm;
        if arm.kind != FineTune::WORD {
            let message = format!("`{}` takes over no layers and trains none", arms[at].name());
            let help = "name a `fine_tune` stage with `transfer_depth`";
            site.problem(Problem::at(reference.place, message).help(help));
            return None;
        }
        let (taken, frozen) = (taken(arm), frozen(arm));
        let is_right = taken.is_some() && if freezes { frozen == taken } else { frozen.is_none() };
        if is_right {
            continue;
        }
        let words = |depth: Option<&str>| depth.unwrap_or("nothing").to_owned();
        let message = format!(
            "`{}` takes over {} of its model and freezes {}",
            arms[at].name(),
            words(taken),
            words(frozen)
        );
        let help = match freezes {
            true => "write the same depth at `transfer_depth` and at `freeze`",
            false => "write a depth at `transfer_depth`, and leave `freeze` out",
        };
        site.problem(Problem::at(reference.place, message).help(help));
        return None;
    }
    Some(())
}

/// The arm that takes over as much as a frozen one and agrees with it; nothing if the stage is not
/// named or has no such depth, a problem if there are several.
fn same_depth<'a>(
    (reference, candidates): &Beside<'a>,
    at: usize,
    arms: &[ScoredArm],
    site: &mut Site,
) -> Option<Found<'a>> {
    let arm = &arms[at];
    let fits = |other: &usize| {
        taken(&arms[*other].arm) == taken(&arm.arm)
            && scored::agree(&arms[*other].axes, &arm.axes)
            && arms[*other].data.name == arm.data.name
    };
    let fitting: Vec<usize> = candidates.iter().copied().filter(fits).collect();
    if let (Some(reference), [first, second, ..]) = (*reference, &fitting[..]) {
        let message = format!(
            "`{}` could go with `{}` and with `{}`",
            full_name(&arm.stage, &arm.axes),
            arms[*first].name(),
            arms[*second].name()
        );
        let help = "choose one combination, or give both stages the same axes";
        site.problem(Problem::at(reference.place, message).help(help));
        return None;
    }
    Some(Found(fitting.first().copied(), *reference))
}

/// An arm, if there is one, and where its stage is named.
struct Found<'a>(Option<usize>, Option<&'a Located<Reference>>);

impl Found<'_> {
    /// The same, if it starts from the model that the arm from scratch has trained.
    fn of(self, base: usize, arms: &[ScoredArm], site: &mut Site) -> Option<Self> {
        let (Some(at), Some(reference)) = (self.0, self.1) else { return Some(self) };
        let base = arms[base].name();
        let source = arms[at].arm.source.clone().unwrap_or_default();
        if source == base {
            return Some(self);
        }
        let message = format!("`{}` starts from `{source}`, not from `{base}`", arms[at].name());
        let help =
            format!("write `model: {base}`: it is to keep what the baseline itself has learnt");
        site.problem(Problem::at(reference.place, message).help(help));
        None
    }
}

/// Position of the axis along which arms freeze more and more: each value of it has one depth, and
/// each another one.
fn depth_axis(own: &[usize], arms: &[ScoredArm]) -> Option<usize> {
    let count = arms[*own.first()?].axes.len();
    (0..count).find(|&axis| {
        let value = |at: usize| (arms[at].axes[axis].1.as_str(), frozen(&arms[at].arm));
        let pairs = || own.iter().flat_map(|&one| own.iter().map(move |&other| (one, other)));
        let is_one = pairs().all(|(one, other)| {
            (value(one).0 == value(other).0) == (value(one).1 == value(other).1)
        });
        is_one && own.iter().any(|&at| value(at).1 != value(own[0]).1)
    })
}

/// The effects of all sweeps.
struct Effects {
    metric: &'static str,
    target: Target,
    rope: Option<f64>,
    seeds: usize,
    targets: Vec<usize>,
    sweeps: Vec<Planned>,
}

impl Job for Effects {
    fn kind(&self) -> &'static str {
        "freeze_sweep"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({
            "metric": self.metric,
            "of": self.target,
            "rope": self.rope,
            "seeds": self.seeds,
            "targets": self.targets,
            "sweeps": self.sweeps,
        }))
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let measure = Measure::find(self.metric, self.target)
            .ok_or_else(|| Failure::new(format!("no metric is called `{}`", self.metric)))?;
        let predicted = Predicted::load(&self.targets, self.seeds, context)?;
        let sweeps = self.sweeps.iter().map(|sweep| self.row(sweep, measure, &predicted));
        let sweeps = sweeps.collect::<Result<_, _>>()?;
        let sweeps = FreezeSweeps { metric: self.metric.to_owned(), sweeps };
        Ok(Outputs::default().with("sweeps", put_json(context.store, "sweeps", &sweeps)?))
    }
}

impl Effects {
    fn row(
        &self,
        sweep: &Planned,
        measure: Measure,
        predicted: &Predicted,
    ) -> Result<SweepRow, Failure> {
        let items = |arm: usize| self.items(arm, measure, predicted);
        let maybe = |arm: Option<usize>| arm.map(items).transpose();
        let depth = |depth: &Depth| -> Result<SweepArm, Failure> {
            Ok(SweepArm {
                frozen: Some(items(depth.frozen)?),
                tuned: maybe(depth.tuned)?,
                self_frozen: maybe(depth.self_frozen)?,
                self_tuned: maybe(depth.self_tuned)?,
            })
        };
        let sample = (0..self.seeds).find_map(|seed| predicted.of(sweep.base, seed));
        let groups = sample.as_deref().filter(|p| p.grouped).map(|p| renumbered(&p.groups));
        let base = items(sweep.base)?;
        let score = mean_score(sweep.base, self.seeds, measure, predicted)?;
        let seeds = base.iter().flatten().count();
        let depths = sweep.depths.iter().map(depth).collect::<Result<_, _>>()?;
        let rope = self.rope(measure, sample.as_deref(), groups.as_deref())?;
        let found = Arms { base, depths, groups }.sweep(rope);
        Ok(SweepRow {
            base: sweep.base,
            frozen: sweep.depths.iter().map(|depth| depth.frozen).collect(),
            seeds,
            rope,
            score,
            effects: found.effects,
            findings: found.findings,
            dip: found.dip.map(|dip| (dip.depth, dip.p_holm)),
            specificity_grows: found.specificity_grows,
        })
    }

    /// What each test item contributes, seed by seed.
    fn items(
        &self,
        arm: usize,
        measure: Measure,
        predicted: &Predicted,
    ) -> Result<SeedItems, Failure> {
        let of = |seed: usize| -> Result<Option<Vec<f64>>, Failure> {
            let Some(predictions) = predicted.of(arm, seed) else { return Ok(None) };
            // A kind without probabilities has no items of a metric that needs them.
            Ok(measure.per_item(&predictions.judged()?).and_then(Result::ok))
        };
        (0..self.seeds).map(of).collect()
    }

    /// Half the width of what is no difference, in the metric's own unit.
    fn rope(
        &self,
        measure: Measure,
        sample: Option<&Predictions>,
        groups: Option<&[usize]>,
    ) -> Result<f64, Failure> {
        let Some(sample) = sample else { return Ok(self.rope.unwrap_or(measure.rope())) };
        let is_share = matches!(measure, Measure::Column(metric) if metric.unit() != Unit::Own);
        let scale = if is_share { measure.scale(&sample.judged()?) } else { 1.0 };
        let units = match groups {
            Some(groups) => groups.iter().max().map_or(0, |last| last + 1),
            None => sample.ids.len(),
        };
        let rope = self.rope.map_or(measure.rope(), |rope| rope / scale);
        Ok(scale * widened_rope(rope, units))
    }
}

/// Mean score of an arm over its seeds, in the metric's own direction.
fn mean_score(
    arm: usize,
    seeds: usize,
    measure: Measure,
    predicted: &Predicted,
) -> Result<Option<f64>, Failure> {
    let mut known = Vec::new();
    for seed in 0..seeds {
        let Some(predictions) = predicted.of(arm, seed) else { continue };
        known.extend(measure.value(&predictions.judged()?).value());
    }
    Ok(mean_if_any(&known))
}
