//! Does transfer learning help on your data, which kind, and how sure is that?

pub mod autodiff;
pub mod base;
pub mod cli;
pub mod console;
pub mod curves;
pub mod data;
pub mod events;
pub mod kernels;
pub mod onnx;
pub mod pipeline;
pub mod probe;
pub mod stages;
pub mod stats;
pub mod store;
pub mod tables;
pub mod train;
pub mod transferability;
