//! Dense convolutions over two axes: the result, and the gradients of input and weights.

mod operators;

use super::{Threads, lowered, winograd};

pub(super) use operators::KERNELS;

/// Channels from which on products at points pay: they take sixteen side by side.
const FEWEST: usize = 8;

/// A convolution of one group over height and width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Images.
    pub items: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the result.
    pub outputs: usize,
    /// Height and width of the input.
    pub size: [usize; 2],
    /// Taps along height and width.
    pub kernel: [usize; 2],
    /// Steps from one position to the next.
    pub strides: [usize; 2],
    /// Distance between taps.
    pub dilations: [usize; 2],
    /// Rows and columns added before the input.
    pub before: [usize; 2],
    /// Height and width of the result.
    pub result: [usize; 2],
}

impl Shape {
    /// Whether products at points serve: 3×3 taps side by side at stride 1, and channels enough.
    pub fn is_winograd(&self) -> bool {
        let pads = |axis: usize| {
            let after = (self.result[axis] + 2).checked_sub(self.size[axis] + self.before[axis]);
            self.before[axis] <= 2 && after.is_some_and(|after| after <= 2)
        };
        self.kernel == [3, 3]
            && self.strides == [1, 1]
            && self.dilations == [1, 1]
            && self.inputs.min(self.outputs) >= FEWEST
            && pads(0)
            && pads(1)
    }

    fn points(&self) -> winograd::Layer {
        winograd::Layer {
            items: self.items,
            inputs: self.inputs,
            outputs: self.outputs,
            size: self.size,
            result: self.result,
            before: self.before,
        }
    }

    fn points_of_gradient(&self) -> winograd::Layer {
        winograd::Layer {
            items: self.items,
            inputs: self.outputs,
            outputs: self.inputs,
            size: self.result,
            result: self.size,
            before: self.before.map(|pad| 2 - pad),
        }
    }
}

/// `y = x ∗ w + bias`. `x` is items × inputs × size, `w` outputs × inputs × kernel, `y` items ×
/// outputs × result.
pub fn forward(
    shape: &Shape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
    threads: &dyn Threads,
) {
    if shape.is_winograd() {
        let kernels =
            winograd::Kernels { values: w, output: shape.inputs * 9, input: 9, flipped: false };
        winograd::convolve(&shape.points(), x, kernels, bias, y, threads);
    } else {
        lowered::forward(shape, x, w, bias, y, threads);
    }
}

/// The gradient of `x`, given that of `y`.
pub fn input_gradient(shape: &Shape, dy: &[f32], w: &[f32], dx: &mut [f32], threads: &dyn Threads) {
    if shape.is_winograd() {
        let kernels =
            winograd::Kernels { values: w, output: 9, input: shape.inputs * 9, flipped: true };
        winograd::convolve(&shape.points_of_gradient(), dy, kernels, None, dx, threads);
    } else {
        lowered::input_gradient(shape, dy, w, dx, threads);
    }
}

/// The gradient of `w`, given that of `y`.
pub fn weight_gradient(
    shape: &Shape,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    threads: &dyn Threads,
) {
    if shape.is_winograd() {
        winograd::weight_gradient(&shape.points(), x, dy, dw, threads);
    } else {
        lowered::weight_gradient(shape, x, dy, dw, threads);
    }
}

#[cfg(test)]
mod tests;
