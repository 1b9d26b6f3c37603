//! Convolutions as one product of matrices: weights times what each tap meets at each position.
//!
//! The second matrix is never written: an image is laid so that what a tap meets is one run of it,
//! and a few positions are copied into panels that stay in the caches while they are multiplied.

mod patches;
mod weights;

use super::Threads;
use super::convolution::Shape;
use super::lanes::{Lanes, Task, dispatch};
use super::parts::each_part;
use super::product::{self, COLUMNS, ROWS, Row, Sixes, Target};
use super::scratch::Scratch;
use patches::{Layout, Patches};
pub(super) use weights::weight_gradient;

/// Positions that are taken at once.
const POSITIONS: usize = 128;
/// Rows of patches that are taken at once: a panel of them stays in the first cache.
const DEPTH: usize = 256;
/// Rows of weights that are taken at once: they stay in the second cache.
const HEIGHT: usize = 120;
/// Rows of patches up to which all their panels stay in the first cache: the result is then
/// written line by line.
const SHALLOW: usize = 64;
/// Positions that one unit of work has at least.
const UNIT: usize = 160;

/// One product: its left side, and where its result goes.
struct Part {
    patches: Patches,
    layout: Layout,
    /// Rows × patches' rows, six rows side by side.
    weights: Scratch,
    /// The result's pixel of the first position.
    first: [usize; 2],
}

/// Products whose results together make up an image.
struct Plan<'a> {
    parts: Vec<Part>,
    /// Channels of the result.
    rows: usize,
    /// Height and width of the result.
    size: [usize; 2],
    /// Pixels of the result from one position to the next.
    step: [usize; 2],
    bias: &'a [f32],
}

impl Plan<'_> {
    fn plane(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Items of one unit of work.
    fn items(&self) -> usize {
        let positions = self.parts.iter().map(|part| part.layout.columns(&part.patches)).max();
        UNIT.div_ceil(positions.unwrap_or(UNIT).max(1)).next_power_of_two()
    }

    fn run(&self, images: &[f32], into: &mut [f32], threads: &dyn Threads) {
        let of_unit = self.items();
        let values = self.parts.first().map_or(0, |part| part.patches.values());
        let parts = into.chunks_mut((of_unit * self.rows * self.plane()).max(1));
        each_part(threads, parts, |index, into| {
            let images = &images[index * of_unit * values..];
            dispatch(Unit { plan: self, images, into });
        });
    }
}

/// Some items of a plan.
struct Unit<'a> {
    plan: &'a Plan<'a>,
    /// From these items on.
    images: &'a [f32],
    /// Of these items alone.
    into: &'a mut [f32],
}

impl Task for Unit<'_> {
    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) {
        let plan = self.plan;
        let mut panels = Scratch::of(DEPTH * POSITIONS);
        let mut staged = Scratch::of(plan.rows * POSITIONS);
        let items = self.into.len() / (plan.rows * plan.plane()).max(1);
        if plan.step != [1, 1] {
            self.into.fill(0.0);
        }
        for part in plan.parts.iter().filter(|part| !part.patches.taps.is_empty()) {
            let values = part.patches.values();
            let mut rooms: Vec<Option<Scratch>> = (0..items).map(|_| None).collect();
            let laid: Vec<&[f32]> = self
                .images
                .chunks_exact(values)
                .zip(&mut rooms)
                .map(|(item, room)| part.layout.lay(&part.patches, item, room))
                .collect();
            let each = part.layout.columns(&part.patches);
            for first in (0..items * each).step_by(POSITIONS) {
                let count = POSITIONS.min(items * each - first);
                let columns = Columns { laid: &laid, each, first, count };
                // Where nothing lies between lines, sums are written where they belong.
                if items == 1 && each == plan.plane() {
                    multiply(lanes, plan, part, &columns, &mut panels, self.into, (each, first));
                } else {
                    let place = (POSITIONS, 0);
                    multiply(lanes, plan, part, &columns, &mut panels, &mut staged, place);
                    self.scatter(part, &columns, &staged);
                }
            }
        }
    }
}

/// Columns of patches, counted over laid items.
struct Columns<'a> {
    laid: &'a [&'a [f32]],
    /// Columns of an item.
    each: usize,
    first: usize,
    count: usize,
}

