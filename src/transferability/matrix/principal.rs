//! Principal components.

use ndarray::{Array2, ArrayView2, Axis, s};

use super::{eigen, product, with_itself};

/// How many components are kept.
#[derive(Clone, Copy)]
pub(in super::super) enum Keep {
    /// So many at most.
    Most(usize),
    /// So few that they hold this share of the variance.
    Share(f64),
}

impl Keep {
    fn count(self, variances: &[f64]) -> usize {
        let real = variances.iter().take_while(|&&v| v > 1e-12 * variances[0]).count();
        let Self::Share(share) = self else {
            let Self::Most(most) = self else { return real };
            return real.min(most);
        };
        let total: f64 = variances[..real].iter().sum();
        let mut held = 0.0;
        let enough = variances[..real].iter().position(|variance| {
            held += variance;
            // A share that is reached but for rounding is reached.
            held >= share * total * (1.0 - 1e-12)
        });
        enough.map_or(real, |last| last + 1)
    }
}

/// Features less their means.
pub(in super::super) fn centred(features: ArrayView2<'_, f64>) -> Array2<f64> {
    let mut centred = features.as_standard_layout().into_owned();
    if let Some(mean) = features.mean_axis(Axis(0)) {
        centred -= &mean;
    }
    centred
}

/// Items × components, the largest first; the matrix of pairs of items serves where there are fewer
/// items than features.
pub(in super::super) fn principal(
    features: ArrayView2<'_, f64>,
    keep: Keep,
    threads: usize,
) -> Array2<f64> {
    let centred = centred(features);
    if centred.is_empty() {
        return Array2::zeros((centred.nrows(), 0));
    }
    if centred.ncols() <= centred.nrows() {
        let gram = with_itself(centred.t(), threads);
        let (values, axes) = eigen(gram, &Array2::eye(centred.ncols()), threads);
        let count = keep.count(&values);
        return product(centred.view(), axes.slice(s![..count, ..]).t(), threads);
    }
    let gram = with_itself(centred.view(), threads);
    let (values, vectors) = eigen(gram, &Array2::eye(centred.nrows()), threads);
    let count = keep.count(&values);
    let mut components = vectors.slice(s![..count, ..]).t().as_standard_layout().into_owned();
    for (mut component, value) in components.columns_mut().into_iter().zip(&values) {
        component *= value.sqrt();
    }
    components
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Seed;

    fn drawn(items: usize, features: usize) -> Array2<f64> {
        let mut stream = Seed(5).stream("test", "principal");
        Array2::from_shape_simple_fn((items, features), || stream.normal())
    }

    #[test]
    fn distances_between_items_stay_what_they_are() {
        for (items, features) in [(20, 6), (6, 20)] {
            let before = centred(drawn(items, features).view());
            let after = principal(before.view(), Keep::Most(100), 2);
            assert_eq!(after.dim(), (items, features.min(items - 1)));
            let change = before.dot(&before.t()) - after.dot(&after.t());
            assert!(change.iter().all(|d| d.abs() < 1e-11));
        }
    }

    #[test]
    fn a_share_of_the_variance_is_held() {
        let mut features = drawn(200, 4);
        features.column_mut(2).mapv_inplace(|value| 10.0 * value);
        let kept = |share| principal(features.view(), Keep::Share(share), 1).ncols();
        assert_eq!((kept(0.9), kept(1.0)), (1, 4));
        assert_eq!(principal(Array2::ones((5, 3)).view(), Keep::Share(0.8), 1).ncols(), 0);
    }
}
