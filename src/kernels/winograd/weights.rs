//! The gradient of the weights, from points.

use super::bands::{self, Band, Image, Pixel};
use super::transforms::{self, KERNEL, POINTS, TILE};
use super::{Layer, collect, padded, spaced, spread, transform_inputs};
use crate::kernels::Threads;
use crate::kernels::lanes::{LANES, Lanes, Task, dispatch, filled};
use crate::kernels::parts::each_part;
use crate::kernels::product;
use crate::kernels::scratch::Scratch;

/// Floats of transformed tiles that the gradient of weights keeps at once; 2 MB.
const KEPT: usize = 1 << 19;

/// The gradient of the weights, outputs × inputs × 3 × 3, of a forward convolution.
pub(crate) fn weight_gradient(
    layer: &Layer,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    threads: &dyn Threads,
) {
    let wide = layer.tiles()[1];
    let (inputs, outputs) = (padded(layer.inputs), padded(layer.outputs));
    let most = layer.rows_of_block() * wide;
    let (left, right) = (layer.points_of_outputs(most), layer.points_of_inputs(most));
    let mut sums = Scratch::zeroed(POINTS * layer.outputs * inputs);
    let blocks = layer.blocks(0, layer.items);
    let at_once = (KEPT / (left + right)).max(4).min(blocks.len().max(1));
    let mut kept = Scratch::of(at_once * (left + right));
    for blocks in blocks.chunks(at_once) {
        let parts = kept.chunks_exact_mut(left + right).zip(blocks);
        each_part(threads, parts, |_, (into, &block)| {
            let (results, tiles) = into.split_at_mut(left);
            dispatch(TransformBlock { layer, x, dy, block, results, tiles });
        });
        let count = |block: &[usize; 2]| (block[1] - block[0]) * wide;
        each_part(threads, sums.chunks_exact_mut(layer.outputs * inputs), |point, sums| {
            let pairs = kept.chunks_exact(left + right).zip(blocks).map(|(kept, block)| {
                let tiles = count(block);
                let (results, inputs_of) = kept.split_at(left);
                let results = &results[point * spaced(tiles * outputs)..][..tiles * outputs];
                (results, &inputs_of[point * spaced(tiles * inputs)..][..tiles * inputs])
            });
            dispatch(AddProducts { layer, pairs, sums });
        });
    }
    let of_unit = LANES * layer.inputs * KERNEL * KERNEL;
    each_part(threads, dw.chunks_mut(of_unit), |index, dw| {
        dispatch(FinishKernels { layer, first: index * LANES, sums: &sums, dw });
    });
}

struct TransformBlock<'a> {
    layer: &'a Layer,
    x: &'a [f32],
    dy: &'a [f32],
    block: [usize; 2],
    results: &'a mut [f32],
    tiles: &'a mut [f32],
}

impl Task for TransformBlock<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        transform_inputs(lanes, self.layer, self.x, self.block, self.tiles);
        transform_results(lanes, self.layer, self.dy, self.block, self.results);
    }
}

/// Adds the products of all blocks at one point.
struct AddProducts<'a, I> {
    layer: &'a Layer,
    /// Results and inputs of each block.
    pairs: I,
    sums: &'a mut [f32],
}

impl<'a, I: Iterator<Item = (&'a [f32], &'a [f32])>> Task for AddProducts<'a, I> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (inputs, outputs) = (padded(self.layer.inputs), padded(self.layer.outputs));
        for (results, tiles) in self.pairs {
            let left = (results, outputs);
            product::add_outer(lanes, left, self.layer.outputs, (tiles, inputs), self.sums);
        }
    }
}

/// From points back to taps, for some outputs.
struct FinishKernels<'a> {
    layer: &'a Layer,
    first: usize,
    sums: &'a [f32],
    dw: &'a mut [f32],
}

impl Task for FinishKernels<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (inputs, wide) = (self.layer.inputs, padded(self.layer.inputs));
        let next = self.layer.outputs * wide;
        for (output, dw) in self.dw.chunks_exact_mut(inputs * KERNEL * KERNEL).enumerate() {
            for (index, dw) in dw.chunks_mut(LANES * KERNEL * KERNEL).enumerate() {
                let at = (self.first + output) * wide + index * LANES;
                let mut taps = [[0.0; LANES]; KERNEL * KERNEL];
                let points = collect(lanes, &self.sums[at..], next);
                let kernel = transforms::to_kernel(lanes, points);
                for (value, into) in kernel.as_flattened().iter().zip(&mut taps) {
                    lanes.store(*value, into);
                }
                for (lane, kernel) in dw.chunks_exact_mut(KERNEL * KERNEL).enumerate() {
                    for (value, tap) in kernel.iter_mut().zip(&taps) {
                        *value = tap[lane];
                    }
                }
            }
        }
    }
}

/// Tiles of the gradient of the result of a block as points × tiles × channels.
#[inline(always)]
fn transform_results<L: Lanes>(
    lanes: L,
    layer: &Layer,
    dy: &[f32],
    block: [usize; 2],
    into: &mut [f32],
) {
    let [high, wide] = layer.tiles();
    let next = spaced((block[1] - block[0]) * wide * padded(layer.outputs));
    let width = wide * TILE;
    let height = (block[1] - block[0]).min(high) * TILE;
    let mut band = Scratch::of(height * width * LANES);
    let band: &mut [Pixel] = bytemuck::cast_slice_mut(&mut band);
    let size = layer.outputs * layer.result[0] * layer.result[1];
    let mut tile = 0;
    for (item, rows) in Layer::parts(block, high) {
        let values = &dy[item * size..(item + 1) * size];
        let image = Image { values, channels: layer.outputs, size: layer.result };
        let height = (rows[1] - rows[0]) * TILE;
        let place = Band { row: rows[0] * TILE, above: 0, left: 0, size: [height, width] };
        for channel in (0..padded(layer.outputs)).step_by(LANES) {
            bands::gather(lanes, image, channel, place, band);
            for row in 0..rows[1] - rows[0] {
                for column in 0..wide {
                    let zero = lanes.splat(0.0);
                    let tile_of = filled!([[zero; TILE]; TILE], |i| {
                        let at = (row * TILE + i) * width + column * TILE;
                        let pixels = &band[at..at + TILE];
                        filled!([zero; TILE], |j| lanes.load(&pixels[j]))
                    });
                    let points = transforms::of_result(lanes, tile_of);
                    let at = (tile + row * wide + column) * padded(layer.outputs) + channel;
                    spread(lanes, points, &mut into[at..], next);
                }
            }
        }
        tile += (rows[1] - rows[0]) * wide;
    }
}
