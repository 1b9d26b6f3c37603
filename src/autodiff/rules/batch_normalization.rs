//! BatchNormalization, always in primitive operations: some runtimes lack the operator with
//! weights that are inputs, and its training mode.

use super::super::site::{Forward, Gradients, Mode, Refusal, Site};
use super::super::tape::{Tape, Var};
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
fn forward(site: &Site<'_>, tape: &mut Tape) -> Result<Forward, Refusal> {
    let x = site.input(0)?.clone();
    if x.rank() < 2 {
        return Err(site.refuse("its input has no channel axis"));
    }
    let channel = channel_dims(&x);
    let epsilon = tape.number(site.node.float("epsilon").unwrap_or(1e-5));
    let scale = per_channel(site, 1, &channel, tape)?;
    let bias = per_channel(site, 2, &channel, tape)?;
    let (mean, variance) = match site.mode {
        Mode::Train => batch_statistics(&x, tape),
        Mode::Frozen | Mode::Infer => {
            (per_channel(site, 3, &channel, tape)?, per_channel(site, 4, &channel, tape)?)
        }
    };
    let widened = tape.add(&variance, &epsilon);
    let deviation = tape.unary("Sqrt", &widened);
    let one = tape.number(1.0);
    let inverse = tape.div(&one, &deviation);
    let centred = tape.sub(&x, &mean);
    let normal = tape.mul(&centred, &inverse);
    let scaled = tape.mul(&normal, &scale);
    let y = tape.add(&scaled, &bias);
    Ok(Forward {
        outputs: vec![y],
        saved: vec![normal, inverse, scale],
        statistics: (site.mode == Mode::Train).then_some((mean, variance)),
    })
}

fn batch_statistics(x: &Var, tape: &mut Tape) -> (Var, Var) {
    let axes = all_but_channel(x);
    let mean = tape.reduce_mean(x, &axes);
    let centred = tape.sub(x, &mean);
    let square = tape.mul(&centred, &centred);
    let variance = tape.reduce_mean(&square, &axes);
    (mean, variance)
}

/// With x̂ the normalised input: dβ = Σ dy, dγ = Σ dy x̂, and dx = γ/√(σ² + ε) · dy with running
/// statistics, or γ/√(σ² + ε) · (dy − mean(dy) − x̂ mean(dy x̂)) with those of the batch
/// (Ioffe & Szegedy 2015).
fn backward(
    site: &Site<'_>,
    forward: &Forward,
    dy: &Var,
    tape: &mut Tape,
) -> Result<Gradients, Refusal> {
    let [normal, inverse, scale] = &forward.saved[..] else {
        return Err(site.refuse("its forward part is missing"));
    };
    let axes = all_but_channel(dy);
    let product = tape.mul(dy, normal);
    let (sum, sum_product) = (tape.reduce_sum(dy, &axes), tape.reduce_sum(&product, &axes));
    let dx = site.wants(0).then(|| {
        let factor = tape.mul(scale, inverse);
        let inner = match site.mode {
            Mode::Frozen | Mode::Infer => dy.clone(),
            Mode::Train => {
                let count: usize = axes.iter().map(|&axis| dy.dims()[axis]).product();
                let mean = tape.scale(&sum, 1.0 / count as f32);
                let mean_product = tape.scale(&sum_product, 1.0 / count as f32);
                let along = tape.mul(normal, &mean_product);
                let centred = tape.sub(dy, &mean);
                tape.sub(&centred, &along)
            }
        };
        tape.mul(&inner, &factor)
    });
    let channels = [dy.dims()[1]];
    let scale_gradient = site.wants(1).then(|| tape.reshape(&sum_product, &channels));
    let bias_gradient = site.wants(2).then(|| tape.reshape(&sum, &channels));
    Ok(vec![dx, scale_gradient, bias_gradient, None, None])
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
