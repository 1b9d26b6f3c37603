//! Operators that keep every value: shape and order change, or nothing at all.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "Flatten",
        forward: reshaped,
        backward: back_to_input,
        #[cfg(test)]
        cases: || {
            vec![
                Case::of("Flatten", |case| case.varied("x", &[2, 3, 4])),
                Case::of("Flatten", |case| case.varied("x", &[2, 3, 4]).with("axis", 2_i64)),
            ]
        },
    },
    Rule {
        op: "Reshape",
        forward: reshaped,
        backward: back_to_input,
        #[cfg(test)]
        cases: || {
            let of = |shape: &'static [i64]| {
                Case::of("Reshape", move |case| {
                    case.varied("x", &[2, 3, 4]).integers("shape", shape)
                })
            };
            vec![of(&[0, -1]), of(&[4, 3, 2]), of(&[24]), of(&[2, 0, 2, 2])]
        },
    },
    Rule {
        op: "Squeeze",
        forward: reshaped,
        backward: back_to_input,
        #[cfg(test)]
        cases: || {
            vec![Case::of("Squeeze", |case| {
                case.varied("x", &[2, 1, 3, 1]).integers("axes", &[1, 3])
            })]
        },
    },
    Rule {
        op: "Unsqueeze",
        forward: reshaped,
        backward: back_to_input,
        #[cfg(test)]
        cases: || {
            vec![Case::of("Unsqueeze", |case| case.varied("x", &[2, 3]).integers("axes", &[0, 2]))]
        },
    },
    Rule {
        op: "Transpose",
        forward: as_it_is,
        backward: transpose,
        #[cfg(test)]
        cases: || {
            vec![
                Case::of("Transpose", |case| {
                    case.varied("x", &[2, 3, 4]).with("perm", vec![1_i64, 2, 0])
                }),
                Case::of("Transpose", |case| case.varied("x", &[2, 3, 4])),
            ]
        },
    },
    Rule {
        op: "Identity",
        forward: passed_through,
        backward: pass_back,
        #[cfg(test)]
        cases: || vec![Case::of("Identity", |case| case.varied("x", &[2, 3]))],
    },
    // Between floats; a cast to whole numbers stops gradients before a rule is asked.
    Rule {
        op: "Cast",
        forward: cast,
        backward: pass_back,
        #[cfg(test)]
        cases: || vec![Case::of("Cast", |case| case.varied("x", &[2, 3]).with("to", 1_i64))],
    },
];

/// Floats of other precisions have become single ones when the model was read.
fn cast(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    match site.node.int("to") {
        Some(1) => passed_through(site, tape),
        _ => Err(site.refuse("a cast to another precision has no gradient rule")),
    }
}

/// A reshape to the observed shape: whatever the model computes the shape from falls away.
fn reshaped(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let x = site.input(0)?.clone();
    let y = tape.reshape(&x, site.output());
    Ok(Forward { outputs: vec![y], ..Forward::default() })
}

fn back_to_input(
    site: &Site<'_>,
    _: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let dims = site.input(0)?.dims().to_vec();
    Ok(vec![Some(tape.reshape(dy, &dims)), None])
}

#[expect(clippy::unnecessary_wraps, reason = "every rule has the same signature")]
fn transpose(
    site: &Site<'_>,
    _: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let order: Vec<usize> = match site.node.ints("perm") {
        Some(order) => order.iter().map(|&axis| axis as usize).collect(),
        None => (0..dy.rank()).rev().collect(),
    };
    let mut back = vec![0; order.len()];
    for (to, &from) in order.iter().enumerate() {
        back[from] = to;
    }
    Ok(vec![Some(tape.transpose(dy, &back))])
}

fn passed_through(site: &Site<'_>, _: &mut Tape) -> Result<Forward, Refusal> {
    Ok(Forward { outputs: vec![site.input(0)?.clone()], ..Forward::default() })
}

#[expect(clippy::unnecessary_wraps, reason = "every rule has the same signature")]
fn pass_back(_: &Site<'_>, _: &Forward, dy: &Var, _: &mut Tape) -> Result<Gradients, Refusal> {
    Ok(vec![Some(dy.clone())])
}
