//! What other tests say of an arm and its baseline, beside the one that decides. Each speaks of
//! something else: other seeds, other items, or both; only the last is what the verdict is about.

use std::num::NonZeroUsize;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::base::Seed;

use super::attribution::Attribution;
use super::benjamini_hochberg::benjamini_hochberg;
use super::bootstrap::{Bootstrap, Bootstrapped, Over};
use super::delong::DeLong;
use super::evidence::Evidence;
use super::hidden::Hidden;
use super::holm::holm;
use super::mcnemar::Discordant;
use super::normal;
use super::resampled::Resampled;
use super::superiority::{superiority, superiority_interval};
use super::two_way::{Masses, TwoWay};
use super::wilcoxon::{Wilcoxon, Zeros};

/// Signs and ranks of fewer seeds than this can never reach 0.05.
const MIN_SEEDS_OF_RANKS: usize = 6;

/// A test of an arm against its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// The two-way test that decides the verdict.
    TwoWay,
    /// Percentiles of a bootstrap.
    Bootstrap,
    /// A bootstrap, corrected for bias and skewness.
    Bca,
    /// Student's t over seeds; as a posterior, the Bayesian t-test with a region of equivalence.
    PairedT,
    /// Wilcoxon's signed ranks over seeds.
    Wilcoxon,
    /// The share of seeds in which the arm is better.
    Superiority,
    /// `McNemar`'s exact test on the first seed's models.
    Mcnemar,
    /// `DeLong`'s test on the areas of the first seed's models.
    Delong,
    /// Items that one arm always and the other mostly not has right.
    LostItems,
    /// What the way of training does without the source: the arm's twin against the baseline.
    Protocol,
    /// What the source adds to it: the arm against its twin.
    Source,
}

/// What a test's error speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestScope {
    /// Other seeds and other items: the arm.
    Arm,
    /// Other seeds on these items.
    Seeds,
    /// Other items for these very models: the seeds are not in the variance.
    Pair,
}

/// What one test says. Differences are oriented so that positive means better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecondaryTest {
    /// The test.
    pub test: Test,
    /// The metric, where it is not right or wrong.
    pub metric: Option<String>,
    /// What its error speaks of.
    pub scope: TestScope,
    /// The difference, in the unit of the metric; for `superiority` the share of seeds.
    pub estimate: Option<f64>,
    /// Its standard error.
    pub se: Option<f64>,
    /// Lower end of the 95 % interval.
    pub ci_lo: Option<f64>,
    /// Upper end of the 95 % interval.
    pub ci_hi: Option<f64>,
    /// Two-sided p-value of no difference.
    pub p: Option<f64>,
    /// P(Δ < -eps), where the test gives one.
    pub p_neg: Option<f64>,
    /// P(-eps <= Δ <= eps).
    pub p_rope: Option<f64>,
    /// P(Δ > eps).
    pub p_pos: Option<f64>,
    /// What belongs beside the numbers.
    pub note: Option<String>,
}

impl SecondaryTest {
    fn new(test: Test, scope: TestScope) -> Self {
        Self {
            test,
            metric: None,
            scope,
            estimate: None,
            se: None,
            ci_lo: None,
            ci_hi: None,
            p: None,
            p_neg: None,
            p_rope: None,
            p_pos: None,
            note: None,
        }
    }

    fn difference(self, estimate: f64, se: f64, interval: (f64, f64), p: f64) -> Self {
        let (low, high) = (Some(interval.0), Some(interval.1));
        Self { estimate: Some(estimate), se: Some(se), ci_lo: low, ci_hi: high, p: Some(p), ..self }
    }

    fn masses(self, masses: Masses) -> Self {
        let Masses { below, within, above } = masses;
        Self { p_neg: Some(below), p_rope: Some(within), p_pos: Some(above), ..self }
    }

    fn note(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }

    /// With a word of it where items have groups, if it counts them one by one: its error is then too
    /// small.
    #[must_use]
    pub fn with_groups(self) -> Self {
        let counts_items = matches!(self.test, Test::Mcnemar | Test::Delong | Test::LostItems);
        if !counts_items {
            return self;
        }
        let singly = "items of a group are counted singly: too sure";
        let note = self.note.as_ref().map_or(singly.to_owned(), |note| format!("{note}; {singly}"));
        self.note(note)
    }

    /// Of this metric.
    #[must_use]
    pub fn of_metric(self, metric: &str) -> Self {
        Self { metric: Some(metric.to_owned()), ..self }
    }

