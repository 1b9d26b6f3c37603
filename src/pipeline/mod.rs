//! From a file to results: `spec` reads it, `plan` seals it, `engine` orders it, `execute` does it.

mod budget;
pub mod engine;
pub mod execute;
mod facts;
pub mod forecast;
mod key;
mod models;
mod only;
pub mod plan;
mod sealed;
pub mod spec;
