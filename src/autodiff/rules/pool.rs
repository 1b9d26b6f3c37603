//! Max- and average-pooling.

use crate::kernels::MOST_TAPS;
use crate::onnx::graph::Attribute;
use crate::onnx::tensor::{Tensor, elements};

use super::super::site::{Forward, Gradients, Mode, Refusal, Site};
use super::super::tape::{Dialect, Tape, Var, signed};
use super::super::window::Window;
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "MaxPool",
        forward: max_forward,
        backward: max_backward,
        #[cfg(test)]
        cases: max_cases,
    },
    Rule {
        op: "AveragePool",
        forward: as_it_is,
        backward: average_backward,
        #[cfg(test)]
        cases: average_cases,
    },
];

/// The pooling itself, with the place of each maximum kept.
fn max_forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    if site.node.int("storage_order").unwrap_or(0) != 0 {
        return Err(site.refuse("column-major indices have no gradient rule"));
    }
    if site.mode == Mode::Infer {
        return as_it_is(site, tape);
    }
    let x = site.input(0)?.clone();
    if tape.dialect() == Dialect::Kernels
        && let Some(window) = own_window(site)?
    {
        let extra = ("output", Attribute::Ints(signed(&window.output)));
        let dims = site.output();
        let mut made = tape.kernel("MaxPoolTaps", &[&x], &planes(&window, extra), &[dims, dims]);
        let taps = made.split_off(1);
        return Ok(Forward { outputs: made, saved: taps, ..Forward::default() });
    }
    let settings: Vec<(&str, Attribute)> =
        site.node.attributes.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    let dims = site.output();
    let made = tape.many("MaxPool", &[&x], &settings, &[dims, dims]);
    let places = made[1].clone();
    Ok(Forward { outputs: made, saved: vec![places], ..Forward::default() })
}

/// Each gradient goes to the place of its maximum; places that several windows share sum up.
fn max_backward(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let dims = site.input(0)?.dims().to_vec();
    if tape.dialect() == Dialect::Kernels
        && let Some(window) = own_window(site)?
    {
        let extra = ("input", Attribute::Ints(signed(&window.input)));
        let given = [dy, &forward.saved[0]];
        let made = tape.kernel("MaxPoolGradient", &given, &planes(&window, extra), &[&dims]);
        return Ok(made.into_iter().map(Some).collect());
    }
    let (all, taken) = (elements(&dims), elements(dy.dims()));
    let zeros = tape.constant(Tensor::f32(&[1], vec![0.0]));
    let zeros = tape.expand(&zeros, &[all]);
    let places = tape.reshape(&forward.saved[0], &[taken]);
    let values = tape.reshape(dy, &[taken]);
    let settings = [("axis", Attribute::Int(0)), ("reduction", "add".into())];
    let flat = tape.op("ScatterElements", &[&zeros, &places, &values], &settings, &[all]);
    Ok(vec![Some(tape.reshape(&flat, &dims))])
}

/// The window that the node says.
pub(super) fn window_of(site: &Site<'_>) -> Result<Window, Refusal> {
    let Some(kernel) = site.node.ints("kernel_shape") else {
        return Err(site.refuse("it has no kernel_shape"));
    };
    let kernel: Vec<usize> = kernel.iter().map(|&extent| extent as usize).collect();
    Window::of(site, &kernel)
}

/// The window, if our own kernel serves it.
fn own_window(site: &Site<'_>) -> Result<Option<Window>, Refusal> {
    let Some(kernel) = site.node.ints("kernel_shape") else { return Ok(None) };
    let kernel: Vec<usize> = kernel.iter().map(|&extent| extent as usize).collect();
    let window = Window::of(site, &kernel)?;
    Ok((kernel.len() == 2 && window.taps() <= MOST_TAPS).then_some(window))
}

