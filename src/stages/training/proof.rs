//! The proof that what was to stay stayed: frozen constants and running statistics that were not to
//! move are, in the model that is written, bit for bit those of the source.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Digest;
use crate::onnx::graph::Graph;
use crate::onnx::parameters::{Role, parameters};
use crate::onnx::proto;
use crate::onnx::tensor::Tensor;
use crate::train::batch_statistics_from;

use super::super::job::Failure;
use super::Network;

/// Digests of everything that must not change, taken before training.
pub(super) struct Proof {
    before: BTreeMap<String, Digest>,
    /// Matrices with low-rank additions, which are merged into them when the model is written.
    merged: BTreeSet<String>,
}

fn digest(tensor: &Tensor) -> Digest {
    Digest::of(&tensor.bytes())
}

impl Proof {
    /// Of a network that is trained in batches of this size. What the source has counts as it is
    /// there; a network made here has no source.
    pub(super) fn of(network: &Network, source: Option<&Graph>, batch: usize) -> Self {
        let still = |name: &String| {
            let own = source.and_then(|graph| graph.initializers.get(name));
            let tensor = own.or_else(|| network.base().initializers.get(name))?;
            Some((name.clone(), digest(tensor)))
        };
        let statistics = match network.divided.moves_statistics && batch_statistics_from(batch) {
            true => vec![],
            false => statistics(&network.graph),
        };
        Self {
            before: network.divided.frozen.iter().chain(&statistics).filter_map(still).collect(),
            merged: network.adapters.iter().map(|adapter| adapter.weight.clone()).collect(),
        }
    }

    /// Compares the trained network, before additions are merged, and the model as it is written;
    /// tells how many constants are proved.
    pub(super) fn holds(&self, trained: &Graph, model: &[u8]) -> Result<usize, Failure> {
        let written = proto::decode(model).map_err(|error| Failure::new(error.to_string()))?;
        for (name, before) in &self.before {
            let holder = if self.merged.contains(name) { trained } else { &written };
            let after = holder.initializers.get(name).map(digest);
            if after.as_ref() != Some(before) {
                return Err(Failure::new(format!(
                    "keep `{name}` frozen: it came out of training changed, which is a mistake in \
                     tl-run"
                )));
            }
        }
        Ok(self.before.len())
    }
}

/// Running means and variances.
fn statistics(graph: &Graph) -> Vec<String> {
    let all = parameters(graph).into_iter();
    let found = all.filter(|found| matches!(found.role, Role::Mean | Role::Variance));
    found.map(|found| found.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::graph::{Node, Port};

    /// A normalisation and a head.
    fn small() -> Graph {
        let dims: [(&str, &[usize]); 6] = [
            ("scale", &[2]),
            ("shift", &[2]),
            ("mean", &[2]),
            ("variance", &[2]),
            ("w", &[3, 2]),
            ("b", &[3]),
        ];
        let ones = |(name, dims): (&str, &[usize])| {
            (name.to_owned(), Tensor::f32(dims, vec![1.0; dims.iter().product()]))
        };
        let norm = ["x", "scale", "shift", "mean", "variance"];
        Graph {
            opset: 18,
            inputs: vec![Port::batch_of_floats("x", &[2])],
            outputs: vec![Port::batch_of_floats("y", &[3])],
            nodes: vec![
                Node::new("norm", "BatchNormalization", &norm, "n"),
                Node::new("head", "Gemm", &["n", "w", "b"], "y").with("transB", 1_i64),
            ],
            initializers: dims.into_iter().map(ones).collect(),
            ..Graph::default()
        }
    }

    #[test]
    fn a_changed_statistic_breaks_the_proof() {
        let network = Network::of(small()).unwrap();
        // Batches of 4 are too small for statistics of their own, so the running ones stay.
        let proof = Proof::of(&network, None, 4);
        let model = |graph: &Graph| proto::encode(graph);
        assert_eq!(proof.holds(&network.graph, &model(&network.graph)).unwrap(), 2);
        let mut moved = network.graph.clone();
        moved.initializers.insert(
            "mean".into(),
            Tensor::f32(&[2], vec![1.0, f32::from_bits(1.0_f32.to_bits() + 1)]),
        );
        let failure = proof.holds(&moved, &model(&moved)).unwrap_err();
        assert!(failure.to_string().contains("keep `mean` frozen"), "{failure}");
        // From 16 items on the statistics are to move.
        let proof = Proof::of(&network, None, 16);
        assert_eq!(proof.holds(&moved, &model(&moved)).unwrap(), 0);
    }

    #[test]
    fn the_source_is_what_counts() {
        let network = Network::of(small()).unwrap();
        let mut source = network.graph.clone();
        source.initializers.insert("mean".into(), Tensor::f32(&[2], vec![1.0, 2.0]));
        let proof = Proof::of(&network, Some(&source), 4);
        let failure = proof.holds(&network.graph, &proto::encode(&network.graph)).unwrap_err();
        assert!(failure.to_string().contains("keep `mean` frozen"), "{failure}");
    }
}
