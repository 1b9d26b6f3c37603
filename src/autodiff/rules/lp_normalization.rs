//! `LpNormalization`: values along an axis over their norm there.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "LpNormalization",
    forward: as_it_is,
    backward,
    #[cfg(test)]
    cases: || {
        let case = || Case::of("LpNormalization", |case| case.varied("x", &[2, 3, 4]));
        vec![
            case(),
            case().with("axis", 1_i64),
            case().with("p", 1_i64),
            case().with("p", 1_i64).with("axis", 0_i64),
            case().with("p", 2_i64).with("axis", -2_i64),
        ]
    },
}];

/// dx = (dy − n' Σ dy y) / n, where n is the norm and n' its derivative: y = x/n for p = 2, the
/// sign of x for p = 1. Where the norm is 0 it is taken as 1.
fn backward(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let (x, y) = (site.input(0)?, &forward.outputs[0]);
    let axis = site.axis(site.node.int("axis").unwrap_or(-1), x.rank())?;
    let (norm, slope) = match site.node.int("p").unwrap_or(2) {
        1 => (tape.reduce("ReduceL1", x, &[axis]), tape.unary("Sign", x)),
        2 => (tape.reduce("ReduceL2", x, &[axis]), y.clone()),
        p => return Err(site.refuse(format!("there is no norm of p = {p}"))),
    };
    let none = tape.compare_number("Equal", &norm, 0.0);
    let one = tape.number(1.0);
    let norm = tape.choose(&none, &one, &norm);
    let product = tape.mul(dy, y);
    let share = tape.reduce_sum(&product, &[axis]);
    let along = tape.mul(&slope, &share);
    let rest = tape.sub(dy, &along);
    Ok(vec![Some(tape.div(&rest, &norm))])
}