impl Columns<'_> {
    /// Some rows, sixteen columns after sixteen.
    #[inline(always)]
    fn pack(&self, rows: &[usize], panels: &mut [Row]) {
        let (item, column) = (self.first / self.each, self.first % self.each);
        let whole = self.count / COLUMNS * COLUMNS;
        if self.count == whole && column + self.count <= self.each {
            for (index, row) in rows.iter().enumerate() {
                let (from, _) = self.laid[item][row + column..][..whole].as_chunks::<COLUMNS>();
                for (panel, from) in from.iter().enumerate() {
                    panels[panel * rows.len() + index] = *from;
                }
            }
            return;
        }
        let chunks = (self.first..self.first + self.count).step_by(COLUMNS);
        for (column, panel) in chunks.zip(panels.chunks_exact_mut(rows.len())) {
            let (item, column) = (column / self.each, column % self.each);
            if column + COLUMNS > self.each && item + 1 < self.laid.len() {
                self.pack_across(item, column, rows, panel);
                continue;
            }
            for (row, into) in rows.iter().zip(panel) {
                let from = &self.laid[item][row + column..];
                match from.first_chunk::<COLUMNS>() {
                    Some(from) => *into = *from,
                    None => into[..from.len()].copy_from_slice(from),
                }
            }
        }
    }

    /// Sixteen columns that begin in one item and end in a later one.
    #[inline(always)]
    fn pack_across(&self, item: usize, column: usize, rows: &[usize], panel: &mut [Row]) {
        for (row, into) in rows.iter().zip(panel) {
            let (mut column, mut at) = (column, 0);
            for laid in &self.laid[item..] {
                let run = (self.each - column).min(COLUMNS - at);
                into[at..at + run].copy_from_slice(&laid[row + column..][..run]);
                (column, at) = (0, at + run);
            }
        }
    }
}

/// The product of all rows of weights and some columns of patches. `into` is row-major, its rows
/// `stride` apart, and the product begins at `origin`.
#[inline(always)]
fn multiply<L: Lanes>(
    lanes: L,
    plan: &Plan<'_>,
    part: &Part,
    columns: &Columns<'_>,
    panels: &mut [f32],
    into: &mut [f32],
    (stride, origin): (usize, usize),
) {
    let depth = part.layout.rows.len();
    let (weights, _) = part.weights.as_chunks::<ROWS>();
    for row in (0..depth).step_by(DEPTH) {
        let rows = DEPTH.min(depth - row);
        let panels: &mut [Row] = bytemuck::cast_slice_mut(panels);
        columns.pack(&part.layout.rows[row..row + rows], panels);
        let most = if rows <= SHALLOW { ROWS } else { HEIGHT };
        for top in (0..plan.rows).step_by(most) {
            let left = Sixes(&weights[top / ROWS * depth + row..], depth);
            let height = most.min(plan.rows - top);
            for (index, column) in (0..columns.count).step_by(COLUMNS).enumerate() {
                let target = Target {
                    values: &mut *into,
                    stride,
                    first: origin + top * stride + column,
                    columns: COLUMNS.min(columns.count - column),
                    add: row > 0,
                    plus: if row == 0 { plan.bias.get(top..).unwrap_or(&[]) } else { &[] },
                };
                let right = &panels[index * rows..][..rows];
                product::multiply(lanes, left, height, right, target);
            }
        }
    }
}

impl Unit<'_> {
    /// Staged columns to the pixels where they belong.
    #[inline(always)]
    fn scatter(&mut self, part: &Part, columns: &Columns<'_>, staged: &[f32]) {
        let plan = self.plan;
        let wide = part.layout.wide;
        let mut column = 0;
        while column < columns.count {
            let at = columns.first + column;
            let (item, position) = (at / columns.each, at % columns.each);
            let (y, x) = (position / wide, position % wide);
            let run = (wide - x).min(columns.count - column);
            let inside = part.patches.grid[1].saturating_sub(x).min(run);
            let at = (y * plan.step[0] + part.first[0]) * plan.size[1]
                + x * plan.step[1]
                + part.first[1];
            for row in (0..plan.rows).take_while(|_| inside > 0) {
                let from = &staged[row * POSITIONS + column..][..inside];
                let into = &mut self.into[(item * plan.rows + row) * plan.plane() + at..];
                if plan.step[1] == 1 {
                    into[..inside].copy_from_slice(from);
                } else {
                    for (value, &from) in into.iter_mut().step_by(plan.step[1]).zip(from) {
                        *value = from;
                    }
                }
            }
            column += run;
        }
    }
}

