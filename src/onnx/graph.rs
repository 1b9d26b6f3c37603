//! A model as an editable graph: nodes in topological order, joined by the names of tensors.

use std::collections::{BTreeMap, BTreeSet};

use super::tensor::Tensor;

/// A model.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Its name.
    pub name: String,
    /// The opset of ONNX's own domain.
    pub opset: i64,
    /// Versions of further operator domains.
    pub domains: BTreeMap<String, i64>,
    /// What goes in at run time.
    pub inputs: Vec<Port>,
    /// What comes out.
    pub outputs: Vec<Port>,
    /// The nodes; each after those it reads.
    pub nodes: Vec<Node>,
    /// Constants by name. `Constant` nodes have been folded in here.
    pub initializers: BTreeMap<String, Tensor>,
    /// Free texts by key.
    pub metadata: BTreeMap<String, String>,
}

/// An input or output of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Name of the tensor.
    pub name: String,
    /// Its element type, by ONNX's number; 0 if the file does not say.
    pub kind: i32,
    /// Its axes; `None` if the file does not say.
    pub dims: Option<Vec<Dim>>,
}

/// Extent of an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Known.
    Fixed(usize),
    /// Free, with the name the file gives it (or none).
    Free(String),
}

/// ONNX's number for 32-bit floats.
pub const FLOAT: i32 = 1;
/// ONNX's number for 32-bit integers.
pub const INT32: i32 = 6;
/// ONNX's number for truth values.
pub const BOOL: i32 = 9;
/// ONNX's number for 64-bit integers.
pub const INT64: i32 = 7;

impl Port {
    /// Floats of a fixed shape.
    pub fn floats(name: &str, dims: &[usize]) -> Self {
        let dims = dims.iter().map(|&extent| Dim::Fixed(extent)).collect();
        Self { name: name.to_owned(), kind: FLOAT, dims: Some(dims) }
    }

    /// Floats whose first axis is the batch, of any size.
    pub fn batch_of_floats(name: &str, item: &[usize]) -> Self {
        let mut port = Self::floats(name, item);
        if let Some(dims) = &mut port.dims {
            dims.insert(0, Dim::Free("batch".to_owned()));
        }
        port
    }

    /// Whether it holds floats, as far as the file says.
    pub fn is_float(&self) -> bool {
        [0, FLOAT].contains(&self.kind)
    }

    /// Its shape for people: `N × 3 × 224 × 224`, with `?` for an axis without a name.
    pub fn shown(&self) -> String {
        let Some(dims) = &self.dims else { return "of any shape".to_owned() };
        let extent = |dim: &Dim| match dim {
            Dim::Fixed(extent) => extent.to_string(),
            Dim::Free(name) if name.is_empty() => "?".to_owned(),
            Dim::Free(name) => name.clone(),
        };
        dims.iter().map(extent).collect::<Vec<_>>().join(" × ")
    }

    /// A tensor about which only its name is said.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), kind: 0, dims: None }
    }
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name; where the file gives none, that of its first output.
    pub name: String,
    /// The operator.
    pub op: String,
    /// The operator's domain; empty for ONNX's own.
    pub domain: String,
    /// Tensors read; an empty name is an input left out.
    pub inputs: Vec<String>,
    /// Tensors written.
    pub outputs: Vec<String>,
    /// Settings by name.
    pub attributes: BTreeMap<String, Attribute>,
}

/// A setting of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f32),
    /// A text.
    Text(String),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// Numbers.
    Floats(Vec<f32>),
    /// A constant.
    Tensor(Tensor),
    /// Anything else (a subgraph, say), as its bytes in the file.
    Other(Vec<u8>),
}

impl From<i64> for Attribute {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f32> for Attribute {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Attribute {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<Vec<i64>> for Attribute {
    fn from(value: Vec<i64>) -> Self {
        Self::Ints(value)
    }
}

impl From<&[i64]> for Attribute {
    fn from(value: &[i64]) -> Self {
        Self::Ints(value.to_vec())
    }
}

impl Node {
    /// A node of ONNX's own domain with one output.
    pub fn new(name: &str, op: &str, inputs: &[&str], output: &str) -> Self {
        Self {
            name: name.to_owned(),
            op: op.to_owned(),
            domain: String::new(),
            inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
            outputs: vec![output.to_owned()],
            attributes: BTreeMap::new(),
        }
    }

    /// With a setting.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Attribute>) -> Self {
        self.attributes.insert(key.to_owned(), value.into());
        self
    }

    /// The input at a position, unless it was left out.
    pub fn input(&self, position: usize) -> Option<&str> {
        self.inputs.get(position).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The first output.
    pub fn output(&self) -> &str {
        self.outputs.first().map_or("", String::as_str)
    }

    /// A whole-number setting.
    pub fn int(&self, key: &str) -> Option<i64> {
        match self.attributes.get(key) {
            Some(Attribute::Int(value)) => Some(*value),
            _ => None,
        }
    }

    /// A number setting.
    pub fn float(&self, key: &str) -> Option<f32> {
        match self.attributes.get(key) {
            Some(Attribute::Float(value)) => Some(*value),
            _ => None,
        }
    }

    /// A list of whole numbers.
    pub fn ints(&self, key: &str) -> Option<&[i64]> {
        match self.attributes.get(key) {
            Some(Attribute::Ints(values)) => Some(values),
            _ => None,
        }
    }

    /// A text setting.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.attributes.get(key) {
            Some(Attribute::Text(value)) => Some(value),
            _ => None,
        }
    }

