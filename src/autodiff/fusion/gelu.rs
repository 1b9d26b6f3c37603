//! GELU as exporters write it in operators of older opsets, found by its pattern.

use std::collections::{BTreeMap, BTreeSet};
use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use crate::onnx::graph::{Graph, Node};

use super::super::refusals::stops;

/// Makes one node of each GELU that a parameter in `learning` leads to: x/2 (1 + erf(x/√2)), or
/// x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), in whichever order factors come. Others stay, for nobody
/// writes them by a rule. What is between its nodes must be read by them alone.
pub(in crate::autodiff) fn gelus(graph: &mut Graph, learning: &BTreeSet<&str>) {
    let reached = reached(graph, learning);
    let pattern = Pattern::of(graph, learning);
    let cores = (0..graph.nodes.len()).filter_map(|at| pattern.around(at));
    let found: Vec<Found> = cores.filter(|found| reached.contains(&found.x)).collect();
    let mut dropped = BTreeSet::new();
    for found in found {
        let node = &mut graph.nodes[found.last];
        let (name, output) = (node.name.clone(), node.output().to_owned());
        let form = if found.by_tanh { "tanh" } else { "none" };
        *node = Node::new(&name, "Gelu", &[&found.x], &output).with("approximate", form);
        dropped.extend(found.parts);
    }
    let mut at = 0..;
    graph.nodes.retain(|_| at.next().is_none_or(|at| !dropped.contains(&at)));
}

/// Tensors that depend on a parameter.
fn reached(graph: &Graph, learning: &BTreeSet<&str>) -> BTreeSet<String> {
    let mut reached: BTreeSet<String> = learning.iter().map(|&name| name.to_owned()).collect();
    for node in graph.nodes.iter().filter(|node| !stops(node)) {
        if node.reads().any(|name| reached.contains(name)) {
            reached.extend(node.writes().map(str::to_owned));
        }
    }
    reached
}

/// A GELU of `x`: the node that makes it, and those before it that nothing else needs.
struct Found {
    x: String,
    by_tanh: bool,
    last: usize,
    parts: Vec<usize>,
}

struct Pattern<'a> {
    graph: &'a Graph,
    /// Numbers that stay as they are.
    numbers: BTreeMap<&'a str, f32>,
    writers: BTreeMap<&'a str, usize>,
    /// Nodes that read a tensor, as often as they do; an output of the graph counts as no node.
    readers: BTreeMap<&'a str, Vec<Option<usize>>>,
}

/// One operand of a node, and the node.
type Operand<'a> = (&'a str, usize);

