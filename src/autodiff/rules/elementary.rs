//! Elementary functions of one number: each is its derivative, as a formula of x and y.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

/// A function y of x by its derivative.
macro_rules! function {
    ($op:literal, $slope:expr, $cases:expr) => {
        Rule {
            op: $op,
            forward: as_it_is,
            backward: |site, forward, dy, tape| along(site, forward, dy, tape, $slope),
            #[cfg(test)]
            cases: || $cases($op),
        }
    };
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "Neg",
        forward: as_it_is,
        backward: |_, _, dy, tape| Ok(vec![Some(tape.neg(dy))]),
        #[cfg(test)]
        cases: || anywhere("Neg"),
    },
    function!("Abs", |x, _, tape| tape.unary("Sign", x), anywhere),
    function!("Exp", |_, y, _| y.clone(), anywhere),
    function!("Log", |x, _, tape| tape.reciprocal(x), above_zero),
    function!("Sqrt", sqrt, above_zero),
    function!("Reciprocal", reciprocal, anywhere),
    function!("Erf", erf, anywhere),
    function!("Tanh", |_, y, tape| tape.one_minus_square(y), anywhere),
    function!("Sin", |x, _, tape| tape.unary("Cos", x), anywhere),
    function!("Cos", cos, anywhere),
    function!("Tan", tan, anywhere),
    function!("Asin", asin, within_one),
    function!("Acos", acos, within_one),
    function!("Atan", atan, anywhere),
    function!("Sinh", |x, _, tape| tape.unary("Cosh", x), anywhere),
    function!("Cosh", |x, _, tape| tape.unary("Sinh", x), anywhere),
    function!("Asinh", asinh, anywhere),
    function!("Acosh", acosh, above_one),
    function!("Atanh", atanh, within_one),
];

/// The derivative at x, where the function has the value y.
type Slope = fn(&Var, &Var, &mut Tape) -> Var;

/// dx = dy · f'(x)
pub(super) fn along(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
    slope: Slope,
) -> Result<Gradients, Refusal> {
    let slope = slope(site.input(0)?, &forward.outputs[0], tape);
    Ok(vec![Some(tape.mul(dy, &slope))])
}

#[cfg(test)]
fn anywhere(op: &'static str) -> Vec<Case> {
    vec![Case::of(op, |case| case.varied("x", &[2, 3, 4])), Case::of(op, |c| c.varied("x", &[5]))]
}

#[cfg(test)]
fn above_zero(op: &'static str) -> Vec<Case> {
    vec![Case::of(op, |case| case.positive("x", &[2, 3, 4]))]
}

#[cfg(test)]
fn above_one(op: &'static str) -> Vec<Case> {
    vec![Case::of(op, |case| case.positive("x", &[2, 3, 4]).moved(1.0, 1.2))]
}

#[cfg(test)]
fn within_one(op: &'static str) -> Vec<Case> {
    vec![Case::of(op, |case| case.varied("x", &[2, 3, 4]).moved(0.5, 0.0))]
}

/// 1 / (2y)
fn sqrt(_: &Var, y: &Var, tape: &mut Tape) -> Var {
    let half = tape.number(0.5);
    tape.div(&half, y)
}

/// −y²
fn reciprocal(_: &Var, y: &Var, tape: &mut Tape) -> Var {
    let square = tape.square(y);
    tape.neg(&square)
}

/// 2/√π · e^(−x²)
fn erf(x: &Var, _: &Var, tape: &mut Tape) -> Var {
    let square = tape.square(x);
    let negative = tape.neg(&square);
    let exp = tape.unary("Exp", &negative);
    tape.scale(&exp, std::f32::consts::FRAC_2_SQRT_PI)
}

fn cos(x: &Var, _: &Var, tape: &mut Tape) -> Var {
    let sin = tape.unary("Sin", x);
    tape.neg(&sin)
}

/// 1 + y²
fn tan(_: &Var, y: &Var, tape: &mut Tape) -> Var {
    let square = tape.square(y);
    tape.plus(&square, 1.0)
}

/// 1 / √(1 − x²)
fn asin(x: &Var, _: &Var, tape: &mut Tape) -> Var {
    let rest = tape.one_minus_square(x);
    let root = tape.unary("Sqrt", &rest);
    tape.reciprocal(&root)
}

fn acos(x: &Var, y: &Var, tape: &mut Tape) -> Var {
    let slope = asin(x, y, tape);
    tape.neg(&slope)
}

/// 1 / (1 + x²)
fn atan(x: &Var, _: &Var, tape: &mut Tape) -> Var {
    let square = tape.square(x);
    let more = tape.plus(&square, 1.0);
    tape.reciprocal(&more)
}

/// 1 / √(x² + 1)
fn asinh(x: &Var, _: &Var, tape: &mut Tape) -> Var {
    let square = tape.square(x);
    let more = tape.plus(&square, 1.0);
    let root = tape.unary("Sqrt", &more);
    tape.reciprocal(&root)
}

/// 1 / √(x² − 1)
fn acosh(x: &Var, _: &Var, tape: &mut Tape) -> Var {
    let square = tape.square(x);
    let less = tape.plus(&square, -1.0);
    let root = tape.unary("Sqrt", &less);
    tape.reciprocal(&root)
}

/// 1 / (1 − x²)
fn atanh(x: &Var, _: &Var, tape: &mut Tape) -> Var {
    let rest = tape.one_minus_square(x);
    tape.reciprocal(&rest)
}
