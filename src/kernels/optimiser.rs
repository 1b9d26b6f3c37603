//! The update of weights in one pass over the vectors.
//!
//! Weights, state and gradient are vectors; `lengths`, `rates` and `decays` describe the slots they
//! are made of: their lengths, factors on the learning rate, and weight decay.

use super::parts::Parts;
use super::wide::wide;
use super::{Attributes, Input, Kernel, Kind, Output, Threads};

const F32: Kind = Kind::F32;

pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "SgdUpdate",
        inputs: &[F32, F32, F32, F32, F32, F32],
        repeats: false,
        outputs: &[F32, F32],
        lists: &["lengths"],
        numbers: &["momentum", "nesterov"],
        shapes: |_, inputs| vectors(inputs, 3, 2),
        compute: sgd,
    },
    Kernel {
        name: "AdamWUpdate",
        inputs: &[F32, F32, F32, F32, F32, F32, F32, F32],
        repeats: false,
        outputs: &[F32, F32, F32],
        lists: &["lengths"],
        numbers: &["beta1", "beta2", "epsilon"],
        shapes: |_, inputs| vectors(inputs, 4, 3),
        compute: adamw,
    },
    Kernel {
        name: "SquareSum",
        inputs: &[F32],
        repeats: false,
        outputs: &[F32],
        lists: &[],
        numbers: &[],
        shapes: |_, _| Ok(vec![vec![1]]),
        compute: square_sum,
    },
];

/// Elements in a piece of work.
const PIECE: usize = 1 << 16;

fn vectors(dims: &[Vec<usize>], given: usize, made: usize) -> Result<Vec<Vec<usize>>, String> {
    match dims[..given].iter().all(|own| own.len() == 1 && *own == dims[0]) {
        true => Ok(vec![dims[0].clone(); made]),
        false => Err("weights, state and gradient differ in length".to_owned()),
    }
}

/// A run of elements of one slot within a piece.
struct Run {
    within: std::ops::Range<usize>,
    rate: f32,
    decay: f32,
}

/// The slots that a piece of a vector is made of.
fn runs(lengths: &[usize], rates: &[f32], decays: &[f32], piece: usize, length: usize) -> Vec<Run> {
    let (first, end) = (piece * PIECE, piece * PIECE + length);
    let mut start = 0;
    let mut runs = Vec::new();
    for ((&length, &rate), &decay) in lengths.iter().zip(rates).zip(decays) {
        let (from, to) = (start.max(first), (start + length).min(end));
        if from < to {
            runs.push(Run { within: from - first..to - first, rate, decay });
        }
        start += length;
    }
    runs
}

/// Inputs w, v, g, η, the slots' rates and decays; outputs w, v.
/// g ← g + λ w, v ← μ v + g, w ← w − η v; with Nesterov w ← w − η (g + μ v).
fn sgd(
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let lengths = attributes.extents("lengths");
    let momentum = attributes.number("momentum");
    let ahead = if attributes.number("nesterov") > 0.0 { momentum } else { 0.0 };
    let [w, v, g, rate, rates, decays] = [0, 1, 2, 3, 4, 5].map(|index| inputs[index].floats());
    let direct = 1.0 - f32::from(u8::from(ahead <= 0.0));
    let along = if ahead > 0.0 { momentum } else { 1.0 };
    let [new_w, new_v] = outputs else { return };
    let (new_w, new_v) = (Parts::new(new_w.floats(), PIECE), Parts::new(new_v.floats(), PIECE));
    threads.each(new_w.len(), &|index| {
        let (new_w, new_v) = (&mut *new_w.take(index), &mut *new_v.take(index));
        let here = index * PIECE..index * PIECE + new_w.len();
        let [w, v, g] = [w, v, g].map(|values| &values[here.clone()]);
        for run in runs(&lengths, rates, decays, index, new_w.len()) {
            let step = rate[0] * run.rate;
            let at = run.within;
            let made = new_w[at.clone()].iter_mut().zip(&mut new_v[at.clone()]);
            let [w, v, g] = [w, v, g].map(|values| &values[at.clone()]);
            wide(
                #[inline(always)]
                || {
                    for ((((new_w, new_v), &w), &v), &g) in made.zip(w).zip(v).zip(g) {
                        let g = run.decay.mul_add(w, g);
                        let v = momentum.mul_add(v, g);
                        *new_v = v;
                        *new_w = (-step).mul_add(along.mul_add(v, direct * g), w);
                    }
                },
            );
        }
    });
}

