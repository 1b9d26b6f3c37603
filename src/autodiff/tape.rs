//! Emitting nodes: a graph that grows at its end, with the shape of every tensor known.

use crate::kernels;
use crate::onnx::graph::{Attribute, Graph, Node, Port};
use crate::onnx::tensor::{Shape, Tensor, elements};

/// A tensor of the graph under construction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Var {
    name: String,
    dims: Shape,
}

impl Var {
    /// A tensor known by name and shape.
    pub(crate) fn new(name: impl Into<String>, dims: &[usize]) -> Self {
        Self { name: name.into(), dims: dims.to_vec() }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its shape.
    pub(crate) fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Number of axes.
    pub(crate) fn rank(&self) -> usize {
        self.dims.len()
    }
}

/// Which of equal formulations is emitted: each runtime is fast at other operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// For ONNX Runtime's library.
    #[default]
    Library,
    /// For the embedded backend: broadcasting one value per channel over items is ten times slower
    /// there than repeating the values for each item first, and comparing with a number is six
    /// times slower than taking the sign.
    Embedded,
    /// For ONNX Runtime's library on a processor, with kernels of our own where they are faster.
    Kernels,
}

/// The graph under construction.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    graph: Graph,
    count: usize,
    prefix: String,
    dialect: Dialect,
}

impl Tape {
    /// A tape that writes at this opset (operators of the model it differentiates may need a
    /// later one than 18) and in this dialect.
    pub(crate) fn new(opset: i64, dialect: Dialect) -> Self {
        let graph = Graph { name: "step".to_owned(), opset, ..Graph::default() };
        Self { graph, dialect, ..Self::default() }
    }

    /// Which of equal formulations is emitted.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Names of what is emitted from here on begin with this.
    pub(crate) fn scope(&mut self, prefix: &str) {
        prefix.clone_into(&mut self.prefix);
    }

    /// Declares an input.
    pub(crate) fn input(&mut self, name: &str, dims: &[usize]) -> Var {
        self.graph.inputs.push(Port::floats(name, dims));
        Var::new(name, dims)
    }

    /// Declares an input of another element type than floats, by ONNX's number.
    pub(crate) fn input_of_kind(&mut self, name: &str, kind: i32, dims: &[usize]) -> Var {
        self.graph.inputs.push(Port { kind, ..Port::floats(name, dims) });
        Var::new(name, dims)
    }

    /// Declares an output; the tensor is passed on under this name.
    pub(crate) fn output(&mut self, var: &Var, name: &str) {
        self.graph.nodes.push(Node::new(name, "Identity", &[var.name()], name));
        self.graph.outputs.push(Port::floats(name, var.dims()));
    }

    /// The finished graph.
    pub(crate) fn finish(mut self) -> Graph {
        self.graph.drop_unread_constants();
        self.graph
    }

    /// A constant of the model, under its own name.
    pub(crate) fn model_constant(&mut self, name: &str, tensor: &Tensor) {
        self.graph.initializers.insert(name.to_owned(), tensor.clone());
    }

    /// Adds a node of the model as it is.
    pub(crate) fn model_node(&mut self, node: Node) {
        self.graph.nodes.push(node);
    }

    /// A constant; equal ones are one.
    pub(crate) fn constant(&mut self, tensor: Tensor) -> Var {
        let dims = tensor.dims.clone();
        let known = self.graph.initializers.iter().find(|(name, known)| {
            name.starts_with("constant_") && known.len() <= SMALL && **known == tensor
        });
        if let Some((name, _)) = known {
            return Var::new(name, &dims);
        }
        self.count += 1;
        let name = format!("constant_{}", self.count);
        self.graph.initializers.insert(name.clone(), tensor);
        Var::new(name, &dims)
    }

    /// A constant number without axes.
    pub(crate) fn number(&mut self, value: f32) -> Var {
        self.constant(Tensor::scalar(value))
    }

    /// Constant whole numbers.
    pub(crate) fn integers(&mut self, values: &[i64]) -> Var {
        self.constant(Tensor::i64(values))
    }

    /// Emits an operation whose result has this shape.
    pub(crate) fn op(
        &mut self,
        op: &str,
        inputs: &[&Var],
        attributes: &[(&str, Attribute)],
        dims: &[usize],
    ) -> Var {
        self.many(op, inputs, attributes, &[dims]).remove(0)
    }

