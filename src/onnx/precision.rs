//! Models in half or double precision turned into single precision, in which everything here
//! computes and trains on every backend.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Attribute, FLOAT, Graph, Node};
use super::tensor::{Data, Tensor};

/// ONNX's number for 16-bit floats (IEEE 754 binary16).
pub const FLOAT16: i32 = 10;
/// ONNX's number for 64-bit floats.
pub const DOUBLE: i32 = 11;
/// ONNX's number for the upper half of a 32-bit float.
pub const BFLOAT16: i32 = 16;

/// Whether an element type is a float of another precision than single.
fn is_other_float(kind: i32) -> bool {
    [FLOAT16, DOUBLE, BFLOAT16].contains(&kind)
}

/// ONNX's name of an element type.
pub fn kind_name(kind: i32) -> String {
    let known = match kind {
        FLOAT => "float32",
        2 => "uint8",
        3 => "int8",
        4 => "uint16",
        5 => "int16",
        6 => "int32",
        7 => "int64",
        8 => "text",
        9 => "bool",
        FLOAT16 => "float16",
        DOUBLE => "float64",
        BFLOAT16 => "bfloat16",
        _ => return format!("element type {kind}"),
    };
    known.to_owned()
}

/// Element types of the constants that hold floats, or numbers of 8 bits as quantised weights do,
/// each with how many values; the most frequent first.
pub fn weight_kinds(graph: &Graph) -> Vec<(i32, usize)> {
    let mut counts: BTreeMap<i32, usize> = BTreeMap::new();
    for tensor in graph.initializers.values() {
        let kind = match &tensor.data {
            Data::F32(_) => FLOAT,
            Data::Other { kind, .. } if is_other_float(*kind) || [2, 3].contains(kind) => *kind,
            _ => continue,
        };
        *counts.entry(kind).or_default() += tensor.len();
    }
    let mut kinds: Vec<(i32, usize)> = counts.into_iter().collect();
    kinds.sort_by_key(|(kind, count)| (std::cmp::Reverse(*count), *kind));
    kinds
}

/// Turns constants, casts, inputs and outputs of another precision into single precision. Half
/// precision loses nothing by it. Casts between floats fall away, so that gradients pass. Tells
/// whether anything had to be turned.
pub fn to_single(graph: &mut Graph) -> bool {
    let mut turned = false;
    for tensor in graph.initializers.values_mut() {
        turned |= turn(tensor);
    }
    for port in graph.inputs.iter_mut().chain(&mut graph.outputs) {
        if is_other_float(port.kind) {
            port.kind = FLOAT;
            turned = true;
        }
    }
    for node in &mut graph.nodes {
        turned |= turn_attributes(node);
    }
    if turned {
        drop_casts(graph);
    }
    turned
}

fn turn_attributes(node: &mut Node) -> bool {
    let mut turned = false;
    for (key, attribute) in &mut node.attributes {
        match attribute {
            Attribute::Tensor(tensor) => turned |= turn(tensor),
            Attribute::Int(kind)
                if ["to", "dtype"].contains(&key.as_str())
                    && i32::try_from(*kind).is_ok_and(is_other_float) =>
            {
                *kind = i64::from(FLOAT);
                turned = true;
            }
            _ => {}
        }
    }
    turned
}

fn turn(tensor: &mut Tensor) -> bool {
    let Data::Other { kind, bytes } = &tensor.data else { return false };
    let halves = |read: fn(u16) -> f32| -> Vec<f32> {
        bytes.chunks_exact(2).map(|pair| read(u16::from_le_bytes([pair[0], pair[1]]))).collect()
    };
    let values = match *kind {
        FLOAT16 => halves(from_half),
        BFLOAT16 => halves(|bits| f32::from_bits(u32::from(bits) << 16)),
        DOUBLE => {
            let single = |eight: &[u8]| eight.try_into().map_or(0.0, f64::from_le_bytes);
            bytes.chunks_exact(8).map(|eight| single(eight) as f32).collect()
        }
        _ => return false,
    };
    tensor.data = Data::F32(values);
    true
}

