//! Max-pooling over planes that remembers which tap was highest: a gradient then knows where to go
//! without a search.

use super::flat::{Flat, SLACK};
use super::parts::Parts;
use super::wide::wide;
use super::{Attributes, Input, Kernel, Kind, Output, Threads};

pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "MaxPoolTaps",
        inputs: &[Kind::F32],
        repeats: false,
        outputs: &[Kind::F32, Kind::U8],
        lists: &["kernel", "strides", "dilations", "before", "output"],
        numbers: &[],
        shapes: |attributes, inputs| {
            let dims = resized(&inputs[0], &attributes.extents("output"))?;
            Ok(vec![dims.clone(), dims])
        },
        compute: forward,
    },
    Kernel {
        name: "MaxPoolGradient",
        inputs: &[Kind::F32, Kind::U8],
        repeats: false,
        outputs: &[Kind::F32],
        lists: &["kernel", "strides", "dilations", "before", "input"],
        numbers: &[],
        shapes: |attributes, inputs| {
            if inputs[0] != inputs[1] {
                return Err("gradients and taps differ in shape".to_owned());
            }
            Ok(vec![resized(&inputs[0], &attributes.extents("input"))?])
        },
        compute: gradient,
    },
];

/// Elements in a piece of work.
const PIECE: usize = 1 << 15;

fn resized(dims: &[usize], plane: &[usize]) -> Result<Vec<usize>, String> {
    match (dims.len(), plane.len()) {
        (4, 2) => Ok([&dims[..2], plane].concat()),
        (axes, _) => Err(format!("planes have 4 axes, not {axes}")),
    }
}

fn layout(attributes: &Attributes, input: &[usize], output: &[usize]) -> Flat {
    let pair = |values: &[usize]| [values[0], values[1]];
    let list = |name| pair(&attributes.extents(name));
    let (kernel, strides) = (list("kernel"), list("strides"));
    Flat::new(pair(input), pair(output), kernel, strides, list("dilations"), list("before"))
}

/// The highest value of each window, and the first tap that has it.
fn forward(
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let x = &inputs[0];
    let flat = layout(attributes, &x.dims[2..], &attributes.extents("output"));
    let (from, to): (usize, usize) = (flat.input.iter().product(), flat.output.iter().product());
    let many = (PIECE / from.max(1)).max(1);
    let x = x.floats();
    let [y, taps] = outputs else { return };
    let (ys, taps) = (Parts::new(y.floats(), many * to), Parts::new(taps.bytes(), many * to));
    threads.each(ys.len(), &|index| {
        let (y, tap) = (&mut *ys.take(index), &mut *taps.take(index));
        let x = &x[index * many * from..];
        let mut buffer = vec![f32::NEG_INFINITY; flat.length()];
        let positions = flat.positions().next_multiple_of(BLOCK);
        let (mut best, mut place) = (vec![0.0; positions + SLACK], vec![0_u8; positions + SLACK]);
        wide(
            #[inline(always)]
            || {
                let made = y.chunks_exact_mut(to).zip(tap.chunks_exact_mut(to));
                for (x, (y, tap)) in x.chunks_exact(from).zip(made) {
                    flat.spread(x, &mut buffer);
                    highest(&flat.offsets, &buffer, &mut best[..positions], &mut place);
                    flat.collect_output(&best, y);
                    flat.collect_output(&place, tap);
                }
            },
        );
    });
}

const BLOCK: usize = 32;

#[inline(always)]
fn highest(offsets: &[usize], buffer: &[f32], best: &mut [f32], place: &mut [u8]) {
    let blocks = best.chunks_exact_mut(BLOCK).zip(place.chunks_exact_mut(BLOCK));
    for (block, (best, place)) in blocks.enumerate() {
        let mut most = [f32::NEG_INFINITY; BLOCK];
        let mut which = [0.0_f32; BLOCK];
        for (tap, &offset) in offsets.iter().enumerate() {
            let tap = tap as f32;
            let values = &buffer[offset + block * BLOCK..][..BLOCK];
            for lane in 0..BLOCK {
                let higher = values[lane] > most[lane];
                most[lane] = if higher { values[lane] } else { most[lane] };
                which[lane] = if higher { tap } else { which[lane] };
            }
        }
        best.copy_from_slice(&most);
        place.iter_mut().zip(&which).for_each(|(place, &tap)| *place = tap as i32 as u8);
    }
}

