//! Seeds drawn again, and intervals of what comes of them.

use serde::{Deserialize, Serialize};

use crate::base::Seed;

/// The interval that holds 95 % of what was drawn; an end is infinite where too many are.
pub type Interval = (f64, f64);

/// Fewer seeds than this are no sample to draw from.
pub const SEEDS_TO_DRAW: usize = 5;

/// Seeds drawn with replacement, again and again: all that is compared is drawn alike. Of S seeds
/// S - 1 are drawn each time, so that a mean over them varies as one over S seeds does (Rao and Wu
/// 1988); S of S would vary too little by the factor (S - 1)/S.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draws {
    /// Positions of seeds, draw by draw; none with fewer than 5 seeds.
    pub each: Vec<Vec<usize>>,
}

impl Draws {
    /// `count` draws of these many seeds; the purpose names the stream.
    #[must_use]
    pub fn of(seeds: usize, count: usize, purpose: &str) -> Self {
        if seeds < SEEDS_TO_DRAW {
            return Self { each: vec![] };
        }
        let mut stream = Seed(0).stream(purpose, "seeds");
        let mut draw = || (1..seeds).map(|_| stream.below(seeds)).collect();
        Self { each: (0..count).map(|_| draw()).collect() }
    }

    /// The interval of what comes of each draw; none where nothing does.
    #[must_use]
    pub fn interval(&self, of: impl Fn(&[usize]) -> Option<f64>) -> Option<Interval> {
        percentiles(self.each.iter().filter_map(|draw| of(draw)).collect())
    }
}

/// The middle 95 % of some values; none of none.
#[must_use]
pub fn percentiles(mut values: Vec<f64>) -> Option<Interval> {
    values.retain(|value| !value.is_nan());
    values.sort_by(f64::total_cmp);
    (!values.is_empty()).then(|| (percentile(&values, 0.025), percentile(&values, 0.975)))
}

/// A share of sorted values lies below it: linear between two of them, the farther where one is
/// infinite. NaN of none.
#[must_use]
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share * last as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    match low.is_finite() && high.is_finite() {
        true => low + (high - low) * place.fract(),
        false if low.is_finite() => high,
        false => low,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_the_same_each_time_and_fewer_than_five_seeds_give_none() {
        let draws = Draws::of(6, 50, "test");
        assert_eq!(draws, Draws::of(6, 50, "test"));
        assert!(draws.each.iter().all(|draw| draw.len() == 5 && draw.iter().all(|at| *at < 6)));
        assert!(Draws::of(4, 50, "test").each.is_empty());
    }

    #[test]
    fn a_mean_varies_as_that_of_all_seeds_does() {
        let values = [1.0, 2.0, 4.0, 8.0, 16.0_f64];
        let centre = values.iter().sum::<f64>() / 5.0;
        let expected = values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / 4.0 / 5.0;
        let draws = Draws::of(5, 20_000, "test");
        let mean =
            |draw: &Vec<usize>| draw.iter().map(|&at| values[at]).sum::<f64>() / draw.len() as f64;
        let found: f64 = draws.each.iter().map(|draw| (mean(draw) - centre).powi(2)).sum();
        let found = found / draws.each.len() as f64;
        assert!((found / expected - 1.0).abs() < 0.05, "{found} {expected}");
    }

    #[test]
    fn percentiles_lie_between_order_statistics_and_may_be_infinite() {
        let values: Vec<f64> = (0..=40).map(f64::from).collect();
        assert_eq!(percentiles(values), Some((1.0, 39.0)));
        assert_eq!(percentile(&[1.0, 2.0], 0.25).to_bits(), 1.25_f64.to_bits());
        assert_eq!(percentiles(vec![1.0, f64::INFINITY]), Some((f64::INFINITY, f64::INFINITY)));
        assert_eq!(percentiles(vec![0.0, 1.0, 2.0]).map(|(low, _)| low), Some(0.05));
        assert_eq!(percentiles(vec![]), None);
    }
}
