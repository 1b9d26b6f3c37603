//! Small formulas that many rules share, composed of operations of the tape.

use crate::onnx::graph::FLOAT;

use super::tape::{Dialect, Tape, Var, broadcast_dims};

impl Tape {
    /// a²
    pub(super) fn square(&mut self, a: &Var) -> Var {
        self.mul(a, a)
    }

    /// a + c
    pub(super) fn plus(&mut self, a: &Var, number: f32) -> Var {
        let number = self.number(number);
        self.add(a, &number)
    }

    /// c − a
    pub(super) fn number_minus(&mut self, number: f32, a: &Var) -> Var {
        let number = self.number(number);
        self.sub(&number, a)
    }

    /// 1 − a²
    pub(super) fn one_minus_square(&mut self, a: &Var) -> Var {
        let square = self.square(a);
        self.number_minus(1.0, &square)
    }

    /// 1 / a
    pub(super) fn reciprocal(&mut self, a: &Var) -> Var {
        self.unary("Reciprocal", a)
    }

    /// a to the power of a number.
    pub(super) fn power(&mut self, a: &Var, exponent: f32) -> Var {
        let exponent = self.number(exponent);
        self.op("Pow", &[a, &exponent], &[], a.dims())
    }

    /// `a` where `mask` holds, else `b`; all broadcast.
    pub(super) fn choose(&mut self, mask: &Var, a: &Var, b: &Var) -> Var {
        let dims = broadcast_dims(mask.dims(), &broadcast_dims(a.dims(), b.dims()));
        self.op("Where", &[mask, a, b], &[], &dims)
    }

    /// A mask of truth values: where two tensors compare so (`Equal`, `Greater`, `Less`).
    pub(super) fn compare(&mut self, op: &str, a: &Var, b: &Var) -> Var {
        let dims = broadcast_dims(a.dims(), b.dims());
        self.op(op, &[a, b], &[], &dims)
    }

    /// The same with a number.
    pub(super) fn compare_number(&mut self, op: &str, a: &Var, number: f32) -> Var {
        let number = self.number(number);
        self.compare(op, a, &number)
    }

    /// A mask, or whole numbers, as floats.
    pub(super) fn as_floats(&mut self, mask: &Var) -> Var {
        self.op("Cast", &[mask], &[("to", i64::from(FLOAT).into())], mask.dims())
    }

    /// 1 where two tensors are equal, else 0.
    pub(super) fn equal(&mut self, a: &Var, b: &Var) -> Var {
        let mask = self.compare("Equal", a, b);
        self.as_floats(&mask)
    }

    /// 1 / (1 + e⁻ᵃ)
    pub(super) fn sigmoid(&mut self, a: &Var) -> Var {
        self.unary("Sigmoid", a)
    }

    /// ln(1 + eᵃ). The embedded backend's own operator overflows for large values; there it is
    /// written out: max(a, 0) + ln(1 + e^(−|a|)).
    pub(super) fn softplus(&mut self, a: &Var) -> Var {
        if self.dialect() != Dialect::Embedded {
            return self.unary("Softplus", a);
        }
        let zero = self.number(0.0);
        let above = self.op("Max", &[a, &zero], &[], a.dims());
        let size = self.unary("Abs", a);
        let size = self.neg(&size);
        let exp = self.unary("Exp", &size);
        let more = self.plus(&exp, 1.0);
        let ln = self.unary("Log", &more);
        self.add(&above, &ln)
    }

    /// The density of the standard normal distribution, e^(−a²/2) / √(2π).
    pub(super) fn normal_density(&mut self, a: &Var) -> Var {
        let square = self.square(a);
        let half = self.scale(&square, -0.5);
        let exp = self.unary("Exp", &half);
        self.scale(&exp, 1.0 / std::f32::consts::TAU.sqrt())
    }

    /// The product over axes, which stay with extent 1.
    pub(super) fn reduce_product(&mut self, a: &Var, axes: &[usize]) -> Var {
        self.reduce("ReduceProd", a, axes)
    }

    /// Softmax over one axis.
    pub(super) fn softmax(&mut self, a: &Var, axis: usize) -> Var {
        self.op("Softmax", &[a], &[("axis", (axis as i64).into())], a.dims())
    }

    /// The gradient of a softmax: p · (dy − Σ dy p).
    pub(super) fn softmax_gradient(&mut self, p: &Var, dy: &Var, axis: usize) -> Var {
        if self.dialect() == Dialect::Kernels && axis + 1 == p.rank() && dy.dims() == p.dims() {
            return self.kernel("SoftmaxGradient", &[dy, p], &[], &[p.dims()]).remove(0);
        }
        let product = self.mul(dy, p);
        let sum = self.reduce_sum(&product, &[axis]);
        let centred = self.sub(dy, &sum);
        self.mul(p, &centred)
    }

    /// The logarithm of a softmax. The embedded backend's own operator takes the logarithm of a
    /// softmax, which is ln 0 as soon as values differ by a hundred; there it is written out:
    /// a − max − ln Σ exp(a − max).
    pub(super) fn log_softmax(&mut self, a: &Var, axis: usize) -> Var {
        if self.dialect() != Dialect::Embedded {
            return self.op("LogSoftmax", &[a], &[("axis", (axis as i64).into())], a.dims());
        }
        let most = self.reduce_max(a, &[axis]);
        let below = self.sub(a, &most);
        let exp = self.unary("Exp", &below);
        let sum = self.reduce_sum(&exp, &[axis]);
        let ln = self.unary("Log", &sum);
        self.sub(&below, &ln)
    }

    /// The last two axes swapped.
    pub(super) fn turned(&mut self, a: &Var) -> Var {
        let mut order: Vec<usize> = (0..a.rank()).collect();
        let last = order.len() - 1;
        order.swap(last - 1, last);
        self.transpose(a, &order)
    }
}
