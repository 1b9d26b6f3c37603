//! Triangular factors of symmetric matrices, three ways with a trade-off each.
//!
//! | | what for | what it gives up |
//! |---|---|---|
//! | [`Cholesky`] | a few systems and determinants, as exact as can be | speed beyond some hundred rows |
//! | [`Blocked`] | large matrices, on several threads | digits: panels are multiplied by inverses |
//! | [`Pivoted`] | covariances of features that may be combinations of others | speed: one row at a time |

mod blocked;
mod pivoted;
mod plain;

pub(super) use blocked::Blocked;
pub(super) use pivoted::Pivoted;
pub(crate) use plain::Cholesky;
