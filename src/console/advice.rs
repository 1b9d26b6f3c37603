//! Advice as text.

use crate::tables::AdviceTable;

use super::summary::aligned;

/// What was said before training.
pub(super) fn render(pipeline: &str, table: &AdviceTable) -> String {
    let mut rows = vec![["advised".to_owned(), "chance to hurt".to_owned()]];
    rows.extend(table.rows.iter().map(|(arm, chance)| {
        [arm.clone(), chance.map_or("–".to_owned(), |chance| format!("{chance:.2}"))]
    }));
    let struck = table.struck.iter().map(|why| format!("  not advised: {why}"));
    let reasons = table.reasons.iter().flat_map(|(model, reasons)| {
        let reasons = reasons.iter().map(|reason| format!("    {reason}"));
        std::iter::once(format!("  {model}")).chain(reasons)
    });
    let notes: Vec<String> =
        struck.chain(reasons).chain([format!("  {}", table.chances)]).collect();
    format!(
        "{pipeline} · advice for {} before training\n\n{}\n\n{}",
        table.target,
        aligned(&rows),
        notes.join("\n")
    )
}

/// What it was worth; nothing if that cannot be told.
pub(super) fn worth(pipeline: &str, table: &AdviceTable) -> Option<String> {
    let lines: Vec<String> = table.worth.iter().map(|line| format!("  {line}")).collect();
    let told = || {
        let target = &table.target;
        format!("{pipeline} · what the advice for {target} was worth\n\n{}", lines.join("\n"))
    };
    (!lines.is_empty()).then(told)
}