/// Inputs w, m, v, g, η, the corrections 1 / (1 − β₁ᵗ) and 1 / (1 − β₂ᵗ) in one vector, the slots'
/// rates and decays; outputs w, m, v.
/// m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², w ← w − η (λ w + m̂ / (√v̂ + ε)).
fn adamw(
    attributes: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let lengths = attributes.extents("lengths");
    let [beta1, beta2, epsilon] = ["beta1", "beta2", "epsilon"].map(|name| attributes.number(name));
    let [w, m, v, g, rate, corrections, rates, decays] =
        [0, 1, 2, 3, 4, 5, 6, 7].map(|index| inputs[index].floats());
    let [new_w, new_m, new_v] = outputs else { return };
    let new_w = Parts::new(new_w.floats(), PIECE);
    let (new_m, new_v) = (Parts::new(new_m.floats(), PIECE), Parts::new(new_v.floats(), PIECE));
    threads.each(new_w.len(), &|index| {
        let new_w = &mut *new_w.take(index);
        let (new_m, new_v) = (&mut *new_m.take(index), &mut *new_v.take(index));
        let here = index * PIECE..index * PIECE + new_w.len();
        let [w, m, v, g] = [w, m, v, g].map(|values| &values[here.clone()]);
        for run in runs(&lengths, rates, decays, index, new_w.len()) {
            let step = rate[0] * run.rate;
            let at = run.within;
            let made = new_w[at.clone()].iter_mut().zip(&mut new_m[at.clone()]);
            let made = made.zip(&mut new_v[at.clone()]);
            let [w, m, v, g] = [w, m, v, g].map(|values| &values[at.clone()]);
            wide(
                #[inline(always)]
                || {
                    let given = w.iter().zip(m).zip(v).zip(g);
                    for (((new_w, new_m), new_v), (((&w, &m), &v), &g)) in made.zip(given) {
                        let m = beta1.mul_add(m, (1.0 - beta1) * g);
                        let v = beta2.mul_add(v, (1.0 - beta2) * g * g);
                        let root = (v * corrections[1]).sqrt() + epsilon;
                        let direction = run.decay.mul_add(w, m * corrections[0] / root);
                        (*new_m, *new_v) = (m, v);
                        *new_w = (-step).mul_add(direction, w);
                    }
                },
            );
        }
    });
}

