//! Activations between a floor and a ceiling or a line, smooth or piecewise.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Dialect, Tape, Var};
use super::elementary::along;
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "Softplus",
        forward: softplus_forward,
        backward: |s, f, dy, tape| along(s, f, dy, tape, |x, _, tape| tape.sigmoid(x)),
        #[cfg(test)]
        cases: || near_and_far("Softplus", 3.0),
    },
    Rule {
        op: "Softsign",
        forward: as_it_is,
        backward: |s, f, dy, tape| along(s, f, dy, tape, softsign),
        #[cfg(test)]
        cases: || near_and_far("Softsign", 3.0),
    },
    Rule {
        op: "Mish",
        forward: mish_forward,
        backward: |s, f, dy, tape| along(s, f, dy, tape, mish),
        #[cfg(test)]
        cases: || near_and_far("Mish", 3.0),
    },
    Rule {
        op: "HardSwish",
        forward: as_it_is,
        backward: |s, f, dy, tape| along(s, f, dy, tape, hard_swish),
        #[cfg(test)]
        cases: || near_and_far("HardSwish", 5.0),
    },
    Rule {
        op: "HardSigmoid",
        forward: as_it_is,
        backward: hard_sigmoid,
        #[cfg(test)]
        cases: || {
            let settings = |case: Case| case.with("alpha", 1.0_f32 / 6.0).with("beta", 0.4_f32);
            let mut cases = near_and_far("HardSigmoid", 4.0);
            cases.extend(near_and_far("HardSigmoid", 4.0).into_iter().map(settings));
            cases
        },
    },
    Rule {
        op: "Swish",
        forward: swish_forward,
        backward: swish,
        #[cfg(test)]
        cases: || {
            let case = || Case::of("Swish", |case| case.opset(24).varied("x", &[2, 3, 4]));
            vec![
                case(),
                case().moved(3.0, 0.0),
                case().with("alpha", 1.7_f32).wrong_when_embedded("α is not read"),
            ]
        },
    },
];

/// Values around 0, and values a factor farther out.
#[cfg(test)]
fn near_and_far(op: &'static str, factor: f32) -> Vec<Case> {
    let case = || Case::of(op, |case| case.opset(22).varied("x", &[2, 3, 4]));
    vec![case(), case().moved(factor, 0.0)]
}

fn softplus_forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let y = tape.softplus(site.input(0)?);
    Ok(Forward { outputs: vec![y], ..Forward::default() })
}

/// The embedded backend's own operator overflows for large x; there it is written out.
fn mish_forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    if tape.dialect() != Dialect::Embedded {
        return as_it_is(site, tape);
    }
    let x = site.input(0)?;
    let soft = tape.softplus(x);
    let t = tape.unary("Tanh", &soft);
    Ok(Forward { outputs: vec![tape.mul(x, &t)], ..Forward::default() })
}

/// y = x / (1 + |x|), so y' = (1 − |y|)².
fn softsign(_: &Var, y: &Var, tape: &mut Tape) -> Var {
    let size = tape.unary("Abs", y);
    let rest = tape.number_minus(1.0, &size);
    tape.square(&rest)
}

/// y = x t with t = tanh(softplus(x)), so y' = t + x (1 − t²) σ(x) (Misra 2019).
fn mish(x: &Var, _: &Var, tape: &mut Tape) -> Var {
    let soft = tape.softplus(x);
    let t = tape.unary("Tanh", &soft);
    let flat = tape.one_minus_square(&t);
    let sigmoid = tape.sigmoid(x);
    let rising = tape.mul(&flat, &sigmoid);
    let rising = tape.mul(x, &rising);
    tape.add(&t, &rising)
}

/// y = x h with h = clip(x/6 + 1/2, 0, 1), so y' = h + x/6 inside and h outside.
fn hard_swish(x: &Var, _: &Var, tape: &mut Tape) -> Var {
    let line = tape.scale(x, 1.0 / 6.0);
    let line = tape.plus(&line, 0.5);
    let h = clipped(&line, tape);
    let inside = tape.equal(&line, &h);
    let sixth = tape.scale(x, 1.0 / 6.0);
    let rising = tape.mul(&inside, &sixth);
    tape.add(&h, &rising)
}

/// dx = α dy strictly between 0 and 1.
#[expect(clippy::unnecessary_wraps, reason = "every rule has the same signature")]
fn hard_sigmoid(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let y = &forward.outputs[0];
    let above = tape.positive(y);
    let room = tape.number_minus(1.0, y);
    let below = tape.positive(&room);
    let inside = tape.mul(&above, &below);
    let slope = tape.scale(&inside, site.node.float("alpha").unwrap_or(0.2));
    Ok(vec![Some(tape.mul(dy, &slope))])
}

/// The embedded backend's own operator takes α for 1; there it is written out.
fn swish_forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    if tape.dialect() != Dialect::Embedded {
        return as_it_is(site, tape);
    }
    let x = site.input(0)?;
    let scaled = tape.scale(x, site.node.float("alpha").unwrap_or(1.0));
    let s = tape.sigmoid(&scaled);
    Ok(Forward { outputs: vec![tape.mul(x, &s)], ..Forward::default() })
}

/// y = x σ(αx), so y' = s + α y (1 − s) with s = σ(αx).
fn swish(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let alpha = site.node.float("alpha").unwrap_or(1.0);
    let scaled = tape.scale(site.input(0)?, alpha);
    let s = tape.sigmoid(&scaled);
    let rest = tape.number_minus(1.0, &s);
    let rising = tape.mul(&forward.outputs[0], &rest);
    let rising = tape.scale(&rising, alpha);
    let slope = tape.add(&s, &rising);
    Ok(vec![Some(tape.mul(dy, &slope))])
}

fn clipped(a: &Var, tape: &mut Tape) -> Var {
    let (low, high) = (tape.number(0.0), tape.number(1.0));
    tape.op("Clip", &[a, &low, &high], &[], a.dims())
}
