//! Split: the gradients of the pieces are put together again.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var, signed};
use super::Rule;
#[cfg(test)]
use super::suite::Case;

pub(super) const RULES: &[Rule] = &[Rule {
    op: "Split",
    forward,
    backward,
    #[cfg(test)]
    cases: || {
        let x = |case: Case| case.varied("x", &[2, 5, 3]);
        let three = ["a", "b", "c"];
        vec![
            Case::of("Split", |c| {
                x(c).integers("split", &[1, 3, 1]).with("axis", 1_i64).outputs(&three, 3)
            }),
            Case::of("Split", |c| {
                x(c).integers("split", &[2, 1]).with("axis", -1_i64).outputs(&["a", "b"], 2)
            }),
            // The last piece is smaller.
            Case::of("Split", |c| {
                x(c).with("num_outputs", 3_i64).with("axis", 1_i64).outputs(&three, 3)
            }),
            // A piece that leads nowhere has no gradient.
            Case::of("Split", |c| {
                x(c).integers("split", &[1, 3, 1]).with("axis", 1_i64).outputs(&three, 1)
            }),
            Case::of("Split", |c| {
                x(c).integers("split", &[1, 1]).with("axis", 0_i64).outputs(&["a", "b"], 2)
            }),
        ]
    },
}];

/// The pieces by their sizes as they were seen.
fn forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let x = site.input(0)?.clone();
    let axis = site.axis(site.node.int("axis").unwrap_or(0), x.rank())?;
    let sizes: Vec<usize> = site.output_dims.iter().map(|dims| dims[axis]).collect();
    let sizes = tape.integers(&signed(&sizes));
    let dims: Vec<&[usize]> = site.output_dims.iter().map(Vec::as_slice).collect();
    let outputs = tape.many("Split", &[&x, &sizes], &[("axis", (axis as i64).into())], &dims);
    Ok(Forward { outputs, ..Forward::default() })
}

fn backward(site: &Site<'_>, _: &Forward, _: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let rank = site.input(0)?.rank();
    let axis = site.axis(site.node.int("axis").unwrap_or(0), rank)?;
    let pieces: Vec<Var> =
        (0..site.output_dims.len()).map(|output| site.gradient(output, tape)).collect();
    Ok(vec![Some(tape.concat(&pieces.iter().collect::<Vec<_>>(), axis)), None])
}
