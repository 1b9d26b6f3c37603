//! Metrics of a resample from counts of items, without copying an item.

use ndarray::Array2;

use crate::stats::measured::{Measured, Undefined};
use crate::stats::metrics::{Confusion, Direction, Metric, calibration_gaps};
use crate::stats::predictions::Predictions;

/// A metric of some predictions, ready to be computed with each item counted several times or not
/// at all.
pub trait Weighted: Sync {
    /// The metric, in its own unit; none where it is not defined for this resample. A class that
    /// the sample has and the resample has lost leaves a mean over classes undefined, since it
    /// would be the mean over other classes.
    fn value(&self, counts: &[u32]) -> Option<f64>;
}

/// Prepares `metric` for resamples of `predictions`. Accuracy, losses, macro-F1, balanced accuracy,
/// areas, calibration errors and whatever is told by counts of labels against predicted classes take
/// time in proportion to the items; any other metric is computed from copies.
///
/// # Errors
/// Why the metric has no value for these predictions.
pub fn weighted<'a>(
    metric: &'a dyn Metric,
    predictions: Predictions<'a>,
) -> Result<Box<dyn Weighted + 'a>, Undefined> {
    if let Measured::Undefined(reason) = metric.value(&predictions) {
        return Err(reason);
    }
    Ok(match metric.name() {
        // Not every mean over items: balanced accuracy weighs an item by its class's share of all.
        "accuracy" | "log_loss" | "brier" => Box::new(ItemMean::new(metric, &predictions)?),
        "macro_f1" => Box::new(Margins::new(&predictions, f1)),
        "balanced_accuracy" => Box::new(Margins::new(&predictions, recall)),
        "auroc" => Box::new(Areas::new(&predictions)),
        "ece" => Box::new(Gaps { items: calibration_gaps(&predictions)? }),
        _ if metric.of_confusion(&Confusion::of(&predictions)).is_some() => {
            Box::new(Counted { metric, items: pairs(&predictions), classes: predictions.classes() })
        }
        _ => Box::new(Copied { metric, predictions }),
    })
}

/// Label and predicted class of each item.
fn pairs(predictions: &Predictions<'_>) -> Vec<[u32; 2]> {
    let pairs = predictions.labels().iter().zip(predictions.predicted());
    pairs.map(|(&label, &predicted)| [label as u32, predicted as u32]).collect()
}

/// A metric of one arm minus that of another, over seeds: the mean over the drawn seeds of what the
/// drawn items give, oriented so that positive means better.
pub struct MetricDifference<'a> {
    /// Both arms of each seed.
    pub seeds: Vec<[Box<dyn Weighted + 'a>; 2]>,
    /// Which way is better.
    pub direction: Direction,
}

impl MetricDifference<'_> {
    /// The difference for these counts; none if any arm of a drawn seed has no value.
    #[must_use]
    pub fn value(&self, seeds: &[u32], items: &[u32]) -> Option<f64> {
        let (mut sum, mut drawn) = (0.0, 0.0);
        for ([arm, baseline], &count) in self.seeds.iter().zip(seeds) {
            if count > 0 {
                sum += f64::from(count) * (arm.value(items)? - baseline.value(items)?);
                drawn += f64::from(count);
            }
        }
        (drawn > 0.0).then(|| self.direction.sign() * sum / drawn)
    }
}

/// A plain mean over items.
struct ItemMean {
    items: Vec<f64>,
    sign: f64,
}

impl ItemMean {
    fn new(metric: &dyn Metric, predictions: &Predictions<'_>) -> Result<Self, Undefined> {
        let none = || Err(Undefined::new("it is no mean over items"));
        let items = metric.per_item(predictions).unwrap_or_else(none)?;
        Ok(Self { items, sign: metric.direction().sign() })
    }
}

impl Weighted for ItemMean {
    fn value(&self, counts: &[u32]) -> Option<f64> {
        let (mut sum, mut drawn) = (0.0, 0_u32);
        for (item, &count) in self.items.iter().zip(counts) {
            sum += item * f64::from(count);
            drawn += count;
        }
        (drawn > 0).then(|| self.sign * sum / f64::from(drawn))
    }
}

/// A mean over the classes of something that hits and margins of the confusion matrix tell.
struct Margins {
    /// Label and predicted class of each item.
    items: Vec<[u32; 2]>,
    classes: usize,
    /// Classes that the sample has.
    present: Vec<usize>,
    of: fn(&Margin) -> f64,
}

/// What one class has, in counts.
#[derive(Clone, Copy, Default)]
struct Margin {
    labelled: u32,
    predicted: u32,
    hits: u32,
}

fn f1(class: &Margin) -> f64 {
    2.0 * f64::from(class.hits) / f64::from(class.labelled + class.predicted)
}

