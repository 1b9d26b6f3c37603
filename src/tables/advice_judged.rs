//! What advice before training was worth, once its arms were tested.

use std::collections::BTreeMap;

use ndarray::Array2;

use crate::base::Target;
use crate::base::numbers::mean;
use crate::stages::artifacts::Predictions;
use crate::stats::{Class, Measure, TwoWay, units};
use crate::store::RunRecord;
use crate::transferability::advisor::{Brier, Way, brier};
use crate::transferability::weighted_tau;

use super::advice::Told;
use super::frame::Table;
use super::gather::{Scored, Verdict};
use super::looks::stood_before;

/// Advice beside one verdict.
pub(super) struct AdviceJudged {
    pub(super) stage: String,
    pub(super) verdict: String,
    pub(super) target: String,
    pub(super) metric: String,
    /// Arms that were both ranked and tested.
    pub(super) arms: usize,
    pub(super) advised: String,
    pub(super) best: String,
    pub(super) m_advised: f64,
    pub(super) m_best: f64,
    /// How much better the best arm was, higher being worse.
    pub(super) regret: f64,
    pub(super) interval: Option<(f64, f64)>,
    /// Differences up to this size are none.
    pub(super) rope: f64,
    pub(super) tau: Option<f64>,
    /// Of verdicts that decided.
    pub(super) brier: Option<Brier>,
    /// Of P(Δ < −ε), whatever the verdict.
    pub(super) soft_brier: Option<Brier>,
    /// Verdicts that could not decide, which count for nothing.
    pub(super) open: usize,
    /// Places of the layer that was predicted and of the one that did best.
    pub(super) layers: Option<(usize, usize)>,
    /// What simple rules would have cost, by name.
    pub(super) rules: Vec<(&'static str, Option<f64>)>,
    /// Each arm's probability with whether its verdict was negative.
    pub(super) told: Vec<(usize, f64, bool)>,
    pub(super) size: &'static str,
    pub(super) likeness: &'static str,
    /// How similar the file took the sources to be.
    pub(super) believed: Option<String>,
    /// The verdict on the transfer arm that did best.
    pub(super) outcome: Option<Class>,
    /// Whether scratch did better than all that was fine-tuned, where both were tested.
    pub(super) scratch_won: Option<bool>,
    /// Whether it stood before any of its arms was first scored on test; nothing where that is not
    /// known.
    pub(super) in_time: Option<bool>,
}

impl AdviceJudged {
    /// Whether the arm advised is as good as the best, but for what makes no difference.
    pub(super) fn is_hit(&self) -> bool {
        self.regret <= self.rope
    }

    /// What a rule would have cost.
    pub(super) fn rule(&self, name: &str) -> Option<f64> {
        self.rules.iter().find(|(known, _)| *known == name)?.1
    }
}

/// Rules that ask for no advice; it must beat these to be of use.
pub(super) const RULES: [&str; 5] =
    ["full_fine_tuning", "linear_probe", "probe_then_fine_tuning", "scratch", "highest_log_me"];

/// An arm that was ranked and tested.
struct Tested<'a> {
    /// Its position in the advice.
    arm: usize,
    /// Mean over seeds, higher is better.
    mean: f64,
    /// What each item gave, by seed; one entry without a seed if seeds do not differ.
    by_seed: BTreeMap<Option<u64>, Vec<f64>>,
    like: &'a Predictions,
}

/// Every advice beside every verdict that tells of at least two of its arms.
pub(super) fn judged(
    run: &RunRecord,
    all: &[Told],
    verdicts: &[Verdict],
    scored: &[Scored],
) -> Vec<AdviceJudged> {
    let pairs = all.iter().flat_map(|told| verdicts.iter().map(move |verdict| (told, verdict)));
    let judged = |(told, verdict): (&Told, &Verdict)| {
        let judged = judge(told, verdict, scored)?;
        let arms = (0..told.advice.arms.len()).map(|arm| told.arm(arm));
        let in_time =
            told.sealed().and_then(|sealed| stood_before(run, &judged.target, arms, &sealed));
        Some(AdviceJudged { in_time, ..judged })
    };
    pairs.filter_map(judged).collect()
}