    /// Emits one of our own kernels; only in [`Dialect::Kernels`].
    pub(crate) fn kernel(
        &mut self,
        name: &str,
        inputs: &[&Var],
        attributes: &[(&str, Attribute)],
        dims: &[&[usize]],
    ) -> Vec<Var> {
        debug_assert_eq!(self.dialect, Dialect::Kernels);
        let made = self.many(name, inputs, attributes, dims);
        self.graph.domains.insert(kernels::DOMAIN.to_owned(), 1);
        if let Some(node) = self.graph.nodes.last_mut() {
            kernels::DOMAIN.clone_into(&mut node.domain);
        }
        made
    }

    /// Emits an operation with several results.
    pub(crate) fn many(
        &mut self,
        op: &str,
        inputs: &[&Var],
        attributes: &[(&str, Attribute)],
        dims: &[&[usize]],
    ) -> Vec<Var> {
        self.count += 1;
        let name = format!("{}/{}_{}", self.prefix, op.to_lowercase(), self.count);
        let outputs: Vec<Var> = dims
            .iter()
            .enumerate()
            .map(|(index, dims)| match index {
                0 => Var::new(name.clone(), dims),
                _ => Var::new(format!("{name}.{index}"), dims),
            })
            .collect();
        let names: Vec<&str> = inputs.iter().map(|input| input.name()).collect();
        let mut node = Node::new(&name, op, &names, "");
        node.outputs = outputs.iter().map(|output| output.name.clone()).collect();
        node.attributes =
            attributes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        self.graph.nodes.push(node);
        outputs
    }

    /// The sum of two tensors, broadcast.
    pub(crate) fn add(&mut self, a: &Var, b: &Var) -> Var {
        self.broadcast("Add", a, b)
    }

    /// The difference of two tensors, broadcast.
    pub(crate) fn sub(&mut self, a: &Var, b: &Var) -> Var {
        self.broadcast("Sub", a, b)
    }

    /// The product of two tensors, element by element, broadcast.
    pub(crate) fn mul(&mut self, a: &Var, b: &Var) -> Var {
        self.broadcast("Mul", a, b)
    }

    /// The quotient of two tensors, element by element, broadcast.
    pub(crate) fn div(&mut self, a: &Var, b: &Var) -> Var {
        self.broadcast("Div", a, b)
    }

    /// A tensor times a number.
    pub(crate) fn scale(&mut self, a: &Var, factor: f32) -> Var {
        if factor.to_bits() == 1.0_f32.to_bits() {
            return a.clone();
        }
        let factor = self.number(factor);
        self.mul(a, &factor)
    }

    fn broadcast(&mut self, op: &str, a: &Var, b: &Var) -> Var {
        let dims = broadcast_dims(a.dims(), b.dims());
        if self.dialect == Dialect::Embedded {
            let (a, b) = (self.for_each_item(a, &dims), self.for_each_item(b, &dims));
            return self.op(op, &[&a, &b], &[], &dims);
        }
        self.op(op, &[a, b], &[], &dims)
    }

    /// One value per channel (1 × C × 1 × …) repeated for each item (N × C × 1 × …), as a product
    /// with ones: a mere repetition would be optimised away again.
    fn for_each_item(&mut self, a: &Var, dims: &[usize]) -> Var {
        let per_channel = a.rank() == dims.len()
            && a.rank() > 2
            && a.dims[0] == 1
            && dims[0] > 1
            && a.dims[2..].iter().all(|&extent| extent == 1);
        if !per_channel {
            return a.clone();
        }
        let (items, channels) = (dims[0], a.dims[1]);
        let ones = self.constant(Tensor::f32(&[items, 1], vec![1.0; items]));
        let row = self.reshape(a, &[1, channels]);
        let table = self.matmul(&ones, &row);
        let mut repeated = a.dims.clone();
        repeated[0] = items;
        self.reshape(&table, &repeated)
    }

    /// An operation that keeps the shape of its one input.
    pub(crate) fn unary(&mut self, op: &str, a: &Var) -> Var {
        self.op(op, &[a], &[], a.dims())
    }

    /// −a.
    pub(crate) fn neg(&mut self, a: &Var) -> Var {
        self.unary("Neg", a)
    }

    /// The same values in another shape.
    pub(crate) fn reshape(&mut self, a: &Var, dims: &[usize]) -> Var {
        debug_assert_eq!(elements(a.dims()), elements(dims));
        if a.dims() == dims {
            return a.clone();
        }
        let shape = self.integers(&signed(dims));
        self.op("Reshape", &[a, &shape], &[], dims)
    }

    /// Axes in another order.
    pub(crate) fn transpose(&mut self, a: &Var, order: &[usize]) -> Var {
        if order.iter().copied().eq(0..a.rank()) {
            return a.clone();
        }
        let dims: Shape = order.iter().map(|&axis| a.dims[axis]).collect();
        self.op("Transpose", &[a], &[("perm", signed(order).into())], &dims)
    }

