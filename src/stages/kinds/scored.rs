//! What stages that look at several scored arms at once have in common: finding arms, pairing them by
//! their axes, and reading what they predicted.

use std::borrow::Cow;

use crate::base::language::Word;
use crate::base::numbers::mean_if_any;
use crate::base::{Located, Place, Problem, Target};
use crate::stats::{Direction, Measure};

use super::super::artifacts::Predictions;
use super::super::job::{Context, Failure, Given, Learning};
use super::super::names::{Reference, full_name};
use super::super::site::{Input, Runs, ScoredArm, ScoresOffer, Site};
use super::transfer::always_majority;

/// The scores of an `evaluate` stage.
pub(super) fn scores(of: &Located<Reference>, site: &mut Site) -> Option<ScoresOffer> {
    let planned = site.one(of)?;
    let scores = planned.offers?.scores;
    if scores.is_none() {
        let message = format!("`{}` has no scores", of.value);
        site.problem(Problem::at(of.place, message).help("name an `evaluate` stage"));
    }
    scores
}

/// What all of these arms tell; a problem at `place` if it is not the same.
pub(super) fn common_target(place: Place, arms: &[ScoredArm], site: &mut Site) -> Option<Target> {
    let target = arms.first()?.data.dataset.target();
    let Some(other) = arms.iter().find(|arm| arm.data.dataset.target() != target) else {
        return Some(target);
    };
    let message = format!(
        "items of `{}` have {}, but those of `{}` have {}",
        arms[0].data.name,
        target.told(),
        other.data.name,
        other.data.dataset.target().told()
    );
    let help = "score them in `evaluate` stages of their own";
    site.problem(Problem::at(place, message).help(help));
    None
}

/// The metric that is compared if none is named.
pub(super) fn usual(target: Target) -> &'static str {
    match target {
        Target::Classes => "balanced_accuracy",
        Target::Labels => "log_loss",
        Target::Values => "mse",
    }
}

/// The metric of that name for what all of these arms tell, or what is usual for it; `fits` tells
/// which metrics can be used.
pub(super) fn measure(
    word: Option<&Located<Word>>,
    place: Place,
    arms: &[ScoredArm],
    fits: fn(&Measure) -> bool,
    site: &mut Site,
) -> Option<Measure> {
    let target = common_target(place, arms, site)?;
    let name = word.map_or(usual(target), |word| word.0.as_str());
    let found = Measure::find(name, target).filter(fits);
    if let (None, Some(word)) = (found, word) {
        let message = format!("`{name}` cannot be used on items that have {}", target.told());
        let all = Measure::all(target).into_iter().filter(fits);
        let known: Vec<&str> = all.map(|measure| measure.name()).collect();
        site.problem(Problem::at(word.place, message).or_else_one_of(name, known));
    }
    found
}

/// Positions of the arms that a reference names among those scored; a problem if there are none.
pub(super) fn named(
    reference: &Located<Reference>,
    arms: &[ScoredArm],
    of: &Located<Reference>,
    site: &mut Site,
) -> Option<Vec<usize>> {
    let is_meant = |arm: &ScoredArm| {
        arm.stage == reference.stage && reference.axes.iter().all(|axis| arm.axes.contains(axis))
    };
    let found: Vec<usize> = (0..arms.len()).filter(|&at| is_meant(&arms[at])).collect();
    if found.is_empty() {
        // A stage that does not exist is told as such; else it was not scored.
        site.matching(reference)?;
        let message = format!("`{}` is not among the stages scored", reference.value);
        let help = format!("add it to `of` of `{}`", of.value);
        site.problem(Problem::at(reference.place, message).help(help));
        return None;
    }
    Some(found)
}

/// The axes of an arm.
pub(super) type Axes = [(String, String)];

/// Whether two arms have the same value on every axis that both have.
pub(super) fn agree(one: &Axes, other: &Axes) -> bool {
    one.iter()
        .all(|(axis, value)| other.iter().all(|(known, chosen)| known != axis || chosen == value))
}

/// The one of some candidates that agrees with an arm; a problem if there are several or none.
pub(super) fn only_agreeing(
    arm: (&str, &Axes),
    candidates: &[(String, Vec<(String, String)>)],
    reference: &Located<Reference>,
    site: &mut Site,
) -> Option<usize> {
    let fitting: Vec<usize> =
        (0..candidates.len()).filter(|&at| agree(arm.1, &candidates[at].1)).collect();
    let name = full_name(arm.0, arm.1);
    let stage = &reference.value.stage;
    match fitting[..] {
        [only] => return Some(only),
        [] => {
            let message = format!("`{name}` has no partner in `{stage}` that fits it");
            let help = "give both the same values on the axes that both have";
            site.problem(Problem::at(reference.place, message).help(help));
        }
        _ => {
            let names: Vec<String> = fitting
                .iter()
                .take(3)
                .map(|&at| format!("`{}`", full_name(&candidates[at].0, &candidates[at].1)))
                .collect();
            let message = format!(
                "`{name}` could go with {} of `{stage}`: {}",
                fitting.len(),
                names.join(", ")
            );
            let help =
                format!("choose one of them, as in {}, or give both the same axes", names[0]);
            site.problem(Problem::at(reference.place, message).help(help));
        }
    }
    None
}

