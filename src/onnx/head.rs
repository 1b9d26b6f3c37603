//! The classifier at the end of a model: where it begins, and a new one in its place.

use thiserror::Error;

use super::graph::{FLOAT, Graph, Node, Port};
use super::observe::Observation;
use super::tensor::{Data, Tensor};

/// Why no head was found.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum NoHead {
    /// Several outputs and none chosen.
    #[error("the model has several outputs: {}", .0.join(", "))]
    ManyOutputs(Vec<String>),
    /// No output of that name.
    #[error("the model has no output `{0}`")]
    NoOutput(String),
    /// Something that no head consists of stands before the last weights.
    #[error("going back from the output, `{node}` ({op}) comes before any layer with weights")]
    Stuck {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
    },
    /// The output is no scores of classes.
    #[error(
        "the output `{tensor}` has the shape {shape:?}, a map or a sequence, not one row of scores \
         an item"
    )]
    NoScores {
        /// The output.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A tensor of a rank that has no obvious features.
    #[error(
        "the tensor `{tensor}` before the head has the shape {shape:?}, which is neither \
             items × features nor items × channels × height × width"
    )]
    Rank {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
    },
}

/// Operators between the last weights and the output.
const AFTER_WEIGHTS: [&str; 18] = [
    "Softmax",
    "LogSoftmax",
    "Sigmoid",
    "Identity",
    "Dropout",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "GlobalAveragePool",
    "AveragePool",
    "ReduceMean",
    "Relu",
    "Clip",
    "Add",
    "Cast",
    "Mul",
];

/// Where a new head is put on. Of a classifier, whose output is one row of scores an item, the
/// tensor that the last weighted operator reads; of an encoder, whose output is normalised before
/// any weights are met, the output itself.
pub fn find(graph: &Graph, seen: &Observation, output: Option<&str>) -> Result<String, NoHead> {
    let tensor = choose_output(graph, output)?;
    if let Some([_, axes @ ..]) = seen.shape(graph, &tensor)
        && axes.iter().filter(|extent| **extent > 1).count() > 1
    {
        let shape = seen.shape(graph, &tensor).unwrap_or_default().to_vec();
        return Err(NoHead::NoScores { tensor, shape });
    }
    match cut(graph, output) {
        Err(NoHead::Stuck { node, .. }) if normalises(graph, &node) => Ok(tensor),
        found => found,
    }
}

/// The same for a model of tokens, whose output may also be the features of each token, or those of
/// the first token behind a layer and a tanh of their own.
pub fn find_of_tokens(
    graph: &Graph,
    seen: &Observation,
    output: Option<&str>,
) -> Result<String, NoHead> {
    match find(graph, seen, output) {
        Err(NoHead::NoScores { tensor, shape }) if shape.len() == 3 => {
            match cut(graph, output) {
                // Scores of each token, as language models have them.
                Ok(_) => Err(NoHead::NoScores { tensor, shape }),
                Err(_) => Ok(tensor),
            }
        }
        Err(NoHead::Stuck { node, op }) if op == "Tanh" => {
            let tensor = choose_output(graph, output)?;
            match graph.producer(&tensor) {
                Some(last) if last.name == node => Ok(tensor),
                _ => Err(NoHead::Stuck { node, op }),
            }
        }
        found => found,
    }
}

/// Whether a node normalises its input: no classifier does so after its last weights. A division by
/// something computed is the end of a normalisation that was written out.
fn normalises(graph: &Graph, node: &str) -> bool {
    let known = ["BatchNormalization", "LayerNormalization", "LpNormalization"];
    graph.nodes.iter().filter(|other| other.name == node).any(|node| {
        let by_data = node.input(1).is_some_and(|name| !depends_on_no_input(graph, name));
        known.contains(&node.op.as_str()) || (node.op == "Div" && by_data)
    })
}

/// The tensor that the last weighted operator reads.
pub fn cut(graph: &Graph, output: Option<&str>) -> Result<String, NoHead> {
    let mut tensor = choose_output(graph, output)?;
    loop {
        let Some(node) = graph.producer(&tensor) else {
            return Err(NoHead::Stuck { node: tensor, op: "the input".to_owned() });
        };
        if is_weighted(graph, node) {
            let data = data_input(graph, node);
            return data.ok_or_else(|| stuck(node));
        }
        if !AFTER_WEIGHTS.contains(&node.op.as_str()) {
            return Err(stuck(node));
        }
        tensor = data_input(graph, node).ok_or_else(|| stuck(node))?;
    }
}

