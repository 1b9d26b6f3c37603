//! What stands beside the verdicts, as tables: other tests, subgroups, changed items.

use crate::stages::artifacts::{ArmRow, ChangedRow, LabelRow, SubgroupRow, TestRow};
use crate::stats::{Test, Verdict as Judged};
use crate::store::{RunRecord, RunStage};

use super::build::relative;
use super::claims::word;
use super::frame::Table;
use super::gather::Verdict;

/// A row with the verdict and the arms it belongs to.
struct Placed<'a, T> {
    verdict: &'a Verdict,
    arm: &'a RunStage,
    baseline: &'a RunStage,
    whole: &'a ArmRow,
    row: &'a T,
}

/// The tables by name; none in a run without verdicts.
pub(super) fn tables(verdicts: &[Verdict], run: &RunRecord) -> Vec<(&'static str, Table)> {
    if verdicts.is_empty() {
        return vec![];
    }
    let mut tables = vec![
        ("tests", test_table(verdicts, run)),
        ("subgroups", subgroup_table(verdicts, run)),
        ("changed_items", changed_table(verdicts, run)),
    ];
    // Where items have one class each, there are no labels to be told by themselves.
    if verdicts.iter().any(|verdict| !verdict.beside.labels.is_empty()) {
        tables.push(("labels", label_table(verdicts, run)));
    }
    tables
}

fn placed<'a, T>(
    verdicts: &'a [Verdict],
    rows: fn(&'a Verdict) -> &'a [T],
    at: fn(&T) -> (usize, usize),
) -> Vec<Placed<'a, T>> {
    let of_verdict = |verdict: &'a Verdict| {
        rows(verdict).iter().filter_map(move |row| {
            let (arm, baseline) = at(row);
            let (arm, baseline, whole) = verdict.row(arm, baseline)?;
            Some(Placed { verdict, arm, baseline, whole, row })
        })
    };
    verdicts.iter().flat_map(of_verdict).collect()
}

/// The columns that name an arm and its baseline.
fn named<T>(rows: &[Placed<'_, T>], run: &RunRecord) -> Table {
    let each = || rows.iter();
    let id = |p: &Placed<'_, T>| Some(p.verdict.pair_id(run, p.arm, p.baseline));
    Table::default()
        .text("pair_id", each().map(id))
        .text("arm", each().map(|p| Some(p.arm.name.as_str())))
        .text("baseline", each().map(|p| Some(p.baseline.name.as_str())))
}

/// The difference as a share of what the baseline leaves to gain; only of the test that decides.
fn share_of_rest(p: &Placed<'_, TestRow>) -> Option<f64> {
    let decides = p.row.test.test == Test::TwoWay;
    let estimate = p.row.test.estimate.filter(|_| decides)?;
    relative(&p.verdict.metric, estimate, p.whole.numbers.m_scratch?)
}

fn test_table(verdicts: &[Verdict], run: &RunRecord) -> Table {
    let rows = placed(verdicts, |v| &v.beside.tests, |row: &TestRow| (row.arm, row.baseline));
    let each = || rows.iter();
    let number = |of: fn(&TestRow) -> Option<f64>| rows.iter().map(move |p| of(p.row));
    named(&rows, run)
        .text("metric", each().map(|p| p.row.test.metric.clone()))
        .text("test", each().map(|p| word(&p.row.test.test)))
        .text("scope", each().map(|p| word(&p.row.test.scope)))
        .number("estimate", number(|row| row.test.estimate))
        .number("relative", each().map(share_of_rest))
        .number("se", number(|row| row.test.se))
        .number("ci_lo", number(|row| row.test.ci_lo))
        .number("ci_hi", number(|row| row.test.ci_hi))
        .number("p", number(|row| row.test.p))
        .number("p_holm", number(|row| row.p_holm))
        .number("q_bh", number(|row| row.q_bh))
        .number("p_neg", number(|row| row.test.p_neg))
        .number("p_rope", number(|row| row.test.p_rope))
        .number("p_pos", number(|row| row.test.p_pos))
        .text("note", each().map(|p| p.row.test.note.clone()))
}

fn subgroup_table(verdicts: &[Verdict], run: &RunRecord) -> Table {
    let at = |row: &SubgroupRow| (row.arm, row.baseline);
    let rows = placed(verdicts, |v| &v.beside.subgroups, at);
    let each = || rows.iter().map(|p| &p.row.told);
    let judged: Vec<&Judged> = each().map(|told| &told.verdict).collect();
    named(&rows, run)
        .text("metric", rows.iter().map(|p| Some(p.verdict.metric.as_str())))
        .text("column", each().map(|told| Some(told.column.as_str())))
        .text("value", each().map(|told| Some(told.value.as_str())))
        .whole("N", each().map(|told| Some(told.items as i64)))
        .whole("units", each().map(|told| Some(told.verdict.units as i64)))
        .whole("S", each().map(|told| Some(told.verdict.seeds as i64)))
        .judged(&judged, each().map(|told| [told.q_neg_bh, told.q_pos_bh]))
}

fn label_table(verdicts: &[Verdict], run: &RunRecord) -> Table {
    let rows = placed(verdicts, |v| &v.beside.labels, |row: &LabelRow| (row.arm, row.baseline));
    let each = || rows.iter().map(|p| p.row);
    let judged: Vec<&Judged> = each().map(|row| &row.verdict).collect();
    named(&rows, run)
        .text("metric", rows.iter().map(|p| Some(p.verdict.metric.as_str())))
        .text("label", each().map(|row| Some(row.label.as_str())))
        .whole("N", each().map(|row| Some(row.items as i64)))
        .whole("present", each().map(|row| row.present.map(|n| n as i64)))
        .whole("units", each().map(|row| Some(row.verdict.units as i64)))
        .whole("S", each().map(|row| Some(row.verdict.seeds as i64)))
        .number("m_transfer", each().map(|row| row.m_transfer))
        .number("m_scratch", each().map(|row| row.m_scratch))
        .judged(&judged, each().map(|row| [row.q_neg_bh, row.q_pos_bh]))
}

fn changed_table(verdicts: &[Verdict], run: &RunRecord) -> Table {
    let at = |row: &ChangedRow| (row.arm, row.baseline);
    let rows = placed(verdicts, |v| &v.beside.changed, at);
    let each = || rows.iter().map(|p| p.row);
    let fate = |row: &ChangedRow| Some(if row.lost { "lost" } else { "gained" });
    named(&rows, run)
        .text("item", each().map(|row| Some(row.item.as_str())))
        .text("label", each().map(|row| Some(row.label.as_str())))
        .text("fate", each().map(fate))
}
