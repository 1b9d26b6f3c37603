//! Depthwise convolution over planes: each channel has a kernel of its own.
//!
//! Forward, dX and dW all run over the flat layout of [`Flat`], in which a tap is a shift: dX is the
//! convolution of dy with taps that reach back, dW one product of two runs a tap.

use super::flat::{Flat, SLACK};
use super::parts::Parts;
use super::wide::wide;
use super::{Attributes, Input, Kernel, Kind, Output, Threads, pair};

const LISTS: &[&str] = &["kernel", "strides", "dilations", "before"];

pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "Depthwise",
        inputs: &[Kind::F32, Kind::F32],
        repeats: false,
        outputs: &[Kind::F32],
        lists: &["kernel", "strides", "dilations", "before", "output"],
        numbers: &[],
        shapes: |attributes, inputs| {
            let x = planes(&inputs[0])?;
            let output = attributes.extents("output");
            Ok(vec![[&x[..2], &output].concat()])
        },
        compute: forward,
    },
    Kernel {
        name: "DepthwiseInputGradient",
        inputs: &[Kind::F32, Kind::F32],
        repeats: false,
        outputs: &[Kind::F32],
        lists: &["kernel", "strides", "dilations", "before", "input"],
        numbers: &[],
        shapes: |attributes, inputs| {
            let dy = planes(&inputs[0])?;
            Ok(vec![[&dy[..2], &attributes.extents("input")].concat()])
        },
        compute: input_gradient,
    },
    Kernel {
        name: "DepthwiseWeightGradient",
        inputs: &[Kind::F32, Kind::F32],
        repeats: false,
        outputs: &[Kind::F32],
        lists: LISTS,
        numbers: &[],
        shapes: |attributes, inputs| {
            let dy = planes(&inputs[0])?;
            Ok(vec![[&[dy[1], 1], &attributes.extents("kernel")[..]].concat()])
        },
        compute: weight_gradient,
    },
    Kernel {
        name: "DepthwiseGradients",
        inputs: &[Kind::F32, Kind::F32, Kind::F32],
        repeats: false,
        outputs: &[Kind::F32, Kind::F32],
        lists: LISTS,
        numbers: &[],
        shapes: |_, inputs| {
            planes(&inputs[0])?;
            Ok(vec![inputs[1].clone(), inputs[2].clone()])
        },
        compute: both_gradients,
    },
];

/// Elements in a piece of work.
const PIECE: usize = 1 << 15;

fn planes(dims: &[usize]) -> Result<&[usize], String> {
    match dims.len() {
        4 => Ok(dims),
        axes => Err(format!("planes have 4 axes, not {axes}")),
    }
}

/// Planes that go through a window, one after the other.
struct Work {
    flat: Flat,
    /// Items times channels.
    planes: usize,
    channels: usize,
    /// Elements of an input plane.
    from: usize,
    /// Elements of an output plane.
    to: usize,
    taps: usize,
}

impl Work {
    /// That of a node with as many items and channels as `dims` says, whose input and output planes
    /// have these extents.
    fn of(attributes: &Attributes, dims: &[usize], input: &[usize], output: &[usize]) -> Self {
        let list = |name| attributes.pair(name);
        let (kernel, strides) = (list("kernel"), list("strides"));
        let (dilations, before) = (list("dilations"), list("before"));
        let flat = Flat::new(pair(input), pair(output), kernel, strides, dilations, before);
        Self {
            planes: dims[0] * dims[1],
            channels: dims[1],
            from: flat.input.iter().product(),
            to: flat.output.iter().product(),
            taps: flat.offsets.len(),
            flat,
        }
    }
}

/// Planes that one piece of work takes.
fn planes_in_a_piece(planes: usize, length: usize) -> usize {
    (PIECE / length.max(1)).clamp(1, planes.max(1))
}

/// y = Σₜ wₜ · (x shifted by tap t).
fn forward(
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let (x, w) = (&inputs[0], inputs[1].floats());
    let Work { flat, planes, channels, from, to, taps } =
        Work::of(attributes, &x.dims, &x.dims[2..], &attributes.extents("output"));
    let many = planes_in_a_piece(planes, to);
    let x = x.floats();
    let parts = Parts::new(outputs[0].floats(), many * to);
    threads.each(parts.len(), &|index| {
        let y = &mut *parts.take(index);
        let x = &x[index * many * from..];
        let mut buffer = vec![0.0; flat.length()];
        let mut run = vec![0.0; flat.positions() + SLACK];
        wide(
            #[inline(always)]
            || {
                for (plane, (y, x)) in y.chunks_exact_mut(to).zip(x.chunks_exact(from)).enumerate()
                {
                    let channel = (index * many + plane) % channels;
                    let w = &w[channel * taps..][..taps];
                    flat.spread(x, &mut buffer);
                    if flat.is_dense() {
                        combine(w, &flat.offsets, &buffer, y);
                    } else {
                        combine(w, &flat.offsets, &buffer, &mut run[..flat.positions()]);
                        flat.collect_output(&run, y);
                    }
                }
            },
        );
    });
}

