//! `LayerNormalization`: each item by the mean and variance over its last axes.

use crate::onnx::tensor::elements;

use super::super::site::{Forward, Gradients, Refusal, Site};
use super::super::tape::{Dialect, Tape, Var};
use super::Rule;
#[cfg(test)]
use super::suite::Case;

pub(super) const RULES: &[Rule] = &[Rule {
    op: "LayerNormalization",
    forward,
    backward,
    #[cfg(test)]
    cases: || {
        let case = |dims: &'static [usize], normal: &'static [usize]| {
            Case::of("LayerNormalization", move |case| {
                case.varied("x", dims).varied("scale", normal).varied("bias", normal)
            })
        };
        let op = "LayerNormalization";
        vec![
            case(&[2, 3, 5], &[5]),
            case(&[2, 3, 4], &[3, 4]).with("axis", 1_i64).with("epsilon", 0.1_f32),
            Case::of(op, |case| case.varied("x", &[4, 6]).varied("scale", &[6])),
            Case::of(op, |case| {
                let case = case.varied("x", &[2, 3, 4, 5]).varied("scale", &[4, 5]);
                case.varied("bias", &[5]).with("axis", -2_i64)
            }),
        ]
    },
}];

/// The operator, with the mean and 1/σ of each item as further outputs.
fn forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let x = site.input(0)?.clone();
    let axes = normalised_axes(site, &x)?;
    let mut kept = x.dims().to_vec();
    for &axis in &axes {
        kept[axis] = 1;
    }
    let inputs: Vec<&Var> = site.inputs.iter().flatten().collect();
    let attributes: Vec<_> =
        site.node.attributes.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    let dims: [&[usize]; 3] = [x.dims(), &kept, &kept];
    let outputs = tape.many("LayerNormalization", &inputs, &attributes, &dims);
    let saved = outputs[1..].to_vec();
    Ok(Forward { outputs, saved, ..Forward::default() })
}

/// With x̂ = (x − μ)/σ and g = dy · γ: dx = (g − mean(g) − x̂ mean(g x̂)) / σ, dγ = Σ dy x̂ and
/// dβ = Σ dy (Ba, Kiros & Hinton 2016).
fn backward(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let [mean, inverse] = &forward.saved[..] else {
        return Err(site.refuse("its forward part is missing"));
    };
    let (x, scale) = (site.input(0)?.clone(), site.input(1)?.clone());
    let axes = normalised_axes(site, &x)?;
    let bias = site.inputs.get(2).and_then(Option::as_ref);
    let whole = elements(scale.dims()) * elements(mean.dims()) == elements(x.dims())
        && bias.is_none_or(|bias| bias.dims() == scale.dims());
    if tape.dialect() == Dialect::Kernels && whole {
        let given = [dy, &x, &scale, mean, inverse];
        let dims = [x.dims(), scale.dims(), scale.dims()];
        let made = tape.kernel("LayerNormaliseGradients", &given, &[], &dims);
        return Ok(made.into_iter().map(Some).collect());
    }
    let centred = tape.sub(&x, mean);
    let normal = tape.mul(&centred, inverse);
    let dx = site.wants(0).then(|| {
        let g = tape.mul(dy, &scale);
        let along = tape.mul(&g, &normal);
        let along = tape.reduce_mean(&along, &axes);
        let shift = tape.reduce_mean(&g, &axes);
        let along = tape.mul(&normal, &along);
        let rest = tape.sub(&g, &shift);
        let rest = tape.sub(&rest, &along);
        tape.mul(&rest, inverse)
    });
    let scale_gradient = site.wants(1).then(|| {
        let product = tape.mul(dy, &normal);
        tape.unbroadcast(&product, scale.dims())
    });
    let bias_gradient = match site.wants(2) {
        true => Some(tape.unbroadcast(dy, site.input(2)?.dims())),
        false => None,
    };
    Ok(vec![dx, scale_gradient, bias_gradient])
}

fn normalised_axes(site: &Site<'_>, x: &Var) -> Result<Vec<usize>, Refusal> {
    let first = site.axis(site.node.int("axis").unwrap_or(-1), x.rank())?;
    Ok((first..x.rank()).collect())
}
