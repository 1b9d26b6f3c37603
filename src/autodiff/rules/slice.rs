//! Slice: the gradient goes back to where the values came from, zeros to the rest.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Part, Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "Slice",
    forward,
    backward,
    #[cfg(test)]
    cases: || {
        let bounds = |case: Case, starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]| {
            case.integers("starts", starts)
                .integers("ends", ends)
                .integers("axes", axes)
                .integers("steps", steps)
        };
        let x = |case: Case| case.varied("x", &[3, 7, 5]);
        vec![
            Case::of("Slice", |c| bounds(x(c), &[1, -4], &[6, 99], &[1, 2], &[1, 1])),
            Case::of("Slice", |c| bounds(x(c), &[1], &[7], &[1], &[2])),
            Case::of("Slice", |c| bounds(x(c), &[-1], &[-99], &[1], &[-1])),
            Case::of("Slice", |c| bounds(x(c), &[5], &[0], &[1], &[-2])),
        ]
    },
}];

fn forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    parts(site)?;
    as_it_is(site, tape)
}

fn backward(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let dims = site.input(0)?.dims().to_vec();
    let mut gradient = dy.clone();
    for (axis, part) in parts(site)? {
        gradient = spread(&gradient, axis, part, dims[axis], tape);
    }
    Ok(vec![Some(gradient), None, None, None, None])
}

/// Puts the entries of an axis back into one of `extent` zeros.
fn spread(dy: &Var, axis: usize, part: Part, extent: usize, tape: &mut Tape) -> Var {
    let mut part = part;
    let mut dy = dy.clone();
    if part.step < 0 {
        dy = tape.slice(&dy, &[axis], &[Part::reversed(part.count)]);
        let last = part.first as i64 + (part.count as i64 - 1) * part.step;
        part = Part { first: last as usize, count: part.count, step: -part.step };
    }
    let step = part.step as usize;
    if step > 1 {
        dy = between_zeros(&dy, axis, step, tape);
    }
    let used = (part.count - 1) * step + 1;
    let amount = |value: usize| {
        let mut amounts = vec![0; dy.rank()];
        amounts[axis] = value;
        amounts
    };
    tape.pad(&dy, &amount(part.first), &amount(extent - part.first - used))
}

/// `step − 1` zeros between each two entries of an axis.
fn between_zeros(dy: &Var, axis: usize, step: usize, tape: &mut Tape) -> Var {
    let mut wide = dy.dims().to_vec();
    wide.insert(axis + 1, 1);
    let count = dy.dims()[axis];
    let dy = tape.reshape(dy, &wide);
    let mut after = vec![0; wide.len()];
    after[axis + 1] = step - 1;
    let padded = tape.pad(&dy, &vec![0; wide.len()], &after);
    let mut long = wide;
    long.remove(axis + 1);
    long[axis] = count * step;
    let long = tape.reshape(&padded, &long);
    tape.slice(&long, &[axis], &[Part::run(0, (count - 1) * step + 1)])
}

/// The parts of axes that are taken, as ONNX reads starts, ends and steps.
fn parts(site: &Site<'_>) -> Result<Vec<(usize, Part)>, Refusal> {
    let dims = site.input(0)?.dims();
    let starts = site.integers(1)?.unwrap_or_default();
    let ends = site.integers(2)?.unwrap_or_default();
    let axes = site.integers(3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = site.integers(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    let mut parts = Vec::new();
    for index in 0..starts.len() {
        let axis = site.axis(axes[index], dims.len())?;
        let (extent, step) = (dims[axis] as i64, steps[index]);
        let from_end = |value: i64| if value < 0 { value.saturating_add(extent) } else { value };
        let (low, high) = if step > 0 { (0, extent) } else { (-1, extent - 1) };
        let start = from_end(starts[index]).clamp(low.max(0), high);
        let end = from_end(ends[index]).clamp(low, high);
        let count = (end - start + step - step.signum()) / step;
        if count <= 0 {
            return Err(site.refuse("it takes nothing"));
        }
        parts.push((axis, Part { first: start as usize, count: count as usize, step }));
    }
    Ok(parts)
}
