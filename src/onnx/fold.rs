//! Whole numbers that follow from shapes, computed beforehand.
//!
//! Exporters write `x.reshape(x.shape[0], -1)` as a dozen nodes that compute a shape. Where the
//! shapes have been seen, all of that is known: what is left are constants, which rules of gradients
//! can read and which every backend takes.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{FLOAT, Graph, INT64, Node};
use super::observe::Observation;
use super::tensor::{Data, Tensor, elements};

/// Longer tensors are left alone: they hold data, not shapes.
const LONGEST: usize = 256;
const INT32: i32 = 6;
const BOOL: i32 = 9;

/// Numbers that are known, with their element type.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    dims: Vec<usize>,
    kind: i32,
    values: Numbers,
}

#[derive(Clone, Debug, PartialEq)]
enum Numbers {
    Whole(Vec<i64>),
    Floats(Vec<f32>),
}

/// Replaces what follows from shapes as they were `seen` by constants. Constants in `kept` are
/// never read: they are parameters, whose values move.
pub fn fold(graph: &mut Graph, seen: &Observation, kept: &BTreeSet<&str>) {
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    for (name, tensor) in &graph.initializers {
        if !kept.contains(name.as_str()) && tensor.len() <= LONGEST {
            known.extend(read(tensor).map(|value| (name.clone(), value)));
        }
    }
    let outputs: BTreeSet<String> = graph.outputs.iter().map(|port| port.name.clone()).collect();
    let mut left = Vec::new();
    for node in std::mem::take(&mut graph.nodes) {
        let is_output = node.writes().any(|name| outputs.contains(name));
        let folded = computed(&node, graph, seen, &known)
            .filter(|value| !is_output && elements(&value.dims) <= LONGEST);
        match folded {
            Some(value) => {
                let name = node.output().to_owned();
                graph.initializers.insert(name.clone(), written(&value));
                known.insert(name, value);
            }
            None => left.push(node),
        }
    }
    graph.nodes = left;
    graph.drop_unread_constants();
}

fn read(tensor: &Tensor) -> Option<Known> {
    let (kind, values) = match &tensor.data {
        Data::F32(values) => (FLOAT, Numbers::Floats(values.clone())),
        Data::I64(values) => (INT64, Numbers::Whole(values.clone())),
        Data::Other { kind: INT32, bytes } => {
            let whole = |four: &[u8]| four.try_into().map(i32::from_le_bytes).map(i64::from).ok();
            (INT32, Numbers::Whole(bytes.chunks_exact(4).filter_map(whole).collect()))
        }
        Data::Other { kind: BOOL, bytes } => {
            (BOOL, Numbers::Whole(bytes.iter().map(|byte| i64::from(*byte)).collect()))
        }
        Data::Other { .. } => return None,
    };
    Some(Known { dims: tensor.dims.clone(), kind, values })
}

fn written(value: &Known) -> Tensor {
    let data = match (&value.values, value.kind) {
        (Numbers::Floats(values), _) => Data::F32(values.clone()),
        (Numbers::Whole(values), INT32) => Data::Other {
            kind: INT32,
            bytes: values.iter().flat_map(|value| (*value as i32).to_le_bytes()).collect(),
        },
        (Numbers::Whole(values), BOOL) => {
            Data::Other { kind: BOOL, bytes: values.iter().map(|value| *value as u8).collect() }
        }
        (Numbers::Whole(values), _) => Data::I64(values.clone()),
    };
    Tensor { dims: value.dims.clone(), data }
}

/// The first output of a node, if all it needs is known.
fn computed(
    node: &Node,
    graph: &Graph,
    seen: &Observation,
    known: &BTreeMap<String, Known>,
) -> Option<Known> {
    if !node.domain.is_empty() || node.writes().count() != 1 {
        return None;
    }
    if let "Shape" | "Size" = node.op.as_str() {
        return shape(node, seen.shape(graph, node.input(0)?)?);
    }
    let inputs: Option<Vec<&Known>> = node.reads().map(|name| known.get(name)).collect();
    let inputs = inputs.filter(|inputs| inputs.len() == node.inputs.len())?;
    let first = *inputs.first()?;
    match node.op.as_str() {
        "Identity" => Some(first.clone()),
        "Cast" => cast(first, node.int("to")?),
        "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten" => {
            let dims = relaid(node, first, inputs.get(1))?;
            (elements(&dims) == elements(&first.dims)).then(|| Known { dims, ..first.clone() })
        }
        "Gather" => gather(node, first, inputs.get(1)?),
        "Concat" => concat(&inputs),
        "Slice" => slice(&inputs),
        "ConstantOfShape" => filled(node, first),
        "Range" => range(&inputs),
        "ReduceProd" if first.dims.len() == 1 => {
            let product = first.whole()?.iter().product();
            let kept = node.int("keepdims").unwrap_or(1) != 0;
            Some(whole(first.kind, if kept { vec![1] } else { vec![] }, vec![product]))
        }
        "Floor" => first.each(f32::floor),
        "Ceil" => first.each(f32::ceil),
        "Where" => choose(&inputs),
        op => of_two(op, first, inputs.get(1)?),
    }
}

