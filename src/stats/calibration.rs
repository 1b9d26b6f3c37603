//! Does the verdict keep its promises? Simulated studies in which the truth is known.
//!
//! An item is right with probability logistic(ability - difficulty): difficulties vary with a
//! standard deviation of 2, as hard and easy images do, and each training run of each arm has an
//! ability of its own.

use ndarray::Array2;

use super::testing::{Draws, assert_close};
use super::two_way::TwoWay;
use super::units::units;
use super::verdict::{Comparison, Verdict, judge};
use super::{Class, superiority};

const REPLICATES: usize = 300;

/// Three standard deviations of a binomial share above its probability: a correct rule exceeds this
/// in one of a thousand choices of the fixed seeds.
fn at_most(probability: f64) -> f64 {
    probability + 3.0 * (probability * (1.0 - probability) / REPLICATES as f64).sqrt()
}

#[derive(Clone, Copy)]
struct Study {
    seeds: usize,
    items: usize,
    /// Standard deviation of ability between training runs.
    spread: f64,
    /// Ability that transfer adds.
    effect: f64,
}

impl Study {
    /// Correctness of transfer minus that of scratch.
    fn differences(self, draws: &mut Draws) -> Array2<f64> {
        let difficulties: Vec<f64> = (0..self.items).map(|_| 2.0 * draws.normal()).collect();
        let mut differences = Array2::zeros((self.seeds, self.items));
        for mut row in differences.rows_mut() {
            let transfer = 1.0 + self.effect + self.spread * draws.normal();
            let scratch = 1.0 + self.spread * draws.normal();
            for (difference, &difficulty) in row.iter_mut().zip(&difficulties) {
                let mut answer = |ability: f64| {
                    f64::from(u8::from(draws.chance(logistic(ability - difficulty))))
                };
                *difference = answer(transfer) - answer(scratch);
            }
        }
        differences
    }

    fn replicates(self) -> impl Iterator<Item = Array2<f64>> {
        (0..REPLICATES as u64).map(move |seed| self.differences(&mut Draws::seeded(seed)))
    }

    fn classes(self, eps: f64) -> Vec<Class> {
        self.replicates().map(|d| verdict(&d, eps).class).collect()
    }
}

