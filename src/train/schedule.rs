//! The learning rate over time.

use serde_json::{Value as Json, json};

use crate::base::language::{Above0, Fraction, Natural, OneOrMore, Read, choice, keys, unexpected};
use crate::base::{Found, Value, Written};

choice! {
    /// How the learning rate changes over the steps.
    pub enum Schedule {
        /// Always the same.
        "constant" => Constant,
        /// Down to 0 along half a cosine, perhaps after a linear rise.
        "cosine" => Cosine(Cosine),
        /// Down to 0 along a straight line, perhaps after a linear rise.
        "linear" => Linear(Linear),
        /// Multiplied by a factor at certain steps, perhaps after a linear rise.
        "step" => Step(Stairs),
        /// A short linear rise and a long linear fall (Howard & Ruder 2018).
        "slanted_triangular" => SlantedTriangular(SlantedTriangular),
        /// Half a cosine up, half a cosine down to almost nothing, as fastai does it.
        "one_cycle" => OneCycle(OneCycle),
    }
}

keys! {
    /// Half a cosine.
    pub struct Cosine {
        /// Steps of linear rise before it.
        warmup: Natural = Natural(0),
    }
}

keys! {
    /// A straight line down.
    pub struct Linear {
        /// Steps of linear rise before it.
        warmup: Natural = Natural(0),
    }
}

keys! {
    /// A staircase.
    pub struct Stairs {
        /// Where the steps of the staircase are: steps of training (whole numbers of at least 1),
        /// or shares of all steps (decimal numbers between 0 and 1).
        at: OneOrMore<Moment>,
        /// What the rate is multiplied by at each.
        factor: Fraction = fraction(0.1),
        /// Steps of linear rise at the start, or their share of all steps.
        warmup: Option<Moment> = None,
    }
}

keys! {
    /// A slanted triangle.
    pub struct SlantedTriangular {
        /// Share of the steps in which it rises.
        rise: Fraction = fraction(0.1),
        /// How many times smaller than the rate it begins and ends.
        ratio: Above0 = above0(32.0),
    }
}

keys! {
    /// One cycle.
    pub struct OneCycle {
        /// Share of the steps in which it rises.
        rise: Fraction = fraction(0.25),
        /// How many times smaller than the rate it begins.
        div: Above0 = above0(25.0),
        /// How many times smaller than the rate it ends.
        final_div: Above0 = above0(1e5),
    }
}

fn fraction(value: f64) -> Fraction {
    Fraction::new(value).expect("between 0 and 1")
}

fn above0(value: f64) -> Above0 {
    Above0::new(value).expect("above 0")
}

/// A point in a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    /// After this many steps.
    Step(usize),
    /// After this share of all steps.
    Share(f64),
}

const MOMENT: &str = "a number of steps, or a decimal number between 0 and 1: their share";

impl Moment {
    fn step(self, total: usize) -> usize {
        match self {
            Self::Step(step) => step,
            Self::Share(share) => (share * total as f64).round() as usize,
        }
    }
}

impl Read for Moment {
    fn read(written: &Written, found: &mut Found) -> Option<Self> {
        match written.value {
            Value::Integer(step) if step > 0 => Some(Self::Step(step as usize)),
            Value::Float(share) if share > 0.0 && share < 1.0 => Some(Self::Share(share)),
            _ => {
                found.add(unexpected(written, MOMENT));
                None
            }
        }
    }

    fn schema() -> Json {
        json!({ "title": MOMENT, "type": "number", "exclusiveMinimum": 0 })
    }
}

impl serde::Serialize for Moment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Step(step) => serializer.serialize_u64(*step as u64),
            Self::Share(share) => serializer.serialize_f64(*share),
        }
    }
}

impl Schedule {
    /// A tenth at each moment, after a linear rise.
    pub fn stairs(at: OneOrMore<Moment>, warmup: Option<Moment>) -> Self {
        Self::Step(Stairs { at, factor: fraction(0.1), warmup })
    }

    /// One cycle that rises in this share of the steps, from a rate so many times smaller.
    ///
    /// # Panics
    /// If `rise` does not lie between 0 and 1, or `div` is not above 0.
    pub fn one_cycle(rise: f64, div: f64) -> Self {
        let final_div = above0(1e5);
        Self::OneCycle(OneCycle { rise: fraction(rise), div: above0(div), final_div })
    }

    /// The first step number of a staircase that training of `total` steps never comes to.
    pub fn never_reached(&self, total: usize) -> Option<usize> {
        let Self::Step(stairs) = self else { return None };
        let late = |moment: &Moment| match moment {
            Moment::Step(step) if *step >= total => Some(*step),
            _ => None,
        };
        stairs.at.0.iter().find_map(late)
    }

    /// The factor on the learning rate at step `step` (from 0) of `total`. While it warms up, that
    /// is (t + 1)/w, so that the first step already moves.
    pub fn factor(&self, step: usize, total: usize) -> f64 {
        let warmup = self.warmup(total);
        if step < warmup {
            return rise(step + 1, warmup);
        }
        let (since, left) = (step - warmup, total.saturating_sub(warmup));
        match self {
            Self::Constant => 1.0,
            Self::Cosine(_) => cosine(share(since, left)),
            Self::Linear(_) => 1.0 - share(since, left),
            Self::Step(stairs) => stairs.factor(step, total),
            Self::SlantedTriangular(triangle) => triangle.factor(step, total),
            Self::OneCycle(cycle) => cycle.factor(step, total),
        }
    }

