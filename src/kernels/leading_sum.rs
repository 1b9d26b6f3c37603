//! Sums over leading axes, as the gradient of what was broadcast along them: the bias of a dense
//! layer, the embedding of positions.

use super::rows::{column_sums, rows_of_piece};
use super::wide::wide;
use super::{Attributes, Input, Kernel, Kind, Output, Threads};

pub(super) const KERNELS: &[Kernel] = &[Kernel {
    name: "LeadingSum",
    inputs: &[Kind::F32],
    repeats: false,
    outputs: &[Kind::F32],
    lists: &["dims"],
    numbers: &[],
    shapes: |attributes, inputs| {
        let dims = attributes.extents("dims");
        let (all, kept) = (elements(&inputs[0]), elements(&dims));
        match kept > 0 && all % kept == 0 {
            true => Ok(vec![dims]),
            false => Err("the sum has other axes".to_owned()),
        }
    },
    compute: sum,
}];

fn elements(dims: &[usize]) -> usize {
    dims.iter().product()
}

/// `dims` is the shape of the sum.
fn sum(_: &Attributes, inputs: &[Input<'_>], outputs: &mut [Output<'_>], threads: &dyn Threads) {
    let x = inputs[0].floats();
    let sum = outputs[0].floats();
    let width = sum.len();
    let piece = rows_of_piece(x.len() / width, width) * width;
    let sums = column_sums(x.len().div_ceil(piece), width, threads, |index, sums| {
        let rows = &x[index * piece..x.len().min((index + 1) * piece)];
        wide(
            #[inline(always)]
            || {
                for row in rows.chunks_exact(width) {
                    for (sum, value) in sums.iter_mut().zip(row) {
                        *sum += value;
                    }
                }
            },
        );
    });
    sum.copy_from_slice(&sums);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_near, draw, run};

    #[test]
    fn each_column_is_summed_over_all_rows() {
        for (rows, dims) in [(3, vec![5]), (2100, vec![128]), (32, vec![4, 70]), (0, vec![3])] {
            let width: usize = dims.iter().product();
            let x = draw(1, rows * width);
            let mut plain = vec![0.0_f64; width];
            for (at, value) in x.iter().enumerate() {
                plain[at % width] += f64::from(*value);
            }
            let kept: Vec<i64> = dims.iter().map(|&extent| extent as i64).collect();
            let whole = [&[rows], &dims[..]].concat();
            let made = run("LeadingSum", &[], &[("dims", &kept)], &[(&whole, &x)]);
            assert_near(&made[0], &plain.iter().map(|&sum| sum as f32).collect::<Vec<_>>());
        }
    }
}