/// A window over planes, as our own kernels have it.
pub(super) fn planes<'a>(
    window: &Window,
    extra: (&'a str, Attribute),
) -> [(&'a str, Attribute); 5] {
    let list = |values: &[usize]| Attribute::Ints(signed(values));
    [
        ("kernel", list(&window.kernel)),
        ("strides", list(&window.strides)),
        ("dilations", list(&window.dilations)),
        ("before", list(&window.before)),
        extra,
    ]
}

/// Each entry of a window gets an equal share of the window's gradient.
fn average_backward(
    site: &Site<'_>,
    _: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let window = window_of(site)?;
    let x = site.input(0)?.clone();
    if window.tiles() {
        let share = tape.scale(dy, 1.0 / window.taps() as f32);
        return Ok(vec![Some(repeat(&share, &window, x.dims(), tape))]);
    }
    let counts = counts(&window, site.node.int("count_include_pad").unwrap_or(0) != 0);
    let dims = [&[1, 1], &window.output[..]].concat();
    let shares = tape.constant(Tensor::f32(&dims, counts.iter().map(|n| 1.0 / n).collect()));
    let share = tape.mul(dy, &shares);
    Ok(vec![Some(spread(&share, &window, &x, tape))])
}

/// Each value repeated over its window, which meets its neighbours edge to edge.
fn repeat(share: &Var, window: &Window, dims: &[usize], tape: &mut Tape) -> Var {
    let mut narrow = dims[..2].to_vec();
    let mut wide = dims[..2].to_vec();
    for axis in 0..window.kernel.len() {
        narrow.extend([window.output[axis], 1]);
        wide.extend([window.output[axis], window.kernel[axis]]);
    }
    let narrow = tape.reshape(share, &narrow);
    let wide = tape.expand(&narrow, &wide);
    tape.reshape(&wide, dims)
}

/// A transposed depthwise convolution with ones: each share goes to its whole window.
pub(super) fn spread(share: &Var, window: &Window, x: &Var, tape: &mut Tape) -> Var {
    let channels = x.dims()[1];
    let dims = [&[channels, 1], &window.kernel[..]].concat();
    let ones = tape.constant(Tensor::f32(&dims, vec![1.0; elements(&dims)]));
    let (pads, left) = window.transposed();
    let settings = [
        ("kernel_shape", Attribute::Ints(signed(&window.kernel))),
        ("strides", Attribute::Ints(signed(&window.strides))),
        ("dilations", Attribute::Ints(signed(&window.dilations))),
        ("pads", Attribute::Ints(pads)),
        ("output_padding", Attribute::Ints(left)),
        ("group", Attribute::Int(channels as i64)),
    ];
    tape.op("ConvTranspose", &[share, &ones], &settings, x.dims())
}

/// How many entries each window averages over. What ceil mode reaches beyond the pads never counts.
fn counts(window: &Window, with_pads: bool) -> Vec<f32> {
    let spatial = window.kernel.len();
    let along = |axis: usize, position: usize| {
        let (before, after) = (window.before[axis], window.after[axis]);
        let counted = match with_pads {
            true => 0..before + window.input[axis] + after,
            false => before..before + window.input[axis],
        };
        let inside = |tap: &usize| {
            counted.contains(&(position * window.strides[axis] + tap * window.dilations[axis]))
        };
        (0..window.kernel[axis]).filter(inside).count() as f32
    };
    let mut counts = vec![1.0];
    for axis in 0..spatial {
        counts = counts
            .into_iter()
            .flat_map(|count: f32| {
                (0..window.output[axis])
                    .map(|position| count * along(axis, position))
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    counts
}

#[cfg(test)]
fn max_cases() -> Vec<Case> {
    let of = |x: &'static [usize], kernel: Vec<i64>, more: fn(Case) -> Case| {
        Case::of("MaxPool", |c| more(c.distinct("x", x).with("kernel_shape", kernel.clone())))
    };
    vec![
        of(&[2, 3, 6, 4], vec![2, 2], |c| c.with("strides", vec![2_i64, 2])),
        of(&[2, 2, 5, 5], vec![3, 3], |c| {
            c.with("strides", vec![2_i64, 2]).with("pads", vec![1_i64, 1, 1, 1])
        }),
        of(&[1, 2, 4, 4], vec![3, 3], |c| c),
        of(&[1, 2, 6, 5], vec![3, 2], |c| {
            c.with("strides", vec![2_i64, 1]).with("pads", vec![1_i64, 0, 0, 1])
        }),
        of(&[1, 2, 6, 6], vec![2, 2], |c| c.with("dilations", vec![2_i64, 2])),
        of(&[1, 2, 6, 7], vec![3, 3], |c| {
            c.with("strides", vec![2_i64, 2]).with("ceil_mode", 1_i64)
        }),
        of(&[1, 2, 5, 6], vec![3, 3], |c| {
            c.with("strides", vec![2_i64, 2]).with("auto_pad", "SAME_UPPER")
        }),
        of(&[1, 2, 5, 6], vec![2, 2], |c| {
            c.with("strides", vec![2_i64, 2]).with("auto_pad", "SAME_LOWER")
        }),
        of(&[2, 3, 7], vec![3], |c| c.with("strides", vec![2_i64])),
        of(&[1, 2, 4, 3, 4], vec![2, 2, 2], |c| c.with("strides", vec![2_i64, 1, 2])),
    ]
}

#[cfg(test)]
fn average_cases() -> Vec<Case> {
    let of = |x: &'static [usize], kernel: Vec<i64>, more: fn(Case) -> Case| {
        Case::of("AveragePool", |c| more(c.varied("x", x).with("kernel_shape", kernel.clone())))
    };
    let square = |x, kernel: i64, more| of(x, vec![kernel, kernel], more);
    vec![
        square(&[2, 3, 6, 4], 2, |c| c.with("strides", vec![2_i64, 2])),
        square(&[2, 2, 5, 5], 3, |c| {
            c.with("strides", vec![2_i64, 2]).with("pads", vec![1_i64, 1, 1, 1])
        }),
        square(&[1, 2, 5, 5], 3, |c| {
            c.with("strides", vec![2_i64, 2])
                .with("pads", vec![1_i64, 1, 1, 1])
                .with("count_include_pad", 1_i64)
        }),
        square(&[1, 2, 5, 6], 3, |c| c),
        square(&[1, 2, 5, 6], 2, |c| c.with("strides", vec![2_i64, 2])),
        square(&[1, 2, 5, 6], 2, |c| c.with("strides", vec![2_i64, 2]).with("ceil_mode", 1_i64)),
        square(&[1, 2, 6, 6], 3, |c| {
            c.with("strides", vec![2_i64, 2])
                .with("pads", vec![1_i64, 0, 0, 1])
                .with("ceil_mode", 1_i64)
                .with("count_include_pad", 1_i64)
        }),
        square(&[1, 2, 5, 5], 2, |c| {
            c.with("strides", vec![2_i64, 2]).with("auto_pad", "SAME_UPPER")
        }),
        square(&[1, 2, 5, 5], 2, |c| {
            c.with("strides", vec![2_i64, 2])
                .with("auto_pad", "SAME_LOWER")
                .with("count_include_pad", 1_i64)
        }),
        square(&[1, 2, 6, 6], 2, |c| c.with("dilations", vec![2_i64, 3]).opset(19)),
        of(&[2, 3, 7], vec![3], |c| c.with("strides", vec![2_i64])),
        of(&[1, 2, 4, 3, 4], vec![2, 2, 2], |c| {
            c.with("strides", vec![2_i64, 1, 2]).with("pads", vec![0_i64, 1, 0, 0, 1, 0])
        }),
    ]
}
