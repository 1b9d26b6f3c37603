//! Probes: whatever is fitted on features, and the choice of its setting. The only door to linfa.
//!
//! A [`Family`] is a kind of probe with one number left open. [`select`] fits it along that number
//! on some items of a [`Pool`], looks at others, and keeps the best.

pub mod calibration;
pub(crate) mod cholesky;
mod families;
mod family;
pub mod folds;
pub mod gram;
mod grid;
mod k_means;
pub mod kernel_svm;
pub mod knn;
mod label_map;
pub mod lda;
pub mod linear_svm;
pub mod logistic;
mod narrow;
pub mod nearest_mean;
pub mod newton;
mod normalise;
mod packed;
mod pool;
mod probabilities;
pub(crate) mod products;
mod records;
pub mod ridge;
mod selection;
mod softmax;
#[cfg(test)]
pub(crate) mod testing;
pub mod threads;
mod tridiagonal;
pub mod unfit;

pub use families::{
    KernelShape, KernelSvm, Knn, Lda, LinearSvm, Logistic, NearestMean, Neighbourhood, Ridge,
};
pub use family::{Family, Fitted, Path, Prepared};
pub use folds::{Folds, Strata};
pub use grid::{Cost, Grid, Named};
pub use k_means::{Clusters, Search, matched};
pub use knn::{Distance, Votes};
pub use label_map::LabelMap;
pub use lda::Shrinkage;
pub use linear_svm::Loss;
pub use logistic::Settings;
pub use normalise::{Normalise, Scaler};
pub use pool::{Pool, Targets};
pub use probabilities::{Calibrator, Probabilities};
pub use records::{At, Examples, Features};
pub use selection::{Choice, Counts, Criterion, Curve, Plan, Round, Selected, Values, select};
pub use softmax::log_softmax;
pub use unfit::Unfit;

use thiserror::Error;

/// Why there is no classifier.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProbeError {
    /// The data cannot be fitted.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// More items than a kernel matrix is made for.
    #[error("{items} items need a kernel matrix of {items} × {items}; at most {most} are taken")]
    TooMany {
        /// How many there are.
        items: usize,
        /// How many there may be.
        most: usize,
    },
    /// This kind of probe does not judge items by fits without them.
    #[error("this kind of probe has no closed form for items left out one by one")]
    NothingLeftOut,
    /// This kind of probe is not made for such targets.
    #[error("{0}")]
    OtherTargets(&'static str),
    /// It could not be fitted.
    #[error("{0}")]
    NoFit(String),
}

/// Refuses features that are not numbers, and a single class among any of these sets of items.
fn checked<'a>(
    pool: &Pool,
    fitted: impl IntoIterator<Item = &'a [usize]>,
) -> Result<(), ProbeError> {
    unfit::check_features(&pool.features.view())?;
    for rows in fitted {
        if let Targets::Classes { labels, .. } = pool.targets.of(rows) {
            unfit::check_classes(&labels)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod digits;
#[cfg(test)]
mod oracles;
