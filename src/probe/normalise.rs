//! Features on a common scale, learnt from the training items alone.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};

use crate::base::language::choice;

choice! {
    /// How features are scaled before a classifier sees them. Of features that were put together,
    /// each part is scaled by itself, and so that all parts weigh the same.
    pub enum Normalise {
        /// Each feature to mean 0 and standard deviation 1 over the training items.
        "standard" => Standard,
        /// Each item to length 1.
        "l2" => L2,
        /// Not at all.
        "none" => None,
    }
}

/// Scales features as it was fitted to.
#[derive(Clone, Debug)]
pub enum Scaler {
    /// By mean and standard deviation.
    Standard {
        /// Of each feature over the training items.
        mean: Array1<f64>,
        /// Population standard deviation; 1 where a feature is constant. Of several parts, divided
        /// by the weight of each.
        deviation: Array1<f64>,
    },
    /// By each item's length.
    L2 {
        /// How many features each part has.
        parts: Vec<usize>,
    },
    /// Not at all.
    None,
}

impl Scaler {
    /// Learns the scale of the training items.
    pub fn fit(kind: &Normalise, train: &ArrayView2<'_, f64>) -> Self {
        Self::of_parts(kind, train, &[train.ncols()])
    }

    /// The same for features that were put together of parts of these widths. The total variance of
    /// each part, or the squared length of an item in it, is the same share of the whole: of d features
    /// in P parts, standard ones of a part of k are multiplied by √(d / (P k)), items of length 1 in
    /// each part by √(1/P).
    pub fn of_parts(kind: &Normalise, train: &ArrayView2<'_, f64>, parts: &[usize]) -> Self {
        match kind {
            Normalise::None => Self::None,
            Normalise::L2 => Self::L2 { parts: parts.to_vec() },
            Normalise::Standard => {
                let mean = train.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(train.ncols()));
                let mut deviation = train.std_axis(Axis(0), 0.0);
                // A constant column's deviation is rounding noise: compare it with its size.
                for (deviation, mean) in deviation.iter_mut().zip(&mean) {
                    if *deviation <= 1e-12 * mean.abs().max(1e-12) {
                        *deviation = 1.0;
                    }
                }
                if parts.len() > 1 {
                    let all = train.ncols() as f64;
                    each_part(parts, |span, width| {
                        let weight = (all / (parts.len() * width) as f64).sqrt();
                        deviation.slice_mut(s![span]).mapv_inplace(|value| value / weight);
                    });
                }
                Self::Standard { mean, deviation }
            }
        }
    }

    /// Weights (features × columns) and biases that say of unscaled features what these say of
    /// scaled ones: W/σ and b − μ·(W/σ). Lengths cannot be taken into weights: those of items
    /// scaled by them stay what they are.
    pub fn unscaled(
        &self,
        (mut weights, mut biases): (Array2<f64>, Array1<f64>),
    ) -> (Array2<f64>, Array1<f64>) {
        if let Self::Standard { mean, deviation } = self {
            weights /= &deviation.view().insert_axis(Axis(1));
            biases -= &mean.dot(&weights);
        }
        (weights, biases)
    }

    /// Scaled features.
    pub fn apply(&self, mut features: Array2<f64>) -> Array2<f64> {
        match self {
            Self::None => {}
            Self::Standard { mean, deviation } => {
                features -= mean;
                features /= deviation;
            }
            Self::L2 { parts } => {
                let share = (parts.len() as f64).sqrt();
                each_part(parts, |span, _| {
                    for mut row in features.slice_mut(s![.., span]).rows_mut() {
                        // As VISSL does it; an item of zeros stays one.
                        let length = row.dot(&row).sqrt() + 1e-5;
                        row /= length * share;
                    }
                });
            }
        }
        features
    }
}

/// Calls `work` with the features of each part and how many there are.
fn each_part(parts: &[usize], mut work: impl FnMut(std::ops::Range<usize>, usize)) {
    let mut start = 0;
    for &width in parts {
        work(start..start + width, width);
        start += width;
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::probe::testing::normal;

    #[test]
    fn a_constant_column_is_only_shifted() {
        let train = array![[1.0, 0.1], [3.0, 0.1]];
        let scaler = Scaler::fit(&Normalise::Standard, &train.view());
        let scaled = scaler.apply(array![[1.0, 0.1], [5.0, 0.3]]);
        assert!((&scaled - &array![[-1.0, 0.0], [3.0, 0.2]]).iter().all(|d| d.abs() < 1e-12));
    }

    #[test]
    fn parts_weigh_the_same_however_many_features_they_have() {
        let mut features = normal(1, 50, 10);
        features.slice_mut(s![.., 2..]).mapv_inplace(|value| 1e3 * value + 7.0);
        let squares = |features: &Array2<f64>, span: std::ops::Range<usize>| {
            features.slice(s![.., span]).mapv(|v| v * v).sum() / 50.0
        };
        let standard = Scaler::of_parts(&Normalise::Standard, &features.view(), &[2, 8]);
        let scaled = standard.apply(features.clone());
        // Ten features have a total variance of ten, as without parts; each part has half of it.
        assert!((squares(&scaled, 0..2) - 5.0).abs() < 1e-9);
        assert!((squares(&scaled, 2..10) - 5.0).abs() < 1e-9);
        let l2 = Scaler::of_parts(&Normalise::L2, &features.view(), &[2, 8]);
        let scaled = l2.apply(features.clone());
        assert!((squares(&scaled, 0..2) - 0.5).abs() < 1e-3);
        assert!((squares(&scaled, 2..10) - 0.5).abs() < 1e-3);
    }

    #[test]
    fn weights_say_of_unscaled_features_what_they_say_of_scaled_ones() {
        let features = normal(2, 20, 5) * 3.0;
        let scaler = Scaler::of_parts(&Normalise::Standard, &features.view(), &[1, 4]);
        let (weights, biases) = (normal(3, 5, 2), array![0.5, -1.0]);
        let expected = scaler.apply(features.clone()).dot(&weights) + &biases;
        let (weights, biases) = scaler.unscaled((weights, biases));
        let found = features.dot(&weights) + &biases;
        assert!((&found - &expected).iter().all(|d| d.abs() < 1e-12));
    }
}
