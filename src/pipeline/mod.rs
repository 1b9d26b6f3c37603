//! From a file to results: `spec` reads it, `plan` seals it, `engine` orders it, `execute` does it.

mod budget;
mod clock;
pub mod energy;
pub mod engine;
pub mod execute;
pub mod extension;
mod facts;
pub mod forecast;
pub mod growth;
mod key;
mod leaks;
mod models;
mod only;
pub mod plan;
mod sealed;
mod settings;
pub mod spec;
