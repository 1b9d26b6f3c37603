//! Advice as a person reads it: what was said before, and what it was worth.

use crate::base::counted;
use crate::stages::artifacts::Advice;
use crate::stats::Class;

use super::advice::Told;
use super::advice_judged::AdviceJudged;

/// What one stage advised.
#[derive(Clone, Debug, PartialEq)]
pub struct AdviceTable {
    /// The data set.
    pub target: String,
    /// Each arm, the one that is advised first, with its chance to hurt.
    pub rows: Vec<(String, Option<f64>)>,
    /// Arms that cannot be had, each with the reason.
    pub struck: Vec<String>,
    /// Each source model with the numbers that the advice rests on.
    pub reasons: Vec<(String, Vec<String>)>,
    /// Where the chances come from.
    pub chances: String,
    /// What it was worth, a line for each verdict and each judgement.
    pub worth: Vec<String>,
}

/// One for each stage that advised.
pub(super) fn summaries(all: &[Told], judged: &[AdviceJudged]) -> Vec<AdviceTable> {
    all.iter().map(|told| summary(told, judged)).collect()
}

fn summary(told: &Told, judged: &[AdviceJudged]) -> AdviceTable {
    let advice = &told.advice;
    let can = advice.ranking.iter().copied().filter(|&arm| advice.arms[arm].can);
    let struck = advice.ranking.iter().filter_map(|&arm| {
        let why = advice.arms[arm].struck.as_ref()?;
        Some(format!("{}: {why}", told.arm(arm)))
    });
    let models = 0..advice.models.len();
    let name = |model: usize| told.about.models.get(model).map_or("", |(name, _)| name.as_str());
    let own = judged.iter().filter(|judged| judged.stage == told.stage.name);
    AdviceTable {
        target: told.about.target.clone(),
        rows: can.map(|arm| (told.arm(arm).to_owned(), advice.arms[arm].p_neg)).collect(),
        struck: struck.collect(),
        reasons: models.map(|model| (name(model).to_owned(), told.reasons(model))).collect(),
        chances: chances(advice),
        worth: own.flat_map(worth).collect(),
    }
}

/// Where chances come from, and what follows from them for scratch.
fn chances(advice: &Advice) -> String {
    let from = match advice.learnt_from {
        None => "the order and the chances are those of textbook cases".to_owned(),
        Some(rows) => format!(
            "the order is that of textbook cases, chances are learnt from {rows} outcomes for other \
             targets"
        ),
    };
    match advice.p_best_is_scratch {
        Some(most) => format!("{from}; that scratch is best has one of {most:.2} at most"),
        None => from,
    }
}

fn worth(judged: &AdviceJudged) -> Vec<String> {
    let chances = judged.brier.map(|brier| {
        let told = format!("chances to hurt: Brier {:.3}", brier.score);
        let base = match brier.skill {
            Some(_) => format!(" against {:.3} of the base rate", brier.base),
            None => String::new(),
        };
        format!(
            "{told}{base}, over {} that decided, of {}",
            counted(brier.count, "verdict"),
            brier.count + judged.open
        )
    });
    let layer = judged.layers.map(|(told, best)| match told == best {
        true => format!("layer {} was predicted and did best", told + 1),
        false => format!("layer {} was predicted, layer {} did best", told + 1, best + 1),
    });
    let late = (judged.in_time == Some(false)).then(|| LATE.to_owned());
    let told = [late, Some(choice(judged)), beside_rules(judged), belief(judged), layer, chances];
    told.into_iter().flatten().collect()
}

/// What was believed of the sources beside what was measured and what came of it.
fn belief(judged: &AdviceJudged) -> Option<String> {
    let (believed, measured) = (judged.believed.as_ref()?, judged.likeness);
    let came = match judged.outcome? {
        Class::Positive => "the best transfer helped",
        Class::Neutral => "the best transfer made no difference",
        Class::Negative => "even the best transfer hurt",
        Class::Inconclusive => "whether the best transfer helped cannot be told yet",
    };
    Some(format!("the source was believed {believed}, measured {measured}; {came}"))
}

const LATE: &str = "it was given after its arms were scored on test: it goes on no record";

/// The arm that was advised beside the best.
fn choice(judged: &AdviceJudged) -> String {
    let metric = judged.metric.replace('_', " ");
    if judged.advised == judged.best {
        return format!("`{}` was advised and did best in {metric}", judged.advised);
    }
    let interval = match judged.interval {
        Some((low, high)) => format!(" [{low:.3}, {high:.3}]").replace('-', "−"),
        None => String::new(),
    };
    let hit = match (judged.is_hit(), judged.interval) {
        (true, _) => ", which makes no difference",
        (false, Some((low, _))) if low <= 0.0 => ", which may be chance",
        _ => "",
    };
    format!(
        "`{}` was advised, `{}` did best: {:.3}{interval} better in {metric}{hit}",
        judged.advised, judged.best, judged.regret
    )
}

/// Whether anybody needed the advice.
fn beside_rules(judged: &AdviceJudged) -> Option<String> {
    let rules = [
        ("full_fine_tuning", "always fine-tuning"),
        ("probe_then_fine_tuning", "always tuning gently"),
        ("linear_probe", "always probing the last layer"),
        ("scratch", "always training from scratch"),
        ("highest_log_me", "taking the highest LogME"),
    ];
    let known: Vec<(f64, &str)> = rules
        .iter()
        .filter_map(|(name, words)| Some((judged.rule(name)? - judged.regret, *words)))
        .collect();
    let of = |holds: &dyn Fn(f64) -> bool| {
        let held = known.iter().filter(|(ahead, _)| holds(*ahead));
        held.map(|(_, words)| *words).collect::<Vec<_>>().join(", ")
    };
    let sides = [
        ("worse than", of(&|ahead| ahead < -judged.rope)),
        ("no better than", of(&|ahead| ahead.abs() <= judged.rope)),
        ("better than", of(&|ahead| ahead > judged.rope)),
    ];
    let told: Vec<String> = sides
        .iter()
        .filter(|(_, rules)| !rules.is_empty())
        .map(|(how, rules)| format!("{how} {rules}"))
        .collect();
    let (last, before) = told.split_last()?;
    let is_mixed = !before.is_empty() && last.starts_with("better");
    let but = if is_mixed { "but " } else { "" };
    let last = format!("{but}{last}");
    let all: Vec<&str> = before.iter().chain([&last]).map(String::as_str).collect();
    Some(format!("the advice was {}", all.join(", ")))
}
