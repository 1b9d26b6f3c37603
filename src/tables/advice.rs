//! Advice before training: its table, and the numbers it rests on in words.

use crate::stages::artifacts::{Advice, Advised, Evidence};
use crate::store::{Record, RunAdvised, RunStage};
use crate::transferability::advisor::{Size, Way};

use super::frame::Table;

/// What one stage advised.
pub(super) struct Told {
    /// The stage; `compared` names its arms.
    pub(super) stage: RunStage,
    pub(super) about: RunAdvised,
    pub(super) advice: Advice,
    /// The node's record, with when it was done.
    pub(super) record: Record,
}

impl Told {
    /// The name of an arm by its position.
    pub(super) fn arm(&self, index: usize) -> &str {
        self.stage.compared.get(index).map_or("", String::as_str)
    }

    /// The arm that is advised, if one can be had.
    pub(super) fn advised(&self) -> Option<usize> {
        self.advice.ranking.iter().copied().find(|&arm| self.advice.arms[arm].can)
    }

    fn evidence(&self, arm: &Advised) -> Option<&Evidence> {
        self.advice.models.get(arm.model?)
    }

    fn source(&self, arm: &Advised) -> Option<&str> {
        self.about.models.get(arm.model?).map(|(name, _)| name.as_str())
    }

    /// A layer of a model as it is written.
    pub(super) fn layer(&self, model: usize, layer: usize) -> Option<&str> {
        self.about.models.get(model)?.1.get(layer).map(String::as_str)
    }

    pub(super) fn digest(&self) -> Option<String> {
        Some(self.record.outputs.get("advice")?.digest.to_string())
    }

    /// When it stood, RFC 3339.
    pub(super) fn sealed(&self) -> Option<String> {
        self.record.facts.get("sealed")?.as_str().map(str::to_owned)
    }

    /// The numbers behind an arm's place, in words.
    pub(super) fn explanation(&self, arm: usize) -> String {
        let advised = &self.advice.arms[arm];
        if let Some(struck) = &advised.struck {
            return format!("not advised: {struck}");
        }
        match (advised.model, advised.way) {
            (Some(model), _) => self.reasons(model).join("; "),
            (None, Way::Scratch) => "the control: the same network from random weights".to_owned(),
            _ => "no transfer of features that were scored: not advised".to_owned(),
        }
    }

    /// What is known of a source model, in words.
    pub(super) fn reasons(&self, model: usize) -> Vec<String> {
        let evidence = &self.advice.models[model];
        let textbook = format!("for such a case: {}", evidence.case.textbook());
        let measured = [Some(data(evidence)), Some(alike(evidence)), Some(textbook)];
        let parts = measured.into_iter().chain([self.depth(model), far(evidence), risk(evidence)]);
        parts.flatten().collect()
    }

    fn depth(&self, model: usize) -> Option<String> {
        let evidence = &self.advice.models[model];
        let layer = evidence.layer?;
        let (name, count) = (self.layer(model, layer)?, evidence.errors.len());
        let error = evidence.errors[layer]?;
        Some(format!("probe `{name}`, layer {} of {count}: ridge errs by {error:.2}", layer + 1))
    }
}

fn data(evidence: &Evidence) -> String {
    let for_class = evidence.items / evidence.classes.max(1) as f64;
    let size = evidence.case.size;
    let few = size == Size::Small && evidence.items < 300.0;
    let few = if few { " as fewer than 300 items are" } else { "" };
    format!(
        "n/C = {for_class:.0} ({:.0} items, {} classes, {:.0} of the smallest): {}{few}",
        evidence.items,
        evidence.classes,
        evidence.least_class,
        size.word()
    )
}

fn alike(evidence: &Evidence) -> String {
    let mut parts = Vec::new();
    if let Some(share) = evidence.leep_share {
        parts.push(format!("LEEP {share:.2} of its range"));
    }
    if let (Some(own), Some(pixels)) = (evidence.neighbours, evidence.neighbours_of_pixels) {
        parts.push(format!("neighbours right in {own:.2} of items, {pixels:.2} by pixels"));
    }
    if let Some((own, random)) = evidence.log_me {
        let [own, random] = [own, random].map(|value| format!("{value:.3}").replace('-', "−"));
        parts.push(format!("LogME {own}, {random} by random weights"));
    }
    let word = evidence.case.likeness.word();
    format!("similarity {:.2} ({}): {word}", evidence.similarity, parts.join(", "))
}

/// Distances, which are shown but decide nothing where there are labels.
fn far(evidence: &Evidence) -> Option<String> {
    let within = |null: Option<f64>| {
        let told = |null: f64| format!(" ({null:.2} within the other)").replace('-', "−");
        null.map(told).unwrap_or_default()
    };
    let proxy_a = evidence.proxy_a.map(|(value, null)| format!("PAD {value:.2}{}", within(null)));
    let mmd = evidence.mmd.map(|(value, null, p)| {
        let p = p.map(|p| format!(", p = {p:.3}")).unwrap_or_default();
        let value = format!("{value:.3}").replace('-', "−");
        format!("MMD² {value}{}{p}", within(null))
    });
    let known: Vec<String> = proxy_a.into_iter().chain(mmd).collect();
    (!known.is_empty()).then(|| format!("beside it {}", known.join(", ")))
}

