//! Pad with a constant: the gradient of what was added falls away.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Part, Tape, Var};
#[cfg(test)]
use super::suite::Case;
use super::{Rule, as_it_is};

pub(super) const RULES: &[Rule] = &[Rule {
    op: "Pad",
    forward,
    backward,
    #[cfg(test)]
    cases: || {
        vec![
            Case::of("Pad", |case| {
                case.varied("x", &[2, 3, 4]).integers("pads", &[0, 0, 1, 0, 2, 0])
            }),
            Case::of("Pad", |case| {
                case.varied("x", &[2, 3]).integers("pads", &[1, 0, 0, 1]).number("value", 0.5)
            }),
        ]
    },
}];

fn forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    amounts(site)?;
    as_it_is(site, tape)
}

fn backward(site: &Site<'_>, _: &Forward, dy: &Var, tape: &mut Tape) -> Result<Gradients, Refusal> {
    let before = amounts(site)?;
    let x = site.input(0)?;
    let axes: Vec<usize> = (0..x.rank()).collect();
    let parts: Vec<Part> =
        axes.iter().map(|&axis| Part::run(before[axis], x.dims()[axis])).collect();
    Ok(vec![Some(tape.slice(dy, &axes, &parts))])
}

/// What was added before each axis.
fn amounts(site: &Site<'_>) -> Result<Vec<usize>, Refusal> {
    let mode = site.node.text("mode").unwrap_or("constant");
    if mode != "constant" {
        return Err(site.refuse(format!("padding in mode `{mode}` has no gradient rule")));
    }
    if site.inputs.len() > 3 {
        return Err(site.refuse("padding of chosen axes has no gradient rule"));
    }
    let pads = site.integers(1)?.unwrap_or_default();
    let negative = |_| site.refuse("negative padding has no gradient rule");
    let pads: Result<Vec<usize>, _> = pads.into_iter().map(usize::try_from).collect();
    pads.map(|pads| pads[..pads.len() / 2].to_vec()).map_err(negative)
}
