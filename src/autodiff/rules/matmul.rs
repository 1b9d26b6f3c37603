//! `MatMul` over the last two axes, the axes before broadcast; a vector is a row or a column.

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
            shapes(&[2, 3, 4], &[1, 4, 5]),
            shapes(&[1, 3, 4], &[2, 4, 5]),
            shapes(&[4], &[4]).library_only("no product of two vectors"),
            shapes(&[4], &[4, 5]),
            shapes(&[3, 4], &[4]),
            shapes(&[4], &[2, 4, 5]),
            shapes(&[2, 3, 4], &[4]),
        ]
    },
}];

/// dA = dy Bᵀ, dB = Aᵀ dy, summed over broadcast axes.
fn backward(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let (a, b) = (site.input(0)?.clone(), site.input(1)?.clone());
    let (row, column) = (with_axis(&a, 0, tape), with_axis(&b, 1, tape));
    let mut dims = dy.dims().to_vec();
    if b.rank() == 1 {
        dims.push(1);
    }
    if a.rank() == 1 {
        dims.insert(dims.len() - 1, 1);
    }
    let dy = tape.reshape(dy, &dims);
    let da = site.wants(0).then(|| {
        let turned = tape.turned(&column);
        let full = tape.matmul(&dy, &turned);
        let summed = tape.unbroadcast(&full, row.dims());
        tape.reshape(&summed, a.dims())
    });
    let db = site.wants(1).then(|| {
        let gradient = if column.rank() == 2 && row.rank() > 2 {
            weights_of_a_batch(&row, &dy, tape)
        } else {
            let turned = tape.turned(&row);
            let full = tape.matmul(&turned, &dy);
            tape.unbroadcast(&full, column.dims())
        };
        tape.reshape(&gradient, b.dims())
    });
    Ok(vec![da, db])
}

/// A vector as a matrix with an axis of extent 1 at a place; a matrix as it is.
fn with_axis(x: &Var, place: usize, tape: &mut Tape) -> Var {
    if x.rank() > 1 {
        return x.clone();
    }
    let mut dims = x.dims().to_vec();
    dims.insert(place, 1);
    tape.reshape(x, &dims)
}

/// One product over all rows instead of a product per item and a sum.
fn weights_of_a_batch(a: &Var, dy: &Var, tape: &mut Tape) -> Var {
    let rows = |x: &Var| x.dims()[..x.rank() - 1].iter().product::<usize>();
    let flat = |x: &Var, tape: &mut Tape| {
        let dims = [rows(x), x.dims()[x.rank() - 1]];
        tape.reshape(x, &dims)
    };
    let (a, dy) = (flat(a, tape), flat(dy, tape));
    let turned = tape.turned(&a);
    tape.matmul(&turned, &dy)
}
