//! The metrics there are.

use super::metric::Metric;
use super::{
    accuracy::Accuracy,
    auroc::Auroc,
    average_precision::AveragePrecision,
    balanced_accuracy::BalancedAccuracy,
    brier::Brier,
    clusters::{Ari, Nmi},
    ece::Ece,
    kappa::Kappa,
    log_loss::LogLoss,
    macro_f1::MacroF1,
    mcc::Mcc,
};

/// Every metric, in the order of tables.
pub static METRICS: &[&dyn Metric] = &[
    &Accuracy,
    &BalancedAccuracy,
    &MacroF1,
    &Auroc,
    &LogLoss,
    &Brier,
    &Ece,
    &AveragePrecision,
    &Kappa::PLAIN,
    &Kappa::LINEAR,
    &Kappa::QUADRATIC,
    &Mcc,
    &Nmi,
    &Ari,
];

/// The metric of that name.
#[must_use]
pub fn metric(name: &str) -> Option<&'static dyn Metric> {
    METRICS.iter().copied().find(|metric| metric.name() == name)
}

/// What must hold for every metric, present and future.
#[cfg(test)]
mod suite {
    use std::collections::BTreeSet;

    use super::super::metric::{Direction, mean};
    use super::*;
    use crate::stats::predictions::Predictions;
    use crate::stats::testing::{Answers, Draws, assert_close, ten_items, twelve_binary_items};

    #[test]
    fn names_are_unique_and_found() {
        let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), METRICS.len());
        for name in names {
            assert_eq!(metric(name).map(Metric::name), Some(name));
        }
        assert!(metric("accurracy").is_none());
    }

    #[test]
    fn what_is_told_unasked_stays_what_it_was() {
        let usual = METRICS.iter().filter(|metric| metric.is_usual()).map(|metric| metric.name());
        assert_eq!(
            usual.collect::<Vec<_>>(),
            ["accuracy", "balanced_accuracy", "macro_f1", "auroc", "log_loss", "brier", "ece"]
        );
    }

    #[test]
    fn every_metric_describes_itself_and_has_a_region_of_equivalence() {
        for metric in METRICS {
            assert!(metric.rope() > 0.0, "{}", metric.name());
            assert!(metric.description().len() > 20, "{}", metric.name());
        }
    }

    #[test]
    fn perfect_predictions_reach_the_best_value() {
        for (labels, classes) in [(vec![0, 1, 1, 0, 1], 2), (vec![2, 0, 1, 1, 0, 2, 2], 3)] {
            let perfect = Answers::perfect(&labels, classes);
            for metric in METRICS {
                let best = match metric.direction() {
                    Direction::HigherIsBetter => 1.0,
                    Direction::LowerIsBetter => 0.0,
                };
                assert_close(metric.value(&perfect.view()).value().unwrap(), best, 1e-12);
            }
        }
    }

    #[test]
    fn imperfect_predictions_are_worse_than_perfect_ones() {
        for answers in [ten_items(), twelve_binary_items()] {
            let classes = answers.view().classes();
            let perfect = Answers::perfect(&answers.labels, classes);
            for metric in METRICS {
                let oriented = |answers: &Answers| {
                    metric.direction().sign() * metric.value(&answers.view()).value().unwrap()
                };
                assert!(oriented(&answers) < oriented(&perfect), "{}", metric.name());
            }
        }
    }

    #[test]
    fn the_order_of_items_does_not_matter() {
        let mut draws = Draws::seeded(1);
        for answers in [ten_items(), twelve_binary_items()] {
            let other = answers.reordered(&draws.order(answers.labels.len()));
            for metric in METRICS {
                let value = |answers: &Answers| metric.value(&answers.view()).value().unwrap();
                assert_close(value(&other), value(&answers), 1e-12);
            }
        }
    }

    #[test]
    fn one_class_among_the_labels_never_gives_nan() {
        for classes in [2, 3] {
            let mut answers = ten_items();
            if classes == 2 {
                answers = Answers::binary(&[1; 4], &[0.9, 0.2, 0.5, 1.0]);
            }
            answers.labels.fill(1);
            for metric in METRICS {
                let value = metric.value(&answers.view()).value();
                assert!(value.is_none_or(f64::is_finite), "{}", metric.name());
            }
        }
    }

    #[test]
    fn the_mean_over_items_is_the_value() {
        for answers in [ten_items(), twelve_binary_items()] {
            let view = answers.view();
            for metric in METRICS {
                let Some(items) = metric.per_item(&view) else {
                    continue;
                };
                let items = items.unwrap();
                assert_eq!(items.len(), view.items());
                let value = metric.direction().sign() * metric.value(&view).value().unwrap();
                assert_close(mean(&items), value, 1e-12);
            }
        }
    }

    #[test]
    fn without_probabilities_a_metric_has_a_value_or_repeats_the_reason() {
        let answers = ten_items();
        let (scores, reason) = (answers.probabilities.view(), Err("a linear SVM has none"));
        let bare =
            Predictions::new(&answers.labels, &answers.predicted, scores, reason, 3).unwrap();
        let repeating: Vec<_> = METRICS
            .iter()
            .filter(|metric| metric.value(&bare).reason() == Some("a linear SVM has none"))
            .map(|metric| metric.name())
            .collect();
        assert_eq!(repeating, ["log_loss", "brier", "ece"]);
        assert_eq!(METRICS.iter().filter(|m| m.value(&bare).value().is_some()).count(), 11);
    }
}
