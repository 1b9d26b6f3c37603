//! The method instead of an arm: in each seed the transfer arm that is best on val, against the
//! scratch arm that is best on val. Choosing among arms is then part of what is tested.

use std::collections::BTreeMap;

use crate::data::Part;
use crate::stats::{Comparison, Measure, judge};

use super::super::super::artifacts::{MethodRow, Predictions};
use super::super::super::job::{Context, Failure, Given};
use super::super::super::site::{Input, ScoredArm};
use super::pair::Pair;
use super::runs::{ArmRuns, SeedRun};

/// The arms of one source that share a baseline, and those from random weights beside that.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Method {
    /// Arms that transfer.
    pub(super) transfer: Vec<usize>,
    /// Arms from scratch, the baseline first.
    pub(super) scratch: Vec<usize>,
}

/// The methods among some arms: one for each source and baseline, where there is anything to choose
/// and the baseline was trained from random weights.
pub(super) fn methods(arms: &[ScoredArm], pairs: &[(usize, usize)]) -> Vec<Method> {
    // The same architecture from random weights, nothing of which stays as it is.
    let is_scratch = |arm: usize| {
        let arm = &arms[arm].arm;
        arm.random && arm.source.is_some() && arm.freeze.as_deref() == Some("none")
    };
    let mut found: BTreeMap<(usize, &str), Method> = BTreeMap::new();
    for &(arm, baseline) in pairs.iter().filter(|(_, baseline)| is_scratch(*baseline)) {
        let own = &arms[arm].arm;
        let Some(source) = own.source.as_deref().filter(|_| !own.random) else { continue };
        let scratch = || {
            let beside = pairs.iter().filter(|(_, other)| *other == baseline);
            let beside = beside.map(|(arm, _)| *arm).filter(|arm| is_scratch(*arm));
            [baseline].into_iter().chain(beside).collect()
        };
        let method = found
            .entry((baseline, source))
            .or_insert_with(|| Method { transfer: vec![], scratch: scratch() });
        method.transfer.push(arm);
    }
    let is_choice = |method: &Method| method.transfer.len() + method.scratch.len() > 2;
    found.into_values().filter(is_choice).collect()
}

/// What the arms of some methods said of all items, the val part among them.
pub(super) fn inputs(arms: &[ScoredArm], methods: &[Method], seeds: usize) -> Vec<Input> {
    let mut inputs = Vec::new();
    for method in methods {
        for &arm in method.transfer.iter().chain(&method.scratch) {
            for seed in 0..seeds {
                let from = arms[arm].predictions.of(seed);
                inputs.push(Input::optional(&port(arm, seed), from, "predictions"));
            }
        }
    }
    inputs.sort();
    inputs.dedup();
    inputs
}

fn port(arm: usize, seed: usize) -> String {
    format!("whole_{arm}_seed_{seed}")
}

/// The verdicts on methods, one family for all.
pub(super) fn verdicts(
    methods: &[Method],
    arms: &[ArmRuns],
    like: impl Fn(usize) -> Vec<usize>,
    template: &Pair<'_>,
    context: &Context<'_>,
) -> Result<Vec<MethodRow>, Failure> {
    let (mut compared, mut chosen) = (Vec::new(), Vec::new());
    for method in methods {
        context.go_on()?;
        let transfer = best(&method.transfer, arms, template.metric, context)?;
        let scratch = best(&method.scratch, arms, template.metric, context)?;
        let others = like(method.scratch[0]).into_iter().map(|arm| &arms[arm]).collect();
        let (arm, baseline) = (&transfer.runs, &scratch.runs);
        let pair = Pair { arm, baseline, others, ..*template };
        compared.push(pair.compare()?);
        chosen.push([transfer.chosen, scratch.chosen]);
    }
    let comparisons: Vec<Comparison> = compared.iter().map(|one| one.comparison.clone()).collect();
    let mut rows = Vec::with_capacity(methods.len());
    let told = methods.iter().zip(compared).zip(judge(&comparisons)).zip(chosen);
    for (((method, compared), verdict), [chosen_transfer, chosen_scratch]) in told {
        rows.push(MethodRow {
            transfer: method.transfer.clone(),
            scratch: method.scratch.clone(),
            chosen_transfer,
            chosen_scratch,
            numbers: compared.numbers,
            verdict: verdict.times(compared.scale),
        });
    }
    Ok(rows)
}

/// What choosing on val leaves.
struct Best {
    runs: ArmRuns,
    /// The arm of each seed; nothing where there is none.
    chosen: Vec<Option<usize>>,
}

/// In each seed the arm that is best on val; the first of equals. Arms that diverged are not chosen
/// unless all did.
fn best(
    among: &[usize],
    arms: &[ArmRuns],
    metric: Measure,
    context: &Context<'_>,
) -> Result<Best, Failure> {
    let (mut runs, mut chosen) = (Vec::new(), Vec::new());
    for seed in 0..arms.first().map_or(0, |arm| arm.seeds.len()) {
        let mut found: Option<(f64, usize)> = None;
        for &arm in among {
            let Some(value) = on_val(arm, seed, metric, context)? else { continue };
            if found.is_none_or(|(best, _)| value > best) {
                found = Some((value, arm));
            }
        }
        let diverged = among.iter().any(|arm| matches!(arms[*arm].seeds[seed], SeedRun::Diverged));
        runs.push(match found {
            Some((_, arm)) => arms[arm].seeds[seed].clone(),
            None if diverged => SeedRun::Diverged,
            None => SeedRun::Missing,
        });
        chosen.push(found.map(|(_, arm)| arm));
    }
    Ok(Best { runs: ArmRuns { seeds: runs }, chosen })
}

/// The metric on val, higher being better; nothing where there is none.
fn on_val(
    arm: usize,
    seed: usize,
    metric: Measure,
    context: &Context<'_>,
) -> Result<Option<f64>, Failure> {
    let port = port(arm, seed);
    if !matches!(context.inputs.get(&port), Some(Given::Artifact(_))) {
        return Ok(None);
    }
    let val = Predictions::load(&context.bytes(&port)?)?.of(Part::Val);
    if val.ids.is_empty() {
        return Ok(None);
    }
    let value = metric.value(&val.judged()?).value();
    Ok(value.map(|value| value * metric.direction().sign()))
}
