//! A learning curve over seeds: its power law, where it crosses another's, and how sure that is.

use super::crossing::{Crossing, Standing};
use super::draws::{Draws, Interval, percentiles};
use super::power_law::{NoFit, PowerLaw, SizePoint};

/// Errors at one size.
#[derive(Clone, Debug, PartialEq)]
pub struct SizedErrors {
    /// Training items.
    pub n: f64,
    /// The error of each seed; none of one that failed.
    pub by_seed: Vec<Option<f64>>,
}

/// A learning curve: ascending sizes, the same seeds at each.
#[derive(Clone, Debug, PartialEq)]
pub struct SizeCurve {
    sizes: Vec<SizedErrors>,
    /// Variance between seeds at each size, with a floor.
    variances: Vec<f64>,
    /// The law of all seeds, or why there is none.
    pub law: Result<PowerLaw, NoFit>,
    /// The law of each draw of seeds; none where there is none.
    drawn: Vec<Option<PowerLaw>>,
}

/// One curve against another.
#[derive(Clone, Debug, PartialEq)]
pub struct Against {
    /// Where they cross.
    pub crossing: Crossing,
    /// The interval of the first crossing, or of where it would be: 0 and infinity stand for sizes
    /// below and beyond what was looked at.
    pub interval: Option<Interval>,
    /// Share of draws in which the arm stands to its baseline below the crossing as it does here.
    pub agreement: Option<f64>,
    /// Whether the crossing lies beyond the largest size.
    pub extrapolated: bool,
}

/// No size counts as if its errors had less than this share of the mean variance over sizes: of few
/// seeds a variance may be small by chance.
const FLOOR: f64 = 0.1;

impl SizeCurve {
    /// Fits a curve, and again for each draw of its seeds.
    #[must_use]
    pub fn new(mut sizes: Vec<SizedErrors>, draws: &Draws) -> Self {
        sizes.sort_by(|one, other| one.n.total_cmp(&other.n));
        let variances =
            floored(&sizes.iter().map(|size| variance(&size.by_seed)).collect::<Vec<_>>());
        let all: Vec<usize> = (0..sizes.first().map_or(0, |size| size.by_seed.len())).collect();
        let mut curve = Self { sizes, variances, law: Err(NoFit::TooFewSizes(0)), drawn: vec![] };
        curve.law = PowerLaw::fit(&curve.points(&all));
        curve.drawn =
            draws.each.iter().map(|draw| PowerLaw::fit(&curve.points(draw)).ok()).collect();
        curve
    }

    /// Its sizes with the mean errors of some seeds; sizes at which all of them failed are left out.
    fn points(&self, seeds: &[usize]) -> Vec<SizePoint> {
        let point = |(size, variance): (&SizedErrors, &f64)| {
            let known: Vec<f64> = seeds.iter().filter_map(|&seed| size.by_seed[seed]).collect();
            let count = known.len() as f64;
            (!known.is_empty()).then(|| SizePoint {
                n: size.n,
                error: known.iter().sum::<f64>() / count,
                weight: count / variance,
            })
        };
        self.sizes.iter().zip(&self.variances).filter_map(point).collect()
    }

    /// The interval of a number of its law.
    #[must_use]
    pub fn interval(&self, of: fn(&PowerLaw) -> f64) -> Option<Interval> {
        percentiles(self.drawn.iter().flatten().map(of).collect())
    }

    /// Its smallest and its largest size.
    #[must_use]
    pub fn range(&self) -> Option<(f64, f64)> {
        Some((self.sizes.first()?.n, self.sizes.last()?.n))
    }

    /// This arm against its baseline, over the sizes that this arm has; none unless both have a law.
    #[must_use]
    pub fn against(&self, baseline: &Self) -> Option<Against> {
        let range = self.range()?;
        let (arm, base) = (self.law.as_ref().ok()?, baseline.law.as_ref().ok()?);
        let crossing = Crossing::of(arm, base, range);
        let pairs = self.drawn.iter().zip(&baseline.drawn);
        let both = pairs.filter_map(|(arm, base)| Some((arm.as_ref()?, base.as_ref()?)));
        let drawn: Vec<Crossing> = both.map(|(arm, base)| Crossing::of(arm, base, range)).collect();
        let alike = drawn.iter().filter(|drawn| drawn.below == crossing.below).count();
        let places = drawn.iter().filter_map(|drawn| drawn.in_direction(crossing.below));
        Some(Against {
            interval: percentiles(places.collect()).filter(|_| crossing.below != Standing::Level),
            agreement: (!drawn.is_empty()).then(|| alike as f64 / drawn.len() as f64),
            extrapolated: crossing.at.first().is_some_and(|at| *at > range.1),
            crossing,
        })
    }

    /// How many items the baseline needs for the error that this arm has at a size (Hernandez et al.
    /// 2021, after their laws); none where no number of items is enough.
    #[must_use]
    pub fn effective(&self, baseline: &Self, n: f64) -> Option<f64> {
        baseline.law.as_ref().ok()?.size_for(self.law.as_ref().ok()?.at(n))
    }
}

