//! Matrix products on several threads. What a thread takes is cut in the same way for any number
//! of threads, so the bits are the same.

use std::sync::{Mutex, PoisonError};

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis, s};

/// Rows or columns of a block: large enough for the product to be fast, small enough to share out.
const BLOCK: usize = 256;

/// Calls `work` once for every part, on so many threads; the results in the order of the parts.
pub(in super::super) fn each<T: Send, R: Send>(
    parts: Vec<T>,
    threads: usize,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let threads = threads.min(parts.len());
    if threads <= 1 {
        return parts.into_iter().map(work).collect();
    }
    let queue = Mutex::new(parts.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || {
        while let Some((index, part)) = next() {
            let result = work(part);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(run)));
        run();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// A · B.
pub(in super::super) fn product(
    a: ArrayView2<'_, f64>,
    b: ArrayView2<'_, f64>,
    threads: usize,
) -> Array2<f64> {
    let mut result = Array2::zeros((a.nrows(), b.ncols()));
    let parts = a.axis_chunks_iter(Axis(0), BLOCK).zip(result.axis_chunks_iter_mut(Axis(0), BLOCK));
    each(parts.collect(), threads, |(rows, mut into)| {
        general_mat_mul(1.0, &rows, &b, 0.0, &mut into);
    });
    result
}

/// A · Aᵀ: only the blocks on and below the diagonal are multiplied.
pub(in super::super) fn with_itself(a: ArrayView2<'_, f64>, threads: usize) -> Array2<f64> {
    let size = a.nrows();
    let starts: Vec<usize> = (0..size).step_by(BLOCK).collect();
    let below = |&row: &usize| starts.iter().filter(move |&&c| c <= row).map(move |&c| (row, c));
    let pairs: Vec<(usize, usize)> = starts.iter().flat_map(below).collect();
    let span = |start: usize| start..(start + BLOCK).min(size);
    let blocks = each(pairs.clone(), threads, |(row, column)| {
        a.slice(s![span(row), ..]).dot(&a.slice(s![span(column), ..]).t())
    });
    let mut result = Array2::zeros((size, size));
    for ((row, column), block) in pairs.into_iter().zip(blocks) {
        result.slice_mut(s![span(row), span(column)]).assign(&block);
        result.slice_mut(s![span(column), span(row)]).assign(&block.t());
    }
    result
}

/// Σ aᵢ bᵢ, in eight lanes.
pub(in super::super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a_eights, a_rest) = a.as_chunks::<8>();
    let (b_eights, b_rest) = b.as_chunks::<8>();
    for (a, b) in a_eights.iter().zip(b_eights) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    let four = [sums[0] + sums[4], sums[1] + sums[5], sums[2] + sums[6], sums[3] + sums[7]];
    (four[0] + four[2]) + (four[1] + four[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_right_and_have_the_same_bits_on_any_number_of_threads() {
        let a = Array2::from_shape_fn((600, 30), |(i, j)| ((i * 31 + j * 17) % 23) as f64 / 7.0);
        let alone = (product(a.view(), a.t(), 1), with_itself(a.view(), 1));
        for threads in [0, 2, 3, 8] {
            let several = (product(a.view(), a.t(), threads), with_itself(a.view(), threads));
            assert_eq!(alone, several);
        }
        let plain = a.dot(&a.t());
        assert!((&alone.0 - &plain).iter().all(|d| d.abs() < 1e-10));
        assert!((&alone.1 - &plain).iter().all(|d| d.abs() < 1e-10));
    }

    #[test]
    fn a_sum_of_products_holds_all_its_terms() {
        for length in [0_usize, 1, 7, 8, 19] {
            let a: Vec<f64> = (0..length).map(|i| i as f64).collect();
            let sum = (length * length.saturating_sub(1)) as f64;
            assert!((dot(&a, &vec![2.0; length]) - sum).abs() < 1e-12);
        }
    }
}
