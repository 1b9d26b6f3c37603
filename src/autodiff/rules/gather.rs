//! Gather and its relatives: the gradient is added up where the values came from.
//!
//! Sums go through `ScatterElements`, which adds in the order of the entries and so gives the same
//! bits every time.

use crate::onnx::graph::{Attribute, INT64};
use crate::onnx::tensor::{Data, Tensor, elements};

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var, signed};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "Gather",
        forward: as_it_is,
        backward: gather,
        #[cfg(test)]
        cases: gather_cases,
    },
    Rule {
        op: "GatherElements",
        forward: as_it_is,
        backward: gather_elements,
        #[cfg(test)]
        cases: gather_elements_cases,
    },
    Rule {
        op: "GatherND",
        forward: as_it_is,
        backward: gather_nd,
        #[cfg(test)]
        cases: gather_nd_cases,
    },
];

/// Places as 64-bit whole numbers.
pub(super) fn places(indices: &Var, tape: &mut Tape) -> Var {
    tape.op("Cast", &[indices], &[("to", i64::from(INT64).into())], indices.dims())
}

/// Zeros of this shape with `values` added along `axis` at `places`, which have their shape.
pub(super) fn added(
    dims: &[usize],
    axis: usize,
    places: &Var,
    values: &Var,
    tape: &mut Tape,
) -> Var {
    let zeros = tape.zeros(dims);
    let settings = [("axis", Attribute::Int(axis as i64)), ("reduction", "add".into())];
    tape.op("ScatterElements", &[&zeros, places, values], &settings, dims)
}

/// One place per entry of `axis`, or a slice of a scalar place.
fn gather(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let dims = site.input(0)?.dims().to_vec();
    let indices = site.input(1)?.clone();
    let axis = site.axis(site.node.int("axis").unwrap_or(0), dims.len())?;
    let mut long = dims.clone();
    long[axis] = elements(indices.dims());
    let dy = tape.reshape(dy, &long);
    if let (1, Some([place])) = (long[axis], site.integers(1).ok().flatten().as_deref()) {
        let extent = dims[axis];
        let place = if *place < 0 { *place + extent as i64 } else { *place } as usize;
        let (mut before, mut after) = (vec![0; dims.len()], vec![0; dims.len()]);
        (before[axis], after[axis]) = (place, extent - 1 - place);
        return Ok(vec![Some(tape.pad(&dy, &before, &after)), None]);
    }
    let mut row = vec![1; dims.len()];
    row[axis] = long[axis];
    let indices = places(&indices, tape);
    let indices = tape.reshape(&indices, &row);
    let indices = tape.expand(&indices, &long);
    Ok(vec![Some(added(&dims, axis, &indices, &dy, tape)), None])
}

fn gather_elements(
    site: &Site<'_>,
    _: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let dims = site.input(0)?.dims().to_vec();
    let axis = site.axis(site.node.int("axis").unwrap_or(0), dims.len())?;
    let indices = places(&site.input(1)?.clone(), tape);
    Ok(vec![Some(added(&dims, axis, &indices, dy, tape)), None])
}

/// Rows of the data taken as rows × rest, each named by the last axis of the indices.
fn gather_nd(
    site: &Site<'_>,
    _: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let dims = site.input(0)?.dims().to_vec();
    let batch = site.node.int("batch_dims").unwrap_or(0).max(0) as usize;
    let indices = site.input(1)?.clone();
    let depth = indices.dims().last().copied().unwrap_or(1);
    let named = batch + depth;
    let rows = flat_places(&indices, &dims, batch, tape);
    let (height, width) = (elements(&dims[..named]), elements(&dims[named..]));
    let count = elements(rows.dims());
    let rows = tape.reshape(&rows, &[count, 1]);
    let rows = tape.expand(&rows, &[count, width]);
    let dy = tape.reshape(dy, &[count, width]);
    let flat = added(&[height, width], 0, &rows, &dy, tape);
    Ok(vec![Some(tape.reshape(&flat, &dims)), None])
}

