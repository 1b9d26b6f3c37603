//! What the advisor measures of a layer's features beside the scores.

use ndarray::{Array2, ArrayView2, s};
use serde::{Deserialize, Serialize};

use crate::probe::ridge::{Decomposed, class_targets};
use crate::probe::{Normalise, Scaler};

use super::super::items::{Items, Refusal};
use super::super::matrix::{Keep, principal};
use super::super::score::score;

/// What was measured of a layer's features, or of pixels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Share of items that their five nearest others tell right.
    pub neighbours: Option<f64>,
    /// Error of ridge regression, each item by a fit without it, each class weighing the same, at
    /// the best of some penalties.
    pub ridge_error: Option<f64>,
    /// `LogME` after principal components, and the same on random weights with as many components.
    pub log_me: Option<(f64, f64)>,
    /// How many components these have.
    pub components: Option<usize>,
}

/// Items that are looked at at most.
pub const MOST_ITEMS: usize = 2000;
/// Components that both models are brought to.
const COMPONENTS: usize = 32;
/// Penalties on features of unit variance.
const PENALTIES: [f64; 6] = [0.1, 1.0, 10.0, 100.0, 1e3, 1e4];

/// Measures features against labels; `random` are those of the same items by random weights.
pub fn measure(
    features: ArrayView2<'_, f64>,
    labels: &[usize],
    random: Option<ArrayView2<'_, f64>>,
    threads: usize,
) -> Result<Measures, Refusal> {
    let items = Items::new(features, labels)?.on_threads(threads);
    let near = score("neighbours").and_then(|score| score.numbers(&items).ok());
    let near = near.and_then(|all| all.into_iter().find(|one| one.name == "neighbours_5"));
    let log_me = random.and_then(|random| log_me_gain(features, random, labels, threads));
    Ok(Measures {
        neighbours: near.map(|number| number.value),
        ridge_error: ridge_error(features, &items, threads),
        log_me: log_me.map(|(own, random, _)| (own, random)),
        components: log_me.map(|(.., components)| components),
    })
}

/// `LogME` of features and of random ones, both on the same number of principal components, which is
/// told too. Nothing where it cannot be had.
pub fn log_me_gain(
    features: ArrayView2<'_, f64>,
    random: ArrayView2<'_, f64>,
    labels: &[usize],
    threads: usize,
) -> Option<(f64, f64, usize)> {
    let parts = [features, random].map(|rows| principal(rows, Keep::Most(COMPONENTS), threads));
    let common = parts.iter().map(Array2::ncols).min().filter(|common| *common > 0)?;
    let value = |part: &Array2<f64>| {
        let items = Items::new(part.slice(s![.., ..common]), labels).ok()?;
        let numbers = score("log_me")?.numbers(&items.on_threads(threads)).ok()?;
        Some(numbers.first()?.value)
    };
    Some((value(&parts[0])?, value(&parts[1])?, common))
}

/// The least balanced error over penalties; nothing if none can be fitted.
fn ridge_error(features: ArrayView2<'_, f64>, items: &Items<'_>, threads: usize) -> Option<f64> {
    let scaler = Scaler::fit(&Normalise::Standard, &features);
    let scaled = scaler.apply(features.to_owned());
    let targets = class_targets(&items.labels, items.classes).ok()?;
    let decomposed = Decomposed::new(scaled, targets.view(), threads).ok()?;
    let error = |lambda: f64| {
        let told = decomposed.leave_one_out(lambda).ok()??;
        Some(balanced_error(&told, items))
    };
    PENALTIES.into_iter().filter_map(error).min_by(f64::total_cmp)
}

fn balanced_error(told: &Array2<f64>, items: &Items<'_>) -> f64 {
    let mut wrong = vec![0.0; items.classes];
    for (row, &label) in told.rows().into_iter().zip(&items.labels) {
        let others = row.iter().enumerate().filter(|(class, _)| *class != label);
        let is_wrong = others.into_iter().any(|(_, value)| *value >= row[label]);
        wrong[label] += f64::from(u8::from(is_wrong));
    }
    let shares = wrong.iter().zip(items.counts()).map(|(wrong, count)| wrong / count as f64);
    shares.sum::<f64>() / items.classes as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;
    use crate::transferability::testing::first_digits;

    #[test]
    fn pixels_of_digits_are_of_use_and_noise_is_not() {
        let (features, labels) = first_digits(300);
        let mut stream = Seed(3).stream("test", "noise");
        let noise = Array2::from_shape_simple_fn(features.dim(), || stream.normal());
        let good = measure(features.view(), &labels, Some(noise.view()), 2).unwrap();
        let bad = measure(noise.view(), &labels, Some(features.view()), 1).unwrap();
        assert!(good.neighbours.unwrap() > 0.9 && bad.neighbours.unwrap() < 0.3);
        assert!(good.ridge_error.unwrap() < 0.12 && bad.ridge_error.unwrap() > 0.7);
        let (own, random) = good.log_me.unwrap();
        assert!(own > random + 0.1, "{good:?}");
        assert_eq!(bad.log_me, Some((random, own)));
        assert_eq!(good.components, Some(32));
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let (features, labels) = first_digits(150);
        let random = features.mapv(|value| (3.0 * value).sin());
        let measured =
            [1, 3].map(|threads| measure(features.view(), &labels, Some(random.view()), threads));
        assert_eq!(measured[0], measured[1]);
    }

    #[test]
    fn a_tie_is_no_right_answer_and_one_class_is_no_question() {
        let features = Array2::<f64>::zeros((6, 2));
        let told = measure(features.view(), &[0, 0, 0, 1, 1, 1], None, 1).unwrap();
        assert!(told.ridge_error.is_none_or(|error| error >= 0.5), "{told:?}");
        let one = measure(features.view(), &[0; 6], None, 1).unwrap();
        assert_eq!(one, Measures::default());
    }
}