impl Known {
    fn whole(&self) -> Option<&[i64]> {
        match &self.values {
            Numbers::Whole(values) => Some(values),
            Numbers::Floats(_) => None,
        }
    }

    fn floats(&self) -> Option<&[f32]> {
        match &self.values {
            Numbers::Floats(values) => Some(values),
            Numbers::Whole(_) => None,
        }
    }

    fn each(&self, change: fn(f32) -> f32) -> Option<Self> {
        let values = self.floats()?.iter().map(|value| change(*value)).collect();
        Some(Self { values: Numbers::Floats(values), ..self.clone() })
    }
}

fn whole(kind: i32, dims: Vec<usize>, values: Vec<i64>) -> Known {
    Known { dims, kind, values: Numbers::Whole(values) }
}

fn from_end(at: i64, extent: usize) -> i64 {
    if at < 0 { at.saturating_add(extent as i64) } else { at }
}

fn shape(node: &Node, dims: &[usize]) -> Option<Known> {
    if node.op == "Size" {
        return Some(whole(INT64, vec![], vec![elements(dims) as i64]));
    }
    let bound = |key, default| {
        let at = from_end(node.int(key).unwrap_or(default), dims.len());
        at.clamp(0, dims.len() as i64) as usize
    };
    let part = dims.get(bound("start", 0)..bound("end", dims.len() as i64))?;
    let values: Vec<i64> = part.iter().map(|extent| *extent as i64).collect();
    Some(whole(INT64, vec![values.len()], values))
}

fn cast(value: &Known, to: i64) -> Option<Known> {
    let dims = value.dims.clone();
    let to = i32::try_from(to).ok()?;
    Some(match (&value.values, to) {
        (_, kind) if kind == value.kind => value.clone(),
        (Numbers::Whole(values), FLOAT) => {
            let values = Numbers::Floats(values.iter().map(|value| *value as f32).collect());
            Known { dims, kind: FLOAT, values }
        }
        (Numbers::Floats(values), INT64) => {
            whole(to, dims, values.iter().map(|value| *value as i64).collect())
        }
        (Numbers::Whole(values), INT64) => whole(to, dims, values.clone()),
        (Numbers::Whole(values), BOOL) => {
            whole(to, dims, values.iter().map(|value| i64::from(*value != 0)).collect())
        }
        (Numbers::Whole(values), INT32)
            if values.iter().all(|value| i32::try_from(*value).is_ok()) =>
        {
            whole(to, dims, values.clone())
        }
        _ => return None,
    })
}

/// The shape after a node that only changes it.
fn relaid(node: &Node, value: &Known, argument: Option<&&Known>) -> Option<Vec<usize>> {
    let list = argument.and_then(|known| known.whole());
    let mut dims = value.dims.clone();
    match (node.op.as_str(), list) {
        ("Squeeze", None) => dims.retain(|extent| *extent != 1),
        ("Squeeze", Some(axes)) => {
            let axes: Vec<i64> = axes.iter().map(|axis| from_end(*axis, dims.len())).collect();
            let kept = |(axis, _): &(usize, usize)| !axes.contains(&(*axis as i64));
            dims = dims.into_iter().enumerate().filter(kept).map(|(_, extent)| extent).collect();
        }
        ("Unsqueeze", Some(axes)) => {
            let rank = dims.len() + axes.len();
            let mut axes: Vec<i64> = axes.iter().map(|axis| from_end(*axis, rank)).collect();
            axes.sort_unstable();
            for axis in axes {
                let axis = usize::try_from(axis).ok().filter(|axis| *axis <= dims.len())?;
                dims.insert(axis, 1);
            }
        }
        ("Reshape", Some(&[-1])) => dims = vec![elements(&dims)],
        ("Reshape", Some(target)) if target.iter().all(|extent| *extent > 0) => {
            dims = target.iter().map(|extent| *extent as usize).collect();
        }
        _ => return None,
    }
    Some(dims)
}

