//! Sensitivity and specificity of each class.

use serde::{Deserialize, Serialize};

use super::confusion::Confusion;
use crate::stats::measured::Measured;

/// How well one class is told from the rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerClass {
    /// The class.
    pub class: usize,
    /// Items whose label it is.
    pub items: usize,
    /// TP / (TP + FN), in \[0, 1\]; undefined if no item has the class.
    pub sensitivity: Measured,
    /// TN / (TN + FP), in \[0, 1\]; undefined if every item has the class.
    pub specificity: Measured,
}

/// One entry for each class of the task, in order.
#[must_use]
pub fn per_class(confusion: &Confusion) -> Vec<PerClass> {
    (0..confusion.classes()).map(|class| one_class(confusion, class)).collect()
}

fn one_class(confusion: &Confusion, class: usize) -> PerClass {
    let (items, hits) = (confusion.labelled(class), confusion.hits(class));
    let others = confusion.items() - items;
    let false_alarms = confusion.predicted(class) - hits;
    PerClass {
        class,
        items,
        sensitivity: share(hits, items, "no item has this class"),
        specificity: share(others - false_alarms, others, "every item has this class"),
    }
}

fn share(part: usize, whole: usize, reason_if_empty: &str) -> Measured {
    if whole == 0 {
        return Measured::undefined(reason_if_empty);
    }
    Measured::Defined(part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{Answers, PRINTED, assert_close, ten_items};

    #[test]
    fn each_class_is_told_from_the_rest() {
        let found = per_class(&Confusion::of(&ten_items().view()));
        let expected =
            [(4, 3.0 / 4.0, 5.0 / 6.0), (3, 2.0 / 3.0, 6.0 / 7.0), (3, 2.0 / 3.0, 6.0 / 7.0)];
        for (found, (items, sensitivity, specificity)) in found.iter().zip(expected) {
            assert_eq!(found.items, items);
            assert_close(found.sensitivity.value().unwrap(), sensitivity, PRINTED);
            assert_close(found.specificity.value().unwrap(), specificity, PRINTED);
        }
    }

    #[test]
    fn a_class_without_positives_or_negatives_is_undefined() {
        let found = per_class(&Confusion::of(&Answers::perfect(&[1, 1], 2).view()));
        assert_eq!(found[0].sensitivity.reason(), Some("no item has this class"));
        assert_eq!(found[1].specificity.reason(), Some("every item has this class"));
        assert_close(found[1].sensitivity.value().unwrap(), 1.0, 0.0);
    }
}
