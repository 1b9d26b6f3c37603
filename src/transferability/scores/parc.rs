//! PARC (Bolya et al. 2021): whether items that differ in their features differ in their labels.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use crate::base::Target;
use crate::probe::{Normalise, Scaler};
use crate::transferability::items::{Items, Refusal};
use crate::transferability::judged::pearson;
use crate::transferability::matrix::{Keep, principal, with_itself};
use crate::transferability::score::{Change, Number, Score};

/// Pairwise annotation representation comparison.
pub(in super::super) struct Parc;

/// Items looked at.
const MOST_ITEMS: usize = 500;
/// Components kept.
const COMPONENTS: usize = 32;

impl Score for Parc {
    fn name(&self) -> &'static str {
        "parc"
    }

    fn description(&self) -> &'static str {
        "rank correlation, in percent, of how items differ in 32 components of their features and \
         in their labels, over at most 500 items (Bolya 2021)"
    }

    fn tells(&self) -> &'static [Target] {
        &[Target::Classes, Target::Labels]
    }

    fn unchanged_by(&self) -> &'static [Change] {
        &[Change::Scale, Change::Shift]
    }

    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal> {
        if items.target == Target::Values {
            return Err(Refusal::NotOfClasses(items.target.told()));
        }
        items.differ()?;
        let rows = items.some("parc", MOST_ITEMS);
        let chosen = items.features.select(Axis(0), &rows);
        let targets = items.targets.select(Axis(0), &rows);
        let scaled = Scaler::fit(&Normalise::Standard, &chosen.view()).apply(chosen);
        if scaled.iter().any(|value| !value.is_finite()) {
            return Err(Refusal::TooLarge);
        }
        let components = principal(scaled.view(), Keep::Most(COMPONENTS), items.threads);
        let value = parc(components.view(), targets.view(), items.threads)?;
        Ok(vec![Number::new("parc", value)])
    }
}

/// 100 times Spearman's correlation over pairs of items between 1 − Pearson's of their features and
/// the same of what is told of them: of one-hot classes, or of labels. Items that have all labels or
/// none correlate with nothing and are left out.
fn parc(
    features: ArrayView2<'_, f64>,
    targets: ArrayView2<'_, f64>,
    threads: usize,
) -> Result<f64, Refusal> {
    let mut rows = Array2::zeros((0, features.ncols()));
    let mut told = Array2::zeros((0, targets.ncols()));
    for (row, target) in features.rows().into_iter().zip(targets.rows()) {
        if let (Some(row), Some(target)) = (direction(row), direction(target)) {
            rows.push_row(row.view()).expect("as wide as the others");
            told.push_row(target.view()).expect("as wide as the others");
        }
    }
    let count = rows.nrows();
    if count < 3 {
        return Err(Refusal::TooFew { items: count, least: 3 });
    }
    let similar = with_itself(rows.view(), threads);
    let alike = with_itself(told.view(), threads);
    let pairs = (0..count).flat_map(|i| (0..i).map(move |j| (i, j)));
    // Rounding must not part what is told alike.
    let differ = |i: usize, j: usize| ((1.0 - alike[[i, j]]) * 1e9).round();
    let (far, differ): (Vec<f64>, Vec<f64>) =
        pairs.map(|(i, j)| (1.0 - similar[[i, j]], differ(i, j))).unzip();
    let value = pearson(&ranks(&far), &ranks(&differ));
    value.map(|value| 100.0 * value).ok_or(Refusal::NoValue("all pairs of items differ alike"))
}

/// A row around its mean, of length 1; nothing if its numbers are all the same.
fn direction(row: ArrayView1<'_, f64>) -> Option<Array1<f64>> {
    let around = &row - row.mean().unwrap_or_default();
    let length = around.dot(&around).sqrt();
    (length > 1e-12 * row.dot(&row).sqrt()).then(|| around / length)
}

/// Ranks from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for equal in order.chunk_by(|&a, &b| values[a] >= values[b]) {
        let rank = first as f64 + 0.5 * (equal.len() + 1) as f64;
        for &index in equal {
            ranks[index] = rank;
        }
        first += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transferability::testing::{assert_close, clusters, twelve};

    /// Pairs that differ alike share their rank here; with ties that rounding has broken,
    /// `SciPy` gives 65.497 878 22.
    #[test]
    fn twelve_items_without_components_have_the_known_value() {
        let twelve = twelve();
        let scaler = Scaler::fit(&Normalise::Standard, &twelve.features.view());
        let scaled = scaler.apply(twelve.features.clone());
        assert_close(
            parc(scaled.view(), twelve.items().targets.view(), 1).unwrap(),
            67.504_305_26,
            1e-7,
        );
    }

    #[test]
    fn equal_values_share_their_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
    }

    #[test]
    fn clusters_that_are_far_apart_reach_what_two_values_of_a_label_can() {
        let (near, labels) = clusters((600, 40, 4), 0.05, 1);
        let (far, _) = clusters((600, 40, 4), 5.0, 1);
        let value = |features: &Array2<f64>| {
            Parc.numbers(&Items::new(features.view(), &labels).unwrap()).unwrap()[0].value
        };
        assert!(value(&far) > 60.0 && value(&near) < 10.0, "{} {}", value(&far), value(&near));
    }
}