/// The work that made an arm's predictions, as far as it tells what it learns from.
pub(super) fn learning(arm: &ScoredArm, site: &Site) -> Option<Learning> {
    let judge = &site.nodes[arm.runs.of(0).0];
    let made = judge.inputs.iter().find(|input| !input.is_order())?.from;
    site.nodes[made.0].job.learns()
}

/// The port of one seed of an arm.
pub(super) fn port(arm: usize, seed: usize) -> String {
    format!("arm_{arm}_seed_{seed}")
}

/// What arms offer at a port, for every seed; missing where the work failed.
pub(super) fn inputs<'a>(
    arms: impl Iterator<Item = &'a Runs>,
    output: &str,
    seeds: usize,
) -> Vec<Input> {
    let of = |(arm, runs): (usize, &Runs)| {
        (0..seeds)
            .map(|seed| Input::optional(&port(arm, seed), runs.of(seed), output))
            .collect::<Vec<_>>()
    };
    arms.enumerate().flat_map(of).collect()
}

/// One seed of an arm.
enum Run {
    Present(Box<Predictions>),
    Diverged,
    Missing,
}

/// What arms predicted on the part that they were scored on, arm by arm, seed by seed.
pub(super) struct Predicted {
    arms: Vec<Vec<Run>>,
    /// Which arms have the same items.
    targets: Vec<usize>,
}

impl Predicted {
    /// Reads every arm; `targets` numbers the data sets they are of.
    pub(super) fn load(
        targets: &[usize],
        seeds: usize,
        context: &Context<'_>,
    ) -> Result<Self, Failure> {
        let run = |arm: usize, seed: usize| match context.inputs.get(&port(arm, seed)) {
            Some(Given::Artifact(_)) => {
                let predictions = Predictions::load(&context.bytes(&port(arm, seed))?)?;
                Ok(Run::Present(Box::new(predictions)))
            }
            Some(Given::Missing { diverged: true }) => Ok(Run::Diverged),
            _ => Ok(Run::Missing),
        };
        let arm = |arm: usize| (0..seeds).map(|seed| run(arm, seed)).collect::<Result<_, _>>();
        let arms = (0..targets.len()).map(arm).collect::<Result<_, Failure>>()?;
        Ok(Self { arms, targets: targets.to_vec() })
    }

    /// What a seed of an arm predicted; one that diverged counts as the majority class, as in
    /// verdicts.
    pub(super) fn of(&self, arm: usize, seed: usize) -> Option<Cow<'_, Predictions>> {
        match &self.arms[arm][seed] {
            Run::Present(predictions) => Some(Cow::Borrowed(predictions)),
            Run::Missing => None,
            Run::Diverged => {
                let alike = self.arms.iter().zip(&self.targets);
                let alike = alike.filter(|(_, target)| **target == self.targets[arm]);
                let like = alike.filter_map(|(runs, _)| match &runs[seed] {
                    Run::Present(predictions) => Some(always_majority(predictions)),
                    _ => None,
                });
                like.map(Cow::Owned).next()
            }
        }
    }

    /// Mean number of items that an arm was trained on, over the seeds that are there.
    pub(super) fn trained_on(&self, arm: usize) -> Option<f64> {
        let counts: Vec<f64> = self.arms[arm]
            .iter()
            .filter_map(|run| match run {
                Run::Present(predictions) => Some(predictions.trained_on as f64),
                _ => None,
            })
            .collect();
        mean_if_any(&counts)
    }
}

/// Numbers arms by the data set they are of.
pub(super) fn targets(arms: &[ScoredArm]) -> Vec<usize> {
    let first = |arm: &ScoredArm| arms.iter().position(|other| other.data.name == arm.data.name);
    arms.iter().map(|arm| first(arm).unwrap_or_default()).collect()
}

/// A score as an error: lower is better, and 0 is the best there is.
pub(super) fn error(measure: Measure, score: f64) -> f64 {
    match measure.direction() {
        Direction::HigherIsBetter => 1.0 - score,
        Direction::LowerIsBetter => score,
    }
}

/// What an error is called.
pub(super) fn error_name(measure: Measure) -> String {
    match measure.direction() {
        Direction::HigherIsBetter => format!("1 - {}", measure.name()),
        Direction::LowerIsBetter => measure.name().to_owned(),
    }
}
