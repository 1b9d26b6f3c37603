//! The learning rate over time.

use crate::base::language::{Natural, choice, keys};

choice! {
    /// How the learning rate changes over the steps.
    pub enum Schedule {
        /// Always the same.
        "constant" => Constant,
        /// Down to 0 along half a cosine, perhaps after a linear rise.
        "cosine" => Cosine(Cosine),
    }
}

keys! {
    /// Half a cosine.
    pub struct Cosine {
        /// Steps of linear rise before it.
        warmup: Natural = Natural(0),
    }
}

impl Schedule {
    /// The factor on the learning rate at step `step` (from 0) of `total`:
    /// (t + 1)/w while rising, then ½(1 + cos(π (t − w)/(T − w))).
    pub fn factor(&self, step: usize, total: usize) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine(cosine) => {
                let warmup = cosine.warmup.0;
                if step < warmup {
                    return rise(step + 1, warmup);
                }
                fall(step - warmup, total.saturating_sub(warmup))
            }
        }
    }
}

fn rise(step: usize, warmup: usize) -> f64 {
    step as f64 / warmup as f64
}

fn fall(step: usize, total: usize) -> f64 {
    let share = step as f64 / total.max(1) as f64;
    0.5 * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cosine_with_warmup_passes_through_its_known_values() {
        // η = 1e-3, w = 50, T = 1000.
        let rate =
            |step: usize| 1e-3 * if step < 50 { rise(step, 50) } else { fall(step - 50, 950) };
        for (step, expected) in [(25, 5e-4), (50, 1e-3), (525, 5e-4), (1000, 0.0)] {
            assert!((rate(step) - expected).abs() < 1e-12, "{step}");
        }
    }

    #[test]
    fn the_first_step_of_a_warmup_already_moves() {
        let schedule = Schedule::Cosine(Cosine { warmup: Natural(10) });
        assert!((schedule.factor(0, 100) - 0.1).abs() < 1e-12);
        assert!((schedule.factor(10, 100) - 1.0).abs() < 1e-12);
        assert!((Schedule::Constant.factor(99, 100) - 1.0).abs() < 1e-12);
    }
}
