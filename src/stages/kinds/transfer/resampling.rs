//! Differences of a metric for resamples of seeds and items.

use std::num::NonZeroUsize;

use crate::base::Seed;
use crate::stats::{
    Bootstrap, Bootstrapped, Design, Measure, MetricDifference, Over, SEEDS_TO_DRAW, Weighted,
    weighted, weighted_columns,
};

use super::super::super::artifacts::Predictions;
use super::super::super::job::Failure;
use super::pair::Aligned;

/// How resamples are drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resampling {
    /// B; none for no bootstrap.
    pub(super) resamples: usize,
    /// Threads that share the work.
    pub(super) cores: usize,
}

impl Resampling {
    /// The same draws for every arm and metric.
    pub(super) fn bootstrap(self) -> Bootstrap {
        let threads = NonZeroUsize::new(self.cores).unwrap_or(NonZeroUsize::MIN);
        Bootstrap { resamples: self.resamples, seed: Seed(0), threads }
    }

    /// Resamples a metric's difference, in units of `scale`; nothing where it has no value for a run.
    pub(super) fn of(
        self,
        metric: Measure,
        aligned: &Aligned<'_>,
        scale: f64,
    ) -> Result<Option<(Bootstrapped, Design)>, Failure> {
        let Some(design) = design(aligned).filter(|_| self.resamples > 0) else { return Ok(None) };
        let mut seeds = Vec::new();
        for [arm, baseline] in &aligned.seeds {
            match (prepared(metric, arm)?, prepared(metric, baseline)?) {
                (Some(arm), Some(baseline)) => seeds.push([arm, baseline]),
                _ => return Ok(None),
            }
        }
        let difference = MetricDifference { seeds, direction: metric.direction() };
        let value = |seeds: &[u32], items: &[u32]| Some(difference.value(seeds, items)? / scale);
        Ok(self.bootstrap().run(&design, value).map(|found| (found, design)))
    }
}

/// What is drawn: seeds too where there are enough, groups whole, rare classes within themselves.
pub(super) fn design(aligned: &Aligned<'_>) -> Option<Design> {
    let [sample, _] = aligned.seeds.first()?;
    let seeds = aligned.seeds.len();
    let over = if seeds < SEEDS_TO_DRAW { Over::Items } else { Over::SeedsAndItems };
    let design = Design::new(seeds, sample.ids.len(), over);
    Some(match &aligned.groups {
        Some(groups) => design.grouped(groups),
        None => design.stratified(&sample.labels),
    })
}

fn prepared<'r>(
    metric: Measure,
    run: &'r Predictions,
) -> Result<Option<Box<dyn Weighted + 'r>>, Failure> {
    Ok(match metric {
        Measure::Class(metric) => weighted(metric, run.view()?).ok(),
        Measure::Column(metric) => match run.judged()? {
            crate::stats::Judged::Columns(columns) => weighted_columns(metric, &columns, None).ok(),
            crate::stats::Judged::Classes(_) => None,
        },
    })
}
