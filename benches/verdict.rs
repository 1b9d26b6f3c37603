//! Does the verdict keep its promises, and how long does it take? Simulated studies at full scale:
//! how often arms that do not differ are called worse or better, what the tests beside it would
//! say, whether known harm and help is found, and whether swapped arms and duplicated items change
//! what they should. Fails if a promise is broken beyond three binomial standard deviations.
//!
//! ```console
//! $ cargo bench --bench verdict
//! ```

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to say")]
#![allow(clippy::print_stdout, reason = "the answer")]

use std::num::NonZeroUsize;
use std::time::Instant;

use ndarray::{Array2, Axis, concatenate, s};
use tl_run::base::Seed;
use tl_run::stats::{
    Bootstrap, Class, Design, Discordant, InterimLooks, Lean, MetricDifference, Over, Predictions,
    Resampled, Study, TwoWay, Verdict, grown, metric, share_of, uneven_differences, units,
    verdict_alone, weighted,
};

const REPLICATES: u64 = 2_000;
const EPS: f64 = 0.01;

fn replicates(study: Study) -> Vec<Array2<f64>> {
    (0..REPLICATES).map(|replicate| study.draw(replicate).differences()).collect()
}

fn verdicts(differences: &[Array2<f64>]) -> Vec<Verdict> {
    differences.iter().map(|d| verdict_alone(d, EPS)).collect()
}

/// Three standard deviations above a share.
fn at_most(probability: f64) -> f64 {
    probability + 3.0 * (probability * (1.0 - probability) / REPLICATES as f64).sqrt()
}

fn share(differences: &[Array2<f64>], of: impl Fn(&Array2<f64>) -> bool) -> f64 {
    differences.iter().filter(|d| of(d)).count() as f64 / differences.len() as f64
}

fn main() {
    equal_arms();
    known_effects();
    swapped_and_duplicated();
    several_looks();
    by_bootstrap();
    times();
}

/// How often each test calls arms different that are not, at a level of 5 %.
fn equal_arms() {
    println!("arms that do not differ: share of {REPLICATES} studies, at a level of 0.05");
    println!("seeds items spread | negative positive | two-way  paired-t  mcnemar");
    for (seeds, items, spread) in [
        (3, 400, 0.3),
        (5, 400, 0.15),
        (5, 400, 0.5),
        (10, 400, 0.3),
        (5, 2000, 0.3),
        (10, 2000, 0.05),
    ] {
        let found = replicates(Study::even(seeds, items, spread));
        let verdicts = verdicts(&found);
        let [negative, positive] =
            [Class::Negative, Class::Positive].map(|class| share_of(&verdicts, class));
        let two_way = share(&found, |d| TwoWay::of(d).unwrap().p <= 0.05);
        let over_seeds = |d: &Array2<f64>| d.mean_axis(Axis(1)).unwrap().to_vec();
        let paired = share(&found, |d| Resampled::of(&over_seeds(d), 0.0).unwrap().p <= 0.05);
        let first = |d: &Array2<f64>| Discordant::count(d.row(0).iter().copied());
        let mcnemar = share(&found, |d| first(d).exact_p() <= 0.05);
        println!(
            "{seeds:5} {items:5} {spread:6} | {negative:8.4} {positive:8.4} | {two_way:7.4} \
             {paired:9.4} {mcnemar:8.4}"
        );
        assert!(negative <= at_most(0.05), "too many false claims of harm");
        assert!(positive <= at_most(0.05), "too many false claims of help");
    }
}

