//! Softmax inside a model. At the end of a model it belongs to the loss.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "Softmax",
    forward: as_it_is,
    backward,
    #[cfg(test)]
    cases: || {
        vec![
            Case::of("Softmax", |case| case.varied("x", &[3, 5])),
            Case::of("Softmax", |case| case.varied("x", &[2, 3, 4]).with("axis", 1_i64)),
        ]
    },
}];

/// dx = y · (dy − Σ dy y)
fn backward(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let y = &forward.outputs[0];
    let axis = site.axis(site.node.int("axis").unwrap_or(-1), y.rank())?;
    let product = tape.mul(dy, y);
    let sum = tape.reduce_sum(&product, &[axis]);
    let centred = tape.sub(dy, &sum);
    Ok(vec![Some(tape.mul(y, &centred))])
}
