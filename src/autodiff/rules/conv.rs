//! Convolution over any number of spatial axes, with groups, strides, pads and dilations.
//!
//! dX is a transposed convolution (a convolution with flipped weights is as fast at best where the
//! stride is 1). dW is a sum over output positions: for each tap one matrix product with the
//! shifted input. The library does that fastest with channels last, one product a tap; the embedded
//! backend with channels first and all taps in one product while they stay small. Depthwise, dW is
//! products and sums. On the library, kernels of our own take the place of most of it (`dense`,
//! `depthwise`).

use crate::onnx::graph::Attribute;

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Dialect, Part, Tape, Var, signed};
use super::super::window::Window;
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is, dense, depthwise};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "Conv",
    forward,
    backward,
    #[cfg(test)]
    cases,
}];

fn forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    if let Some(window) = depthwise::window(site, tape)? {
        return depthwise::forward(site, &window, tape);
    }
    match dense::forward(site, tape)? {
        Some(forward) => Ok(forward),
        None => as_it_is(site, tape),
    }
}

fn backward(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    if let Some(window) = depthwise::window(site, tape)? {
        let mut gradients = depthwise::backward(site, &window, dy, tape)?;
        if site.inputs.len() > 2 {
            gradients.push(site.wants(2).then(|| bias_gradient(dy, tape)));
        }
        return Ok(gradients);
    }
    let (x, w) = (site.input(0)?.clone(), site.input(1)?.clone());
    let window = Window::of(site, &w.dims()[2..])?;
    let groups = site.node.int("group").unwrap_or(1).max(1) as usize;
    let dx = site.wants(0).then(|| input_gradient(&x, &w, dy, &window, groups, tape));
    let dw = site.wants(1).then(|| weight_gradient(&x, &w, dy, &window, groups, tape));
    let mut gradients = vec![dx, dw];
    if site.inputs.len() > 2 {
        gradients.push(site.wants(2).then(|| bias_gradient(dy, tape)));
    }
    Ok(gradients)
}

/// db = Σ dy over items and positions.
fn bias_gradient(dy: &Var, tape: &mut Tape) -> Var {
    if tape.dialect() == Dialect::Kernels {
        return tape.kernel("ChannelSum", &[dy], &[], &[&[dy.dims()[1]]]).remove(0);
    }
    let axes: Vec<usize> = (0..dy.rank()).filter(|&axis| axis != 1).collect();
    let sum = tape.reduce_sum(dy, &axes);
    tape.reshape(&sum, &[dy.dims()[1]])
}

/// dX: the transposed convolution with the same weights.
fn input_gradient(
    x: &Var,
    w: &Var,
    dy: &Var,
    window: &Window,
    groups: usize,
    tape: &mut Tape,
) -> Var {
    if let Some(dx) = dense::input_gradient(x, w, dy, window, groups, tape) {
        return dx;
    }
    let spatial = window.kernel.len();
    let left: Vec<i64> = (0..spatial).map(|axis| window.left_over(axis)).collect();
    let settings = [
        ("kernel_shape", Attribute::Ints(signed(&window.kernel))),
        ("strides", Attribute::Ints(signed(&window.strides))),
        ("dilations", Attribute::Ints(signed(&window.dilations))),
        ("pads", Attribute::Ints(signed(&[&window.before[..], &window.after[..]].concat()))),
        ("output_padding", Attribute::Ints(left)),
        ("group", Attribute::Int(groups as i64)),
    ];
    tape.op("ConvTranspose", &[dy, w], &settings, x.dims())
}

fn weight_gradient(
    x: &Var,
    w: &Var,
    dy: &Var,
    window: &Window,
    groups: usize,
    tape: &mut Tape,
) -> Var {
    if let Some(dw) = dense::weight_gradient(x, w, dy, window, groups, tape) {
        return dw;
    }
    let padded = {
        let around = |pads: &[usize]| [&[0, 0], pads].concat();
        tape.pad(x, &around(&window.before), &around(&window.after))
    };
    if groups == 1 {
        dense_weights(&padded, w, dy, window, tape)
    } else if w.dims()[1] == 1 && w.dims()[0] == groups {
        depthwise_weights(&padded, w, dy, window, tape)
    } else {
        grouped_weights(&padded, w, dy, window, groups, tape)
    }
}

