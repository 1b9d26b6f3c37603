//! Who is hurt? The verdict within each class and each value of a column.

use crate::stats::{
    Comparison, Measure, Reason, SEEDS_TO_DRAW, Subgroup, SubgroupVerdict, judged_together,
    subgroups,
};

use super::super::super::artifacts::{Predictions, SubgroupRow};
use super::super::super::job::{Context, Failure};
use super::beside::{PlacedPair, Runs};
use super::pair::{Aligned, UNDEFINED, decides, lost_many};
use super::resampling::Resampling;

/// Resamples of each subgroup at most: with 100 subgroups, a share that Holm's correction still
/// asks for can be told. All subgroups of a column cost as much as so many resamples of the whole.
pub(super) const SUBGROUP_RESAMPLES: usize = 2_000;

impl PlacedPair<'_> {
    /// The verdicts on all subgroups of the test items, corrected together.
    pub(super) fn subgroups(
        &self,
        runs: &Runs<'_>,
        context: &Context<'_>,
    ) -> Result<Vec<SubgroupRow>, Failure> {
        let Some([sample, _]) = runs.aligned.seeds.first() else { return Ok(vec![]) };
        let parts = parts(sample);
        let found = match (self.pair.metric.is_mean(), runs.differences.is_empty()) {
            (false, _) => self.resampled_parts(&parts, &runs.aligned, context)?,
            (true, true) => return Ok(vec![]),
            (true, false) => {
                let groups = runs.aligned.groups.as_deref();
                subgroups(&runs.differences, groups, &parts, self.comparison)
                    .map_err(|error| Failure::new(format!("compare subgroups: {error}")))?
            }
        };
        let (arm, baseline) = self.at;
        let row = |told: SubgroupVerdict| {
            let verdict = told.verdict.times(self.scale);
            SubgroupRow { arm, baseline, told: SubgroupVerdict { verdict, ..told } }
        };
        Ok(found.into_iter().map(row).collect())
    }

    fn resampled_parts(
        &self,
        parts: &[Subgroup],
        aligned: &Aligned<'_>,
        context: &Context<'_>,
    ) -> Result<Vec<SubgroupVerdict>, Failure> {
        let mut compared = Vec::with_capacity(parts.len());
        for part in parts {
            context.go_on()?;
            compared.push(self.resampled_part(&aligned.part(&part.items))?);
        }
        Ok(judged_together(parts, &compared))
    }

    /// The metric within a subgroup, which has its own reasons to have none.
    fn resampled_part(&self, own: &Aligned<'_>) -> Result<Comparison, Failure> {
        let (pair, whole) = (self.pair, self.comparison);
        let resamples = pair.resampling.resamples.min(SUBGROUP_RESAMPLES);
        let resampling = Resampling { resamples, ..pair.resampling };
        let undefined = undefined(pair.metric, own)?;
        // Fewer seeds are told as the reason, and there is nothing to draw.
        let is_drawn = undefined.is_none() && own.seeds.len() >= SEEDS_TO_DRAW;
        let drawn = match is_drawn {
            true => resampling.of(pair.metric, own, self.scale)?,
            false => None,
        };
        let evidence = drawn.and_then(decides);
        let mut flags = whole.flags.clone();
        flags.retain(|flag| flag != UNDEFINED);
        flags.extend(evidence.as_ref().filter(|it| lost_many(it)).map(|_| UNDEFINED.to_owned()));
        let reasons = whole.reasons.iter().cloned().chain(undefined.map(Reason::Other)).collect();
        Ok(Comparison { evidence, units: own.units(), reasons, flags, ..whole.clone() })
    }
}

/// Subgroups by class, and by every column of a few values.
fn parts(sample: &Predictions) -> Vec<Subgroup> {
    let class = |label: &usize| sample.classes.get(*label).map(String::as_str);
    let mut parts = Subgroup::by_column("label", sample.labels.iter().map(class));
    for (name, cells) in &sample.columns {
        let cells = cells.iter().map(|cell| Some(cell.as_str()).filter(|it| !it.is_empty()));
        parts.extend(Subgroup::by_column(name, cells));
    }
    parts
}

/// Why the metric has no value for a run; nothing where it has one for all.
fn undefined(metric: Measure, own: &Aligned<'_>) -> Result<Option<String>, Failure> {
    for run in own.seeds.iter().flatten() {
        if let Some(reason) = metric.value(&run.judged()?).reason() {
            return Ok(Some(reason.to_owned()));
        }
    }
    Ok(None)
}
