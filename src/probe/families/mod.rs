//! The kinds of probes as families: what each needs of a pool, how it goes along its number, and
//! what its scores mean. How they are computed stands in the files of the same names one floor up.

mod kernel_svm;
mod knn;
mod lda;
mod linear;
mod linear_svm;
mod logistic;
mod nearest_mean;
mod only;
mod ridge;

pub use kernel_svm::{KernelShape, KernelSvm};
pub use knn::{Knn, Neighbourhood};
pub use lda::Lda;
pub use linear_svm::LinearSvm;
pub use logistic::Logistic;
pub use nearest_mean::NearestMean;
pub use ridge::Ridge;
