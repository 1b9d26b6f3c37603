//! Matthews' correlation coefficient.

use super::confusion::Confusion;
use super::metric::{Direction, Metric};
use crate::stats::measured::Measured;
use crate::stats::predictions::Predictions;

/// The correlation of labels with predicted classes, for any number of classes (Gorodkin 2004): with
/// n items of which h are right, `t_c` labelled and `p_c` predicted as class c,
///
/// `(h n − Σ t_c p_c) / √((n² − Σ p_c²) (n² − Σ t_c²))`
///
/// in \[−1, 1\], chance gives 0. Undefined where labels or predictions are all of one class.
pub struct Mcc;

impl Metric for Mcc {
    fn name(&self) -> &'static str {
        "mcc"
    }

    fn direction(&self) -> Direction {
        Direction::HigherIsBetter
    }

    fn rope(&self) -> f64 {
        0.02
    }

    fn description(&self) -> &'static str {
        "correlation of labels with predicted classes (Matthews), -1 to 1; chance gives 0"
    }

    fn is_usual(&self) -> bool {
        false
    }

    fn value(&self, predictions: &Predictions<'_>) -> Measured {
        Self::told(&Confusion::of(predictions))
    }

    fn of_confusion(&self, confusion: &Confusion) -> Option<Measured> {
        Some(Self::told(confusion))
    }
}

impl Mcc {
    fn told(confusion: &Confusion) -> Measured {
        let items = confusion.items() as f64;
        let (mut hits, mut both, mut told, mut true_) = (0.0, 0.0, 0.0, 0.0);
        for class in 0..confusion.classes() {
            let t = confusion.labelled(class) as f64;
            let p = confusion.predicted(class) as f64;
            hits += confusion.hits(class) as f64;
            both += t * p;
            told += p * p;
            true_ += t * t;
        }
        let spread = (items * items - told) * (items * items - true_);
        if spread <= 0.0 {
            return Measured::undefined("labels or predictions are all of one class");
        }
        Measured::Defined((hits * items - both) / spread.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{Answers, PRINTED, assert_close, ten_items};

    #[test]
    fn the_correlation_is_that_of_scikit_learn() {
        assert_close(Mcc.value(&ten_items().view()).value().unwrap(), 0.545_454_55, PRINTED);
    }

    #[test]
    fn always_wrong_about_two_classes_is_minus_one() {
        let answers = Answers::binary(&[0, 1, 0, 1], &[0.9, 0.1, 0.9, 0.1]);
        assert_close(Mcc.value(&answers.view()).value().unwrap(), -1.0, 1e-15);
    }

    #[test]
    fn one_class_alone_has_no_correlation() {
        let answers = Answers::perfect(&[1, 1], 2);
        let reason = Some("labels or predictions are all of one class");
        assert_eq!(Mcc.value(&answers.view()).reason(), reason);
    }
}
