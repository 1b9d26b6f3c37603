//! Batch normalisation, with the activation that follows it if there is one.
//!
//! A channel's planes are worked on together: what the statistics were taken from is still near when
//! it is normalised. Statistics are merged plane by plane in double precision (Chan et al. 1983).

use super::activation::{self, open};
use super::parts::Parts;
use super::wide::wide;
use super::{Attributes, Input, Kernel, Kind, Output, Threads};

/// `cuts` is 1 if an activation between 0 and `high` follows, else 0.
const NUMBERS: &[&str] = &["epsilon", "cuts", "high"];
const F32: Kind = Kind::F32;

pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "BatchNormalise",
        inputs: &[F32, F32, F32],
        repeats: false,
        outputs: &[F32, F32, F32],
        lists: &[],
        numbers: NUMBERS,
        shapes: |_, inputs| {
            let channels = per_channel(inputs)?;
            Ok(vec![inputs[0].clone(), channels.clone(), channels])
        },
        compute: normalise_batch,
    },
    Kernel {
        name: "Normalise",
        inputs: &[F32, F32, F32, F32, F32],
        repeats: false,
        outputs: &[F32],
        lists: &[],
        numbers: NUMBERS,
        shapes: |_, inputs| {
            per_channel(inputs)?;
            Ok(vec![inputs[0].clone()])
        },
        compute: normalise,
    },
    Kernel {
        name: "BatchNormaliseGradients",
        inputs: &[F32, F32, F32, F32, F32, F32],
        repeats: false,
        outputs: &[F32, F32, F32],
        lists: &[],
        numbers: NUMBERS,
        shapes: gradient_shapes,
        compute: |attributes, inputs, outputs, threads| {
            gradients(true, attributes, inputs, outputs, threads);
        },
    },
    Kernel {
        name: "NormaliseGradients",
        inputs: &[F32, F32, F32, F32, F32, F32],
        repeats: false,
        outputs: &[F32, F32, F32],
        lists: &[],
        numbers: NUMBERS,
        shapes: gradient_shapes,
        compute: |attributes, inputs, outputs, threads| {
            gradients(false, attributes, inputs, outputs, threads);
        },
    },
];

/// Elements in a piece of work.
const PIECE: usize = 1 << 16;
const LANES: usize = 16;

/// The shape of what there is one value of for each channel; all inputs after the first have it.
fn per_channel(inputs: &[Vec<usize>]) -> Result<Vec<usize>, String> {
    match inputs[0].get(1) {
        Some(&channels) if inputs[1..].iter().all(|dims| *dims == [channels]) => Ok(vec![channels]),
        _ => Err("there must be one value for each channel".to_owned()),
    }
}

/// dy and x, then values per channel.
fn gradient_shapes(_: &Attributes, inputs: &[Vec<usize>]) -> Result<Vec<Vec<usize>>, String> {
    if inputs[0] != inputs[1] {
        return Err("dy and x differ in shape".to_owned());
    }
    let channels = per_channel(&inputs[1..])?;
    Ok(vec![inputs[1].clone(), channels.clone(), channels])
}

/// Items × channels × positions, and how channels are shared out.
#[derive(Clone, Copy)]
struct Layout {
    items: usize,
    channels: usize,
    plane: usize,
    /// Channels in a piece of work.
    group: usize,
    /// Pieces of work.
    groups: usize,
}

impl Layout {
    fn of(dims: &[usize]) -> Self {
        let (items, channels) = (dims[0], dims[1]);
        let plane: usize = dims[2..].iter().product();
        let group = (PIECE / (items * plane).max(1)).clamp(1, channels.max(1));
        Self { items, channels, plane, group, groups: channels.div_ceil(group) }
    }

    /// Pieces of an output: of each item the channels of each group.
    fn parts<'a>(&self, whole: &'a mut [f32]) -> Parts<'a, f32> {
        Parts::of_rows(whole, self.channels * self.plane, self.group * self.plane)
    }

    /// Channels of a group.
    fn of_group(&self, group: usize) -> std::ops::Range<usize> {
        group * self.group..((group + 1) * self.group).min(self.channels)
    }

    /// Where the plane of a channel of an item lies.
    fn at(&self, item: usize, channel: usize) -> std::ops::Range<usize> {
        let start = (item * self.channels + channel) * self.plane;
        start..start + self.plane
    }

    /// Where a channel lies within the piece of its group.
    fn within(&self, channel: usize) -> std::ops::Range<usize> {
        let start = channel % self.group * self.plane;
        start..start + self.plane
    }
}

