//! `Pow`: one tensor to the power of another, broadcast.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var, broadcast_dims};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "Pow",
    forward: as_it_is,
    backward,
    #[cfg(test)]
    cases: || {
        let with = |value: f32| {
            Case::of("Pow", move |case| case.varied("x", &[2, 3, 4]).number("exponent", value))
        };
        vec![
            with(2.0),
            with(3.0),
            with(1.0),
            with(0.0),
            with(-2.0),
            Case::of("Pow", |case| case.positive("x", &[2, 3]).number("exponent", 0.5)),
            Case::of("Pow", |case| case.positive("x", &[2, 3]).number("exponent", -1.3)),
            Case::of("Pow", |case| case.varied("x", &[2, 3]).integers("exponent", &[2, 3, 1])),
            Case::of("Pow", |case| case.positive("x", &[2, 3]).varied("exponent", &[2, 3])),
            Case::of("Pow", |case| case.positive("x", &[3, 1]).varied("exponent", &[2, 1, 4])),
        ]
    },
}];

/// da = dy · b · a^(b−1), db = dy · y · ln a.
///
/// As `torch` has it, da is 0 where b is 0, and db is 0 where a is 0 and b is not negative.
fn backward(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let (a, b) = (site.input(0)?.clone(), site.input(1)?.clone());
    let da = site.wants(0).then(|| {
        let slope = match one_exponent(site) {
            Some(exponent) => slope_of(&a, exponent, tape),
            None => {
                let b = if site.floats[1] { b.clone() } else { tape.as_floats(&b) };
                slope(&a, &b, tape)
            }
        };
        let gradient = tape.mul(dy, &slope);
        tape.unbroadcast(&gradient, a.dims())
    });
    let db = site.wants(1).then(|| {
        let ln = tape.unary("Log", &a);
        let along = tape.mul(&forward.outputs[0], &ln);
        let zero = tape.number(0.0);
        let none = tape.compare("Equal", &a, &zero);
        let positive = tape.compare_number("GreaterOrEqual", &b, 0.0);
        let dims = along.dims().to_vec();
        let none = tape.op("And", &[&none, &positive], &[], &dims);
        let along = tape.choose(&none, &zero, &along);
        let gradient = tape.mul(dy, &along);
        tape.unbroadcast(&gradient, b.dims())
    });
    Ok(vec![da, db])
}

/// The exponent, if it is one constant number.
fn one_exponent(site: &Site<'_>) -> Option<f32> {
    let constant = site.constants.get(1).copied().flatten().filter(|_| !site.wants(1))?;
    match (constant.floats(), constant.integers()) {
        (Some([only]), _) => Some(*only),
        (_, Some([only])) => Some(*only as f32),
        _ => None,
    }
}

/// b · a^(b−1) for a number b, without a power where a product does.
fn slope_of(a: &Var, b: f32, tape: &mut Tape) -> Var {
    if b == 0.0 {
        return tape.scale(a, 0.0);
    }
    let lower = match b {
        1.0 => tape.power(a, 0.0),
        2.0 => a.clone(),
        3.0 => tape.square(a),
        _ => tape.power(a, b - 1.0),
    };
    tape.scale(&lower, b)
}

fn slope(a: &Var, b: &Var, tape: &mut Tape) -> Var {
    let lower = tape.plus(b, -1.0);
    let dims = broadcast_dims(a.dims(), b.dims());
    let power = tape.op("Pow", &[a, &lower], &[], &dims);
    let slope = tape.mul(&power, b);
    let none = tape.compare_number("Equal", b, 0.0);
    let zero = tape.number(0.0);
    tape.choose(&none, &zero, &slope)
}
