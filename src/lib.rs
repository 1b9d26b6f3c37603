//! Does transfer learning help on your data, which kind, and how sure is that?

pub mod base;
pub mod onnx;
pub mod probe;
pub mod stats;
pub mod autodiff;
pub mod store;
pub mod data;
pub mod events;
pub mod train;
pub mod stages;
pub mod pipeline;
pub mod tables;
pub mod cli;
pub mod console;