impl<'a> Pattern<'a> {
    fn of(graph: &'a Graph, learning: &BTreeSet<&str>) -> Self {
        let constants = graph.initializers.iter();
        let constants = constants.filter(|(name, _)| !learning.contains(name.as_str()));
        let number = |tensor: &'a crate::onnx::tensor::Tensor| match tensor.floats() {
            Some([number]) if tensor.dims.len() < 2 => Some(*number),
            _ => None,
        };
        let mut pattern = Self {
            graph,
            numbers: constants.filter_map(|(n, t)| Some((n.as_str(), number(t)?))).collect(),
            writers: BTreeMap::new(),
            readers: BTreeMap::new(),
        };
        for (at, node) in graph.nodes.iter().enumerate() {
            pattern.writers.extend(node.writes().map(|name| (name, at)));
            for name in node.reads() {
                pattern.readers.entry(name).or_default().push(Some(at));
            }
        }
        for port in &graph.outputs {
            pattern.readers.entry(&port.name).or_default().push(None);
        }
        pattern
    }

    /// The GELU whose Erf or Tanh is this node.
    fn around(&self, core: usize) -> Option<Found> {
        let node = &self.graph.nodes[core];
        let (x, mut parts) = match node.op.as_str() {
            "Erf" => {
                let (x, scaling) = self.scaled(node.input(0)?, FRAC_1_SQRT_2)?;
                (x, vec![scaling])
            }
            "Tanh" => self.cubic(node.input(0)?)?,
            _ => return None,
        };
        let sum = self.only_reader(node.output())?;
        let (other, _) = self.with_number(self.output(sum), "Add", 1.0)?;
        if other != node.output() {
            return None;
        }
        parts.extend([core, sum]);
        let last = self.halved_product(x, self.output(sum), &mut parts)?;
        let inner = parts.iter().all(|&at| self.only_reader(self.output(at)).is_some());
        inner.then(|| Found { x: x.to_owned(), by_tanh: node.op == "Tanh", last, parts })
    }

    /// The last node of x · sum / 2; the others go to `parts`.
    fn halved_product(&self, x: &str, sum: &str, parts: &mut Vec<usize>) -> Option<usize> {
        let first = self.only_reader(sum)?;
        let other = self.factor(first, sum)?;
        if let Some((_, halving)) = self.scaled(other, 0.5).filter(|(half, _)| *half == x) {
            parts.push(halving);
            return Some(first);
        }
        let product = self.output(first);
        let last = self.only_reader(product)?;
        let halves = self.scaled(self.output(last), 0.5).is_some_and(|(of, _)| of == product);
        let fits = match other == x {
            true => halves,
            false => self.is(other, 0.5) && self.factor(last, product) == Some(x),
        };
        parts.push(first);
        fits.then_some(last)
    }

    /// The x of √(2/π) (x + 0.044715 x³), and the nodes of it.
    fn cubic(&self, tensor: &str) -> Option<(&'a str, Vec<usize>)> {
        let (sum, scaling) = self.scaled(tensor, FRAC_2_SQRT_PI * FRAC_1_SQRT_2)?;
        let adding = *self.writers.get(sum)?;
        let node = &self.graph.nodes[adding];
        let [a, b] = &node.inputs[..] else { return None };
        if node.op != "Add" {
            return None;
        }
        [(a, b), (b, a)].into_iter().find_map(|(x, rest)| {
            let (cube, weighing) = self.scaled(rest, 0.044_715)?;
            let mut parts = vec![scaling, adding, weighing];
            parts.extend(self.cube(cube, x)?);
            Some((x.as_str(), parts))
        })
    }

    /// The nodes of x³.
    fn cube(&self, cube: &str, x: &str) -> Option<Vec<usize>> {
        if let Some((base, at)) = self.with_number(cube, "Pow", 3.0) {
            return (base == x).then(|| vec![at]);
        }
        let at = *self.writers.get(cube)?;
        let square = self.factor(at, x)?;
        let squaring = *self.writers.get(square)?;
        (self.factor(squaring, x)? == x).then(|| vec![at, squaring])
    }

    fn output(&self, at: usize) -> &'a str {
        self.graph.nodes[at].output()
    }

    fn is(&self, name: &str, number: f32) -> bool {
        self.numbers.get(name).is_some_and(|own| (own - number).abs() <= 1e-5 * number.abs())
    }

    fn only_reader(&self, name: &str) -> Option<usize> {
        match self.readers.get(name)?[..] {
            [reader] => reader,
            _ => None,
        }
    }

    /// What a product multiplies `one` with.
    fn factor(&self, at: usize, one: &str) -> Option<&'a str> {
        let node = &self.graph.nodes[at];
        match &node.inputs[..] {
            [a, b] if node.op == "Mul" && a == one => Some(b),
            [a, b] if node.op == "Mul" && b == one => Some(a),
            _ => None,
        }
    }

    /// The operand of a tensor that is its product with a number, or its quotient by the inverse.
    fn scaled(&self, tensor: &str, factor: f32) -> Option<Operand<'a>> {
        let product = self.with_number(tensor, "Mul", factor);
        product.or_else(|| self.with_number(tensor, "Div", 1.0 / factor))
    }

    /// The operand of a tensor that an operator makes of it and a number.
    fn with_number(&self, tensor: &str, op: &str, number: f32) -> Option<Operand<'a>> {
        let at = *self.writers.get(tensor)?;
        let node = &self.graph.nodes[at];
        let [a, b] = &node.inputs[..] else { return None };
        match node.op == op {
            true if self.is(b, number) => Some((a, at)),
            true if ["Add", "Mul"].contains(&op) && self.is(a, number) => Some((b, at)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::graph::Port;
    use crate::onnx::tensor::Tensor;

    /// A graph of nodes `output = op(inputs)`; x is made by a parameter.
    fn graph(nodes: &[(&str, &str, &[&str])]) -> Graph {
        let numbers = [
            ("1", 1.0),
            ("3", 3.0),
            ("half", 0.5),
            ("two", 2.0),
            ("root2", std::f32::consts::SQRT_2),
            ("1/root2", FRAC_1_SQRT_2),
            ("rate", 0.797_884_6),
            ("cubic", 0.044_715),
            ("w", 1.0),
        ];
        let nodes = [("x", "Mul", &["in", "w"][..])].into_iter().chain(nodes.iter().copied());
        Graph {
            nodes: nodes
                .map(|(output, op, inputs)| Node::new(output, op, inputs, output))
                .collect(),
            outputs: vec![Port::named("y")],
            initializers: numbers.map(|(name, n)| (name.to_owned(), Tensor::scalar(n))).into(),
            ..Graph::default()
        }
    }

    /// The operators that are left, with what a GELU is of.
    fn left(mut graph: Graph, learning: &[&str]) -> Vec<String> {
        gelus(&mut graph, &learning.iter().copied().collect());
        let told = |node: &Node| match node.text("approximate") {
            Some(form) => format!("{} = Gelu {} {form}", node.output(), node.inputs[0]),
            None => node.op.clone(),
        };
        graph.nodes.iter().map(told).collect()
    }

    const EXACT: [(&str, &str, &[&str]); 5] = [
        ("u", "Div", &["x", "root2"]),
        ("e", "Erf", &["u"]),
        ("s", "Add", &["e", "1"]),
        ("p", "Mul", &["x", "s"]),
        ("y", "Mul", &["p", "half"]),
    ];

    #[test]
    fn the_exact_form_is_found_in_every_order_of_its_factors() {
        assert_eq!(left(graph(&EXACT), &["w"]), ["Mul", "y = Gelu x none"]);
        let other = graph(&[
            ("u", "Mul", &["1/root2", "x"]),
            ("e", "Erf", &["u"]),
            ("s", "Add", &["1", "e"]),
            ("h", "Div", &["x", "two"]),
            ("y", "Mul", &["h", "s"]),
        ]);
        assert_eq!(left(other, &["w"]), ["Mul", "y = Gelu x none"]);
        let halved_first = graph(&[
            EXACT[0],
            EXACT[1],
            EXACT[2],
            ("p", "Mul", &["half", "s"]),
            ("y", "Mul", &["x", "p"]),
        ]);
        assert_eq!(left(halved_first, &["w"]), ["Mul", "y = Gelu x none"]);
    }

    #[test]
    fn the_form_by_tanh_is_found() {
        let tail: [(&str, &str, &[&str]); 7] = [
            ("c", "Mul", &["cubic", "x3"]),
            ("i", "Add", &["x", "c"]),
            ("u", "Mul", &["i", "rate"]),
            ("t", "Tanh", &["u"]),
            ("s", "Add", &["t", "1"]),
            ("h", "Mul", &["x", "half"]),
            ("y", "Mul", &["h", "s"]),
        ];
        let power = [&[("x3", "Pow", &["x", "3"][..])], &tail[..]].concat();
        assert_eq!(left(graph(&power), &["w"]), ["Mul", "y = Gelu x tanh"]);
        let square: [(&str, &str, &[&str]); 2] =
            [("x2", "Mul", &["x", "x"]), ("x3", "Mul", &["x2", "x"])];
        let product = [&square[..], &tail[..]].concat();
        assert_eq!(left(graph(&product), &["w"]), ["Mul", "y = Gelu x tanh"]);
    }

    #[test]
    fn what_others_read_or_nothing_learns_for_or_is_something_else_stays() {
        let all = ["Mul", "Div", "Erf", "Add", "Mul", "Mul"];
        let mut seen = graph(&EXACT);
        seen.outputs.push(Port::named("s"));
        assert_eq!(left(seen, &["w"]), all);
        assert_eq!(left(graph(&EXACT), &[]), all);
        assert_eq!(left(graph(&EXACT), &["w", "half"]), all);
        let mut wrong = EXACT;
        wrong[4] = ("y", "Mul", &["p", "two"]);
        assert_eq!(left(graph(&wrong), &["w"]), all);
    }
}
