//! Had the baseline as much to spend as the arm? What both may spend on training and on choosing,
//! side by side.

use serde_json::Value as Json;

use crate::store::{RunRecord, RunStage};

use super::frame::Table;
use super::gather::Verdict;

/// One thing that both sides may spend.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Compared {
    /// What: `trials`, `steps`.
    pub(super) name: String,
    of_arm: String,
    of_baseline: String,
    /// The side that has less of it; nothing where there is no less.
    pub(super) less: Option<Side>,
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Arm,
    Baseline,
}

impl Side {
    fn word(self) -> &'static str {
        match self {
            Self::Arm => "arm",
            Self::Baseline => "baseline",
        }
    }
}

/// Everything that both an arm and its baseline may spend: what has no meaning for one of them is
/// left out.
pub(super) fn compared(arm: &RunStage, baseline: &RunStage) -> Vec<Compared> {
    let aspects = |stage: &RunStage| -> Vec<Json> {
        let effort = stage.arm.as_ref().and_then(|arm| arm.get("effort")?.as_array().cloned());
        effort.unwrap_or_default()
    };
    let other = aspects(baseline);
    aspects(arm)
        .iter()
        .filter_map(|own| one(own, other.iter().find(|other| other["name"] == own["name"])?))
        .collect()
}

fn one(own: &Json, other: &Json) -> Option<Compared> {
    let word = |aspect: &Json, key: &str| Some(aspect[key].as_str()?.to_owned());
    let less = match (own["size"].as_f64(), other["size"].as_f64()) {
        (Some(arm), Some(baseline)) if arm < baseline => Some(Side::Arm),
        (Some(arm), Some(baseline)) if arm > baseline => Some(Side::Baseline),
        _ => None,
    };
    Some(Compared {
        name: word(own, "name")?,
        of_arm: word(own, "told")?,
        of_baseline: word(other, "told")?,
        less,
    })
}

/// What the baseline had less of, in words; nothing if of nothing.
pub(super) fn baseline_had_less(arm: &RunStage, baseline: &RunStage) -> Option<String> {
    let told: Vec<String> = compared(arm, baseline)
        .iter()
        .filter(|aspect| aspect.less == Some(Side::Baseline))
        .map(|aspect| {
            let name = aspect.name.replace('_', " ");
            format!("{name} {} instead of {}", aspect.of_baseline, aspect.of_arm)
        })
        .collect();
    (!told.is_empty()).then(|| format!("the baseline had less: {}", told.join(", ")))
}

/// The table; nothing where nothing is trained.
pub(super) fn table(verdicts: &[Verdict], run: &RunRecord) -> Option<Table> {
    let mut rows = Vec::new();
    for verdict in verdicts {
        for (arm, baseline, _) in &verdict.rows {
            let id = verdict.pair_id(run, arm, baseline);
            let told = compared(arm, baseline).into_iter();
            rows.extend(told.map(|aspect| (id.clone(), arm, baseline, aspect)));
        }
    }
    if rows.is_empty() {
        return None;
    }
    let each = || rows.iter();
    let table = Table::default()
        .text("pair_id", each().map(|(id, ..)| Some(id.as_str())))
        .text("arm", each().map(|(_, arm, ..)| Some(arm.name.as_str())))
        .text("baseline", each().map(|(_, _, baseline, _)| Some(baseline.name.as_str())))
        .text("aspect", each().map(|(.., aspect)| Some(aspect.name.as_str())))
        .text("of_arm", each().map(|(.., aspect)| Some(aspect.of_arm.as_str())))
        .text("of_baseline", each().map(|(.., aspect)| Some(aspect.of_baseline.as_str())))
        .flag("same", each().map(|(.., aspect)| Some(aspect.of_arm == aspect.of_baseline)))
        .text("less", each().map(|(.., aspect)| aspect.less.map(Side::word)));
    Some(table)
}
