//! Reductions over axes: sums, means, norms, products and extremes.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Dialect, Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

/// A reduction by the derivative of its result with respect to each element.
macro_rules! reduction {
    ($op:literal, $gradient:expr) => {
        reduction!($op, $gradient, as_it_is)
    };
    ($op:literal, $gradient:expr, $forward:expr) => {
        Rule {
            op: $op,
            forward: $forward,
            backward: |site, forward, dy, tape| spread(site, forward, dy, tape, $gradient),
            #[cfg(test)]
            cases: || cases($op),
        }
    };
}

pub(super) const RULES: &[Rule] = &[
    reduction!("ReduceSum", |over, tape| tape.expand(&over.dy, over.x.dims())),
    reduction!("ReduceMean", |over, tape| {
        let share = tape.scale(&over.dy, 1.0 / over.count() as f32);
        tape.expand(&share, over.x.dims())
    }),
    reduction!("ReduceMax", among_equals),
    reduction!("ReduceMin", among_equals),
    reduction!("ReduceL1", |over, tape| {
        let sign = tape.unary("Sign", &over.x);
        tape.mul(&sign, &over.dy)
    }),
    reduction!("ReduceL2", l2),
    reduction!("ReduceSumSquare", |over, tape| {
        let twice = tape.scale(&over.dy, 2.0);
        tape.mul(&over.x, &twice)
    }),
    // 1 / Σx = e⁻ʸ
    reduction!("ReduceLogSum", |over, tape| {
        let negative = tape.neg(&over.y);
        let inverse = tape.unary("Exp", &negative);
        let share = tape.mul(&over.dy, &inverse);
        tape.expand(&share, over.x.dims())
    }),
    reduction!(
        "ReduceLogSumExp",
        |over, tape| {
            let below = tape.sub(&over.x, &over.y);
            let p = tape.unary("Exp", &below);
            tape.mul(&p, &over.dy)
        },
        log_sum_exp
    ),
    reduction!("ReduceProd", product),
];

#[cfg(test)]
fn cases(op: &'static str) -> Vec<Case> {
    let distinct = matches!(op, "ReduceMax" | "ReduceMin");
    let case = |dims: &'static [usize]| {
        Case::of(op, move |case| match op {
            _ if distinct => case.distinct("x", dims),
            "ReduceLogSum" => case.positive("x", dims),
            _ => case.varied("x", dims),
        })
    };
    let mut cases = vec![
        case(&[2, 3, 4, 5]).integers("axes", &[2, 3]),
        case(&[2, 3, 4]).integers("axes", &[-2]).with("keepdims", 0_i64),
        case(&[2, 3, 4]).integers("axes", &[2, 0]).with("keepdims", 0_i64),
        case(&[2, 3]),
        case(&[2, 3]).with("keepdims", 0_i64),
        case(&[2, 3]).integers("axes", &[]),
        case(&[6]).integers("axes", &[0]).with("keepdims", 0_i64),
        case(&[2, 1, 3]).integers("axes", &[1]),
    ];
    if op == "ReduceProd" {
        let zeros =
            |positions: &[usize]| case(&[2, 3]).with_values(positions, 0.0).integers("axes", &[1]);
        cases.extend([zeros(&[1]), zeros(&[0, 2]), zeros(&[0, 3, 4, 5])]);
    }
    if matches!(op, "ReduceSum" | "ReduceMean" | "ReduceMax") {
        cases.push(case(&[2, 3]).with("noop_with_empty_axes", 1_i64));
    }
    cases
}

/// A reduction with everything in the rank of its input.
struct Over {
    x: Var,
    /// The result, with extent 1 for what was reduced.
    y: Var,
    dy: Var,
    axes: Vec<usize>,
}

impl Over {
    /// Elements that go into each result.
    fn count(&self) -> usize {
        self.axes.iter().map(|&axis| self.x.dims()[axis]).product()
    }
}

fn spread(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
    gradient: fn(&Over, &mut Tape) -> Var,
) -> Result<Gradients, Refusal> {
    let x = site.input(0)?.clone();
    let axes = reduced_axes(site)?;
    let mut kept = x.dims().to_vec();
    for &axis in &axes {
        kept[axis] = 1;
    }
    let (y, dy) = (tape.reshape(&forward.outputs[0], &kept), tape.reshape(dy, &kept));
    Ok(vec![Some(gradient(&Over { x, y, dy, axes }, tape)), None])
}

/// The axes it goes over: all of them if none are named, unless that means to do nothing.
fn reduced_axes(site: &Site<'_>) -> Result<Vec<usize>, Refusal> {
    let rank = site.input(0)?.rank();
    match site.integers(1)? {
        Some(axes) if !axes.is_empty() => {
            axes.into_iter().map(|axis| site.axis(axis, rank)).collect()
        }
        _ if site.node.int("noop_with_empty_axes") == Some(1) => Ok(vec![]),
        _ => Ok((0..rank).collect()),
    }
}

/// The largest (or smallest) element takes all; equal ones share it evenly, as in `torch.amax`.
fn among_equals(over: &Over, tape: &mut Tape) -> Var {
    let chosen = tape.equal(&over.x, &over.y);
    let count = tape.reduce_sum(&chosen, &over.axes);
    let share = tape.div(&over.dy, &count);
    tape.mul(&chosen, &share)
}

/// dx = dy · x / y, and 0 where the norm is 0.
fn l2(over: &Over, tape: &mut Tape) -> Var {
    let none = tape.compare_number("Equal", &over.y, 0.0);
    let one = tape.number(1.0);
    let norm = tape.choose(&none, &one, &over.y);
    let share = tape.div(&over.dy, &norm);
    tape.mul(&over.x, &share)
}

/// Each element gets the product of the others, without dividing by a zero: the product of all that
/// are not zero over the element (if that is not zero), where no other is.
fn product(over: &Over, tape: &mut Tape) -> Var {
    let (zero, one) = (tape.number(0.0), tape.number(1.0));
    let is_zero = tape.compare("Equal", &over.x, &zero);
    let filled = tape.choose(&is_zero, &one, &over.x);
    let product = tape.reduce_product(&filled, &over.axes);
    let zeros = tape.as_floats(&is_zero);
    let all = tape.reduce_sum(&zeros, &over.axes);
    let others = tape.sub(&all, &zeros);
    let free = tape.equal(&others, &zero);
    let share = tape.mul(&over.dy, &product);
    let share = tape.div(&share, &filled);
    tape.mul(&share, &free)
}

/// The embedded backend's own operator takes exponentials as they are, which overflow; there it is
/// written out: max + ln Σ exp(x − max).
fn log_sum_exp(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let axes = reduced_axes(site)?;
    if tape.dialect() != Dialect::Embedded || axes.is_empty() {
        return as_it_is(site, tape);
    }
    let x = site.input(0)?;
    let most = tape.reduce_max(x, &axes);
    let below = tape.sub(x, &most);
    let exp = tape.unary("Exp", &below);
    let sum = tape.reduce_sum(&exp, &axes);
    let ln = tape.unary("Log", &sum);
    let y = tape.add(&most, &ln);
    let y = tape.reshape(&y, site.output());
    Ok(Forward { outputs: vec![y], ..Forward::default() })
}
