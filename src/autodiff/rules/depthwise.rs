//! Depthwise convolution by kernels of our own: the library has no fast ones for weights that are
//! inputs, nor for its gradients.

use crate::kernels::MOST_TAPS;
use crate::onnx::graph::Attribute;

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Dialect, Tape, Var, signed};
use super::super::window::Window;
use super::pool::planes;

/// The window, if our own kernels serve it: one channel a group, over planes.
pub(super) fn window(site: &Site<'_>, tape: &Tape) -> Result<Option<Window>, Refusal> {
    let (x, w) = (site.input(0)?, site.input(1)?);
    let groups = site.node.int("group").unwrap_or(1).max(1) as usize;
    let depthwise =
        w.rank() == 4 && w.dims()[1] == 1 && w.dims()[0] == groups && x.dims()[1] == groups;
    if tape.dialect() != Dialect::Kernels || !depthwise {
        return Ok(None);
    }
    let window = Window::of(site, &w.dims()[2..])?;
    Ok((window.taps() <= MOST_TAPS).then_some(window))
}

pub(super) fn forward(
    site: &Site<'_>,
    window: &Window,
    tape: &mut Tape,
) -> Result<Forward, Refusal> {
    let (x, w) = (site.input(0)?.clone(), site.input(1)?.clone());
    let extra = ("output", Attribute::Ints(signed(&window.output)));
    let mut y =
        tape.kernel("Depthwise", &[&x, &w], &planes(window, extra), &[site.output()]).remove(0);
    if let Some(Some(bias)) = site.inputs.get(2) {
        let bias = tape.reshape(bias, &[1, w.dims()[0], 1, 1]);
        y = tape.add(&y, &bias);
    }
    Ok(Forward { outputs: vec![y], ..Forward::default() })
}

/// Gradients of the input and of the weights, as far as they are wanted; in one pass if both are.
pub(super) fn backward(
    site: &Site<'_>,
    window: &Window,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let (x, w) = (site.input(0)?.clone(), site.input(1)?.clone());
    let extra = ("input", Attribute::Ints(signed(&window.input)));
    let settings = planes(window, extra);
    let own = &settings[..];
    let (dx, dw) = match (site.wants(0), site.wants(1)) {
        (true, true) => {
            let dims = [x.dims(), w.dims()];
            let mut made = tape.kernel("DepthwiseGradients", &[dy, &x, &w], own, &dims);
            let dw = made.pop();
            (made.pop(), dw)
        }
        (true, false) => {
            (tape.kernel("DepthwiseInputGradient", &[dy, &w], own, &[x.dims()]).pop(), None)
        }
        (false, true) => {
            (None, tape.kernel("DepthwiseWeightGradient", &[dy, &x], own, &[w.dims()]).pop())
        }
        (false, false) => (None, None),
    };
    Ok(vec![dx, dw])
}
