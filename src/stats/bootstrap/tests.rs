//! Whether resampling gives the errors that are known otherwise.

use ndarray::{Array2, array};

use super::*;
use crate::stats::testing::{Draws, assert_close};

fn bootstrap(resamples: usize) -> Bootstrap {
    Bootstrap { resamples, seed: Seed(7), threads: NonZeroUsize::new(2).unwrap() }
}

fn mean_of(values: &[f64]) -> impl Fn(&[u32], &[u32]) -> Option<f64> + Sync + '_ {
    |_, counts| {
        let drawn: f64 = counts.iter().map(|&count| f64::from(count)).sum();
        let sum: f64 = values.iter().zip(counts).map(|(value, &n)| value * f64::from(n)).sum();
        Some(sum / drawn)
    }
}

/// Mean over drawn seeds and items.
fn mean_of_table(d: &Array2<f64>) -> impl Fn(&[u32], &[u32]) -> Option<f64> + Sync + '_ {
    |seeds, items| {
        let (mut sum, mut drawn) = (0.0, 0.0);
        for (row, &seed) in d.rows().into_iter().zip(seeds) {
            for (value, &item) in row.iter().zip(items) {
                let count = f64::from(seed * item);
                sum += count * value;
                drawn += count;
            }
        }
        Some(sum / drawn)
    }
}

#[test]
fn a_skewed_mean_has_the_published_intervals() {
    let data = [1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 5.0, 8.0, 15.0];
    let design = Design::new(1, 10, Over::Items);
    let found = bootstrap(200_000).run(&design, mean_of(&data)).unwrap();
    let (low, high) = found.percentile(0.95);
    assert_close(low, 2.6, 0.051);
    assert_close(high, 7.3, 0.051);
    let bca = found.bca(0.95);
    assert_close(bca.low, 2.9, 0.051);
    assert_close(bca.high, 8.4, 0.101);
    assert!(!bca.is_percentile);
}

#[test]
fn accuracies_have_the_errors_of_their_closed_form() {
    // Items that only the candidate and only the baseline get right, and what the closed form
    // says of the error and of the share of resamples below -0.01.
    for (items, gained, lost, se, below) in [
        (1000, 10, 25, 0.005_897_03, 0.776),
        (500, 12, 30, 0.012_861_10, 0.975_6),
        (624, 30, 50, 0.014_276_23, 0.935_2),
    ] {
        let difference = |item: usize| match item {
            item if item < gained => 1.0,
            item if item < gained + lost => -1.0,
            _ => 0.0,
        };
        let d: Vec<f64> = (0..items).map(difference).collect();
        let design = Design::new(1, items, Over::Items);
        let found = bootstrap(20_000).run(&design, mean_of(&d)).unwrap();
        assert_close(found.se(), se, 0.02 * se);
        assert_close(found.masses(0.01).below, below, 0.02);
    }
}

#[test]
fn the_shares_of_the_first_example_are_those_published() {
    let d: Vec<f64> = (0..1000)
        .map(|i| {
            if i < 10 {
                1.0
            } else if i < 35 {
                -1.0
            } else {
                0.0
            }
        })
        .collect();
    let found = bootstrap(20_000).run(&Design::new(1, 1000, Over::Items), mean_of(&d)).unwrap();
    assert_close(found.masses(0.0).below, 0.993_9, 0.005);
    assert_close(found.masses(0.01).within, 0.224, 0.02);
}

