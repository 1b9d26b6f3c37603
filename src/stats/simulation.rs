//! Studies in which the truth is known: what the verdict is calibrated with.
//!
//! An item is right with probability logistic(ability - difficulty): difficulties vary with a
//! standard deviation of 2, as hard and easy images do, and each training run of each arm has an
//! ability of its own.

use std::num::NonZeroUsize;

use ndarray::{Array2, s};

use crate::base::Seed;
use crate::base::numbers::sigmoid;

use super::bootstrap::{
    Bootstrap, Bootstrapped, Design, MetricDifference, Over, TwoWayBootstrap, weighted,
};
use super::evidence::{Decider, Evidence};
use super::looks::{InterimLook, InterimLooks};
use super::metrics::Metric;
use super::normal;
use super::predictions::Predictions;
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

    /// A study of scratch of that accuracy and of transfer better by `difference`.
    #[must_use]
    pub fn of_accuracy(
        seeds: usize,
        items: usize,
        accuracy: f64,
        difference: f64,
        spread: f64,
    ) -> Self {
        let (ability, better) = (ability_of(accuracy), ability_of(accuracy + difference));
        Self { seeds, items, ability, effect: better - ability, spread }
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
        let study = Self::of_accuracy(seeds, items, accuracy, difference, 0.0);
        let quantile = super::student_quantile(0.975, seeds as f64 - 1.0);
        let deviation = half_width / quantile * (seeds as f64).sqrt();
        let middle = study.ability + 0.5 * study.effect;
        let slope = (accuracy_of(middle + 0.01) - accuracy_of(middle - 0.01)) / 0.02;
        Self { spread: deviation / 2.0_f64.sqrt() / slope, ..study }
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
                let right = draws.uniform() < sigmoid(abilities[seed] - difficulties[item]);
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

/// What two arms of a simulated study answer about items of two classes: the runs of each arm, with
/// the probabilities of both classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The class of each item.
    pub labels: Vec<usize>,
    /// Of transfer and of scratch, seed by seed: items × classes.
    pub arms: [Vec<Array2<f64>>; 2],
}

impl Study {
    /// Does the study once with answers instead of right and wrong, for metrics that are no means.
    /// The log-odds of the right class are the run's ability, what is peculiar to the item (standard
    /// deviation 1, the same for all runs), and chance (1). A third of the items are of class 1.
    #[must_use]
    pub fn answer(&self, replicate: u64) -> Answered {
        let mut draws = Seed(replicate).stream("simulated answers", "");
        let labels: Vec<usize> = (0..self.items).map(|item| usize::from(item % 3 == 0)).collect();
        let peculiar: Vec<f64> = (0..self.items).map(|_| draws.normal()).collect();
        let mut run = |mean: f64| {
            let ability = mean + self.spread * draws.normal();
            let mut rows = Array2::zeros((self.items, 2));
            for (item, &label) in labels.iter().enumerate() {
                let right = sigmoid(ability + peculiar[item] + draws.normal());
                rows[[item, label]] = right;
                rows[[item, 1 - label]] = 1.0 - right;
            }
            rows
        };
        let mut arm = |mean: f64| (0..self.seeds).map(|_| run(mean)).collect();
        let scratch = arm(self.ability);
        let arms = [arm(self.ability + self.effect), scratch];
        Answered { labels, arms }
    }
}

impl Answered {
    /// The difference of a metric, transfer minus scratch, by two-way bootstrap.
    #[must_use]
    pub fn resampled(&self, metric: &'static dyn Metric, resamples: usize) -> Option<Resamples> {
        let best = |rows: &Array2<f64>| -> Vec<usize> {
            rows.rows().into_iter().map(|row| usize::from(row[1] > row[0])).collect()
        };
        let predicted: [Vec<Vec<usize>>; 2] =
            [0, 1].map(|a| self.arms[a].iter().map(best).collect());
        let prepared = |arm: usize, seed: usize| {
            let rows = self.arms[arm][seed].view();
            let told = &predicted[arm][seed];
            let view = Predictions::new(&self.labels, told, rows, Ok(rows), 2).ok()?;
            weighted(metric, view).ok()
        };
        let seeds = self.arms[0].len();
        let pairs: Option<Vec<_>> =
            (0..seeds).map(|seed| Some([prepared(0, seed)?, prepared(1, seed)?])).collect();
        let difference = MetricDifference { seeds: pairs?, direction: metric.direction() };
        let threads = NonZeroUsize::MIN;
        let bootstrap = Bootstrap { resamples, seed: Seed(0), threads };
        let design = Design::new(seeds, self.labels.len(), Over::SeedsAndItems);
        let plain = bootstrap.run(&design, |seeds, items| difference.value(seeds, items))?;
        let widened = TwoWayBootstrap::of(&plain, &design)?;
        Some(Resamples { plain, widened })
    }
}

/// Resamples as they are drawn, and as a verdict takes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Resamples {
    /// As drawn.
    pub plain: Bootstrapped,
    /// As widened for few seeds.
    pub widened: TwoWayBootstrap,
}

impl Resamples {
    /// The verdict on them, alone.
    #[must_use]
    pub fn verdict(&self, eps: f64) -> Verdict {
        let summary = *self.widened.summary();
        let evidence = Some(Evidence::from(self.widened.clone()));
        let sizes = (summary.seeds, summary.items);
        judge_alone(Decider::TwoWayBootstrap, evidence, sizes, eps, None)
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
    verdict_at(d, eps, None)
}

/// The same at one of several looks.
#[must_use]
pub fn verdict_at(d: &Array2<f64>, eps: f64, look: Option<InterimLook>) -> Verdict {
    judge_alone(Decider::TwoWay, TwoWay::of(d).map(Evidence::from), d.dim(), eps, look)
}

fn judge_alone(
    decider: Decider,
    evidence: Option<Evidence>,
    (seeds, units): (usize, usize),
    eps: f64,
    look: Option<InterimLook>,
) -> Verdict {
    let comparison = Comparison {
        family: "simulated".to_owned(),
        decider,
        evidence,
        look,
        eps,
        seeds,
        units,
        missing_seeds: 0,
        reasons: Vec::new(),
        flags: Vec::new(),
    };
    judge(&[comparison]).remove(0)
}

/// The verdict on a study that grows from the first look's seeds to all of `d` while it is open for
/// want of seeds: a look is taken where the projection thinks that it may decide.
#[must_use]
pub fn grown(d: &Array2<f64>, looks: &InterimLooks, eps: f64) -> Verdict {
    let mut seeds = looks.sizes()[0];
    loop {
        let found = verdict_at(&d.slice(s![..seeds, ..]).to_owned(), eps, looks.at(seeds));
        let more = found.needed.and_then(|needed| needed.more_seeds);
        match more.and_then(|more| looks.after(seeds, more)) {
            Some(next) if found.class == Class::Inconclusive => seeds = next,
            _ => return found,
        }
    }
}

/// Share of some verdicts that say `class`.
#[must_use]
pub fn share_of(verdicts: &[Verdict], class: Class) -> f64 {
    let count = verdicts.iter().filter(|verdict| verdict.class == class).count();
    count as f64 / verdicts.len() as f64
}

/// The mean of logistic(ability - difficulty) over items.
fn accuracy_of(ability: f64) -> f64 {
    const GRID: usize = 400;
    let difficulty = |cell: usize| DIFFICULTY * normal::quantile((cell as f64 + 0.5) / GRID as f64);
    (0..GRID).map(|cell| sigmoid(ability - difficulty(cell))).sum::<f64>() / GRID as f64
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
