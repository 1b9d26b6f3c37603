//! Between the bytes of an ONNX file and [`Graph`]. The only place that knows the protobuf types.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use thiserror::Error;
use tract_onnx::pb;

use super::graph::{Attribute, Dim, FLOAT, Graph, INT64, Node, Port};
use super::order::{self, NoOrder};
use super::tensor::{Data, Tensor};

/// Why bytes are not a model that can be worked with.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ParseError {
    /// Not protobuf of a model, or cut off.
    #[error("this is not an ONNX model, or only a part of one (a broken download?)")]
    NotOnnx,
    /// A model from before operator sets existed.
    #[error(
        "the model names no operator set (it is of ONNX IR version {0}, from before there were \
         any), so nobody can know what its nodes mean; export it again with a current tool"
    )]
    NoOpset(i64),
    /// Something is read that nothing writes: the file is damaged.
    #[error("node `{node}` reads `{tensor}`, which nothing in the file makes; the file is damaged")]
    Dangling {
        /// The node.
        node: String,
        /// What it reads.
        tensor: String,
    },
    /// Nodes that need each other.
    #[error("the nodes {} need each other; the file is damaged", .0.join(", "))]
    Cycle(Vec<String>),
    /// Weights in a file of their own (external data), which cannot be had.
    #[error("the weights of `{tensor}` lie in a file of their own, {reason}")]
    External {
        /// The tensor.
        tensor: String,
        /// What is in the way.
        reason: String,
    },
    /// A tensor whose bytes are not those of its shape.
    #[error("the tensor `{0}` has fewer or more values than its shape says; the file is damaged")]
    WrongLength(String),
}

/// Where the values of a tensor lie that are not in the model's own file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// The file, from the model's folder on.
    pub location: String,
    /// Bytes before the values.
    pub offset: u64,
    /// Bytes of the values; to the end of the file where it is not said.
    pub length: Option<u64>,
}

/// Reads a model of one file; initialisers listed as inputs are stripped, `Constant` nodes become
/// initialisers.
pub fn decode(bytes: &[u8]) -> Result<Graph, ParseError> {
    decode_with(bytes, &mut |_| Err("and only the model's own is at hand".to_owned()))
}

/// Reads a model whose weights may lie elsewhere; `fetch` gets the bytes, or tells in words why
/// it cannot.
pub fn decode_with(
    bytes: &[u8],
    fetch: &mut dyn FnMut(&Elsewhere) -> Result<Vec<u8>, String>,
) -> Result<Graph, ParseError> {
    let mut model = pb::ModelProto::decode(bytes).map_err(|_| ParseError::NotOnnx)?;
    if let Some(graph) = &mut model.graph {
        bring_in(graph, fetch)?;
    }
    let proto = model.graph.ok_or(ParseError::NotOnnx)?;
    if proto.node.is_empty() || proto.output.is_empty() {
        return Err(ParseError::NotOnnx);
    }
    let mut domains: BTreeMap<String, i64> =
        model.opset_import.into_iter().map(|set| (set.domain, set.version)).collect();
    let opset = domains
        .remove("")
        .or_else(|| domains.remove("ai.onnx"))
        .ok_or(ParseError::NoOpset(model.ir_version))?;
    let mut graph = Graph { name: proto.name, opset, domains, ..Graph::default() };
    graph.metadata = model.metadata_props.into_iter().map(|pair| (pair.key, pair.value)).collect();
    for tensor in &proto.initializer {
        graph.initializers.insert(tensor.name.clone(), read_tensor(tensor)?);
    }
    for node in proto.node {
        add_node(&mut graph, node)?;
    }
    graph.inputs = proto
        .input
        .iter()
        .filter(|port| !graph.initializers.contains_key(&port.name))
        .map(read_port)
        .collect();
    graph.outputs = proto.output.iter().map(read_port).collect();
    in_order(&mut graph)?;
    Ok(graph)
}

/// Puts values from elsewhere into the tensors they belong to.
fn bring_in(
    graph: &mut pb::GraphProto,
    fetch: &mut dyn FnMut(&Elsewhere) -> Result<Vec<u8>, String>,
) -> Result<(), ParseError> {
    const EXTERNAL: i32 = pb::tensor_proto::DataLocation::External as i32;
    let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    let constants = attributes.filter_map(|attribute| attribute.t.as_mut());
    for tensor in graph.initializer.iter_mut().chain(constants) {
        if tensor.data_location != Some(EXTERNAL) {
            continue;
        }
        let fetched = elsewhere(&tensor.external_data).and_then(|place| fetch(&place));
        tensor.raw_data = fetched
            .map_err(|reason| ParseError::External { tensor: tensor.name.clone(), reason })?;
        tensor.data_location = None;
        tensor.external_data.clear();
    }
    Ok(())
}