fn judge(told: &Told, verdict: &Verdict, scored: &[Scored]) -> Option<AdviceJudged> {
    let metric = Measure::find(&verdict.metric, Target::Classes)?;
    let compared = &verdict.stage.compared;
    let arms = 0..told.advice.arms.len();
    let of_verdict = arms.filter(|&arm| compared.iter().any(|name| name == told.arm(arm)));
    let tested: Vec<Tested<'_>> =
        of_verdict.filter_map(|arm| tested(arm, told.arm(arm), metric, scored)).collect();
    let find = |arm: usize| tested.iter().find(|tested| tested.arm == arm);
    let ranked = told.advice.ranking.iter().filter(|arm| told.advice.arms[**arm].can);
    let advised = ranked.clone().find_map(|&arm| find(arm))?;
    let best = tested.iter().reduce(|best, one| if one.mean > best.mean { one } else { best })?;
    if tested.len() < 2 {
        return None;
    }
    let (order, means): (Vec<f64>, Vec<f64>) = ranked
        .enumerate()
        .filter_map(|(rank, &arm)| Some((-(rank as f64), find(arm)?.mean)))
        .unzip();
    let outcomes = outcomes(told, verdict);
    let negative = |class: Class| class == Class::Negative;
    let is_decided = |class: Class| class != Class::Inconclusive;
    let decided: Vec<(f64, f64)> = outcomes
        .iter()
        .filter(|(_, _, class, _)| is_decided(*class))
        .map(|(_, p, class, _)| (*p, f64::from(u8::from(negative(*class)))))
        .collect();
    let soft: Vec<(f64, f64)> =
        outcomes.iter().filter_map(|(_, p, _, below)| Some((*p, (*below)?))).collect();
    let regret_of = |arm: usize| Some(best.mean - find(arm)?.mean);
    let rules = RULES.map(|name| (name, rule(name, told, &tested).and_then(regret_of)));
    let evidence = told
        .advice
        .models
        .iter()
        .reduce(|most, one| if one.similarity > most.similarity { one } else { most })?;
    let sign = metric.direction().sign();
    Some(AdviceJudged {
        stage: told.stage.name.clone(),
        verdict: verdict.stage.name.clone(),
        target: told.about.target.clone(),
        metric: verdict.metric.clone(),
        arms: tested.len(),
        advised: told.arm(advised.arm).to_owned(),
        best: told.arm(best.arm).to_owned(),
        m_advised: sign * advised.mean,
        m_best: sign * best.mean,
        regret: best.mean - advised.mean,
        interval: interval(best, advised),
        rope: verdict.rows.iter().map(|(.., row)| row.verdict.eps).fold(0.0, f64::max),
        tau: weighted_tau(&order, &means),
        brier: brier(&decided),
        soft_brier: brier(&soft),
        open: outcomes.iter().filter(|(_, _, class, _)| !is_decided(*class)).count(),
        layers: layers(told, &tested),
        rules: rules.to_vec(),
        told: outcomes
            .iter()
            .filter(|(_, _, class, _)| is_decided(*class))
            .map(|(arm, p, class, _)| (*arm, *p, negative(*class)))
            .collect(),
        size: evidence.case.size.word(),
        likeness: evidence.case.likeness.word(),
        believed: told.about.believed.clone(),
        outcome: best_transfer(told, &tested, verdict),
        scratch_won: scratch_won(told, &tested),
        in_time: None,
    })
}

/// What an arm did on test; nothing if it was not scored on it.
fn tested<'a>(arm: usize, name: &str, metric: Measure, scored: &'a [Scored]) -> Option<Tested<'a>> {
    let mut by_seed = BTreeMap::new();
    let mut values = Vec::new();
    let mut like = None;
    let of_arm = scored.iter().filter(|one| one.stage.name == name);
    for one in of_arm.filter(|one| one.evaluation.part == "test") {
        if by_seed.contains_key(&one.seed) {
            continue;
        }
        let judged = one.items.judged().ok()?;
        let items = metric.per_item(&judged)?.ok()?;
        values.push(metric.direction().sign() * metric.value(&judged).value()?);
        by_seed.insert(one.seed, items);
        like = like.or(Some(&one.items));
    }
    Some(Tested { arm, mean: mean(&values), by_seed, like: like? })
}

