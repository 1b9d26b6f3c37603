//! Agreement of two groupings, whatever the groups are called.

use super::confusion::Confusion;
use super::metric::{Direction, Metric};
use crate::stats::measured::Measured;
use crate::stats::predictions::Predictions;

/// Why two groupings cannot be compared.
const ONE_GROUP: &str = "labels and predictions are all of one class";

/// Normalised mutual information of labels and predictions, `I / ((H(labels) + H(predictions)) / 2)`:
/// 1 where each tells the other, 0 where neither says anything of the other. Renaming classes changes
/// nothing. Undefined where both are all of one class.
pub(super) struct Nmi;

/// Rand index of labels and predictions beyond chance (Hubert and Arabie 1985): of all pairs of
/// items, how many are together in both or in neither; 1 for the same groups, 0 by chance. Renaming
/// classes changes nothing. Undefined where both are all of one class, or every item is alone in both.
pub(super) struct Ari;

/// −Σ p ln p of counts.
fn entropy(counts: impl Iterator<Item = f64>, total: f64) -> f64 {
    counts.filter(|count| *count > 0.0).map(|count| -count / total * (count / total).ln()).sum()
}

/// The sizes of the groups of labels, of predictions, and of items alike in both.
struct Sizes {
    labels: Vec<f64>,
    predicted: Vec<f64>,
    both: Vec<f64>,
    items: f64,
}

impl Sizes {
    fn of(confusion: &Confusion) -> Self {
        let classes = 0..confusion.classes();
        Self {
            labels: classes.clone().map(|class| confusion.labelled(class) as f64).collect(),
            predicted: classes.map(|class| confusion.predicted(class) as f64).collect(),
            both: confusion.counts().iter().map(|count| *count as f64).collect(),
            items: confusion.items() as f64,
        }
    }
}

impl Metric for Nmi {
    fn name(&self) -> &'static str {
        "nmi"
    }

    fn direction(&self) -> Direction {
        Direction::HigherIsBetter
    }

    fn rope(&self) -> f64 {
        0.02
    }

    fn description(&self) -> &'static str {
        "normalised mutual information of two groupings, from 0 to 1, whatever groups are called"
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

impl Nmi {
    fn told(confusion: &Confusion) -> Measured {
        let Sizes { labels, predicted, both, items } = Sizes::of(confusion);
        let [labels, predicted, both] =
            [labels, predicted, both].map(|counts| entropy(counts.into_iter(), items));
        let mean = f64::midpoint(labels, predicted);
        if mean <= 0.0 {
            return Measured::undefined(ONE_GROUP);
        }
        Measured::Defined(((labels + predicted - both) / mean).clamp(0.0, 1.0))
    }
}

impl Metric for Ari {
    fn name(&self) -> &'static str {
        "ari"
    }

    fn direction(&self) -> Direction {
        Direction::HigherIsBetter
    }

    fn rope(&self) -> f64 {
        0.02
    }

    fn description(&self) -> &'static str {
        "agreement of two groupings on pairs of items beyond chance, at most 1"
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

impl Ari {
    fn told(confusion: &Confusion) -> Measured {
        let Sizes { labels, predicted, both, items } = Sizes::of(confusion);
        let pairs = |count: f64| count * (count - 1.0) / 2.0;
        let [labels, predicted, both] =
            [labels, predicted, both].map(|counts| counts.into_iter().map(pairs).sum::<f64>());
        let expected = labels * predicted / pairs(items).max(1.0);
        let most = f64::midpoint(labels, predicted);
        if (most - expected).abs() <= f64::EPSILON * most.max(1.0) {
            let alone = most <= 0.0;
            return Measured::undefined(match alone {
                true => "every item is alone in its class",
                false => ONE_GROUP,
            });
        }
        Measured::Defined((both - expected) / (most - expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{Answers, assert_close, ten_items};

    #[test]
    fn groupings_agree_as_in_scikit_learn() {
        let answers = ten_items();
        assert_close(Nmi.value(&answers.view()).value().unwrap(), NMI, 1e-12);
        assert_close(Ari.value(&answers.view()).value().unwrap(), ARI, 1e-12);
    }
    const NMI: f64 = 0.442_701_283_346_05;
    const ARI: f64 = 0.204_545_454_545_454_56;

    #[test]
    fn one_group_alone_says_nothing() {
        let answers = Answers::perfect(&[1, 1, 1], 2);
        for metric in [&Nmi as &dyn Metric, &Ari] {
            assert_eq!(metric.value(&answers.view()).reason(), Some(ONE_GROUP));
        }
    }
}
