//! Convolutions of 3×3 taps at stride 1 with a quarter of the multiplications.
//!
//! Pixels are taken in tiles of 4×4 results. Each tile of 6×6 inputs, each kernel and each tile of
//! results becomes 36 points, at each of which the convolution is one product of matrices: tiles ×
//! inputs times inputs × outputs. Sums over taps come out of the transforms.

mod bands;
mod kernels;
mod transforms;
mod weights;

use super::Threads;
use super::lanes::{LANES, Lanes, Task, dispatch, filled};
use super::parts::each_part;
use super::product::{self, COLUMNS, Even, Row, Target};
use super::scratch::Scratch;
use bands::{Band, Image, Pixel};
pub(crate) use kernels::Kernels;
use kernels::TransformKernels;
use transforms::{POINTS, REACH, Square, TILE};
pub(crate) use weights::weight_gradient;

/// Tiles that are taken at once, as far as an image allows: transformed, they should stay in the
/// second cache.
const TILES: usize = 64;
/// Result channels whose points are kept at once.
const OUTPUTS: usize = 64;
/// Outputs from which on units of work may share them out.
const SPLIT: usize = 256;
/// Units of work there should be.
const UNITS: usize = 4;

/// A convolution of 3×3 taps at stride 1, without dilation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer {
    /// Images.
    pub(crate) items: usize,
    /// Channels of the input.
    pub(crate) inputs: usize,
    /// Channels of the result.
    pub(crate) outputs: usize,
    /// Height and width of the input.
    pub(crate) size: [usize; 2],
    /// Height and width of the result.
    pub(crate) result: [usize; 2],
    /// Rows and columns added before the input.
    pub(crate) before: [usize; 2],
}

/// Distance from one point to the next: not a power of two, for those would fall on one another in
/// the cache.
fn spaced(values: usize) -> usize {
    values + COLUMNS
}

fn padded(channels: usize) -> usize {
    channels.next_multiple_of(COLUMNS)
}

impl Layer {
    fn tiles(&self) -> [usize; 2] {
        self.result.map(|extent| extent.div_ceil(TILE))
    }

    /// Rows of tiles in a block, within an item or as whole items.
    fn rows_of_block(&self) -> usize {
        let [high, wide] = self.tiles();
        let rows = (TILES / wide).max(1);
        if rows < high {
            return rows;
        }
        // A power of two, so that units are alike. Where outputs are few, units are items alone.
        let most = if self.outputs < SPLIT { self.items / 4 } else { self.items };
        let items = (rows / high).min(most).max(1);
        (1 << items.ilog2()) * high
    }

    /// Items whose results one unit of work yields.
    fn items_of_unit(&self) -> usize {
        self.rows_of_block().div_ceil(self.tiles()[0])
    }

    /// Outputs of one unit of work: where units of items are few, they share outputs out. The tiles
    /// are then transformed for each anew, which is little beside the products.
    fn outputs_of_unit(&self) -> usize {
        let units = self.items.div_ceil(self.items_of_unit());
        let wanted = if self.outputs < SPLIT { 1 } else { UNITS.div_ceil(units) };
        self.outputs.div_ceil(wanted).next_multiple_of(OUTPUTS)
    }

    /// Blocks of rows of tiles, counted over all items from `first` to `last`.
    fn blocks(&self, first: usize, last: usize) -> Vec<[usize; 2]> {
        let high = self.tiles()[0];
        let rows = self.rows_of_block();
        let step = if rows < high { high } else { rows };
        let starts = (first * high..last * high).step_by(step);
        let blocks = starts.flat_map(|start| {
            let end = (start + step).min(last * high);
            (start..end).step_by(rows).map(move |row| [row, (row + rows).min(end)])
        });
        blocks.collect()
    }

    /// Rows of tiles of a block, item by item: the item, and its rows.
    fn parts([first, last]: [usize; 2], high: usize) -> impl Iterator<Item = (usize, [usize; 2])> {
        (first / high..last.div_ceil(high)).map(move |item| {
            let rows = [first.max(item * high), last.min((item + 1) * high)];
            (item, rows.map(|row| row - item * high))
        })
    }

    fn points_of_inputs(&self, tiles: usize) -> usize {
        POINTS * spaced(tiles * padded(self.inputs))
    }

    fn points_of_outputs(&self, tiles: usize) -> usize {
        POINTS * spaced(tiles * padded(self.outputs))
    }
}

