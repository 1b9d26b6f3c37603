//! `TopK`: the largest (or smallest) values along an axis, and where they lie.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "TopK",
    forward: as_it_is,
    backward,
    #[cfg(test)]
    cases: || {
        let case = || {
            let case = Case::of("TopK", |case| case.distinct("x", &[2, 5, 3]));
            case.outputs(&["y", "places"], 1)
        };
        vec![
            case().integers("k", &[2]),
            case().integers("k", &[3]).with("axis", 1_i64).with("largest", 0_i64),
            case().integers("k", &[1]).with("axis", -3_i64),
        ]
    },
}];

/// Each value's gradient goes to where it was taken from; the places themselves have none.
fn backward(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let places = forward.outputs.get(1).filter(|places| !places.name().is_empty());
    let places = places.ok_or_else(|| site.refuse("it does not tell the places of its values"))?;
    let x = site.input(0)?;
    let axis = site.axis(site.node.int("axis").unwrap_or(-1), x.rank())?;
    let zero = tape.number(0.0);
    let zeros = tape.expand(&zero, x.dims());
    let settings = [("axis", (axis as i64).into())];
    let dx = tape.op("ScatterElements", &[&zeros, places, dy], &settings, x.dims());
    Ok(vec![Some(dx), None])
}
