//! Concat: each input gets its own stretch of the gradient.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Part, Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "Concat",
    forward: as_it_is,
    backward,
    #[cfg(test)]
    cases: || {
        let two = |case: Case| case.varied("a", &[2, 3, 4]).varied("b", &[2, 1, 4]);
        vec![
            Case::of("Concat", |case| two(case).with("axis", 1_i64)),
            Case::of("Concat", |case| two(case).with("axis", -2_i64)),
        ]
    },
}];

fn backward(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let axis = site.axis(site.node.int("axis").unwrap_or(0), dy.rank())?;
    let mut start = 0;
    let mut gradients = Vec::new();
    for (position, input) in site.inputs.iter().enumerate() {
        let extent = input.as_ref().map_or(0, |input| input.dims()[axis]);
        let part = Part::run(start, extent);
        gradients.push(site.wants(position).then(|| tape.slice(dy, &[axis], &[part])));
        start += extent;
    }
    Ok(gradients)
}
