//! What stands beside a verdict: other tests, subgroups, items that were lost.

use serde::{Deserialize, Serialize};

use crate::stats::{SecondaryTest, SubgroupVerdict, Verdict};

/// Everything that stands beside the verdicts of a stage. Arms are positions among its inputs, as
/// in the rows of the verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// Other tests.
    pub tests: Vec<TestRow>,
    /// Verdicts within subgroups of the test items.
    pub subgroups: Vec<SubgroupRow>,
    /// Items that only one side reliably has right.
    pub changed: Vec<ChangedRow>,
    /// Verdicts on each label or number by itself.
    #[serde(default)]
    pub labels: Vec<LabelRow>,
}

/// One test of one arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestRow {
    /// The arm.
    pub arm: usize,
    /// Its baseline.
    pub baseline: usize,
    /// What the test says.
    #[serde(flatten)]
    pub test: SecondaryTest,
    /// Its p-value, corrected by Holm's method over the arms of the family.
    pub p_holm: Option<f64>,
    /// The same by Benjamini and Hochberg's.
    pub q_bh: Option<f64>,
}

/// One subgroup of one arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubgroupRow {
    /// The arm.
    pub arm: usize,
    /// Its baseline.
    pub baseline: usize,
    /// What may be said.
    #[serde(flatten)]
    pub told: SubgroupVerdict,
}

/// One label, or one number, of one arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelRow {
    /// The arm.
    pub arm: usize,
    /// Its baseline.
    pub baseline: usize,
    /// The label.
    pub label: String,
    /// Test items of which it is known.
    pub items: usize,
    /// Those that have it; nothing of a number.
    pub present: Option<usize>,
    /// Mean over seeds of the arm's metric.
    pub m_transfer: Option<f64>,
    /// Mean over seeds of the baseline's metric.
    pub m_scratch: Option<f64>,
    /// What may be said; its p-values are corrected over all labels of the arm by Holm's method.
    pub verdict: Verdict,
    /// p-value of "not worse than -eps", corrected by Benjamini and Hochberg's.
    pub q_neg_bh: Option<f64>,
    /// p-value of "not better than eps", corrected likewise.
    pub q_pos_bh: Option<f64>,
}

/// One item that only one side reliably has right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangedRow {
    /// The arm.
    pub arm: usize,
    /// Its baseline.
    pub baseline: usize,
    /// Name of the item.
    pub item: String,
    /// Its class.
    pub label: String,
    /// Whether the baseline always had it right and the arm mostly not; else the reverse.
    pub lost: bool,
}
