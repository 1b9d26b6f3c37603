//! Words that every room needs: digests, seeds, places in a file, mistakes a user made, and
//! files written whole. Knows nothing of models, data or pipelines.

pub mod atomic;
mod counted;
mod digest;
pub mod language;
mod limits;
pub mod numbers;
mod problem;
mod seed;
mod suggest;
mod target;
mod written;

pub use counted::{counted, duration};
pub use digest::{Digest, Hasher};
pub use limits::Limits;
pub use problem::{Found, Place, Problem, Problems};
pub use seed::{Seed, Stream};
pub use suggest::closest;
pub use target::Target;
pub use written::{Entry, Located, Origin, Value, Written};