    fn warmup(&self, total: usize) -> usize {
        match self {
            Self::Cosine(cosine) => cosine.warmup.0,
            Self::Linear(linear) => linear.warmup.0,
            Self::Step(stairs) => stairs.warmup.map_or(0, |moment| moment.step(total)),
            _ => 0,
        }
    }
}

impl Stairs {
    /// factorᵏ after k of the moments.
    fn factor(&self, step: usize, total: usize) -> f64 {
        let passed = self.at.0.iter().filter(|moment| step >= moment.step(total)).count();
        self.factor.get().powi(passed as i32)
    }
}

impl SlantedTriangular {
    /// (1 + p (ratio − 1)) / ratio, where p rises to 1 in ⌊T · rise⌋ steps and falls to 0 after.
    fn factor(&self, step: usize, total: usize) -> f64 {
        let cut = (total as f64 * self.rise.get()).floor().max(1.0);
        let (step, ratio) = (step as f64, self.ratio.get());
        let height = match step < cut {
            true => step / cut,
            false => (1.0 - (step - cut) / (cut * (1.0 / self.rise.get() - 1.0))).max(0.0),
        };
        (1.0 + height * (ratio - 1.0)) / ratio
    }
}

impl OneCycle {
    /// From 1 by `div` to 1 in the first share of the steps, then to 1 by `final_div`, along cosines.
    fn factor(&self, step: usize, total: usize) -> f64 {
        let at = share(step, total);
        let (start, end) = (1.0 / self.div.get(), 1.0 / self.final_div.get());
        let between = |from: f64, to: f64, share: f64| to + (from - to) * cosine(share);
        match at < self.rise.get() {
            true => between(start, 1.0, at / self.rise.get()),
            false => between(1.0, end, (at - self.rise.get()) / (1.0 - self.rise.get())),
        }
    }
}

fn rise(step: usize, warmup: usize) -> f64 {
    step as f64 / warmup as f64
}

fn share(step: usize, total: usize) -> f64 {
    (step as f64 / total.max(1) as f64).min(1.0)
}

/// ½ (1 + cos(π x)): from 1 to 0.
fn cosine(share: f64) -> f64 {
    0.5 * (1.0 + (std::f64::consts::PI * share).cos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::language::defaults;

    fn assert_passes(schedule: &Schedule, rate: f64, total: usize, values: &[(usize, f64)]) {
        for (step, expected) in values {
            let found = rate * schedule.factor(*step, total);
            assert!((found - expected).abs() < 1e-12, "{schedule:?} at {step}: {found}");
        }
    }

    #[test]
    fn a_cosine_with_warmup_passes_through_its_known_values() {
        let schedule = Schedule::Cosine(Cosine { warmup: Natural(50) });
        // The step that ends the warm-up has the whole rate: t counts steps that are done.
        assert_passes(&schedule, 1e-3, 1000, &[(24, 5e-4), (50, 1e-3), (525, 5e-4), (1000, 0.0)]);
    }

    #[test]
    fn the_first_step_of_a_warmup_already_moves() {
        let schedule = Schedule::Cosine(Cosine { warmup: Natural(10) });
        assert_passes(&schedule, 1.0, 100, &[(0, 0.1), (10, 1.0)]);
        assert_passes(&Schedule::Constant, 1.0, 100, &[(99, 1.0)]);
    }

    #[test]
    fn a_slanted_triangle_passes_through_its_known_values() {
        let schedule = Schedule::SlantedTriangular(defaults());
        let values =
            [(0, 3.125e-4), (50, 5.156_25e-3), (100, 0.01), (550, 5.156_25e-3), (1000, 3.125e-4)];
        assert_passes(&schedule, 0.01, 1000, &values);
    }

    #[test]
    fn stairs_go_down_at_steps_or_shares() {
        let at = OneOrMore(vec![Moment::Step(200), Moment::Step(300), Moment::Share(0.8)]);
        let warmup = Some(Moment::Share(0.2));
        let schedule = Schedule::Step(Stairs { at, factor: fraction(0.1), warmup });
        let values = [
            (0, 3e-5),
            (99, 3e-3),
            (199, 3e-3),
            (200, 3e-4),
            (299, 3e-4),
            (300, 3e-5),
            (400, 3e-6),
            (499, 3e-6),
        ];
        assert_passes(&schedule, 3e-3, 500, &values);
    }

    #[test]
    fn a_line_falls_evenly_after_its_warmup() {
        let schedule = Schedule::Linear(Linear { warmup: Natural(10) });
        assert_passes(&schedule, 1.0, 110, &[(4, 0.5), (10, 1.0), (60, 0.5), (110, 0.0)]);
    }

    /// Values of `combined_cos(0.25, lr/25, lr, lr/1e5)` of fastai, at shares 0, 1/8, 1/4, 5/8 and 1.
    #[test]
    fn one_cycle_passes_through_the_values_of_fastai() {
        let schedule = Schedule::OneCycle(defaults());
        let middle = 0.5 * (1.0 + 1e-5);
        let values = [(0, 0.04), (100, 0.52), (200, 1.0), (500, middle), (800, 1e-5)];
        assert_passes(&schedule, 1.0, 800, &values);
    }
}
