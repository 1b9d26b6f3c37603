//! What the scores need of linear algebra, on several threads with the same bits for any number.

mod cholesky;
mod eigen;
mod principal;
mod products;

pub(super) use cholesky::Cholesky;
pub(super) use eigen::{eigen, eigenvalues};
pub(super) use principal::{Keep, centred, principal};
pub(super) use products::{dot, each, product, with_itself};