/// Variance between seeds (divisor S - 1); none of fewer than two.
fn variance(by_seed: &[Option<f64>]) -> Option<f64> {
    let known: Vec<f64> = by_seed.iter().flatten().copied().collect();
    let centre = known.iter().sum::<f64>() / known.len() as f64;
    let square: f64 = known.iter().map(|value| (value - centre).powi(2)).sum();
    (known.len() > 1).then(|| square / (known.len() - 1) as f64)
}

/// Variances that can be divided by: the mean where one is not known, and never far below that; 1
/// for each where none is above 0.
fn floored(variances: &[Option<f64>]) -> Vec<f64> {
    let known: Vec<f64> = variances.iter().flatten().copied().collect();
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    let usable = mean.is_finite() && mean > 0.0;
    let of = |variance: &Option<f64>| match usable {
        true => variance.unwrap_or(mean).max(FLOOR * mean),
        false => 1.0,
    };
    variances.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    const SCRATCH: PowerLaw = PowerLaw { a: 0.05, b: 2.0, c: 0.6 };
    const TRANSFER: PowerLaw = PowerLaw { a: 0.09, b: 0.45, c: 0.4 };
    const SIZES: [f64; 6] = [25.0, 50.0, 100.0, 200.0, 400.0, 800.0];

    /// Errors of a law, with noise of this size for each of ten seeds.
    fn curve(law: PowerLaw, noise: f64, name: &str, draws: &Draws) -> SizeCurve {
        let mut stream = Seed(3).stream("noise", name);
        let mut sized = |n: f64| SizedErrors {
            n,
            by_seed: (0..10).map(|_| Some(law.at(n) + noise * stream.normal())).collect(),
        };
        SizeCurve::new(SIZES.iter().map(|&n| sized(n)).collect(), draws)
    }

    #[test]
    fn effective_data_come_out_as_printed() {
        let draws = Draws::of(0, 0, "test");
        let of = |law, name| curve(law, 0.0, name, &draws);
        let (scratch, transfer) = (of(SCRATCH, "s"), of(TRANSFER, "t"));
        for (n, effective, transferred) in
            [(25.0, 64.496, 39.496), (100.0, 123.242, 23.242), (400.0, 209.528, -190.472)]
        {
            let found = transfer.effective(&scratch, n).unwrap();
            assert!((found - effective).abs() < 1e-3, "{n}: {found}");
            assert!((found - n - transferred).abs() < 1e-3, "{n}: {found}");
        }
        // Nothing that scratch could do reaches a smaller error than its rest.
        let better = of(PowerLaw { a: 0.01, ..TRANSFER }, "b");
        assert_eq!(better.effective(&scratch, 4000.0), None);
    }

    #[test]
    fn the_crossing_of_noisy_curves_has_an_interval_around_the_truth() {
        let draws = Draws::of(10, 300, "test");
        let scratch = curve(SCRATCH, 0.01, "scratch", &draws);
        let transfer = curve(TRANSFER, 0.01, "transfer", &draws);
        let found = transfer.against(&scratch).unwrap();
        let (low, high) = found.interval.unwrap();
        assert!(low < 143.02 && 143.02 < high && low > 80.0 && high < 250.0, "{found:?}");
        assert_eq!((found.crossing.below, found.extrapolated), (Standing::Ahead, false));
        assert!(found.agreement.unwrap() > 0.95);
        let (low, high) = scratch.interval(|law| law.c).unwrap();
        assert!(low < 0.6 && 0.6 < high, "{low} {high}");
    }

    #[test]
    fn an_arm_that_is_always_ahead_crosses_beyond_all_sizes() {
        let draws = Draws::of(10, 100, "test");
        let scratch = curve(SCRATCH, 0.002, "scratch", &draws);
        let ahead = curve(PowerLaw { b: 1.0, ..SCRATCH }, 0.002, "ahead", &draws);
        let found = ahead.against(&scratch).unwrap();
        assert!(found.crossing.at.is_empty() && found.crossing.below == Standing::Ahead);
        assert_eq!(found.interval.map(|(_, high)| high), Some(f64::INFINITY));
    }

    #[test]
    fn a_size_that_failed_is_left_out_and_few_seeds_have_no_interval() {
        let draws = Draws::of(3, 100, "test");
        let sized = |n: f64| SizedErrors {
            n,
            by_seed: vec![Some(SCRATCH.at(n)), (n > 30.0).then(|| SCRATCH.at(n)), None],
        };
        let mut sizes: Vec<SizedErrors> = SIZES.iter().map(|&n| sized(n)).collect();
        sizes[2].by_seed = vec![None; 3];
        let found = SizeCurve::new(sizes, &draws);
        assert!((found.law.as_ref().unwrap().c - 0.6).abs() < 1e-6);
        assert_eq!(found.interval(|law| law.a), None);
    }

    #[test]
    fn variances_that_are_small_by_chance_are_raised() {
        let close = |found: Vec<f64>, expected: [f64; 3]| {
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12)
        };
        assert!(close(floored(&[Some(0.0), Some(2.0), Some(4.0)]), [0.2, 2.0, 4.0]));
        assert!(close(floored(&[None, Some(0.0), None]), [1.0, 1.0, 1.0]));
    }
}
