//! Functions of one number, element by element.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Dialect, Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "Relu",
        forward: cut_forward,
        backward: relu,
        #[cfg(test)]
        cases: || vec![Case::of("Relu", |case| case.varied("x", &[2, 3, 4]))],
    },
    Rule {
        op: "Clip",
        forward: cut_forward,
        backward: clip,
        #[cfg(test)]
        cases: || {
            let bound = |case: Case, name, value| case.number(name, value);
            vec![
                Case::of("Clip", |c| bound(bound(c.varied("x", &[3, 7]), "lo", -0.6), "hi", 0.6)),
                Case::of("Clip", |c| bound(c.varied("x", &[3, 7]), "lo", 0.0)),
                Case::of("Clip", |c| bound(bound(c.varied("x", &[3, 7]), "lo", 0.0), "hi", 0.6)),
                Case::of("Clip", |c| bound(c.varied("x", &[3, 7]).left_out(), "hi", 0.6)),
            ]
        },
    },
    Rule {
        op: "Sigmoid",
        forward: as_it_is,
        backward: sigmoid,
        #[cfg(test)]
        cases: || vec![Case::of("Sigmoid", |case| case.varied("x", &[4, 5]))],
    },
];

/// dx = dy where x > 0, else 0. The kink at x = 0 is ours to choose; we choose 0.
/// The output is positive just where the input is, and is in the graph already.
#[expect(clippy::unnecessary_wraps, reason = "every rule has the same signature")]
fn relu(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    if site.is_part {
        return Ok(vec![Some(dy.clone())]);
    }
    if tape.dialect() == Dialect::Kernels {
        return Ok(vec![Some(cut(dy, &forward.outputs[0], f32::INFINITY, tape))]);
    }
    let open = tape.positive(&forward.outputs[0]);
    Ok(vec![Some(tape.mul(dy, &open))])
}

/// The activation, unless what comes before it has taken it in.
fn cut_forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    match site.is_part {
        true => Ok(Forward { outputs: vec![site.input(0)?.clone()], ..Forward::default() }),
        false => as_it_is(site, tape),
    }
}

/// Both gradients in one pass: dx = dy where 0 < y < `high`.
pub(super) fn cut(dy: &Var, y: &Var, high: f32, tape: &mut Tape) -> Var {
    tape.kernel("CutGradient", &[dy, y], &[("high", high.into())], &[dy.dims()]).remove(0)
}

/// dx = dy strictly between the bounds, else 0.
fn clip(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    if site.is_part {
        return Ok(vec![Some(dy.clone())]);
    }
    let (low, high) = (site.float(1)?, site.float(2)?);
    if tape.dialect() == Dialect::Kernels && low == Some(0.0) {
        let high = high.unwrap_or(f32::INFINITY);
        return Ok(vec![Some(cut(dy, &forward.outputs[0], high, tape))]);
    }
    let x = site.input(0)?.clone();
    let mut dx = dy.clone();
    if let Some(low) = low {
        let low = tape.number(low);
        let open = tape.greater(&x, &low);
        dx = tape.mul(&dx, &open);
    }
    if let Some(high) = high {
        let high = tape.number(high);
        let open = tape.greater(&high, &x);
        dx = tape.mul(&dx, &open);
    }
    Ok(vec![Some(dx)])
}

/// dx = dy · y · (1 − y)
#[expect(clippy::unnecessary_wraps, reason = "every rule has the same signature")]
fn sigmoid(
    _: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let y = &forward.outputs[0];
    let one = tape.number(1.0);
    let rest = tape.sub(&one, y);
    let slope = tape.mul(y, &rest);
    Ok(vec![Some(tape.mul(dy, &slope))])
}
