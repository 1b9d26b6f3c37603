//! Features on a common scale, learnt from the training items alone.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::base::language::choice;

choice! {
    /// How features are scaled before a classifier sees them.
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
        /// Population standard deviation; 1 where a feature is constant.
        deviation: Array1<f64>,
    },
    /// By each item's length.
    L2,
    /// Not at all.
    None,
}

impl Scaler {
    /// Learns the scale of the training items.
    pub fn fit(kind: &Normalise, train: &ArrayView2<'_, f64>) -> Self {
        match kind {
            Normalise::None => Self::None,
            Normalise::L2 => Self::L2,
            Normalise::Standard => {
                let mean = train.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(train.ncols()));
                let mut deviation = train.std_axis(Axis(0), 0.0);
                // A constant column's deviation is rounding noise: compare it with its size.
                for (deviation, mean) in deviation.iter_mut().zip(&mean) {
                    if *deviation <= 1e-12 * mean.abs().max(1e-12) {
                        *deviation = 1.0;
                    }
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
            Self::L2 => {
                for mut row in features.rows_mut() {
                    // As VISSL does it; an item of zeros stays one.
                    let length = row.dot(&row).sqrt() + 1e-5;
                    row /= length;
                }
            }
        }
        features
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_constant_column_is_only_shifted() {
        let train = array![[1.0, 0.1], [3.0, 0.1]];
        let scaler = Scaler::fit(&Normalise::Standard, &train.view());
        let scaled = scaler.apply(array![[1.0, 0.1], [5.0, 0.3]]);
        assert!((&scaled - &array![[-1.0, 0.0], [3.0, 0.2]]).iter().all(|d| d.abs() < 1e-12));
    }
}
