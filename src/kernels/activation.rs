//! Gradients of activations that cut off: `ReLU` and Clip between 0 and a bound.

use super::parts::Parts;
use super::wide::wide;
use super::{Attributes, Input, Kernel, Kind, Output, Threads, same};

pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "CutGradient",
        inputs: &[Kind::F32, Kind::F32],
        repeats: false,
        outputs: &[Kind::F32],
        lists: &[],
        numbers: &["high"],
        shapes: same,
        compute: cut_gradient,
    },
    Kernel {
        name: "AddCut",
        inputs: &[Kind::F32, Kind::F32],
        repeats: false,
        outputs: &[Kind::F32],
        lists: &[],
        numbers: &["high"],
        shapes: same,
        compute: add_cut,
    },
];

/// Elements in a piece of work.
const PIECE: usize = 1 << 16;

/// dx = dy where 0 < y < `high`, else 0; from dy and y, the output of the activation. `high` is
/// infinite for a `ReLU`. The kinks are ours to choose; we choose 0.
fn cut_gradient(
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let high = attributes.number("high");
    let (dy, y) = (inputs[0].floats(), inputs[1].floats());
    let parts = Parts::new(outputs[0].floats(), PIECE);
    threads.each(parts.len(), &|index| {
        let dx = &mut *parts.take(index);
        let start = index * PIECE;
        let here = start..start + dx.len();
        let (dy, y) = (&dy[here.clone()], &y[here]);
        wide(
            #[inline(always)]
            || {
                for ((dx, &dy), &y) in dx.iter_mut().zip(dy).zip(y) {
                    *dx = if open(y, high) { dy } else { 0.0 };
                }
            },
        );
    });
}

/// y = a + b, cut off below 0 and above `high`: the end of a residual block.
fn add_cut(
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let high = attributes.number("high");
    let (a, b) = (inputs[0].floats(), inputs[1].floats());
    let parts = Parts::new(outputs[0].floats(), PIECE);
    threads.each(parts.len(), &|index| {
        let y = &mut *parts.take(index);
        let start = index * PIECE;
        let here = start..start + y.len();
        let (a, b) = (&a[here.clone()], &b[here]);
        wide(
            #[inline(always)]
            || {
                for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                    *y = cut(a + b, high);
                }
            },
        );
    });
}

/// x between 0 and `high`; what is no number stays none.
#[inline(always)]
pub(super) fn cut(x: f32, high: f32) -> f32 {
    let x = if x < 0.0 { 0.0 } else { x };
    if x > high { high } else { x }
}

/// Whether gradients pass an activation whose output is `y`.
#[inline(always)]
pub(super) fn open(y: f32, high: f32) -> bool {
    y > 0.0 && y < high
}

#[cfg(test)]
mod tests {
    use super::super::testing::{draw, run};
    use super::*;

    #[test]
    fn gradients_pass_where_the_output_is_between_the_bounds() {
        let y = [-0.0, 0.0, 0.5, 6.0, 5.9, 7.0];
        let dy = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let made =
            |high| run("CutGradient", &[("high", high)], &[], &[(&[6], &dy), (&[6], &y)]).remove(0);
        assert_eq!(made(6.0), [0.0, 0.0, 3.0, 0.0, 5.0, 0.0]);
        assert_eq!(made(f32::INFINITY), [0.0, 0.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn sums_are_cut_and_what_is_no_number_is_kept() {
        let (a, b) = ([1.0, -2.0, 4.0, f32::NAN], [0.5, 1.0, 3.0, 1.0]);
        let made = run("AddCut", &[("high", 6.0)], &[], &[(&[4], &a), (&[4], &b)]).remove(0);
        assert_eq!(made[..3], [1.5, 0.0, 6.0]);
        assert!(made[3].is_nan());
    }

    #[test]
    fn pieces_are_put_together_in_order() {
        let length = PIECE * 2 + 3;
        let (dy, y) = (draw(1, length), draw(2, length));
        let made = run(
            "CutGradient",
            &[("high", f32::INFINITY)],
            &[],
            &[(&[length], &dy), (&[length], &y)],
        );
        let plain: Vec<f32> =
            dy.iter().zip(&y).map(|(dy, y)| if *y > 0.0 { *dy } else { 0.0 }).collect();
        assert_eq!(made[0], plain);
    }
}