/// The padded input as one tap meets it, on spatial axes that begin at `first`.
fn shifted(padded: &Var, tap: &[usize], window: &Window, first: usize, tape: &mut Tape) -> Var {
    let axes: Vec<usize> = (first..first + tap.len()).collect();
    let parts: Vec<Part> = (0..tap.len())
        .map(|axis| Part {
            first: tap[axis] * window.dilations[axis],
            count: window.output[axis],
            step: window.strides[axis] as i64,
        })
        .collect();
    tape.slice(padded, &axes, &parts)
}

/// Values of all taps put together up to which one product is taken; 32 MB of floats.
const SIDE_BY_SIDE: usize = 8 << 20;

/// One group: for each tap a product of M × rows with rows × C, rows = items × positions.
fn dense_weights(padded: &Var, w: &Var, dy: &Var, window: &Window, tape: &mut Tape) -> Var {
    let (outputs, inputs) = (w.dims()[0], w.dims()[1]);
    let rows = dy.dims()[0] * window.positions();
    let dy = channels_first(dy, tape);
    let dy = tape.reshape(&dy, &[outputs, rows]);
    let products: Vec<Var> = match tape.dialect() {
        Dialect::Library | Dialect::Kernels => {
            let last = channels_last(padded, tape);
            let product = |tap: &Vec<usize>| {
                let piece = shifted(&last, tap, window, 1, tape);
                let piece = tape.reshape(&piece, &[rows, inputs]);
                tape.matmul(&dy, &piece)
            };
            window.each_tap().iter().map(product).collect()
        }
        Dialect::Embedded => {
            let first = channels_first(padded, tape);
            let pieces: Vec<Var> = window
                .each_tap()
                .iter()
                .map(|tap| {
                    let piece = shifted(&first, tap, window, 2, tape);
                    tape.reshape(&piece, &[inputs, rows])
                })
                .collect();
            let turned_product = |piece: &Var, tape: &mut Tape| {
                let turned = [("transB", Attribute::Int(1))];
                tape.op("Gemm", &[&dy, piece], &turned, &[outputs, piece.dims()[0]])
            };
            if rows * inputs * pieces.len() <= SIDE_BY_SIDE {
                let all = tape.concat(&pieces.iter().collect::<Vec<_>>(), 0);
                vec![turned_product(&all, tape)]
            } else {
                pieces.iter().map(|piece| turned_product(piece, tape)).collect()
            }
        }
    };
    let by_tap = tape.concat(&products.iter().collect::<Vec<_>>(), 1);
    let by_tap = tape.reshape(&by_tap, &[outputs, window.taps(), inputs]);
    let by_channel = tape.transpose(&by_tap, &[0, 2, 1]);
    tape.reshape(&by_channel, w.dims())
}

fn channels_first(x: &Var, tape: &mut Tape) -> Var {
    let order: Vec<usize> = [1, 0].into_iter().chain(2..x.rank()).collect();
    tape.transpose(x, &order)
}

fn channels_last(x: &Var, tape: &mut Tape) -> Var {
    let order: Vec<usize> = std::iter::once(0).chain(2..x.rank()).chain([1]).collect();
    tape.transpose(x, &order)
}

/// One channel a group: products and sums, no matrices.
fn depthwise_weights(padded: &Var, w: &Var, dy: &Var, window: &Window, tape: &mut Tape) -> Var {
    let channels = w.dims()[0];
    let axes: Vec<usize> = (0..dy.rank()).filter(|&axis| axis != 1).collect();
    let taps: Vec<Var> = window
        .each_tap()
        .iter()
        .map(|tap| {
            let piece = shifted(padded, tap, window, 2, tape);
            let product = tape.mul(&piece, dy);
            let sum = tape.reduce_sum(&product, &axes);
            tape.reshape(&sum, &[channels, 1])
        })
        .collect();
    let joined = tape.concat(&taps.iter().collect::<Vec<_>>(), 1);
    tape.reshape(&joined, w.dims())
}