/// A 16-bit float (1 sign, 5 exponent, 10 fraction bits), exactly.
fn from_half(bits: u16) -> f32 {
    let (exponent, fraction) = (u32::from(bits >> 10) & 31, u32::from(bits) & 1023);
    let magnitude = match exponent {
        0 => fraction as f32 / 16_777_216.0,
        31 if fraction == 0 => f32::INFINITY,
        31 => f32::NAN,
        _ => f32::from_bits(((exponent + 112) << 23) | (fraction << 13)),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

/// Operators that turn floats into something else.
const NOT_FLOATS: [&str; 13] = [
    "Shape",
    "Size",
    "ArgMax",
    "ArgMin",
    "NonZero",
    "Equal",
    "Less",
    "Greater",
    "LessOrEqual",
    "GreaterOrEqual",
    "IsNaN",
    "IsInf",
    "QuantizeLinear",
];

/// Casts of floats to floats do nothing any more.
fn drop_casts(graph: &mut Graph) {
    let floats = |(name, tensor): (&String, &Tensor)| tensor.floats().map(|_| name.clone());
    let mut known: BTreeSet<String> = graph.initializers.iter().filter_map(floats).collect();
    known.extend(graph.inputs.iter().filter(|p| p.kind == FLOAT).map(|p| p.name.clone()));
    for node in &mut graph.nodes {
        let reads_floats = node.input(0).is_some_and(|name| known.contains(name));
        let to = node.int("to");
        if node.op == "Cast" && reads_floats && to == Some(i64::from(FLOAT)) {
            "Identity".clone_into(&mut node.op);
            node.attributes.clear();
        }
        let is_float = match node.op.as_str() {
            "Cast" => to == Some(i64::from(FLOAT)),
            op => reads_floats && !NOT_FLOATS.contains(&op),
        };
        if is_float {
            known.extend(node.writes().map(str::to_owned));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::Port;
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "halves are exact in single precision")]
    fn halves_are_read_exactly() {
        let cases = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
        ];
        for (bits, value) in cases {
            assert_eq!(from_half(bits), value, "{bits:#x}");
        }
        assert!(from_half(0x7e00).is_nan());
    }

    #[test]
    fn everything_becomes_single_and_casts_fall_away() {
        let half = |values: &[u16]| Tensor {
            dims: vec![values.len()],
            data: Data::Other {
                kind: FLOAT16,
                bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            },
        };
        let mut graph = Graph {
            inputs: vec![Port { kind: FLOAT16, ..Port::batch_of_floats("x", &[2]) }],
            outputs: vec![Port { kind: FLOAT16, ..Port::named("y") }],
            nodes: vec![
                Node::new("down", "Cast", &["x"], "a").with("to", i64::from(FLOAT16)),
                Node::new("scale", "Mul", &["a", "w"], "b"),
                Node::new("shape", "Shape", &["b"], "s"),
                Node::new("floats", "Cast", &["s"], "y").with("to", i64::from(FLOAT16)),
            ],
            initializers: [("w".to_owned(), half(&[0x3c00, 0x4000]))].into(),
            ..Graph::default()
        };
        assert_eq!(weight_kinds(&graph), [(FLOAT16, 2)]);
        assert!(to_single(&mut graph));
        assert_eq!(graph.initializers["w"], Tensor::f32(&[2], vec![1.0, 2.0]));
        assert_eq!((graph.inputs[0].kind, graph.outputs[0].kind), (FLOAT, FLOAT));
        let ops: Vec<&str> = graph.nodes.iter().map(|node| node.op.as_str()).collect();
        assert_eq!(ops, ["Identity", "Mul", "Shape", "Cast"]);
        assert!(!to_single(&mut graph));
    }
}
