//! `Gelu` (opset 20), exact and by tanh. Older files compose it of `Erf` or `Tanh`.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use crate::onnx::graph::Attribute;

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Dialect, Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "Gelu",
    forward,
    backward,
    #[cfg(test)]
    cases: || {
        let case = || Case::of("Gelu", |case| case.opset(20).varied("x", &[2, 3, 4]));
        vec![
            case(),
            case().moved(3.0, 0.0),
            case().with("approximate", "none"),
            case().with("approximate", "tanh"),
            case().with("approximate", "tanh").moved(3.0, 0.0),
        ]
    },
}];

fn is_by_tanh(site: &Site<'_>) -> bool {
    site.node.text("approximate") == Some("tanh")
}

/// The form, as our own kernels have it.
fn form(site: &Site<'_>) -> [(&'static str, Attribute); 1] {
    [("tanh", Attribute::Float(f32::from(u8::from(is_by_tanh(site)))))]
}

fn forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    if tape.dialect() != Dialect::Kernels {
        return as_it_is(site, tape);
    }
    let outputs = tape.kernel("Gelu", &[site.input(0)?], &form(site), &[site.output()]);
    Ok(Forward { outputs, ..Forward::default() })
}

fn backward(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let x = site.input(0)?;
    if tape.dialect() == Dialect::Kernels {
        let made = tape.kernel("GeluGradient", &[dy, x], &form(site), &[x.dims()]);
        return Ok(made.into_iter().map(Some).collect());
    }
    let slope = match is_by_tanh(site) {
        true => by_tanh(x, tape),
        false => exact(x, tape),
    };
    Ok(vec![Some(tape.mul(dy, &slope))])
}

/// y = x Φ(x), so y' = Φ(x) + x φ(x) (Hendrycks & Gimpel 2016).
fn exact(x: &Var, tape: &mut Tape) -> Var {
    let scaled = tape.scale(x, FRAC_1_SQRT_2);
    let erf = tape.unary("Erf", &scaled);
    let half = tape.scale(&erf, 0.5);
    let cumulative = tape.plus(&half, 0.5);
    let density = tape.normal_density(x);
    let along = tape.mul(x, &density);
    tape.add(&cumulative, &along)
}

/// y = x/2 (1 + t) with t = tanh(u), u = √(2/π) (x + c x³), so
/// y' = (1 + t)/2 + x/2 (1 − t²) √(2/π) (1 + 3c x²).
fn by_tanh(x: &Var, tape: &mut Tape) -> Var {
    const CUBIC: f32 = 0.044_715;
    let rate = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
    let square = tape.square(x);
    let grown = tape.scale(&square, rate * CUBIC);
    let factor = tape.plus(&grown, rate);
    let inner = tape.mul(x, &factor);
    let t = tape.unary("Tanh", &inner);
    let grown = tape.scale(&square, 3.0 * rate * CUBIC);
    let rising = tape.plus(&grown, rate);
    let flat = tape.one_minus_square(&t);
    let along = tape.mul(&flat, &rising);
    let along = tape.mul(x, &along);
    let both = tape.add(&t, &along);
    let half = tape.scale(&both, 0.5);
    tape.plus(&half, 0.5)
}