#[test]
fn resampling_seeds_and_items_is_wider_than_the_two_way_test() {
    let d = array![
        [0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
    ];
    let design = Design::new(3, 8, Over::SeedsAndItems);
    let found = bootstrap(50_000).run(&design, mean_of_table(&d)).unwrap();
    assert_close(found.estimate, 0.25, 1e-12);
    assert_close(found.se(), 0.111_7, 0.02 * 0.111_7);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let mut draws = Draws::seeded(1);
    let d = Array2::from_shape_simple_fn((3, 40), || draws.normal());
    let run = |threads: usize| {
        let threads = NonZeroUsize::new(threads).unwrap();
        let bootstrap = Bootstrap { resamples: 101, seed: Seed(3), threads };
        bootstrap.run(&Design::new(3, 40, Over::SeedsAndItems), mean_of_table(&d)).unwrap()
    };
    assert_eq!(run(1), run(2));
    assert_eq!(run(1), run(7));
}

#[test]
fn duplicating_every_item_does_not_shrink_the_error_when_grouped() {
    let mut draws = Draws::seeded(4);
    let once: Vec<f64> = (0..60).map(|_| draws.normal()).collect();
    let twice: Vec<f64> = once.iter().chain(&once).copied().collect();
    let groups: Vec<usize> = (0..60).chain(0..60).collect();
    let se = |design: Design, d: &[f64]| bootstrap(4_000).run(&design, mean_of(d)).unwrap().se();
    let single = se(Design::new(1, 60, Over::Items), &once);
    let grouped = se(Design::new(1, 120, Over::Items).grouped(&groups), &twice);
    let naive = se(Design::new(1, 120, Over::Items), &twice);
    // The same units from the same streams are the same resamples.
    assert_close(grouped, single, 1e-12);
    assert!(naive < 0.8 * single);
}

#[test]
fn rare_classes_are_drawn_within_themselves() {
    let classes: Vec<usize> = (0..100).map(|item| usize::from(item < 5)).collect();
    let rare = |_: &[u32], counts: &[u32]| Some(f64::from(counts[..5].iter().sum::<u32>()));
    let drawn = |design: Design| bootstrap(200).run(&design, rare).unwrap();
    let at_large = drawn(Design::new(1, 100, Over::Items));
    assert!(at_large.se() > 1.0);
    let within = drawn(Design::new(1, 100, Over::Items).stratified(&classes));
    assert_eq!((within.quantile(0.0), within.quantile(1.0)), (5.0, 5.0));
    // Classes that nothing threatens are left alone, and so are groups.
    let plenty: Vec<usize> = (0..100).map(|item| item % 2).collect();
    assert_eq!(drawn(Design::new(1, 100, Over::Items).stratified(&plenty)), at_large);
    let pairs: Vec<usize> = (0..100).map(|item| item / 2).collect();
    let grouped = Design::new(1, 100, Over::Items).grouped(&pairs);
    assert_eq!(drawn(grouped.clone().stratified(&classes)), drawn(grouped));
}

#[test]
fn resamples_without_a_value_are_counted() {
    let some = |_: &[u32], counts: &[u32]| (counts[0] > 0).then_some(1.0);
    let found = bootstrap(1_000).run(&Design::new(1, 10, Over::Items), some).unwrap();
    assert_close(found.undefined as f64, 1_000.0 * 0.9_f64.powi(10), 50.0);
    assert_eq!(found.resamples() + found.undefined, 1_000);
    let never = |_: &[u32], _: &[u32]| None;
    assert!(bootstrap(10).run(&Design::new(1, 10, Over::Items), never).is_none());
}

#[test]
fn seeds_alone_widen_resamples_to_a_t_of_their_degrees_of_freedom() {
    let effects = [-0.02, 0.01, 0.03, 0.05, -0.04];
    let d = Array2::from_shape_fn((5, 40), |(seed, _)| effects[seed]);
    let design = Design::new(5, 40, Over::SeedsAndItems);
    let plain = bootstrap(4_000).run(&design, mean_of_table(&d)).unwrap();
    let widened = TwoWayBootstrap::of(&plain, &design).unwrap();
    let two_way = crate::stats::TwoWay::of(&d).unwrap();
    let found = widened.summary();
    assert_close(found.mean, two_way.mean, 1e-12);
    assert_close(found.se, two_way.se, 0.02 * two_way.se);
    assert_close(found.df, 4.0, 0.2);
    // As they are drawn, they promise a quarter more than there is.
    assert!(plain.se() < 0.92 * two_way.se);
    let (low, high) = widened.interval(0.9);
    let (lower, higher) = two_way.interval(0.9);
    assert_close(high - low, higher - lower, 0.08 * (higher - lower));
}

#[test]
fn widened_resamples_are_mirrored_when_the_arms_are() {
    let mut draws = Draws::seeded(8);
    let d = Array2::from_shape_simple_fn((5, 30), || draws.normal() - 0.1);
    let design = Design::new(5, 30, Over::SeedsAndItems);
    let of = |d: &Array2<f64>| {
        let plain = bootstrap(500).run(&design, mean_of_table(d)).unwrap();
        TwoWayBootstrap::of(&plain, &design).unwrap()
    };
    let (there, back) = (of(&d), of(&-&d));
    assert_close(there.masses(0.05).below, back.masses(0.05).above, 1e-12);
    assert_close(there.interval(0.95).0, -back.interval(0.95).1, 1e-9);
    // One more resample counts against every claim.
    let sum = there.masses(0.0).below + there.masses(0.0).above;
    assert_close(sum, 500.0 / 501.0, 1e-12);
    let more = there.projected(20, 30);
    assert!(more.se < there.summary().se && more.df > there.summary().df);
}

#[test]
fn few_seeds_or_items_alone_are_not_widened_and_no_difference_is_certain() {
    let d = Array2::zeros((5, 60));
    let of = |design: &Design, d: &Array2<f64>| {
        let plain = bootstrap(200).run(design, mean_of_table(d)).unwrap();
        TwoWayBootstrap::of(&plain, design)
    };
    assert_eq!(of(&Design::new(5, 60, Over::Items), &d), None);
    let few = Array2::zeros((4, 60));
    assert_eq!(of(&Design::new(4, 60, Over::SeedsAndItems), &few), None);
    let same = of(&Design::new(5, 60, Over::SeedsAndItems), &d).unwrap();
    assert!(same.summary().degenerate);
    assert_close(same.masses(0.01).within, 1.0, 1e-12);
    assert_eq!(same.interval(0.95), (0.0, 0.0));
}
