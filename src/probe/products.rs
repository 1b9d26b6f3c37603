//! Matrix products on several threads. What a thread takes is cut in the same way for any number
//! of threads, so the bits are the same.

#![allow(clippy::needless_pass_by_value, reason = "views are copied, as slices are")]

use ndarray::{Array2, ArrayView2, Axis, s};

use super::threads::each_part;

/// Rows or columns of a block: large enough for the product to be fast, small enough to share out.
const BLOCK: usize = 256;

/// A · B.
pub(crate) fn product(
    a: ArrayView2<'_, f64>,
    b: ArrayView2<'_, f64>,
    threads: usize,
) -> Array2<f64> {
    let mut result = Array2::zeros((a.nrows(), b.ncols()));
    let rows = a.axis_chunks_iter(Axis(0), BLOCK);
    let into = result.axis_chunks_iter_mut(Axis(0), BLOCK);
    each_part(threads, rows.zip(into), |_, (rows, mut into)| {
        ndarray::linalg::general_mat_mul(1.0, &rows, &b, 0.0, &mut into);
    });
    result
}

/// A · Aᵀ: only the blocks on and below the diagonal are multiplied.
pub(crate) fn with_itself(a: ArrayView2<'_, f64>, threads: usize) -> Array2<f64> {
    let size = a.nrows();
    let starts: Vec<usize> = (0..size).step_by(BLOCK).collect();
    let pairs: Vec<(usize, usize)> = starts
        .iter()
        .flat_map(|&row| {
            starts.iter().filter(move |&&column| column <= row).map(move |&c| (row, c))
        })
        .collect();
    let span = |start: usize| start..(start + BLOCK).min(size);
    let blocks = each_part(threads, pairs.clone(), |_, (row, column)| {
        a.slice(s![span(row), ..]).dot(&a.slice(s![span(column), ..]).t())
    });
    let mut result = Array2::zeros((size, size));
    for ((row, column), block) in pairs.into_iter().zip(blocks) {
        result.slice_mut(s![span(row), span(column)]).assign(&block);
        result.slice_mut(s![span(column), span(row)]).assign(&block.t());
    }
    result
}

/// Σ (aᵢ − bᵢ)², in a fixed order.
pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    lanes(a, b, |a, b| (a - b) * (a - b))
}

/// Σ aᵢ bᵢ, in a fixed order.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    lanes(a, b, |a, b| a * b)
}

/// A sum in eight lanes.
#[inline]
fn lanes(a: &[f64], b: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut sums = [0.0; 8];
    let (a_eights, a_rest) = a.as_chunks::<8>();
    let (b_eights, b_rest) = b.as_chunks::<8>();
    for (a, b) in a_eights.iter().zip(b_eights) {
        for lane in 0..8 {
            sums[lane] += term(a[lane], b[lane]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| term(*a, *b)).sum();
    let four = [sums[0] + sums[4], sums[1] + sums[5], sums[2] + sums[6], sums[3] + sums[7]];
    (four[0] + four[2]) + (four[1] + four[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_have_the_same_bits_on_any_number_of_threads() {
        // One block, and several.
        for size in [(300, 70), (600, 30)] {
            let a = Array2::from_shape_fn(size, |(i, j)| ((i * 31 + j * 17) % 23) as f64 / 7.0);
            let alone = (product(a.view(), a.t(), 1), with_itself(a.view(), 1));
            for threads in [0, 2, 3, 8] {
                let several = (product(a.view(), a.t(), threads), with_itself(a.view(), threads));
                assert_eq!(alone, several);
            }
            let plain = a.dot(&a.t());
            assert!((&alone.0 - &plain).iter().all(|d| d.abs() < 1e-10));
            assert!((&alone.1 - &plain).iter().all(|d| d.abs() < 1e-10));
        }
    }

    #[test]
    fn short_sums_and_long_ones_hold_all_their_terms() {
        for length in [0, 1, 7, 8, 19] {
            let a: Vec<f64> = (0..length).map(|i| i as f64).collect();
            let b = vec![2.0; length];
            assert!((dot(&a, &b) - a.iter().map(|x| 2.0 * x).sum::<f64>()).abs() < 1e-12);
            let far: f64 = a.iter().map(|x| (x - 2.0) * (x - 2.0)).sum();
            assert!((squared_distance(&a, &b) - far).abs() < 1e-12);
        }
    }
}