fn gather(node: &Node, value: &Known, indices: &Known) -> Option<Known> {
    if value.dims.len() != 1 || node.int("axis").unwrap_or(0) > 0 {
        return None;
    }
    let places: Option<Vec<usize>> = indices
        .whole()?
        .iter()
        .map(|at| usize::try_from(from_end(*at, value.dims[0])).ok())
        .collect();
    let (places, dims) = (places?, indices.dims.clone());
    let values = match &value.values {
        Numbers::Whole(all) => {
            Numbers::Whole(places.iter().map(|at| all.get(*at).copied()).collect::<Option<_>>()?)
        }
        Numbers::Floats(all) => {
            Numbers::Floats(places.iter().map(|at| all.get(*at).copied()).collect::<Option<_>>()?)
        }
    };
    Some(Known { dims, kind: value.kind, values })
}

fn concat(pieces: &[&Known]) -> Option<Known> {
    let kind = pieces[0].kind;
    if pieces.iter().any(|piece| piece.dims.len() != 1 || piece.kind != kind) {
        return None;
    }
    let length = pieces.iter().map(|piece| piece.dims[0]).sum();
    let values = match &pieces[0].values {
        Numbers::Whole(_) => Numbers::Whole(
            pieces.iter().filter_map(|piece| piece.whole()).flatten().copied().collect(),
        ),
        Numbers::Floats(_) => Numbers::Floats(
            pieces.iter().filter_map(|piece| piece.floats()).flatten().copied().collect(),
        ),
    };
    Some(Known { dims: vec![length], kind, values })
}

/// A forward slice of one axis.
fn slice(inputs: &[&Known]) -> Option<Known> {
    let [value, bounds @ ..] = inputs else { return None };
    let all = value.whole().filter(|_| value.dims.len() == 1)?;
    let one = |position: usize| match bounds.get(position).map(|known| known.whole()) {
        Some(Some(&[bound])) => Some(bound),
        _ => None,
    };
    let step = if bounds.len() > 3 { one(3)? } else { 1 };
    if step < 1 {
        return None;
    }
    let within = |at: i64| from_end(at, all.len()).clamp(0, all.len() as i64) as usize;
    let (start, end) = (within(one(0)?), within(one(1)?));
    let part = all.get(start..end.max(start))?;
    let values: Vec<i64> = part.iter().copied().step_by(step as usize).collect();
    Some(whole(value.kind, vec![values.len()], values))
}

fn filled(node: &Node, shape: &Known) -> Option<Known> {
    use super::graph::Attribute;
    let dims: Option<Vec<usize>> =
        shape.whole()?.iter().map(|extent| usize::try_from(*extent).ok()).collect();
    let dims = dims.filter(|dims| elements(dims) <= LONGEST)?;
    let value = match node.attributes.get("value") {
        Some(Attribute::Tensor(tensor)) => read(tensor)?,
        Some(_) => return None,
        None => Known { dims: vec![1], kind: FLOAT, values: Numbers::Floats(vec![0.0]) },
    };
    let count = elements(&dims);
    let values = match &value.values {
        Numbers::Whole(values) => Numbers::Whole(vec![*values.first()?; count]),
        Numbers::Floats(values) => Numbers::Floats(vec![*values.first()?; count]),
    };
    Some(Known { dims, kind: value.kind, values })
}

fn range(inputs: &[&Known]) -> Option<Known> {
    let one = |position: usize| inputs.get(position)?.whole()?.first().copied();
    let (start, end, step) = (one(0)?, one(1)?, one(2)?);
    if step < 1 || (end - start) / step > LONGEST as i64 {
        return None;
    }
    let values: Vec<i64> = (start..end).step_by(step as usize).collect();
    Some(whole(inputs[0].kind, vec![values.len()], values))
}

fn choose(inputs: &[&Known]) -> Option<Known> {
    let [condition, yes, no] = inputs else { return None };
    if yes.dims != condition.dims || no.dims != condition.dims {
        return None;
    }
    let pairs = yes.whole()?.iter().zip(no.whole()?);
    let chosen = condition.whole()?.iter().zip(pairs);
    let values = chosen.map(|(is, (yes, no))| if *is != 0 { *yes } else { *no }).collect();
    Some(whole(yes.kind, yes.dims.clone(), values))
}

