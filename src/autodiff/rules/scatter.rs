//! `ScatterND` and `ScatterElements`: what was written gets the gradient of where it went; what was
//! overwritten gets none.

use crate::onnx::graph::Attribute;

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "ScatterND",
        forward,
        backward: nd,
        #[cfg(test)]
        cases: || {
            let of = |indices: &'static [i64], reduction: &'static str| {
                Case::of("ScatterND", move |c| {
                    c.varied("x", &[3, 4, 2])
                        .table("indices", &[2, 2], indices)
                        .varied("updates", &[2, 2])
                        .with("reduction", reduction)
                })
            };
            vec![of(&[0, 1, 2, 3], "none"), of(&[0, 1, 2, 3], "add"), of(&[1, 1, 1, 1], "add")]
        },
    },
    Rule {
        op: "ScatterElements",
        forward,
        backward: elementwise,
        #[cfg(test)]
        cases: || {
            let of = |indices: &'static [i64], axis: i64, reduction: &'static str| {
                Case::of("ScatterElements", move |c| {
                    c.varied("x", &[3, 3])
                        .table("indices", &[2, 3], indices)
                        .varied("updates", &[2, 3])
                        .with("axis", axis)
                        .with("reduction", reduction)
                })
            };
            vec![
                of(&[1, 0, 2, 0, 2, 1], 0, "none"),
                of(&[1, 0, 2, 0, 2, 1], 1, "none"),
                of(&[1, 1, 1, 0, 2, 2], -1, "add"),
            ]
        },
    },
];

/// Whether written values are added to what was there.
fn adds(site: &Site<'_>) -> Result<bool, Refusal> {
    match site.node.text("reduction").unwrap_or("none") {
        "none" => Ok(false),
        "add" => Ok(true),
        other => Err(site.refuse(format!("reduction `{other}` has no gradient rule"))),
    }
}

fn forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    adds(site)?;
    as_it_is(site, tape)
}

fn nd(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let updates = site.input(2)?.dims().to_vec();
    let taken = |tape: &mut Tape, indices: &Var| tape.op("GatherND", &[dy, indices], &[], &updates);
    both(site, dy, &[], taken, tape)
}

fn elementwise(
    site: &Site<'_>,
    _: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let updates = site.input(2)?.dims().to_vec();
    let axis = site.axis(site.node.int("axis").unwrap_or(0), dy.rank())?;
    let settings = [("axis", Attribute::Int(axis as i64))];
    let taken = |tape: &mut Tape, indices: &Var| {
        tape.op("GatherElements", &[dy, indices], &settings, &updates)
    };
    both(site, dy, &settings, taken, tape)
}

fn both(
    site: &Site<'_>,
    dy: &Var,
    settings: &[(&str, Attribute)],
    taken: impl Fn(&mut Tape, &Var) -> Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let (indices, updates) = (site.input(1)?.clone(), site.input(2)?.dims().to_vec());
    let data = match (site.wants(0), adds(site)?) {
        (false, _) => None,
        (true, true) => Some(dy.clone()),
        (true, false) => {
            let zeros = tape.zeros(&updates);
            Some(tape.op(&site.node.op, &[dy, &indices, &zeros], settings, dy.dims()))
        }
    };
    let written = site.wants(2).then(|| taken(tape, &indices));
    Ok(vec![data, None, written])
}