/// The 95 % interval of how much better the best was than the arm advised, over seeds and items.
fn interval(best: &Tested<'_>, advised: &Tested<'_>) -> Option<(f64, f64)> {
    if best.arm == advised.arm || best.like.ids != advised.like.ids {
        return None;
    }
    let of = |tested: &Tested<'_>, seed: Option<u64>| {
        tested.by_seed.get(&seed).or_else(|| tested.by_seed.get(&None)).cloned()
    };
    let seeds = best.by_seed.keys().chain(advised.by_seed.keys()).filter(|seed| seed.is_some());
    let seeds: std::collections::BTreeSet<_> = seeds.collect();
    let pairs: Vec<(Vec<f64>, Vec<f64>)> =
        seeds.into_iter().filter_map(|&s| Some((of(best, s)?, of(advised, s)?))).collect();
    let items = pairs.first()?.0.len();
    let d = Array2::from_shape_fn((pairs.len(), items), |(s, i)| pairs[s].0[i] - pairs[s].1[i]);
    let groups = best.like.grouped.then_some(&best.like.groups[..]);
    Some(TwoWay::of(&units(&d, groups).ok()?)?.interval(0.95))
}

/// Each arm with its probability, its verdict and P(Δ < −ε).
fn outcomes(told: &Told, verdict: &Verdict) -> Vec<(usize, f64, Class, Option<f64>)> {
    let of = |arm: usize| {
        let p = told.advice.arms[arm].p_neg?;
        let (.., row) = verdict.rows.iter().find(|(stage, ..)| stage.name == told.arm(arm))?;
        Some((arm, p, row.verdict.class, row.verdict.numbers.map(|numbers| numbers.p_neg)))
    };
    (0..told.advice.arms.len()).filter_map(of).collect()
}

