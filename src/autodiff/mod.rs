//! Gradients as ONNX: a forward graph goes in, an ordinary ONNX graph of one training step comes
//! out, which any runtime runs. Knows models, not data, epochs or stages.

mod derive;
mod flat;
mod fusion;
mod loss;
mod optimiser;
mod rules;
mod site;
mod step;
mod tape;
mod window;

pub use derive::refusals;
pub use flat::{Flat, Slot};
pub use optimiser::{AdamW, Optimiser, Sgd};
pub use site::{Mode, Refusal};
pub use step::{Port, Step, StepGraphs, build};
pub use tape::Dialect;