/// Arithmetic of two equally shaped tensors, or of a tensor and one number.
fn of_two(op: &str, a: &Known, b: &Known) -> Option<Known> {
    let dims = match (elements(&a.dims), elements(&b.dims)) {
        _ if a.dims == b.dims => a.dims.clone(),
        (_, 1) if b.dims.len() <= a.dims.len() => a.dims.clone(),
        (1, _) if a.dims.len() <= b.dims.len() => b.dims.clone(),
        _ => return None,
    };
    if a.kind != b.kind {
        return None;
    }
    let count = elements(&dims);
    if let (Some(a), Some(b)) = (a.floats(), b.floats()) {
        let value = |at: usize| float_of(op, a[at % a.len()], b[at % b.len()]);
        let values: Option<Vec<f32>> = (0..count).map(value).collect();
        return Some(Known { dims, kind: FLOAT, values: Numbers::Floats(values?) });
    }
    let (left, right) = (a.whole()?, b.whole()?);
    let value = |at: usize| whole_of(op, left[at % left.len()], right[at % right.len()]);
    let values: Option<Vec<i64>> = (0..count).map(value).collect();
    let compares = ["Equal", "Greater", "Less"].contains(&op);
    Some(whole(if compares { BOOL } else { a.kind }, dims, values?))
}

fn float_of(op: &str, a: f32, b: f32) -> Option<f32> {
    Some(match op {
        "Add" => a + b,
        "Sub" => a - b,
        "Mul" => a * b,
        "Div" => a / b,
        _ => return None,
    })
}

fn whole_of(op: &str, a: i64, b: i64) -> Option<i64> {
    match op {
        "Add" => a.checked_add(b),
        "Sub" => a.checked_sub(b),
        "Mul" => a.checked_mul(b),
        "Div" => a.checked_div(b),
        "Min" => Some(a.min(b)),
        "Max" => Some(a.max(b)),
        "Equal" => Some(i64::from(a == b)),
        "Greater" => Some(i64::from(a > b)),
        "Less" => Some(i64::from(a < b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::Port;
    use super::*;

    fn folded(nodes: Vec<Node>, constants: &[(&str, Tensor)]) -> Graph {
        let mut graph = Graph {
            opset: 18,
            inputs: vec![Port::named("x")],
            outputs: vec![Port::named("y")],
            nodes,
            initializers: constants.iter().map(|(n, t)| ((*n).to_owned(), t.clone())).collect(),
            ..Graph::default()
        };
        let seen = Observation {
            shapes: [("x".to_owned(), vec![2, 3, 4, 5])].into(),
            ..Observation::default()
        };
        fold(&mut graph, &seen, &BTreeSet::from(["w"]));
        graph
    }

    #[test]
    fn a_shape_that_is_computed_becomes_a_constant() {
        let nodes = vec![
            Node::new("shape", "Shape", &["x"], "s"),
            Node::new("first", "Gather", &["s", "zero"], "n"),
            Node::new("list", "Unsqueeze", &["n", "axes"], "l"),
            Node::new("last", "Slice", &["s", "two", "end"], "r"),
            Node::new("half", "Div", &["r", "two"], "h"),
            Node::new("whole", "Concat", &["l", "rest", "h"], "t").with("axis", 0_i64),
            Node::new("reshape", "Reshape", &["x", "t"], "y"),
        ];
        let constants = [
            ("zero", Tensor { dims: vec![], data: Data::I64(vec![0]) }),
            ("axes", Tensor::i64(&[0])),
            ("two", Tensor::i64(&[2])),
            ("end", Tensor::i64(&[i64::MAX])),
            ("rest", Tensor::i64(&[-1])),
        ];
        let graph = folded(nodes, &constants);
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(graph.initializers, [("t".to_owned(), Tensor::i64(&[2, -1, 2, 2]))].into());
    }

    #[test]
    fn parameters_and_outputs_stay() {
        let nodes = vec![
            Node::new("turn", "Identity", &["w"], "t"),
            Node::new("add", "Add", &["x", "t"], "z"),
            Node::new("shape", "Shape", &["z"], "y"),
        ];
        let graph = folded(nodes, &[("w", Tensor::f32(&[1], vec![2.0]))]);
        assert_eq!(graph.nodes.len(), 3);
    }

    #[test]
    fn scales_follow_from_extents() {
        let nodes = vec![
            Node::new("shape", "Shape", &["x"], "s").with("start", 2_i64),
            Node::new("cast", "Cast", &["s"], "f").with("to", 1_i64),
            Node::new("twice", "Mul", &["f", "two"], "d"),
            Node::new("floor", "Floor", &["d"], "e"),
            Node::new("back", "Cast", &["e"], "i").with("to", 7_i64),
            Node::new("tile", "Tile", &["x", "i"], "y"),
        ];
        let graph = folded(nodes, &[("two", Tensor::scalar(2.5))]);
        assert_eq!(graph.initializers, [("i".to_owned(), Tensor::i64(&[10, 12]))].into());
    }
}