/// The arm that a simple rule takes.
fn rule(name: &str, told: &Told, tested: &[Tested<'_>]) -> Option<usize> {
    let arm = |index: usize| &told.advice.arms[index];
    let arms = || tested.iter().map(|tested| tested.arm);
    let tuned = |index: &usize, gently: bool| {
        let Way::Tuned { frozen, gentle, cut: false } = arm(*index).way else { return false };
        frozen <= 0.0 && gentle == gently
    };
    let place = |index: usize| match arm(index).way {
        Way::Probe(layer) => layer.map(|layer| layer + 1).unwrap_or_default(),
        _ => 0,
    };
    match name {
        "full_fine_tuning" => {
            arms().find(|arm| tuned(arm, false)).or_else(|| arms().find(|arm| tuned(arm, true)))
        }
        "probe_then_fine_tuning" => arms().find(|arm| tuned(arm, true)),
        "linear_probe" => {
            // The last layer's, which is the usual one.
            let probes = arms().filter(|index| matches!(arm(*index).way, Way::Probe(_)));
            probes.reduce(|last, one| if place(one) > place(last) { one } else { last })
        }
        "scratch" => arms().find(|index| arm(*index).way == Way::Scratch),
        _ => {
            let (model, layer) = highest_log_me(told)?;
            let of_model = |index: &usize| arm(*index).model == Some(model);
            let reads = |index: &usize| arm(*index).way == Way::Probe(Some(layer));
            let probe = arms().filter(of_model).find(reads);
            probe.or_else(|| arms().find(of_model))
        }
    }
}

fn highest_log_me(told: &Told) -> Option<(usize, usize)> {
    let models = told.advice.models.iter().enumerate();
    let layers = models.flat_map(|(model, evidence)| {
        let layers = evidence.log_me_of_layers.iter().enumerate();
        layers.filter_map(move |(layer, value)| Some((model, layer, (*value)?)))
    });
    let highest = layers.max_by(|a, b| a.2.total_cmp(&b.2))?;
    Some((highest.0, highest.1))
}

/// The layer that was predicted and the one whose probe did best, of the first model with probes on
/// several layers.
fn layers(told: &Told, tested: &[Tested<'_>]) -> Option<(usize, usize)> {
    told.advice.models.iter().enumerate().find_map(|(model, evidence)| {
        let probes = tested.iter().filter_map(|tested| {
            let arm = &told.advice.arms[tested.arm];
            let Way::Probe(Some(layer)) = arm.way else { return None };
            (arm.model == Some(model)).then_some((layer, tested.mean))
        });
        let probes: Vec<(usize, f64)> = probes.collect();
        let first = probes.first()?.0;
        let best = probes.iter().max_by(|a, b| a.1.total_cmp(&b.1))?.0;
        let several = probes.iter().any(|(layer, _)| *layer != first);
        several.then_some((evidence.layer?, best))
    })
}

/// The verdict on the transfer arm with the best mean.
fn best_transfer(told: &Told, tested: &[Tested<'_>], verdict: &Verdict) -> Option<Class> {
    let transfers = tested.iter().filter(|one| told.advice.arms[one.arm].way.frozen().is_some());
    let best = transfers.reduce(|best, one| if one.mean > best.mean { one } else { best })?;
    let (.., row) = verdict.rows.iter().find(|(stage, ..)| stage.name == told.arm(best.arm))?;
    Some(row.verdict.class)
}

fn scratch_won(told: &Told, tested: &[Tested<'_>]) -> Option<bool> {
    let best = |is: fn(Way) -> bool| {
        let of = tested.iter().filter(|tested| is(told.advice.arms[tested.arm].way));
        of.map(|tested| tested.mean).max_by(f64::total_cmp)
    };
    let tuned = best(|way| matches!(way, Way::Tuned { .. }))?;
    Some(best(|way| way == Way::Scratch)? > tuned)
}

/// One row for each advice and each verdict.
pub(super) fn table(all: &[AdviceJudged]) -> Table {
    let each = || all.iter();
    let of_brier = |of: fn(&Brier) -> Option<f64>| all.iter().map(move |j| of(j.brier.as_ref()?));
    let place = |place: usize| Some(place as i64 + 1);
    let table = Table::default()
        .text("stage", each().map(|j| Some(j.stage.as_str())))
        .text("verdict", each().map(|j| Some(j.verdict.as_str())))
        .text("target", each().map(|j| Some(j.target.as_str())))
        .text("metric", each().map(|j| Some(j.metric.as_str())))
        .whole("arms", each().map(|j| Some(j.arms as i64)))
        .text("advised", each().map(|j| Some(j.advised.as_str())))
        .text("best", each().map(|j| Some(j.best.as_str())))
        .number("m_advised", each().map(|j| Some(j.m_advised)))
        .number("m_best", each().map(|j| Some(j.m_best)))
        .number("regret", each().map(|j| Some(j.regret)))
        .number("ci_lo", each().map(|j| j.interval.map(|(low, _)| low)))
        .number("ci_hi", each().map(|j| j.interval.map(|(_, high)| high)))
        .number("eps", each().map(|j| Some(j.rope)))
        .flag("hit", each().map(|j| Some(j.is_hit())))
        .flag("in_time", each().map(|j| j.in_time))
        .text("likeness", each().map(|j| Some(j.likeness)))
        .text("believed", each().map(|j| j.believed.clone()))
        .text("outcome", each().map(|j| serde_json::json!(j.outcome?).as_str().map(str::to_owned)))
        .number("weighted_tau", each().map(|j| j.tau))
        .number("brier", of_brier(|b| Some(b.score)))
        .number("brier_base", of_brier(|b| Some(b.base)))
        .number("brier_skill", of_brier(|b| b.skill))
        .whole("decided", each().map(|j| Some(j.brier.map_or(0, |b| b.count as i64))))
        .whole("inconclusive", each().map(|j| Some(j.open as i64)))
        .number("brier_of_p_neg", each().map(|j| j.soft_brier.map(|b| b.score)))
        .whole("predicted_layer", each().map(|j| place(j.layers?.0)))
        .whole("best_layer", each().map(|j| place(j.layers?.1)))
        .whole("layer_error", each().map(|j| j.layers.map(|(a, b)| a.abs_diff(b) as i64)));
    RULES.into_iter().fold(table, |table, name| {
        table.number(&format!("regret_{name}"), each().map(|j| j.rule(name)))
    })
}
