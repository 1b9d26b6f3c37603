//! Metrics of labels and numbers for a resample, from counts of items.

use crate::stats::columns::{Column, ColumnMetric, Columns};
use crate::stats::measured::{Measured, Undefined};

use super::prepared::{Curve, Weighted};

/// Prepares `metric` of one column, or the mean over all of them, for resamples. Areas, shares of
/// variance and means of losses take time in proportion to the items; any other metric is computed
/// from copies.
///
/// # Errors
/// Why the metric has no value.
pub fn weighted_columns<'a>(
    metric: &'a dyn ColumnMetric,
    columns: &Columns<'_>,
    only: Option<usize>,
) -> Result<Box<dyn Weighted + 'a>, Undefined> {
    let chosen = only.map_or(0..columns.count(), |index| index..index + 1);
    let mut known: Vec<Box<dyn Weighted + 'a>> = Vec::new();
    let mut first = None;
    for column in chosen.map(|index| columns.column(index)) {
        match metric.column(&column) {
            Measured::Defined(_) => known.push(prepared(metric, column)),
            Measured::Undefined(reason) => first = first.or(Some(reason)),
        }
    }
    match first.filter(|_| known.is_empty()) {
        Some(reason) => Err(reason),
        None => Ok(Box::new(Mean { columns: known })),
    }
}

fn prepared<'a>(metric: &'a dyn ColumnMetric, column: Column) -> Box<dyn Weighted + 'a> {
    let pairs = || column.truths.iter().zip(&column.told);
    let losses = |loss: fn(f64, f64) -> f64| -> Vec<(usize, f64)> {
        column.items.iter().copied().zip(pairs().map(|(y, told)| loss(*y, *told))).collect()
    };
    let squared = |truth: f64, told: f64| (told - truth).powi(2);
    match (metric.name(), metric.loss()) {
        (_, Some(loss)) => Box::new(Losses { items: losses(loss), root: false }),
        ("rmse", _) => Box::new(Losses { items: losses(squared), root: true }),
        ("r2", _) => {
            let items = column.items.iter().copied().zip(pairs());
            let centre = column.truths.iter().sum::<f64>() / column.truths.len() as f64;
            let part =
                |(item, (y, told)): (usize, (&f64, &f64))| (item, y - centre, squared(*y, *told));
            Box::new(Explained { items: items.map(part).collect() })
        }
        ("auroc", _) => {
            let items = column.items.iter().copied().zip(pairs());
            Box::new(Area(Curve::new(items.map(|(item, (y, p))| (item, *p, *y > 0.5)).collect())))
        }
        _ => Box::new(Copied { metric, column }),
    }
}

/// The plain mean over columns; none if any has no value for the resample.
struct Mean<'a> {
    columns: Vec<Box<dyn Weighted + 'a>>,
}

impl Weighted for Mean<'_> {
    fn value(&self, counts: &[u32]) -> Option<f64> {
        let sum: Option<f64> = self.columns.iter().map(|column| column.value(counts)).sum();
        Some(sum? / self.columns.len() as f64)
    }
}

/// The mean of a loss over what is known of a column, or its root.
struct Losses {
    items: Vec<(usize, f64)>,
    root: bool,
}

impl Weighted for Losses {
    fn value(&self, counts: &[u32]) -> Option<f64> {
        let (mut sum, mut drawn) = (0.0, 0_u32);
        for &(item, loss) in &self.items {
            sum += f64::from(counts[item]) * loss;
            drawn += counts[item];
        }
        let mean = (drawn > 0).then(|| sum / f64::from(drawn))?;
        Some(if self.root { mean.sqrt() } else { mean })
    }
}

/// The share of variance that is explained: each item's distance from the sample's mean, and its
/// squared error.
struct Explained {
    items: Vec<(usize, f64, f64)>,
}

impl Weighted for Explained {
    fn value(&self, counts: &[u32]) -> Option<f64> {
        let (mut drawn, mut sum, mut squares, mut errors) = (0.0, 0.0, 0.0, 0.0);
        for &(item, distance, error) in &self.items {
            let count = f64::from(counts[item]);
            drawn += count;
            sum += count * distance;
            squares += count * distance * distance;
            errors += count * error;
        }
        let around = squares - sum * sum / drawn;
        // What is left of equal numbers is rounding.
        (around > 1e-12 * squares).then(|| 1.0 - errors / around)
    }
}

