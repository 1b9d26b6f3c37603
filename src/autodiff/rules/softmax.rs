//! Softmax and its logarithm inside a model. At the end of a model they belong to the loss.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "Softmax",
        forward: as_it_is,
        backward: softmax,
        #[cfg(test)]
        cases: || cases("Softmax"),
    },
    Rule {
        op: "LogSoftmax",
        forward: log_forward,
        backward: log_softmax,
        #[cfg(test)]
        cases: || cases("LogSoftmax"),
    },
];

#[cfg(test)]
fn cases(op: &'static str) -> Vec<Case> {
    vec![
        Case::of(op, |case| case.varied("x", &[3, 5])),
        Case::of(op, |case| case.varied("x", &[2, 3, 4]).with("axis", 1_i64)),
        Case::of(op, |case| case.varied("x", &[2, 3, 4]).with("axis", -3_i64)),
        Case::of(op, |case| case.varied("x", &[7]).with("axis", 0_i64)),
    ]
}

fn axis(site: &Site<'_>) -> Result<usize, Refusal> {
    site.axis(site.node.int("axis").unwrap_or(-1), site.input(0)?.rank())
}

/// dx = y · (dy − Σ dy y)
fn softmax(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    Ok(vec![Some(tape.softmax_gradient(&forward.outputs[0], dy, axis(site)?))])
}

fn log_forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let y = tape.log_softmax(site.input(0)?, axis(site)?);
    Ok(Forward { outputs: vec![y], ..Forward::default() })
}

/// dx = dy − eʸ Σ dy
fn log_softmax(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let p = tape.unary("Exp", &forward.outputs[0]);
    let sum = tape.reduce_sum(dy, &[axis(site)?]);
    let share = tape.mul(&p, &sum);
    Ok(vec![Some(tape.sub(dy, &share))])
}