impl Shape {
    /// What each tap meets of the input at each position of the result.
    fn patches(&self) -> Patches {
        let offset = |axis: usize, tap: usize| {
            (tap * self.dilations[axis]) as isize - self.before[axis] as isize
        };
        let [rows, columns] = self.kernel;
        let taps = (0..rows).flat_map(|r| (0..columns).map(move |s| (r, s)));
        Patches {
            channels: self.inputs,
            size: self.size,
            grid: self.result,
            step: self.strides,
            taps: taps.map(|(r, s)| [offset(0, r), offset(1, s)]).collect(),
        }
    }

    /// Taps along an axis that reach the inputs whose position is `phase` beyond a multiple of the
    /// stride: each with where it comes from in the result, from the multiple's quotient on.
    fn reaching(&self, axis: usize, phase: usize) -> Vec<(usize, isize)> {
        let stride = self.strides[axis] as isize;
        let taps = (0..self.kernel[axis]).filter_map(|tap| {
            let from = (phase + self.before[axis]) as isize - (tap * self.dilations[axis]) as isize;
            (from.rem_euclid(stride) == 0).then(|| (tap, from.div_euclid(stride)))
        });
        taps.collect()
    }

    /// The part of the input's gradient at one phase of the strides.
    fn phase(&self, first: [usize; 2], w: &[f32]) -> Part {
        let (rows, columns) = (self.reaching(0, first[0]), self.reaching(1, first[1]));
        let taps: Vec<(usize, [isize; 2])> = rows
            .iter()
            .flat_map(|&(r, y)| columns.iter().map(move |&(s, x)| (r * self.kernel[1] + s, [y, x])))
            .collect();
        let all = self.kernel[0] * self.kernel[1];
        let mut sources = vec![];
        for output in 0..self.outputs {
            sources.extend(taps.iter().map(|(tap, _)| output * self.inputs * all + tap));
        }
        let weights =
            six_by_six(self.inputs, sources.len(), |input, index| w[input * all + sources[index]]);
        let grid = std::array::from_fn(|axis| {
            self.size[axis].saturating_sub(first[axis]).div_ceil(self.strides[axis])
        });
        let patches = Patches {
            channels: self.outputs,
            size: self.result,
            grid,
            step: [1, 1],
            taps: taps.into_iter().map(|(_, offset)| offset).collect(),
        };
        Part { layout: patches.layout(), patches, weights, first }
    }
}

/// Weights as products take them.
fn six_by_six(rows: usize, depth: usize, at: impl Fn(usize, usize) -> f32) -> Scratch {
    let mut weights = Scratch::of(rows.next_multiple_of(ROWS) * depth);
    let (sixes, _) = weights.as_chunks_mut::<ROWS>();
    for (group, sixes) in sixes.chunks_exact_mut(depth.max(1)).enumerate() {
        for (index, six) in sixes.iter_mut().enumerate() {
            for (row, value) in (group * ROWS..).zip(six) {
                *value = if row < rows { at(row, index) } else { 0.0 };
            }
        }
    }
    weights
}

/// See [`super::convolution::forward`].
pub(super) fn forward(
    shape: &Shape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
    threads: &dyn Threads,
) {
    let patches = shape.patches();
    let depth = w.len() / shape.outputs.max(1);
    let weights = six_by_six(shape.outputs, depth, |row, index| w[row * depth + index]);
    let plan = Plan {
        parts: vec![Part { layout: patches.layout(), patches, weights, first: [0, 0] }],
        rows: shape.outputs,
        size: shape.result,
        step: [1, 1],
        bias: bias.unwrap_or(&[]),
    };
    plan.run(x, y, threads);
}

/// See [`super::convolution::input_gradient`]. At strides above 1, inputs that lie alike between
/// positions of the result are one product, without the taps that never reach them.
pub(super) fn input_gradient(
    shape: &Shape,
    dy: &[f32],
    w: &[f32],
    dx: &mut [f32],
    threads: &dyn Threads,
) {
    let [high, wide] = shape.strides;
    let phases = (0..high).flat_map(|y| (0..wide).map(move |x| [y, x]));
    let parts = phases
        .filter(|phase| phase[0] < shape.size[0] && phase[1] < shape.size[1])
        .map(|phase| shape.phase(phase, w))
        .collect();
    let plan = Plan { parts, rows: shape.inputs, size: shape.size, step: shape.strides, bias: &[] };
    plan.run(dy, dx, threads);
}