    /// In a unit that is `scale` times as small; a share of seeds has none.
    #[must_use]
    pub fn times(self, scale: f64) -> Self {
        if self.test == Test::Superiority {
            return self;
        }
        let [estimate, se, ci_lo, ci_hi] = [self.estimate, self.se, self.ci_lo, self.ci_hi]
            .map(|number| number.map(|number| number * scale));
        Self { estimate, se, ci_lo, ci_hi, ..self }
    }

    fn deciding(test: Test, found: &Evidence, eps: f64) -> Self {
        let TwoWay { mean, se, p, .. } = *found.summary();
        Self::new(test, TestScope::Arm)
            .difference(mean, se, found.interval(0.95), p)
            .masses(found.masses(eps))
    }

    /// Percentiles and bias-corrected interval of a bootstrap, which is about the arm only where
    /// seeds were drawn too.
    #[must_use]
    pub fn resampled(found: &Bootstrapped, eps: f64) -> [Self; 2] {
        let scope = match found.over {
            Over::SeedsAndItems => TestScope::Arm,
            Over::Items => TestScope::Pair,
        };
        let row = |test, interval| {
            Self::new(test, scope)
                .difference(found.estimate, found.se(), interval, found.p())
                .masses(found.masses(eps))
        };
        let bca = found.bca(0.95);
        let plain = row(Test::Bootstrap, found.percentile(0.95));
        let plain = match found.undefined {
            0 => plain,
            lost => plain.note(format!("{lost} resamples without a value")),
        };
        let corrected = row(Test::Bca, (bca.low, bca.high));
        let corrected = match bca.is_percentile {
            true => corrected.note("not corrected: the percentile interval"),
            false => corrected,
        };
        [plain, corrected]
    }

    /// The areas of two models on the same items.
    #[must_use]
    pub fn delong(found: &DeLong) -> Self {
        let half = normal::quantile(0.975) * found.se;
        let interval = (found.difference - half, found.difference + half);
        Self::new(Test::Delong, TestScope::Pair)
            .difference(found.difference, found.se, interval, found.p)
            .note("models of the first seed")
            .of_metric("auroc")
    }

    /// A difference split by the arm's twin, each part by the test that decides on the whole.
    #[must_use]
    pub fn attributed(found: &Attribution, eps: f64) -> [Self; 2] {
        let cause = found.cause(0.95).map(|cause| format!("cause: {cause}"));
        let row = |test, effect| Self { note: cause.clone(), ..Self::deciding(test, effect, eps) };
        [row(Test::Protocol, &found.protocol), row(Test::Source, &found.source)]
    }
}

/// An arm and its baseline over seeds that both have.
#[derive(Clone, Copy, Debug)]
pub struct PairedArms<'a> {
    /// The analysis that decides, if there is one.
    pub two_way: Option<TwoWay>,
    /// The metric's difference in each seed, positive meaning better.
    pub by_seed: &'a [f64],
    /// Which items each run of the arm and of the baseline has right; nothing where items are not
    /// right or wrong.
    pub right: Option<[&'a [Vec<bool>]; 2]>,
    /// Half the width of the region of practical equivalence.
    pub eps: f64,
}

impl PairedArms<'_> {
    /// What all tests say that need nothing but these; each only where it can be made.
    #[must_use]
    pub fn tests(&self) -> Vec<SecondaryTest> {
        let decides = self
            .two_way
            .map(|it| SecondaryTest::deciding(Test::TwoWay, &Evidence::TwoWay(it), self.eps));
        let of_seeds = [self.paired_t(), self.wilcoxon(), self.superiority()];
        let of_items = [self.mcnemar(), self.lost_items()];
        [decides].into_iter().chain(of_seeds).chain(of_items).flatten().collect()
    }

    fn paired_t(&self) -> Option<SecondaryTest> {
        let found = Resampled::of(self.by_seed, 0.0)?;
        Some(
            SecondaryTest::new(Test::PairedT, TestScope::Seeds)
                .difference(found.mean, found.se, found.interval(0.95), found.p)
                .masses(found.masses(self.eps)),
        )
    }

    fn wilcoxon(&self) -> Option<SecondaryTest> {
        if self.by_seed.len() < MIN_SEEDS_OF_RANKS {
            return None;
        }
        let found = Wilcoxon::of(self.by_seed, Zeros::Dropped)?;
        let row = SecondaryTest::new(Test::Wilcoxon, TestScope::Seeds);
        let note = format!("W = {} of {} differences", found.statistic(), found.count);
        Some(SecondaryTest { p: Some(found.p), ..row }.note(note))
    }

    fn superiority(&self) -> Option<SecondaryTest> {
        let share = superiority(self.by_seed)?;
        let bootstrap = Bootstrap { resamples: 10_000, seed: Seed(0), threads: NonZeroUsize::MIN };
        let (low, high) = superiority_interval(self.by_seed, 0.95, &bootstrap)?;
        let row = SecondaryTest::new(Test::Superiority, TestScope::Seeds);
        let (ci_lo, ci_hi) = (Some(low), Some(high));
        let row = SecondaryTest { estimate: Some(share), ci_lo, ci_hi, ..row };
        Some(row.note("share of seeds in which it is better"))
    }

    fn mcnemar(&self) -> Option<SecondaryTest> {
        let [arm, baseline] = self.right?;
        let (arm, baseline) = (arm.first()?, baseline.first()?);
        let sign = |(a, b): (&bool, &bool)| f64::from(u8::from(*a)) - f64::from(u8::from(*b));
        let counts = Discordant::count(arm.iter().zip(baseline).map(sign));
        let row = SecondaryTest::new(Test::Mcnemar, TestScope::Pair);
        let note = format!(
            "models of the first seed: {} gained, {} lost; mid-p {:.4}",
            counts.gained,
            counts.lost,
            counts.mid_p()
        );
        Some(row.of_counts(counts, arm.len())?.note(note))
    }

    fn lost_items(&self) -> Option<SecondaryTest> {
        let [arm, baseline] = self.right?;
        let counts = Hidden::of(arm, baseline)?.discordant();
        let row = SecondaryTest::new(Test::LostItems, TestScope::Pair);
        let note = format!("{} gained, {} lost", counts.gained, counts.lost);
        Some(row.of_counts(counts, arm.first()?.len())?.note(note))
    }
}

