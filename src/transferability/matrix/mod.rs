//! What the scores need of linear algebra, on several threads with the same bits for any number.

mod eigen;
mod principal;

pub(super) use crate::probe::cholesky::Cholesky;
pub(super) use crate::probe::products::{dot, product, with_itself};
pub(super) use crate::probe::threads::each_part;
pub(super) use eigen::{eigen, eigenvalues};
pub(super) use principal::{Keep, centred, principal};
