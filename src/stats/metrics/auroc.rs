//! Area under the receiver operating characteristic.

use super::metric::{Direction, Metric, mean};
use crate::stats::measured::{Measured, Undefined};
use crate::stats::predictions::Predictions;

const ONE_CLASS: &str = "only one class occurs among the labels";

/// The probability that an item of a class scores higher for it than one of another class, ties
/// counting half; in \[0, 1\], guessing gives 0.5.
///
/// Two classes: of class 1, from its column of the scores. More: the mean over classes against the
/// rest. scikit-learn refuses labels that miss a class; here such a class has no curve, is left out
/// of the mean and counted by [`OneVsRest::absent`]. With one class only there is no curve at all,
/// and the area is undefined, never 0.5.
pub struct Auroc;

impl Metric for Auroc {
    fn name(&self) -> &'static str {
        "auroc"
    }

    fn direction(&self) -> Direction {
        Direction::HigherIsBetter
    }

    fn rope(&self) -> f64 {
        0.01
    }

    fn description(&self) -> &'static str {
        "probability that an item outranks one of another class, 0 to 1; guessing gives 0.5"
    }

    fn value(&self, predictions: &Predictions<'_>) -> Measured {
        match predictions.classes() {
            2 => class_area(predictions, 1).map_err(|_| Undefined::new(ONE_CLASS)).into(),
            _ => OneVsRest::of(predictions).mean(),
        }
    }
}

/// The area for each class against all others.
#[derive(Clone, Debug, PartialEq)]
pub struct OneVsRest {
    areas: Vec<Measured>,
}

impl OneVsRest {
    /// Ranks the items once for each class.
    #[must_use]
    pub fn of(predictions: &Predictions<'_>) -> Self {
        let area = |class| class_area(predictions, class).into();
        Self { areas: (0..predictions.classes()).map(area).collect() }
    }

    /// The area of each class, undefined where the class or the rest has no item.
    #[must_use]
    pub fn areas(&self) -> &[Measured] {
        &self.areas
    }

    /// How many classes have no area.
    #[must_use]
    pub fn absent(&self) -> usize {
        self.areas.len() - self.defined().len()
    }

    /// The plain mean over the classes that have an area; undefined if none has.
    #[must_use]
    pub fn mean(&self) -> Measured {
        match self.defined().as_slice() {
            [] => Measured::undefined(ONE_CLASS),
            areas => Measured::Defined(mean(areas)),
        }
    }

    fn defined(&self) -> Vec<f64> {
        self.areas.iter().filter_map(Measured::value).collect()
    }
}

/// The area for items of `class` against all others by their scores for it.
fn class_area(predictions: &Predictions<'_>, class: usize) -> Result<f64, Undefined> {
    let scores = predictions.scores().column(class).to_vec();
    let positive: Vec<bool> = predictions.labels().iter().map(|&label| label == class).collect();
    area(&scores, &positive)
}

/// Mann and Whitney's statistic from midranks R of m positives among m + n items:
/// `(Σ R_positive - m (m + 1) / 2) / (m n)`.
pub(in crate::stats) fn area(scores: &[f64], positive: &[bool]) -> Result<f64, Undefined> {
    let m = positive.iter().filter(|&&positive| positive).count();
    let n = positive.len() - m;
    if m == 0 || n == 0 {
        let which = if m == 0 { "no" } else { "every" };
        return Err(Undefined::new(format!("{which} item has this class")));
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut before, mut rank_sum) = (0, 0.0);
    // The order is ascending, so "not less than the next" is a tie.
    for tied in order.chunk_by(|&a, &b| scores[a] >= scores[b]) {
        let midrank = before as f64 + f64::midpoint(tied.len() as f64, 1.0);
        rank_sum += midrank * tied.iter().filter(|&&item| positive[item]).count() as f64;
        before += tied.len();
    }
    let (m, n) = (m as f64, n as f64);
    Ok((rank_sum - m * (m + 1.0) / 2.0) / (m * n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::{Answers, PRINTED, assert_close, ten_items, twelve_binary_items};

    fn auroc(answers: &Answers) -> Measured {
        Auroc.value(&answers.view())
    }

    #[test]
    fn two_classes_rank_by_the_score_of_class_one() {
        let first = twelve_binary_items();
        assert_close(auroc(&first).value().unwrap(), 0.857_142_86, PRINTED);
        let other = [0.8, 0.6, 0.6, 0.4, 0.3, 0.7, 0.5, 0.6, 0.4, 0.2, 0.3, 0.1];
        let other = Answers::binary(&first.labels, &other);
        assert_close(auroc(&other).value().unwrap(), 0.685_714_29, PRINTED);
    }

    #[test]
    fn more_classes_are_averaged_against_the_rest() {
        assert_close(auroc(&ten_items()).value().unwrap(), 0.954_365_08, PRINTED);
    }

    #[test]
    fn a_constant_score_is_a_guess() {
        let answers = Answers::binary(&[0, 1, 1, 0], &[0.3; 4]);
        assert_close(auroc(&answers).value().unwrap(), 0.5, 0.0);
    }

    #[test]
    fn an_absent_class_is_left_out_and_counted() {
        let mut answers = ten_items();
        answers.labels = vec![0, 0, 0, 0, 1, 1, 1, 0, 0, 0];
        let curves = OneVsRest::of(&answers.view());
        assert_eq!(curves.absent(), 1);
        assert_eq!(curves.areas()[2].reason(), Some("no item has this class"));
        let both = [0, 1].map(|class| curves.areas()[class].value().unwrap());
        assert_close(auroc(&answers).value().unwrap(), f64::midpoint(both[0], both[1]), 1e-15);
    }

    #[test]
    fn one_class_alone_has_no_area() {
        let answers = Answers::binary(&[1, 1], &[0.4, 0.6]);
        assert_eq!(auroc(&answers).reason(), Some(ONE_CLASS));
        let mut answers = ten_items();
        answers.labels.fill(1);
        assert_eq!(auroc(&answers).reason(), Some(ONE_CLASS));
    }
}
