//! Models: reading, editing and running them. `runtime` is the only door to ONNX Runtime.

pub mod graph;
pub mod proto;
pub mod runtime;
pub mod tensor;
