//! What stands beside the verdicts: other tests, labelled by what they speak of, subgroups of the
//! test items, and items that were lost.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ndarray::{Array1, Array2};

use crate::stats::{
    Attribution, Bootstrapped, Comparison, DeLong, Evidence, Hidden, Measure, Metric, PairedArms,
    SecondaryTest, corrected_together, table_of, widened_rope,
};

use super::super::super::artifacts::{Beside, ChangedRow, Predictions, TestRow};
use super::super::super::job::{Context, Failure};
use super::super::super::site::{Arm, ScoredArm};
use super::pair::{Aligned, Pair, decides};
use super::resampling::{Resampling, design};
use super::runs::ArmRuns;

/// What is asked for beside the verdict.
pub(super) struct Asked {
    /// Resamples of each bootstrap; none for no bootstrap.
    pub(super) resamples: usize,
    /// Further metrics to compare by bootstrap.
    pub(super) also: Vec<&'static dyn Metric>,
    /// The twin of each pair's arm: trained alike, from random weights.
    pub(super) twins: Vec<Option<usize>>,
}

/// The twin of each pair's arm among all arms: the one of random weights that is like it in
/// everything else. None where there is no such arm or more than one.
pub(super) fn twins(arms: &[ScoredArm], pairs: &[(usize, usize)]) -> Vec<Option<usize>> {
    let twin = |arm: &ScoredArm| {
        let fitting: Vec<usize> =
            (0..arms.len()).filter(|&other| is_twin(&arm.arm, &arms[other].arm)).collect();
        match fitting[..] {
            [only] => Some(only),
            _ => None,
        }
    };
    pairs.iter().map(|(arm, _)| twin(&arms[*arm])).collect()
}

/// Whether another arm starts from random weights and is like this one in everything else.
fn is_twin(arm: &Arm, other: &Arm) -> bool {
    // What follows from random weights alone is no difference.
    let alike = Arm {
        random: false,
        init: arm.init.clone(),
        untouched: arm.untouched.clone(),
        scratch_init: arm.scratch_init.clone(),
        transfer_depth: arm.transfer_depth.clone(),
        ..other.clone()
    };
    other.init.as_deref() == Some("random") && alike == *arm
}

/// One pair with its place among the arms and what it is corrected with.
pub(super) struct PlacedPair<'a> {
    pub(super) at: (usize, usize),
    pub(super) pair: &'a Pair<'a>,
    /// In units of `scale`.
    pub(super) comparison: &'a Comparison,
    /// How large the unit is in which arms are compared.
    pub(super) scale: f64,
    pub(super) twin: Option<&'a ArmRuns>,
}

/// Everything beside the verdicts on these pairs.
pub(super) fn beside(
    pairs: &[PlacedPair<'_>],
    asked: &Asked,
    context: &Context<'_>,
) -> Result<Beside, Failure> {
    let mut found = Beside::default();
    for one in pairs {
        context.go_on()?;
        let runs = one.runs()?;
        let row =
            |test| TestRow { arm: one.at.0, baseline: one.at.1, test, p_holm: None, q_bh: None };
        found.tests.extend(one.tests(&runs, asked, context.cores)?.into_iter().map(row));
        found.subgroups.extend(one.subgroups(&runs, context)?);
        found.changed.extend(one.changed(&runs));
    }
    correct(&mut found.tests, pairs);
    Ok(found)
}

/// Corrects the p-values of each test over the arms of a family.
fn correct(tests: &mut [TestRow], pairs: &[PlacedPair<'_>]) {
    let family = |row: &TestRow| {
        let own = pairs.iter().find(|one| one.at == (row.arm, row.baseline));
        own.map_or("", |one| one.comparison.family.as_str())
    };
    let mut together: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, row) in tests.iter().enumerate() {
        let key = (family(row).to_owned(), row.test.test, row.test.metric.clone());
        together.entry(key).or_default().push(index);
    }
    for members in together.values() {
        let p: Vec<Option<f64>> = members.iter().map(|&index| tests[index].test.p).collect();
        for (&index, corrected) in members.iter().zip(corrected_together(&p)) {
            tests[index].p_holm = corrected.map(|(holm, _)| holm);
            tests[index].q_bh = corrected.map(|(_, bh)| bh);
        }
    }
}

/// The runs of both sides in the seeds that both have.
pub(super) struct Runs<'a> {
    pub(super) aligned: Aligned<'a>,
    /// Arm minus baseline, seeds × items, in units of the scale; empty for what is no mean.
    pub(super) differences: Array2<f64>,
}

impl Runs<'_> {
    /// Which items each run of one side has right; nothing where items have no classes.
    fn right(&self, side: usize) -> Option<Vec<Vec<bool>>> {
        let of = |run: &Predictions| {
            let right = run.labels.iter().zip(&run.predicted).map(|(a, b)| a == b);
            let right: Vec<bool> = right.collect();
            (!right.is_empty()).then_some(right)
        };
        self.aligned.seeds.iter().map(|pair| of(&pair[side])).collect()
    }
}

