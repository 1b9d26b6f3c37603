//! Gradients as ONNX: a forward graph goes in, an ordinary ONNX graph of one training step comes
//! out, which any runtime runs. Knows models, not data, epochs or stages.

mod along;
mod check;
mod compose;
mod derive;
mod differences;
mod flat;
mod fusion;
mod loss;
mod operators;
mod optimiser;
#[cfg(test)]
mod real_models;
mod refusals;
mod rules;
mod site;
mod step;
mod tape;
mod update;
mod window;

pub use check::{GradientGraphs, Question, State, gradient_graphs, states};
pub use differences::{Compared, NoComparison, TOLERANCE, Verdict, compare, try_out};
pub use flat::{Flat, Slot};
pub use loss::{Huber, Link, Loss};
pub use operators::{Operator, Passage, operators};
pub use optimiser::{AdamW, Optimiser, Sgd};
pub use refusals::refusals;
pub use site::{Mode, Refusal};
pub use step::{Port, Step, StepGraphs, Terms, build};
pub use tape::Dialect;
