//! `ConvTranspose`: what the gradient of a convolution is. Its own dX is a convolution, its dW the
//! weight gradient of that convolution.

use crate::onnx::graph::Attribute;

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Dialect, Part, Tape, Var, signed};
use super::super::window::Window;
use super::Rule;
use super::conv::{bias_gradient, weight_gradient};
#[cfg(test)]
use super::suite::Case;

pub(super) const RULES: &[Rule] = &[Rule {
    op: "ConvTranspose",
    forward,
    backward,
    #[cfg(test)]
    cases,
}];

/// The operator with its pads spelled out; the embedded backend takes the bias apart, since it
/// knows only constant ones.
fn forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let window = window(site)?;
    let (x, w) = (site.input(0)?.clone(), site.input(1)?.clone());
    let (pads, left) = window.transposed();
    let settings = [
        ("kernel_shape", Attribute::Ints(signed(&window.kernel))),
        ("strides", Attribute::Ints(signed(&window.strides))),
        ("dilations", Attribute::Ints(signed(&window.dilations))),
        ("pads", Attribute::Ints(pads)),
        ("output_padding", Attribute::Ints(left)),
        ("group", Attribute::Int(groups(site) as i64)),
    ];
    let bias = site.inputs.get(2).cloned().flatten();
    let dims = site.output();
    let y = match (bias, tape.dialect()) {
        (None, _) => tape.op("ConvTranspose", &[&x, &w], &settings, dims),
        (Some(bias), Dialect::Library | Dialect::Kernels) => {
            tape.op("ConvTranspose", &[&x, &w, &bias], &settings, dims)
        }
        (Some(bias), Dialect::Embedded) => {
            let y = tape.op("ConvTranspose", &[&x, &w], &settings, dims);
            let mut channels = vec![1; dims.len()];
            channels[1] = dims[1];
            let bias = tape.reshape(&bias, &channels);
            tape.add(&y, &bias)
        }
    };
    Ok(Forward { outputs: vec![y], ..Forward::default() })
}

fn groups(site: &Site<'_>) -> usize {
    site.node.int("group").unwrap_or(1).max(1) as usize
}

fn backward(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let window = window(site)?;
    let (x, w) = (site.input(0)?.clone(), site.input(1)?.clone());
    let groups = groups(site);
    let dx = site.wants(0).then(|| input_gradient(&x, &w, dy, &window, groups, tape));
    let dw = site.wants(1).then(|| weight_gradient(dy, &w, &x, &window, groups, tape));
    let mut gradients = vec![dx, dw];
    if site.inputs.len() > 2 {
        gradients.push(site.wants(2).then(|| bias_gradient(dy, tape)));
    }
    Ok(gradients)
}

/// The convolution this is the transpose of, cut to the input where more was added after the output
/// than a stride.
fn input_gradient(
    x: &Var,
    w: &Var,
    dy: &Var,
    window: &Window,
    groups: usize,
    tape: &mut Tape,
) -> Var {
    let settings = [
        ("kernel_shape", Attribute::Ints(signed(&window.kernel))),
        ("strides", Attribute::Ints(signed(&window.strides))),
        ("dilations", Attribute::Ints(signed(&window.dilations))),
        ("pads", Attribute::Ints(signed(&[&window.before[..], &window.after[..]].concat()))),
        ("group", Attribute::Int(groups as i64)),
    ];
    let mut dims = x.dims()[..2].to_vec();
    for axis in 0..window.kernel.len() {
        let padded = window.input[axis] + window.before[axis] + window.after[axis];
        dims.push((padded - window.reach(axis)) / window.strides[axis] + 1);
    }
    let wide = tape.op("Conv", &[dy, w], &settings, &dims);
    let axes: Vec<usize> = (2..x.rank()).collect();
    let parts: Vec<Part> = axes.iter().map(|&axis| Part::run(0, x.dims()[axis])).collect();
    tape.slice(&wide, &axes, &parts)
}

