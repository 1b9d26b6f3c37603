//! `Trilu`: a triangle of a matrix, the rest 0.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "Trilu",
    forward: as_it_is,
    backward,
    #[cfg(test)]
    cases: || {
        let case = || Case::of("Trilu", |case| case.varied("x", &[2, 3, 4]));
        vec![
            case(),
            case().with("upper", 0_i64),
            case().integer("k", 1),
            case().integer("k", -1).with("upper", 0_i64),
        ]
    },
}];

/// The same triangle of the gradient.
#[expect(clippy::unnecessary_wraps, reason = "every rule has the same signature")]
fn backward(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let inputs: Vec<&Var> = std::iter::once(dy).chain(site.inputs[1..].iter().flatten()).collect();
    let upper = site.node.int("upper").unwrap_or(1);
    let dx = tape.op("Trilu", &inputs, &[("upper", upper.into())], dy.dims());
    Ok(vec![Some(dx), None])
}
