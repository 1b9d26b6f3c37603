//! What the arms predicted, and what their trainings tell of themselves.

use std::borrow::Cow;

use crate::base::numbers::{deviation, mean_if_any};
use crate::stats::{Measure, student_quantile};

use super::super::super::artifacts::{End, Predictions, Selection, edge};
use super::super::super::job::{Context, Failure, Given};
use super::pair::always_majority;

/// The port of one seed of an arm.
pub(super) fn port(arm: usize, seed: usize) -> String {
    format!("arm_{arm}_seed_{seed}")
}

/// The setting that counts neighbours.
const NEIGHBOURS: &str = "k";

/// What one arm predicted, seed by seed.
pub(super) struct ArmRuns {
    pub(super) seeds: Vec<SeedRun>,
}

/// One seed of an arm.
#[derive(Clone)]
pub(super) enum SeedRun {
    /// Predictions on the test part.
    Present(Box<Predictions>),
    /// Training diverged: counted as the majority class.
    Diverged,
    /// No result.
    Missing,
}

impl SeedRun {
    /// Predictions that the metric can judge. A kind without probabilities has no items of a metric
    /// that needs them, and some metrics have no value for some answers.
    fn of(predictions: Predictions, metric: Measure) -> Result<Self, Failure> {
        let judged = predictions.judged()?;
        let defined = match metric.per_item(&judged) {
            Some(items) => items.is_ok(),
            None => metric.value(&judged).value().is_some(),
        };
        Ok(if defined { Self::Present(Box::new(predictions)) } else { Self::Missing })
    }

    /// One label or number of it alone.
    fn column(&self, column: usize, metric: Measure) -> Result<Self, Failure> {
        match self {
            Self::Present(predictions) => match predictions.column(column) {
                Some(alone) if !alone.ids.is_empty() => Self::of(alone, metric),
                _ => Ok(Self::Missing),
            },
            Self::Diverged => Ok(Self::Diverged),
            Self::Missing => Ok(Self::Missing),
        }
    }

    pub(super) fn present(&self) -> Option<&Predictions> {
        match self {
            Self::Present(predictions) => Some(predictions),
            _ => None,
        }
    }

    /// As it counts: the majority class of the items of `like` where training diverged.
    pub(super) fn counted(&self, like: &Predictions) -> Option<Cow<'_, Predictions>> {
        match self {
            Self::Present(predictions) => Some(Cow::Borrowed(&**predictions)),
            Self::Diverged => Some(Cow::Owned(always_majority(like))),
            Self::Missing => None,
        }
    }
}

impl ArmRuns {
    pub(super) fn load(
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
                    SeedRun::of(predictions, metric)
                }
                Some(Given::Missing { diverged: true }) => Ok(SeedRun::Diverged),
                _ => Ok(SeedRun::Missing),
            }
        };
        Ok(Self { seeds: (0..seeds).map(run).collect::<Result<_, _>>()? })
    }

    /// The same runs, of one label or number alone.
    pub(super) fn column(&self, column: usize, metric: Measure) -> Result<Self, Failure> {
        let seeds = self.seeds.iter().map(|run| run.column(column, metric));
        Ok(Self { seeds: seeds.collect::<Result<_, _>>()? })
    }

    pub(super) fn present(&self) -> impl Iterator<Item = &Predictions> {
        self.seeds.iter().filter_map(SeedRun::present)
    }

    pub(super) fn diverged(&self) -> bool {
        self.seeds.iter().any(|run| matches!(run, SeedRun::Diverged))
    }

    /// Whether the best value lies at an end of a list of several, so that a better one may lie
    /// beyond.
    pub(super) fn at_grid_edge(&self) -> bool {
        let selections = self.present().filter_map(|p| p.selection.as_ref());
        at_edge(&selections.collect::<Vec<&Selection>>())
    }

    /// Whether the val score still rose when the budget ran out: by more than half of what counts
    /// as a difference on average over seeds, and by more than its own noise (one-sided t, 5 %).
    /// Seeds that stopped early had reached their plateau.
    pub(super) fn was_still_rising(&self, rope: f64) -> bool {
        let rises: Vec<f64> = self.present().map(|p| p.still_rising.unwrap_or(0.0)).collect();
        let (Some(rise), Some(spread)) = (mean_if_any(&rises), deviation(&rises)) else {
            return false;
        };
        let noise = spread / (rises.len() as f64).sqrt();
        rise > rope / 2.0 && rise > student_quantile(0.95, (rises.len() - 1) as f64) * noise
    }

    pub(super) fn chosen(&self, setting: &str) -> Option<f64> {
        let of = |p: &Predictions| {
            let selection = p.selection.as_ref().filter(|s| s.setting == setting)?;
            Some(selection.chosen)
        };
        let mut values: Vec<f64> = self.present().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }
}

