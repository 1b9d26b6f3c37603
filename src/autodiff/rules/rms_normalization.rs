//! `RMSNormalization` (opset 23): each item by its root mean square over the last axes.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
use super::Rule;
use super::standard::{Standard, over_root_mean_square};
#[cfg(test)]
use super::suite::Case;

pub(super) const RULES: &[Rule] = &[Rule {
    op: "RMSNormalization",
    forward,
    backward,
    #[cfg(test)]
    cases: || {
        let case = |dims: &'static [usize], scale: &'static [usize]| {
            Case::of("RMSNormalization", move |case| {
                case.opset(23).varied("x", dims).varied("scale", scale)
            })
        };
        vec![
            case(&[2, 3, 5], &[5]),
            case(&[2, 3, 4], &[3, 4]).with("axis", 1_i64).with("epsilon", 0.1_f32),
            case(&[4, 6], &[6]).with("axis", -1_i64),
        ]
    },
}];

fn axes(site: &Site<'_>) -> Result<Vec<usize>, Refusal> {
    let rank = site.input(0)?.rank();
    Ok((site.axis(site.node.int("axis").unwrap_or(-1), rank)?..rank).collect())
}

/// y = γ x / √(mean(x²) + ε)
fn forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let (x, axes) = (site.input(0)?, axes(site)?);
    let epsilon = site.node.float("epsilon").unwrap_or(1e-5);
    let Standard { normal, inverse } = over_root_mean_square(x, &axes, epsilon, tape);
    let y = tape.mul(&normal, site.input(1)?);
    Ok(Forward { outputs: vec![y], saved: vec![normal, inverse], ..Forward::default() })
}

/// With x̂ = x/r and g = dy · γ: dx = (g − x̂ mean(g x̂)) / r, dγ = Σ dy x̂ (Zhang & Sennrich 2019).
fn backward(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let [normal, inverse] = &forward.saved[..] else {
        return Err(site.refuse("its forward part is missing"));
    };
    let (scale, axes) = (site.input(1)?, axes(site)?);
    let standard = Standard { normal: normal.clone(), inverse: inverse.clone() };
    let dx = site.wants(0).then(|| {
        let g = tape.mul(dy, scale);
        standard.backward_uncentred(&g, &axes, tape)
    });
    let scale_gradient = site.wants(1).then(|| {
        let product = tape.mul(dy, normal);
        tape.unbroadcast(&product, scale.dims())
    });
    Ok(vec![dx, scale_gradient])
}