fn elsewhere(pairs: &[pb::StringStringEntryProto]) -> Result<Elsewhere, String> {
    let text = |key: &str| pairs.iter().find(|pair| pair.key == key).map(|pair| &pair.value);
    let number = |key: &str| match text(key) {
        Some(value) => {
            let told = |_| format!("but `{value}` is no {key} in it");
            value.parse().map(Some).map_err(told)
        }
        None => Ok(None),
    };
    let location = text("location").cloned().unwrap_or_default();
    Ok(Elsewhere { location, offset: number("offset")?.unwrap_or(0), length: number("length")? })
}

/// Who wrote a model, and by which version of the format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writer {
    /// The program, with its version; empty if the file does not say.
    pub producer: String,
    /// The version of the file format.
    pub ir_version: i64,
}

/// Who wrote a model.
pub fn writer(bytes: &[u8]) -> Result<Writer, ParseError> {
    let model = pb::ModelProto::decode(bytes).map_err(|_| ParseError::NotOnnx)?;
    let producer = format!("{} {}", model.producer_name, model.producer_version);
    Ok(Writer { producer: producer.trim().to_owned(), ir_version: model.ir_version })
}

/// Reads a tensor that was stored by itself, as test data of models are.
pub fn tensor(bytes: &[u8]) -> Result<Tensor, ParseError> {
    let proto = pb::TensorProto::decode(bytes).map_err(|_| ParseError::NotOnnx)?;
    read_tensor(&proto)
}

fn add_node(graph: &mut Graph, proto: pb::NodeProto) -> Result<(), ParseError> {
    let first = proto.output.first().cloned().unwrap_or_default();
    let domain = if proto.domain == "ai.onnx" { String::new() } else { proto.domain };
    let mut attributes = BTreeMap::new();
    for attribute in &proto.attribute {
        attributes.insert(attribute.name.clone(), read_attribute(attribute)?);
    }
    if proto.op_type == "Constant"
        && let Some(tensor) = constant(&attributes)
    {
        graph.initializers.insert(first, tensor);
        return Ok(());
    }
    graph.nodes.push(Node {
        name: if proto.name.is_empty() { first } else { proto.name },
        op: proto.op_type,
        domain,
        inputs: proto.input,
        outputs: proto.output,
        attributes,
    });
    Ok(())
}

fn constant(attributes: &BTreeMap<String, Attribute>) -> Option<Tensor> {
    match attributes.iter().next()? {
        (_, Attribute::Tensor(tensor)) => Some(tensor.clone()),
        (_, Attribute::Float(value)) => Some(Tensor::scalar(*value)),
        (_, Attribute::Floats(values)) => Some(Tensor::f32(&[values.len()], values.clone())),
        (_, Attribute::Int(value)) => Some(Tensor { dims: vec![], data: Data::I64(vec![*value]) }),
        (_, Attribute::Ints(values)) => Some(Tensor::i64(values)),
        _ => None,
    }
}

/// Every tensor that is read must come from somewhere; nodes that the file has in another order are
/// sorted.
fn in_order(graph: &mut Graph) -> Result<(), ParseError> {
    let mut known: BTreeSet<String> = graph.inputs.iter().map(|port| port.name.clone()).collect();
    known.extend(graph.initializers.keys().cloned());
    let nodes = std::mem::take(&mut graph.nodes);
    graph.nodes = order::sorted(nodes, &known).map_err(|error| match error {
        NoOrder::Unmade { node, tensor } => ParseError::Dangling { node, tensor },
        NoOrder::Cycle(nodes) => ParseError::Cycle(nodes),
    })?;
    known.extend(graph.nodes.iter().flat_map(Node::writes).map(str::to_owned));
    match graph.outputs.iter().find(|port| !known.contains(&port.name)) {
        Some(port) => {
            Err(ParseError::Dangling { node: "the output".to_owned(), tensor: port.name.clone() })
        }
        None => Ok(()),
    }
}

fn read_port(port: &pb::ValueInfoProto) -> Port {
    use pb::tensor_shape_proto::dimension::Value as Extent;
    let tensor = port.r#type.as_ref().and_then(|kind| kind.value.as_ref()).map(|value| {
        let pb::type_proto::Value::TensorType(tensor) = value;
        tensor
    });
    let dims = tensor.and_then(|tensor| tensor.shape.as_ref()).map(|shape| {
        let extent = |dim: &pb::tensor_shape_proto::Dimension| match &dim.value {
            Some(Extent::DimValue(value)) if *value > 0 => Dim::Fixed(*value as usize),
            Some(Extent::DimParam(name)) => Dim::Free(name.clone()),
            _ => Dim::Free(String::new()),
        };
        shape.dim.iter().map(extent).collect()
    });
    Port { name: port.name.clone(), kind: tensor.map_or(0, |tensor| tensor.elem_type), dims }
}

