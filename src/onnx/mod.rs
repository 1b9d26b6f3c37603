//! Models: reading, editing and running them. `runtime` is the only door to ONNX Runtime.

pub mod architecture;
pub mod batch;
pub mod build;
pub mod freeze;
pub mod graph;
pub mod head;
pub mod init;
pub mod inspect;
pub mod layers;
pub mod library;
pub mod macs;
pub mod observe;
mod operators;
pub mod order;
pub mod parameters;
pub mod precision;
pub mod proto;
pub mod runtime;
pub mod tensor;
pub mod upgrade;
