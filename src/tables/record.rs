//! The running record across runs: what scores and advice before training turned out to be worth.
//!
//! A score is wrong where the model it put first did worse than the best by more than makes a
//! difference (`first`); or where it said that a model's features tell more than those by random
//! weights, and the best arm on these frozen features was found to hurt, or the other way round
//! (`sign`). What a verdict leaves open counts for nothing, nor does what was said once its arms had
//! been scored on test.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::Digest;
use crate::stats::{Class, Measure};
use crate::store::{Line, RunRecord, Store, StoreError};
use crate::transferability::advisor::{Bin, Outcome, calibration, wilson};

use super::advice::Told;
use super::advice_judged::{AdviceJudged, RULES};
use super::build::arm_fact;
use super::estimates::Estimated;
use super::gather::{Gathered, Verdict};
use super::judged::Judged;
use super::looks::stood_before;

/// What asks of a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Which model is the best?
    First,
    /// Do its frozen features help at all?
    Sign,
}

/// One judgement of a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreLine {
    /// The score.
    pub score: String,
    /// What was asked of it.
    pub question: Question,
    /// The data set, as that study called it.
    pub target: String,
    /// How models were used, or the arm that told the sign.
    pub by: String,
    /// What they were judged by.
    pub metric: String,
    /// Whether it was wrong.
    pub wrong: bool,
}

/// One advice that was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdviceLine {
    /// The data set, as that study called it.
    pub target: String,
    /// How much data there was.
    pub size: String,
    /// How much the source was of use.
    pub likeness: String,
    /// Whether the arm advised was as good as the best.
    pub hit: bool,
    /// How much better the best was, in units of what makes a difference.
    pub regret: f64,
    /// The same for rules that ask for no advice.
    pub rules: Vec<(String, Option<f64>)>,
    /// Each arm's probability to hurt, and what came of it.
    pub outcomes: Vec<(f64, Outcome)>,
    /// Whether scratch did better than fine-tuning.
    pub scratch_won: Option<bool>,
}

/// What a run adds to the record, each line with its key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    /// Of scores.
    pub scores: Vec<(String, ScoreLine)>,
    /// Of advice.
    pub advice: Vec<(String, AdviceLine)>,
}

const SCORES: &str = "scores";
const ADVICE: &str = "advice";

impl Lines {
    /// Adds them to the store's record; what is there already stays once.
    pub fn keep(&self, store: &Store) -> Result<(), StoreError> {
        store.journal(SCORES).append(&self.scores)?;
        store.journal(ADVICE).append(&self.advice)?;
        Ok(())
    }
}

/// What this run adds.
pub(super) fn lines(
    run: &RunRecord,
    gathered: &Gathered,
    judged: &[Judged],
    advice: &[AdviceJudged],
) -> Lines {
    let metrics: Vec<&str> = gathered.verdicts.iter().map(|v| v.metric.as_str()).collect();
    let mut scores: Vec<(String, ScoreLine)> =
        judged.iter().filter_map(|judged| first(judged, &metrics)).collect();
    for verdict in &gathered.verdicts {
        scores.extend(signs(run, &gathered.estimated, verdict));
    }
    // Of both readings of a score, that against random weights counts.
    let advice =
        advice.iter().filter(|judged| judged.in_time != Some(false)).filter_map(|judged| {
            let told = gathered.advice.iter().find(|told| told.stage.name == judged.stage)?;
            Some(advice_line(judged, told))
        });
    Lines { advice: advice.collect(), scores }
}

/// Whether the model that a score put first was as good as the best. One metric counts: that of the
/// verdict, or balanced accuracy where there is none.
fn first(judged: &Judged, metrics: &[&str]) -> Option<(String, ScoreLine)> {
    let counts = match metrics {
        [] => judged.metric == "balanced_accuracy",
        known => known.contains(&judged.metric.as_str()),
    };
    let is_void = judged.in_time == Some(false);
    if !counts || judged.part != "test" || !judged.is_final || is_void {
        return None;
    }
    let (regret, rope) = (judged.regret?, Measure::named(&judged.metric)?.rope());
    let line = ScoreLine {
        score: judged.score.clone(),
        question: Question::First,
        target: judged.target.clone(),
        by: judged.kind.clone(),
        metric: judged.metric.clone(),
        wrong: regret > rope,
    };
    let bits: Vec<[u64; 2]> =
        judged.pairs.iter().map(|(score, did)| [score.to_bits(), did.to_bits()]).collect();
    let key = Digest::of_json(&(&line.score, line.question, &line.by, &line.metric, bits));
    Some((key.to_string(), line))
}

