//! The kernels of a layer, transformed to points.

use super::super::lanes::{LANES, Lanes, Task, filled};
use super::super::product::Row;
use super::Layer;
use super::bands::Pixel;
use super::transforms::{self, KERNEL};

/// How a layer's kernels lie in memory.
#[derive(Clone, Copy)]
pub(crate) struct Kernels<'a> {
    /// The weights, outputs × inputs × 3 × 3 of the forward convolution.
    pub(crate) values: &'a [f32],
    /// From one output to the next.
    pub(crate) output: usize,
    /// From one input to the next.
    pub(crate) input: usize,
    /// Whether taps are taken in reverse, as the gradient of the input wants it.
    pub(crate) flipped: bool,
}

/// Sixteen outputs' kernels as points × inputs × outputs.
pub(super) struct TransformKernels<'a> {
    pub(super) layer: &'a Layer,
    pub(super) kernels: Kernels<'a>,
    /// The first output.
    pub(super) first: usize,
    pub(super) into: &'a mut [Row],
}

impl Task for TransformKernels<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let inputs = self.layer.inputs;
        for input in 0..inputs {
            for half in 0..2 {
                let mut taps = [[0.0; LANES]; KERNEL * KERNEL];
                for lane in 0..LANES {
                    let output = self.first + half * LANES + lane;
                    if output < self.layer.outputs {
                        self.taps(output, input, lane, &mut taps);
                    }
                }
                let zero = lanes.splat(0.0);
                let kernel =
                    filled!([[zero; KERNEL]; KERNEL], |i| filled!([zero; KERNEL], |j| lanes
                        .load(&taps[i * KERNEL + j])));
                let points = transforms::of_kernel(lanes, kernel);
                for (point, value) in points.as_flattened().iter().enumerate() {
                    let row = &mut self.into[point * inputs + input];
                    if let Some(into) = row[half * LANES..].first_chunk_mut() {
                        lanes.store(*value, into);
                    }
                }
            }
        }
    }
}

impl TransformKernels<'_> {
    #[inline(always)]
    fn taps(&self, output: usize, input: usize, lane: usize, into: &mut [Pixel; KERNEL * KERNEL]) {
        let first = output * self.kernels.output + input * self.kernels.input;
        let Some(taps) = self.kernels.values[first..].first_chunk::<{ KERNEL * KERNEL }>() else {
            return;
        };
        for (index, &tap) in taps.iter().enumerate() {
            let index = if self.kernels.flipped { KERNEL * KERNEL - 1 - index } else { index };
            into[index][lane] = tap;
        }
    }
}