/// Several channels a group: products by group.
fn grouped_weights(
    padded: &Var,
    w: &Var,
    dy: &Var,
    window: &Window,
    groups: usize,
    tape: &mut Tape,
) -> Var {
    let (outputs, per_group) = (w.dims()[0] / groups, w.dims()[1]);
    let (items, positions) = (dy.dims()[0], window.positions());
    let split = tape.reshape(dy, &[items, groups, outputs, positions]);
    let left = tape.transpose(&split, &[1, 2, 0, 3]);
    let left = tape.reshape(&left, &[groups, outputs, items * positions]);
    let taps: Vec<Var> = window
        .each_tap()
        .iter()
        .map(|tap| {
            let piece = shifted(padded, tap, window, 2, tape);
            let piece = tape.reshape(&piece, &[items, groups, per_group, positions]);
            let right = tape.transpose(&piece, &[1, 0, 3, 2]);
            let right = tape.reshape(&right, &[groups, items * positions, per_group]);
            let product = tape.matmul(&left, &right);
            tape.reshape(&product, &[groups * outputs, per_group, 1])
        })
        .collect();
    let joined = tape.concat(&taps.iter().collect::<Vec<_>>(), 2);
    tape.reshape(&joined, w.dims())
}

#[cfg(test)]
fn cases() -> Vec<Case> {
    let conv = |x: &'static [usize], w: &'static [usize]| {
        move |case: Case| case.varied("x", x).varied("w", w)
    };
    let square = |case: Case, key, value: i64| case.with(key, vec![value, value]);
    let image: &[usize] = &[2, 3, 6, 5];
    vec![
        Case::of("Conv", conv(image, &[4, 3, 3, 3])),
        Case::of("Conv", |c| conv(image, &[4, 3, 1, 1])(c).varied("b", &[4])),
        Case::of("Conv", |c| {
            conv(image, &[4, 3, 3, 3])(c).varied("b", &[4]).with("pads", vec![1_i64, 1, 1, 1])
        }),
        Case::of("Conv", |c| {
            let c = square(conv(image, &[4, 3, 3, 3])(c), "strides", 2);
            c.with("pads", vec![1_i64, 0, 0, 1])
        }),
        Case::of("Conv", |c| square(conv(image, &[4, 3, 2, 2])(c), "strides", 2)),
        Case::of("Conv", |c| square(conv(image, &[4, 3, 2, 2])(c), "dilations", 2)),
        Case::of("Conv", |c| {
            let c = square(conv(&[2, 3, 9, 8], &[2, 3, 3, 3])(c), "dilations", 2);
            square(c, "strides", 2).with("pads", vec![2_i64, 2, 2, 2])
        }),
        Case::of("Conv", |c| {
            conv(&[2, 4, 5, 5], &[6, 2, 3, 3])(c)
                .with("group", 2_i64)
                .with("pads", vec![1_i64, 1, 1, 1])
        }),
        Case::of("Conv", |c| {
            let c = conv(&[2, 4, 5, 5], &[4, 1, 3, 3])(c).varied("b", &[4]);
            square(c.with("group", 4_i64).with("pads", vec![1_i64, 1, 1, 1]), "strides", 2)
        }),
        Case::of("Conv", |c| {
            let c = square(conv(&[1, 2, 7, 7], &[3, 2, 3, 3])(c), "strides", 2);
            c.with("auto_pad", "SAME_UPPER")
        }),
        Case::of("Conv", |c| {
            let c = square(conv(&[1, 2, 6, 6], &[3, 2, 3, 3])(c), "strides", 2);
            c.with("auto_pad", "SAME_LOWER")
        }),
        Case::of("Conv", |c| {
            let c = conv(&[2, 3, 7, 6], &[3, 1, 3, 3])(c);
            c.with("group", 3_i64).with("pads", vec![1_i64, 1, 1, 1])
        }),
        Case::of("Conv", |c| {
            let c = square(conv(&[1, 2, 8, 9], &[2, 1, 3, 2])(c), "dilations", 2);
            c.with("group", 2_i64).with("pads", vec![2_i64, 1, 1, 0])
        }),
        // Channels enough for products at points.
        Case::of("Conv", |c| {
            conv(&[2, 8, 6, 7], &[9, 8, 3, 3])(c)
                .varied("b", &[9])
                .with("pads", vec![1_i64, 0, 1, 2])
        }),
        Case::of("Conv", |c| {
            conv(&[1, 9, 5, 9], &[8, 9, 3, 3])(c).with("pads", vec![1_i64, 1, 1, 1])
        }),
        // A pad wider than the kernel reaches.
        Case::of("Conv", |c| {
            conv(&[1, 2, 4, 4], &[3, 2, 2, 2])(c).with("pads", vec![2_i64, 2, 2, 2])
        }),
        Case::of("Conv", |c| conv(&[2, 3, 7], &[4, 3, 3])(c).with("strides", vec![2_i64])),
        Case::of("Conv", conv(&[1, 2, 3, 4, 3], &[2, 2, 2, 2, 2])),
    ]
}
