//! Sums, means and extremes of any number of tensors, broadcast.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "Sum",
        forward: as_it_is,
        backward: |site, _, dy, tape| shares(site, dy, tape),
        #[cfg(test)]
        cases: || cases("Sum"),
    },
    Rule {
        op: "Mean",
        forward: as_it_is,
        backward: mean,
        #[cfg(test)]
        cases: || cases("Mean"),
    },
    Rule {
        op: "Max",
        forward: as_it_is,
        backward: among_equals,
        #[cfg(test)]
        cases: || cases("Max"),
    },
    Rule {
        op: "Min",
        forward: as_it_is,
        backward: among_equals,
        #[cfg(test)]
        cases: || cases("Min"),
    },
];

#[cfg(test)]
fn cases(op: &'static str) -> Vec<Case> {
    vec![
        Case::of(op, |case| case.varied("a", &[2, 3])),
        Case::of(op, |case| case.varied("a", &[2, 3, 4]).varied("b", &[2, 3, 4]).moved(1.0, 0.05)),
        Case::of(op, |case| case.varied("a", &[2, 3, 4]).number("b", 0.6)),
        Case::of(op, |case| {
            let case = case.distinct("a", &[2, 1, 4]).distinct("b", &[3, 1]).moved(1.0, 0.03);
            case.distinct("c", &[4]).moved(1.0, 0.06)
        }),
    ]
}

/// Each tensor gets the gradient as it is.
fn shares(site: &Site<'_>, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let one = |position| match site.wants(position) {
        true => Ok(Some(tape.unbroadcast(dy, site.input(position)?.dims()))),
        false => Ok(None),
    };
    (0..site.inputs.len()).map(one).collect()
}

fn mean(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let share = tape.scale(dy, 1.0 / site.inputs.len() as f32);
    shares(site, &share, tape)
}

/// The largest (or smallest) tensor takes all, element by element; equal ones share it evenly, as
/// `torch.maximum` does.
fn among_equals(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let y = &forward.outputs[0];
    let mut chosen = Vec::new();
    for position in 0..site.inputs.len() {
        chosen.push(tape.equal(site.input(position)?, y));
    }
    let mut count = chosen[0].clone();
    for more in &chosen[1..] {
        count = tape.add(&count, more);
    }
    let share = tape.div(dy, &count);
    let mut gradients = Vec::new();
    for (position, chosen) in chosen.iter().enumerate() {
        gradients.push(match site.wants(position) {
            true => {
                let gradient = tape.mul(chosen, &share);
                Some(tape.unbroadcast(&gradient, site.input(position)?.dims()))
            }
            false => None,
        });
    }
    Ok(gradients)
}