impl SecondaryTest {
    /// A difference of shares of items, from those that only one side has right.
    fn of_counts(self, counts: Discordant, items: usize) -> Option<Self> {
        let (difference, se) = counts.difference(items)?;
        let half = normal::quantile(0.975) * se;
        let interval = (difference - half, difference + half);
        Some(self.difference(difference, se, interval, counts.exact_p()).of_metric("accuracy"))
    }
}

/// p-values of one test for several arms, corrected together: by Holm's method, and by Benjamini
/// and Hochberg's. A test that has no p-value is left out.
#[must_use]
pub fn corrected_together(p: &[Option<f64>]) -> Vec<Option<(f64, f64)>> {
    let known: Vec<f64> = p.iter().map(|p| p.unwrap_or(f64::NAN)).collect();
    let pairs = holm(&known).into_iter().zip(benjamini_hochberg(&known));
    pairs.map(|(holm, bh)| (!holm.is_nan()).then_some((holm, bh))).collect()
}

/// Scores of one arm as a table, seeds × items; nothing where seeds have other numbers of items.
#[must_use]
pub fn table_of(seeds: &[Vec<f64>]) -> Option<Array2<f64>> {
    let items = seeds.first()?.len();
    let flat: Vec<f64> = seeds.iter().flatten().copied().collect();
    Array2::from_shape_vec((seeds.len(), items), flat).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::bootstrap::Design;
    use crate::stats::simulation::Study;
    use crate::stats::testing::assert_close;

    fn rights(table: &Array2<f64>) -> Vec<Vec<bool>> {
        table.rows().into_iter().map(|row| row.iter().map(|&value| value > 0.5).collect()).collect()
    }

    fn tests_of(study: Study) -> Vec<SecondaryTest> {
        let found = study.draw(1);
        let d = found.differences();
        let by_seed = d.mean_axis(ndarray::Axis(1)).unwrap().to_vec();
        let (arm, baseline) = (rights(&found.transfer), rights(&found.scratch));
        let paired = PairedArms {
            two_way: TwoWay::of(&d),
            by_seed: &by_seed,
            right: Some([&arm, &baseline]),
            eps: 0.01,
        };
        paired.tests()
    }

    #[test]
    fn each_test_says_what_it_speaks_of() {
        let found = tests_of(Study { effect: -1.0, ..Study::even(8, 300, 0.2) });
        let told: Vec<(Test, TestScope)> = found.iter().map(|row| (row.test, row.scope)).collect();
        assert_eq!(
            told,
            [
                (Test::TwoWay, TestScope::Arm),
                (Test::PairedT, TestScope::Seeds),
                (Test::Wilcoxon, TestScope::Seeds),
                (Test::Superiority, TestScope::Seeds),
                (Test::Mcnemar, TestScope::Pair),
                (Test::LostItems, TestScope::Pair),
            ]
        );
        let estimate = |test| found.iter().find(|row| row.test == test).unwrap().estimate.unwrap();
        assert_close(estimate(Test::PairedT), estimate(Test::TwoWay), 1e-12);
        assert_close(estimate(Test::Superiority), 0.0, 0.0);
        let p = |test| found.iter().find(|row| row.test == test).unwrap().p;
        for test in [Test::TwoWay, Test::PairedT, Test::Wilcoxon, Test::Mcnemar] {
            assert!(p(test).unwrap() < 0.05, "{found:?}");
        }
        assert_eq!(p(Test::Superiority), None);
        let wilcoxon = found.iter().find(|row| row.test == Test::Wilcoxon).unwrap();
        assert_eq!(wilcoxon.note.as_deref(), Some("W = 0 of 8 differences"));
    }

    #[test]
    fn another_unit_changes_differences_and_no_shares() {
        for row in tests_of(Study::even(6, 100, 0.2)) {
            let twice = row.clone().times(2.0);
            let factor = if row.test == Test::Superiority { 1.0 } else { 2.0 };
            assert_eq!(twice.estimate, row.estimate.map(|number| factor * number));
            assert_eq!(twice.ci_lo, row.ci_lo.map(|number| factor * number));
            assert_eq!((twice.p, twice.p_neg), (row.p, row.p_neg));
        }
    }

    #[test]
    fn what_counts_items_singly_says_so_where_they_have_groups() {
        for row in tests_of(Study::even(6, 100, 0.2)) {
            let before = row.note.clone();
            let note = row.clone().with_groups().note;
            match row.test {
                Test::Mcnemar | Test::LostItems => {
                    assert!(
                        note.unwrap().ends_with("; items of a group are counted singly: too sure")
                    );
                }
                _ => assert_eq!(note, before),
            }
        }
    }

    #[test]
    fn few_seeds_have_no_ranks() {
        let found = tests_of(Study::even(5, 100, 0.2));
        assert!(found.iter().all(|row| row.test != Test::Wilcoxon));
    }

    #[test]
    fn one_seed_without_right_and_wrong_leaves_next_to_nothing() {
        let paired = PairedArms { two_way: None, by_seed: &[0.1], right: None, eps: 0.01 };
        let found = paired.tests();
        assert_eq!(found.iter().map(|row| row.test).collect::<Vec<_>>(), [Test::Superiority]);
    }

    #[test]
    fn a_bootstrap_of_items_alone_is_about_the_pair() {
        let d = Study::even(3, 60, 0.2).draw(3).differences();
        let rows = |over| {
            let mean = |_: &[u32], items: &[u32]| {
                let of = |i: usize| d.column(i).mean().unwrap() * f64::from(items[i]);
                Some((0..60).map(of).sum::<f64>() / 60.0)
            };
            let bootstrap = Bootstrap { resamples: 50, seed: Seed(1), threads: NonZeroUsize::MIN };
            let found = bootstrap.run(&Design::new(3, 60, over), mean).unwrap();
            SecondaryTest::resampled(&found, 0.01).map(|row| (row.test, row.scope))
        };
        assert_eq!(
            rows(Over::Items),
            [(Test::Bootstrap, TestScope::Pair), (Test::Bca, TestScope::Pair)]
        );
        assert_eq!(rows(Over::SeedsAndItems)[0], (Test::Bootstrap, TestScope::Arm));
    }

    #[test]
    fn a_split_difference_names_its_cause() {
        let scratch = Study::even(5, 200, 0.1).draw(1).scratch;
        let arm = &scratch - 0.3;
        let twin = &scratch - 0.3 * Study::even(5, 200, 0.1).draw(2).scratch;
        let found = Attribution::of(&arm, &twin, &scratch, None).unwrap();
        let [protocol, source] = SecondaryTest::attributed(&found, 0.01);
        assert_eq!((protocol.test, source.test), (Test::Protocol, Test::Source));
        assert_eq!(protocol.note.as_deref(), Some("cause: both"));
        assert_close(protocol.estimate.unwrap() + source.estimate.unwrap(), -0.3, 1e-12);
    }

    #[test]
    fn p_values_are_corrected_over_arms_that_have_them() {
        let found = corrected_together(&[Some(0.01), None, Some(0.04)]);
        assert_eq!(found[1], None);
        let (holm, bh) = found[0].unwrap();
        assert_close(holm, 0.02, 1e-12);
        assert_close(bh, 0.02, 1e-12);
        assert_close(found[2].unwrap().1, 0.04, 1e-12);
    }

    #[test]
    fn a_table_needs_seeds_of_one_length() {
        assert_eq!(table_of(&[vec![1.0, 2.0], vec![3.0, 4.0]]).unwrap().dim(), (2, 2));
        assert_eq!(table_of(&[vec![1.0], vec![3.0, 4.0]]), None);
        assert_eq!(table_of(&[]), None);
    }
}