/// The activation that follows.
#[derive(Clone, Copy)]
struct Cut {
    cuts: bool,
    high: f32,
}

impl Cut {
    fn of(attributes: &Attributes) -> Self {
        Self { cuts: attributes.number("cuts") > 0.0, high: attributes.number("high") }
    }
}

/// y = act((x − μ) · a + β).
#[derive(Clone, Copy)]
struct Line {
    mean: f32,
    factor: f32,
    bias: f32,
}

impl Line {
    fn of(mean: f32, variance: f32, epsilon: f32, scale: f32, bias: f32) -> Self {
        Self { mean, factor: scale / (variance + epsilon).sqrt(), bias }
    }

    #[inline(always)]
    fn at(self, x: f32) -> f32 {
        (x - self.mean).mul_add(self.factor, self.bias)
    }

    #[inline(always)]
    fn apply(self, cut: Cut, x: &[f32], y: &mut [f32]) {
        let both = y.iter_mut().zip(x);
        if cut.cuts {
            both.for_each(|(y, &x)| *y = activation::cut(self.at(x), cut.high));
        } else {
            both.for_each(|(y, &x)| *y = self.at(x));
        }
    }
}

/// Mean and sum of squared deviations, plane by plane.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    deviations: f64,
}

impl Moments {
    /// Takes a plane in, summed about the mean so far.
    #[inline(always)]
    fn take(&mut self, x: &[f32]) {
        let pivot =
            if self.count > 0.0 { self.mean as f32 } else { x.first().copied().unwrap_or(0.0) };
        let mut sums = [0.0_f32; LANES];
        let mut squares = [0.0_f32; LANES];
        let blocks = x.chunks_exact(LANES);
        let rest = blocks.remainder();
        for block in blocks {
            for lane in 0..LANES {
                let off = block[lane] - pivot;
                sums[lane] += off;
                squares[lane] = off.mul_add(off, squares[lane]);
            }
        }
        for (lane, value) in rest.iter().enumerate() {
            let off = value - pivot;
            sums[lane] += off;
            squares[lane] = off.mul_add(off, squares[lane]);
        }
        let count = x.len() as f64;
        let sum: f64 = sums.iter().map(|&v| f64::from(v)).sum();
        let square: f64 = squares.iter().map(|&v| f64::from(v)).sum();
        let deviations = (square - sum * sum / count).max(0.0);
        let apart = f64::from(pivot) + sum / count - self.mean;
        let all = self.count + count;
        self.deviations += deviations + apart * apart * self.count * count / all;
        self.mean += apart * count / all;
        self.count = all;
    }
}

/// Statistics of the batch (population variance), and what they normalise to.
fn normalise_batch(
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let layout = Layout::of(&inputs[0].dims);
    let (epsilon, cut) = (attributes.number("epsilon"), Cut::of(attributes));
    let (x, scale, bias) = (inputs[0].floats(), inputs[1].floats(), inputs[2].floats());
    let [y, mean, variance] = outputs else { return };
    let y = layout.parts(y.floats());
    let means = Parts::new(mean.floats(), layout.group);
    let variances = Parts::new(variance.floats(), layout.group);
    threads.each(layout.groups, &|group| {
        let (means, variances) = (&mut *means.take(group), &mut *variances.take(group));
        let mut pieces: Vec<_> =
            (0..layout.items).map(|item| y.take(item * layout.groups + group)).collect();
        wide(
            #[inline(always)]
            || {
                let own = means.iter_mut().zip(variances.iter_mut());
                for (channel, (mean, variance)) in layout.of_group(group).zip(own) {
                    let mut moments = Moments::default();
                    for item in 0..layout.items {
                        moments.take(&x[layout.at(item, channel)]);
                    }
                    *mean = moments.mean as f32;
                    *variance = (moments.deviations / moments.count) as f32;
                    let line = Line::of(*mean, *variance, epsilon, scale[channel], bias[channel]);
                    for (item, piece) in pieces.iter_mut().enumerate() {
                        let y = &mut piece[layout.within(channel)];
                        line.apply(cut, &x[layout.at(item, channel)], y);
                    }
                }
            },
        );
    });
}

/// The same with given statistics.
fn normalise(
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let layout = Layout::of(&inputs[0].dims);
    let (epsilon, cut) = (attributes.number("epsilon"), Cut::of(attributes));
    let [x, scale, bias, mean, variance] = [0, 1, 2, 3, 4].map(|index| inputs[index].floats());
    let y = layout.parts(outputs[0].floats());
    threads.each(y.len(), &|index| {
        let (item, group) = (index / layout.groups, index % layout.groups);
        let piece = &mut *y.take(index);
        wide(
            #[inline(always)]
            || {
                for channel in layout.of_group(group) {
                    let c = channel;
                    let line = Line::of(mean[c], variance[c], epsilon, scale[c], bias[c]);
                    let y = &mut piece[layout.within(channel)];
                    line.apply(cut, &x[layout.at(item, channel)], y);
                }
            },
        );
    });
}

