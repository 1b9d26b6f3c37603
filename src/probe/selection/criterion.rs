//! What is compared when a value is chosen; lower is better.

use ndarray::{Array2, ArrayView1, Axis};

use super::super::pool::Targets;
use crate::base::language::choice;
use crate::stats::average_precision;

choice! {
    /// What is compared on items held out; lower is better.
    pub enum Criterion {
        /// `log_loss` where there are probabilities, else `balanced_error`; `squared_error` for
        /// values.
        "auto" => Auto,
        /// Mean −ln p of what is the case.
        "log_loss" => LogLoss,
        /// Share of items that are wrong, each class weighing the same; for labels, of decisions at
        /// a score of 0 (a probability of one half).
        "balanced_error" => BalancedError,
        /// Share of items that are wrong.
        "error" => Error,
        /// 1 − mean average precision over classes or labels.
        "average_precision" => AveragePrecision,
        /// Mean squared difference of values.
        "squared_error" => SquaredError,
    }
}

/// The smallest probability that is told from none.
const FLOOR: f64 = 2.2e-16;

impl Criterion {
    /// What it stands for, given what there is to compare.
    #[must_use]
    pub fn resolved(&self, targets: &Targets, has_probabilities: bool) -> Self {
        match (self, targets) {
            (Self::Auto, Targets::Values(_)) => Self::SquaredError,
            (Self::Auto, _) if has_probabilities => Self::LogLoss,
            (Self::Auto, _) => Self::BalancedError,
            (named, _) => named.clone(),
        }
    }

    /// Its name in tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::LogLoss => "log_loss",
            Self::BalancedError => "balanced_error",
            Self::Error => "error",
            Self::AveragePrecision => "average_precision",
            Self::SquaredError => "squared_error",
        }
    }

    /// What scores are worth; scores are logarithms of probabilities if `is_log_p`.
    pub fn of(&self, scores: &Array2<f64>, targets: &Targets, is_log_p: bool) -> f64 {
        match (self, targets) {
            (Self::LogLoss, Targets::Classes { labels, .. }) => log_loss(scores, labels),
            (Self::Error, Targets::Classes { labels, .. }) => {
                let wrong = wrong(scores, labels).filter(|&(_, wrong)| wrong).count();
                wrong as f64 / labels.len().max(1) as f64
            }
            (Self::SquaredError, Targets::Values(values)) => {
                (scores - values).mapv(|difference| difference * difference).mean().unwrap_or(0.0)
            }
            (Self::BalancedError | Self::Auto, Targets::Classes { labels, classes }) => {
                balanced_error(scores, labels, *classes)
            }
            _ => mean(&self.by_column(scores, targets, is_log_p)),
        }
    }

    /// The same for each column by itself, one against the rest; none where a column cannot be
    /// judged as all its items are alike.
    pub fn by_column(
        &self,
        scores: &Array2<f64>,
        targets: &Targets,
        is_log_p: bool,
    ) -> Vec<Option<f64>> {
        let threshold = if is_log_p { 0.5_f64.ln() } else { 0.0 };
        let of = |(column, scores): (usize, ArrayView1<'_, f64>)| {
            let pairs: Vec<(f64, f64)> = match targets {
                Targets::Classes { labels, .. } => {
                    let own = labels.iter().map(|&label| f64::from(u8::from(label == column)));
                    scores.iter().copied().zip(own).collect()
                }
                Targets::Labels(all) | Targets::Values(all) => {
                    let known = all.column(column);
                    let pairs = scores.iter().copied().zip(known.iter().copied());
                    pairs.filter(|pair| !pair.1.is_nan()).collect()
                }
            };
            match self {
                Self::AveragePrecision => precision(&pairs).map(|ap| 1.0 - ap),
                Self::SquaredError => mean_of(&pairs, |s, y| (s - y) * (s - y)),
                Self::LogLoss => mean_of(&pairs, |s, y| {
                    let p = s.exp();
                    -(y * p.max(FLOOR).ln() + (1.0 - y) * (1.0 - p).max(FLOOR).ln())
                }),
                Self::Error => mean_of(&pairs, |s, y| is_wrong(s, y, threshold)),
                Self::BalancedError | Self::Auto => halves(&pairs, threshold),
            }
        };
        scores.axis_iter(Axis(1)).enumerate().map(of).collect()
    }
}

fn is_wrong(score: f64, target: f64, threshold: f64) -> f64 {
    f64::from(u8::from((score > threshold) != (target > 0.5)))
}

fn mean_of(pairs: &[(f64, f64)], of: impl Fn(f64, f64) -> f64) -> Option<f64> {
    let total: f64 = pairs.iter().map(|&(score, target)| of(score, target)).sum();
    (!pairs.is_empty()).then(|| total / pairs.len() as f64)
}

