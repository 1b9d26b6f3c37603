//! Normalisations of each item by itself, with one weight for each channel or group:
//! `InstanceNormalization`, `GroupNormalization`, and `MeanVarianceNormalization` without weights.

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Tape, Var};
use super::Rule;
use super::standard::{Standard, standardised};
#[cfg(test)]
use super::suite::Case;

pub(super) const RULES: &[Rule] = &[
    Rule {
        op: "InstanceNormalization",
        forward: |site, tape| {
            let channels = channels(site)?;
            forward(site, channels, tape)
        },
        backward: |site, forward, dy, tape| backward(site, channels(site)?, forward, dy, tape),
        #[cfg(test)]
        cases: || {
            let case = |dims: &'static [usize]| {
                Case::of("InstanceNormalization", move |case| {
                    case.varied("x", dims).varied("scale", &[3]).varied("bias", &[3])
                })
            };
            vec![
                case(&[2, 3, 2, 4]),
                case(&[2, 3, 5]).with("epsilon", 0.1_f32),
                case(&[1, 3, 2, 2, 3]),
            ]
        },
    },
    Rule {
        op: "GroupNormalization",
        forward: |site, tape| {
            let groups = groups(site)?;
            forward(site, groups, tape)
        },
        backward: |site, forward, dy, tape| backward(site, groups(site)?, forward, dy, tape),
        #[cfg(test)]
        cases: group_cases,
    },
    Rule {
        op: "MeanVarianceNormalization",
        forward: mean_variance,
        backward: mean_variance_backward,
        #[cfg(test)]
        cases: || {
            let case = |dims: &'static [usize]| {
                Case::of("MeanVarianceNormalization", move |case| case.varied("x", dims))
            };
            vec![case(&[3, 2, 2, 3]), case(&[3, 4]).with("axes", vec![-1_i64])]
        },
    },
];

/// Weights per group are of opset 18, weights per channel of opset 21.
#[cfg(test)]
fn group_cases() -> Vec<Case> {
    let case = |opset: i64, dims: &'static [usize], weights: usize, groups: i64| {
        Case::of("GroupNormalization", move |case| {
            case.opset(opset)
                .varied("x", dims)
                .varied("scale", &[weights])
                .varied("bias", &[weights])
                .with("num_groups", groups)
        })
    };
    vec![
        case(21, &[2, 4, 3, 2], 4, 2),
        case(21, &[2, 6, 5], 6, 3).with("epsilon", 0.1_f32),
        case(21, &[2, 4, 3], 4, 1),
        case(21, &[2, 4, 3], 4, 4),
        case(18, &[2, 4, 3, 2], 2, 2),
        case(18, &[2, 4, 3], 1, 1),
    ]
}

fn channels(site: &Site<'_>) -> Result<usize, Refusal> {
    let channels = site.input(0)?.dims().get(1).copied();
    channels.ok_or_else(|| site.refuse("its input has no channel axis"))
}

fn groups(site: &Site<'_>) -> Result<usize, Refusal> {
    let channels = channels(site)?;
    let groups = site.node.int("num_groups").and_then(|groups| usize::try_from(groups).ok());
    let groups = groups.filter(|groups| *groups > 0 && channels.is_multiple_of(*groups));
    groups.ok_or_else(|| site.refuse("its channels do not divide into its groups"))
}

/// An item's values in a row for each group (or channel).
fn rows(x: &Var, count: usize) -> [usize; 3] {
    let items = x.dims()[0];
    [items, count, x.dims().iter().product::<usize>() / (items * count).max(1)]
}

/// x̂ over each group, times a weight, plus a bias. Weights are per group or per channel; their
/// number tells.
fn forward(site: &Site<'_>, groups: usize, tape: &mut Tape) -> Result<Forward, Refusal> {
    let x = site.input(0)?.clone();
    let epsilon = site.node.float("epsilon").unwrap_or(1e-5);
    let flat = tape.reshape(&x, &rows(&x, groups));
    let standard = standardised(&flat, &[2], epsilon, tape);
    let (scale, bias) = (site.input(1)?, site.input(2)?);
    let weights = scale.dims().iter().product();
    let normal = tape.reshape(&standard.normal, &rows(&x, weights));
    let scale = tape.reshape(scale, &[1, weights, 1]);
    let bias = tape.reshape(bias, &[1, weights, 1]);
    let scaled = tape.mul(&normal, &scale);
    let y = tape.add(&scaled, &bias);
    let y = tape.reshape(&y, x.dims());
    let saved = vec![standard.normal, standard.inverse];
    Ok(Forward { outputs: vec![y], saved, ..Forward::default() })
}

fn backward(
    site: &Site<'_>,
    groups: usize,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let (x, scale) = (site.input(0)?, site.input(1)?);
    let standard = saved(site, forward)?;
    let weights = scale.dims().iter().product();
    let dy = tape.reshape(dy, &rows(x, weights));
    let dx = site.wants(0).then(|| {
        let scale = tape.reshape(scale, &[1, weights, 1]);
        let g = tape.mul(&dy, &scale);
        let g = tape.reshape(&g, &rows(x, groups));
        let dx = standard.backward(&g, &[2], tape);
        tape.reshape(&dx, x.dims())
    });
    let scale_gradient = site.wants(1).then(|| {
        let normal = tape.reshape(&standard.normal, &rows(x, weights));
        let product = tape.mul(&dy, &normal);
        let sum = tape.reduce_sum(&product, &[0, 2]);
        tape.reshape(&sum, scale.dims())
    });
    let bias_gradient = site.wants(2).then(|| {
        let sum = tape.reduce_sum(&dy, &[0, 2]);
        tape.reshape(&sum, scale.dims())
    });
    Ok(vec![dx, scale_gradient, bias_gradient])
}

/// What the forward part left.
fn saved(site: &Site<'_>, forward: &Forward) -> Result<Standard, Refusal> {
    match &forward.saved[..] {
        [normal, inverse] => Ok(Standard { normal: normal.clone(), inverse: inverse.clone() }),
        _ => Err(site.refuse("its forward part is missing")),
    }
}

/// The number that keeps ONNX's own definition from dividing by 0 stands beside the deviation; ours
/// is its square, beside the variance.
const TINY: f32 = 1e-18;

fn mean_variance_axes(site: &Site<'_>) -> Result<Vec<usize>, Refusal> {
    let rank = site.input(0)?.rank();
    let axes = site.node.ints("axes").unwrap_or(&[0, 2, 3]);
    axes.iter().map(|&axis| site.axis(axis, rank)).collect()
}

fn mean_variance(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let axes = mean_variance_axes(site)?;
    let Standard { normal, inverse } = standardised(site.input(0)?, &axes, TINY, tape);
    let saved = vec![normal.clone(), inverse];
    Ok(Forward { outputs: vec![normal], saved, ..Forward::default() })
}

fn mean_variance_backward(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let axes = mean_variance_axes(site)?;
    Ok(vec![Some(saved(site, forward)?.backward(dy, &axes, tape))])
}