/// Each gradient goes to the tap that was highest; those that meet are added up.
fn gradient(
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let (dy, taps) = (&inputs[0], inputs[1].bytes());
    let flat = layout(attributes, &attributes.extents("input"), &dy.dims[2..]);
    let (from, to): (usize, usize) = (flat.input.iter().product(), flat.output.iter().product());
    let many = (PIECE / from.max(1)).max(1);
    let dy = dy.floats();
    let parts = Parts::new(outputs[0].floats(), many * from);
    threads.each(parts.len(), &|index| {
        let dx = &mut *parts.take(index);
        let start = index * many * to;
        let mut buffer = vec![0.0; flat.length()];
        let given = dy[start..].chunks_exact(to).zip(taps[start..].chunks_exact(to));
        for (dx, (dy, taps)) in dx.chunks_exact_mut(from).zip(given) {
            buffer.fill(0.0);
            flat.each_output(|position, output| {
                buffer[flat.offsets[usize::from(taps[output])] + position] += dy[output];
            });
            flat.collect(&buffer, dx);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::testing::{draw, run};

    /// The highest value of a window, the tap that has it and where that is.
    fn search(
        plane: &[f32],
        [rows, columns]: [usize; 2],
        [row, column]: [usize; 2],
        [kernel, stride, pad]: [usize; 3],
    ) -> (f32, usize, usize) {
        let mut best = (f32::NEG_INFINITY, 0, 0);
        for tap in 0..kernel * kernel {
            let y = (row * stride + tap / kernel).checked_sub(pad).filter(|y| *y < rows);
            let x = (column * stride + tap % kernel).checked_sub(pad).filter(|x| *x < columns);
            let (Some(y), Some(x)) = (y, x) else { continue };
            let at = y * columns + x;
            if plane[at] > best.0 {
                best = (plane[at], tap, at);
            }
        }
        best
    }

    /// `ceil` is whether windows may reach beyond the padded plane.
    fn check(input: [usize; 2], window: [usize; 3], ceil: bool) {
        let [kernel, stride, pad] = window;
        let output = input.map(|extent| {
            let free = extent + 2 * pad - kernel;
            1 + if ceil { free.div_ceil(stride) } else { free / stride }
        });
        let (planes, from, to) = (6, input[0] * input[1], output[0] * output[1]);
        let (x, dy) = (draw(1, planes * from), draw(2, planes * to));
        let (mut y, mut taps, mut dx) = (vec![], vec![], vec![0.0; x.len()]);
        for plane in 0..planes {
            for row in 0..output[0] {
                for column in 0..output[1] {
                    let values = &x[plane * from..][..from];
                    let (most, tap, at) = search(values, input, [row, column], window);
                    dx[plane * from + at] += dy[y.len()];
                    y.push(most);
                    taps.push(tap as f32);
                }
            }
        }
        let pair = |value: usize| [value as i64; 2];
        let (kernel, stride, pad) = (pair(kernel), pair(stride), pair(pad));
        let (wide, narrow) = (output.map(|n| n as i64), input.map(|n| n as i64));
        let lists: [(&'static str, &[i64]); 6] = [
            ("kernel", &kernel),
            ("strides", &stride),
            ("dilations", &[1, 1]),
            ("before", &pad),
            ("output", &wide),
            ("input", &narrow),
        ];
        let x_dims = [2, 3, input[0], input[1]];
        let y_dims = [2, 3, output[0], output[1]];
        let made = run("MaxPoolTaps", &[], &lists, &[(&x_dims, &x)]);
        assert_eq!(made, [y, taps.clone()]);
        let made = run("MaxPoolGradient", &[], &lists, &[(&y_dims, &dy), (&y_dims, &taps)]);
        assert_eq!(made, [dx]);
    }

    #[test]
    fn maxima_their_taps_and_their_gradients_are_those_of_a_search() {
        check([12, 13], [3, 2, 1], false);
        check([11, 10], [2, 2, 0], false);
        check([9, 9], [3, 1, 1], false);
        check([12, 12], [3, 2, 0], true);
        check([112, 40], [3, 2, 1], false);
    }
}
