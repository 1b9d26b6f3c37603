//! The end of a run as text: the verdict first.

use std::fmt::Write as _;

use crate::base::counted;
use crate::tables::{EnergyTotal, ScoreRow, Summary, VerdictRow, VerdictTable, Word};

use super::{advice, curves, estimates, front};

/// The summary as lines of text, without a line break at its end.
pub fn render(summary: &Summary) -> String {
    let before = summary.estimates.iter().map(|table| estimates::render(&summary.pipeline, table));
    let agreements = summary.agreements.iter().map(estimates::agreement);
    let verdicts = summary.verdicts.iter().map(|table| verdict(&summary.pipeline, table));
    let advice = summary.advice.iter().map(|table| advice::render(&summary.pipeline, table));
    let worth = summary.advice.iter().filter_map(|table| advice::worth(&summary.pipeline, table));
    let curves = curves::render(&summary.pipeline, &summary.curves);
    let fronts = summary.fronts.iter().map(|table| front::render(&summary.pipeline, table));
    let told = before
        .chain(agreements)
        .chain(advice)
        .chain(verdicts)
        .chain(fronts)
        .chain(curves)
        .chain(worth);
    let mut parts: Vec<String> = told.collect();
    if !summary.scores.is_empty() {
        parts.push(scores(&summary.pipeline, &summary.scores));
    }
    parts.extend(summary.energy.as_ref().map(|total| energy(&summary.pipeline, total)));
    if !summary.doubts.is_empty() {
        let doubts: Vec<String> = summary.doubts.iter().map(|line| format!("  ! {line}")).collect();
        parts.push(doubts.join("\n"));
    }
    parts.join("\n\n")
}

/// What the machine used while the run went on.
fn energy(pipeline: &str, total: &EnergyTotal) -> String {
    let joules = match total.joules {
        joules if joules < 1e4 => format!("{joules:.1} J"),
        joules => format!("{:.4} kWh", joules / 3.6e6),
    };
    let carbon = total.carbon_g.zip(total.carbon_g_per_kwh);
    let carbon = carbon
        .map(|(grams, factor)| format!(", {grams:.3} g CO₂e at {factor} g/kWh"))
        .unwrap_or_default();
    let rest = total.idle_w.map(|watts| format!(", {watts:.1} W at rest")).unwrap_or_default();
    let (seconds, watts, scope) = (total.seconds, total.watts, &total.scope);
    format!(
        "{pipeline} · energy of the machine\n\n  {joules} in {seconds:.1} s, {watts:.1} W on average{rest}{carbon} ({scope})"
    )
}

fn verdict(pipeline: &str, table: &VerdictTable) -> String {
    let groups = table.groups.map(|groups| format!(" of {groups} groups")).unwrap_or_default();
    let metric = table.metric.replace('_', " ");
    let seeds = counted(table.seeds, "seed");
    let items = table.items;
    let mut text = format!("{pipeline} · {seeds} × {items} test items{groups} · {metric}");
    let baselines: Vec<String> = table
        .baselines
        .iter()
        .map(|(name, mean, deviation)| format!("{name} {}", spread(*mean, *deviation)))
        .collect();
    match &baselines[..] {
        [only] => {
            let _ = write!(text, " · {only}");
        }
        many => {
            for line in many {
                let _ = write!(text, "\n  {line}");
            }
        }
    }
    let head = ["arm", "Δ baseline", "95 % interval", "verdict"].map(str::to_owned);
    let name = table.baselines.first().filter(|_| table.baselines.len() == 1);
    let mut rows = vec![match name {
        Some((name, ..)) => {
            [head[0].clone(), format!("Δ {name}"), head[2].clone(), head[3].clone()]
        }
        None => head,
    }];
    rows.extend(table.rows.iter().chain(&table.methods).map(verdict_cells));
    text.push_str("\n\n");
    text.push_str(&aligned(&rows));
    text
}

fn verdict_cells(row: &VerdictRow) -> [String; 4] {
    let word = verdict_word(row.word);
    let remark = match row.remark.is_empty() {
        true => word.to_owned(),
        false => format!("{word}: {}", row.remark),
    };
    let interval = row.interval.map(|(low, high)| format!("[{}, {}]", signed(low), signed(high)));
    [
        row.arm.clone(),
        row.delta.map(signed).unwrap_or_default(),
        interval.unwrap_or_default(),
        remark,
    ]
}

/// A verdict as people read it.
pub(super) fn verdict_word(word: Word) -> &'static str {
    match word {
        Word::Helps => "▲ helps",
        Word::Same => "= no difference",
        Word::Hurts => "▼ hurts",
        Word::Open => "? cannot tell yet",
    }
}

/// "+0.081", "−0.150".
pub(super) fn signed(value: f64) -> String {
    let sign = if value < 0.0 { '−' } else { '+' };
    format!("{sign}{:.3}", value.abs())
}

/// "0.742 ± 0.018".
pub(super) fn spread(mean: Option<f64>, deviation: Option<f64>) -> String {
    match (mean, deviation) {
        (None, _) => "–".to_owned(),
        (Some(mean), None) => format!("{mean:.3}"),
        (Some(mean), Some(deviation)) => format!("{mean:.3} ± {deviation:.3}"),
    }
}

/// Columns of equal width, two spaces in front and between.
pub(super) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &[String; N]| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())));
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn scores(pipeline: &str, rows: &[ScoreRow]) -> String {
    let mut text = format!("{pipeline} · mean ± standard deviation over seeds");
    for row in rows {
        let _ = write!(text, "\n\n  {} on {}", row.stage, row.part);
        for (metric, mean, deviation) in &row.values {
            let _ = write!(text, "\n    {metric:<20} {}", spread(*mean, *deviation));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(arm: &str, delta: f64, word: Word, remark: &str) -> VerdictRow {
        VerdictRow {
            arm: arm.to_owned(),
            delta: Some(delta),
            interval: Some((delta - 0.04, delta + 0.04)),
            word,
            remark: remark.to_owned(),
        }
    }

    #[test]
    fn the_verdict_reads_as_a_table() {
        let table = VerdictTable {
            seeds: 5,
            items: 240,
            groups: Some(61),
            metric: "balanced_accuracy".to_owned(),
            baselines: vec![("scratch".to_owned(), Some(0.742), Some(0.018))],
            rows: vec![
                row("tuned[freeze=block1]", 0.081, Word::Helps, ""),
                row("probe", 0.035, Word::Open, "4 more seeds, or 900 more test items"),
                row("early_svm", -0.004, Word::Same, ""),
                row("far", -0.15, Word::Hurts, ""),
            ],
            methods: vec![row("best of 4 on val", 0.08, Word::Helps, "probe 3×, early_svm 2×")],
        };
        let pipeline = "xray".to_owned();
        let summary = Summary { pipeline, verdicts: vec![table], ..Summary::default() };
        assert_eq!(
            render(&summary),
            "\
xray · 5 seeds × 240 test items of 61 groups · balanced accuracy · scratch 0.742 ± 0.018

  arm                   Δ scratch  95 % interval     verdict
  tuned[freeze=block1]  +0.081     [+0.041, +0.121]  ▲ helps
  probe                 +0.035     [−0.005, +0.075]  ? cannot tell yet: 4 more seeds, or 900 more test items
  early_svm             −0.004     [−0.044, +0.036]  = no difference
  far                   −0.150     [−0.190, −0.110]  ▼ hurts
  best of 4 on val      +0.080     [+0.040, +0.120]  ▲ helps: probe 3×, early_svm 2×"
        );
    }
}