/// Whether scores told rightly that frozen features help, or that they hurt.
fn signs(run: &RunRecord, estimated: &[Estimated], verdict: &Verdict) -> Vec<(String, ScoreLine)> {
    let in_time = |one: &&Estimated, arm: &str| {
        let stood = |sealed: String| stood_before(run, &one.entry.target, [arm], &sealed);
        one.sealed().and_then(stood) != Some(false)
    };
    let mut gains: BTreeMap<(&str, &str, &str), BTreeMap<&str, Vec<f64>>> = BTreeMap::new();
    let known = estimated.iter().filter(|one| {
        let best = best_frozen(verdict, &one.entry.base, &one.entry.target);
        best.is_none_or(|(arm, ..)| in_time(one, &arm))
    });
    for one in known {
        for row in &one.estimates.rows {
            let Some(difference) = one.difference(row) else { continue };
            let sign = if row.higher_is_better { 1.0 } else { -1.0 };
            let key = (row.score.as_str(), one.entry.base.as_str(), one.entry.target.as_str());
            let layers = gains.entry(key).or_default();
            layers.entry(&one.entry.features).or_default().push(sign * difference);
        }
    }
    let mean = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let line = |((score, base, target), layers): (_, BTreeMap<&str, Vec<f64>>)| {
        let (by, class, delta) = best_frozen(verdict, base, target)?;
        let helps = match class {
            Class::Positive => true,
            Class::Negative => false,
            _ => return None,
        };
        let gain = layers.values().map(mean).max_by(f64::total_cmp)?;
        let line = ScoreLine {
            score: String::from(score),
            question: Question::Sign,
            target: String::from(target),
            by,
            metric: verdict.metric.clone(),
            wrong: helps != (gain > 0.0),
        };
        let bits = [gain.to_bits(), delta.to_bits()];
        let key = Digest::of_json(&(&line.score, line.question, &line.metric, bits));
        Some((key.to_string(), line))
    };
    gains.into_iter().filter_map(line).collect()
}

/// The arm on a model's frozen features that is furthest ahead of scratch, with its verdict.
fn best_frozen(verdict: &Verdict, base: &str, target: &str) -> Option<(String, Class, f64)> {
    let is = |stage: &crate::store::RunStage, name: &str, value: &str| {
        arm_fact(stage, name).is_some_and(|fact| *fact == value)
    };
    let frozen = verdict.rows.iter().filter(|(arm, ..)| {
        let random = arm_fact(arm, "random").is_some_and(|random| *random == true);
        !random && is(arm, "source", base) && is(arm, "target", target) && is(arm, "freeze", "all")
    });
    let told = frozen.filter_map(|(arm, _, row)| {
        Some((arm.name.clone(), row.verdict.class, row.verdict.numbers?.delta))
    });
    told.max_by(|a, b| a.2.total_cmp(&b.2))
}

fn advice_line(judged: &AdviceJudged, told: &Told) -> (String, AdviceLine) {
    // Differences of any metric in units of what makes a difference in it.
    let unit = if judged.rope > 0.0 { judged.rope } else { 1.0 };
    let outcome = |(arm, p, negative): &(usize, f64, bool)| {
        let advised = &told.advice.arms[*arm];
        let evidence = &told.advice.models[advised.model?];
        let outcome = Outcome {
            target: told.advice.target.clone(),
            items_for_class: evidence.items / evidence.classes.max(1) as f64,
            similarity: evidence.similarity,
            frozen: advised.way.frozen()?,
            negative: *negative,
        };
        Some((*p, outcome))
    };
    let rules = RULES.map(|name| (name.to_owned(), judged.rule(name).map(|regret| regret / unit)));
    let line = AdviceLine {
        target: judged.target.clone(),
        size: judged.size.to_owned(),
        likeness: judged.likeness.to_owned(),
        hit: judged.is_hit(),
        regret: judged.regret / unit,
        rules: rules.to_vec(),
        outcomes: judged.told.iter().filter_map(outcome).collect(),
        scratch_won: judged.scratch_won,
    };
    let bits = [judged.m_advised.to_bits(), judged.m_best.to_bits()];
    // Probabilities may be learnt anew; that is no new outcome.
    let facts: Vec<&Outcome> = line.outcomes.iter().map(|(_, outcome)| outcome).collect();
    (Digest::of_json(&(&told.advice.target, &judged.metric, bits, facts)).to_string(), line)
}

/// How often a score was wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tally {
    /// The score.
    pub score: String,
    /// What was asked of it.
    pub question: Question,
    /// How often it was wrong.
    pub wrong: usize,
    /// How often it was judged.
    pub judged: usize,
}

/// How often advice hit in one case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaseTally {
    /// How much data there was.
    pub size: String,
    /// How much the source was of use.
    pub likeness: String,
    /// How often the arm advised was as good as the best.
    pub hits: usize,
    /// How often it was judged.
    pub judged: usize,
    /// Wilson's 95 % interval of the share; nothing where fewer than 5 were judged.
    pub interval: Option<(f64, f64)>,
}

