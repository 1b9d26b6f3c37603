//! What arms score beside what they need, as text.

use crate::base::language::{bytes, short};
use crate::tables::{FrontLine, FrontTable};

use super::summary::{aligned, signed, spread};

/// The table as lines of text, without a line break at its end.
pub(super) fn render(pipeline: &str, table: &FrontTable) -> String {
    let metric = table.metric.replace('_', " ");
    let bits = if table.int8 { "8-bit" } else { "32-bit" };
    let head = ["arm", &metric, "damage", "95 % interval", "flash", "RAM", "MACs", "front"]
        .map(str::to_owned);
    let mut rows = vec![head];
    rows.extend(table.rows.iter().map(cells));
    let is_cut = table.rows.iter().any(|row| row.damage.is_some());
    let text = if is_cut { aligned(&rows) } else { aligned(&undamaged(rows)) };
    format!("{pipeline} · what arms need, in {bits} numbers\n\n{text}")
}

/// The rows where no arm was cut off.
fn undamaged(rows: Vec<[String; 8]>) -> Vec<[String; 6]> {
    let rows = rows.into_iter();
    rows.map(|[arm, score, _, _, flash, ram, macs, front]| [arm, score, flash, ram, macs, front])
        .collect()
}

fn cells(row: &FrontLine) -> [String; 8] {
    let (flash, ram, macs) = row.needs;
    let interval = row.damage.and_then(|(_, interval)| interval);
    let standing = match (row.on_front, row.remark.is_empty()) {
        (true, true) => "●".to_owned(),
        (true, false) => format!("● {}", row.remark),
        (false, _) => format!("○ {}", row.remark).trim_end().to_owned(),
    };
    [
        row.arm.clone(),
        spread(row.score.0, row.score.1),
        row.damage.map(|(delta, _)| signed(delta)).unwrap_or_default(),
        interval.map(|(lo, hi)| format!("[{}, {}]", signed(lo), signed(hi))).unwrap_or_default(),
        bytes(flash),
        bytes(ram),
        short(macs),
        standing,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_damage_read_as_a_table() {
        let line = |arm: &str, score: f64, needs, on_front, remark: &str| FrontLine {
            arm: arm.to_owned(),
            score: (Some(score), Some(0.01)),
            damage: (arm != "full").then_some((score - 0.9, Some((score - 0.95, score - 0.85)))),
            needs,
            on_front,
            remark: remark.to_owned(),
        };
        let rows = vec![
            line("cut", 0.8, (81_920, 16_384, 1_200_000), true, ""),
            line(
                "probe",
                0.7,
                (90_000, 16_384, 1_200_000),
                false,
                "`cut` is no larger and no worse",
            ),
            line(
                "full",
                0.9,
                (2_097_152, 65_536, 41_000_000),
                true,
                "does not fit: flash 2.00 MiB of 1.00 MiB",
            ),
        ];
        let table = FrontTable { metric: "balanced_accuracy".to_owned(), int8: true, rows };
        assert_eq!(
            render("xray", &table),
            "\
xray · what arms need, in 8-bit numbers

  arm    balanced accuracy  damage  95 % interval     flash     RAM       MACs    front
  cut    0.800 ± 0.010      −0.100  [−0.150, −0.050]  80.0 KiB  16.0 KiB  1.2 M   ●
  probe  0.700 ± 0.010      −0.200  [−0.250, −0.150]  87.9 KiB  16.0 KiB  1.2 M   ○ `cut` is no larger and no worse
  full   0.900 ± 0.010                                2.00 MiB  64.0 KiB  41.0 M  ● does not fit: flash 2.00 MiB of 1.00 MiB"
        );
        let mut whole = table;
        whole.rows.truncate(1);
        whole.rows[0].damage = None;
        assert_eq!(
            render("xray", &whole),
            "\
xray · what arms need, in 8-bit numbers

  arm  balanced accuracy  flash     RAM       MACs   front
  cut  0.800 ± 0.010      80.0 KiB  16.0 KiB  1.2 M  ●"
        );
    }
}
