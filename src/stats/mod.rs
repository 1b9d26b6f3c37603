//! Metrics and statistics: what a model scored, and whether transfer helped or hurt.
//!
//! Pure functions on numbers: no files, no clock, no printing, and no randomness but from a named
//! seed. The way through the room is [`Predictions`] → a [`Metric`] per item → differences between
//! two arms (seeds × items) → [`units`] → [`TwoWay`] → [`judge`] → [`Verdict`]. It must not know
//! what a stage, a model or a table is.

mod attribution;
mod benjamini_hochberg;
mod bootstrap;
mod columns;
mod concordance;
mod delong;
mod evidence;
mod hidden;
mod holm;
mod kendall;
mod looks;
mod mcnemar;
mod measure;
mod measured;
mod metrics;
mod needed;
mod normal;
mod page;
mod paired;
mod pareto;
mod predictions;
mod ranks;
mod resampled;
mod rule;
mod sample_size;
mod secondary;
mod simulation;
mod student;
mod subgroups;
mod superiority;
mod two_way;
mod units;
mod verdict;
mod wilcoxon;

#[cfg(test)]
mod calibration;
#[cfg(test)]
mod testing;

pub use attribution::{Attribution, Cause};
pub use benjamini_hochberg::benjamini_hochberg;
pub use bootstrap::{
    Bca, Bootstrap, Bootstrapped, Design, MetricDifference, Over, SEEDS_TO_DRAW, STRATIFY_BELOW,
    TwoWayBootstrap, Weighted, weighted, weighted_columns,
};
pub use columns::{
    Column, ColumnMetric, Columns, ColumnsError, LABEL_METRICS, LabelAuroc, RSquared, Unit,
    VALUE_METRICS, with_both,
};
pub use concordance::concordance;
pub use delong::DeLong;
pub use evidence::{Decider, Evidence};
pub use hidden::Hidden;
pub use holm::holm;
pub use kendall::Kendall;
pub use looks::{InterimLook, InterimLooks};
pub use mcnemar::Discordant;
pub use measure::{Judged, Measure};
pub use measured::{Measured, Undefined};
pub use metrics::{
    Accuracy, Auroc, AveragePrecision, BalancedAccuracy, Brier, Confusion, Direction, Ece, Kappa,
    LogLoss, METRICS, MacroF1, Mcc, Metric, OneVsRest, PerClass, average_precision, metric,
    per_class,
};
pub use needed::{MAX_ITEMS, MAX_SEEDS, Needed, mde80, needed};
pub use page::Page;
pub use paired::paired_interval;
pub use pareto::beaten_by;
pub use predictions::{Predictions, PredictionsError};
pub use resampled::{Resampled, fold_ratio};
pub use rule::{Class, LEVEL, MAX_MISSING_SHARE, MIN_SEEDS, MIN_UNITS, NEUTRAL_MASS, widened_rope};
pub use sample_size::{difference_detectable, items_needed, power_of_seeds, seeds_needed};
pub use secondary::{PairedArms, SecondaryTest, Test, TestScope, corrected_together, table_of};
pub use simulation::{
    Answered, Resamples, Simulated, Study, grown, share_of, uneven_differences, verdict_alone,
    verdict_at,
};
pub use student::quantile as student_quantile;
pub use subgroups::{
    MAX_SUBGROUPS, Subgroup, SubgroupVerdict, judged_together, screened, subgroups,
};
pub use superiority::{seeds_for_superiority, superiority, superiority_interval};
pub use two_way::{Masses, TwoWay};
pub use units::{UnitsError, units};
pub use verdict::{Comparison, Lean, Numbers, Reason, Verdict, judge};
pub use wilcoxon::{Wilcoxon, Zeros};
