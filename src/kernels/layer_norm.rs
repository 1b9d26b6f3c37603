//! The gradients of a normalisation by the mean and variance of each row.

use super::parts::Parts;
use super::rows::{column_sums, rows_of_piece, total};
use super::wide::wide;
use super::{Attributes, Input, Kernel, Kind, Output, Threads};

const F32: Kind = Kind::F32;
const LANES: usize = 16;

pub(super) const KERNELS: &[Kernel] = &[Kernel {
    name: "LayerNormaliseGradients",
    inputs: &[F32, F32, F32, F32, F32],
    repeats: false,
    outputs: &[F32, F32, F32],
    lists: &[],
    numbers: &[],
    shapes: |_, inputs| {
        let elements = |dims: &[usize]| dims.iter().product::<usize>();
        let [dy, x, scale, mean, inverse] = inputs else { return Err("five go in".to_owned()) };
        let rows = elements(mean);
        match dy == x && mean == inverse && rows * elements(scale) == elements(x) {
            true => Ok(vec![x.clone(), scale.clone(), scale.clone()]),
            false => Err("its rows, their statistics and the scale do not fit together".to_owned()),
        }
    },
    compute: gradients,
}];

/// Inputs dy, x, γ, μ and 1/σ of each row. With x̂ = (x − μ)/σ and g = dy γ:
/// dx = (g − mean g − x̂ mean(g x̂)) / σ, dγ = Σ dy x̂, dβ = Σ dy (Ba, Kiros & Hinton 2016).
fn gradients(
    _: &Attributes,
    inputs: &[Input<'_>],
    outputs: &mut [Output<'_>],
    threads: &dyn Threads,
) {
    let [dy, x, scale, mean, inverse] = [0, 1, 2, 3, 4].map(|index| inputs[index].floats());
    let width = scale.len();
    let [dx, dscale, dbias] = outputs else { return };
    if x.is_empty() {
        dscale.floats().fill(0.0);
        dbias.floats().fill(0.0);
        return;
    }
    let rows = rows_of_piece(mean.len(), width);
    let parts = Parts::new(dx.floats(), rows * width);
    let sums = column_sums(parts.len(), 2 * width, threads, |index, sums| {
        let (dscale, dbias) = sums.split_at_mut(width);
        let dx = &mut *parts.take(index);
        let first = index * rows;
        wide(
            #[inline(always)]
            || {
                for (row, dx) in dx.chunks_exact_mut(width).enumerate() {
                    let row = first + row;
                    let here = row * width..(row + 1) * width;
                    let given = Row {
                        dy: &dy[here.clone()],
                        x: &x[here],
                        scale,
                        mean: mean[row],
                        inverse: inverse[row],
                    };
                    given.sum(dscale, dbias);
                    given.input_gradient(dx);
                }
            },
        );
    });
    dscale.floats().copy_from_slice(&sums[..width]);
    dbias.floats().copy_from_slice(&sums[width..]);
}

/// What goes into the gradients of one row.
struct Row<'a> {
    dy: &'a [f32],
    x: &'a [f32],
    scale: &'a [f32],
    mean: f32,
    inverse: f32,
}

impl Row<'_> {
    #[inline(always)]
    fn normal(&self, x: f32) -> f32 {
        (x - self.mean) * self.inverse
    }

    /// Adds the row's part of dγ and dβ.
    #[inline(always)]
    fn sum(&self, dscale: &mut [f32], dbias: &mut [f32]) {
        let given = self.dy.iter().zip(self.x);
        for ((dscale, dbias), (&dy, &x)) in dscale.iter_mut().zip(dbias).zip(given) {
            *dscale = dy.mul_add(self.normal(x), *dscale);
            *dbias += dy;
        }
    }

    /// Mean of g and of g x̂.
    #[inline(always)]
    fn means(&self) -> [f32; 2] {
        let (mut plain, mut along) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        let whole = self.dy.len() / LANES * LANES;
        let blocks = self.dy.chunks_exact(LANES).zip(self.x.chunks_exact(LANES));
        for ((dy, x), scale) in blocks.zip(self.scale.chunks_exact(LANES)) {
            for lane in 0..LANES {
                let g = dy[lane] * scale[lane];
                plain[lane] += g;
                along[lane] = g.mul_add(self.normal(x[lane]), along[lane]);
            }
        }
        let rest = self.dy[whole..].iter().zip(&self.x[whole..]).zip(&self.scale[whole..]);
        for (lane, ((dy, x), scale)) in rest.enumerate() {
            let g = dy * scale;
            plain[lane] += g;
            along[lane] = g.mul_add(self.normal(*x), along[lane]);
        }
        let count = self.dy.len() as f32;
        [total(plain) / count, total(along) / count]
    }

    #[inline(always)]
    fn input_gradient(&self, dx: &mut [f32]) {
        let [shift, slope] = self.means();
        let given = self.dy.iter().zip(self.x).zip(self.scale);
        for (dx, ((&dy, &x), &scale)) in dx.iter_mut().zip(given) {
            let g = dy.mul_add(scale, -shift);
            *dx = self.inverse * (-self.normal(x)).mul_add(slope, g);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_near, draw, run};

    fn plain(dy: &[f32], x: &[f32], scale: &[f32]) -> [Vec<f32>; 5] {
        let width = scale.len();
        let count = width as f64;
        let (mut dx, mut means, mut inverses) = (vec![], vec![], vec![]);
        let (mut dscale, mut dbias) = (vec![0.0_f64; width], vec![0.0_f64; width]);
        for (dy, x) in dy.chunks(width).zip(x.chunks(width)) {
            let mean = x.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
            let variance = x.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / count;
            let inverse = 1.0 / (variance + 1e-5).sqrt();
            let normal: Vec<f64> = x.iter().map(|v| (f64::from(*v) - mean) * inverse).collect();
            let g: Vec<f64> =
                dy.iter().zip(scale).map(|(dy, s)| f64::from(*dy) * f64::from(*s)).collect();
            let shift = g.iter().sum::<f64>() / count;
            let slope = g.iter().zip(&normal).map(|(g, n)| g * n).sum::<f64>() / count;
            for j in 0..width {
                dx.push((inverse * (g[j] - shift - normal[j] * slope)) as f32);
                dscale[j] += f64::from(dy[j]) * normal[j];
                dbias[j] += f64::from(dy[j]);
            }
            means.push(mean as f32);
            inverses.push(inverse as f32);
        }
        let single = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        [dx, single(dscale), single(dbias), means, inverses]
    }

    #[test]
    fn each_row_follows_the_formula() {
        for (rows, width) in [(3, 5), (1500, 48), (2, 20_001), (1, 16)] {
            let (dy, x) = (draw(1, rows * width), draw(2, rows * width));
            let scale = draw(3, width);
            let [dx, dscale, dbias, mean, inverse] = plain(&dy, &x, &scale);
            let (whole, column): (&[usize], &[usize]) = (&[rows, width], &[rows, 1]);
            let made = run(
                "LayerNormaliseGradients",
                &[],
                &[],
                &[
                    (whole, &dy),
                    (whole, &x),
                    (&[width], &scale),
                    (column, &mean),
                    (column, &inverse),
                ],
            );
            assert_near(&made[0], &dx);
            assert_near(&made[1], &dscale);
            assert_near(&made[2], &dbias);
        }
    }
}
