//! Kernels on the processor, as pure functions over slices: what a training step spends its time
//! in, where standard operators are slow. Knows no models and no runtime.

#![allow(clippy::inline_always, reason = "what is not inlined is not compiled for wide lanes")]

pub mod convolution;
mod lanes;
mod lowered;
mod product;
mod scratch;
mod threads;
mod winograd;

pub use threads::{Serial, Threads};
