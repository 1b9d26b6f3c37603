//! Functions of one number, element by element.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "Relu",
        forward: as_it_is,
        backward: relu,
        #[cfg(test)]
        cases: || vec![Case::of("Relu", |case| case.varied("x", &[2, 3, 4]))],
    },
    Rule {
        op: "Clip",
        forward: as_it_is,
        backward: clip,
        #[cfg(test)]
        cases: || {
            let bound = |case: Case, name, value| case.number(name, value);
            vec![
                Case::of("Clip", |c| bound(bound(c.varied("x", &[3, 7]), "lo", -0.6), "hi", 0.6)),
                Case::of("Clip", |c| bound(c.varied("x", &[3, 7]), "lo", 0.0)),
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
fn relu(_: &Site<'_>, forward: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let open = tape.positive(&forward.outputs[0]);
    Ok(vec![Some(tape.mul(dy, &open))])
}

/// dx = dy strictly between the bounds, else 0.
fn clip(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let x = site.input(0)?.clone();
    let mut dx = dy.clone();
    if let Some(low) = site.float(1)? {
        let low = tape.number(low);
        let open = tape.greater(&x, &low);
        dx = tape.mul(&dx, &open);
    }
    if let Some(high) = site.float(2)? {
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
