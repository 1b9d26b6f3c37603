//! How far the features of two domains are apart, labels aside: one file each. Every distance comes
//! with its null: the same distance between two random halves of the other domain.

mod coral;
mod frechet;
mod mmd;
mod proxy_a;
mod sliced_wasserstein;

pub(super) use coral::Coral;
pub(super) use frechet::Frechet;
pub(super) use mmd::Mmd;
pub(super) use proxy_a::ProxyA;
pub(super) use sliced_wasserstein::SlicedWasserstein;

use ndarray::{Array2, ArrayView2, Axis, concatenate};

use super::items::{Items, Refusal, drawn};
use super::score::Number;

/// Items of each domain that are looked at.
const MOST_ITEMS: usize = 2000;
/// Items of each domain at least.
const LEAST_ITEMS: usize = 5;

/// Equally many items of here, of there, and others of there.
struct Samples {
    here: Array2<f64>,
    there: Array2<f64>,
    others: Array2<f64>,
}

impl Samples {
    /// As many as both domains have, twice those of the other one, and `most` at most: a distance
    /// and its null are comparable only for equal counts.
    fn draw(items: &Items<'_>, most: usize) -> Result<Self, Refusal> {
        let other = items.other.ok_or(Refusal::Missing("features of another domain"))?;
        let size = most.min(items.features.nrows()).min(other.nrows() / 2);
        if size < LEAST_ITEMS {
            let (here, there) = (items.features.nrows(), other.nrows() / 2);
            return Err(Refusal::TooFew { items: here.min(there), least: LEAST_ITEMS });
        }
        let mut all: Vec<usize> = (0..other.nrows()).collect();
        items.seed.stream("transferability", "halves of the other domain").shuffle(&mut all);
        let here = drawn(items.features.nrows(), size, items.seed, "items of a domain");
        Ok(Self {
            here: items.features.select(Axis(0), &here),
            there: other.select(Axis(0), &all[..size]),
            others: other.select(Axis(0), &all[size..2 * size]),
        })
    }

    /// A distance and its null.
    fn measure(
        &self,
        name: &'static str,
        distance: impl Fn(ArrayView2<'_, f64>, ArrayView2<'_, f64>) -> Result<f64, Refusal>,
    ) -> Result<Number, Refusal> {
        let value = distance(self.here.view(), self.there.view())?;
        let null = distance(self.others.view(), self.there.view())?;
        if !(value.is_finite() && null.is_finite()) {
            return Err(Refusal::TooLarge);
        }
        Ok(Number { null: Some(null), ..Number::new(name, value) })
    }
}

/// Items of both, one table.
fn pooled(x: ArrayView2<'_, f64>, y: ArrayView2<'_, f64>) -> Array2<f64> {
    concatenate(Axis(0), &[x, y]).expect("both have the same features")
}

/// Covariance with divisor n − 1.
fn covariance(x: ArrayView2<'_, f64>, threads: usize) -> Array2<f64> {
    let centred = super::matrix::centred(x);
    super::matrix::with_itself(centred.t(), threads) / (x.nrows() as f64 - 1.0)
}