/// The same of what was chosen in each seed. There are no fewer neighbours than one.
fn at_edge(selections: &[&Selection]) -> bool {
    // What was searched stands in the order in which it was tried.
    let sorted = |selection: &&Selection| {
        let mut curve = selection.curve.clone();
        curve.sort_by(|a, b| a.0.total_cmp(&b.0));
        curve
    };
    let curves: Vec<_> = selections.iter().map(sorted).collect();
    let least = |selection: &&Selection| {
        selection.setting == NEIGHBOURS && selection.curve.iter().any(|it| it.0 <= 1.0)
    };
    match edge(&curves.iter().map(Vec::as_slice).collect::<Vec<_>>()) {
        Some(End::Below) => !selections.iter().all(least),
        Some(End::Above) => true,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What some values gave, the lowest of which is chosen.
    fn selection(setting: &str, curve: &[(f64, f64)]) -> Selection {
        let chosen = curve.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
        let curve = curve.iter().map(|&(value, seen)| (value, Some(seen))).collect();
        Selection { setting: setting.to_owned(), chosen, curve }
    }

    fn is_at_edge(selections: &[Selection]) -> bool {
        at_edge(&selections.iter().collect::<Vec<_>>())
    }

    #[test]
    fn the_mean_over_seeds_tells_whether_the_best_is_at_an_end() {
        let low = selection("lr", &[(0.1, 0.2), (0.2, 0.3), (0.3, 0.4)]);
        let middle = selection("lr", &[(0.1, 0.9), (0.2, 0.3), (0.3, 0.4)]);
        assert!(is_at_edge(std::slice::from_ref(&low)));
        assert!(!is_at_edge(&[low.clone(), low, middle]));
        assert!(!is_at_edge(&[selection("lr", &[(0.1, 0.5)])]) && !is_at_edge(&[]));
    }

    #[test]
    fn lists_that_grew_in_some_seeds_are_judged_by_most_of_them() {
        let within = selection("c", &[(1.0, 0.5), (10.0, 0.1), (100.0, 0.4)]);
        let beyond =
            selection("c", &[(1.0, 0.5), (10.0, 0.4), (100.0, 0.3), (464.0, 0.2), (1000.0, 0.1)]);
        assert!(is_at_edge(&[beyond.clone(), beyond.clone(), within.clone()]));
        assert!(!is_at_edge(&[beyond, within.clone(), within]));
        // Searches may come to as many values, but not to the same.
        let there = selection("c", &[(1.0, 0.1), (2.0, 0.0), (4.0, 0.9)]);
        let elsewhere = selection("c", &[(1.0, 0.1), (8.0, 0.9), (16.0, 0.0)]);
        assert!(!is_at_edge(&[there.clone(), there, elsewhere]));
    }

    #[test]
    fn there_is_nothing_beyond_one_neighbour() {
        assert!(!is_at_edge(&[selection("k", &[(1.0, 0.1), (5.0, 0.2)])]));
        assert!(is_at_edge(&[selection("k", &[(3.0, 0.1), (5.0, 0.2)])]));
        assert!(is_at_edge(&[selection("k", &[(1.0, 0.3), (5.0, 0.2)])]));
    }
}