fn recall(class: &Margin) -> f64 {
    f64::from(class.hits) / f64::from(class.labelled)
}

impl Margins {
    fn new(predictions: &Predictions<'_>, of: fn(&Margin) -> f64) -> Self {
        let mut present = predictions.labels().to_vec();
        present.sort_unstable();
        present.dedup();
        Self { items: pairs(predictions), classes: predictions.classes(), present, of }
    }
}

impl Weighted for Margins {
    fn value(&self, counts: &[u32]) -> Option<f64> {
        let mut classes = vec![Margin::default(); self.classes];
        for (&[label, predicted], &count) in self.items.iter().zip(counts) {
            classes[label as usize].labelled += count;
            classes[predicted as usize].predicted += count;
            classes[label as usize].hits += if label == predicted { count } else { 0 };
        }
        let mut sum = 0.0;
        for &class in &self.present {
            if classes[class].labelled == 0 {
                return None;
            }
            sum += (self.of)(&classes[class]);
        }
        Some(sum / self.present.len() as f64)
    }
}

/// Areas under the curves of one class against the rest, of class 1 where there are two.
struct Areas {
    curves: Vec<Curve>,
}

/// Items by ascending score for a class.
pub(super) struct Curve {
    order: Vec<Place>,
}

/// One item of a curve.
struct Place {
    item: u32,
    positive: bool,
    /// The last of those that share its score.
    ends: bool,
}

impl Areas {
    fn new(predictions: &Predictions<'_>) -> Self {
        let all = if predictions.classes() == 2 { 1..2 } else { 0..predictions.classes() };
        let (labels, scores) = (predictions.labels(), predictions.scores());
        let has_curve = |class: &usize| {
            let members = labels.iter().filter(|label| *label == class).count();
            members > 0 && members < labels.len()
        };
        let curve = |class: usize| {
            let item = |item: usize| (item, scores[[item, class]], labels[item] == class);
            Curve::new((0..labels.len()).map(item).collect())
        };
        Self { curves: all.filter(has_curve).map(curve).collect() }
    }
}

impl Curve {
    /// Items with their scores, and whether they are what is looked for.
    pub(super) fn new(mut items: Vec<(usize, f64, bool)>) -> Self {
        items.sort_unstable_by(|a, b| a.1.total_cmp(&b.1));
        let place = |at: usize| {
            let (item, score, positive) = items[at];
            let ends = items.get(at + 1).is_none_or(|(_, next, _)| *next > score);
            Place { item: item as u32, positive, ends }
        };
        Self { order: (0..items.len()).map(place).collect() }
    }

    /// The share of pairs that are in order, ties counting half.
    pub(super) fn area(&self, counts: &[u32]) -> Option<f64> {
        let (mut ordered, mut negatives, mut positives) = (0.0, 0.0, 0.0);
        let mut tied = [0_u32; 2];
        for place in &self.order {
            tied[usize::from(place.positive)] += counts[place.item as usize];
            if place.ends {
                let [others, members] = tied.map(f64::from);
                ordered += members * (negatives + 0.5 * others);
                negatives += others;
                positives += members;
                tied = [0; 2];
            }
        }
        (positives > 0.0 && negatives > 0.0).then(|| ordered / (positives * negatives))
    }
}

impl Weighted for Areas {
    fn value(&self, counts: &[u32]) -> Option<f64> {
        let mut sum = 0.0;
        for curve in &self.curves {
            sum += curve.area(counts)?;
        }
        (!self.curves.is_empty()).then(|| sum / self.curves.len() as f64)
    }
}

/// The calibration error.
struct Gaps {
    /// The bin of each item, and whether it was right less how sure it was.
    items: Vec<(usize, f64)>,
}

impl Weighted for Gaps {
    fn value(&self, counts: &[u32]) -> Option<f64> {
        let bins = self.items.iter().map(|(bin, _)| bin + 1).max().unwrap_or_default();
        let (mut gaps, mut drawn) = (vec![0.0; bins], 0_u32);
        for (&(bin, gap), &count) in self.items.iter().zip(counts) {
            gaps[bin] += gap * f64::from(count);
            drawn += count;
        }
        let total: f64 = gaps.iter().map(|gap| gap.abs()).sum();
        (drawn > 0).then(|| total / f64::from(drawn))
    }
}

/// A metric that counts of labels against predicted classes tell.
struct Counted<'a> {
    metric: &'a dyn Metric,
    /// Label and predicted class of each item.
    items: Vec<[u32; 2]>,
    classes: usize,
}

impl Weighted for Counted<'_> {
    fn value(&self, counts: &[u32]) -> Option<f64> {
        let mut cells = Array2::zeros((self.classes, self.classes));
        for (&[label, predicted], &count) in self.items.iter().zip(counts) {
            cells[[label as usize, predicted as usize]] += count as usize;
        }
        self.metric.of_confusion(&Confusion::from_counts(cells))?.value()
    }
}