/// The row that each tuple of places on axes `batch..` names, counted over the axes before too.
fn flat_places(indices: &Var, dims: &[usize], batch: usize, tape: &mut Tape) -> Var {
    let shape = indices.dims().to_vec();
    let (depth, before) = (shape[shape.len() - 1], &shape[..shape.len() - 1]);
    let extents = &dims[batch..batch + depth];
    let strides: Vec<i64> = (0..depth).map(|axis| elements(&extents[axis + 1..]) as i64).collect();
    let indices = places(indices, tape);
    // Negative places count from the end.
    let zero = tape.integers(&[0]);
    let negative = tape.op("Less", &[&indices, &zero], &[], &shape);
    let negative = places(&negative, tape);
    let extents_row = tape.integers(&signed(extents));
    let shift = tape.op("Mul", &[&negative, &extents_row], &[], &shape);
    let indices = tape.op("Add", &[&indices, &shift], &[], &shape);
    let strides = tape.integers(&strides);
    let steps = tape.op("Mul", &[&indices, &strides], &[], &shape);
    let last = tape.integers(&[-1]);
    let rows = tape.op("ReduceSum", &[&steps, &last], &[("keepdims", 0_i64.into())], before);
    if batch == 0 {
        return rows;
    }
    let (items, per_item) = (elements(&dims[..batch]), elements(extents));
    let starts = Data::I64((0..items).map(|item| (item * per_item) as i64).collect());
    let starts = tape.constant(Tensor { dims: vec![items, 1], data: starts });
    let each = elements(before) / items.max(1);
    let rows = tape.reshape(&rows, &[items, each]);
    tape.op("Add", &[&rows, &starts], &[], &[items, each])
}

#[cfg(test)]
fn gather_cases() -> Vec<Case> {
    let of = |dims: &'static [usize], values: &'static [i64], axis: i64| {
        Case::of("Gather", move |c| {
            c.varied("x", &[4, 3, 5]).table("indices", dims, values).with("axis", axis)
        })
    };
    vec![
        of(&[3], &[2, 0, 2], 0),
        of(&[2, 2], &[3, 0, -1, 3], 0),
        of(&[2, 2], &[1, 0, 2, 1], 1),
        of(&[2], &[4, 0], -1),
        of(&[], &[0], 1),
        of(&[], &[-2], 2),
        of(&[1], &[1], 0),
    ]
}

#[cfg(test)]
fn gather_elements_cases() -> Vec<Case> {
    vec![
        Case::of("GatherElements", |c| {
            let c = c.varied("x", &[3, 3]).table("indices", &[2, 3], &[1, 2, 0, 2, 2, 0]);
            c.with("axis", 0_i64)
        }),
        Case::of("GatherElements", |c| {
            let c = c.varied("x", &[2, 4]).table("indices", &[2, 3], &[1, -1, 0, 2, 2, 0]);
            c.with("axis", 1_i64)
        }),
    ]
}

#[cfg(test)]
fn gather_nd_cases() -> Vec<Case> {
    vec![
        Case::of("GatherND", |c| {
            c.varied("x", &[2, 3, 4]).table("indices", &[3, 2], &[0, 1, 1, 2, 0, 1])
        }),
        Case::of("GatherND", |c| {
            c.varied("x", &[2, 3])
                .table("indices", &[2, 2], &[0, -1, 1, 1])
                .aborts_when_embedded("negative places end the process there")
        }),
        Case::of("GatherND", |c| c.varied("x", &[3, 4]).table("indices", &[2, 1], &[2, 0])),
        Case::of("GatherND", |c| {
            let c = c.varied("x", &[2, 3, 4]).table("indices", &[2, 2, 1], &[1, 0, 2, 2]);
            c.with("batch_dims", 1_i64)
        }),
    ]
}