/// Share of the replicates that come out as `class`.
fn share(classes: &[Class], class: Class) -> f64 {
    let count = classes.iter().filter(|&&found| found == class).count();
    count as f64 / classes.len() as f64
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn verdict(d: &Array2<f64>, eps: f64) -> Verdict {
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

#[test]
fn two_random_initialisations_are_rarely_called_negative() {
    for (seeds, items, spread) in [(3, 400, 0.3), (5, 400, 0.15), (5, 400, 0.5), (10, 200, 0.05)] {
        let study = Study { seeds, items, spread, effect: 0.0 };
        let classes = study.classes(0.01);
        assert!(share(&classes, Class::Negative) <= at_most(0.05));
        assert!(share(&classes, Class::Positive) <= at_most(0.05));
    }
}

#[test]
fn p_values_of_no_difference_are_rarely_small() {
    for (seeds, items, spread) in [(3, 400, 0.3), (5, 400, 0.15), (5, 400, 0.5), (10, 200, 0.05)] {
        let study = Study { seeds, items, spread, effect: 0.0 };
        let small = study.replicates().filter(|d| TwoWay::of(d).unwrap().p <= 0.05).count();
        assert!(small as f64 / REPLICATES as f64 <= at_most(0.05), "{seeds} x {items}");
    }
}

#[test]
fn a_plain_difference_is_found_in_its_direction() {
    let harmful = Study { seeds: 5, items: 400, spread: 0.15, effect: -1.2 };
    assert!(share(&harmful.classes(0.01), Class::Negative) >= 0.9);
    let helpful = Study { effect: 1.2, ..harmful };
    assert!(share(&helpful.classes(0.01), Class::Positive) >= 0.9);
}

#[test]
fn swapping_the_arms_flips_the_class() {
    let study = Study { seeds: 5, items: 400, spread: 0.3, effect: -0.6 };
    let mut flipped = 0;
    for d in study.replicates().take(50) {
        let expected = match verdict(&d, 0.01).class {
            Class::Negative => Class::Positive,
            Class::Positive => Class::Negative,
            same => same,
        };
        assert_eq!(verdict(&-&d, 0.01).class, expected);
        flipped += usize::from(expected == Class::Positive);
    }
    assert!(flipped > 5);
}

#[test]
fn a_vanishing_region_is_never_neutral() {
    let study = Study { seeds: 10, items: 400, spread: 0.05, effect: 0.0 };
    assert_close(share(&study.classes(0.0), Class::Neutral), 0.0, 0.0);
    assert_close(share(&study.classes(1e-9), Class::Neutral), 0.0, 0.0);
    // The same studies can be neutral when the region is wide.
    assert!(share(&study.classes(0.1), Class::Neutral) > 0.9);
}

#[test]
fn pairing_other_seeds_keeps_the_mean_and_changes_the_error() {
    let (seeds, items) = (6, 200);
    let mut draws = Draws::seeded(5);
    // Both arms of a seed share its luck with the training subset, which pairing removes.
    let luck: Vec<f64> = (0..seeds).map(|_| draws.normal()).collect();
    let mut arm = |gain: f64| {
        Array2::from_shape_fn((seeds, items), |(seed, _)| gain + luck[seed] + 0.1 * draws.normal())
    };
    let (transfer, scratch) = (arm(0.1), arm(0.0));
    let shifted = scratch.select(ndarray::Axis(0), &[1, 2, 3, 4, 5, 0]);
    let paired = TwoWay::of(&(&transfer - &scratch)).unwrap();
    let broken = TwoWay::of(&(&transfer - &shifted)).unwrap();
    assert_close(broken.mean, paired.mean, 1e-12);
    assert!(broken.se > 5.0 * paired.se);
}

#[test]
fn items_of_one_patient_counted_singly_would_promise_too_much() {
    let (mut grouped, mut single) = (0, 0);
    for replicate in 0..REPLICATES as u64 {
        let mut draws = Draws::seeded(replicate);
        let (d, patients) = images_of_patients(&mut draws, 5, 60);
        let small = |d: &Array2<f64>| usize::from(TwoWay::of(d).unwrap().p <= 0.05);
        grouped += small(&units(&d, Some(&patients)).unwrap());
        single += small(&d);
    }
    assert!(grouped as f64 / REPLICATES as f64 <= at_most(0.05));
    assert!(single as f64 / REPLICATES as f64 > 0.2);
}

/// Transfer helps with some patients and hurts with others, in all their 1 to 7 images alike, and
/// makes no difference on the whole.
fn images_of_patients(
    draws: &mut Draws,
    seeds: usize,
    patients: usize,
) -> (Array2<f64>, Vec<usize>) {
    let effects: Vec<f64> = (0..patients).map(|_| draws.normal()).collect();
    let owners: Vec<usize> = (0..patients)
        .flat_map(|patient| vec![patient; 1 + (7.0 * draws.uniform()) as usize])
        .collect();
    let d = Array2::from_shape_fn((seeds, owners.len()), |(_, image)| {
        effects[owners[image]] + draws.normal()
    });
    (d, owners)
}

#[test]
fn arms_of_equal_skill_win_half_the_seeds() {
    let study = Study { seeds: 400, items: 20, spread: 0.3, effect: 0.0 };
    let d = study.differences(&mut Draws::seeded(2));
    let means = d.mean_axis(ndarray::Axis(1)).unwrap().to_vec();
    assert_close(superiority(&means).unwrap(), 0.5, 3.0 * (0.25_f64 / 400.0).sqrt());
}