/// Differences as printed for small digits: 6 seeds, 399 items.
fn known_effects() {
    println!("\ndifferences as printed for small digits, 6 seeds x 399 items");
    println!("arm                      truth | negative positive | leans to worse  to better");
    let tell = |name: &str, scratch, difference, half_width| {
        let study = Study::printed(6, 399, scratch, difference, half_width);
        let verdicts = verdicts(&replicates(study));
        let [negative, positive] =
            [Class::Negative, Class::Positive].map(|class| share_of(&verdicts, class));
        let leans = |lean| {
            let count = verdicts.iter().filter(|verdict| verdict.lean == Some(lean)).count();
            count as f64 / verdicts.len() as f64
        };
        let [worse, better] = [Lean::Negative, Lean::Positive].map(leans);
        let truth = study.truth();
        println!(
            "{name:22} {truth:7.3} | {negative:8.4} {positive:8.4} | {worse:14.4} {better:10.4}"
        );
        (negative, positive, better)
    };
    for (items, scratch, difference, half_width) in
        [(25, 0.8755, -0.302, 0.110), (100, 0.9165, -0.211, 0.087), (200, 0.9344, -0.195, 0.072)]
    {
        let name = format!("related, frozen {items}");
        let (negative, ..) = tell(&name, scratch, difference, half_width);
        assert!(negative >= 0.95, "known harm is missed");
    }
    let (negative, positive, better) = tell("same task, tuned 25", 0.8755, 0.034, 0.027);
    assert!(negative <= 0.01 && positive + better >= 0.6, "known help is missed");
    for (items, scratch, half_width) in
        [(25, 0.8755, 0.059), (100, 0.9165, 0.035), (200, 0.9344, 0.020)]
    {
        let (negative, ..) = tell(&format!("random, tuned {items}"), scratch, 0.0, half_width);
        assert!(negative <= at_most(0.05), "random weights are called harmful");
    }
}

fn swapped_and_duplicated() {
    let found = replicates(Study { effect: -0.6, ..Study::even(5, 200, 0.15) });
    let flipped = |class| match class {
        Class::Negative => Class::Positive,
        Class::Positive => Class::Negative,
        same => same,
    };
    let groups: Vec<usize> = (0..200).chain(0..200).collect();
    let (mut claims, mut bolder) = (0, 0);
    for d in &found {
        let class = verdict_alone(d, EPS).class;
        assert_eq!(verdict_alone(&-d, EPS).class, flipped(class), "swapped arms");
    }
    for replicate in 0..REPLICATES {
        let d = uneven_differences(5, 200, -0.15, replicate);
        let once = verdict_alone(&d, EPS);
        let twice = concatenate![Axis(1), d, d];
        let grouped = verdict_alone(&units(&twice, Some(&groups)).unwrap(), EPS);
        assert_eq!(grouped.class, once.class, "duplicated items, grouped");
        claims += u64::from(once.class == Class::Negative);
        bolder += u64::from(verdict_alone(&twice, EPS).class == Class::Negative);
    }
    println!(
        "\nswapped arms flip all of {REPLICATES} verdicts; duplicated items change none when \
         grouped\n({claims} negative; not grouped they would be {bolder})"
    );
    assert!(bolder > claims);
}

/// How often a study that grows while it is open claims harm where there is none, how often it would
/// if every look might spend the whole level, and how many seeds known harm takes.
fn several_looks() {
    let looks = InterimLooks::new(5, 30);
    println!(
        "\nlooks at {:?} seeds, 400 items, arms that do not differ, eps 0.0025",
        looks.sizes()
    );
    println!("spread | negative  at full level each time | seeds on average");
    for spread in [0.1, 0.3, 0.6] {
        let found = replicates(Study::even(30, 400, spread));
        let grown: Vec<Verdict> = found.iter().map(|d| grown(d, &looks, 0.0025)).collect();
        let negative = share_of(&grown, Class::Negative);
        let naive = share(&found, |d| {
            let at_once =
                |seeds: &usize| verdict_alone(&d.slice(s![..*seeds, ..]).to_owned(), 0.0025).class;
            looks.sizes().iter().any(|seeds| at_once(seeds) == Class::Negative)
        });
        let seeds = grown.iter().map(|verdict| verdict.seeds).sum::<usize>();
        let seeds = seeds as f64 / grown.len() as f64;
        println!("{spread:6} | {negative:8.4} {naive:24.4} | {seeds:16.1}");
        assert!(negative <= at_most(0.05), "looking several times makes false claims");
    }
    println!("truth of ability -0.6 / -1.2, spread 0.3: share found, seeds on average");
    for effect in [-0.6, -1.2] {
        let found = replicates(Study { effect, ..Study::even(30, 400, 0.3) });
        let grown: Vec<Verdict> = found.iter().map(|d| grown(d, &looks, EPS)).collect();
        let seeds = grown.iter().map(|verdict| verdict.seeds).sum::<usize>() as f64;
        let negative = share_of(&grown, Class::Negative);
        println!("{effect:6} | {negative:8.4} | {:.1}", seeds / grown.len() as f64);
    }
}

