//! `LRN`: local response normalisation over neighbouring channels (Krizhevsky et al. 2012).

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
use super::Rule;
#[cfg(test)]
use super::suite::Case;
use crate::onnx::tensor::Tensor;

pub(super) const RULES: &[Rule] = &[Rule {
    op: "LRN",
    forward,
    backward,
    #[cfg(test)]
    cases: || {
        let case = |size: i64| {
            Case::of("LRN", move |case| {
                case.varied("x", &[2, 5, 2, 3]).moved(2.0, 0.0).with("size", size)
            })
        };
        let strong =
            |case: Case| case.with("alpha", 0.9_f32).with("beta", 0.6_f32).with("bias", 1.5_f32);
        vec![case(3), strong(case(3)), strong(case(9)), strong(case(1))]
    },
}];

struct Settings {
    size: usize,
    alpha: f32,
    beta: f32,
    bias: f32,
}

fn settings(site: &Site<'_>) -> Result<Settings, Refusal> {
    let size = site.node.int("size").and_then(|size| usize::try_from(size).ok());
    let size = size.filter(|size| *size > 0).ok_or_else(|| site.refuse("it has no size"))?;
    let number = |key, default| site.node.float(key).unwrap_or(default);
    let (alpha, beta) = (number("alpha", 1e-4), number("beta", 0.75));
    Ok(Settings { size, alpha, beta, bias: number("bias", 1.0) })
}

/// y = x · s^−β with s = k + α/n Σ x² over n channels around. The sum is a product with a band of
/// ones: channel c takes those from c − ⌊(n−1)/2⌋ to c + ⌈(n−1)/2⌉.
fn forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let x = site.input(0)?.clone();
    let set = settings(site)?;
    let rows = rows(site, &x)?;
    let flat = tape.reshape(&x, &rows);
    let square = tape.square(&flat);
    let band = band(rows[1], set.size, tape);
    let sum = tape.matmul(&band, &square);
    let share = tape.scale(&sum, set.alpha / set.size as f32);
    let s = tape.plus(&share, set.bias);
    let factor = tape.power(&s, -set.beta);
    let y = tape.mul(&flat, &factor);
    let y = tape.reshape(&y, x.dims());
    Ok(Forward { outputs: vec![y], saved: vec![flat, s, factor], ..Forward::default() })
}

/// dx = dy s^−β − 2αβ/n · x · (bandᵀ (dy x s^(−β−1)))
fn backward(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let [flat, s, factor] = &forward.saved[..] else {
        return Err(site.refuse("its forward part is missing"));
    };
    let set = settings(site)?;
    let dims = dy.dims().to_vec();
    let dy = tape.reshape(dy, flat.dims());
    let direct = tape.mul(&dy, factor);
    let product = tape.mul(&direct, flat);
    let product = tape.div(&product, s);
    let band = band(flat.dims()[1], set.size, tape);
    let turned = tape.turned(&band);
    let around = tape.matmul(&turned, &product);
    let along = tape.mul(flat, &around);
    let along = tape.scale(&along, 2.0 * set.alpha * set.beta / set.size as f32);
    let dx = tape.sub(&direct, &along);
    Ok(vec![Some(tape.reshape(&dx, &dims))])
}

fn rows(site: &Site<'_>, x: &Var) -> Result<[usize; 3], Refusal> {
    match x.dims() {
        [items, channels, rest @ ..] => Ok([*items, *channels, rest.iter().product()]),
        _ => Err(site.refuse("its input has no channel axis")),
    }
}

/// 1 where the column's channel is in the window of the row's channel, else 0.
fn band(channels: usize, size: usize, tape: &mut Tape) -> Var {
    let (before, after) = ((size - 1) / 2, size / 2);
    let inside = |row: usize, column: usize| column + before >= row && column <= row + after;
    let values = (0..channels * channels)
        .map(|at| f32::from(u8::from(inside(at / channels, at % channels))))
        .collect();
    tape.constant(Tensor::f32(&[channels, channels], values))
}