/// Σ g², piece by piece in double precision.
fn square_sum(
    _: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    const LANES: usize = 16;
    let g = inputs[0].floats();
    let mut sums = vec![0.0_f64; g.len().div_ceil(PIECE)];
    let parts = Parts::new(&mut sums, 1);
    threads.each(parts.len(), &|index| {
        let piece = &g[index * PIECE..g.len().min((index + 1) * PIECE)];
        let lanes = wide(
            #[inline(always)]
            || {
                let mut lanes = [0.0_f32; LANES];
                let blocks = piece.chunks_exact(LANES);
                let rest = blocks.remainder();
                for block in blocks {
                    for lane in 0..LANES {
                        lanes[lane] = block[lane].mul_add(block[lane], lanes[lane]);
                    }
                }
                for (lane, &value) in lanes.iter_mut().zip(rest) {
                    *lane = value.mul_add(value, *lane);
                }
                lanes
            },
        );
        parts.take(index)[0] = lanes.iter().map(|&lane| f64::from(lane)).sum();
    });
    drop(parts);
    outputs[0].floats()[0] = sums.iter().sum::<f64>() as f32;
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_near, draw, run};

    const LENGTHS: [usize; 4] = [3, 70_000, 1, 5_000];
    const RATES: [f32; 4] = [1.0, 0.5, 0.1, 0.0];
    const DECAYS: [f32; 4] = [0.0, 0.01, 0.1, 0.5];

    /// Rate and decay of each element.
    fn settings() -> impl Iterator<Item = (f64, f64)> {
        let slots = LENGTHS.into_iter().zip(RATES.into_iter().zip(DECAYS));
        slots.flat_map(|(n, (rate, decay))| {
            std::iter::repeat_n((f64::from(rate), f64::from(decay)), n)
        })
    }

    fn length() -> usize {
        LENGTHS.iter().sum()
    }

    #[test]
    fn momentum_and_nesterov_follow_their_formulas() {
        let [w, v, g] = [1, 2, 3].map(|seed| draw(seed, length()));
        let dims = [length()];
        for nesterov in [0.0, 1.0] {
            let (mut new_w, mut new_v) = (vec![], vec![]);
            for (at, (rate, decay)) in settings().enumerate() {
                let [w, v, g] = [&w, &v, &g].map(|values| f64::from(values[at]));
                let g = g + decay * w;
                let v = 0.9 * v + g;
                let direction = if nesterov > 0.0 { g + 0.9 * v } else { v };
                new_v.push(v as f32);
                new_w.push((w - 0.1 * rate * direction) as f32);
            }
            let made = run(
                "SgdUpdate",
                &[("momentum", 0.9), ("nesterov", nesterov)],
                &[("lengths", &LENGTHS.map(|n| n as i64))],
                &[
                    (&dims, &w),
                    (&dims, &v),
                    (&dims, &g),
                    (&[1], &[0.1]),
                    (&[4], &RATES),
                    (&[4], &DECAYS),
                ],
            );
            assert_near(&made[0], &new_w);
            assert_near(&made[1], &new_v);
        }
    }

    #[test]
    fn adamw_follows_its_formula() {
        let [w, m, v, g] = [1, 2, 3, 4].map(|seed| draw(seed, length()));
        let v: Vec<f32> = v.iter().map(|v| v.abs()).collect();
        let dims = [length()];
        let (mut new_w, mut new_m, mut new_v) = (vec![], vec![], vec![]);
        for (at, (rate, decay)) in settings().enumerate() {
            let [w, m, v, g] = [&w, &m, &v, &g].map(|values| f64::from(values[at]));
            let (m, v) = (0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g);
            let direction = decay * w + m * 2.0 / ((v * 3.0).sqrt() + 1e-4);
            new_m.push(m as f32);
            new_v.push(v as f32);
            new_w.push((w - 0.1 * rate * direction) as f32);
        }
        let made = run(
            "AdamWUpdate",
            &[("beta1", 0.9), ("beta2", 0.99), ("epsilon", 1e-4)],
            &[("lengths", &LENGTHS.map(|n| n as i64))],
            &[
                (&dims, &w),
                (&dims, &m),
                (&dims, &v),
                (&dims, &g),
                (&[1], &[0.1]),
                (&[2], &[2.0, 3.0]),
                (&[4], &RATES),
                (&[4], &DECAYS),
            ],
        );
        assert_near(&made[0], &new_w);
        assert_near(&made[1], &new_m);
        assert_near(&made[2], &new_v);
    }

    #[test]
    fn squares_are_added_up_over_pieces() {
        let g = draw(1, 200_003);
        let plain: f64 = g.iter().map(|g| f64::from(*g).powi(2)).sum();
        let made = run("SquareSum", &[], &[], &[(&[200_003], &g)]);
        assert_near(&made[0], &[plain as f32]);
    }
}
