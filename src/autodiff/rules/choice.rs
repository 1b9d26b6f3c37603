//! `Where`: one tensor or the other, by a mask.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "Where",
    forward: as_it_is,
    backward,
    #[cfg(test)]
    cases: || {
        let mask = |case: Case, dims: &[usize]| {
            let values: Vec<bool> = (0..dims.iter().product()).map(|i| i % 3 == 0).collect();
            case.mask("mask", dims, &values)
        };
        vec![
            Case::of("Where", |c| mask(c, &[2, 3]).varied("a", &[2, 3]).varied("b", &[2, 3])),
            Case::of("Where", |c| mask(c, &[3, 1]).varied("a", &[2, 1, 4]).varied("b", &[4])),
            Case::of("Where", |c| mask(c, &[2, 3]).varied("a", &[3]).number("b", -1e9)),
            Case::of("Where", |c| mask(c, &[1, 3]).number("a", 2.0).varied("b", &[2, 1])),
        ]
    },
}];

/// Each gets the gradient where it was taken, and 0 elsewhere.
fn backward(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let (mask, zero) = (site.input(0)?, tape.number(0.0));
    let a = match site.wants(1) {
        true => {
            let taken = tape.choose(mask, dy, &zero);
            Some(tape.unbroadcast(&taken, site.input(1)?.dims()))
        }
        false => None,
    };
    let b = match site.wants(2) {
        true => {
            let taken = tape.choose(mask, &zero, dy);
            Some(tape.unbroadcast(&taken, site.input(2)?.dims()))
        }
        false => None,
    };
    Ok(vec![None, a, b])
}
