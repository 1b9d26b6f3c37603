//! `front`: what arms score beside what they ask of a device, and what cutting a model off costs.

use ndarray::Array2;
use serde_json::{Value as Json, json};

use crate::base::language::{Word, keys};
use crate::base::{Located, Problem, Target};
use crate::stats::{Direction, Measure, TwoWay, units};

use super::super::artifacts::{Damage, FrontRow, FrontRows, Predictions, put_json};
use super::super::job::{Context, Failure, Given, Job, Outputs};
use super::super::names::Reference;
use super::super::site::{Input, Offers, ScoredArm, ScoresOffer, Site};
use super::Kind;
use super::scored::{common_target, scores, usual};

keys! {
    /// Tells what each scored stage asks of a device beside what it scores: flash, RAM and
    /// multiply–accumulates, and which arms no other leaves without a reason (the Pareto front). Where
    /// models are cut off at several layers, tells what each cut costs.
    pub struct Front {
        /// The `evaluate` stage.
        of: Located<Reference>,
        /// The whole model that the others are compared with, with an interval over seeds and items.
        /// With a matrix, each arm is compared with the combination that shares the axes that are
        /// not named here, as in `cut[at=gap]`.
        full: Option<Located<Reference>> = None,
        /// The metric, a mean over items. If not said, `balanced_accuracy` of classes, `log_loss` of
        /// several labels, `mse` of numbers.
        metric: Option<Located<Word>> = None,
    }
}

impl Kind for Front {
    const WORD: &'static str = "front";

    fn references(&self) -> Vec<&Located<Reference>> {
        std::iter::once(&self.of).chain(&self.full).collect()
    }

    fn plan(&self, site: &mut Site) -> Option<Offers> {
        let scores = scores(&self.of, site)?;
        let metric = self.metric(&scores, site);
        let full = self.full(&scores, site);
        let (metric, full) = (metric?, full?);
        let mut inputs = Vec::new();
        for (arm, scored) in scores.arms.iter().enumerate() {
            for seed in 0..site.seeds.len() {
                inputs.push(Input::optional(&port(arm, seed), scored.runs.of(seed), "items"));
            }
        }
        let target = scores.arms.first().map(|arm| arm.data.dataset.target()).unwrap_or_default();
        let job = Set { metric: metric.name(), target, seeds: site.seeds.len(), full };
        site.add("", None, job, inputs);
        let verdict_of = scores.arms.iter().map(ScoredArm::name).collect();
        Some(Offers { verdict_of, ..Offers::default() })
    }
}

impl Front {
    /// The metric, which must be a mean over items of all arms.
    fn metric(&self, scores: &ScoresOffer, site: &mut Site) -> Option<Measure> {
        let target = common_target(self.of.place, &scores.arms, site)?;
        let word = self.metric.as_ref().map_or(usual(target), |word| word.0.as_str());
        let found = Measure::find(word, target).filter(Measure::is_mean);
        if let (None, Some(named)) = (found, &self.metric) {
            let message = format!("`{word}` is no mean over items that have {}", target.told());
            let known = Measure::all(target).into_iter().filter(Measure::is_mean);
            let known: Vec<&str> = known.map(|measure| measure.name()).collect();
            site.problem(Problem::at(named.place, message).or_else_one_of(word, known));
        }
        found
    }