    /// The sum over axes, which stay with extent 1.
    pub(crate) fn reduce_sum(&mut self, a: &Var, axes: &[usize]) -> Var {
        self.reduce("ReduceSum", a, axes)
    }

    /// The mean over axes, which stay with extent 1.
    pub(crate) fn reduce_mean(&mut self, a: &Var, axes: &[usize]) -> Var {
        self.reduce("ReduceMean", a, axes)
    }

    /// The largest value over axes, which stay with extent 1.
    pub(crate) fn reduce_max(&mut self, a: &Var, axes: &[usize]) -> Var {
        self.reduce("ReduceMax", a, axes)
    }

    /// A reduction over axes, which stay with extent 1.
    pub(super) fn reduce(&mut self, op: &str, a: &Var, axes: &[usize]) -> Var {
        if axes.is_empty() {
            return a.clone();
        }
        let mut dims = a.dims.clone();
        for &axis in axes {
            dims[axis] = 1;
        }
        let which = self.integers(&signed(axes));
        self.op(op, &[a, &which], &[("keepdims", 1_i64.into())], &dims)
    }

    /// `a` summed to the shape it had before it was broadcast.
    pub(crate) fn unbroadcast(&mut self, a: &Var, dims: &[usize]) -> Var {
        if a.dims() == dims {
            return a.clone();
        }
        if self.dialect == Dialect::Kernels && is_leading(a.dims(), dims) {
            let kept = [("dims", signed(dims).into())];
            return self.kernel("LeadingSum", &[a], &kept, &[dims]).remove(0);
        }
        let extra = a.rank() - dims.len();
        let stretched =
            |&axis: &usize| axis < extra || (dims[axis - extra] == 1 && a.dims[axis] != 1);
        let axes: Vec<usize> = (0..a.rank()).filter(stretched).collect();
        let summed = self.reduce_sum(a, &axes);
        self.reshape(&summed, dims)
    }

    /// A tensor repeated to a larger shape.
    pub(crate) fn expand(&mut self, a: &Var, dims: &[usize]) -> Var {
        if a.dims() == dims {
            return a.clone();
        }
        let shape = self.integers(&signed(dims));
        self.op("Expand", &[a, &shape], &[], dims)
    }

    /// The matrix product over the last two axes; the axes before are broadcast.
    pub(crate) fn matmul(&mut self, a: &Var, b: &Var) -> Var {
        let (m, n) = (a.dims[a.rank() - 2], b.dims[b.rank() - 1]);
        let mut dims = broadcast_dims(&a.dims[..a.rank() - 2], &b.dims[..b.rank() - 2]);
        dims.extend([m, n]);
        self.op("MatMul", &[a, b], &[], &dims)
    }

    /// Pieces put together along an axis.
    pub(crate) fn concat(&mut self, pieces: &[&Var], axis: usize) -> Var {
        if let [only] = pieces {
            return (*only).clone();
        }
        let mut dims = pieces[0].dims.clone();
        dims[axis] = pieces.iter().map(|piece| piece.dims[axis]).sum();
        self.op("Concat", pieces, &[("axis", (axis as i64).into())], &dims)
    }

    /// `count` entries of each axis from `start` on, `step` apart.
    pub(crate) fn slice(&mut self, a: &Var, axes: &[usize], parts: &[Part]) -> Var {
        let whole = |(axis, part): (&usize, &Part)| part.is_whole(a.dims[*axis]);
        if axes.iter().zip(parts).all(whole) {
            return a.clone();
        }
        let mut dims = a.dims.clone();
        for (&axis, part) in axes.iter().zip(parts) {
            dims[axis] = part.count;
        }
        let starts = self.integers(&parts.iter().map(Part::start).collect::<Vec<_>>());
        let ends = self.integers(&parts.iter().map(Part::end).collect::<Vec<_>>());
        let which = self.integers(&signed(axes));
        let steps = self.integers(&parts.iter().map(|part| part.step).collect::<Vec<_>>());
        self.op("Slice", &[a, &starts, &ends, &which, &steps], &[], &dims)
    }

    /// Zeros of this shape.
    pub(crate) fn zeros(&mut self, dims: &[usize]) -> Var {
        let zero = self.number(0.0);
        self.expand(&zero, dims)
    }