/// How often a metric that is no mean is called worse by resamples as they are drawn, and widened.
fn by_bootstrap() {
    const STUDIES: u64 = 400;
    println!("\nby bootstrap, arms that do not differ, {STUDIES} studies, eps 0.01");
    println!("metric   seeds items spread | as drawn  widened  positive");
    let bound = 0.05 + 3.0 * (0.05 * 0.95 / STUDIES as f64).sqrt();
    for name in ["macro_f1", "auroc", "ece"] {
        for (seeds, items, spread) in [(5, 200, 0.15), (5, 200, 0.5), (5, 400, 1.0), (10, 200, 0.3)]
        {
            let study = Study::even(seeds, items, spread);
            let metric = metric(name).unwrap();
            let found: Vec<_> = (0..STUDIES)
                .filter_map(|replicate| study.answer(replicate).resampled(metric, 1_000))
                .collect();
            let verdicts: Vec<Verdict> = found.iter().map(|one| one.verdict(EPS)).collect();
            let drawn = found.iter().filter(|one| one.plain.masses(EPS).below >= 0.95).count();
            let drawn = drawn as f64 / found.len() as f64;
            let [negative, positive] =
                [Class::Negative, Class::Positive].map(|class| share_of(&verdicts, class));
            println!(
                "{name:8} {seeds:5} {items:5} {spread:6} | {drawn:8.4} {negative:8.4} \
                 {positive:9.4}"
            );
            assert!(negative <= bound && positive <= bound, "too many false claims");
        }
    }
}

/// The two-way test on 10 seeds × 10,000 items; 10,000 resamples of seeds and items of 10 × 1,000.
fn times() {
    let d = Study::even(10, 10_000, 0.3).draw(0).differences();
    let start = Instant::now();
    for _ in 0..20 {
        std::hint::black_box(TwoWay::of(&d));
    }
    println!("\ntwo-way test, 10 x 10,000: {:.2} ms", start.elapsed().as_secs_f64() * 50.0);
    for name in ["accuracy", "macro_f1", "auroc", "ece"] {
        for threads in [1, 2] {
            println!("bootstrap of {name}, {threads} thread(s): {:.2} s", resample(name, threads));
        }
    }
}

/// Seconds of 10,000 resamples of a metric of ten classes, for both arms of ten seeds.
fn resample(name: &str, threads: usize) -> f64 {
    let (seeds, items, classes) = (10, 1_000, 10);
    let labels: Vec<usize> = (0..items).map(|item| item % classes).collect();
    let mut draws = Seed(0).stream("bench", "predictions");
    let mut answers = || {
        let mut rows = Array2::from_shape_simple_fn((items, classes), || draws.uniform());
        for (mut row, &label) in rows.rows_mut().into_iter().zip(&labels) {
            row[label] += 0.5;
            let sum = row.sum();
            row /= sum;
        }
        let best = |row: ndarray::ArrayView1<'_, f64>| {
            (0..classes).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap()
        };
        (rows.rows().into_iter().map(best).collect::<Vec<usize>>(), rows)
    };
    let arms: Vec<(Vec<usize>, Array2<f64>)> = (0..2 * seeds).map(|_| answers()).collect();
    let metric = metric(name).unwrap();
    let start = Instant::now();
    let views: Vec<Predictions<'_>> = arms
        .iter()
        .map(|(best, rows)| {
            Predictions::new(&labels, best, rows.view(), Ok(rows.view()), classes).unwrap()
        })
        .collect();
    let pairs = views.chunks(2).map(|pair| [0, 1].map(|arm| weighted(metric, pair[arm]).unwrap()));
    let difference = MetricDifference { seeds: pairs.collect(), direction: metric.direction() };
    let threads = NonZeroUsize::new(threads).unwrap();
    let bootstrap = Bootstrap { resamples: 10_000, seed: Seed(0), threads };
    let design = Design::new(seeds, items, Over::SeedsAndItems);
    let found = bootstrap.run(&design, |seeds, items| difference.value(seeds, items)).unwrap();
    std::hint::black_box(found.bca(0.95));
    start.elapsed().as_secs_f64()
}