fn stuck(node: &Node) -> NoHead {
    NoHead::Stuck { node: node.name.clone(), op: node.op.clone() }
}

/// The output of that name, or the only one.
pub fn choose_output(graph: &Graph, output: Option<&str>) -> Result<String, NoHead> {
    let names: Vec<String> = graph.outputs.iter().map(|port| port.name.clone()).collect();
    match output {
        Some(name) if names.iter().any(|known| known == name) => Ok(name.to_owned()),
        Some(name) => Err(NoHead::NoOutput(name.to_owned())),
        None if names.len() == 1 => Ok(names[0].clone()),
        None => Err(NoHead::ManyOutputs(names)),
    }
}

/// Whether a node multiplies its input with weights.
pub fn is_weighted(graph: &Graph, node: &Node) -> bool {
    let weighted = matches!(node.op.as_str(), "Conv" | "Gemm" | "MatMul" | "ConvTranspose");
    weighted && node.inputs.iter().skip(1).any(|name| depends_on_no_input(graph, name))
}

/// Whether a tensor is a constant, or computed from constants alone.
pub fn depends_on_no_input(graph: &Graph, tensor: &str) -> bool {
    if graph.initializers.contains_key(tensor) {
        return true;
    }
    let Some(node) = graph.producer(tensor) else { return false };
    node.reads().all(|name| depends_on_no_input(graph, name))
}

/// The one input of a node that is computed from the model's input. A shape that is computed from
/// it does not count.
fn data_input(graph: &Graph, node: &Node) -> Option<String> {
    if matches!(node.op.as_str(), "Reshape" | "Squeeze" | "Unsqueeze" | "ReduceMean") {
        let first = node.input(0).filter(|name| !depends_on_no_input(graph, name));
        return first.map(str::to_owned);
    }
    let mut data = node.reads().filter(|name| !depends_on_no_input(graph, name));
    let only = data.next()?;
    data.next().is_none().then(|| only.to_owned())
}

/// The features that a head at `tensor` reads: their number, and whether an average over space
/// comes first.
pub fn features(graph: &Graph, seen: &Observation, tensor: &str) -> Result<(usize, bool), NoHead> {
    match seen.shape(graph, tensor) {
        Some([_, features]) => Ok((*features, false)),
        Some([_, channels, _, _]) => Ok((*channels, true)),
        shape => Err(NoHead::Rank {
            tensor: tensor.to_owned(),
            shape: shape.unwrap_or_default().to_vec(),
        }),
    }
}

/// How a sequence of tokens × features becomes one row of features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPool {
    /// The first token's.
    First,
    /// The mean over tokens; over those that an input of ones and zeros marks, if it is named.
    Mean(Option<String>),
}

/// Name of the output of a model with a new head.
pub const LOGITS: &str = "logits";
/// Weights of a new head, classes × features.
pub const WEIGHT: &str = "head.weight";
/// Biases of a new head.
pub const BIAS: &str = "head.bias";

/// The model up to `at`, averaged over space if need be, with one linear layer to `classes`
/// scores. Its weights are zero until they are drawn.
pub fn replace(
    graph: &Graph,
    seen: &Observation,
    at: &str,
    classes: usize,
) -> Result<Graph, NoHead> {
    replace_pooled(graph, seen, at, classes, None)
}

/// The same, where a sequence of tokens becomes one row of features first.
pub fn replace_pooled(
    graph: &Graph,
    seen: &Observation,
    at: &str,
    classes: usize,
    tokens: Option<&TokenPool>,
) -> Result<Graph, NoHead> {
    let (features, spatial) = match (tokens, seen.shape(graph, at)) {
        (Some(_), Some([_, _, features])) => (*features, false),
        _ => features(graph, seen, at)?,
    };
    let mut body = graph.part(&graph.inputs, &[Port::named(at)]);
    let mut read = at.to_owned();
    if let (Some(pool), Some([_, _, _])) = (tokens, seen.shape(graph, at)) {
        read = pool.emit(&mut body, at);
    }
    if spatial {
        let pool = unused(&body, "head/pool");
        body.nodes.push(Node::new(&pool, "GlobalAveragePool", &[&read], &pool));
        let flat = unused(&body, "head/flatten");
        body.nodes.push(Node::new(&flat, "Flatten", &[&pool], &flat).with("axis", 1_i64));
        read = flat;
    }
    let (weight, bias) = (unused(&body, WEIGHT), unused(&body, BIAS));
    let logits = unused(&body, LOGITS);
    let weights = Tensor::f32(&[classes, features], vec![0.0; classes * features]);
    body.initializers.insert(weight.clone(), weights);
    body.initializers.insert(bias.clone(), Tensor::f32(&[classes], vec![0.0; classes]));
    let name = unused(&body, "head");
    let gemm = Node::new(&name, "Gemm", &[&read, &weight, &bias], &logits);
    body.nodes.push(gemm.with("transB", 1_i64));
    body.outputs = vec![Port::batch_of_floats(&logits, &[classes])];
    Ok(body)
}

