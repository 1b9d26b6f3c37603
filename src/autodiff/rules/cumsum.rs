//! `CumSum`: running sums along an axis.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};
use crate::onnx::tensor::{Data, Tensor};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "CumSum",
    forward: as_it_is,
    backward,
    #[cfg(test)]
    cases: || {
        let case = |axis: i64| {
            Case::of("CumSum", move |case| case.varied("x", &[2, 3, 4]).integer("axis", axis))
        };
        vec![
            case(0),
            case(-1),
            case(1).with("exclusive", 1_i64),
            case(1).with("reverse", 1_i64),
            case(2).with("reverse", 1_i64).with("exclusive", 1_i64),
        ]
    },
}];

/// Each element went into all sums from it on: the gradient sums from the other end.
fn backward(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let axis = site.integers(1)?.and_then(|axis| axis.first().copied());
    let axis = site.axis(axis.ok_or_else(|| site.refuse("it has no axis"))?, dy.rank())?;
    let axis = tape.constant(Tensor { dims: vec![], data: Data::I64(vec![axis as i64]) });
    let flag = |key| i64::from(site.node.int(key) == Some(1));
    let settings =
        [("exclusive", flag("exclusive").into()), ("reverse", (1 - flag("reverse")).into())];
    Ok(vec![Some(tape.op("CumSum", &[dy, &axis], &settings, dy.dims())), None])
}
