//! `BatchNormalization`, always in primitive operations: some runtimes lack the operator with
//! weights that are inputs, and its training mode. Or a kernel of our own where those run: three
//! passes over the tensor instead of a dozen.

use crate::onnx::graph::Attribute;

use super::super::site::{Forward, Gradients, Mode, Refusal, Site};
use super::super::tape::{Dialect, Tape, Var};
use super::Rule;
#[cfg(test)]
use super::suite::Case;

pub(super) const RULES: &[Rule] = &[Rule {
    op: "BatchNormalization",
    forward,
    backward,
    #[cfg(test)]
    cases: || {
        let case = |mode| {
            Case::of("BatchNormalization", |case| {
                case.varied("x", &[4, 3, 2, 2])
                    .varied("scale", &[3])
                    .varied("bias", &[3])
                    .constant("mean", &[3], &[0.1, -0.2, 0.3])
                    .constant("variance", &[3], &[0.5, 1.5, 2.0])
            })
            .in_mode(mode)
        };
        vec![case(Mode::Train), case(Mode::Frozen)]
    },
}];

/// y = γ (x − μ) / √(σ² + ε) + β per channel; μ, σ² of the batch (population variance) or running.
///
/// Written as (x − μ) · a + β with a = γ / √(σ² + ε): as few passes over the whole tensor as
/// there can be without giving up the exactness of a centred variance.
fn forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let x = site.input(0)?.clone();
    if x.rank() < 2 {
        return Err(site.refuse("its input has no channel axis"));
    }
    if tape.dialect() == Dialect::Kernels {
        return own_forward(site, tape);
    }
    let channel = channel_dims(&x);
    let epsilon = tape.number(site.node.float("epsilon").unwrap_or(1e-5));
    let scale = per_channel(site, 1, &channel, tape)?;
    let bias = per_channel(site, 2, &channel, tape)?;
    let mean = match site.mode {
        Mode::Train => tape.reduce_mean(&x, &all_but_channel(&x)),
        Mode::Frozen | Mode::Infer => per_channel(site, 3, &channel, tape)?,
    };
    let centred = tape.sub(&x, &mean);
    let variance = match site.mode {
        Mode::Train => {
            let square = tape.mul(&centred, &centred);
            tape.reduce_mean(&square, &all_but_channel(&x))
        }
        Mode::Frozen | Mode::Infer => per_channel(site, 4, &channel, tape)?,
    };
    let widened = tape.add(&variance, &epsilon);
    let deviation = tape.unary("Sqrt", &widened);
    let factor = tape.div(&scale, &deviation);
    let scaled = tape.mul(&centred, &factor);
    let y = tape.add(&scaled, &bias);
    Ok(Forward {
        outputs: vec![y],
        saved: vec![centred, deviation, factor],
        statistics: (site.mode == Mode::Train).then_some((mean, variance)),
    })
}

/// With c = x − μ, s = √(σ² + ε) and a = γ / s: dβ = Σ dy, dγ = Σ dy c / s, and dx = a dy with
/// running statistics, or a dy − c · a/s² · mean(dy c) − a mean(dy) with those of the batch
/// (Ioffe & Szegedy 2015).
fn backward(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    if tape.dialect() == Dialect::Kernels {
        return own_backward(site, forward, dy, tape);
    }
    let [centred, deviation, factor] = &forward.saved[..] else {
        return Err(site.refuse("its forward part is missing"));
    };
    let axes = all_but_channel(dy);
    let product = tape.mul(dy, centred);
    let (sum, sum_product) = (tape.reduce_sum(dy, &axes), tape.reduce_sum(&product, &axes));
    let dx = site.wants(0).then(|| {
        let direct = tape.mul(dy, factor);
        if site.mode != Mode::Train {
            return direct;
        }
        let count: usize = axes.iter().map(|&axis| dy.dims()[axis]).product();
        let share = tape.scale(factor, -1.0 / count as f32);
        let shift = tape.mul(&share, &sum);
        let variance = tape.mul(deviation, deviation);
        let along = tape.mul(&share, &sum_product);
        let along = tape.div(&along, &variance);
        let along = tape.mul(centred, &along);
        let both = tape.add(&direct, &along);
        tape.add(&both, &shift)
    });
    let channels = [dy.dims()[1]];
    let scale_gradient = site.wants(1).then(|| {
        let gradient = tape.div(&sum_product, deviation);
        tape.reshape(&gradient, &channels)
    });
    let bias_gradient = site.wants(2).then(|| tape.reshape(&sum, &channels));
    Ok(vec![dx, scale_gradient, bias_gradient, None, None])
}

/// The same in one kernel, with the activation that it takes in.
fn own_forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let (x, scale, bias) = (site.input(0)?, site.input(1)?, site.input(2)?);
    let settings = own_settings(site);
    let channels = [x.dims()[1]];
    if site.mode == Mode::Train {
        let dims = [x.dims(), &channels, &channels];
        let mut made = tape.kernel("BatchNormalise", &[x, scale, bias], &settings, &dims);
        let (variance, mean) = (made.remove(2), made.remove(1));
        let saved = vec![mean.clone(), variance.clone()];
        return Ok(Forward { outputs: made, saved, statistics: Some((mean, variance)) });
    }
    let (mean, variance) = (site.input(3)?, site.input(4)?);
    let given = [x, scale, bias, mean, variance];
    let outputs = tape.kernel("Normalise", &given, &settings, &[x.dims()]);
    Ok(Forward { outputs, saved: vec![mean.clone(), variance.clone()], statistics: None })
}

fn own_backward(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let [mean, variance] = &forward.saved[..] else {
        return Err(site.refuse("its forward part is missing"));
    };
    let (x, scale, bias) = (site.input(0)?, site.input(1)?, site.input(2)?);
    let channels = [x.dims()[1]];
    let name = match site.mode {
        Mode::Train => "BatchNormaliseGradients",
        Mode::Frozen | Mode::Infer => "NormaliseGradients",
    };
    let given = [dy, x, scale, bias, mean, variance];
    let dims = [x.dims(), &channels, &channels];
    let made = tape.kernel(name, &given, &own_settings(site), &dims);
    let wanted = made.into_iter().enumerate().map(|(index, var)| site.wants(index).then_some(var));
    Ok(wanted.chain([None, None]).collect())
}

fn own_settings(site: &Site<'_>) -> [(&'static str, Attribute); 3] {
    let epsilon = site.node.float("epsilon").unwrap_or(1e-5);
    let high = site.cut.map_or(0.0, |cut| cut.high);
    let cuts = f32::from(u8::from(site.cut.is_some()));
    [("epsilon", epsilon.into()), ("cuts", cuts.into()), ("high", high.into())]
}

/// Shape in which one value per channel meets the input: 1 × C × 1 × 1.
fn channel_dims(x: &Var) -> Vec<usize> {
    (0..x.rank()).map(|axis| if axis == 1 { x.dims()[1] } else { 1 }).collect()
}

fn all_but_channel(x: &Var) -> Vec<usize> {
    (0..x.rank()).filter(|&axis| axis != 1).collect()
}

fn per_channel(
    site: &Site<'_>,
    position: usize,
    dims: &[usize],
    tape: &mut Tape,
) -> Result<Var, Refusal> {
    let vector = site.input(position)?.clone();
    Ok(tape.reshape(&vector, dims))
}