fn read_attribute(proto: &pb::AttributeProto) -> Result<Attribute, ParseError> {
    use pb::attribute_proto::AttributeType as Type;
    Ok(match Type::try_from(proto.r#type) {
        Ok(Type::Int) => Attribute::Int(proto.i),
        Ok(Type::Float) => Attribute::Float(proto.f),
        Ok(Type::String) => Attribute::Text(String::from_utf8_lossy(&proto.s).into_owned()),
        Ok(Type::Ints) => Attribute::Ints(proto.ints.clone()),
        Ok(Type::Floats) => Attribute::Floats(proto.floats.clone()),
        Ok(Type::Tensor) => match &proto.t {
            Some(tensor) => Attribute::Tensor(read_tensor(tensor)?),
            None => Attribute::Other(proto.encode_to_vec()),
        },
        _ => Attribute::Other(proto.encode_to_vec()),
    })
}

fn read_tensor(proto: &pb::TensorProto) -> Result<Tensor, ParseError> {
    let dims: Vec<usize> = proto.dims.iter().map(|&extent| extent.max(0) as usize).collect();
    let data = match proto.data_type {
        FLOAT if proto.raw_data.is_empty() => Data::F32(proto.float_data.clone()),
        FLOAT => Data::F32(from_le(&proto.raw_data, f32::from_le_bytes)),
        INT64 if proto.raw_data.is_empty() => Data::I64(proto.int64_data.clone()),
        INT64 => Data::I64(from_le(&proto.raw_data, i64::from_le_bytes)),
        kind => Data::Other { kind, bytes: other_bytes(proto, kind) },
    };
    let expected = super::tensor::elements(&dims);
    let length = match &data {
        Data::F32(values) => values.len(),
        Data::I64(values) => values.len(),
        Data::Other { kind, bytes } => size_of(*kind).map_or(expected, |size| bytes.len() / size),
    };
    if length != expected {
        return Err(ParseError::WrongLength(proto.name.clone()));
    }
    Ok(Tensor { dims, data })
}

fn from_le<T, const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let whole = |piece: &[u8]| piece.try_into().map(&read).ok();
    bytes.chunks_exact(N).filter_map(whole).collect()
}

/// Bytes of a value of the rarer element types; nothing for texts and what is packed.
fn size_of(kind: i32) -> Option<usize> {
    use pb::tensor_proto::DataType as Type;
    match Type::try_from(kind).ok()? {
        Type::Bool | Type::Uint8 | Type::Int8 => Some(1),
        Type::Float16 | Type::Bfloat16 | Type::Uint16 | Type::Int16 => Some(2),
        Type::Int32 | Type::Uint32 => Some(4),
        Type::Double | Type::Uint64 => Some(8),
        _ => None,
    }
}

/// Values of the rarer element types as raw bytes, whichever field the file used.
fn other_bytes(proto: &pb::TensorProto, kind: i32) -> Vec<u8> {
    use pb::tensor_proto::DataType as Type;
    if !proto.raw_data.is_empty() {
        return proto.raw_data.clone();
    }
    match Type::try_from(kind) {
        Ok(Type::Double) => proto.double_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Ok(Type::Uint64 | Type::Uint32) => {
            proto.uint64_data.iter().flat_map(|v| v.to_le_bytes()).collect()
        }
        Ok(Type::Bool | Type::Uint8 | Type::Int8) => {
            proto.int32_data.iter().map(|v| *v as u8).collect()
        }
        Ok(Type::Float16 | Type::Bfloat16 | Type::Uint16 | Type::Int16) => {
            proto.int32_data.iter().flat_map(|v| (*v as u16).to_le_bytes()).collect()
        }
        _ => proto.int32_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
    }
}

/// Writes a model as an ordinary ONNX file.
pub fn encode(graph: &Graph) -> Vec<u8> {
    let opset = |(domain, version): (&String, &i64)| pb::OperatorSetIdProto {
        domain: domain.clone(),
        version: *version,
    };
    let own = pb::OperatorSetIdProto { domain: String::new(), version: graph.opset };
    let text = |(key, value): (&String, &String)| pb::StringStringEntryProto {
        key: key.clone(),
        value: value.clone(),
    };
    let model = pb::ModelProto {
        ir_version: 8,
        producer_name: "tl-run".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        opset_import: std::iter::once(own).chain(graph.domains.iter().map(opset)).collect(),
        metadata_props: graph.metadata.iter().map(text).collect(),
        graph: Some(pb::GraphProto {
            name: graph.name.clone(),
            node: graph.nodes.iter().map(write_node).collect(),
            initializer: graph.initializers.iter().map(|(n, t)| write_tensor(n, t)).collect(),
            input: graph.inputs.iter().map(write_port).collect(),
            output: graph.outputs.iter().map(write_port).collect(),
            ..Default::default()
        }),
        ..Default::default()
    };
    model.encode_to_vec()
}