/// The window of the convolution that this is the transpose of: from the output to the input.
fn window(site: &Site<'_>) -> Result<Window, Refusal> {
    let (x, w, y) = (site.input(0)?.dims(), site.input(1)?.dims(), site.output());
    if x.len() != w.len() || x.len() < 3 {
        return Err(site.refuse("its kernel and its input have different numbers of axes"));
    }
    let spatial = x.len() - 2;
    let list = |key, default| match site.node.ints(key) {
        Some(values) => values.iter().map(|&value| value.max(0) as usize).collect(),
        None => vec![default; spatial],
    };
    let mut window = Window {
        input: y[2..].to_vec(),
        output: x[2..].to_vec(),
        kernel: w[2..].to_vec(),
        strides: list("strides", 1),
        dilations: list("dilations", 1),
        before: vec![0; spatial],
        after: vec![0; spatial],
    };
    let mode = site.node.text("auto_pad").unwrap_or("NOTSET");
    if mode != "VALID" && (mode != "NOTSET" || site.node.ints("output_shape").is_some()) {
        for (axis, added) in list("output_padding", 0).into_iter().enumerate() {
            let total = window.full(axis) + added;
            let total = total.saturating_sub(window.input[axis]);
            let (small, large) = (total / 2, total - total / 2);
            (window.before[axis], window.after[axis]) =
                if mode == "SAME_UPPER" { (small, large) } else { (large, small) };
        }
    } else if let Some(pads) = site.node.ints("pads").filter(|_| mode == "NOTSET") {
        let negative = |_| site.refuse("negative padding has no gradient rule");
        let pads: Result<Vec<usize>, _> = pads.iter().map(|&pad| usize::try_from(pad)).collect();
        let pads = pads.map_err(negative)?;
        window.before = pads[..spatial].to_vec();
        window.after = pads[spatial..].to_vec();
    }
    Ok(window)
}

#[cfg(test)]
fn cases() -> Vec<Case> {
    let of = |x: &'static [usize], w: &'static [usize], more: fn(Case) -> Case| {
        Case::of("ConvTranspose", move |case| more(case.varied("x", x).varied("w", w)))
    };
    vec![
        of(&[2, 3, 4, 5], &[3, 2, 3, 3], |c| c),
        of(&[2, 3, 4, 5], &[3, 2, 3, 3], |c| c.varied("b", &[2])),
        of(&[2, 3, 4, 3], &[3, 2, 3, 3], |c| {
            c.with("strides", vec![2_i64, 2])
                .with("pads", vec![1_i64, 1, 1, 1])
                .with("output_padding", vec![1_i64, 1])
        }),
        of(&[1, 2, 4, 3], &[2, 2, 3, 2], |c| {
            c.with("strides", vec![2_i64, 1]).with("pads", vec![1_i64, 0, 0, 1])
        }),
        of(&[1, 2, 4, 4], &[2, 3, 2, 2], |c| c.with("strides", vec![2_i64, 2])),
        of(&[1, 2, 4, 4], &[2, 3, 3, 3], |c| c.with("dilations", vec![2_i64, 2])),
        of(&[2, 4, 3, 3], &[4, 3, 3, 3], |c| {
            c.with("group", 2_i64).with("strides", vec![2_i64, 2])
        }),
        of(&[2, 4, 3, 3], &[4, 1, 3, 3], |c| c.with("group", 4_i64).varied("b", &[4])),
        of(&[1, 2, 3, 3], &[2, 2, 3, 3], |c| {
            c.with("strides", vec![2_i64, 2]).with("auto_pad", "SAME_UPPER")
        }),
        of(&[1, 2, 3, 3], &[2, 2, 2, 2], |c| {
            c.with("strides", vec![3_i64, 3]).with("auto_pad", "VALID")
        }),
        of(&[1, 2, 3, 3], &[2, 2, 3, 3], |c| {
            c.with("strides", vec![2_i64, 2]).with("auto_pad", "SAME_LOWER")
        }),
        of(&[1, 2, 3, 3], &[2, 2, 3, 3], |c| {
            c.with("strides", vec![3_i64, 2])
                .with("output_shape", vec![8_i64, 6])
                .library_only("`output_shape` is not read there")
        }),
        of(&[2, 3, 5], &[3, 2, 3], |c| c.with("strides", vec![2_i64])),
        of(&[1, 2, 2, 3, 2], &[2, 2, 2, 2, 2], |c| c.with("strides", vec![1_i64, 2, 1])),
    ]
}
