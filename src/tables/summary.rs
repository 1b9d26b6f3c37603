//! What a person reads at the end: the verdict first, or the scores where there is none.

use std::collections::BTreeSet;

use crate::base::counted;
use crate::base::numbers::{deviation, mean_if_any};
use crate::stages::artifacts::{ArmRow, Beside};
use crate::stats::{Class, Lean};
use crate::store::{RunLeaks, RunRecord, RunStage};

use super::advice_summary::AdviceTable;
use super::agreement::{self, Agreement};
use super::arms::Advised;
use super::audit;
use super::build::text;
use super::curves::{self, CurveSummary};
use super::energy::EnergyTotal;
use super::estimates::{self, EstimateTable};
use super::fits::lacks;
use super::front::{self, FrontTable};
use super::gather::{Choices, Gathered, Scored, Verdict};
use super::looks;
use super::record::Lines;

/// What a person reads at the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The pipeline's name.
    pub pipeline: String,
    /// Scores before training, if there are any.
    pub estimates: Vec<EstimateTable>,
    /// How far these agree, where there are features to be put in an order.
    pub agreements: Vec<Agreement>,
    /// Advice before training, if there is any.
    pub advice: Vec<AdviceTable>,
    /// What the run adds to the running record.
    pub lines: Lines,
    /// Energy of the run, if it was measured.
    pub energy: Option<EnergyTotal>,
    /// Verdicts, if there are any.
    pub verdicts: Vec<VerdictTable>,
    /// Curves, if there are any.
    pub curves: CurveSummary,
    /// What arms need beside what they score, if that is asked for.
    pub fronts: Vec<FrontTable>,
    /// Mean scores of each stage, where there is no verdict.
    pub scores: Vec<ScoreRow>,
    /// What makes scores on test worth less than they seem, a line each.
    pub doubts: Vec<String>,
}

/// One verdict stage.
#[derive(Clone, Debug, PartialEq)]
pub struct VerdictTable {
    /// Repetitions.
    pub seeds: usize,
    /// Test items.
    pub items: usize,
    /// Groups of test items, where they have groups.
    pub groups: Option<usize>,
    /// The metric.
    pub metric: String,
    /// Each baseline with its mean and its standard deviation over seeds.
    pub baselines: Vec<(String, Option<f64>, Option<f64>)>,
    /// One row for each arm.
    pub rows: Vec<VerdictRow>,
    /// One row for each choice among arms: in each seed the arm that is best on val.
    pub methods: Vec<VerdictRow>,
}

/// One arm.
#[derive(Clone, Debug, PartialEq)]
pub struct VerdictRow {
    /// Its name.
    pub arm: String,
    /// Difference to the baseline; positive is better.
    pub delta: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// The verdict.
    pub word: Word,
    /// What belongs beside the verdict.
    pub remark: String,
}

/// A verdict in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Better than the baseline.
    Helps,
    /// No difference that matters.
    Same,
    /// Worse than the baseline.
    Hurts,
    /// Cannot be told yet.
    Open,
}

/// Mean scores of one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreRow {
    /// The stage.
    pub stage: String,
    /// The part.
    pub part: String,
    /// Each metric with its mean and its standard deviation over seeds.
    pub values: Vec<(String, Option<f64>, Option<f64>)>,
}