/// The convolution of `x` (items × inputs × size) into `y` (items × outputs × result).
pub(crate) fn convolve(
    layer: &Layer,
    x: &[f32],
    kernels: Kernels<'_>,
    bias: Option<&[f32]>,
    y: &mut [f32],
    threads: &dyn Threads,
) {
    let panels = layer.outputs.div_ceil(COLUMNS);
    let panel = POINTS * layer.inputs;
    let mut transformed = Scratch::of(panels * panel * COLUMNS);
    let rows: &mut [Row] = bytemuck::cast_slice_mut(&mut transformed);
    each_part(threads, rows.chunks_exact_mut(panel), |index, into| {
        dispatch(TransformKernels { layer, kernels, first: index * COLUMNS, into });
    });
    let kernels: &[Row] = bytemuck::cast_slice(&transformed);
    let (items, outputs) = (layer.items_of_unit(), layer.outputs_of_unit());
    let plane = layer.result[0] * layer.result[1];
    let shares = layer.outputs.div_ceil(outputs);
    let mut units: Vec<Vec<&mut [f32]>> = vec![];
    for (item, y) in y.chunks_mut((layer.outputs * plane).max(1)).enumerate() {
        if item % items == 0 {
            units.extend((0..shares).map(|_| vec![]));
        }
        let first = units.len() - shares;
        for (unit, y) in units[first..].iter_mut().zip(y.chunks_mut(outputs * plane)) {
            unit.push(y);
        }
    }
    each_part(threads, units, |index, y| {
        let (first, outputs) = (index / shares * items, index % shares * outputs);
        dispatch(Convolve { layer, first, outputs, x, kernels, bias, y });
    });
}

/// The results of some items.
struct Convolve<'a> {
    layer: &'a Layer,
    /// The first item.
    first: usize,
    /// The first output.
    outputs: usize,
    x: &'a [f32],
    /// Sixteen outputs after sixteen: points × inputs × outputs.
    kernels: &'a [Row],
    bias: Option<&'a [f32]>,
    /// Planes of these outputs, for each of these items.
    y: Vec<&'a mut [f32]>,
}

impl Task for Convolve<'_> {
    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) {
        let layer = self.layer;
        let wide = layer.tiles()[1];
        let plane = layer.result[0] * layer.result[1];
        let share = self.y.first().map_or(0, |y| y.len() / plane.max(1));
        let most = layer.rows_of_block() * wide;
        let mut inputs = Scratch::of(layer.points_of_inputs(most));
        let mut points = Scratch::of(POINTS * spaced(most * OUTPUTS.min(padded(share))));
        for block in layer.blocks(self.first, self.first + self.y.len()) {
            let tiles = (block[1] - block[0]) * wide;
            transform_inputs(lanes, layer, self.x, block, &mut inputs);
            for first in (0..share).step_by(OUTPUTS) {
                let outputs = OUTPUTS.min(padded(share - first));
                self.multiply(lanes, &inputs, tiles, [first, outputs], &mut points);
                self.finish(lanes, &points, block, [first, outputs]);
            }
        }
    }
}

