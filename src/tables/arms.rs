//! What an arm is beside others: a way of transferring, or one of the controls it is read beside.

use crate::stages::artifacts::{ArmRow, Outcome};
use crate::stats::Reason;
use crate::store::RunStage;

use super::build::arm_fact;
use super::gather::{Gathered, Verdict};

/// How many times the steps of the baseline make a long one of it.
const LONG: usize = 3;

/// A baseline with more steps, for one that had too few.
pub(super) const SCRATCH_LONG: &str = "scratch_long";

fn text<'a>(stage: &'a RunStage, name: &str) -> Option<&'a str> {
    arm_fact(stage, name)?.as_str()
}

/// The control that an arm is by itself; nothing for a way of transferring.
pub(super) fn control(arm: &RunStage) -> Option<&'static str> {
    let is_frozen = text(arm, "freeze").is_some_and(|freeze| freeze != "none");
    match (arm.kind.as_str(), text(arm, "init"), is_frozen) {
        ("majority", ..) => Some("majority"),
        ("pixel_linear", ..) => Some("pixel_linear"),
        ("pretrain", ..) => None,
        (_, Some("random"), false) => Some("scratch"),
        (_, Some("random"), true) => Some("random_frozen"),
        (_, Some("meanvar"), false) => Some("scratch_meanvar"),
        (_, Some("meanvar"), true) => Some("meanvar_frozen"),
        (_, Some("permuted"), false) => Some("scratch_permuted"),
        (_, Some("permuted"), true) => Some("permuted_frozen"),
        _ => None,
    }
}

impl Gathered {
    /// The control that an arm is beside its baseline: one that differs from it in having three
    /// times the steps is the long one.
    pub(super) fn control(&self, arm: &RunStage, baseline: &RunStage) -> Option<&'static str> {
        let own = control(arm)?;
        let both_scratch = own == "scratch" && control(baseline) == Some("scratch");
        let is_long = both_scratch
            && self.steps(arm).zip(self.steps(baseline)).is_some_and(|(a, b)| a >= LONG * b.max(1));
        Some(if is_long { SCRATCH_LONG } else { own })
    }

    /// Steps that a stage may train at most.
    fn steps(&self, stage: &RunStage) -> Option<usize> {
        let own = self.trained.iter().filter(|trained| trained.stage.name == stage.name);
        let totals = own.flat_map(|trained| &trained.trials).filter_map(|trial| {
            let Outcome::Trained { total, .. } = &trial.outcome else { return None };
            Some(*total)
        });
        totals.max()
    }

    /// What should stand beside a comparison whose baseline is behind and was still improving.
    pub(super) fn advised(&self, verdict: &Verdict, row: &ArmRow) -> Option<Advised> {
        if !baseline_ran_out(row) {
            return None;
        }
        let same_baseline =
            verdict.rows.iter().filter(|(.., other)| other.baseline == row.baseline);
        let mut long = same_baseline
            .filter(|(arm, baseline, _)| self.control(arm, baseline) == Some(SCRATCH_LONG));
        Some(match long.next() {
            Some((arm, ..)) => Advised::Compare(arm.name.clone()),
            None => Advised::Add,
        })
    }
}

/// What to do about a baseline that had too few steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Advised {
    /// A long one should be added.
    Add,
    /// There is a long one, of this name.
    Compare(String),
}

/// Whether the baseline is the side that is behind and was still improving at its end.
fn baseline_ran_out(row: &ArmRow) -> bool {
    let has = |flag: &str| row.verdict.flags.iter().any(|known| known == flag);
    let is_ahead = row.verdict.numbers.is_none_or(|numbers| numbers.delta > 0.0);
    row.verdict.reasons.contains(&Reason::BudgetLimited)
        && has("baseline_budget_limited")
        && (is_ahead || !has("budget_limited"))
}