/// Any metric, of predictions that repeat items as often as they are drawn.
struct Copied<'a> {
    metric: &'a dyn Metric,
    predictions: Predictions<'a>,
}

impl Weighted for Copied<'_> {
    fn value(&self, counts: &[u32]) -> Option<f64> {
        let times = |(item, &count): (usize, &u32)| std::iter::repeat_n(item, count as usize);
        let kept: Vec<usize> = counts.iter().enumerate().flat_map(times).collect();
        let all = &self.predictions;
        let classes = |of: &[usize]| -> Vec<usize> { kept.iter().map(|&item| of[item]).collect() };
        let rows = |of: ndarray::ArrayView2<'_, f64>| of.select(ndarray::Axis(0), &kept);
        let (labels, predicted) = (classes(all.labels()), classes(all.predicted()));
        let scores: Array2<f64> = rows(all.scores());
        let probabilities: Result<Array2<f64>, Undefined> = all.probabilities().map(rows);
        let shown = match &probabilities {
            Ok(matrix) => Ok(matrix.view()),
            Err(reason) => Err(reason.reason()),
        };
        let view = Predictions::new(&labels, &predicted, scores.view(), shown, all.classes());
        self.metric.value(&view.ok()?).value()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::stats::METRICS;
    use crate::stats::testing::{Answers, Draws, assert_close};

    /// Answers that are right about half the time, with tied probabilities among them.
    fn answers(items: usize, classes: usize) -> Answers {
        let mut draws = Draws::seeded(12);
        let labels: Vec<usize> = (0..items).map(|item| item % classes).collect();
        let mut rows = Array2::zeros((items, classes));
        for (mut row, &label) in rows.rows_mut().into_iter().zip(&labels) {
            row.mapv_inplace(|_: f64| (4.0 * draws.uniform()).ceil());
            row[label] += 1.0;
            let sum = row.sum();
            row /= sum;
        }
        Answers::new(&labels, rows)
    }

    #[test]
    fn counting_items_agrees_with_copying_them_for_every_metric() {
        for classes in [2, 3] {
            let answers = answers(60, classes);
            let view = answers.view();
            let mut draws = Draws::seeded(5);
            let mut counts = vec![0_u32; 60];
            for _ in 0..60 {
                counts[(60.0 * draws.uniform()) as usize] += 1;
            }
            for metric in METRICS {
                let counted = weighted(*metric, view).unwrap().value(&counts).unwrap();
                let copied = Copied { metric: *metric, predictions: view }.value(&counts).unwrap();
                assert_close(counted, copied, 1e-12);
                let whole = weighted(*metric, view).unwrap().value(&[1; 60]).unwrap();
                assert_close(whole, metric.value(&view).value().unwrap(), 1e-12);
            }
        }
    }

    #[test]
    fn a_class_that_is_lost_leaves_means_over_classes_undefined() {
        let answers = answers(9, 3);
        let counts: Vec<u32> = (0..9).map(|item| u32::from(item % 3 != 0)).collect();
        for (name, defined) in [
            ("macro_f1", false),
            ("balanced_accuracy", false),
            ("auroc", false),
            ("accuracy", true),
        ] {
            let metric = crate::stats::metric(name).unwrap();
            let prepared = weighted(metric, answers.view()).unwrap();
            assert_eq!(prepared.value(&counts).is_some(), defined, "{name}");
        }
    }

    #[test]
    fn what_is_undefined_for_the_sample_keeps_its_reason() {
        let answers = Answers::perfect(&[1, 1, 1], 2);
        let auroc = crate::stats::metric("auroc").unwrap();
        let reason = weighted(auroc, answers.view()).err().unwrap();
        assert_eq!(reason.reason(), "only one class occurs among the labels");
    }

    #[test]
    fn drawn_seeds_are_averaged_and_losses_turned() {
        let (good, bad) = (Answers::perfect(&[0, 1, 0, 1], 2), answers(4, 2));
        let loss = crate::stats::metric("log_loss").unwrap();
        let prepared = |predictions| weighted(loss, predictions).unwrap();
        let (good, bad) = (good.view(), bad.view());
        let difference = MetricDifference {
            seeds: vec![[prepared(good), prepared(bad)], [prepared(good), prepared(good)]],
            direction: loss.direction(),
        };
        let gain = difference.value(&[2, 0], &[1; 4]).unwrap();
        assert!(gain > 0.0);
        assert_close(difference.value(&[1, 1], &[1; 4]).unwrap(), gain / 2.0, 1e-12);
        assert_eq!(difference.value(&[0, 0], &[1; 4]), None);
    }
}
