//! What on val decides which weights are the best.

use std::cmp::Ordering;

use crate::base::language::choice;

use super::look::Point;

choice! {
    /// What on val decides which weights are the best, at which step and learning rate.
    pub enum Monitor {
        /// The lowest weighted mean loss. It sees more than right or wrong, and minds confidence.
        "loss" => Loss,
        /// The highest mean over classes of the share predicted right; of equals the one with the
        /// lower loss. Scores may then be far too sure of themselves.
        "balanced_accuracy" => BalancedAccuracy,
    }
}

impl Monitor {
    /// Whether one look is better (`Greater`) or worse than another.
    pub fn compare(&self, one: &Point, other: &Point) -> Ordering {
        let by_loss = other.val_loss.total_cmp(&one.val_loss);
        match self {
            Self::Loss => by_loss,
            Self::BalancedAccuracy => right(one).total_cmp(&right(other)).then(by_loss),
        }
    }

    /// The figure itself, turned such that less is better.
    pub fn error(&self, point: &Point) -> f64 {
        match self {
            Self::Loss => point.val_loss,
            Self::BalancedAccuracy => 1.0 - right(point),
        }
    }
}

/// The balanced accuracy; none where there are no classes, of which none can be monitored.
fn right(point: &Point) -> f64 {
    point.val_balanced_accuracy.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(val_loss: f64, val_balanced_accuracy: f64) -> Point {
        Point {
            step: 1,
            train_loss: None,
            val_loss,
            val_accuracy: None,
            val_balanced_accuracy: Some(val_balanced_accuracy),
            val_score: None,
            rate: 0.0,
        }
    }

    #[test]
    fn accuracy_comes_before_loss_only_where_it_is_monitored() {
        let (calm, right) = (point(0.5, 0.7), point(0.9, 0.8));
        assert_eq!(Monitor::Loss.compare(&calm, &right), Ordering::Greater);
        assert_eq!(Monitor::BalancedAccuracy.compare(&calm, &right), Ordering::Less);
    }

    #[test]
    fn of_equally_accurate_weights_those_with_the_lower_loss_are_better() {
        let better = Monitor::BalancedAccuracy.compare(&point(0.5, 0.8), &point(0.6, 0.8));
        assert_eq!(better, Ordering::Greater);
    }
}
