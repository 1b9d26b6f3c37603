//! `MatMul` over the last two axes, the axes before broadcast.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "MatMul",
    forward: as_it_is,
    backward,
    #[cfg(test)]
    cases: || {
        let shapes = |a: &'static [usize], b: &'static [usize]| {
            Case::of("MatMul", move |case| case.varied("a", a).varied("b", b))
        };
        vec![
            shapes(&[3, 4], &[4, 5]),
            shapes(&[2, 3, 4], &[2, 4, 5]),
            shapes(&[2, 3, 4], &[4, 5]),
            shapes(&[3, 4], &[2, 4, 5]),
            shapes(&[2, 1, 3, 4], &[3, 4, 2]),
        ]
    },
}];

/// dA = dy Bᵀ, dB = Aᵀ dy, summed over broadcast axes.
fn backward(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let (a, b) = (site.input(0)?.clone(), site.input(1)?.clone());
    if a.rank() < 2 || b.rank() < 2 {
        return Err(site.refuse("a product with a vector has no gradient rule"));
    }
    let da = site.wants(0).then(|| {
        let turned = last_two_swapped(&b, tape);
        let full = tape.matmul(dy, &turned);
        tape.unbroadcast(&full, a.dims())
    });
    let db = site.wants(1).then(|| {
        if b.rank() == 2 && a.rank() > 2 {
            return weights_of_a_batch(&a, dy, tape);
        }
        let turned = last_two_swapped(&a, tape);
        let full = tape.matmul(&turned, dy);
        tape.unbroadcast(&full, b.dims())
    });
    Ok(vec![da, db])
}

/// One product over all rows instead of a product per item and a sum.
fn weights_of_a_batch(a: &Var, dy: &Var, tape: &mut Tape) -> Var {
    let rows = |x: &Var| x.dims()[..x.rank() - 1].iter().product::<usize>();
    let flat = |x: &Var, tape: &mut Tape| {
        let dims = [rows(x), x.dims()[x.rank() - 1]];
        tape.reshape(x, &dims)
    };
    let (a, dy) = (flat(a, tape), flat(dy, tape));
    let turned = tape.transpose(&a, &[1, 0]);
    tape.matmul(&turned, &dy)
}

fn last_two_swapped(x: &Var, tape: &mut Tape) -> Var {
    let mut order: Vec<usize> = (0..x.rank()).collect();
    let last = order.len() - 1;
    order.swap(last - 1, last);
    tape.transpose(x, &order)
}