impl<'a> PlacedPair<'a> {
    fn runs(&self) -> Result<Runs<'a>, Failure> {
        let aligned = self.pair.aligned()?;
        let scores = |side: usize| self.table(aligned.seeds.iter().map(|pair| &*pair[side]));
        let differences = match (scores(0)?, scores(1)?) {
            (Some(arm), Some(baseline)) if arm.dim() == baseline.dim() => {
                (arm - baseline) / self.scale
            }
            _ => Array2::zeros((0, 0)),
        };
        Ok(Runs { aligned, differences })
    }

    /// What each item of some runs gives, seeds × items.
    fn table<'p>(
        &self,
        runs: impl Iterator<Item = &'p Predictions>,
    ) -> Result<Option<Array2<f64>>, Failure> {
        let items: Vec<Vec<f64>> =
            runs.map(|run| Ok(self.pair.scored(run)?.items)).collect::<Result<_, Failure>>()?;
        Ok(table_of(&items))
    }

    fn tests(
        &self,
        runs: &Runs<'_>,
        asked: &Asked,
        cores: usize,
    ) -> Result<Vec<SecondaryTest>, Failure> {
        let value = |run: &Predictions| self.pair.scored(run).map(|scored| scored.value);
        let sign = self.pair.sign() / self.scale;
        let seeds = runs.aligned.seeds.iter();
        let by_seed: Vec<f64> = seeds
            .map(|[arm, baseline]| Ok((value(arm)? - value(baseline)?) * sign))
            .collect::<Result<_, Failure>>()?;
        let (arm, baseline) = (runs.right(0), runs.right(1));
        let units = self.comparison.units;
        let eps = widened_rope(self.comparison.eps, units);
        let paired = PairedArms {
            two_way: self.comparison.evidence.as_ref().and_then(Evidence::two_way),
            by_seed: &by_seed,
            right: arm.as_deref().zip(baseline.as_deref()).map(<[_; 2]>::from),
            eps,
        };
        let own = self.pair.metric.name();
        let named = |row: SecondaryTest| match row.metric {
            Some(_) => row,
            None => row.of_metric(own),
        };
        let mut tests: Vec<SecondaryTest> = paired.tests().into_iter().map(named).collect();
        tests.extend(delong(runs));
        if asked.resamples > 0 {
            let resampling = Resampling { resamples: asked.resamples, cores };
            tests.extend(match (&self.comparison.evidence, self.pair.metric) {
                (Some(Evidence::Resampled(found)), _) => intervals(Some(found.plain()), eps, own),
                (_, Measure::Column(metric)) if metric.loss().is_some() => {
                    resampled_means(own, runs, eps, resampling)
                }
                (_, metric) => resampled(metric, runs, eps, resampling, self.scale)?,
            });
            for metric in asked.also.iter().filter(|metric| metric.name() != own) {
                let eps = widened_rope(metric.rope(), units);
                tests.extend(resampled(Measure::Class(*metric), runs, eps, resampling, 1.0)?);
            }
        }
        if runs.aligned.groups.is_some() {
            tests = tests.into_iter().map(SecondaryTest::with_groups).collect();
        }
        if let Some(found) = self.attribution(runs, asked.resamples, cores)? {
            tests.extend(SecondaryTest::attributed(&found, eps).map(named));
        }
        Ok(tests.into_iter().map(|test| test.times(self.scale)).collect())
    }

    /// The difference split by the arm's twin, over the seeds that all three have.
    fn attribution(
        &self,
        runs: &Runs<'_>,
        resamples: usize,
        cores: usize,
    ) -> Result<Option<Attribution>, Failure> {
        let Some(twin) = self.twin else { return Ok(None) };
        let mut kept: Vec<[Cow<'_, Predictions>; 3]> = Vec::new();
        let aligned = &runs.aligned;
        for ([arm, baseline], &seed) in aligned.seeds.iter().zip(&aligned.numbers) {
            let twin = twin.seeds[seed].counted(arm).filter(|twin| twin.ids == arm.ids);
            if let Some(twin) = twin {
                kept.push([Cow::Borrowed(&**arm), twin, Cow::Borrowed(&**baseline)]);
            }
        }
        if !self.pair.metric.is_mean() {
            return self.resampled_attribution(aligned, &kept, Resampling { resamples, cores });
        }
        let table = |side: usize| self.table(kept.iter().map(|runs| &*runs[side]));
        let (Some(arm), Some(twin), Some(scratch)) = (table(0)?, table(1)?, table(2)?) else {
            return Ok(None);
        };
        let [arm, twin, scratch] = [arm, twin, scratch].map(|scores| scores / self.scale);
        if arm.is_empty() {
            return Ok(None);
        }
        Ok(Attribution::of(&arm, &twin, &scratch, aligned.groups.as_deref()))
    }

    /// The same of a metric that is no mean: the same resamples of seeds and items for each part, so
    /// that the parts add up in every one of them.
    fn resampled_attribution(
        &self,
        aligned: &Aligned<'_>,
        kept: &[[Cow<'_, Predictions>; 3]],
        resampling: Resampling,
    ) -> Result<Option<Attribution>, Failure> {
        let effect = |better: usize, worse: usize| -> Result<Option<Evidence>, Failure> {
            let own = Aligned {
                seeds: kept
                    .iter()
                    .map(|runs| [&*runs[better], &*runs[worse]].map(Cow::Borrowed))
                    .collect(),
                numbers: vec![],
                groups: aligned.groups.clone(),
            };
            Ok(resampling.of(self.pair.metric, &own, self.scale)?.and_then(decides))
        };
        let (total, protocol, source) = (effect(0, 2)?, effect(1, 2)?, effect(0, 1)?);
        let all = total.zip(protocol).zip(source);
        Ok(all.map(|((total, protocol), source)| Attribution { total, protocol, source }))
    }

    fn changed(&self, runs: &Runs<'_>) -> Vec<ChangedRow> {
        let (Some(arm), Some(baseline)) = (runs.right(0), runs.right(1)) else { return vec![] };
        let (Some(found), Some([sample, _])) =
            (Hidden::of(&arm, &baseline), runs.aligned.seeds.first())
        else {
            return vec![];
        };
        let row = |item: usize, lost: bool| ChangedRow {
            arm: self.at.0,
            baseline: self.at.1,
            item: sample.ids[item].clone(),
            label: sample.classes[sample.labels[item]].clone(),
            lost,
        };
        let lost = found.lost.iter().map(|&item| row(item, true));
        lost.chain(found.gained.iter().map(|&item| row(item, false))).collect()
    }
}

/// The areas of the first seed's models, where there are two classes.
fn delong(runs: &Runs<'_>) -> Option<SecondaryTest> {
    let [arm, baseline] = runs.aligned.seeds.first()?;
    if arm.classes.len() != 2 || arm.labels.is_empty() {
        return None;
    }
    let positive: Vec<bool> = arm.labels.iter().map(|&label| label == 1).collect();
    let scores = |run: &Predictions| run.scores.column(1).to_vec();
    let found = DeLong::of(&scores(arm), &scores(baseline), &positive)?;
    Some(SecondaryTest::delong(&found))
}

/// Both intervals of a metric's difference by bootstrap; nothing where it has no value for a run.
fn resampled(
    metric: Measure,
    runs: &Runs<'_>,
    eps: f64,
    resampling: Resampling,
    scale: f64,
) -> Result<Vec<SecondaryTest>, Failure> {
    let found = resampling.of(metric, &runs.aligned, scale)?;
    Ok(intervals(found.as_ref().map(|(found, _)| found), eps, metric.name()))
}

/// The same of a mean over items of something else than classes.
fn resampled_means(
    metric: &str,
    runs: &Runs<'_>,
    eps: f64,
    resampling: Resampling,
) -> Vec<SecondaryTest> {
    let Some(design) = design(&runs.aligned).filter(|_| !runs.differences.is_empty()) else {
        return vec![];
    };
    let weights = |counts: &[u32]| counts.iter().map(|&n| f64::from(n)).collect::<Array1<f64>>();
    let mean = |seeds: &[u32], items: &[u32]| {
        let (seeds, items) = (weights(seeds), weights(items));
        Some(seeds.dot(&runs.differences.dot(&items)) / (seeds.sum() * items.sum()))
    };
    intervals(resampling.bootstrap().run(&design, mean).as_ref(), eps, metric)
}

fn intervals(found: Option<&Bootstrapped>, eps: f64, metric: &str) -> Vec<SecondaryTest> {
    let rows = found.map(|found| SecondaryTest::resampled(found, eps));
    rows.into_iter().flatten().map(|row| row.of_metric(metric)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm() -> Arm {
        Arm {
            kind: "fine_tune".to_owned(),
            source: Some("near".to_owned()),
            target: "chest".to_owned(),
            freeze: Some("all".to_owned()),
            init: Some("pretrained".to_owned()),
            ..Arm::default()
        }
    }

    fn random() -> Arm {
        Arm { random: true, init: Some("random".to_owned()), ..arm() }
    }

    #[test]
    fn what_random_weights_bring_with_them_is_no_difference() {
        assert!(is_twin(&arm(), &random()));
        let scaled = Arm {
            scratch_init: Some("lsuv".to_owned()),
            untouched: vec!["scale".to_owned()],
            transfer_depth: Some("none".to_owned()),
            ..random()
        };
        assert!(is_twin(&arm(), &scaled));
    }

    #[test]
    fn another_way_of_training_or_other_weights_are_no_twin() {
        let freer = Arm { freeze: Some("none".to_owned()), ..random() };
        let gentler = Arm { body_rate: Some(0.1), ..random() };
        let drawn_alike = Arm { init: Some("meanvar".to_owned()), ..random() };
        for other in [arm(), freer, gentler, drawn_alike] {
            assert!(!is_twin(&arm(), &other), "{other:?}");
        }
    }
}