/// What the similarity rests on.
fn available(evidence: &Evidence) -> Vec<String> {
    let known = [
        ("leep", evidence.leep_share.is_some()),
        ("neighbours", evidence.lift.is_some()),
        ("log_me", evidence.log_me.is_some()),
        ("ridge", evidence.errors.iter().any(Option::is_some)),
        ("proxy_a", evidence.proxy_a.is_some()),
        ("mmd", evidence.mmd.is_some()),
    ];
    known.iter().filter(|(_, is)| *is).map(|(name, _)| (*name).to_owned()).collect()
}

/// Weights of a new head, where they are more than items to learn them from.
fn large_head(evidence: &Evidence) -> Option<usize> {
    let head = (evidence.features + 1) * evidence.classes;
    (evidence.items < head as f64).then_some(head)
}

fn risk(evidence: &Evidence) -> Option<String> {
    let (head, items) = (large_head(evidence)?, evidence.items);
    Some(format!("a new head has {head} weights for {items:.0} items, and may learn them by heart"))
}

fn flags(evidence: &Evidence) -> Vec<String> {
    large_head(evidence).map(|_| "head_overfit_risk".to_owned()).into_iter().collect()
}

/// One row for each arm, the one that is advised first.
pub(super) fn table(all: &[Told]) -> Table {
    let rows: Vec<(&Told, usize, usize)> = all
        .iter()
        .flat_map(|told| told.advice.ranking.iter().enumerate().map(move |(r, a)| (told, r, *a)))
        .collect();
    let each = || rows.iter();
    let arm = |row: &&(&Told, usize, usize)| row.0.advice.arms[row.2].clone();
    let number = |of: fn(&Evidence) -> Option<f64>| {
        rows.iter().map(move |(told, _, arm)| of(told.evidence(&told.advice.arms[*arm])?))
    };
    let word = |of: fn(&Evidence) -> &'static str| {
        rows.iter().map(move |(told, _, arm)| told.evidence(&told.advice.arms[*arm]).map(of))
    };
    let layer = |row: &&(&Told, usize, usize)| {
        let model = arm(row).model?;
        Some(row.0.layer(model, row.0.advice.models[model].layer?)?.to_owned())
    };
    let lists = |of: fn(&Evidence) -> Vec<String>| {
        rows.iter().map(move |(told, _, arm)| {
            told.evidence(&told.advice.arms[*arm]).map(of).unwrap_or_default()
        })
    };
    Table::default()
        .text("stage", each().map(|(t, ..)| Some(t.stage.name.as_str())))
        .text("target", each().map(|(t, ..)| Some(t.about.target.as_str())))
        .whole("rank", each().map(|(_, rank, _)| Some(*rank as i64 + 1)))
        .text("arm", each().map(|(t, _, a)| Some(t.arm(*a))))
        .flag("advised", each().map(|(t, _, a)| Some(t.advised() == Some(*a))))
        .text("source", each().map(|(t, _, a)| t.source(&t.advice.arms[*a])))
        .number("p_neg", each().map(|row| arm(&row).p_neg))
        .number("p_best_is_scratch", each().map(|(t, ..)| t.advice.p_best_is_scratch))
        .text("struck", each().map(|row| arm(&row).struck))
        .text("size_class", word(|e| e.case.size.word()))
        .number("sim", number(|e| Some(e.similarity)))
        .text("likeness", word(|e| e.case.likeness.word()))
        .text("believed", each().map(|(t, ..)| t.about.believed.clone()))
        .text("predicted_layer", each().map(|row| layer(&row)))
        .number("n", number(|e| Some(e.items)))
        .number("classes", number(|e| Some(e.classes as f64)))
        .number("least_class", number(|e| Some(e.least_class)))
        .number("leep_share", number(|e| e.leep_share))
        .number("neighbours_lift", number(|e| e.lift))
        .number("log_me_gain", number(|e| e.log_me.map(|(own, random)| own - random)))
        .number("proxy_a", number(|e| e.proxy_a.map(|(value, _)| value)))
        .number("proxy_a_null", number(|e| e.proxy_a?.1))
        .number("mmd", number(|e| e.mmd.map(|(value, ..)| value)))
        .number("mmd_null", number(|e| e.mmd?.1))
        .number("mmd_p", number(|e| e.mmd?.2))
        .texts("inputs_available", lists(available))
        .texts("flags", lists(flags))
        .text("explanation", each().map(|(t, _, a)| Some(t.explanation(*a))))
        .whole("learnt_from", each().map(|(t, ..)| t.advice.learnt_from.map(|n| n as i64)))
        .text("sealed", each().map(|(t, ..)| t.sealed()))
        .text("digest", each().map(|(t, ..)| t.digest()))
}
