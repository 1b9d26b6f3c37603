//! The running record as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::base::counted;
use crate::tables::{CaseTally, Question, RunningRecord, Tally};

use super::summary::aligned;

/// What scores and advice before training turned out to be worth so far.
pub fn render_record(record: &RunningRecord) -> String {
    if record.scores.is_empty() && record.cases.is_empty() {
        return "no score before training and no advice has been judged here yet".to_owned();
    }
    let parts = [scores(&record.scores), cases(&record.cases), rules(record), chances(record)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// The record of some scores, as the end of a run tells it: those with the same record in one line.
pub fn render_tallies(tallies: &[Tally]) -> String {
    let record = |tally: &Tally| {
        let asked = match tally.question {
            Question::First => "which model is best",
            Question::Sign => "whether features help",
        };
        (asked, tally.wrong, tally.judged)
    };
    let mut alike: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for tally in tallies {
        alike.entry(record(tally)).or_default().push(&tally.score);
    }
    let line = |((asked, wrong, judged), scores): (_, Vec<&str>)| {
        let times = counted(judged, "time");
        format!("  wrong {wrong} of {times} about {asked}: {}", scores.join(", "))
    };
    alike.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

fn scores(tallies: &[Tally]) -> String {
    let head = ["score", "wrong about the best model", "wrong about help or harm"];
    let mut rows = vec![head.map(str::to_owned)];
    let mut names: Vec<&str> = tallies.iter().map(|tally| tally.score.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let of = |question: Question| {
            let found = tallies.iter().find(|t| t.score == name && t.question == question);
            found.map_or(String::new(), |tally| format!("{} of {}", tally.wrong, tally.judged))
        };
        rows.push([name.to_owned(), of(Question::First), of(Question::Sign)]);
    }
    if rows.len() == 1 { String::new() } else { aligned(&rows) }
}

fn cases(cases: &[CaseTally]) -> String {
    if cases.is_empty() {
        return String::new();
    }
    let head = ["data", "source", "advice as good as the best", "95 % interval"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(cases.iter().map(|case| {
        let interval = case.interval.map(|(low, high)| format!("[{low:.2}, {high:.2}]"));
        [
            case.size.clone(),
            case.likeness.clone(),
            format!("{} of {}", case.hits, case.judged),
            interval.unwrap_or_else(|| "untested: fewer than 5".to_owned()),
        ]
    }));
    aligned(&rows)
}

fn rules(record: &RunningRecord) -> String {
    if record.rules.is_empty() {
        return String::new();
    }
    let mut rows = vec![["rule", "regret", "of the advice", "studies"].map(str::to_owned)];
    rows.extend(record.rules.iter().map(|(name, own, advice, studies)| {
        let name = name.replace('_', " ");
        [format!("always {name}"), format!("{own:.2}"), format!("{advice:.2}"), studies.to_string()]
    }));
    let mut text = aligned(&rows);
    text.push_str(
        "\n\n  regret: how much better the best arm was, 1 being what makes a difference",
    );
    let (scratch, tuned) = record.scratch_won;
    if scratch + tuned > 0 {
        let _ = write!(
            text,
            "\n  of much data and a different source scratch was best {scratch} times, fine-tuning {tuned}"
        );
    }
    text
}

fn chances(record: &RunningRecord) -> String {
    if record.calibration.is_empty() {
        return String::new();
    }
    let mut rows = vec![["chance to hurt", "told", "hurt", "arms"].map(str::to_owned)];
    rows.extend(record.calibration.iter().map(|bin| {
        let range = format!("{:.1} to {:.1}", bin.from, bin.from + 0.2);
        [range, format!("{:.2}", bin.told), format!("{:.2}", bin.came), bin.count.to_string()]
    }));
    aligned(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::CalibrationBin;

    fn tally(score: &str, question: Question, wrong: usize, judged: usize) -> Tally {
        Tally { score: score.to_owned(), question, wrong, judged }
    }

    #[test]
    fn the_record_reads_as_tables() {
        let record = RunningRecord {
            scores: vec![
                tally("log_me", Question::First, 3, 7),
                tally("cka", Question::First, 1, 7),
                tally("log_me", Question::Sign, 0, 2),
            ],
            cases: vec![CaseTally {
                size: "small".to_owned(),
                likeness: "similar".to_owned(),
                hits: 2,
                judged: 3,
                interval: None,
            }],
            rules: vec![("full_fine_tuning".to_owned(), 1.5, 0.25, 3)],
            calibration: vec![CalibrationBin { from: 0.0, count: 4, told: 0.1, came: 0.25 }],
            outcomes: 4,
            scratch_won: (1, 2),
        };
        assert_eq!(
            render_record(&record),
            "  score   wrong about the best model  wrong about help or harm
  cka     1 of 7
  log_me  3 of 7                      0 of 2

  data   source   advice as good as the best  95 % interval
  small  similar  2 of 3                      untested: fewer than 5

  rule                     regret  of the advice  studies
  always full fine tuning  1.50    0.25           3

  regret: how much better the best arm was, 1 being what makes a difference
  of much data and a different source scratch was best 1 times, fine-tuning 2

  chance to hurt  told  hurt  arms
  0.0 to 0.2      0.10  0.25  4"
        );
        assert_eq!(
            render_tallies(&[
                tally("log_me", Question::Sign, 0, 1),
                tally("cka", Question::First, 1, 7),
                tally("gbc", Question::Sign, 0, 1),
            ]),
            "  wrong 0 of 1 time about whether features help: log_me, gbc
  wrong 1 of 7 times about which model is best: cka"
        );
        let empty = render_record(&RunningRecord::default());
        assert_eq!(empty, "no score before training and no advice has been judged here yet");
    }
}
