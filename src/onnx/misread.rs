//! Operators that the embedded backend runs and computes wrongly: a wrong feature is worse than none.

use super::graph::{Graph, Node};

const ONE: f32 = 1.0;

/// Nodes that the embedded backend computes otherwise than ONNX says; seen with tract 0.23.
pub fn misread(graph: &Graph) -> Vec<&Node> {
    let is_misread = |node: &&Node| {
        let is_misread = match node.op.as_str() {
            // Their factor is not looked at.
            "Celu" | "Swish" => node.float("alpha").is_some_and(|a| a.to_bits() != ONE.to_bits()),
            // It divides by the number of positions, and takes roots of what is negative.
            "GlobalLpPool" => true,
            _ => false,
        };
        node.domain.is_empty() && is_misread
    };
    graph.nodes.iter().filter(is_misread).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::graph::Port;
    use crate::onnx::proto;
    use crate::onnx::runtime::{Backend, Tensor, runtime};

    fn celu(alpha: f32) -> Graph {
        Graph {
            name: "celu".into(),
            opset: 18,
            inputs: vec![Port::batch_of_floats("x", &[2])],
            outputs: vec![Port::batch_of_floats("y", &[2])],
            nodes: vec![Node::new("celu", "Celu", &["x"], "y").with("alpha", alpha)],
            ..Graph::default()
        }
    }

    #[test]
    fn only_what_is_misread_is_told() {
        assert_eq!(misread(&celu(1.0)).len(), 0);
        assert_eq!(misread(&celu(2.0)).len(), 1);
    }

    /// When this fails on the embedded backend, it has learnt to read the operator.
    #[test]
    fn what_is_told_is_misread() {
        let runtime = runtime().unwrap();
        let mut session = runtime.load(&proto::encode(&celu(2.0)), 1).unwrap();
        let x = Tensor::f32(&[1, 2], vec![1.0, -1.0]).unwrap();
        let y = session.run(&[&x]).unwrap()[0].floats().unwrap()[1];
        let right = 2.0 * ((-0.5_f32).exp() - 1.0);
        assert_eq!((y - right).abs() < 1e-5, runtime.backend == Backend::Library, "{y} {right}");
    }
}
