//! The learning-rate range test: how the loss changes while the rate grows from far too small to far
//! too large (Smith 2017).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::batches::Batches;
use super::course::{Course, Unfreeze};
use super::examples::Examples;
use super::prepared::{Prepared, Workshop};
use super::schedule::Schedule;
use super::stepping::Stepping;
use super::trial::{Settings, Start, TrainError, Watch, moving};

/// One step of the test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RangeStep {
    /// Steps done before it.
    pub step: usize,
    /// Its learning rate.
    pub rate: f64,
    /// Its loss.
    pub loss: f64,
    /// The loss smoothed.
    pub smoothed: f64,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RangeTest {
    /// Every step.
    pub curve: Vec<RangeStep>,
    /// A tenth of the rate at which the smoothed loss was smallest; none if no loss was a number.
    pub rate: Option<f64>,
}

/// Steps at most.
const STEPS: usize = 100;
/// The first rate and the last.
const RATES: (f64, f64) = (1e-7, 10.0);
/// Share of the mean that is kept at each step.
const KEPT: f64 = 0.98;
/// The test ends when the smoothed loss is this many times its best.
const FAR_OFF: f64 = 4.0;
/// The rate taken is that of the smallest loss divided by this.
const BELOW: f64 = 10.0;

/// A running mean whose start does not count: mₜ = β mₜ₋₁ + (1 − β) l, told as mₜ / (1 − βᵗ).
#[derive(Default)]
struct Smooth {
    mean: f64,
    steps: i32,
}

impl Smooth {
    fn add(&mut self, loss: f64) -> f64 {
        self.mean = KEPT * self.mean + (1.0 - KEPT) * loss;
        self.steps += 1;
        self.mean / (1.0 - KEPT.powi(self.steps))
    }
}

/// The rate of a step: from the first to the last in equal factors.
fn rate(step: usize) -> f64 {
    RATES.0 * (RATES.1 / RATES.0).powf(step as f64 / (STEPS - 1) as f64)
}

/// Trains for some steps at growing rates and tells how the loss went; the weights are thrown away.
pub fn range_test(
    workshop: &Workshop,
    prepared: &Arc<Prepared>,
    examples: &Examples<'_>,
    settings: &Settings<'_>,
    start: Start,
    watch: Watch<'_>,
) -> Result<RangeTest, TrainError> {
    let phases = [Arc::clone(prepared)];
    let mut stepping = Stepping::new(workshop, &phases, settings, &start)?;
    let mut moving = moving(prepared, settings.optimiser, start)?;
    let mut batches = Batches::new(examples.open.train(), settings.batch, settings.seed);
    let course = Course::new(&Schedule::Constant, &Unfreeze::AtOnce, 1, STEPS, STEPS);
    let mut test = Test::default();
    for step in 0..STEPS {
        let at = (step, &course, rate(step) as f32);
        let loss = stepping.step(examples, batches.next(), at, &mut moving)?;
        if !test.add(step, f64::from(loss)) {
            break;
        }
        if !watch(step + 1, STEPS, "") {
            return Err(TrainError::Interrupted);
        }
    }
    Ok(test.done())
}

/// A test while it runs.
#[derive(Default)]
struct Test {
    smooth: Smooth,
    curve: Vec<RangeStep>,
}

impl Test {
    /// Adds a step; tells whether it is worth going on.
    fn add(&mut self, step: usize, loss: f64) -> bool {
        if !loss.is_finite() {
            return false;
        }
        let smoothed = self.smooth.add(loss);
        self.curve.push(RangeStep { step, rate: rate(step), loss, smoothed });
        self.best().is_none_or(|best| smoothed <= FAR_OFF * best.smoothed)
    }

    fn best(&self) -> Option<&RangeStep> {
        self.curve.iter().min_by(|a, b| a.smoothed.total_cmp(&b.smoothed))
    }

    fn done(self) -> RangeTest {
        let rate = self.best().map(|best| best.rate / BELOW);
        RangeTest { curve: self.curve, rate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_grow_by_equal_factors_from_first_to_last() {
        assert!((rate(0) - 1e-7).abs() < 1e-20 && (rate(99) - 10.0).abs() < 1e-9);
        assert!((rate(50) / rate(49) - rate(10) / rate(9)).abs() < 1e-9);
    }

    #[test]
    fn a_tenth_of_the_rate_of_the_smallest_smoothed_loss_is_taken() {
        let mut test = Test::default();
        let losses = [1.0, 0.5, 0.25, 1.0, 30.0, 0.0];
        let went_on: Vec<bool> =
            losses.iter().enumerate().map(|(step, &loss)| test.add(step, loss)).collect();
        // The means with weights .98ⁱ, told without their bias: 1, .7475, .5783, .6869, 6.789.
        assert_eq!(went_on, [true, true, true, true, false, false]);
        let smoothed: Vec<f64> = test.curve.iter().map(|step| step.smoothed).collect();
        let expected = [1.0, 0.747_474_747, 0.578_288_668, 0.686_932_578];
        for (found, expected) in smoothed.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-8, "{found} {expected}");
        }
        assert!((test.done().rate.unwrap() - rate(2) / 10.0).abs() < 1e-15);
    }

    #[test]
    fn a_loss_that_is_no_number_ends_the_test() {
        let mut test = Test::default();
        assert!(test.add(0, 1.0) && !test.add(1, f64::NAN));
        assert_eq!(test.curve.len(), 1);
        assert_eq!(Test::default().done().rate, None);
    }
}
