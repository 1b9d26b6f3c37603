//! Studies in which the truth is known: what the verdict is calibrated with.
//!
//! An item is right with probability logistic(ability - difficulty): difficulties vary with a
//! standard deviation of 2, as hard and easy images do, and each training run of each arm has an
//! ability of its own.

use ndarray::Array2;

use crate::base::Seed;

use super::normal;
use super::rule::Class;
use super::two_way::TwoWay;
use super::verdict::{Comparison, Verdict, judge};

/// Standard deviation of difficulty between items, in logits.
const DIFFICULTY: f64 = 2.0;

/// A study of one arm against scratch, in logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Study {
    /// Training runs of each arm.
    pub seeds: usize,
    /// Test items.
    pub items: usize,
    /// Mean ability of scratch.
    pub ability: f64,
    /// Ability that transfer adds.
    pub effect: f64,
    /// Standard deviation of ability between training runs of an arm.
    pub spread: f64,
}

/// What a simulated study found, seeds × items.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// 1 where the arm is right, else 0.
    pub transfer: Array2<f64>,
    /// The same of scratch.
    pub scratch: Array2<f64>,
}

impl Study {
    /// A study of arms that do not differ, of an ability that gets two items of three right.
    #[must_use]
    pub fn even(seeds: usize, items: usize, spread: f64) -> Self {
        Self { seeds, items, ability: 1.0, effect: 0.0, spread }
    }

    /// A study like one that was printed: scratch of that accuracy, transfer better by
    /// `difference`, and a 95 % interval of the difference over seeds of that `half_width`.
    #[must_use]
    pub fn printed(
        seeds: usize,
        items: usize,
        accuracy: f64,
        difference: f64,
        half_width: f64,
    ) -> Self {
        let (ability, better) = (ability_of(accuracy), ability_of(accuracy + difference));
        let quantile = super::student_quantile(0.975, seeds as f64 - 1.0);
        let deviation = half_width / quantile * (seeds as f64).sqrt();
        let middle = f64::midpoint(ability, better);
        let slope = (accuracy_of(middle + 0.01) - accuracy_of(middle - 0.01)) / 0.02;
        let spread = deviation / 2.0_f64.sqrt() / slope;
        Self { seeds, items, ability, effect: better - ability, spread }
    }

    /// The accuracy that transfer truly adds.
    #[must_use]
    pub fn truth(&self) -> f64 {
        accuracy_of(self.ability + self.effect) - accuracy_of(self.ability)
    }

    /// Does the study once; another `replicate` is another world.
    #[must_use]
    pub fn draw(&self, replicate: u64) -> Simulated {
        let mut draws = Seed(replicate).stream("simulated study", "");
        let difficulties: Vec<f64> = (0..self.items).map(|_| DIFFICULTY * draws.normal()).collect();
        let mut arm = |mean: f64| {
            let abilities: Vec<f64> =
                (0..self.seeds).map(|_| mean + self.spread * draws.normal()).collect();
            Array2::from_shape_fn((self.seeds, self.items), |(seed, item)| {
                let right = draws.uniform() < logistic(abilities[seed] - difficulties[item]);
                f64::from(u8::from(right))
            })
        };
        let scratch = arm(self.ability);
        Simulated { transfer: arm(self.ability + self.effect), scratch }
    }
}

impl Simulated {
    /// Transfer minus scratch.
    #[must_use]
    pub fn differences(&self) -> Array2<f64> {
        &self.transfer - &self.scratch
    }
}

/// Differences (seeds × items) of a transfer that helps with some items and hurts with others, in all
/// seeds alike: around `mean`, with a standard deviation of 1 between items and of 0.1 besides.
#[must_use]
pub fn uneven_differences(seeds: usize, items: usize, mean: f64, replicate: u64) -> Array2<f64> {
    let mut draws = Seed(replicate).stream("uneven study", "");
    let effects: Vec<f64> = (0..items).map(|_| mean + draws.normal()).collect();
    Array2::from_shape_fn((seeds, items), |(_, item)| effects[item] + 0.1 * draws.normal())
}

/// The verdict on differences (seeds × units) that stand alone.
#[must_use]
pub fn verdict_alone(d: &Array2<f64>, eps: f64) -> Verdict {
    let comparison = Comparison {
        family: "simulated".to_owned(),
        two_way: TwoWay::of(d),
        eps,
        seeds: d.nrows(),
        units: d.ncols(),
        missing_seeds: 0,
        reasons: Vec::new(),
        flags: Vec::new(),
    };
    judge(&[comparison]).remove(0)
}

/// Share of some verdicts that say `class`.
#[must_use]
pub fn share_of(verdicts: &[Verdict], class: Class) -> f64 {
    let count = verdicts.iter().filter(|verdict| verdict.class == class).count();
    count as f64 / verdicts.len() as f64
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The mean of logistic(ability - difficulty) over items.
fn accuracy_of(ability: f64) -> f64 {
    const GRID: usize = 400;
    let difficulty = |cell: usize| DIFFICULTY * normal::quantile((cell as f64 + 0.5) / GRID as f64);
    (0..GRID).map(|cell| logistic(ability - difficulty(cell))).sum::<f64>() / GRID as f64
}

/// The ability with that accuracy in (0, 1), by bisection.
fn ability_of(accuracy: f64) -> f64 {
    let (mut low, mut high) = (-20.0, 20.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if accuracy_of(middle) < accuracy {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::assert_close;

    #[test]
    fn a_study_like_a_printed_one_has_its_accuracies() {
        let study = Study::printed(6, 4000, 0.8755, -0.302, 0.110);
        assert_close(study.truth(), -0.302, 1e-9);
        let found = study.draw(0);
        assert_close(found.scratch.mean().unwrap(), 0.8755, 0.05);
        let seeds = study.draw(1).differences().mean_axis(ndarray::Axis(1)).unwrap();
        // A standard deviation of 0.105 is printed; six seeds tell it to a factor of two.
        assert!((0.05..0.21).contains(&seeds.std(1.0)));
    }

    #[test]
    fn a_replicate_is_fixed_by_its_number() {
        let study = Study::even(3, 50, 0.3);
        assert_eq!(study.draw(4), study.draw(4));
        assert_ne!(study.draw(4), study.draw(5));
    }
}
