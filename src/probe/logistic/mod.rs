//! Logistic regression with an L2 penalty on the weights and none on the biases:
//! J = C Σᵢ −ln softmax(W xᵢ + b)_yᵢ + ½ ‖W‖², all classes parameterised; or one sigmoid a column.

mod path;

pub use path::{LogisticPath, Settings};

#[cfg(test)]
mod tests;
