//! `ReduceMean`: each element gets an equal share of the gradient.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "ReduceMean",
    forward: as_it_is,
    backward,
    #[cfg(test)]
    cases: || {
        vec![
            Case::of("ReduceMean", |case| {
                case.varied("x", &[2, 3, 4, 5]).integers("axes", &[2, 3])
            }),
            Case::of("ReduceMean", |case| {
                case.varied("x", &[2, 3, 4]).integers("axes", &[-2]).with("keepdims", 0_i64)
            }),
        ]
    },
}];

fn backward(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let dims = site.input(0)?.dims().to_vec();
    let axes = match site.integers(1)? {
        Some(axes) => axes,
        None if site.node.int("noop_with_empty_axes") == Some(1) => vec![],
        None => (0..dims.len() as i64).collect(),
    };
    let mut kept = dims.clone();
    let mut count = 1;
    for axis in axes {
        let axis = site.axis(axis, dims.len())?;
        count *= dims[axis];
        kept[axis] = 1;
    }
    let share = tape.scale(dy, 1.0 / count as f32);
    let share = tape.reshape(&share, &kept);
    Ok(vec![Some(tape.expand(&share, &dims)), None])
}
