//! NCE (Tran et al. 2019): minus the entropy of the labels once the most likely source class of
//! each item is known.

use crate::transferability::items::{Items, Refusal};
use crate::transferability::score::{Change, Needs, Number, Score};

/// Negative conditional entropy.
pub(in super::super) struct Nce;

impl Score for Nce {
    fn name(&self) -> &'static str {
        "nce"
    }

    fn description(&self) -> &'static str {
        "minus the entropy of the labels given the most likely source class, from −H(Y) to 0 \
         (Tran 2019)"
    }

    fn needs(&self) -> Needs {
        Needs::Source
    }

    fn unchanged_by(&self) -> &'static [Change] {
        &[Change::Scale, Change::Shift, Change::Rotation]
    }

    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal> {
        items.told_apart()?;
        let source = items.source.ok_or(Refusal::Missing("probabilities of source classes"))?;
        let most_likely = |row: ndarray::ArrayView1<'_, f64>| {
            let better = |best: usize, z: usize| if row[z] > row[best] { z } else { best };
            (0..row.len()).reduce(better).unwrap_or_default()
        };
        let chosen: Vec<usize> = source.rows().into_iter().map(most_likely).collect();
        let value = nce(items, &chosen, source.ncols());
        let few = items.labels.len() < 5 * source.ncols();
        let warning = few.then_some("fewer than five items for each source class: too high");
        Ok(vec![Number { warning, ..Number::new("nce", value) }])
    }
}

/// Σ P(y, z) ln P(y | z).
fn nce(items: &Items<'_>, chosen: &[usize], source_classes: usize) -> f64 {
    let mut counts = vec![vec![0.0; items.classes]; source_classes];
    for (&z, &y) in chosen.iter().zip(&items.labels) {
        counts[z][y] += 1.0;
    }
    let of_class = |row: &Vec<f64>| {
        let total: f64 = row.iter().sum();
        row.iter().filter(|&&n| n > 0.0).map(|n| n * (n / total).ln()).sum::<f64>()
    };
    counts.iter().map(of_class).sum::<f64>() / chosen.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transferability::testing::{assert_close, twelve};

    #[test]
    fn twelve_items_with_known_source_classes() {
        let twelve = twelve();
        let items = twelve.items();
        assert_close(Nce.numbers(&items).unwrap()[0].value, 0.0, 1e-15);
        let told = [0, 0, 0, 1, 1, 1, 1, 0, 2, 2, 2, 2];
        assert_close(nce(&items, &told, 3), -0.374_890_10, 1e-8);
        assert_close(nce(&items, &[1; 12], 3), -3_f64.ln(), 1e-15);
    }

    #[test]
    fn few_items_for_many_source_classes_are_told() {
        let twelve = twelve();
        assert!(Nce.numbers(&twelve.items()).unwrap()[0].warning.is_some());
    }
}
