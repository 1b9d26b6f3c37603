//! Runs in a list, and two runs side by side, as text.

use std::fmt::Write as _;

use crate::base::counted;
use crate::store::Looks;
use crate::tables::{ArmComparison, BestArm, Change, Ended, RunComparison, RunRow, Scope};

use super::summary::{aligned, signed, verdict_word};

/// A list of runs, without a line break at its end.
pub fn render_runs(rows: &[RunRow]) -> String {
    let head = ["run", "pipeline", "began (UTC)", "ended", "seeds", "runtime", "best arm"];
    let mut cells = vec![head.map(str::to_owned)];
    cells.extend(rows.iter().map(run_cells));
    aligned(&cells)
}

/// Test parts with their looks, without a line break at its end.
pub fn render_looks(all: &[Looks]) -> String {
    let head =
        ["data set", "test", "items", "looks", "arms", "first (UTC)", "last (UTC)", "pipelines"];
    let mut cells = vec![head.map(str::to_owned)];
    cells.extend(all.iter().map(|looks| {
        let pipelines: Vec<&str> = looks.pipelines.iter().map(String::as_str).collect();
        [
            looks.dataset.clone(),
            looks.test.chars().take(8).collect(),
            looks.items.to_string(),
            looks.looks.to_string(),
            looks.arms.to_string(),
            to_the_second(&looks.first),
            to_the_second(&looks.last),
            pipelines.join(", "),
        ]
    }));
    aligned(&cells)
}

fn run_cells(row: &RunRow) -> [String; 7] {
    let hits = match row.hits {
        0 => String::new(),
        hits => format!(", {hits} of {} were there", row.nodes),
    };
    let ended = match row.ended {
        Ended::Done => "done",
        Ended::Failed => "failed",
        Ended::Interrupted => "interrupted",
        Ended::Unfinished => "at work, or ended by force",
    };
    let known = row.started.is_some();
    [
        row.run.clone(),
        row.pipeline.clone(),
        row.started.as_deref().map(to_the_second).unwrap_or_default(),
        format!("{ended}{hits}"),
        if known { row.seeds.to_string() } else { String::new() },
        row.runtime.clone(),
        row.best.as_ref().map(best).unwrap_or_default(),
    ]
}

/// "2026-11-21 16:00:35" of RFC 3339.
fn to_the_second(time: &str) -> String {
    let plain = time.split(['.', 'Z']).next().unwrap_or(time);
    plain.replace('T', " ")
}

fn best(best: &BestArm) -> String {
    format!("{} {} {}", best.arm, signed(best.delta), verdict_word(best.word))
}

/// A run beside its reference, without a line break at its end.
pub fn render_comparison(found: &RunComparison) -> String {
    let mut text = headline(found);
    if !found.arms.is_empty() {
        let _ = write!(text, "\n\n{}", table(found));
    }
    let only = [(&found.only_in_reference, &found.reference), (&found.only_in_run, &found.run)];
    let only = only.iter().filter(|(arms, _)| !arms.is_empty());
    let only: Vec<String> =
        only.map(|(arms, run)| format!("  only in {run}: {}", arms.join(", "))).collect();
    if !only.is_empty() {
        let _ = write!(text, "\n\n{}", only.join("\n"));
    }
    text.push_str("\n\n");
    match found.changes.is_empty() {
        true => text.push_str("nothing was set otherwise"),
        false => text.push_str("set otherwise:"),
    }
    for setting in &found.changes {
        let side =
            |value: &Option<String>| value.as_deref().map_or("not there".to_owned(), shortened);
        let (before, after) = (side(&setting.before), side(&setting.after));
        let _ = write!(text, "\n  {}: {before} → {after}", setting.what);
    }
    text
}

fn headline(found: &RunComparison) -> String {
    let RunComparison { pipeline, reference, run, .. } = found;
    let metric = found.metric.replace('_', " ");
    let mut text = format!("{pipeline} · {run} against {reference} · {metric}");
    let seeds = counted(found.seeds.len(), "shared seed");
    let _ = write!(text, " · {seeds}");
    let first = found.arms.iter().max_by_key(|arm| arm.items);
    if let Some(items) = first.and_then(|arm| arm.items) {
        let groups = first.and_then(|arm| arm.groups);
        let groups = groups.map(|groups| format!(" of {groups} groups")).unwrap_or_default();
        let _ = write!(text, " × {items} {} items{groups}", found.split);
    }
    if found.arms.iter().any(|arm| arm.scope == Scope::Seeds) {
        text.push_str(" · intervals over seeds alone: other items could differ more");
    }
    text
}

fn table(found: &RunComparison) -> String {
    let head = ["arm", "before", "after", "Δ", "95 % interval", "change", "against its baseline"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(found.arms.iter().map(arm_cells));
    if found.arms.iter().all(|arm| arm.verdict_before.is_none() && arm.verdict_after.is_none()) {
        rows[0][6].clear();
    }
    aligned(&rows)
}

fn arm_cells(arm: &ArmComparison) -> [String; 7] {
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
    let interval = arm.interval.map(|(low, high)| format!("[{}, {}]", signed(low), signed(high)));
    let word = match arm.word {
        Change::Better => "▲ better",
        Change::Same => "= no difference",
        Change::Worse => "▼ worse",
        Change::Open => "? cannot tell",
    };
    let remark = match arm.remark.is_empty() {
        true => word.to_owned(),
        false => format!("{word}: {}", arm.remark),
    };
    [
        arm.arm.clone(),
        number(arm.before),
        number(arm.after),
        arm.delta.map(signed).unwrap_or_default(),
        interval.unwrap_or_default(),
        remark,
        verdicts(arm),
    ]
}

/// "▲ helps → ? cannot tell yet"; one word if both runs say the same.
fn verdicts(arm: &ArmComparison) -> String {
    let word = |verdict: &Option<String>| match verdict {
        Some(verdict) => verdict_word(crate::tables::word_of(verdict)).to_owned(),
        None => "–".to_owned(),
    };
    if arm.verdict_before.is_none() && arm.verdict_after.is_none() {
        return String::new();
    }
    let (before, after) = (word(&arm.verdict_before), word(&arm.verdict_after));
    if before == after { before } else { format!("{before} → {after}") }
}

/// Whole stages are longer than a line.
fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
