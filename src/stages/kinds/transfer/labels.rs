//! Each label, or each number, by itself: an arm may help with one and hurt with another.

use crate::base::Target;
use crate::stats::{Comparison, judge, screened};

use super::super::super::artifacts::{LabelRow, Predictions};
use super::super::super::job::{Context, Failure};
use super::pair::{Compared, Pair};
use super::runs::ArmRuns;

/// The verdicts on the labels of an arm, corrected over all of them; nothing where there are classes,
/// or one label alone.
pub(super) fn verdicts(
    pair: &Pair<'_>,
    at: (usize, usize),
    context: &Context<'_>,
) -> Result<Vec<LabelRow>, Failure> {
    let Some(sample) = pair.sample().filter(|sample| sample.target != Target::Classes) else {
        return Ok(vec![]);
    };
    if sample.classes.len() < 2 {
        return Ok(vec![]);
    }
    let mut compared = Vec::new();
    for column in 0..sample.classes.len() {
        context.go_on()?;
        compared.push(compare(pair, column)?);
    }
    let comparisons: Vec<Comparison> = compared.iter().map(|one| one.comparison.clone()).collect();
    let verdicts = judge(&comparisons);
    let screened = screened(&verdicts);
    let rows = compared.into_iter().zip(verdicts).zip(screened).enumerate();
    let rows = rows.map(|(column, ((compared, verdict), [hurt, helped]))| LabelRow {
        arm: at.0,
        baseline: at.1,
        label: sample.classes[column].clone(),
        items: known(sample, column).count(),
        present: (sample.target == Target::Labels)
            .then(|| known(sample, column).filter(|truth| *truth > 0.5).count()),
        m_transfer: compared.numbers.m_transfer,
        m_scratch: compared.numbers.m_scratch,
        verdict: verdict.times(compared.scale),
        q_neg_bh: hurt,
        q_pos_bh: helped,
    });
    Ok(rows.collect())
}

fn known(sample: &Predictions, column: usize) -> impl Iterator<Item = f64> {
    sample.truths.column(column).into_iter().copied().filter(|truth| !truth.is_nan())
}

/// The comparison of one column, as if there were no other.
fn compare(pair: &Pair<'_>, column: usize) -> Result<Compared, Failure> {
    let alone = |runs: &ArmRuns| runs.column(column, pair.metric);
    let (arm, baseline) = (alone(pair.arm)?, alone(pair.baseline)?);
    let others: Vec<ArmRuns> =
        pair.others.iter().map(|other| alone(other)).collect::<Result<_, _>>()?;
    let own = Pair { arm: &arm, baseline: &baseline, others: others.iter().collect(), ..*pair };
    own.compare()
}
