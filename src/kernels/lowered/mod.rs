//! Convolutions as one product of matrices: weights times what each tap meets at each position.
//!
//! The second matrix is never written: an image is laid so that what a tap meets is one run of it,
//! and a few positions are copied into panels that stay in the caches while they are multiplied.

mod patches;

use super::Threads;
use super::convolution::Shape;
use super::lanes::{LANES, Lanes, Task, dispatch, filled};
use super::parts::each_part;
use super::product::{self, COLUMNS, ROWS, Row, Scattered, Sixes, Target};
use super::scratch::Scratch;
use patches::{Layout, Patches};

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
/// Units of work that the gradient of weights is cut into.
const UNITS: usize = 8;
/// Floats of partial sums of the gradient of weights; 8 MB.
const PARTIAL: usize = 2 << 20;

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

/// See [`super::convolution::weight_gradient`]. Positions are what is summed over, so the
/// gradient of the result is turned, sixteen channels side by side; patches are taken as they lie.
pub(super) fn weight_gradient(
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