    /// Zeros added before and after each axis.
    pub(crate) fn pad(&mut self, a: &Var, before: &[usize], after: &[usize]) -> Var {
        if before.iter().chain(after).all(|&count| count == 0) {
            return a.clone();
        }
        let grown = |axis: usize| a.dims[axis] + before[axis] + after[axis];
        let dims: Shape = (0..a.rank()).map(grown).collect();
        let pads = self.integers(&[signed(before), signed(after)].concat());
        let zero = self.number(0.0);
        self.op("Pad", &[a, &pads, &zero], &[], &dims)
    }

    /// 1 where `a > 0`, else 0, for a tensor that is never negative.
    pub(crate) fn positive(&mut self, a: &Var) -> Var {
        if self.dialect == Dialect::Embedded {
            return self.unary("Sign", a);
        }
        let zero = self.number(0.0);
        self.greater(a, &zero)
    }

    /// 1 where `a > b`, else 0.
    pub(crate) fn greater(&mut self, a: &Var, b: &Var) -> Var {
        let dims = broadcast_dims(a.dims(), b.dims());
        let mask = self.op("Greater", &[a, b], &[], &dims);
        self.op("Cast", &[&mask], &[("to", 1_i64.into())], &dims)
    }
}

/// Shorter rows are summed as fast by the library.
const SHORTEST_ROW: usize = 16;

/// Whether a sum from one shape to another is over leading axes alone, of rows worth a kernel.
fn is_leading(from: &[usize], to: &[usize]) -> bool {
    let first = to.iter().take_while(|&&extent| extent == 1).count();
    from.ends_with(&to[first..]) && elements(to) >= SHORTEST_ROW
}

/// Constants up to this length are compared before a new one is made.
const SMALL: usize = 64;

/// A part of an axis: `count` entries from `first` on, `step` apart (backwards if negative).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The first entry.
    pub(crate) first: usize,
    /// How many.
    pub(crate) count: usize,
    /// How far apart; not 0.
    pub(crate) step: i64,
}

impl Part {
    /// `count` entries in a row.
    pub(crate) fn run(first: usize, count: usize) -> Self {
        Self { first, count, step: 1 }
    }

    /// A whole axis backwards.
    pub(crate) fn reversed(extent: usize) -> Self {
        Self { first: extent - 1, count: extent, step: -1 }
    }

    fn is_whole(&self, extent: usize) -> bool {
        *self == Self::run(0, extent)
    }

    fn start(&self) -> i64 {
        self.first as i64
    }

    fn end(&self) -> i64 {
        let end = self.start() + (self.count as i64 - 1) * self.step + self.step.signum();
        // One before the first entry cannot be written as −1, which means the last.
        if end < 0 { i64::MIN } else { end }
    }
}

/// Extents as ONNX writes them.
pub(crate) fn signed(values: &[usize]) -> Vec<i64> {
    values.iter().map(|&value| value as i64).collect()
}

/// The shape of two tensors broadcast against each other.
pub(crate) fn broadcast_dims(a: &[usize], b: &[usize]) -> Shape {
    let rank = a.len().max(b.len());
    let extent = |dims: &[usize], axis: usize| {
        let missing = rank - dims.len();
        if axis < missing { 1 } else { dims[axis - missing] }
    };
    (0..rank).map(|axis| extent(a, axis).max(extent(b, axis))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_parts_follow_onnx() {
        assert_eq!((Part::run(2, 3).start(), Part::run(2, 3).end()), (2, 5));
        assert_eq!((Part::reversed(4).start(), Part::reversed(4).end()), (3, i64::MIN));
        let every_second = Part { first: 1, count: 3, step: 2 };
        assert_eq!(every_second.end(), 6);
    }

    #[test]
    fn shapes_are_broadcast_from_the_right() {
        assert_eq!(broadcast_dims(&[4, 1, 3], &[5, 1]), [4, 5, 3]);
        assert_eq!(broadcast_dims(&[], &[2]), [2]);
    }

    #[test]
    fn a_sum_over_leading_axes_is_told_from_others() {
        assert!(is_leading(&[8, 4, 32], &[32]) && is_leading(&[8, 4, 32], &[1, 4, 32]));
        assert!(is_leading(&[8, 4, 32], &[1, 1, 32]));
        assert!(!is_leading(&[8, 4, 32], &[8, 1, 32]) && !is_leading(&[8, 4, 32], &[8, 4, 1]));
        assert!(!is_leading(&[8, 4, 2], &[2]));
    }

    #[test]
    fn equal_constants_are_one() {
        let mut tape = Tape::new(18, Dialect::Library);
        assert_eq!(tape.number(2.0), tape.number(2.0));
        assert_ne!(tape.number(2.0), tape.number(3.0));
    }
}
