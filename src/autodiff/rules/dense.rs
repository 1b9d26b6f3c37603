//! Convolutions of one group over planes by kernels of our own. `docs/convolution.md` has the
//! measurements that the choices here follow.

use crate::kernels::convolution::Shape;
use crate::onnx::graph::Attribute;

use super::super::site::{Forward, Refusal, Site};
use super::super::tape::{Dialect, Tape, Var, signed};
use super::super::window::Window;
use super::pool::planes;

/// Whether our own kernels serve: one group, over planes.
fn serves(w: &Var, groups: usize, tape: &Tape) -> bool {
    tape.dialect() == Dialect::Kernels && groups == 1 && w.rank() == 4
}

fn shape(x: &Var, w: &Var, window: &Window) -> Shape {
    let pair = |values: &[usize]| [values[0], values[1]];
    Shape {
        items: x.dims()[0],
        inputs: w.dims()[1],
        outputs: w.dims()[0],
        size: pair(&window.input),
        kernel: pair(&window.kernel),
        strides: pair(&window.strides),
        dilations: pair(&window.dilations),
        before: pair(&window.before),
        result: pair(&window.output),
    }
}

/// The convolution itself, where products at points take a fraction of the multiplications.
/// Elsewhere the library's is as fast.
pub(super) fn forward(site: &Site<'_>, tape: &mut Tape) -> Result<Option<Forward>, Refusal> {
    let (x, w) = (site.input(0)?.clone(), site.input(1)?.clone());
    if !serves(&w, site.node.int("group").unwrap_or(1).max(1) as usize, tape) {
        return Ok(None);
    }
    let window = Window::of(site, &w.dims()[2..])?;
    if !shape(&x, &w, &window).is_winograd() {
        return Ok(None);
    }
    let settings = planes(&window, ("output", Attribute::Ints(signed(&window.output))));
    let dims = [site.output()];
    let mut made = match site.inputs.get(2) {
        Some(Some(bias)) => tape.kernel("ConvolutionWithBias", &[&x, &w, bias], &settings, &dims),
        _ => tape.kernel("Convolution", &[&x, &w], &settings, &dims),
    };
    Ok(made.pop().map(|y| Forward { outputs: vec![y], ..Forward::default() }))
}

/// The gradient of the input, if our own kernels serve.
pub(super) fn input_gradient(
    x: &Var,
    w: &Var,
    dy: &Var,
    window: &Window,
    groups: usize,
    tape: &mut Tape,
) -> Option<Var> {
    let settings = planes(window, ("input", Attribute::Ints(signed(&window.input))));
    serves(w, groups, tape)
        .then(|| tape.kernel("ConvolutionInputGradient", &[dy, w], &settings, &[x.dims()]).pop())?
}

/// The gradient of the weights, if our own kernels serve.
pub(super) fn weight_gradient(
    x: &Var,
    w: &Var,
    dy: &Var,
    window: &Window,
    groups: usize,
    tape: &mut Tape,
) -> Option<Var> {
    let settings = planes(window, ("input", Attribute::Ints(signed(&window.input))));
    serves(w, groups, tape)
        .then(|| tape.kernel("ConvolutionWeightGradient", &[dy, x], &settings, &[w.dims()]).pop())?
}
