//! The metrics of labels and of numbers.

use super::labels::{LabelAuroc, LabelBrier, LabelLogLoss, LabelPrecision};
use super::metric::ColumnMetric;
use super::values::{MeanAbsolute, MeanSquared, RSquared, RootMeanSquared};

/// Metrics of several labels, in the order of tables.
pub static LABEL_METRICS: &[&dyn ColumnMetric] =
    &[&LabelAuroc, &LabelPrecision, &LabelLogLoss, &LabelBrier];

/// Metrics of numbers, in the order of tables.
pub static VALUE_METRICS: &[&dyn ColumnMetric] =
    &[&RSquared, &RootMeanSquared, &MeanSquared, &MeanAbsolute];

/// What must hold for every metric, present and future.
#[cfg(test)]
mod suite {
    use ndarray::{Array2, Axis, array};

    use super::super::view::Columns;
    use super::*;
    use crate::base::Target;
    use crate::stats::metrics::{Direction, mean};
    use crate::stats::testing::{Draws, assert_close};

    struct Case {
        target: Target,
        truths: Array2<f64>,
        told: Array2<f64>,
    }

    impl Case {
        fn view(&self) -> Columns<'_> {
            let (truths, told) = (self.truths.view(), self.told.view());
            match self.target {
                Target::Labels => Columns::labels(truths, told).unwrap(),
                _ => Columns::values(truths, told).unwrap(),
            }
        }

        fn reordered(&self, order: &[usize]) -> Self {
            let rows = |matrix: &Array2<f64>| matrix.select(Axis(0), order);
            Self { target: self.target, truths: rows(&self.truths), told: rows(&self.told) }
        }

        /// Right about everything that is known.
        fn perfect(&self) -> Self {
            let told = self.truths.mapv(|truth| if truth.is_nan() { 0.5 } else { truth });
            Self { target: self.target, truths: self.truths.clone(), told }
        }
    }

    /// Two columns of twenty items, a fifth of them unknown.
    fn cases() -> Vec<Case> {
        let mut draws = Draws::seeded(3);
        let mut case = |target| {
            let mut cell = || match target {
                Target::Labels => f64::from(u8::from(draws.chance(0.4))),
                _ => draws.normal(),
            };
            let mut truths = Array2::from_shape_simple_fn((20, 2), &mut cell);
            truths.iter_mut().step_by(5).for_each(|cell| *cell = f64::NAN);
            let told = Array2::from_shape_simple_fn((20, 2), || draws.uniform());
            Case { target, truths, told }
        };
        vec![case(Target::Labels), case(Target::Values)]
    }

    fn metrics(target: Target) -> &'static [&'static dyn ColumnMetric] {
        match target {
            Target::Labels => LABEL_METRICS,
            _ => VALUE_METRICS,
        }
    }

    fn each(check: impl Fn(&dyn ColumnMetric, &Case)) {
        for case in cases() {
            for metric in metrics(case.target) {
                check(*metric, &case);
            }
        }
    }

    fn oriented(metric: &dyn ColumnMetric, case: &Case) -> f64 {
        metric.direction().sign() * metric.value(&case.view()).value().unwrap()
    }

    #[test]
    fn perfect_answers_reach_the_best_value_and_others_are_worse() {
        each(|metric, case| {
            let best = match metric.direction() {
                Direction::HigherIsBetter => 1.0,
                Direction::LowerIsBetter => 0.0,
            };
            assert_close(oriented(metric, &case.perfect()), best, 1e-12);
            assert!(oriented(metric, case) < best, "{}", metric.name());
        });
    }

    #[test]
    fn the_order_of_items_does_not_matter() {
        let order = Draws::seeded(1).order(20);
        each(|metric, case| {
            assert_close(oriented(metric, &case.reordered(&order)), oriented(metric, case), 1e-12);
        });
    }

    #[test]
    fn the_mean_over_items_is_the_value() {
        each(|metric, case| {
            let Some(items) = metric.per_item(&case.view()) else { return };
            let items = items.unwrap();
            assert_eq!(items.len(), 20);
            assert_close(mean(&items), oriented(metric, case), 1e-12);
        });
    }

    #[test]
    fn what_is_not_known_changes_nothing() {
        each(|metric, case| {
            let mut other = case.told.clone();
            for (told, truth) in other.iter_mut().zip(&case.truths) {
                if truth.is_nan() {
                    *told = 1.0 - *told;
                }
            }
            let other = Case { target: case.target, truths: case.truths.clone(), told: other };
            assert_close(oriented(metric, &other), oriented(metric, case), 0.0);
        });
    }

    #[test]
    fn a_column_of_which_nothing_is_known_is_left_out() {
        each(|metric, case| {
            let alone = Case {
                target: case.target,
                truths: case.truths.select(Axis(1), &[0]),
                told: case.told.select(Axis(1), &[0]),
            };
            let mut beside = case.truths.clone();
            beside.column_mut(1).fill(f64::NAN);
            let beside = Case { target: case.target, truths: beside, told: case.told.clone() };
            assert_close(oriented(metric, &beside), oriented(metric, &alone), 1e-12);
        });
    }

    #[test]
    fn nothing_known_at_all_is_undefined_with_a_reason() {
        let (truths, told) = (array![[f64::NAN]], array![[0.5]]);
        for target in [Target::Labels, Target::Values] {
            let case = Case { target, truths: truths.clone(), told: told.clone() };
            for metric in metrics(target) {
                assert!(metric.value(&case.view()).reason().is_some(), "{}", metric.name());
                assert!(metric.per_item(&case.view()).is_none_or(|items| items.is_err()));
                assert!(metric.rope() > 0.0 && metric.description().len() > 20);
            }
        }
    }
}
