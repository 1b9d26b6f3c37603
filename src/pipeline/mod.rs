//! From a file to results: `spec` reads it, `plan` seals it, `engine` orders it, `execute` does it.

pub mod engine;
pub mod execute;
mod facts;
mod models;
pub mod plan;
pub mod spec;