    /// For each arm the whole model it is compared with, if there is one for it.
    fn full(&self, scores: &ScoresOffer, site: &mut Site) -> Option<Vec<Option<usize>>> {
        let Some(full) = &self.full else { return Some(vec![None; scores.arms.len()]) };
        let is_full = |arm: &ScoredArm| {
            arm.stage == full.stage && full.axes.iter().all(|axis| arm.axes.contains(axis))
        };
        let whole: Vec<usize> =
            (0..scores.arms.len()).filter(|&index| is_full(&scores.arms[index])).collect();
        if whole.is_empty() {
            // A stage that does not exist is told as such; else it was not scored.
            site.matching(full)?;
            let message = format!("`{}` is not among the stages scored", full.value);
            let help = format!("add it to `of` of `{}`", self.of.value);
            site.problem(Problem::at(full.place, message).help(help));
            return None;
        }
        let named = |axis: &str| full.axes.iter().any(|(known, _)| known == axis);
        let mut found = Vec::new();
        for (index, arm) in scores.arms.iter().enumerate() {
            let shares = |&&candidate: &&usize| {
                let other = &scores.arms[candidate];
                let mut free = other.axes.iter().filter(|(axis, _)| !named(axis));
                other.data.name == arm.data.name
                    && free.all(|(axis, value)| {
                        arm.axes.iter().all(|(own, chosen)| own != axis || chosen == value)
                    })
            };
            let fitting: Vec<usize> = whole.iter().filter(shares).copied().collect();
            match fitting[..] {
                [only] => found.push(Some(only).filter(|only| *only != index)),
                [] => found.push(None),
                [first, second, ..] => {
                    let names = [first, second].map(|index| scores.arms[index].name());
                    let message = format!(
                        "`{}` could be compared with `{}` and with `{}`",
                        arm.name(),
                        names[0],
                        names[1]
                    );
                    let help = format!("choose one, as in `{}`", names[0]);
                    site.problem(Problem::at(full.place, message).help(help));
                    return None;
                }
            }
        }
        Some(found)
    }
}

fn port(arm: usize, seed: usize) -> String {
    format!("arm_{arm}_seed_{seed}")
}

/// Scores and differences of all arms.
struct Set {
    metric: &'static str,
    target: Target,
    seeds: usize,
    full: Vec<Option<usize>>,
}

/// One seed of an arm.
struct Run {
    value: f64,
    /// What each item contributes, higher being better.
    items: Vec<f64>,
    ids: Vec<String>,
    groups: Option<Vec<usize>>,
}

impl Job for Set {
    fn kind(&self) -> &'static str {
        "front"
    }

    /// 1: first.
    fn version(&self) -> u32 {
        1
    }

    fn parameters(&self) -> Result<Json, Failure> {
        Ok(json!({
            "metric": self.metric, "of": self.target, "seeds": self.seeds, "full": self.full,
        }))
    }

    fn run(&self, context: &Context<'_>) -> Result<Outputs, Failure> {
        let metric = Measure::find(self.metric, self.target)
            .ok_or_else(|| Failure::new(format!("no metric is called `{}`", self.metric)))?;
        let arms: Vec<Vec<Option<Run>>> = (0..self.full.len())
            .map(|arm| (0..self.seeds).map(|seed| Run::load(arm, seed, metric, context)).collect())
            .collect::<Result<_, _>>()?;
        let row = |(arm, full): (usize, &Option<usize>)| {
            let damage = match full {
                None => None,
                Some(full) => damage(&arms[arm], &arms[*full])?,
            };
            Ok(summarised(arm, *full, &arms[arm], damage))
        };
        let rows = self.full.iter().enumerate().map(row).collect::<Result<_, Failure>>()?;
        let higher = metric.direction() == Direction::HigherIsBetter;
        let rows = FrontRows { metric: self.metric.to_owned(), higher, rows };
        Ok(Outputs::default().with("front", put_json(context.store, "front", &rows)?))
    }
}

impl Run {
    /// Nothing where the work before failed, or the metric is not defined.
    fn load(
        arm: usize,
        seed: usize,
        metric: Measure,
        context: &Context<'_>,
    ) -> Result<Option<Self>, Failure> {
        let port = port(arm, seed);
        let Some(Given::Artifact(_)) = context.inputs.get(&port) else { return Ok(None) };
        let predictions = Predictions::load(&context.bytes(&port)?)?;
        let judged = predictions.judged()?;
        let (Some(value), Some(Ok(items))) =
            (metric.value(&judged).value(), metric.per_item(&judged))
        else {
            return Ok(None);
        };
        let groups = predictions.grouped.then(|| predictions.groups.clone());
        Ok(Some(Self { value, items, groups, ids: predictions.ids.clone() }))
    }
}