    /// Inputs that were not left out.
    pub fn reads(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Outputs that were not left out.
    pub fn writes(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().map(String::as_str).filter(|name| !name.is_empty())
    }
}

impl Graph {
    /// Position of the node that writes each tensor.
    pub fn producers(&self) -> BTreeMap<&str, usize> {
        let outputs = |(index, node)| Node::writes(node).map(move |name| (name, index));
        self.nodes.iter().enumerate().flat_map(outputs).collect()
    }

    /// Positions of the nodes that read each tensor.
    pub fn consumers(&self) -> BTreeMap<&str, Vec<usize>> {
        let mut readers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            for name in node.reads() {
                readers.entry(name).or_default().push(index);
            }
        }
        readers
    }

    /// The node that writes a tensor.
    pub fn producer(&self, tensor: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.writes().any(|name| name == tensor))
    }

    /// Whether a tensor computed or fed in this graph has this name.
    pub fn has_tensor(&self, tensor: &str) -> bool {
        self.inputs.iter().any(|port| port.name == tensor) || self.producer(tensor).is_some()
    }

    /// Positions of the nodes that a tensor depends on.
    pub fn ancestors<'a>(&self, tensors: impl IntoIterator<Item = &'a str>) -> BTreeSet<usize> {
        let producers = self.producers();
        let mut open: Vec<usize> =
            tensors.into_iter().filter_map(|name| producers.get(name).copied()).collect();
        let mut reached = BTreeSet::new();
        while let Some(index) = open.pop() {
            if reached.insert(index) {
                open.extend(self.nodes[index].reads().filter_map(|name| producers.get(name)));
            }
        }
        reached
    }

    /// Whether one tensor is computed from another.
    pub fn leads_to(&self, from: &str, to: &str) -> bool {
        self.ancestors([to]).into_iter().any(|index| self.nodes[index].writes().any(|w| w == from))
    }

    /// The part of this graph that computes `outputs` from `inputs`: a tensor named as input is
    /// fed from outside, even if the graph computes it.
    #[must_use]
    pub fn part(&self, inputs: &[Port], outputs: &[Port]) -> Self {
        let fed: BTreeSet<&str> = inputs.iter().map(|port| port.name.as_str()).collect();
        let producers = self.producers();
        let mut needed: BTreeSet<usize> = BTreeSet::new();
        let mut open: Vec<&str> = outputs.iter().map(|port| port.name.as_str()).collect();
        while let Some(name) = open.pop() {
            let Some(&index) = producers.get(name).filter(|_| !fed.contains(name)) else {
                continue;
            };
            if needed.insert(index) {
                open.extend(self.nodes[index].reads());
            }
        }
        let nodes: Vec<Node> = needed.iter().map(|&index| self.nodes[index].clone()).collect();
        let mut part = Self {
            name: self.name.clone(),
            opset: self.opset,
            domains: self.domains.clone(),
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
            nodes,
            initializers: self.initializers.clone(),
            metadata: self.metadata.clone(),
        };
        part.drop_unread_constants();
        part
    }

    /// Drops constants that no node reads and that are no output. A node with a subgraph may
    /// read any of them from inside, so then all stay.
    pub fn drop_unread_constants(&mut self) {
        let opaque = |node: &Node| {
            node.attributes.values().any(|value| matches!(value, Attribute::Other(_)))
        };
        if self.nodes.iter().any(opaque) {
            return;
        }
        let read: BTreeSet<&str> = self
            .nodes
            .iter()
            .flat_map(Node::reads)
            .chain(self.outputs.iter().map(|port| port.name.as_str()))
            .collect();
        let unread: Vec<String> = self
            .initializers
            .keys()
            .filter(|name| !read.contains(name.as_str()))
            .cloned()
            .collect();
        for name in unread {
            self.initializers.remove(&name);
        }
    }

    /// Drops inputs that no node reads, as a part of a model may have.
    pub fn drop_unread_inputs(&mut self) {
        let read: BTreeSet<&str> = self.nodes.iter().flat_map(Node::reads).collect();
        let kept = |port: &&Port| read.contains(port.name.as_str());
        self.inputs = self.inputs.iter().filter(kept).cloned().collect();
    }

    /// Number of float parameters, running statistics included.
    pub fn parameters(&self) -> usize {
        self.initializers.values().filter(|t| t.floats().is_some()).map(Tensor::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Graph {
        Graph {
            opset: 18,
            inputs: vec![Port::batch_of_floats("x", &[2])],
            outputs: vec![Port::named("c")],
            nodes: vec![
                Node::new("one", "Mul", &["x", "w"], "a"),
                Node::new("two", "Relu", &["a"], "b"),
                Node::new("three", "Add", &["b", "a"], "c"),
                Node::new("stray", "Neg", &["v"], "d"),
            ],
            initializers: ["w", "v"].map(|name| (name.to_owned(), Tensor::scalar(2.0))).into(),
            ..Graph::default()
        }
    }

    #[test]
    fn a_part_holds_just_what_its_outputs_need() {
        let part = chain().part(&[Port::named("a")], &[Port::named("c")]);
        let names: Vec<&str> = part.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["two", "three"]);
        assert!(part.initializers.is_empty());
    }

    #[test]
    fn ancestors_include_the_node_itself() {
        assert_eq!(chain().ancestors(["b"]), BTreeSet::from([0, 1]));
    }
}
