//! Which parameters of a body learn: all of them, or a small share that is often enough.

use crate::base::language::{Above0, Count, OneOrMore, Word, choice, keys};
use crate::base::{Located, Place};

use super::graph::Graph;
use super::parameters::{Parameter, Role};

choice! {
    /// Which parameters of what is not frozen learn. The head learns in any case.
    pub enum Tune {
        /// All.
        "all" => All,
        /// Biases alone, shifts of normalisations among them (`BitFit`; Ben Zaken et al. 2022).
        /// Normalisations keep their running statistics.
        "biases" => Biases,
        /// Scales and shifts of normalisations.
        "norms" => Norms,
        /// Both.
        "biases_and_norms" => BiasesAndNorms,
        /// Low-rank additions to matrices (`LoRA`; Hu et al. 2022): `W + alpha / rank · A·B` with
        /// `A` drawn, `B` 0 and `W` as it is. They are added to `W` in the model that is written.
        /// Normalisations keep their running statistics.
        "lora" => Lora(Lora),
    }
}

keys! {
    /// Low-rank additions to the weights of `MatMul` and `Gemm`.
    pub struct Lora {
        /// Columns of `A`, rows of `B`.
        rank: Count = Count(8),
        /// Factor on the addition, over `rank`.
        alpha: Above0 = Above0::new(16.0).expect("a default above 0"),
        /// The layers: nodes, tensors they make, or scopes; all that are not frozen if not said.
        on: Option<OneOrMore<Located<Word>>> = None,
    }
}

impl Tune {
    /// Everything, as it is when nothing is said.
    pub fn by_default() -> Located<Self> {
        Located::new(Self::All, Place::default())
    }

    /// Its word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Biases => "biases",
            Self::Norms => "norms",
            Self::BiasesAndNorms => "biases_and_norms",
            Self::Lora(_) => "lora",
        }
    }

    /// Whether a parameter of the body learns; of low-rank additions none does, as theirs are added.
    pub fn learns(&self, graph: &Graph, parameter: &Parameter) -> bool {
        let of_norm = || of_norm(graph, parameter);
        let is_bias = parameter.role == Role::Bias;
        match self {
            Self::All => true,
            Self::Biases => is_bias,
            Self::Norms => of_norm(),
            Self::BiasesAndNorms => is_bias || of_norm(),
            Self::Lora(_) => false,
        }
    }

    /// Whether running statistics of normalisations follow the batches. They stay where
    /// normalisations as such do not learn.
    pub fn moves_statistics(&self) -> bool {
        matches!(self, Self::All | Self::Norms | Self::BiasesAndNorms)
    }
}

/// Whether a parameter is the scale or the shift of a normalisation, of one written as plain
/// arithmetic too: a scale per channel, or what is added right after one.
fn of_norm(graph: &Graph, parameter: &Parameter) -> bool {
    let node = &graph.nodes[parameter.node];
    if node.op.ends_with("Normalization") {
        return parameter.role.is_trained();
    }
    let scales = |tensor: &str| {
        graph
            .producer(tensor)
            .is_some_and(|from| from.op == "Mul" && from.reads().any(|name| is_vector(graph, name)))
    };
    match parameter.role {
        Role::Scale => true,
        Role::Bias => node.op == "Add" && node.reads().any(scales),
        _ => false,
    }
}

fn is_vector(graph: &Graph, name: &str) -> bool {
    graph.initializers.get(name).is_some_and(|constant| constant.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Node, Port};
    use super::super::parameters::parameters;
    use super::super::tensor::{Tensor, elements};
    use super::*;

    /// A convolution, its normalisation, and a layer whose normalisation is written out.
    fn graph() -> Graph {
        let nodes = vec![
            Node::new("conv", "Conv", &["x", "w", "b"], "c"),
            Node::new("norm", "BatchNormalization", &["c", "g", "s", "m", "v"], "n"),
            Node::new("fc", "MatMul", &["n", "u"], "f"),
            Node::new("bias", "Add", &["f", "t"], "h"),
            Node::new("scale", "Mul", &["h", "ls"], "i"),
            Node::new("shift", "Add", &["i", "lb"], "y"),
        ];
        let dims: [(&str, &[usize]); 10] = [
            ("w", &[4, 1, 3, 3]),
            ("b", &[4]),
            ("g", &[4]),
            ("s", &[4]),
            ("m", &[4]),
            ("v", &[4]),
            ("u", &[4, 4]),
            ("t", &[4]),
            ("ls", &[4]),
            ("lb", &[4]),
        ];
        let zeros = |(name, dims): (&str, &[usize])| {
            (name.to_owned(), Tensor::f32(dims, vec![0.0; elements(dims)]))
        };
        Graph {
            opset: 18,
            inputs: vec![Port::named("x")],
            outputs: vec![Port::named("y")],
            nodes,
            initializers: dims.into_iter().map(zeros).collect(),
            ..Graph::default()
        }
    }

    fn learning(tune: &Tune) -> Vec<String> {
        let graph = graph();
        let trained = parameters(&graph).into_iter().filter(|p| p.role.is_trained());
        trained.filter(|p| tune.learns(&graph, p)).map(|p| p.name).collect()
    }

    #[test]
    fn each_way_to_tune_picks_its_parameters() {
        assert_eq!(learning(&Tune::All), ["w", "b", "g", "s", "u", "t", "ls", "lb"]);
        assert_eq!(learning(&Tune::Biases), ["b", "s", "t", "lb"]);
        assert_eq!(learning(&Tune::Norms), ["g", "s", "ls", "lb"]);
        assert_eq!(learning(&Tune::BiasesAndNorms), ["b", "g", "s", "t", "ls", "lb"]);
        assert_eq!(learning(&Tune::Lora(crate::base::language::defaults())), [""; 0]);
    }
}