/// The area under the curve of a label.
struct Area(Curve);

impl Weighted for Area {
    fn value(&self, counts: &[u32]) -> Option<f64> {
        self.0.area(counts)
    }
}

/// Any metric, of a column that repeats items as often as they are drawn.
struct Copied<'a> {
    metric: &'a dyn ColumnMetric,
    column: Column,
}

impl Weighted for Copied<'_> {
    fn value(&self, counts: &[u32]) -> Option<f64> {
        let all = &self.column;
        let mut drawn = Column::default();
        for (place, &item) in all.items.iter().enumerate() {
            for _ in 0..counts[item] {
                drawn.items.push(item);
                drawn.truths.push(all.truths[place]);
                drawn.told.push(all.told[place]);
            }
        }
        self.metric.column(&drawn).value()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::stats::testing::{Draws, assert_close};
    use crate::stats::{LABEL_METRICS, VALUE_METRICS};

    /// Three columns of sixty items, a seventh of them unknown, with tied answers.
    fn cells(is_label: bool) -> (Array2<f64>, Array2<f64>) {
        let mut draws = Draws::seeded(21);
        let mut truth = || match is_label {
            true => f64::from(u8::from(draws.chance(0.4))),
            false => 100.0 + draws.normal(),
        };
        let mut truths = Array2::from_shape_simple_fn((60, 3), &mut truth);
        truths.iter_mut().step_by(7).for_each(|cell| *cell = f64::NAN);
        let told = Array2::from_shape_simple_fn((60, 3), || (8.0 * draws.uniform()).floor() / 8.0);
        (truths, told)
    }

    #[test]
    fn counting_items_agrees_with_copying_them_for_every_metric() {
        let mut draws = Draws::seeded(4);
        let mut counts = vec![0_u32; 60];
        (0..60).for_each(|_| counts[(60.0 * draws.uniform()) as usize] += 1);
        for is_label in [true, false] {
            let (truths, told) = cells(is_label);
            let view = match is_label {
                true => Columns::labels(truths.view(), told.view()).unwrap(),
                false => Columns::values(truths.view(), told.view()).unwrap(),
            };
            let metrics = if is_label { LABEL_METRICS } else { VALUE_METRICS };
            for metric in metrics {
                let whole = weighted_columns(*metric, &view, None).unwrap();
                let value = metric.value(&view).value().unwrap();
                assert_close(whole.value(&[1; 60]).unwrap(), value, 1e-9);
                for index in 0..3 {
                    let column = view.column(index);
                    let copied = Copied { metric: *metric, column }.value(&counts).unwrap();
                    let counted = weighted_columns(*metric, &view, Some(index)).unwrap();
                    assert_close(counted.value(&counts).unwrap(), copied, 1e-9 * copied.abs());
                }
            }
        }
    }

    #[test]
    fn a_label_that_is_lost_leaves_the_mean_undefined_and_losses_not() {
        let (mut truths, told) = cells(true);
        truths.column_mut(0).fill(0.0);
        truths[[5, 0]] = 1.0;
        let view = Columns::labels(truths.view(), told.view()).unwrap();
        let mut counts = vec![1_u32; 60];
        counts[5] = 0;
        let value = |name: &str| {
            let metric = LABEL_METRICS.iter().find(|metric| metric.name() == name).unwrap();
            weighted_columns(*metric, &view, None).unwrap().value(&counts)
        };
        assert_eq!((value("auroc"), value("average_precision")), (None, None));
        assert!(value("log_loss").is_some());
    }

    #[test]
    fn what_is_undefined_keeps_its_reason() {
        let truths = Array2::from_elem((4, 1), 1.0);
        let view = Columns::labels(truths.view(), truths.view()).unwrap();
        let reason = weighted_columns(LABEL_METRICS[0], &view, None).err().unwrap();
        assert_eq!(reason.reason(), "every item, or none, has this label");
    }
}
