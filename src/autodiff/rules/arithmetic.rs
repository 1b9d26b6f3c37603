//! Sums, differences, products and quotients, with broadcasting.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
use super::activation::cut;
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "Add",
        forward: add_forward,
        backward: add,
        #[cfg(test)]
        cases: || broadcast_cases("Add"),
    },
    Rule {
        op: "Sub",
        forward: as_it_is,
        backward: sub,
        #[cfg(test)]
        cases: || broadcast_cases("Sub"),
    },
    Rule {
        op: "Mul",
        forward: as_it_is,
        backward: mul,
        #[cfg(test)]
        cases: || broadcast_cases("Mul"),
    },
    Rule {
        op: "Div",
        forward: as_it_is,
        backward: div,
        #[cfg(test)]
        cases: || broadcast_cases("Div"),
    },
];

#[cfg(test)]
fn broadcast_cases(op: &'static str) -> Vec<Case> {
    vec![
        Case::of(op, |case| case.varied("a", &[2, 3, 4]).varied("b", &[2, 3, 4])),
        Case::of(op, |case| case.varied("a", &[2, 3, 4]).varied("b", &[3, 1])),
        Case::of(op, |case| case.varied("a", &[4]).varied("b", &[2, 3, 4])),
        Case::of(op, |case| case.varied("a", &[2, 1, 4]).varied("b", &[1, 3, 1])),
        Case::of(op, |case| case.varied("a", &[2, 3]).number("b", 1.7)),
    ]
}

/// A gradient of the result's shape, brought to the shape of an input.
fn back(
    site: &Site<'_>,
    position: usize,
    gradient: &Var,
    tape: &mut Tape,
) -> Result<Option<Var>, Refusal> {
    let dims = site.input(position)?.dims().to_vec();
    Ok(Some(tape.unbroadcast(gradient, &dims)))
}

/// The sum, with the activation that it takes in.
fn add_forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let Some(cut) = site.cut else { return as_it_is(site, tape) };
    let (a, b) = (site.input(0)?, site.input(1)?);
    let high = [("high", cut.high.into())];
    let y = if a.dims() == b.dims() {
        tape.kernel("AddCut", &[a, b], &high, &[a.dims()]).remove(0)
    } else {
        let sum = tape.add(a, b);
        let bounds = [tape.number(0.0), tape.number(cut.high)];
        tape.op("Clip", &[&sum, &bounds[0], &bounds[1]], &[], sum.dims())
    };
    Ok(Forward { outputs: vec![y], ..Forward::default() })
}

fn add(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let passed = match site.cut {
        Some(own) => cut(dy, &forward.outputs[0], own.high, tape),
        None => dy.clone(),
    };
    let side = |position, tape: &mut Tape| match site.wants(position) {
        true => back(site, position, &passed, tape),
        false => Ok(None),
    };
    Ok(vec![side(0, tape)?, side(1, tape)?])
}

fn sub(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let a = if site.wants(0) { back(site, 0, dy, tape)? } else { None };
    let b = if site.wants(1) {
        // Summed first: the negation then works on the smaller tensor.
        let dims = site.input(1)?.dims().to_vec();
        let summed = tape.unbroadcast(dy, &dims);
        Some(tape.neg(&summed))
    } else {
        None
    };
    Ok(vec![a, b])
}

/// da = dy · b, db = dy · a
fn mul(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let side = |position: usize, other: usize, tape: &mut Tape| {
        if !site.wants(position) {
            return Ok(None);
        }
        let gradient = tape.mul(dy, site.input(other)?);
        back(site, position, &gradient, tape)
    };
    Ok(vec![side(0, 1, tape)?, side(1, 0, tape)?])
}

/// da = dy / b, db = −dy · y / b
fn div(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let over_b = tape.div(dy, site.input(1)?);
    let a = if site.wants(0) { back(site, 0, &over_b, tape)? } else { None };
    let b = if site.wants(1) {
        let product = tape.mul(&over_b, &forward.outputs[0]);
        let negative = tape.neg(&product);
        back(site, 1, &negative, tape)?
    } else {
        None
    };
    Ok(vec![a, b])
}
