//! Relatives of Relu: one slope above zero, another function below.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Dialect, Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "LeakyRelu",
        forward: as_it_is,
        backward: leaky,
        #[cfg(test)]
        cases: || with_settings("LeakyRelu", &[("alpha", 0.3)]),
    },
    Rule {
        op: "PRelu",
        forward: as_it_is,
        backward: p_relu,
        #[cfg(test)]
        cases: || {
            let shapes = |x: &'static [usize], slope: &'static [usize]| {
                Case::of("PRelu", move |case| case.varied("x", x).varied("slope", slope))
            };
            vec![
                shapes(&[2, 3, 4, 2], &[3, 1, 1]),
                shapes(&[2, 3, 4], &[1]),
                shapes(&[2, 3], &[2, 3]),
                shapes(&[2, 3, 4], &[1, 3, 1]),
            ]
        },
    },
    Rule {
        op: "Elu",
        forward: as_it_is,
        backward: elu,
        #[cfg(test)]
        cases: || with_settings("Elu", &[("alpha", 0.7)]),
    },
    Rule {
        op: "Selu",
        forward: as_it_is,
        backward: selu,
        #[cfg(test)]
        cases: || with_settings("Selu", &[("alpha", 1.3), ("gamma", 0.9)]),
    },
    Rule {
        op: "Celu",
        forward: celu_forward,
        backward: celu,
        #[cfg(test)]
        cases: || {
            let mut cases = with_settings("Celu", &[("alpha", 0.7)]).into_iter();
            let wrong = "α is not divided by inside";
            cases.next().into_iter().chain(cases.map(|c| c.wrong_when_embedded(wrong))).collect()
        },
    },
    Rule {
        op: "ThresholdedRelu",
        forward: as_it_is,
        backward: thresholded,
        #[cfg(test)]
        cases: || {
            let case = || Case::of("ThresholdedRelu", |case| case.varied("x", &[2, 3, 4]));
            vec![case().with("alpha", 0.6_f32), case().moved(1.0, 0.4), case().with("alpha", 0_f32)]
        },
    },
    Rule {
        op: "Shrink",
        forward: as_it_is,
        backward: shrink,
        #[cfg(test)]
        cases: || {
            let case = |bound: f32| {
                let case = Case::of("Shrink", |case| case.varied("x", &[2, 3, 4]));
                case.with("lambd", bound)
            };
            vec![case(0.6), case(0.6).with("bias", 0.2_f32)]
        },
    },
];

/// A case with a function's own settings, and one with others.
#[cfg(test)]
fn with_settings(op: &'static str, settings: &'static [(&'static str, f32)]) -> Vec<Case> {
    let case = || Case::of(op, |case| case.varied("x", &[2, 3, 4]));
    let set = settings.iter().fold(case(), |case, (key, value)| case.with(key, *value));
    vec![case(), set]
}

/// dx = dy where x > 0, else dy · slope. The slope may be a number or a tensor.
fn below_zero(x: &Var, slope: &Var, dy: &Var, tape: &mut Tape) -> Var {
    let positive = tape.compare_number("Greater", x, 0.0);
    let below = tape.mul(dy, slope);
    tape.choose(&positive, dy, &below)
}

fn leaky(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let slope = tape.number(site.node.float("alpha").unwrap_or(0.01));
    Ok(vec![Some(below_zero(site.input(0)?, &slope, dy, tape))])
}

/// The slope gets Σ dy x over all x below zero that it served.
fn p_relu(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let (x, slope) = (site.input(0)?.clone(), site.input(1)?.clone());
    let dx = site.wants(0).then(|| below_zero(&x, &slope, dy, tape));
    let slope_gradient = site.wants(1).then(|| {
        let zero = tape.number(0.0);
        let dims = x.dims().to_vec();
        let below = tape.op("Min", &[&x, &zero], &[], &dims);
        let along = tape.mul(dy, &below);
        tape.unbroadcast(&along, slope.dims())
    });
    Ok(vec![dx, slope_gradient])
}

/// y = α (eˣ − 1) below zero, so y' = y + α there.
fn elu(site: &Site<'_>, f: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let slope = tape.plus(&f.outputs[0], site.node.float("alpha").unwrap_or(1.0));
    Ok(vec![Some(below_zero(site.input(0)?, &slope, dy, tape))])
}

/// y = γ x, or γ α (eˣ − 1) below zero, so y' = γ or y + γ α.
fn selu(site: &Site<'_>, f: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let alpha = site.node.float("alpha").unwrap_or(1.673_263_2);
    let gamma = site.node.float("gamma").unwrap_or(1.050_701);
    let below = tape.plus(&f.outputs[0], gamma * alpha);
    let above = tape.number(gamma);
    let positive = tape.compare_number("Greater", site.input(0)?, 0.0);
    let slope = tape.choose(&positive, &above, &below);
    Ok(vec![Some(tape.mul(dy, &slope))])
}

/// The embedded backend's own operator is right for α = 1 alone; for others it is written out:
/// max(x, 0) + min(0, α (e^(x/α) − 1)).
fn celu_forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let alpha = site.node.float("alpha").unwrap_or(1.0);
    if tape.dialect() != Dialect::Embedded || alpha.to_bits() == 1.0_f32.to_bits() {
        return as_it_is(site, tape);
    }
    let (x, zero) = (site.input(0)?, tape.number(0.0));
    let scaled = tape.scale(x, 1.0 / alpha);
    let exp = tape.unary("Exp", &scaled);
    let less = tape.plus(&exp, -1.0);
    let below = tape.scale(&less, alpha);
    let below = tape.op("Min", &[&below, &zero], &[], x.dims());
    let above = tape.op("Max", &[x, &zero], &[], x.dims());
    Ok(Forward { outputs: vec![tape.add(&above, &below)], ..Forward::default() })
}

/// y = α (e^(x/α) − 1) below zero, so y' = y/α + 1 there.
fn celu(site: &Site<'_>, f: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let share = tape.scale(&f.outputs[0], 1.0 / site.node.float("alpha").unwrap_or(1.0));
    let slope = tape.plus(&share, 1.0);
    Ok(vec![Some(below_zero(site.input(0)?, &slope, dy, tape))])
}

/// y = x above the threshold, else 0.
fn thresholded(
    site: &Site<'_>,
    _: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let threshold = tape.number(site.node.float("alpha").unwrap_or(1.0));
    let open = tape.greater(site.input(0)?, &threshold);
    Ok(vec![Some(tape.mul(dy, &open))])
}

/// y = x moved towards 0 outside of ±λ, 0 inside.
fn shrink(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let bound = tape.number(site.node.float("lambd").unwrap_or(0.5));
    let size = tape.unary("Abs", site.input(0)?);
    let open = tape.greater(&size, &bound);
    Ok(vec![Some(tape.mul(dy, &open))])
}
