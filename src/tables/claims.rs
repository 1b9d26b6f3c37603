//! Columns that every table of verdicts has, each named once.

use serde::Serialize;
use serde_json::json;

use crate::stats::{Numbers, Verdict};

use super::frame::Table;

/// A value of the language as a cell; none of what is no word.
pub(super) fn word(value: &impl Serialize) -> Option<String> {
    json!(value).as_str().map(str::to_owned)
}

impl Table {
    /// The 95 % interval and every p-value and share of some verdicts.
    pub(super) fn intervals(self, verdicts: &[&Verdict]) -> Self {
        let number =
            |of: fn(Numbers) -> f64| verdicts.iter().map(move |verdict| verdict.numbers.map(of));
        self.number("ci_lo", number(|n| n.ci_lo))
            .number("ci_hi", number(|n| n.ci_hi))
            .number("p", number(|n| n.p))
            .number("p_neg", number(|n| n.p_neg))
            .number("p_rope", number(|n| n.p_rope))
            .number("p_pos", number(|n| n.p_pos))
            .number("p_holm_neg", number(|n| n.q_neg_holm))
            .number("p_holm_pos", number(|n| n.q_pos_holm))
    }

    /// What is claimed, or why nothing is.
    pub(super) fn claims(self, verdicts: &[&Verdict]) -> Self {
        let each = || verdicts.iter();
        self.text("verdict", each().map(|verdict| word(&verdict.class)))
            .text("lean", each().map(|verdict| word(&verdict.lean)))
            .text("reason", each().map(|verdict| verdict.reason()))
    }

    /// Everything of verdicts on parts of the test items, with the p-values that were corrected by
    /// Benjamini and Hochberg's method.
    pub(super) fn judged(
        self,
        verdicts: &[&Verdict],
        screened: impl Iterator<Item = [Option<f64>; 2]> + Clone,
    ) -> Self {
        let each = || verdicts.iter();
        let number =
            |of: fn(Numbers) -> f64| verdicts.iter().map(move |verdict| verdict.numbers.map(of));
        self.number("delta", number(|n| n.delta))
            .number("se", number(|n| n.se))
            .intervals(verdicts)
            .number("q_bh_neg", screened.clone().map(|[hurt, _]| hurt))
            .number("q_bh_pos", screened.map(|[_, helped]| helped))
            .claims(verdicts)
            .text("test", each().map(|verdict| word(&verdict.decider)))
            .number("mde80", number(|n| n.mde80))
            .number("eps", each().map(|verdict| Some(verdict.eps)))
            .texts("flags", each().map(|verdict| verdict.flags.clone()))
    }
}