/// sum[i] = Σₜ wₜ · buffer[offsetₜ + i]
#[inline(always)]
fn combine(w: &[f32], offsets: &[usize], buffer: &[f32], sum: &mut [f32]) {
    const BLOCK: usize = 32;
    let length = sum.len();
    let mut blocks = sum.chunks_exact_mut(BLOCK);
    let mut start = 0;
    for block in &mut blocks {
        let mut lanes = [0.0_f32; BLOCK];
        for (&w, &offset) in w.iter().zip(offsets) {
            let run = &buffer[offset + start..][..BLOCK];
            for (lane, &value) in lanes.iter_mut().zip(run) {
                *lane = w.mul_add(value, *lane);
            }
        }
        block.copy_from_slice(&lanes);
        start += BLOCK;
    }
    let rest = blocks.into_remainder();
    if !rest.is_empty() {
        let mut lanes = [0.0_f32; BLOCK];
        let start = length - rest.len();
        for (&w, &offset) in w.iter().zip(offsets) {
            // Buffers are longer than runs by more than a block.
            let run = &buffer[offset + start..][..BLOCK];
            for (lane, &value) in lanes.iter_mut().zip(run) {
                *lane = w.mul_add(value, *lane);
            }
        }
        rest.copy_from_slice(&lanes[..rest.len()]);
    }
}

/// What dX needs: for each phase of the input its taps, which reach back from dy's margin.
struct Back {
    start: usize,
    length: usize,
    taps: Vec<usize>,
    offsets: Vec<usize>,
}

/// The layout of dy with a margin before it, and the phases of dX.
fn backwards(flat: &Flat) -> (usize, Vec<Back>) {
    let phases = flat.by_phase();
    let reach = phases.iter().flat_map(|phase| phase.taps.iter().map(|(_, offset)| *offset));
    let margin = reach.max().unwrap_or_default();
    let back = phases.into_iter().map(|phase| Back {
        start: phase.start,
        length: phase.length,
        taps: phase.taps.iter().map(|(tap, _)| *tap).collect(),
        offsets: phase.taps.iter().map(|(_, offset)| margin - offset).collect(),
    });
    (margin, back.collect())
}

/// Buffers of one piece of work.
struct Gradients {
    flat: Flat,
    margin: usize,
    back: Vec<Back>,
    /// dy after a margin, with zeros in free columns and behind.
    dy: Vec<f32>,
    plane: Vec<f32>,
}

impl Gradients {
    fn new(flat: &Flat) -> Self {
        let (margin, back) = backwards(flat);
        let phase = back.first().map_or(0, |phase| phase.length);
        let length = margin + phase.max(flat.positions()) + SLACK;
        let plane = vec![0.0; flat.length()];
        Self { flat: flat.clone(), margin, back, dy: vec![0.0; length], plane }
    }

    #[inline(always)]
    fn take(&mut self, dy: &[f32]) {
        self.flat.spread_output(dy, &mut self.dy[self.margin..]);
    }

    /// dX of the plane whose dy was taken.
    #[inline(always)]
    fn input(&mut self, w: &[f32], dx: &mut [f32]) {
        let mut own = [0.0; MOST_TAPS];
        for phase in &self.back {
            for (own, &tap) in own.iter_mut().zip(&phase.taps) {
                *own = w[tap];
            }
            let sum = &mut self.plane[phase.start..phase.start + phase.length];
            combine(&own[..phase.taps.len()], &phase.offsets, &self.dy, sum);
        }
        self.flat.collect(&self.plane, dx);
    }

    /// dW of the plane whose dy was taken. The plane of x must have been spread.
    #[inline(always)]
    fn weights(&self, x: &[f32], dw: &mut [f32]) {
        let dy = &self.dy[self.margin..][..self.flat.positions().next_multiple_of(LANES)];
        let offsets = &self.flat.offsets;
        let mut tap = 0;
        while tap < offsets.len() {
            match offsets.len() - tap {
                9.. => tap += products::<9>(dy, x, &offsets[tap..], &mut dw[tap..]),
                5..9 => tap += products::<5>(dy, x, &offsets[tap..], &mut dw[tap..]),
                3..5 => tap += products::<3>(dy, x, &offsets[tap..], &mut dw[tap..]),
                _ => tap += products::<1>(dy, x, &offsets[tap..], &mut dw[tap..]),
            }
        }
    }
}

/// Kernels with more taps are left to the standard operators.
pub const MOST_TAPS: usize = 128;

const LANES: usize = 8;

