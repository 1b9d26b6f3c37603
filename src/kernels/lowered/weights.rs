//! The gradient of the weights, from patches.

use super::patches::{Layout, Patches};
use super::{DEPTH, HEIGHT};
use crate::kernels::Threads;
use crate::kernels::convolution::Shape;
use crate::kernels::lanes::{LANES, Lanes, Task, dispatch, filled};
use crate::kernels::parts::each_part;
use crate::kernels::product::{self, COLUMNS, Row, Scattered, Target};
use crate::kernels::scratch::Scratch;

/// Units of work that the gradient of weights is cut into.
const UNITS: usize = 8;
/// Floats of partial sums of the gradient of weights; 8 MB.
const PARTIAL: usize = 2 << 20;

/// See [`crate::kernels::convolution::weight_gradient`]. Positions are what is summed over, so the
/// gradient of the result is turned, sixteen channels side by side; patches are taken as they lie.
pub(in crate::kernels) fn weight_gradient(
    shape: &Shape,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    threads: &dyn Threads,
) {
    let patches = shape.patches();
    let layout = patches.layout();
    let wide = shape.outputs.next_multiple_of(COLUMNS);
    let rows = layout.rows.len();
    // Each band lays and turns for itself; each group of items has sums of its own.
    let bands = rows.div_ceil(4 * HEIGHT).min(4);
    let band = rows.div_ceil(bands);
    let groups = (PARTIAL / (rows * wide).max(1)).min(UNITS / bands).min(shape.items).max(1);
    let of_group = shape.items.div_ceil(groups);
    let mut partial = Scratch::zeroed(groups * rows * wide);
    let parts = partial.chunks_mut(rows * wide).enumerate().flat_map(|(group, sums)| {
        sums.chunks_mut(band * wide).enumerate().map(move |(index, sums)| (group, index, sums))
    });
    each_part(threads, parts.collect::<Vec<_>>(), |_, (group, index, sums)| {
        let items = [group * of_group, ((group + 1) * of_group).min(shape.items)];
        let (patches, layout) = (&patches, &layout);
        dispatch(AddProducts { shape, patches, layout, items, first: index * band, x, dy, sums });
    });
    let (whole, others) = partial.split_at_mut(rows * wide);
    for sums in others.chunks(rows * wide) {
        whole.iter_mut().zip(sums).for_each(|(whole, sum)| *whole += sum);
    }
    turn(whole, wide, dw, rows);
}

/// Rows × outputs to outputs × rows.
fn turn(sums: &[f32], wide: usize, dw: &mut [f32], rows: usize) {
    // Some lines of each at a time, so that they stay in the first cache.
    for (block, dw) in dw.chunks_mut(COLUMNS * rows).enumerate() {
        for (row, sums) in sums.chunks_exact(wide).enumerate() {
            let sums = &sums[block * COLUMNS..(block + 1) * COLUMNS];
            for (dw, &sum) in dw.chunks_exact_mut(rows).zip(sums) {
                dw[row] = sum;
            }
        }
    }
}

/// Adds patches · dyᵀ over some items, for some rows of patches.
struct AddProducts<'a> {
    shape: &'a Shape,
    patches: &'a Patches,
    layout: &'a Layout,
    items: [usize; 2],
    first: usize,
    x: &'a [f32],
    dy: &'a [f32],
    sums: &'a mut [f32],
}

impl Task for AddProducts<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (patches, layout, outputs) = (self.patches, self.layout, self.shape.outputs);
        let wide = outputs.next_multiple_of(COLUMNS);
        let rows = &layout.rows[self.first..][..self.sums.len() / wide];
        let columns = layout.columns(patches);
        let mut turned = Scratch::of(DEPTH * wide);
        let turned: &mut [Row] = bytemuck::cast_slice_mut(&mut turned);
        let mut room = None;
        for item in self.items[0]..self.items[1] {
            let x = &self.x[item * patches.values()..][..patches.values()];
            let x = layout.lay(patches, x, &mut room);
            let positions = patches.grid[0] * patches.grid[1];
            let dy = &self.dy[item * outputs * positions..][..outputs * positions];
            for first in (0..columns).step_by(DEPTH) {
                let count = DEPTH.min(columns - first);
                for panel in 0..wide / COLUMNS {
                    let into = &mut turned[panel * count..][..count];
                    let channels = [panel * COLUMNS, outputs];
                    turn_lines(lanes, dy, channels, patches.grid, [first, layout.wide], into);
                }
                for (top, rows) in rows.chunks(HEIGHT).enumerate() {
                    for panel in 0..wide / COLUMNS {
                        let right = &turned[panel * count..][..count];
                        let target = Target {
                            values: &mut *self.sums,
                            stride: wide,
                            first: top * HEIGHT * wide + panel * COLUMNS,
                            columns: COLUMNS,
                            add: true,
                            plus: &[],
                        };
                        let left = Scattered(&x[first..], rows);
                        product::multiply(lanes, left, rows.len(), right, target);
                    }
                }
            }
        }
    }
}

/// Sixteen channels of some positions, side by side; 0 beyond the grid and the last channel.
/// Positions are counted from `first` on in lines of `wide`.
#[inline(always)]
fn turn_lines<L: Lanes>(
    lanes: L,
    values: &[f32],
    channels: [usize; 2],
    grid: [usize; 2],
    [first, wide]: [usize; 2],
    into: &mut [Row],
) {
    let mut at = 0;
    while at < into.len() {
        let (y, x) = ((first + at) / wide, (first + at) % wide);
        // Lines follow one another where nothing lies between them.
        let line = if wide == grid[1] { grid[0] * wide - first - at } else { wide - x };
        let run = line.min(into.len() - at);
        let inside = if wide == grid[1] { run } else { grid[1].saturating_sub(x).min(run) };
        let (rows, beyond) = into[at..at + run].split_at_mut(inside);
        turn_panel(lanes, values, grid[0] * grid[1], channels, y * grid[1] + x, rows);
        beyond.fill([0.0; COLUMNS]);
        at += run;
    }
}

/// Sixteen channels of some positions, side by side; 0 beyond the last channel.
#[inline(always)]
fn turn_panel<L: Lanes>(
    lanes: L,
    values: &[f32],
    positions: usize,
    [channel, channels]: [usize; 2],
    first: usize,
    into: &mut [Row],
) {
    let present = (channels - channel).min(COLUMNS);
    let count = into.len();
    if present < COLUMNS {
        into.fill([0.0; COLUMNS]);
    }
    let whole = if present == COLUMNS { count / LANES * LANES } else { 0 };
    for position in (0..whole).step_by(LANES) {
        for half in 0..2 {
            let zero = lanes.splat(0.0);
            let rows = filled!([zero; LANES], |lane| {
                let at = (channel + half * LANES + lane) * positions + first + position;
                match values[at..].first_chunk() {
                    Some(eight) => lanes.load(eight),
                    None => zero,
                }
            });
            let turned = lanes.transpose(rows);
            for (lane, row) in into[position..position + LANES].iter_mut().enumerate() {
                if let Some(row) = row[half * LANES..].first_chunk_mut() {
                    lanes.store(turned[lane], row);
                }
            }
        }
    }
    for lane in 0..present {
        let from = &values[(channel + lane) * positions + first..][whole..count];
        for (row, &value) in into[whole..].iter_mut().zip(from) {
            row[lane] = value;
        }
    }
}
