//! Small architectures of our own, written as ONNX, so that a base model can be made without a
//! download. Weights are zero until they are drawn.

mod mlp;
mod plain_cnn;
mod residual_cnn;

use crate::base::language::choice;

use super::graph::Graph;

pub use mlp::Mlp;
pub use plain_cnn::PlainCnn;
pub use residual_cnn::ResidualCnn;

choice! {
    /// An architecture of ours.
    pub enum Architecture {
        /// Residual blocks of 3×3 convolutions with `BatchNormalization`, then an average over space.
        "residual_cnn" => ResidualCnn(ResidualCnn),
        /// Convolutions with `Relu` and max-pooling, then dense layers.
        "plain_cnn" => PlainCnn(PlainCnn),
        /// Dense layers on the flattened input.
        "mlp" => Mlp(Mlp),
    }
}

/// What goes into a network: channels, height, width.
pub type Input = [usize; 3];

impl Architecture {
    /// The network for this input and number of classes, or why it does not fit.
    pub fn build(&self, input: Input, classes: usize) -> Result<Graph, String> {
        match self {
            Self::ResidualCnn(network) => network.build(input, classes),
            Self::PlainCnn(network) => network.build(input, classes),
            Self::Mlp(network) => Ok(network.build(input, classes)),
        }
    }
}

/// Name of the input of our networks.
pub const IMAGE: &str = "image";

#[cfg(test)]
mod tests {
    use crate::base::language::defaults;

    use super::super::observe::observe;
    use super::super::runtime::runtime;
    use super::super::{freeze, head};
    use super::*;

    fn all() -> Vec<Architecture> {
        vec![
            Architecture::ResidualCnn(defaults()),
            Architecture::PlainCnn(defaults()),
            Architecture::Mlp(defaults()),
        ]
    }

    #[test]
    fn every_architecture_runs_and_its_head_is_found() {
        for architecture in all() {
            let graph = architecture.build([1, 16, 16], 5).unwrap();
            let seen = observe(runtime().unwrap(), &graph, &[vec![2, 1, 16, 16]]).unwrap();
            assert_eq!(seen.shapes[&graph.outputs[0].name], [2, 5]);
            let cut = head::cut(&graph, None).unwrap();
            assert!(!freeze::groups(&graph, &cut).is_empty());
        }
    }

    #[test]
    fn the_network_of_the_digits_study_has_its_3493_parameters() {
        let Architecture::PlainCnn(network) = &all()[1] else { panic!() };
        assert_eq!(network.build([1, 8, 8], 5).unwrap().parameters(), 3493);
    }

    #[test]
    fn an_input_too_small_for_the_pooling_is_refused() {
        assert!(all()[1].build([1, 3, 3], 5).is_err());
    }
}
