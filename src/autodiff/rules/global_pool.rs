//! Pooling of whole maps: the mean or the maximum of all positions.

use crate::onnx::graph::{Attribute, INT64};
use crate::onnx::tensor::{Data, Tensor, elements};

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "GlobalAveragePool",
        forward: as_it_is,
        backward: average,
        #[cfg(test)]
        cases: || {
            vec![
                Case::of("GlobalAveragePool", |case| case.varied("x", &[2, 3, 4, 5])),
                Case::of("GlobalAveragePool", |case| case.varied("x", &[2, 3, 4])),
                Case::of("GlobalAveragePool", |case| case.varied("x", &[2, 3, 2, 3, 2])),
            ]
        },
    },
    Rule {
        op: "GlobalMaxPool",
        forward: as_it_is,
        backward: max,
        #[cfg(test)]
        cases: || {
            vec![
                Case::of("GlobalMaxPool", |case| case.distinct("x", &[2, 3, 4, 5])),
                Case::of("GlobalMaxPool", |case| case.distinct("x", &[2, 3, 4])),
            ]
        },
    },
];

/// dx = dy / (number of positions), everywhere.
fn average(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let dims = site.input(0)?.dims().to_vec();
    let share = tape.scale(dy, 1.0 / elements(&dims[2..]) as f32);
    Ok(vec![Some(tape.expand(&share, &dims))])
}

/// dx = dy at the first of the largest values of each map, as in max-pooling.
fn max(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let x = site.input(0)?.clone();
    let (items, channels, positions) = (x.dims()[0], x.dims()[1], elements(&x.dims()[2..]));
    let flat = tape.reshape(&x, &[items, channels, positions]);
    let settings = [("axis", Attribute::Int(2)), ("keepdims", Attribute::Int(1))];
    let place = tape.op("ArgMax", &[&flat], &settings, &[items, channels, 1]);
    let settings = [("to", Attribute::Int(i64::from(INT64)))];
    let place = tape.op("Cast", &[&place], &settings, &[items, channels, 1]);
    let all = Data::I64((0..positions as i64).collect());
    let all = tape.constant(Tensor { dims: vec![1, 1, positions], data: all });
    let is_place = tape.op("Equal", &[&all, &place], &[], flat.dims());
    let mask = tape.op("Cast", &[&is_place], &[("to", 1_i64.into())], flat.dims());
    let dy = tape.reshape(dy, &[items, channels, 1]);
    let dx = tape.mul(&mask, &dy);
    Ok(vec![Some(tape.reshape(&dx, x.dims()))])
}
