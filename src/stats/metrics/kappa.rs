//! Agreement beyond chance.

use ndarray::Array2;

use super::confusion::Confusion;
use super::metric::{Direction, Metric};
use crate::stats::measured::Measured;
use crate::stats::predictions::Predictions;

/// Cohen's kappa (1960), `1 − Σ w O / Σ w E`, where O counts labels against predicted classes, E is
/// what the margins alone would give, and w is how much a mistake weighs; at most 1, chance gives 0.
///
/// Undefined where labels and predictions are all of one class, the same for both: nothing could
/// have disagreed.
pub struct Kappa {
    name: &'static str,
    description: &'static str,
    /// What mistaking a class for one that is so many places away weighs.
    weight: fn(f64) -> f64,
}

impl Kappa {
    /// Every mistake weighs the same.
    pub const PLAIN: Self = Self {
        name: "kappa",
        description: "agreement beyond chance (Cohen), at most 1; chance gives 0",
        weight: |distance| f64::from(u8::from(distance > 0.0)),
    };
    /// Mistakes weigh by the distance of classes, whose order means something.
    pub const LINEAR: Self = Self {
        name: "kappa_linear",
        description: "agreement beyond chance of ordered classes, mistakes weighed by distance",
        weight: |distance| distance,
    };
    /// Mistakes weigh by the squared distance of classes, whose order means something.
    pub const QUADRATIC: Self = Self {
        name: "kappa_quadratic",
        description: "agreement beyond chance of ordered classes, mistakes weighed by squared distance",
        weight: |distance| distance * distance,
    };
}

impl Metric for Kappa {
    fn name(&self) -> &'static str {
        self.name
    }

    fn direction(&self) -> Direction {
        Direction::HigherIsBetter
    }

    fn rope(&self) -> f64 {
        0.02
    }

    fn description(&self) -> &'static str {
        self.description
    }

    fn is_usual(&self) -> bool {
        false
    }

    fn value(&self, predictions: &Predictions<'_>) -> Measured {
        self.told(&Confusion::of(predictions))
    }

    fn of_confusion(&self, confusion: &Confusion) -> Option<Measured> {
        Some(self.told(confusion))
    }
}

impl Kappa {
    fn told(&self, confusion: &Confusion) -> Measured {
        let classes = confusion.classes();
        let weight = |(truth, told): (usize, usize)| (self.weight)(truth.abs_diff(told) as f64);
        let items = confusion.items() as f64;
        let expected = Array2::from_shape_fn((classes, classes), |(truth, told)| {
            confusion.labelled(truth) as f64 * confusion.predicted(told) as f64 / items
        });
        let observed = confusion.counts().mapv(|count| count as f64);
        let sum = |counts: &Array2<f64>| -> f64 {
            counts.indexed_iter().map(|(cell, count)| weight(cell) * count).sum()
        };
        let (observed, expected) = (sum(&observed), sum(&expected));
        if expected <= 0.0 {
            return Measured::undefined("labels and predictions are all of one class");
        }
        Measured::Defined(1.0 - observed / expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{Answers, PRINTED, assert_close, ten_items};

    #[test]
    fn agreement_is_that_of_scikit_learn() {
        let answers = ten_items();
        let value = |kappa: Kappa| kappa.value(&answers.view()).value().unwrap();
        assert_close(value(Kappa::PLAIN), 0.545_454_55, PRINTED);
        assert_close(value(Kappa::LINEAR), 0.555_555_56, PRINTED);
        assert_close(value(Kappa::QUADRATIC), 0.565_217_39, PRINTED);
    }

    #[test]
    fn one_class_alone_cannot_disagree() {
        let answers = Answers::perfect(&[1, 1], 2);
        let reason = Some("labels and predictions are all of one class");
        assert_eq!(Kappa::PLAIN.value(&answers.view()).reason(), reason);
    }
}
