//! Scores before training as text.

use crate::tables::{Agreement, EstimateTable};

use super::summary::{aligned, signed};

/// One table for each layer.
pub(super) fn render(pipeline: &str, table: &EstimateTable) -> String {
    let has_random = table.rows.iter().any(|row| row.on_random.is_some());
    let has_null = table.rows.iter().any(|row| row.null.is_some());
    let named = |is: bool, name: &str| if is { name.to_owned() } else { String::new() };
    let mut rows = vec![[
        "score".to_owned(),
        "value".to_owned(),
        named(has_random, "on random weights"),
        named(has_null, "within the other"),
        String::new(),
    ]];
    let number = |value: Option<f64>| value.map(signed).unwrap_or_default();
    rows.extend(table.rows.iter().map(|row| {
        let value = row.value.map_or("–".to_owned(), signed);
        let remark = row.remark.clone().unwrap_or_default();
        [row.score.clone(), value, number(row.on_random), number(row.null), remark]
    }));
    let used = |column: usize| rows.iter().any(|row| !row[column].is_empty());
    // A column that nobody needs takes no room.
    let kept: Vec<usize> = (0..5).filter(|&column| used(column)).collect();
    let packed: Vec<[String; 5]> = rows
        .iter()
        .map(|row| std::array::from_fn(|at| kept.get(at).map_or("", |&c| &row[c]).to_owned()))
        .collect();
    format!(
        "{pipeline} · {} for {} before training · {} items × {} features\n\n{}",
        table.features,
        table.target,
        table.items,
        table.size,
        aligned(&packed)
    )
}

/// How far scores put features in one order.
pub(super) fn agreement(told: &Agreement) -> String {
    format!(
        "  {} scores agree by W = {:.2} on the order of {} features for {} (Kendall: 1 is one order, 0 \
         none)",
        told.scores.len(),
        told.w,
        told.features,
        told.target
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::EstimateRow;

    #[test]
    fn scores_read_as_a_table() {
        let row = |score: &str, value, on_random, null, remark: Option<&str>| EstimateRow {
            score: score.to_owned(),
            value,
            on_random,
            null,
            remark: remark.map(str::to_owned),
        };
        let mut table = EstimateTable {
            features: "codes.gap".to_owned(),
            target: "xray".to_owned(),
            items: 240,
            size: 64,
            rows: vec![
                row("log_me", Some(0.264), Some(-0.031), None, None),
                row("sfda", None, None, None, Some("6 features are fewer than 10 classes")),
                row("mmd", Some(0.02), None, Some(-0.001), None),
            ],
        };
        assert_eq!(
            render("study", &table),
            "\
study · codes.gap for xray before training · 240 items × 64 features

  score   value   on random weights  within the other
  log_me  +0.264  −0.031
  sfda    –                                            6 features are fewer than 10 classes
  mmd     +0.020                     −0.001"
        );
        table.rows.truncate(1);
        table.rows[0].on_random = None;
        assert_eq!(
            render("study", &table),
            "\
study · codes.gap for xray before training · 240 items × 64 features

  score   value
  log_me  +0.264"
        );
    }
}
