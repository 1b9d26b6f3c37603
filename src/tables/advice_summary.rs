//! Advice as a person reads it: what was said before, and what it was worth.

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
        chances: match advice.learnt_from {
            None => "chances are those of a table of textbook cases".to_owned(),
            Some(rows) => format!("chances are learnt from {rows} outcomes for other targets"),
        },
        worth: own.flat_map(worth).collect(),
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
            "{told}{base}, over {} verdicts that decided, of {}",
            brier.count,
            brier.count + judged.open
        )
    });
    let layer = judged.layers.map(|(told, best)| match told == best {
        true => format!("layer {} was predicted and did best", told + 1),
        false => format!("layer {} was predicted, layer {} did best", told + 1, best + 1),
    });
    let late = (judged.in_time == Some(false)).then(|| LATE.to_owned());
    let told = [late, Some(choice(judged)), beside_rules(judged), layer, chances];
    told.into_iter().flatten().collect()
}

const LATE: &str = "it was given after its arms were scored on test: it goes on no record";

/// The arm that was advised beside the best.
fn choice(judged: &AdviceJudged) -> String {
    let metric = judged.metric.replace('_', " ");
    if judged.advised == judged.best {
        return format!("`{}` was advised and did best in {metric}", judged.advised);
    }
    let interval = match judged.interval {
        Some((low, high)) => format!(" [{low:.3}, {high:.3}]"),
        None => String::new(),
    };
    let hit = match judged.is_hit() {
        true => ", which makes no difference",
        false => "",
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
        ("linear_probe", "always probing the last layer"),
        ("scratch", "always training from scratch"),
        ("highest_log_me", "taking the highest LogME"),
    ];
    let regret = |name: &str| judged.rule(name);
    let ahead = |name: &str| Some(regret(name)? - judged.regret);
    let (better, rest): (Vec<_>, Vec<_>) = rules
        .iter()
        .filter_map(|(name, words)| Some((ahead(name)?, *words)))
        .partition(|(ahead, _)| *ahead > judged.rope);
    if better.is_empty() && rest.is_empty() {
        return None;
    }
    let words = |some: &[(f64, &str)]| some.iter().map(|(_, w)| *w).collect::<Vec<_>>().join(", ");
    Some(match (better.is_empty(), rest.is_empty()) {
        (false, true) => format!("the advice was better than {}", words(&better)),
        (true, _) => format!("the advice was no better than {}", words(&rest)),
        (false, false) => format!(
            "the advice was no better than {}, but better than {}",
            words(&rest),
            words(&better)
        ),
    })
}
