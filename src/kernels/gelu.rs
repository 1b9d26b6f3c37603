//! GELU and its gradient, exact (by the error function) and by tanh, each in one pass.

use super::functions::{erf, exp};
use super::parts::Parts;
use super::wide::wide;
use super::{Attributes, Input, Kernel, Kind, Output, Threads, same};

/// `tanh` is 1 for the form by tanh, else 0.
const NUMBERS: &[&str] = &["tanh"];

pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "Gelu",
        inputs: &[Kind::F32],
        repeats: false,
        outputs: &[Kind::F32],
        lists: &[],
        numbers: NUMBERS,
        shapes: same,
        compute: forward,
    },
    Kernel {
        name: "GeluGradient",
        inputs: &[Kind::F32, Kind::F32],
        repeats: false,
        outputs: &[Kind::F32],
        lists: &[],
        numbers: NUMBERS,
        shapes: same,
        compute: gradient,
    },
];

/// Elements in a piece of work.
const PIECE: usize = 1 << 15;

/// y = x Φ(x), with Φ as it is or as σ(2u), u = √(2/π) (x + c x³) (Hendrycks & Gimpel 2016).
fn forward(
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let by_tanh = attributes.number("tanh") > 0.0;
    let x = inputs[0].floats();
    let parts = Parts::new(outputs[0].floats(), PIECE);
    threads.each(parts.len(), &|index| {
        let y = &mut *parts.take(index);
        let x = &x[index * PIECE..index * PIECE + y.len()];
        wide(
            #[inline(always)]
            || {
                // Loops, for a closure this long is not inlined.
                if by_tanh {
                    for (y, &x) in y.iter_mut().zip(x) {
                        *y = x * by_sigmoid(x);
                    }
                } else {
                    for (y, &x) in y.iter_mut().zip(x) {
                        *y = x * cumulative(x);
                    }
                }
            },
        );
    });
}

/// Inputs dy and x: dx = dy (Φ(x) + x Φ'(x)).
fn gradient(
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let by_tanh = attributes.number("tanh") > 0.0;
    let (dy, x) = (inputs[0].floats(), inputs[1].floats());
    let parts = Parts::new(outputs[0].floats(), PIECE);
    threads.each(parts.len(), &|index| {
        let dx = &mut *parts.take(index);
        let here = index * PIECE..index * PIECE + dx.len();
        let (dy, x) = (&dy[here.clone()], &x[here]);
        wide(
            #[inline(always)]
            || {
                if by_tanh {
                    for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(x) {
                        *dx = dy * slope_by_sigmoid(x);
                    }
                } else {
                    for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(x) {
                        *dx = dy * slope(x);
                    }
                }
            },
        );
    });
}

/// The standard normal distribution, Φ(x) = (1 + erf(x/√2)) / 2.
#[inline(always)]
fn cumulative(x: f32) -> f32 {
    erf(x * std::f32::consts::FRAC_1_SQRT_2).mul_add(0.5, 0.5)
}

/// Φ(x) + x φ(x)
#[inline(always)]
fn slope(x: f32) -> f32 {
    /// 1/√(2π)
    const PEAK: f32 = 0.398_942_3;
    x.mul_add(PEAK * exp(-0.5 * x * x), cumulative(x))
}

/// 2 √(2/π)
const RATE: f32 = 1.595_769;
const CUBIC: f32 = 0.044_715;

/// (1 + tanh u) / 2 = 1 / (1 + e^(−2u))
#[inline(always)]
fn by_sigmoid(x: f32) -> f32 {
    let twice = x * (x * x).mul_add(RATE * CUBIC, RATE);
    1.0 / (1.0 + exp(-twice))
}

/// s + x s (1 − s) (2u)'
#[inline(always)]
fn slope_by_sigmoid(x: f32) -> f32 {
    let s = by_sigmoid(x);
    let rising = (x * x).mul_add(3.0 * RATE * CUBIC, RATE);
    (x * rising).mul_add(s * (1.0 - s), s)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_near, draw, run};
    use super::PIECE;

    /// Φ as the formula has it, and its slope by central differences in double precision.
    fn plain(x: &[f32], of: fn(f64) -> f64) -> [Vec<f32>; 2] {
        let h = 1e-5;
        let y = |x: f64| x * of(x);
        let slope = |x: f64| (y(x + h) - y(x - h)) / (2.0 * h);
        [
            x.iter().map(|x| y(f64::from(*x)) as f32).collect(),
            x.iter().map(|x| slope(f64::from(*x)) as f32).collect(),
        ]
    }

    fn by_tanh(x: f64) -> f64 {
        let u = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
        0.5 * (1.0 + (u * (x + 0.044_715 * x.powi(3))).tanh())
    }

    /// ½ + the integral of the density from 0, by Simpson's rule.
    fn exact(x: f64) -> f64 {
        let density = |t: f64| (-0.5 * t * t).exp() / std::f64::consts::TAU.sqrt();
        let steps = 200;
        let h = x / f64::from(steps);
        let inner = (1..steps).map(|i| f64::from(2 + 2 * (i % 2)) * density(f64::from(i) * h));
        0.5 + h / 3.0 * (density(0.0) + inner.sum::<f64>() + density(x))
    }

    #[test]
    fn both_forms_and_their_slopes_follow_the_formulas() {
        let x: Vec<f32> = (-120..=120).map(|step| step as f32 * 0.05).collect();
        let dims: &[usize] = &[x.len()];
        let ones = vec![1.0; x.len()];
        for (tanh, of) in [(0.0, exact as fn(f64) -> f64), (1.0, by_tanh)] {
            let [y, slope] = plain(&x, of);
            assert_near(&run("Gelu", &[("tanh", tanh)], &[], &[(dims, &x)])[0], &y);
            let given: [(&[usize], &[f32]); 2] = [(dims, &ones), (dims, &x)];
            assert_near(&run("GeluGradient", &[("tanh", tanh)], &[], &given)[0], &slope);
        }
    }

    #[test]
    fn pieces_are_put_together_in_order() {
        let length = 2 * PIECE + 5;
        let (dy, x) = (draw(1, length), draw(2, length));
        let run = |dy: &[f32], x: &[f32]| {
            let dims: &[usize] = &[x.len()];
            run("GeluGradient", &[("tanh", 0.0)], &[], &[(dims, dy), (dims, x)]).remove(0)
        };
        let whole = run(&dy, &x);
        assert_eq!(whole[length - 9..], run(&dy[length - 9..], &x[length - 9..]));
        assert_near(&whole[PIECE..PIECE + 3], &run(&dy[PIECE..PIECE + 3], &x[PIECE..PIECE + 3]));
    }
}