fn summarised(
    arm: usize,
    full: Option<usize>,
    runs: &[Option<Run>],
    damage: Option<Damage>,
) -> FrontRow {
    let values: Vec<f64> = runs.iter().flatten().map(|run| run.value).collect();
    let count = values.len() as f64;
    let score = (!values.is_empty()).then(|| values.iter().sum::<f64>() / count);
    let square = |mean: f64| values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let deviation = score.filter(|_| values.len() > 1);
    FrontRow {
        arm,
        full,
        seeds: values.len(),
        items: runs.iter().flatten().map(|run| run.items.len()).next().unwrap_or_default(),
        score,
        deviation: deviation.map(|mean| (square(mean) / (count - 1.0)).sqrt()),
        damage,
    }
}

/// An arm less the whole model, over the seeds that both have.
fn damage(arm: &[Option<Run>], full: &[Option<Run>]) -> Result<Option<Damage>, Failure> {
    let pairs: Vec<(&Run, &Run)> =
        arm.iter().zip(full).filter_map(|(a, b)| Some((a.as_ref()?, b.as_ref()?))).collect();
    let Some((first, _)) = pairs.first() else { return Ok(None) };
    if pairs.iter().any(|(a, b)| a.ids != b.ids || a.ids != first.ids) {
        return Err(Failure::with_help(
            "compare arms that were tested on different items",
            "arms of one front need the same data set and the same split",
        ));
    }
    let shape = (pairs.len(), first.items.len());
    let differences =
        Array2::from_shape_fn(shape, |(s, i)| pairs[s].0.items[i] - pairs[s].1.items[i]);
    let units = units(&differences, first.groups.as_deref())
        .map_err(|error| Failure::new(format!("compare arms: {error}")))?;
    let two_way = TwoWay::of(&units);
    let interval = two_way.as_ref().map(|two_way| two_way.interval(0.95));
    Ok(differences.mean().map(|delta| Damage {
        delta,
        lo: interval.map(|(lo, _)| lo),
        hi: interval.map(|(_, hi)| hi),
        p: two_way.map(|two_way| two_way.p),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(items: &[f64]) -> Run {
        let value = items.iter().sum::<f64>() / items.len() as f64;
        let ids = (0..items.len()).map(|index| index.to_string()).collect();
        Run { value, items: items.to_vec(), ids, groups: None }
    }

    #[test]
    fn damage_is_the_two_way_difference_over_the_seeds_that_both_have() {
        // The rows of the check value of the two-way test, as arm less whole model.
        let arm = [
            Some(run(&[0., 1., 0., 0., 0., 1., 0., 0.])),
            Some(run(&[0., 0., 0., 0., 0., 0., 1., 0.])),
            Some(run(&[1., 0., 0., 1., 0., 0., 0., 1.])),
            None,
        ];
        let full = [(); 4].map(|()| Some(run(&[0.; 8])));
        let found = damage(&arm, &full).unwrap().unwrap();
        assert!((found.delta - 0.25).abs() < 1e-12);
        assert!((found.lo.unwrap() + 0.060_517_21).abs() < 1e-7, "{found:?}");
        assert!((found.hi.unwrap() - 0.560_517_21).abs() < 1e-7, "{found:?}");
        assert!((found.p.unwrap() - 0.074_179_90).abs() < 1e-7, "{found:?}");
        let row = summarised(0, Some(1), &arm, None);
        assert_eq!((row.seeds, row.items, row.score), (3, 8, Some(0.25)));
    }

    #[test]
    fn other_items_are_refused_and_no_common_seed_is_no_difference() {
        let mut other = run(&[0.0; 2]);
        other.ids[0] = "else".to_owned();
        assert!(damage(&[Some(run(&[0.0; 2]))], &[Some(other)]).is_err());
        assert_eq!(damage(&[None], &[Some(run(&[0.0; 2]))]).unwrap(), None);
    }
}
