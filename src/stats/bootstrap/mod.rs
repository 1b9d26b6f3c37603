//! Resampling with replacement, for what is no mean over items: macro-F1, areas under curves,
//! calibration errors.
//!
//! Nothing is copied: a resample is how often each seed and each item was drawn, and a statistic is
//! computed from these counts. Each resample draws from a stream of its own, so that any number of
//! threads gives the same bits.

mod columns;
mod design;
mod found;
mod prepared;
mod two_way;

use std::num::NonZeroUsize;

use crate::base::Seed;

pub use columns::weighted_columns;
pub use design::{Design, Over, STRATIFY_BELOW};
pub use found::{Bca, Bootstrapped};
pub use prepared::{MetricDifference, Weighted, weighted};
pub use two_way::{SEEDS_TO_DRAW, TwoWayBootstrap};

/// How often, from which random stream, and on how many threads.
#[derive(Clone, Copy, Debug)]
pub struct Bootstrap {
    /// B; 10,000 is usual.
    pub resamples: usize,
    /// What the draws come from.
    pub seed: Seed,
    /// Threads that share the work; the result does not depend on their number.
    pub threads: NonZeroUsize,
}

impl Bootstrap {
    /// Resamples `design` and computes `statistic` from the counts of seeds and of items; it may
    /// have no value for some resamples, which are counted.
    ///
    /// `None` if the statistic has no value for the sample itself or for any resample.
    pub fn run<F>(&self, design: &Design, statistic: F) -> Option<Bootstrapped>
    where
        F: Fn(&[u32], &[u32]) -> Option<f64> + Sync,
    {
        let whole = design.whole();
        let estimate = statistic(&whole.seeds, &whole.items).filter(|value| value.is_finite())?;
        let drawn = self.each(self.resamples, |resample, counts| {
            let mut stream = self.seed.stream("bootstrap", &resample.to_string());
            design.draw(&mut stream, counts);
            statistic(&counts.seeds, &counts.items)
        });
        let left_out = self.each(design.parts(), |part, counts| {
            design.leave_out(part, counts);
            statistic(&counts.seeds, &counts.items)
        });
        Bootstrapped::new(estimate, &drawn, &left_out, design)
    }

    /// The values of `of` for 0..count in order, NaN where there is none; each thread has counts of
    /// its own to write into.
    fn each<F>(&self, count: usize, of: F) -> Vec<f64>
    where
        F: Fn(usize, &mut Counts) -> Option<f64> + Sync,
    {
        let mut values = vec![f64::NAN; count];
        let share = count.div_ceil(self.threads.get()).max(1);
        let fill = |part: usize, values: &mut [f64]| {
            let mut counts = Counts::default();
            for (offset, value) in values.iter_mut().enumerate() {
                *value = of(part * share + offset, &mut counts).unwrap_or(f64::NAN);
            }
        };
        // One thread is this one, so that its processor time is that of the work.
        if self.threads.get() == 1 {
            fill(0, &mut values);
            return values;
        }
        std::thread::scope(|scope| {
            for (part, values) in values.chunks_mut(share).enumerate() {
                let fill = &fill;
                scope.spawn(move || fill(part, values));
            }
        });
        values
    }
}

/// How often each seed and each item is in a resample.
#[derive(Clone, Debug, Default)]
struct Counts {
    seeds: Vec<u32>,
    units: Vec<u32>,
    items: Vec<u32>,
}

#[cfg(test)]
mod tests;
