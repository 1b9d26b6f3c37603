//! Pooling by a norm, y = (Σ |x|ᵖ)^(1/p), over windows or whole maps.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Dialect, Tape, Var};
use super::pool::{spread, window_of};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "LpPool",
        forward: as_it_is,
        backward: windows,
        #[cfg(test)]
        cases: window_cases,
    },
    Rule {
        op: "GlobalLpPool",
        forward: whole_forward,
        backward: whole,
        #[cfg(test)]
        cases: || {
            let wrong =
                "it divides by the number of positions, and takes roots of what is negative";
            let of =
                |x| Case::of("GlobalLpPool", |case| case.varied("x", x)).wrong_when_embedded(wrong);
            vec![
                of(&[2, 3, 4, 5]),
                of(&[2, 3, 4, 5]).with("p", 1_i64),
                of(&[2, 3, 4]).with("p", 3_i64),
                of(&[2, 3, 2, 3, 2]).with("p", 2_i64),
            ]
        },
    },
];

#[cfg(test)]
fn window_cases() -> Vec<Case> {
    let of = |x: &'static [usize], kernel: Vec<i64>, more: fn(Case) -> Case| {
        Case::of("LpPool", |c| more(c.varied("x", x).with("kernel_shape", kernel.clone())))
            .library_only("no LpPool")
    };
    vec![
        of(&[2, 3, 6, 4], vec![2, 2], |c| c.with("strides", vec![2_i64, 2])),
        of(&[2, 2, 5, 5], vec![3, 3], |c| {
            c.with("strides", vec![2_i64, 2]).with("pads", vec![1_i64, 1, 1, 1])
        }),
        of(&[1, 2, 5, 6], vec![3, 2], |c| c.with("p", 1_i64)),
        of(&[1, 2, 6, 5], vec![3, 2], |c| {
            c.with("p", 3_i64).with("strides", vec![2_i64, 1]).with("pads", vec![1_i64, 0, 0, 1])
        }),
        of(&[1, 2, 5, 6], vec![3, 3], |c| {
            c.with("strides", vec![2_i64, 2]).with("auto_pad", "SAME_UPPER")
        }),
        of(&[1, 2, 6, 6], vec![2, 2], |c| c.with("dilations", vec![2_i64, 3])),
        of(&[1, 2, 5, 6], vec![2, 2], |c| {
            c.with("strides", vec![2_i64, 2]).with("ceil_mode", 1_i64)
        }),
        of(&[2, 3, 7], vec![3], |c| c.with("strides", vec![2_i64]).with("p", 4_i64)),
        of(&[1, 2, 4, 3, 4], vec![2, 2, 2], |c| c.with("strides", vec![2_i64, 1, 2])),
    ]
}

/// Each entry gets of every window that it is in: dx = sign(x) |x|^(p−1) Σ dy / y^(p−1).
fn windows(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let (x, window, p) = (site.input(0)?.clone(), window_of(site)?, exponent(site)?);
    let share = share(&forward.outputs[0], dy, p, tape);
    let share = spread(&share, &window, &x, tape);
    Ok(vec![Some(along(&x, &share, p, tape))])
}

/// The operator; its formula where the backend takes it for another one.
fn whole_forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    if tape.dialect() != Dialect::Embedded {
        return as_it_is(site, tape);
    }
    let (x, p) = (site.input(0)?.clone(), exponent(site)?);
    let axes: Vec<usize> = (2..x.rank()).collect();
    let size = tape.unary("Abs", &x);
    let y = match p {
        1 => tape.reduce_sum(&size, &axes),
        _ => {
            let power = tape.power(&size, p as f32);
            let sum = tape.reduce_sum(&power, &axes);
            tape.power(&sum, 1.0 / p as f32)
        }
    };
    Ok(Forward { outputs: vec![y], ..Forward::default() })
}

/// dx = sign(x) |x|^(p−1) dy / y^(p−1)
fn whole(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let (x, p) = (site.input(0)?.clone(), exponent(site)?);
    let share = share(&forward.outputs[0], dy, p, tape);
    Ok(vec![Some(along(&x, &share, p, tape))])
}

fn exponent(site: &Site<'_>) -> Result<i64, Refusal> {
    match site.node.int("p").unwrap_or(2) {
        p if p >= 1 => Ok(p),
        p => Err(site.refuse(format!("there is no norm of p = {p}"))),
    }
}

/// dy / y^(p−1). Where the norm is 0, so is every x, and it is taken as 1.
fn share(y: &Var, dy: &Var, p: i64, tape: &mut Tape) -> Var {
    if p == 1 {
        return dy.clone();
    }
    let none = tape.compare_number("Equal", y, 0.0);
    let one = tape.number(1.0);
    let norm = tape.choose(&none, &one, y);
    let norm = if p == 2 { norm } else { tape.power(&norm, (p - 1) as f32) };
    tape.div(dy, &norm)
}

/// sign(x) |x|^(p−1) times a share that is broadcast.
fn along(x: &Var, share: &Var, p: i64, tape: &mut Tape) -> Var {
    let slope = match p {
        1 => tape.unary("Sign", x),
        2 => x.clone(),
        _ => {
            let (sign, size) = (tape.unary("Sign", x), tape.unary("Abs", x));
            let power = tape.power(&size, (p - 1) as f32);
            tape.mul(&sign, &power)
        }
    };
    tape.mul(&slope, share)
}
