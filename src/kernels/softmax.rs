//! The gradient of a softmax over the last axis, row by row.

use super::parts::Parts;
use super::rows::{dot, rows_of_piece};
use super::wide::wide;
use super::{Attributes, Input, Kernel, Kind, Output, Threads, same};

pub(super) const KERNELS: &[Kernel] = &[Kernel {
    name: "SoftmaxGradient",
    inputs: &[Kind::F32, Kind::F32],
    repeats: false,
    outputs: &[Kind::F32],
    lists: &[],
    numbers: &[],
    shapes: same,
    compute: gradient,
}];

/// Inputs dy and p, the softmax: dx = p (dy − Σ dy p).
fn gradient(
    _: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let width = inputs[0].dims.last().copied().unwrap_or(1).max(1);
    let (dy, p) = (inputs[0].floats(), inputs[1].floats());
    let piece = rows_of_piece(dy.len() / width, width) * width;
    let parts = Parts::new(outputs[0].floats(), piece);
    threads.each(parts.len(), &|index| {
        let dx = &mut *parts.take(index);
        let here = index * piece..index * piece + dx.len();
        let (dy, p) = (&dy[here.clone()], &p[here]);
        wide(
            #[inline(always)]
            || {
                let rows = dy.chunks_exact(width).zip(p.chunks_exact(width));
                for (dx, (dy, p)) in dx.chunks_exact_mut(width).zip(rows) {
                    let sum = dot(dy, p);
                    for ((dx, &dy), &p) in dx.iter_mut().zip(dy).zip(p) {
                        *dx = p * (dy - sum);
                    }
                }
            },
        );
    });
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_near, draw, run};

    #[test]
    fn each_row_follows_the_formula() {
        for (rows, width) in [(3, 5), (700, 64), (2, 1000), (4, 1)] {
            let (dy, logits) = (draw(1, rows * width), draw(2, rows * width));
            let (mut p, mut plain) = (vec![], vec![]);
            for (dy, logits) in dy.chunks(width).zip(logits.chunks(width)) {
                let exps: Vec<f64> = logits.iter().map(|v| f64::from(*v).exp()).collect();
                let total: f64 = exps.iter().sum();
                let own: Vec<f64> = exps.iter().map(|exp| exp / total).collect();
                let sum: f64 = own.iter().zip(dy).map(|(p, dy)| p * f64::from(*dy)).sum();
                plain.extend(own.iter().zip(dy).map(|(p, dy)| (p * (f64::from(*dy) - sum)) as f32));
                p.extend(own.iter().map(|p| *p as f32));
            }
            let dims: &[usize] = &[rows, width];
            let made = run("SoftmaxGradient", &[], &[], &[(dims, &dy), (dims, &p)]);
            assert_near(&made[0], &plain);
        }
    }
}