/// Puts the summary together.
pub(super) fn summarise(run: &RunRecord, gathered: &Gathered) -> Summary {
    let verdicts = gathered.verdicts.iter().map(|verdict| {
        let rows = verdict.rows.iter().map(|(arm, baseline, row)| {
            let advised = gathered.advised(verdict, row);
            let told = verdict_row(&verdict.metric, arm, row, advised.as_ref());
            let told = with_hurt(told, &verdict.beside, row);
            let told = with_less(told, row, arm, baseline);
            with_lack(told, lacks(arm, run.budget.as_ref()))
        });
        let mut baselines: Vec<(String, Option<f64>, Option<f64>)> = Vec::new();
        for (_, baseline, row) in &verdict.rows {
            let (mean, deviation) = (row.numbers.m_scratch, row.numbers.sd_scratch);
            match baselines.iter_mut().find(|(name, ..)| *name == baseline.name) {
                Some((_, known, spread)) if known.is_none() => {
                    *known = mean;
                    *spread = deviation;
                }
                Some(_) => {}
                None => baselines.push((baseline.name.clone(), mean, deviation)),
            }
        }
        let numbers = verdict.rows.iter().map(|(.., row)| &row.numbers);
        let first = numbers.max_by_key(|numbers| numbers.items);
        VerdictTable {
            seeds: run.seeds.len(),
            items: first.map_or(0, |numbers| numbers.items),
            groups: first.and_then(|numbers| numbers.groups),
            metric: verdict.metric.clone(),
            baselines,
            rows: rows.collect(),
            methods: method_rows(verdict),
        }
    });
    let verdicts: Vec<VerdictTable> = verdicts.collect();
    let scores = if verdicts.is_empty() { score_rows(&gathered.scores) } else { vec![] };
    let estimates = estimates::summaries(&gathered.estimated);
    let looked = looks::doubts(run, &gathered.verdicts);
    let agreements = agreement::agreements(&gathered.estimated);
    let doubts = run.leaks.iter().filter_map(leak).chain(looked).collect();
    let fronts = gathered.fronts.iter().map(|one| front::summary(one, run)).collect();
    let curves = curves::summaries(gathered);
    let pipeline = run.pipeline.clone();
    Summary {
        pipeline,
        estimates,
        agreements,
        verdicts,
        curves,
        fronts,
        scores,
        doubts,
        ..Summary::default()
    }
}

/// That items of train or val, or of what a model was trained on before, are test items, too.
fn leak(leaks: &RunLeaks) -> Option<String> {
    let copies = leaks.same + leaks.near;
    (copies > 0).then(|| {
        let items = counted(copies, "test item");
        let learnt = leaks.learnt_on.as_ref().map(|source| format!("learnt from in `{source}`"));
        let learnt = learnt.unwrap_or_else(|| "in train or val".to_owned());
        format!("{}: copies of {items} are {learnt}; see the table `leaks`", leaks.dataset)
    })
}

/// A line for each choice among arms: what the method is worth, choosing included.
fn method_rows(verdict: &Verdict) -> Vec<VerdictRow> {
    let several = verdict.methods.len() > 1;
    let sources = |(arm, _, _): &(RunStage, RunStage, ArmRow)| text(arm, "source");
    let sources: BTreeSet<Option<String>> = verdict.methods.iter().map(sources).collect();
    let told = verdict.methods.iter().zip(&verdict.choices);
    let told = told.map(|((arm, _, row), [transfer, scratch])| {
        let source = text(arm, "source");
        // What all its arms share, where it is not the source.
        let shared = arm.axes.iter().filter(|(_, value)| several && source.as_ref() != Some(value));
        let cell =
            shared.fold(String::new(), |told, (axis, value)| told + &format!(", {axis}={value}"));
        let source = source.filter(|_| sources.len() > 1);
        let source = source.map(|source| format!(" from {source}")).unwrap_or_default();
        let plain = VerdictRow {
            arm: format!("best of {}{source} on val{cell}", transfer.len()),
            ..verdict_row(&verdict.metric, arm, row, None)
        };
        let beside = (scratch.len() > 1).then(|| format!("beside the best of {}", scratch.len()));
        let chosen: Vec<String> = chosen(transfer).into_iter().chain(beside).collect();
        if chosen.is_empty() { plain } else { plain.and(chosen.join(", ")) }
    });
    told.collect()
}

/// Which arms were chosen in how many seeds, the most frequent first; nothing of one alone.
fn chosen(choices: &Choices) -> Option<String> {
    let mut known: Vec<&(String, usize)> = choices.iter().filter(|(_, times)| *times > 0).collect();
    known.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    let words = |(name, times): &&(String, usize)| format!("{name} {times}×");
    match choices.len() {
        1 => None,
        _ => Some(known.iter().map(words).collect::<Vec<_>>().join(", ")),
    }
}