/// Everything that is on record.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RunningRecord {
    /// Each score and question.
    pub scores: Vec<Tally>,
    /// Each case that advice was given in.
    pub cases: Vec<CaseTally>,
    /// Mean regret of the advice in units of what makes a difference, and of each rule over the same
    /// studies, where the rule had an arm: rule, its own, the advice's, studies.
    pub rules: Vec<(String, f64, f64, usize)>,
    /// Probabilities to hurt, in fifths, with what came of them.
    pub calibration: Vec<CalibrationBin>,
    /// Arms whose outcome is known.
    pub outcomes: usize,
    /// Of much data and a different source: how often scratch beat fine-tuning, and how often not.
    pub scratch_won: (usize, usize),
}

/// Probabilities of one fifth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Where it begins.
    pub from: f64,
    /// How many fell into it.
    pub count: usize,
    /// Their mean.
    pub told: f64,
    /// The share that hurt.
    pub came: f64,
}

/// A share of fewer is no share.
const LEAST_JUDGED: usize = 5;

/// What came of earlier advice, for learning from it.
pub fn outcomes(store: &Store) -> Result<Vec<Outcome>, StoreError> {
    let lines = store.journal(ADVICE).read::<Line<AdviceLine>>()?;
    Ok(lines.into_iter().flat_map(|line| line.entry.outcomes).map(|(_, one)| one).collect())
}

/// Reads the whole record of a store.
pub fn running_record(store: &Store) -> Result<RunningRecord, StoreError> {
    let scores = store.journal(SCORES).read::<Line<ScoreLine>>()?;
    let advice = store.journal(ADVICE).read::<Line<AdviceLine>>()?;
    let scores: Vec<ScoreLine> = scores.into_iter().map(|line| line.entry).collect();
    let advice: Vec<AdviceLine> = advice.into_iter().map(|line| line.entry).collect();
    let told: Vec<(f64, f64)> = advice
        .iter()
        .flat_map(|line| &line.outcomes)
        .map(|(p, outcome)| (*p, f64::from(u8::from(outcome.negative))))
        .collect();
    let bin = |Bin { from, count, told, came }: Bin| CalibrationBin { from, count, told, came };
    Ok(RunningRecord {
        scores: tallies(&scores),
        cases: cases(&advice),
        rules: rules(&advice),
        calibration: calibration(&told).into_iter().map(bin).collect(),
        outcomes: told.len(),
        scratch_won: hypotheses(&advice),
    })
}

fn tallies(lines: &[ScoreLine]) -> Vec<Tally> {
    let mut counted: BTreeMap<(Question, &str), (usize, usize)> = BTreeMap::new();
    for line in lines {
        let (wrong, judged) = counted.entry((line.question, &line.score)).or_default();
        *wrong += usize::from(line.wrong);
        *judged += 1;
    }
    let tally = |((question, score), (wrong, judged)): ((Question, &str), (usize, usize))| Tally {
        score: score.to_owned(),
        question,
        wrong,
        judged,
    };
    counted.into_iter().map(tally).collect()
}

fn cases(lines: &[AdviceLine]) -> Vec<CaseTally> {
    let mut counted: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    for line in lines {
        let (hits, judged) = counted.entry((&line.size, &line.likeness)).or_default();
        *hits += usize::from(line.hit);
        *judged += 1;
    }
    let tally = |((size, likeness), (hits, judged)): ((&str, &str), (usize, usize))| CaseTally {
        size: size.to_owned(),
        likeness: likeness.to_owned(),
        hits,
        judged,
        interval: wilson(hits, judged).filter(|_| judged >= LEAST_JUDGED),
    };
    counted.into_iter().map(tally).collect()
}

fn rules(lines: &[AdviceLine]) -> Vec<(String, f64, f64, usize)> {
    let of = |name: &str| {
        let both: Vec<(f64, f64)> = lines
            .iter()
            .filter_map(|line| {
                let (_, regret) = line.rules.iter().find(|(known, _)| known == name)?;
                Some(((*regret)?, line.regret))
            })
            .collect();
        let count = both.len();
        let mean = |side: fn(&(f64, f64)) -> f64| both.iter().map(side).sum::<f64>() / count as f64;
        (count > 0).then(|| (name.to_owned(), mean(|b| b.0), mean(|b| b.1), count))
    };
    RULES.into_iter().filter_map(of).collect()
}

fn hypotheses(lines: &[AdviceLine]) -> (usize, usize) {
    let hard = lines.iter().filter(|line| line.size == "large" && line.likeness == "different");
    let won: Vec<bool> = hard.filter_map(|line| line.scratch_won).collect();
    let scratch = won.iter().filter(|won| **won).count();
    (scratch, won.len() - scratch)
}