/// Mean of what there is; without anything, as bad as can be.
fn mean(values: &[Option<f64>]) -> f64 {
    let there: Vec<f64> = values.iter().flatten().copied().collect();
    match there.len() {
        0 => f64::INFINITY,
        count => there.iter().sum::<f64>() / count as f64,
    }
}

/// Mean error of the two sides of one column.
fn halves(pairs: &[(f64, f64)], threshold: f64) -> Option<f64> {
    let side = |positive: bool| {
        let own: Vec<_> = pairs.iter().copied().filter(|p| (p.1 > 0.5) == positive).collect();
        mean_of(&own, |s, y| is_wrong(s, y, threshold))
    };
    Some(f64::midpoint(side(true)?, side(false)?))
}

/// Average precision of a column; nothing if no item has the label or all have it.
fn precision(pairs: &[(f64, f64)]) -> Option<f64> {
    let positive: Vec<bool> = pairs.iter().map(|pair| pair.1 > 0.5).collect();
    let scores: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
    let two_sided = positive.contains(&false);
    two_sided.then(|| average_precision(&scores, &positive).ok()).flatten()
}

/// Mean −ln p of the right class; scores are logarithms of probabilities.
fn log_loss(scores: &Array2<f64>, labels: &[usize]) -> f64 {
    let rows = scores.axis_iter(Axis(0)).zip(labels);
    rows.map(|(row, &label)| -row[label].max(FLOOR.ln())).sum::<f64>() / labels.len() as f64
}

/// Each item's class and whether another was predicted.
fn wrong<'a>(
    scores: &'a Array2<f64>,
    labels: &'a [usize],
) -> impl Iterator<Item = (usize, bool)> + 'a {
    let rows = scores.axis_iter(Axis(0)).zip(labels);
    rows.map(|(row, &label)| (label, best_class(&row) != label))
}

/// 1 − mean over classes of the share predicted right.
fn balanced_error(scores: &Array2<f64>, labels: &[usize], classes: usize) -> f64 {
    let mut right = vec![0.0; classes];
    let mut count = vec![0.0; classes];
    for (label, is_wrong) in wrong(scores, labels) {
        count[label] += 1.0;
        right[label] += f64::from(u8::from(!is_wrong));
    }
    let shares: Vec<f64> =
        right.iter().zip(&count).filter(|(_, n)| **n > 0.0).map(|(r, n)| r / n).collect();
    1.0 - shares.iter().sum::<f64>() / shares.len() as f64
}

/// The class with the highest score; the first of equals.
fn best_class(scores: &ArrayView1<'_, f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (class, &score) in scores.iter().enumerate() {
        if score > best.1 {
            best = (class, score);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-8
    }

    /// Ten items of three classes and probabilities of them.
    fn ten() -> (Array2<f64>, Targets) {
        let p = array![
            [0.7, 0.2, 0.1],
            [0.6, 0.3, 0.1],
            [0.3, 0.5, 0.2],
            [0.8, 0.1, 0.1],
            [0.2, 0.7, 0.1],
            [0.1, 0.8, 0.1],
            [0.1, 0.4, 0.5],
            [0.1, 0.2, 0.7],
            [0.5, 0.2, 0.3],
            [0.05, 0.05, 0.9]
        ];
        let labels = vec![0, 0, 0, 0, 1, 1, 1, 2, 2, 2];
        (p.mapv(f64::ln), Targets::Classes { labels, classes: 3 })
    }

    #[test]
    fn criteria_agree_with_the_metrics_of_the_same_name() {
        let (scores, targets) = ten();
        assert!(near(Criterion::LogLoss.of(&scores, &targets, true), 0.545_673_443_4));
        assert!(near(Criterion::Error.of(&scores, &targets, true), 0.3));
        let balanced = Criterion::BalancedError.of(&scores, &targets, true);
        assert!((balanced - (1.0 - 0.694_444_44)).abs() < 1e-8, "{balanced}");
    }

    #[test]
    fn unknown_labels_are_left_out_and_columns_without_two_sides_are_not_judged() {
        let scores = array![[0.9, 1.0], [0.1, 2.0], [0.5, 3.0]].mapv(f64::ln);
        let targets = Targets::Labels(array![[1.0, 1.0], [0.0, 1.0], [f64::NAN, 1.0]]);
        let found = Criterion::AveragePrecision.by_column(&scores, &targets, true);
        assert_eq!(found, [Some(0.0), None]);
        assert!(near(Criterion::AveragePrecision.of(&scores, &targets, true), 0.0));
    }

    #[test]
    fn average_precision_counts_ties_as_one_threshold() {
        let pairs = [(0.9, 1.0), (0.5, 0.0), (0.5, 1.0), (0.1, 0.0)];
        // Recall ½ at precision 1, then 1 at 2/3.
        assert!(near(precision(&pairs).unwrap(), 0.5 + 0.5 * 2.0 / 3.0));
    }
}