/// Σᵢ dy[i] · x[offset + i] for `N` taps at once.
#[inline(always)]
fn products<const N: usize>(dy: &[f32], x: &[f32], offsets: &[usize], dw: &mut [f32]) -> usize {
    let mut sums = [[0.0_f32; LANES]; N];
    let runs: [&[f32]; N] = std::array::from_fn(|tap| &x[offsets[tap]..][..dy.len()]);
    for (block, dy) in dy.chunks_exact(LANES).enumerate() {
        for (sum, run) in sums.iter_mut().zip(&runs) {
            let run = &run[block * LANES..][..LANES];
            for lane in 0..LANES {
                sum[lane] = dy[lane].mul_add(run[lane], sum[lane]);
            }
        }
    }
    for (dw, sum) in dw.iter_mut().zip(&sums) {
        *dw = sum.iter().sum();
    }
    N
}

fn input_gradient(
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let (dy, w) = (&inputs[0], inputs[1].floats());
    let Work { flat, planes, channels, from, to, taps } =
        Work::of(attributes, &dy.dims, &attributes.extents("input"), &dy.dims[2..]);
    let many = planes_in_a_piece(planes, from);
    let dy = dy.floats();
    let parts = Parts::new(outputs[0].floats(), many * from);
    threads.each(parts.len(), &|index| {
        let dx = &mut *parts.take(index);
        let dy = &dy[index * many * to..];
        let mut gradients = Gradients::new(&flat);
        wide(
            #[inline(always)]
            || {
                for (plane, (dx, dy)) in
                    dx.chunks_exact_mut(from).zip(dy.chunks_exact(to)).enumerate()
                {
                    let channel = (index * many + plane) % channels;
                    gradients.take(dy);
                    gradients.input(&w[channel * taps..][..taps], dx);
                }
            },
        );
    });
}

fn weight_gradient(
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let (dy, x) = (&inputs[0], &inputs[1]);
    let Work { flat, planes, channels, from, to, taps } =
        Work::of(attributes, &dy.dims, &x.dims[2..], &dy.dims[2..]);
    let many = planes_in_a_piece(planes, from);
    let (dy, x) = (dy.floats(), x.floats());
    let mut partial = vec![0.0; planes * taps];
    let parts = Parts::new(&mut partial, many * taps);
    threads.each(parts.len(), &|index| {
        let dw = &mut *parts.take(index);
        let (dy, x) = (&dy[index * many * to..], &x[index * many * from..]);
        let mut gradients = Gradients::new(&flat);
        let mut buffer = vec![0.0; flat.length()];
        wide(
            #[inline(always)]
            || {
                let planes = dy.chunks_exact(to).zip(x.chunks_exact(from));
                for (dw, (dy, x)) in dw.chunks_exact_mut(taps).zip(planes) {
                    gradients.take(dy);
                    flat.spread(x, &mut buffer);
                    gradients.weights(&buffer, dw);
                }
            },
        );
    });
    drop(parts);
    sum_over_items(&partial, channels * taps, outputs[0].floats());
}

fn both_gradients(
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let (dy, x, w) = (&inputs[0], &inputs[1], inputs[2].floats());
    let Work { flat, planes, channels, from, to, taps } =
        Work::of(attributes, &dy.dims, &x.dims[2..], &dy.dims[2..]);
    let many = planes_in_a_piece(planes, from);
    let (dy, x) = (dy.floats(), x.floats());
    let mut partial = vec![0.0; planes * taps];
    let [dx, dw] = outputs else { return };
    let inputs = Parts::new(dx.floats(), many * from);
    let weights = Parts::new(&mut partial, many * taps);
    threads.each(inputs.len(), &|index| {
        let (dx, dw) = (&mut *inputs.take(index), &mut *weights.take(index));
        let (dy, x) = (&dy[index * many * to..], &x[index * many * from..]);
        let mut gradients = Gradients::new(&flat);
        let mut buffer = vec![0.0; flat.length()];
        wide(
            #[inline(always)]
            || {
                let given = dy.chunks_exact(to).zip(x.chunks_exact(from));
                let made = dx.chunks_exact_mut(from).zip(dw.chunks_exact_mut(taps));
                for (plane, ((dy, x), (dx, dw))) in given.zip(made).enumerate() {
                    let channel = (index * many + plane) % channels;
                    gradients.take(dy);
                    gradients.input(&w[channel * taps..][..taps], dx);
                    flat.spread(x, &mut buffer);
                    gradients.weights(&buffer, dw);
                }
            },
        );
    });
    drop(weights);
    sum_over_items(&partial, channels * taps, dw.floats());
}

/// Rows of this length added up, the first first.
fn sum_over_items(partial: &[f32], length: usize, sum: &mut [f32]) {
    sum.fill(0.0);
    for row in partial.chunks_exact(length) {
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
}

#[cfg(test)]
mod tests;
