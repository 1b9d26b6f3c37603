//! What the arms predicted, and what their trainings tell of themselves.

use crate::base::numbers::{deviation, mean_if_any};
use crate::stats::{Measure, student_quantile};

use super::super::super::artifacts::Predictions;
use super::super::super::job::{Context, Failure, Given};

/// The port of one seed of an arm.
pub(super) fn port(arm: usize, seed: usize) -> String {
    format!("arm_{arm}_seed_{seed}")
}

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

    /// Whether the value chosen most often lies at an end of a list of several: judged by the mean
    /// over seeds of what each value gave on val.
    pub(super) fn at_grid_edge(&self) -> bool {
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