fn write_node(node: &Node) -> pb::NodeProto {
    pb::NodeProto {
        name: node.name.clone(),
        op_type: node.op.clone(),
        domain: node.domain.clone(),
        input: node.inputs.clone(),
        output: node.outputs.clone(),
        attribute: node.attributes.iter().filter_map(|(k, v)| write_attribute(k, v)).collect(),
        ..Default::default()
    }
}

fn write_attribute(name: &str, attribute: &Attribute) -> Option<pb::AttributeProto> {
    use pb::attribute_proto::AttributeType as Type;
    let mut proto = pb::AttributeProto { name: name.to_owned(), ..Default::default() };
    let kind = match attribute {
        Attribute::Int(value) => {
            proto.i = *value;
            Type::Int
        }
        Attribute::Float(value) => {
            proto.f = *value;
            Type::Float
        }
        Attribute::Text(value) => {
            proto.s = value.clone().into_bytes();
            Type::String
        }
        Attribute::Ints(values) => {
            proto.ints.clone_from(values);
            Type::Ints
        }
        Attribute::Floats(values) => {
            proto.floats.clone_from(values);
            Type::Floats
        }
        Attribute::Tensor(tensor) => {
            proto.t = Some(write_tensor("", tensor));
            Type::Tensor
        }
        Attribute::Other(bytes) => return pb::AttributeProto::decode(bytes.as_slice()).ok(),
    };
    proto.r#type = kind as i32;
    Some(proto)
}

fn write_tensor(name: &str, tensor: &Tensor) -> pb::TensorProto {
    let kind = match &tensor.data {
        Data::F32(_) => FLOAT,
        Data::I64(_) => INT64,
        Data::Other { kind, .. } => *kind,
    };
    pb::TensorProto {
        name: name.to_owned(),
        dims: tensor.dims.iter().map(|&extent| extent as i64).collect(),
        data_type: kind,
        raw_data: tensor.bytes(),
        ..Default::default()
    }
}

fn write_port(port: &Port) -> pb::ValueInfoProto {
    use pb::tensor_shape_proto::{Dimension, dimension::Value as Extent};
    let dim = |dim: &Dim| Dimension {
        value: match dim {
            Dim::Fixed(extent) => Some(Extent::DimValue(*extent as i64)),
            Dim::Free(name) if name.is_empty() => None,
            Dim::Free(name) => Some(Extent::DimParam(name.clone())),
        },
        ..Default::default()
    };
    let shape = |dims: &Vec<Dim>| pb::TensorShapeProto { dim: dims.iter().map(dim).collect() };
    let tensor =
        pb::type_proto::Tensor { elem_type: port.kind, shape: port.dims.as_ref().map(shape) };
    let kind = (port.kind != 0).then(|| pb::TypeProto {
        value: Some(pb::type_proto::Value::TensorType(tensor)),
        ..Default::default()
    });
    pb::ValueInfoProto { name: port.name.clone(), r#type: kind, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Graph {
        Graph {
            name: "small".into(),
            opset: 18,
            inputs: vec![Port::batch_of_floats("x", &[2])],
            outputs: vec![Port::batch_of_floats("y", &[2])],
            nodes: vec![
                Node::new("scale", "Mul", &["x", "w"], "a"),
                Node::new("swap", "Transpose", &["a"], "y").with("perm", vec![1_i64, 0]),
            ],
            initializers: [("w".to_owned(), Tensor::f32(&[2], vec![1.5, -2.0]))].into(),
            metadata: [("labels".to_owned(), "[]".to_owned())].into(),
            ..Graph::default()
        }
    }

    #[test]
    fn a_model_survives_being_written() {
        let before = model();
        let after = decode(&encode(&before)).unwrap();
        assert_eq!(format!("{before:?}"), format!("{after:?}"));
    }

    #[test]
    fn a_file_cut_off_anywhere_is_refused() {
        let bytes = encode(&model());
        for length in 0..bytes.len() {
            // The metadata comes last in the file; a model without it is still whole.
            if decode(&bytes[..length]).is_ok() {
                assert!(length > bytes.len() - 40, "cut at {length} of {}", bytes.len());
            }
        }
    }

    #[test]
    fn a_model_without_an_operator_set_is_refused() {
        let mut proto = pb::ModelProto::decode(encode(&model()).as_slice()).unwrap();
        proto.opset_import.clear();
        proto.ir_version = 1;
        assert_eq!(decode(&proto.encode_to_vec()).unwrap_err(), ParseError::NoOpset(1));
    }

    #[test]
    fn initialisers_listed_as_inputs_are_stripped() {
        let mut graph = model();
        graph.inputs.push(Port::floats("w", &[2]));
        assert_eq!(decode(&encode(&graph)).unwrap().inputs.len(), 1);
    }
}