impl TokenPool {
    /// Adds nodes that make items × features of items × tokens × features; tells their output.
    fn emit(&self, body: &mut Graph, sequence: &str) -> String {
        let constant = |body: &mut Graph, name: &str, dims: Vec<usize>, value: i64| {
            let name = unused(body, name);
            body.initializers.insert(name.clone(), Tensor { dims, data: Data::I64(vec![value]) });
            name
        };
        let add = |body: &mut Graph, name: &str, op: &str, inputs: &[&str]| {
            let name = unused(body, name);
            body.nodes.push(Node::new(&name, op, inputs, &name));
            name
        };
        match self {
            Self::First => {
                let zero = constant(body, "head/token", vec![], 0);
                let first = add(body, "head/first", "Gather", &[sequence, &zero]);
                set(body, "axis", 1);
                first
            }
            Self::Mean(None) => {
                let axes = constant(body, "head/axis", vec![1], 1);
                let mean = add(body, "head/mean", "ReduceMean", &[sequence, &axes]);
                set(body, "keepdims", 0);
                mean
            }
            // Σ m x / Σ m, the sum as a product of matrices: items × 1 × tokens with the sequence.
            Self::Mean(Some(mask)) => {
                let axes = constant(body, "head/axis", vec![1], 1);
                let marks = add(body, "head/marks", "Cast", &[mask]);
                set(body, "to", i64::from(FLOAT));
                let row = add(body, "head/row", "Unsqueeze", &[&marks, &axes]);
                let sum = add(body, "head/sum", "MatMul", &[&row, sequence]);
                let sum = add(body, "head/sums", "Squeeze", &[&sum, &axes]);
                let count = add(body, "head/count", "ReduceSum", &[&marks, &axes]);
                set(body, "keepdims", 1);
                add(body, "head/mean", "Div", &[&sum, &count])
            }
        }
    }
}

/// Gives the last node a setting.
fn set(body: &mut Graph, key: &str, value: i64) {
    if let Some(node) = body.nodes.last_mut() {
        node.attributes.insert(key.to_owned(), value.into());
    }
}

/// Names of weight and bias of the last linear layer of a graph made by [`replace`].
pub fn parameters(graph: &Graph) -> Option<(String, String)> {
    let head = graph.nodes.last().filter(|node| node.op == "Gemm")?;
    Some((head.input(1)?.to_owned(), head.input(2)?.to_owned()))
}