fn verdict_row(
    metric: &str,
    arm: &RunStage,
    row: &ArmRow,
    advised: Option<&Advised>,
) -> VerdictRow {
    let numbers = row.verdict.numbers;
    // Of seeds too few for an interval, the difference alone.
    let plain = || {
        let sign = crate::stats::Measure::named(metric)?.direction().sign();
        Some((row.numbers.m_transfer? - row.numbers.m_scratch?) * sign)
    };
    let word = match row.verdict.class {
        Class::Positive => Word::Helps,
        Class::Neutral => Word::Same,
        Class::Negative => Word::Hurts,
        Class::Inconclusive => Word::Open,
    };
    VerdictRow {
        arm: arm.name.clone(),
        delta: numbers.map(|numbers| numbers.delta).or_else(plain),
        interval: numbers.map(|numbers| (numbers.ci_lo, numbers.ci_hi)),
        word,
        remark: if word == Word::Open { open_remark(row, advised) } else { flags(row) },
    }
}

/// With what the budget does not have for an arm.
fn with_lack(told: VerdictRow, lacks: Option<String>) -> VerdictRow {
    let Some(lacks) = lacks else { return told };
    let lacks = format!("does not fit: {lacks}");
    let parts = [told.remark, lacks].into_iter().filter(|part| !part.is_empty());
    VerdictRow { remark: parts.collect::<Vec<_>>().join("; "), ..told }
}

/// With the subgroups and labels that are hurt by an arm that is not said to hurt on the whole.
fn with_hurt(told: VerdictRow, beside: &Beside, row: &ArmRow) -> VerdictRow {
    if told.word == Word::Hurts {
        return told;
    }
    let own = (row.arm, row.baseline);
    let parts = beside.subgroups.iter().filter(|part| (part.arm, part.baseline) == own);
    let parts = parts.filter(|part| part.told.verdict.class == Class::Negative);
    let parts = parts.map(|part| format!("{}={}", part.told.column, part.told.value));
    let labels = beside.labels.iter().filter(|label| (label.arm, label.baseline) == own);
    let labels = labels.filter(|label| label.verdict.class == Class::Negative);
    let names: Vec<String> = parts.chain(labels.map(|label| label.label.clone())).collect();
    match names.is_empty() {
        true => told,
        false => told.and(format!("hurts {}", names.join(", "))),
    }
}

/// With what the baseline had less to spend, unless it was better all the same.
fn with_less(told: VerdictRow, row: &ArmRow, arm: &RunStage, baseline: &RunStage) -> VerdictRow {
    match audit::baseline_had_less(arm, baseline) {
        Some(less) if row.verdict.class != Class::Negative => told.and(less),
        _ => told,
    }
}

impl VerdictRow {
    /// With one more remark.
    fn and(self, remark: String) -> Self {
        let parts = [self.remark, remark].into_iter().filter(|part| !part.is_empty());
        Self { remark: parts.collect::<Vec<_>>().join("; "), ..self }
    }
}

/// Nobody gets this many times the test items that there are.
const REACH: usize = 50;

/// Why it cannot be told yet, and what would help.
fn open_remark(row: &ArmRow, advised: Option<&Advised>) -> String {
    let mut parts = Vec::new();
    if let Some(reason) = row.verdict.reason() {
        parts.push(with_advice(reasons_in_words(&reason), advised));
    }
    let needed = row.verdict.needed;
    // More data of the same kind would not mend any other reason, so that nothing leans either.
    match row.verdict.lean.filter(|_| needed.is_some()) {
        Some(Lean::Positive) => parts.push("leans to better".to_owned()),
        Some(Lean::Negative) => parts.push("leans to worse".to_owned()),
        None => {}
    }
    let seeds = needed.and_then(|needed| needed.more_seeds).map(|n| counted(n, "more seed"));
    let present = row.numbers.groups.unwrap_or(row.numbers.items);
    let within_reach = |more: &usize| *more <= REACH * present;
    let items = needed.and_then(|needed| needed.more_items).filter(within_reach).map(|n| {
        counted(n, if row.numbers.groups.is_some() { "more test group" } else { "more test item" })
    });
    let more: Vec<String> = [seeds, items].into_iter().flatten().collect();
    if !more.is_empty() {
        parts.push(more.join(", or "));
    }
    if let Some(numbers) = row.verdict.numbers {
        parts.push(format!("as it is, differences from {:.3} on are seen", numbers.mde80));
    }
    parts.join("; ")
}

