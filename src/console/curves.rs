//! Curves as text: a line for each arm.

use crate::base::counted;
use crate::curves::Time;
use crate::stages::artifacts::Mean;
use crate::tables::{
    ConvergenceRow, ConvergenceTable, CurveSummary, CurveTable, DepthRow, FreezingTable,
};

use super::summary::{aligned, signed};

/// One text for each stage of curves.
pub(super) fn render(pipeline: &str, curves: &CurveSummary) -> Vec<String> {
    let sizes = curves.sizes.iter().map(|table| sizes(pipeline, table));
    let freezing = curves.freezing.iter().map(|table| freezing(pipeline, table));
    let rising = curves.rising.iter().map(|table| rising(pipeline, table));
    sizes.chain(freezing).chain(rising).collect()
}

fn sizes(pipeline: &str, table: &CurveTable) -> String {
    let seeds = counted(table.seeds, "seed");
    let mut text = format!("{pipeline} · {} over the training items n · {seeds}", table.error);
    let baselines: Vec<String> =
        table.baselines.iter().map(|(name, law)| format!("{name} {law}")).collect();
    match &baselines[..] {
        [only] => text = format!("{text} · {only}"),
        many => many.iter().for_each(|line| text = format!("{text}\n  {line}")),
    }
    let rows: Vec<[String; 2]> =
        table.rows.iter().map(|(arm, told)| [arm.clone(), told.clone()]).collect();
    let note = table.note.iter().map(|note| format!("\n\n  {note}"));
    format!("{text}\n\n{}{}", aligned(&rows), note.collect::<String>())
}

fn freezing(pipeline: &str, table: &FreezingTable) -> String {
    let score = table.score.map(|score| format!(" {score:.3}")).unwrap_or_default();
    let metric = table.metric.replace('_', " ");
    let seeds = counted(table.seeds, "seed");
    let head = format!(
        "{pipeline} · freezing in {} · {seeds} · {metric} · {}{score}",
        table.sweep, table.base
    );
    let names = ["depth", "loss", "co-adaptation", "specificity", "gain if tuned", "shown"];
    let mut rows = vec![names.map(str::to_owned)];
    rows.extend(table.rows.iter().map(|DepthRow { depth, effects, shows }| {
        let [loss, coadapt, specificity, gain] =
            effects.map(|effect| effect.map_or("–".to_owned(), signed));
        [depth.clone(), loss, coadapt, specificity, gain, shows.clone()]
    }));
    let text = format!("{head}\n\n{}", aligned(&rows));
    match table.notes.is_empty() {
        true => text,
        false => format!("{text}\n\n  {}", table.notes.join("\n  ")),
    }
}

fn rising(pipeline: &str, table: &ConvergenceTable) -> String {
    let score = table.score.replace('_', " ");
    let seeds = counted(table.seeds, "seed");
    let head = format!("{pipeline} · {score} on val over the steps · {seeds}");
    let names = ["arm", "start", "end", "area", "steps to 95 % of the baseline's end"];
    let mut rows = vec![names.map(str::to_owned)];
    rows.extend(table.rows.iter().map(rising_cells));
    format!("{head}\n\n{}", aligned(&rows))
}

fn rising_cells(row: &ConvergenceRow) -> [String; 5] {
    let [own, baseline] = row.steps.map(|time| time.map_or("–".to_owned(), told));
    let faster = row.speed_up.map(|ratio| format!(", {ratio:.1} × as fast"));
    let area = row.area.map(|ratio| {
        let sign = if ratio < 0.0 { '−' } else { '+' };
        format!("{sign}{:.1} %", 100.0 * ratio.abs())
    });
    let steps = match row.steps {
        [None, None] => String::new(),
        _ => format!("{own} for {baseline}{}", faster.unwrap_or_default()),
    };
    let area = area.unwrap_or_default();
    [row.arm.clone(), spanned(row.start), spanned(row.end), area, steps]
}

fn told(time: Time) -> String {
    match time {
        Time::At(steps) => format!("{steps:.0}"),
        Time::After(end) => format!("> {end:.0}"),
    }
}

/// "+0.310 [+0.280, +0.340]".
fn spanned(mean: Mean) -> String {
    let Some(value) = mean.mean else { return "–".to_owned() };
    let interval = mean.interval.map(|(lo, hi)| format!(" [{}, {}]", signed(lo), signed(hi)));
    format!("{}{}", signed(value), interval.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learning_curve_has_a_line_for_each_arm() {
        let row = |arm: &str, told: &str| (arm.to_owned(), told.to_owned());
        let table = CurveTable {
            error: "1 - accuracy".to_owned(),
            seeds: 10,
            baselines: vec![row("scratch", "0.050 + 2.000 n^-0.60")],
            rows: vec![
                row("full[source=same]", "ahead below n* = 143 [120, 170], behind above"),
                row("frozen", "behind at all sizes looked at, 25 to 800"),
            ],
            note: Some("n = 25 to 200 is fewer than 300 items".to_owned()),
        };
        assert_eq!(
            sizes("digits", &table),
            "\
digits · 1 - accuracy over the training items n · 10 seeds · scratch 0.050 + 2.000 n^-0.60

  full[source=same]  ahead below n* = 143 [120, 170], behind above
  frozen             behind at all sizes looked at, 25 to 800

  n = 25 to 200 is fewer than 300 items"
        );
    }

    #[test]
    fn a_sweep_has_a_line_for_each_depth() {
        let row = |depth: &str, coadapt, shows: &str| DepthRow {
            depth: depth.to_owned(),
            effects: [Some(0.05), coadapt, None, Some(-0.01)],
            shows: shows.to_owned(),
        };
        let table = FreezingTable {
            sweep: "anb".to_owned(),
            base: "scratch".to_owned(),
            metric: "balanced_accuracy".to_owned(),
            seeds: 5,
            score: Some(0.934),
            rows: vec![row("block1", None, ""), row("block2", Some(0.03), "specificity")],
            notes: vec!["specificity grows with depth".to_owned()],
        };
        assert_eq!(
            freezing("digits", &table),
            "\
digits · freezing in anb · 5 seeds · balanced accuracy · scratch 0.934

  depth   loss    co-adaptation  specificity  gain if tuned  shown
  block1  +0.050  –              –            −0.010
  block2  +0.050  +0.030         –            −0.010         specificity

  specificity grows with depth"
        );
    }

    #[test]
    fn what_is_never_reached_is_told_with_the_end() {
        let mean = |mean| Mean { mean: Some(mean), interval: Some((mean - 0.1, mean + 0.1)) };
        let row = ConvergenceRow {
            arm: "full".to_owned(),
            start: mean(0.3),
            end: mean(-0.01),
            area: Some(0.1063),
            steps: [Some(Time::At(40.4)), Some(Time::After(500.0))],
            speed_up: None,
        };
        let steady = ConvergenceRow {
            steps: [Some(Time::At(40.0)), Some(Time::At(120.0))],
            speed_up: Some(3.0),
            area: Some(-0.02),
            end: Mean::default(),
            ..row.clone()
        };
        let table = ConvergenceTable {
            score: "balanced_accuracy".to_owned(),
            seeds: 10,
            rows: vec![row, steady],
        };
        assert_eq!(
            rising("digits", &table),
            "\
digits · balanced accuracy on val over the steps · 10 seeds

  arm   start                    end                      area     steps to 95 % of the baseline's end
  full  +0.300 [+0.200, +0.400]  −0.010 [−0.110, +0.090]  +10.6 %  40 for > 500
  full  +0.300 [+0.200, +0.400]  –                        −2.0 %   40 for 120, 3.0 × as fast"
        );
    }
}