/// `name`, or the first of `name_2`, `name_3`, … that no tensor or node of the graph has yet.
fn unused(graph: &Graph, name: &str) -> String {
    let used = |name: &str| {
        graph.has_tensor(name)
            || graph.initializers.contains_key(name)
            || graph.nodes.iter().any(|node| node.name == name)
    };
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(|name| !used(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::graph::INT64;
    use super::super::proto;
    use super::super::runtime::{Tensor as Value, runtime};
    use super::*;

    fn classifier(tail: &[Node]) -> Graph {
        let mut nodes = vec![
            Node::new("conv", "Conv", &["x", "w"], "a"),
            Node::new("relu", "Relu", &["a"], "b"),
            Node::new("pool", "GlobalAveragePool", &["b"], "c"),
            Node::new("flat", "Flatten", &["c"], "d"),
            Node::new("fc", "MatMul", &["d", "v"], "e"),
            Node::new("bias", "Add", &["e", "u"], "f"),
        ];
        nodes.extend_from_slice(tail);
        let output = nodes.last().unwrap().output().to_owned();
        let constants = [("w", vec![4, 1, 3, 3]), ("v", vec![4, 7]), ("u", vec![7])];
        Graph {
            opset: 18,
            inputs: vec![Port::batch_of_floats("x", &[1, 8, 8])],
            outputs: vec![Port::named(&output)],
            nodes,
            initializers: constants
                .into_iter()
                .map(|(name, dims)| {
                    let length = super::super::tensor::elements(&dims);
                    (name.to_owned(), Tensor::f32(&dims, vec![0.0; length]))
                })
                .collect(),
            ..Graph::default()
        }
    }

    #[test]
    fn the_cut_lies_before_the_last_weights() {
        assert_eq!(cut(&classifier(&[]), None), Ok("d".into()));
        let softmax = Node::new("softmax", "Softmax", &["f"], "p");
        assert_eq!(cut(&classifier(&[softmax]), None), Ok("d".into()));
    }

    #[test]
    fn an_unusual_tail_is_told_by_node() {
        let sort = Node::new("best", "TopK", &["f"], "p");
        let told = cut(&classifier(&[sort]), None).unwrap_err();
        assert_eq!(told, NoHead::Stuck { node: "best".into(), op: "TopK".into() });
    }

    #[test]
    fn a_normalised_output_is_features() {
        let nothing = Observation::default();
        let norm = Node::new("norm", "LayerNormalization", &["f", "g"], "y");
        assert_eq!(find(&classifier(&[norm]), &nothing, None), Ok("y".into()));
        let length = Node::new("length", "ReduceL2", &["f"], "l");
        let unit = Node::new("unit", "Div", &["f", "l"], "y");
        assert_eq!(find(&classifier(&[length, unit]), &nothing, None), Ok("y".into()));
        let cooler = Node::new("cooler", "Div", &["f", "u"], "y");
        let told = find(&classifier(&[cooler]), &nothing, None).unwrap_err();
        assert_eq!(told, NoHead::Stuck { node: "cooler".into(), op: "Div".into() });
    }

    #[test]
    fn a_map_is_no_scores() {
        let seen = |dims: &[usize]| Observation {
            shapes: [("f".to_owned(), dims.to_vec())].into(),
            ..Observation::default()
        };
        let graph = classifier(&[]);
        assert_eq!(find(&graph, &seen(&[1, 7]), None), Ok("d".into()));
        assert_eq!(find(&graph, &seen(&[1, 7, 1, 1]), None), Ok("d".into()));
        let told = find(&graph, &seen(&[1, 1, 9, 9]), None).unwrap_err();
        assert!(told.to_string().contains("`f` has the shape [1, 1, 9, 9]"), "{told}");
    }

    #[test]
    fn a_new_head_reads_the_features() {
        let graph = classifier(&[]);
        let shapes = [("b", vec![1, 4, 8, 8]), ("d", vec![1, 4])];
        let shapes = shapes.map(|(name, dims)| (name.to_owned(), dims)).into();
        let seen = Observation { shapes, ..Observation::default() };
        let flat = replace(&graph, &seen, "d", 3).unwrap();
        assert_eq!(flat.initializers[WEIGHT].dims, [3, 4]);
        assert!(!flat.initializers.contains_key("v"));
        let spatial = replace(&graph, &seen, "b", 3).unwrap();
        let ops: Vec<&str> = spatial.nodes.iter().map(|node| node.op.as_str()).collect();
        assert_eq!(ops, ["Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm"]);
    }

    /// What a head of weights one reads of two items of three tokens with two features.
    fn pooled(pool: &TokenPool) -> Vec<f32> {
        let graph = Graph {
            opset: 18,
            inputs: vec![
                Port::batch_of_floats("x", &[3, 2]),
                Port { kind: INT64, ..Port::batch_of_floats("mask", &[3]) },
            ],
            outputs: vec![Port::named("y")],
            nodes: vec![Node::new("double", "Add", &["x", "x"], "y")],
            ..Graph::default()
        };
        let shapes = [("y".to_owned(), vec![1, 3, 2])].into();
        let seen = Observation { shapes, ..Observation::default() };
        let mut headed = replace_pooled(&graph, &seen, "y", 1, Some(pool)).unwrap();
        headed.initializers.insert(WEIGHT.to_owned(), Tensor::f32(&[1, 2], vec![1.0, 10.0]));
        headed.drop_unread_inputs();
        let x: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let x = Value::f32(&[2, 3, 2], x).unwrap();
        let mask = Value::whole(&[2, 3], INT64, vec![1, 1, 0, 1, 0, 0]).unwrap();
        let fed = if headed.inputs.len() == 2 { vec![&x, &mask] } else { vec![&x] };
        let mut session = runtime().unwrap().load(&proto::encode(&headed), 1).unwrap();
        session.run(&fed).unwrap()[0].floats().unwrap().to_vec()
    }

    #[test]
    fn a_sequence_becomes_its_first_token_or_a_mean_over_those_marked() {
        assert_eq!(pooled(&TokenPool::First), [20.0, 152.0]);
        assert_eq!(pooled(&TokenPool::Mean(None)), [64.0, 196.0]);
        assert_eq!(pooled(&TokenPool::Mean(Some("mask".to_owned()))), [42.0, 152.0]);
    }
}