impl Convolve<'_> {
    /// Products at every point, for outputs of this share from a first on.
    #[inline(always)]
    fn multiply<L: Lanes>(
        &self,
        lanes: L,
        tiles: &[f32],
        count: usize,
        [first, outputs]: [usize; 2],
        into: &mut [f32],
    ) {
        let inputs = self.layer.inputs;
        let wide = padded(inputs);
        for point in 0..POINTS {
            let left = Even(&tiles[point * spaced(count * wide)..], wide);
            for column in (0..outputs).step_by(COLUMNS) {
                let panel = (self.outputs + first + column) / COLUMNS * POINTS + point;
                let right = &self.kernels[panel * inputs..][..inputs];
                let origin = point * spaced(count * outputs) + column;
                let target = Target {
                    values: into,
                    stride: outputs,
                    first: origin,
                    columns: COLUMNS,
                    add: false,
                    plus: &[],
                };
                product::multiply(lanes, left, count, right, target);
            }
        }
    }

    /// From points to results, for outputs of this share from a first on.
    #[inline(always)]
    fn finish<L: Lanes>(
        &mut self,
        lanes: L,
        points: &[f32],
        block: [usize; 2],
        [first, outputs]: [usize; 2],
    ) {
        let layer = self.layer;
        let [high, wide] = layer.tiles();
        let next = spaced((block[1] - block[0]) * wide * outputs);
        let plane = layer.result[0] * layer.result[1];
        let mut band = Scratch::of((block[1] - block[0]) * wide * TILE * TILE * LANES);
        let band: &mut [Pixel] = bytemuck::cast_slice_mut(&mut band);
        let share = self.y.first().map_or(0, |y| y.len() / plane.max(1));
        for channel in (0..outputs.min(share - first)).step_by(LANES) {
            let bias = filled!([0.0; LANES], |lane| {
                let at = self.outputs + first + channel + lane;
                self.bias.and_then(|bias| bias.get(at)).copied().unwrap_or(0.0)
            });
            let mut tile = 0;
            for (item, rows) in Layer::parts(block, high) {
                for row in 0..rows[1] - rows[0] {
                    for column in 0..wide {
                        let points = &points[tile * outputs + channel..];
                        let result = transforms::to_result(lanes, collect(lanes, points, next));
                        for (i, values) in result.iter().enumerate() {
                            let at = ((row * TILE + i) * wide + column) * TILE;
                            for (value, into) in values.iter().zip(&mut band[at..at + TILE]) {
                                lanes.store(*value, into);
                            }
                        }
                        tile += 1;
                    }
                }
                let pixels = &band[..(rows[1] - rows[0]) * wide * TILE * TILE];
                let planes = &mut self.y[item - self.first][(first + channel) * plane..];
                bands::scatter(
                    lanes,
                    pixels,
                    wide * TILE,
                    rows[0] * TILE,
                    layer.result,
                    bias,
                    planes,
                );
            }
        }
    }
}

/// Tiles of the input of a block as points × tiles × channels.
#[inline(always)]
fn transform_inputs<L: Lanes>(
    lanes: L,
    layer: &Layer,
    x: &[f32],
    block: [usize; 2],
    into: &mut [f32],
) {
    let [high, wide] = layer.tiles();
    let next = spaced((block[1] - block[0]) * wide * padded(layer.inputs));
    let width = wide * TILE + REACH - TILE;
    let height = (block[1] - block[0]).min(high) * TILE + REACH - TILE;
    let mut band = Scratch::of(height * width * LANES);
    let band: &mut [Pixel] = bytemuck::cast_slice_mut(&mut band);
    let size = layer.inputs * layer.size[0] * layer.size[1];
    let mut tile = 0;
    for (item, rows) in Layer::parts(block, high) {
        let values = &x[item * size..(item + 1) * size];
        let image = Image { values, channels: layer.inputs, size: layer.size };
        let place = Band {
            row: rows[0] * TILE,
            above: layer.before[0],
            left: layer.before[1],
            size: [(rows[1] - rows[0]) * TILE + REACH - TILE, width],
        };
        for channel in (0..padded(layer.inputs)).step_by(LANES) {
            bands::gather(lanes, image, channel, place, band);
            for row in 0..rows[1] - rows[0] {
                for column in 0..wide {
                    let zero = lanes.splat(0.0);
                    let tile_of = filled!([[zero; REACH]; REACH], |i| {
                        let at = (row * TILE + i) * width + column * TILE;
                        let pixels = &band[at..at + REACH];
                        filled!([zero; REACH], |j| lanes.load(&pixels[j]))
                    });
                    let points = transforms::of_input(lanes, tile_of);
                    let at = (tile + row * wide + column) * padded(layer.inputs) + channel;
                    spread(lanes, points, &mut into[at..], next);
                }
            }
        }
        tile += (rows[1] - rows[0]) * wide;
    }
}

/// The points of a tile from where their tiles lie.
#[inline(always)]
fn collect<L: Lanes>(lanes: L, from: &[f32], next: usize) -> Square<L::V, REACH> {
    let zero = lanes.splat(0.0);
    filled!([[zero; REACH]; REACH], |i| {
        filled!([zero; REACH], |j| bands::eight(lanes, &from[(i * REACH + j) * next..]))
    })
}

/// Each point of a tile to where its point's tiles lie.
#[inline(always)]
fn spread<L: Lanes>(lanes: L, points: Square<L::V, REACH>, into: &mut [f32], next: usize) {
    let mut point = 0;
    while point < POINTS {
        if let Some(into) = into[point * next..].first_chunk_mut() {
            lanes.store(points[point / REACH][point % REACH], into);
        }
        point += 1;
    }
}