/// What to do about a baseline that had too few steps.
fn with_advice(words: String, advised: Option<&Advised>) -> String {
    match advised {
        None => words,
        Some(Advised::Add) => words.replace(
            BUDGET_LIMITED,
            "the baseline was still improving; add one with three times its steps",
        ),
        Some(Advised::Compare(arm)) => {
            words.replace(BUDGET_LIMITED, &format!("the baseline was still improving; see `{arm}`"))
        }
    }
}

const BUDGET_LIMITED: &str = "the arm behind was still improving; train longer";

pub(super) fn reasons_in_words(reasons: &str) -> String {
    let words = |reason: &str| match reason.trim() {
        "too_few_seeds" => "fewer than 3 seeds".to_owned(),
        "too_few_seeds_to_draw" => {
            "fewer than 5 seeds, which a metric that is no mean over items needs".to_owned()
        }
        "too_few_units" => "fewer than 50 test items or groups".to_owned(),
        "missing" => "too many seeds failed".to_owned(),
        "no_estimate" => "nothing to compare".to_owned(),
        "invalid_baseline" => "the baseline is no better than the majority class".to_owned(),
        "grid_edge" => {
            "the arm behind chose a value at the end of its list; widen the list".to_owned()
        }
        "budget_limited" => BUDGET_LIMITED.to_owned(),
        other => other.to_owned(),
    };
    reasons.split([',', ';']).map(words).collect::<Vec<_>>().join("; ")
}

/// Flags worth a word beside a verdict that stands.
fn flags(row: &ArmRow) -> String {
    let flags = &row.verdict.flags;
    let diverged = flags.iter().any(|flag| flag == "diverged");
    if diverged { "training diverged in some seeds".to_owned() } else { String::new() }
}

/// What one stage scored on one part.
struct PartScores<'a> {
    stage: &'a str,
    part: &'a str,
    /// Each metric with its value in each seed.
    metrics: Vec<(&'a str, Vec<f64>)>,
}

impl<'a> PartScores<'a> {
    fn add(&mut self, metric: &'a str, value: Option<f64>) {
        let known = self.metrics.iter().position(|(name, _)| *name == metric);
        let at = known.unwrap_or_else(|| {
            self.metrics.push((metric, vec![]));
            self.metrics.len() - 1
        });
        self.metrics[at].1.extend(value);
    }

    fn row(self) -> ScoreRow {
        let values = self.metrics.into_iter().map(|(metric, values)| {
            let (mean, deviation) = mean_and_deviation(&values);
            (metric.to_owned(), mean, deviation)
        });
        ScoreRow {
            stage: self.stage.to_owned(),
            part: self.part.to_owned(),
            values: values.collect(),
        }
    }
}

fn score_rows(scored: &[Scored]) -> Vec<ScoreRow> {
    let mut parts: Vec<PartScores<'_>> = Vec::new();
    for entry in scored {
        let (stage, part) = (entry.stage.name.as_str(), entry.evaluation.part.as_str());
        let known = parts.iter().position(|known| known.stage == stage && known.part == part);
        let index = known.unwrap_or_else(|| {
            parts.push(PartScores { stage, part, metrics: vec![] });
            parts.len() - 1
        });
        for score in entry.evaluation.scores.iter().filter(|score| score.class.is_none()) {
            parts[index].add(&score.metric, score.value);
        }
    }
    parts.into_iter().map(PartScores::row).collect()
}

fn mean_and_deviation(values: &[f64]) -> (Option<f64>, Option<f64>) {
    (mean_if_any(values), deviation(values))
}
