//! What normalisations share: values less their mean over axes, divided by their spread there.

use super::super::tape::{Tape, Var};

/// Values normalised over axes.
pub(super) struct Standard {
    /// x̂: the values less their mean, over the spread.
    pub(super) normal: Var,
    /// 1 / spread, with extent 1 along the axes.
    pub(super) inverse: Var,
}

/// x̂ = (x − μ) / √(σ² + ε) over `axes`, with the population variance.
pub(super) fn standardised(x: &Var, axes: &[usize], epsilon: f32, tape: &mut Tape) -> Standard {
    let mean = tape.reduce_mean(x, axes);
    let centred = tape.sub(x, &mean);
    over_root_mean_square(&centred, axes, epsilon, tape)
}

/// x̂ = x / √(mean(x²) + ε) over `axes`.
pub(super) fn over_root_mean_square(
    x: &Var,
    axes: &[usize],
    epsilon: f32,
    tape: &mut Tape,
) -> Standard {
    let square = tape.square(x);
    let mean = tape.reduce_mean(&square, axes);
    let widened = tape.plus(&mean, epsilon);
    let spread = tape.unary("Sqrt", &widened);
    let inverse = tape.reciprocal(&spread);
    Standard { normal: tape.mul(x, &inverse), inverse }
}

impl Standard {
    /// The gradient of x from that of x̂: (g − mean(g) − x̂ mean(g x̂)) / spread.
    pub(super) fn backward(&self, g: &Var, axes: &[usize], tape: &mut Tape) -> Var {
        let shift = tape.reduce_mean(g, axes);
        let rest = tape.sub(g, &shift);
        self.less_along(&rest, g, axes, tape)
    }

    /// The same where the mean was not taken off: (g − x̂ mean(g x̂)) / spread.
    pub(super) fn backward_uncentred(&self, g: &Var, axes: &[usize], tape: &mut Tape) -> Var {
        self.less_along(g, g, axes, tape)
    }

    fn less_along(&self, rest: &Var, g: &Var, axes: &[usize], tape: &mut Tape) -> Var {
        let product = tape.mul(g, &self.normal);
        let share = tape.reduce_mean(&product, axes);
        let along = tape.mul(&self.normal, &share);
        let rest = tape.sub(rest, &along);
        tape.mul(&rest, &self.inverse)
    }
}
