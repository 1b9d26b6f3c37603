//! N-LEEP (Li et al. 2021): LEEP with the components of a mixture of Gaussians in place of source
//! classes, so that no source head is needed.

use super::leep::leep;
use super::mixture::posteriors;
use crate::base::Seed;
use crate::transferability::items::{Items, Refusal};
use crate::transferability::matrix::{Keep, each_part, principal};
use crate::transferability::score::{Change, Number, Score};

/// LEEP over a mixture.
pub(in super::super) struct NLeep;

/// Share of the variance that is kept.
const SHARE: f64 = 0.8;
/// Components of the mixture for each class.
const FOR_EACH_CLASS: usize = 5;
/// Items for each component at least.
const ITEMS: usize = 10;
/// Starts.
const SEEDS: u64 = 5;

impl Score for NLeep {
    fn name(&self) -> &'static str {
        "n_leep"
    }

    fn description(&self) -> &'static str {
        "LEEP over mixtures of five Gaussians a class, of principal components with 80 % of the \
         variance, mean of five starts (Li 2021)"
    }

    fn unchanged_by(&self) -> &'static [Change] {
        &[Change::Shift]
    }

    fn numbers(&self, items: &Items<'_>) -> Result<Vec<Number>, Refusal> {
        items.told_apart()?;
        let count = items.labels.len();
        let components = (FOR_EACH_CLASS * items.classes).min(count / ITEMS);
        if components < 2 {
            return Err(Refusal::TooFew { items: count, least: 2 * ITEMS });
        }
        let features = principal(items.features, Keep::Share(SHARE), items.threads);
        if features.ncols() == 0 {
            return Err(Refusal::Same);
        }
        let values = each_part(items.threads, 0..SEEDS, |_, start| {
            let alone = items.clone().on_threads(1);
            leep(&alone, posteriors(&features, components, Seed(start)).view())
        });
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Refusal::TooLarge);
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = Some((squares / (values.len() - 1) as f64).sqrt());
        Ok(vec![Number { deviation, ..Number::new("n_leep", mean) }])
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::transferability::testing::{assert_close, clusters};

    fn number(features: &Array2<f64>, labels: &[usize], threads: usize) -> Number {
        let items = Items::new(features.view(), labels).unwrap().on_threads(threads);
        NLeep.numbers(&items).unwrap().remove(0)
    }

    #[test]
    fn features_that_are_the_labels_give_zero() {
        let labels: Vec<usize> = (0..90).map(|item| item % 3).collect();
        let features = Array2::from_shape_fn((90, 3), |(i, c)| f64::from(u8::from(labels[i] == c)));
        assert_close(number(&features, &labels, 1).value, 0.0, 1e-9);
    }

    #[test]
    fn labels_at_random_give_about_the_entropy_and_clusters_give_more() {
        let (features, labels) = clusters((600, 8, 3), 3.0, 4);
        let shuffled: Vec<usize> =
            (0..600).map(|item| labels[(item * 7 + item / 3) % 600]).collect();
        let (told, random) = (number(&features, &labels, 1), number(&features, &shuffled, 1));
        assert!(told.value > -0.2 && random.value < -0.9, "{told:?} {random:?}");
        assert!(random.deviation > Some(0.0));
    }

    #[test]
    fn too_few_items_for_two_components_are_refused() {
        let (features, labels) = clusters((19, 4, 2), 1.0, 1);
        let refusal = NLeep.numbers(&Items::new(features.view(), &labels).unwrap()).unwrap_err();
        assert_eq!(refusal, Refusal::TooFew { items: 19, least: 20 });
    }
}