/// Inputs dy, x, γ, β, μ, σ². With g = dy where the activation is open: dβ = Σ g,
/// dγ = Σ g (x − μ) / s, dx = a g, less a (mean g + (x − μ) / s² · mean g (x − μ)) with the batch's
/// own statistics; a = γ / s, s = √(σ² + ε) (Ioffe & Szegedy 2015).
fn gradients(
    of_batch: bool,
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let layout = Layout::of(&inputs[0].dims);
    let (epsilon, cut) = (attributes.number("epsilon"), Cut::of(attributes));
    let [dy, x, scale, bias, mean, variance] =
        [0, 1, 2, 3, 4, 5].map(|index| inputs[index].floats());
    let [dx, dscale, dbias] = outputs else { return };
    let dx = layout.parts(dx.floats());
    let dscales = Parts::new(dscale.floats(), layout.group);
    let dbiases = Parts::new(dbias.floats(), layout.group);
    let count = (layout.items * layout.plane) as f64;
    threads.each(layout.groups, &|group| {
        let (dscales, dbiases) = (&mut *dscales.take(group), &mut *dbiases.take(group));
        let mut pieces: Vec<_> =
            (0..layout.items).map(|item| dx.take(item * layout.groups + group)).collect();
        wide(
            #[inline(always)]
            || {
                let own = dscales.iter_mut().zip(dbiases.iter_mut());
                for (channel, (dscale, dbias)) in layout.of_group(group).zip(own) {
                    let c = channel;
                    let line = Line::of(mean[c], variance[c], epsilon, scale[c], bias[c]);
                    let (mut sum, mut along) = (0.0, 0.0);
                    for item in 0..layout.items {
                        let at = layout.at(item, channel);
                        let (s, a) = sums(line, cut, &dy[at.clone()], &x[at]);
                        sum += s;
                        along += a;
                    }
                    let square = f64::from(variance[c] + epsilon);
                    *dbias = sum as f32;
                    *dscale = (along / square.sqrt()) as f32;
                    let (shift, slope) = match of_batch {
                        true => ((sum / count) as f32, (along / (count * square)) as f32),
                        false => (0.0, 0.0),
                    };
                    for (item, piece) in pieces.iter_mut().enumerate() {
                        let at = layout.at(item, channel);
                        let dx = &mut piece[layout.within(channel)];
                        spread(line, cut, [shift, slope], &dy[at.clone()], &x[at], dx);
                    }
                }
            },
        );
    });
}

/// Σ g and Σ g (x − μ).
#[inline(always)]
fn sums(line: Line, cut: Cut, dy: &[f32], x: &[f32]) -> (f64, f64) {
    let mut plain = [0.0_f32; LANES];
    let mut along = [0.0_f32; LANES];
    let (dys, xs) = (dy.chunks_exact(LANES), x.chunks_exact(LANES));
    let rest = dys.remainder().iter().zip(xs.remainder());
    for (dy, x) in dys.zip(xs) {
        for lane in 0..LANES {
            let g = line.passed(cut, dy[lane], x[lane]);
            plain[lane] += g;
            along[lane] = g.mul_add(x[lane] - line.mean, along[lane]);
        }
    }
    for (lane, (&dy, &x)) in rest.enumerate() {
        let g = line.passed(cut, dy, x);
        plain[lane] += g;
        along[lane] = g.mul_add(x - line.mean, along[lane]);
    }
    let total = |lanes: [f32; LANES]| lanes.iter().map(|&lane| f64::from(lane)).sum();
    (total(plain), total(along))
}

/// dx = a (g − shift − (x − μ) · slope)
#[inline(always)]
fn spread(line: Line, cut: Cut, [shift, slope]: [f32; 2], dy: &[f32], x: &[f32], dx: &mut [f32]) {
    for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(x) {
        let g = line.passed(cut, dy, x) - shift;
        *dx = line.factor * (x - line.mean).mul_add(-slope, g);
    }
}

impl Line {
    /// The gradient that passes the activation.
    #[inline(always)]
    fn passed(self, cut: Cut, dy: f32, x: f32) -> f32 {
        if !cut.cuts || open(self.at(x), cut.high) { dy } else { 0.0 }
    }
}

#[cfg(test)]
mod tests;
