//! Verdicts on ways of transferring.

use serde::{Deserialize, Serialize};

use crate::stats::Verdict;

/// One arm against its baseline. Names are added by whoever reads the plan: the same work under
/// another name is the same work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmRow {
    /// Position of the arm among the stage's inputs.
    pub arm: usize,
    /// Position of its baseline.
    pub baseline: usize,
    /// What it did, in numbers.
    #[serde(flatten)]
    pub numbers: ArmNumbers,
    /// The verdict.
    pub verdict: Verdict,
}

/// What an arm and its baseline did, in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmNumbers {
    /// Mean over seeds of the arm's metric.
    pub m_transfer: Option<f64>,
    /// Mean over seeds of the baseline's metric.
    pub m_scratch: Option<f64>,
    /// Its standard deviation over seeds.
    pub sd_scratch: Option<f64>,
    /// What predicting the most frequent training class gives.
    pub m_majority: Option<f64>,
    /// Items trained on.
    pub n_train: Option<usize>,
    /// Test items.
    pub items: usize,
    /// Groups of test items, where they have groups.
    pub groups: Option<usize>,
    /// Median of the chosen learning rates, where there are any.
    pub lr_head: Option<f64>,
    /// Median of the chosen C, where there are any.
    pub c: Option<f64>,
    /// Items that only the arm got right, of the first seed's pair of models.
    pub n01: Option<usize>,
    /// Items that only the baseline got right, of the first seed's pair of models.
    pub n10: Option<usize>,
    /// The exact test of `McNemar` on these: do these two models differ?
    pub mcnemar_p: Option<f64>,
    /// Share of seeds in which the arm is better; ties count half.
    pub p_gt: Option<f64>,
    /// The difference in each planned seed, positive meaning better; nothing where a side is missing.
    #[serde(default)]
    pub by_seed: Vec<Option<f64>>,
}

/// In each seed the transfer arm that is best on val, against the scratch arm that is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodRow {
    /// Arms that transfer, as positions among the stage's inputs.
    pub transfer: Vec<usize>,
    /// Arms from scratch, the baseline first.
    pub scratch: Vec<usize>,
    /// The transfer arm of each seed.
    pub chosen_transfer: Vec<Option<usize>>,
    /// The scratch arm of each seed.
    pub chosen_scratch: Vec<Option<usize>>,
    /// What they did, in numbers.
    #[serde(flatten)]
    pub numbers: ArmNumbers,
    /// The verdict.
    pub verdict: Verdict,
}

/// The verdicts of a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdicts {
    /// The metric compared.
    pub metric: String,
    /// One row for each arm that has a baseline.
    pub rows: Vec<ArmRow>,
    /// One row for each source and baseline where there are arms to choose among.
    #[serde(default)]
    pub methods: Vec<MethodRow>,
}
