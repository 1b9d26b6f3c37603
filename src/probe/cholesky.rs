//! Symmetric positive definite systems.

#![allow(clippy::inline_always, reason = "what is not inlined is not compiled for wide registers")]

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayViewMut2, Axis, s};

use super::packed::Columns;
use super::threads;
use crate::kernels::lanes::{DOUBLES, Lanes, Task, dispatch, filled};

/// Columns that are factored before the rest is brought up to date.
const PANEL: usize = 64;
/// Rows of the rest that are a piece of work.
const STRIP: usize = 128;

/// L with L·L' = A, lower triangular; what lies above the diagonal means nothing.
#[derive(Clone, Debug)]
pub(crate) struct Cholesky(Array2<f64>);

impl Cholesky {
    /// Factors A, of which the lower triangle is read; nothing if it is not positive definite.
    pub(crate) fn new(mut matrix: Array2<f64>, threads: usize) -> Option<Self> {
        let size = matrix.nrows();
        for first in (0..size).step_by(PANEL) {
            let last = (first + PANEL).min(size);
            factor(&mut matrix.slice_mut(s![first..last, first..last]))?;
            let (above, mut below) = matrix.view_mut().split_at(Axis(0), last);
            let corner = above.slice(s![first.., first..last]);
            let strips = below.axis_chunks_iter_mut(Axis(0), STRIP);
            threads::each_part(threads, strips, |_, mut strip| {
                for mut row in strip.rows_mut() {
                    for j in first..last {
                        let known = row.slice(s![first..j]);
                        let sum = known.dot(&corner.slice(s![j - first, ..j - first]));
                        row[j] = (row[j] - sum) / corner[[j - first, j - first]];
                    }
                }
            });
            let panel = below.slice(s![.., first..last]).to_owned();
            let strips = below.axis_chunks_iter_mut(Axis(0), STRIP);
            threads::each_part(threads, strips, |index, strip| {
                let top = index * STRIP;
                let end = top + strip.nrows();
                let (left, right) = (panel.slice(s![top..end, ..]), panel.slice(s![..end, ..]));
                let mut rest = strip.slice_move(s![.., last..last + end]);
                general_mat_mul(-1.0, &left, &right.t(), 1.0, &mut rest);
            });
        }
        Some(Self(matrix))
    }

    /// Solves A·x = b for chunks of columns, in place.
    pub(crate) fn solve(&self, columns: Columns, values: &mut [f64], threads: usize) {
        let size = self.0.nrows() * columns.lanes;
        threads::each_part(threads, values.chunks_mut(size.max(1)), |_, chunk| {
            match columns.lanes {
                4 => dispatch(Solve::<1>(self, chunk)),
                8 => dispatch(Solve::<2>(self, chunk)),
                _ => dispatch(Solve::<3>(self, chunk)),
            }
        });
    }
}

/// Factors a small matrix.
fn factor(matrix: &mut ArrayViewMut2<'_, f64>) -> Option<()> {
    for j in 0..matrix.nrows() {
        let known = matrix.slice(s![j, ..j]);
        let pivot = matrix[[j, j]] - known.dot(&known);
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        let pivot = pivot.sqrt();
        matrix[[j, j]] = pivot;
        for i in j + 1..matrix.nrows() {
            let sum = matrix.slice(s![i, ..j]).dot(&matrix.slice(s![j, ..j]));
            matrix[[i, j]] = (matrix[[i, j]] - sum) / pivot;
        }
    }
    Some(())
}

/// Both triangular systems for one chunk.
struct Solve<'a, const R: usize>(&'a Cholesky, &'a mut [f64]);

impl<const R: usize> Task for Solve<'_, R> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let values = self.1.as_chunks_mut::<DOUBLES>().0.as_chunks_mut::<R>().0;
        let rows = || self.0.0.rows().into_iter().enumerate();
        for (i, row) in rows() {
            let Some(row) = row.to_slice() else { return };
            let mut sums =
                filled!([lanes.splat_doubles(0.0); R], |at| lanes.load_doubles(&values[i][at]));
            for (factor, known) in row[..i].iter().zip(&*values) {
                let factor = lanes.splat_doubles(-factor);
                sums = filled!([factor; R], |at| lanes.fma_doubles(
                    factor,
                    lanes.load_doubles(&known[at]),
                    sums[at]
                ));
            }
            divide(lanes, sums, row[i], &mut values[i]);
        }
        for (i, row) in rows().rev() {
            let Some(row) = row.to_slice() else { return };
            let (before, own) = values.split_at_mut(i);
            let sums = filled!([lanes.splat_doubles(0.0); R], |at| lanes.load_doubles(&own[0][at]));
            let solved = divide(lanes, sums, row[i], &mut own[0]);
            for (factor, value) in row[..i].iter().zip(before) {
                let factor = lanes.splat_doubles(-factor);
                let mut at = 0;
                while at < R {
                    let old = lanes.load_doubles(&value[at]);
                    let new = lanes.fma_doubles(factor, solved[at], old);
                    lanes.store_doubles(new, &mut value[at]);
                    at += 1;
                }
            }
        }
    }
}

#[inline(always)]
fn divide<L: Lanes, const R: usize>(
    lanes: L,
    values: [L::D; R],
    by: f64,
    into: &mut [[f64; DOUBLES]; R],
) -> [L::D; R] {
    let (factor, zero) = (lanes.splat_doubles(1.0 / by), lanes.splat_doubles(0.0));
    let quotients = filled!([zero; R], |at| lanes.fma_doubles(values[at], factor, zero));
    let mut at = 0;
    while at < R {
        lanes.store_doubles(quotients[at], &mut into[at]);
        at += 1;
    }
    quotients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solution_satisfies_its_system_on_any_number_of_threads() {
        let size = 150;
        let root = Array2::from_shape_fn((size, size), |(i, j)| ((i * 7 + j * 13) % 11) as f64);
        let matrix = root.dot(&root.t()) + Array2::<f64>::eye(size);
        let columns = Columns::new(5);
        let right: Vec<f64> = (0..columns.length(size)).map(|at| (at % 17) as f64).collect();
        let solved = [1, 3].map(|threads| {
            let mut values = right.clone();
            Cholesky::new(matrix.clone(), threads).unwrap().solve(columns, &mut values, threads);
            values
        });
        assert_eq!(solved[0], solved[1]);
        let solution = Array2::from_shape_vec((size, columns.lanes), solved[0].clone()).unwrap();
        let told = matrix.dot(&solution);
        assert!(told.iter().zip(&right).all(|(a, b)| (a - b).abs() < 1e-8));
    }

    #[test]
    fn what_is_not_positive_definite_has_no_factor() {
        assert!(Cholesky::new(Array2::from_elem((2, 2), 1.0), 1).is_none());
        assert!(Cholesky::new(Array2::from_elem((1, 1), f64::NAN), 1).is_none());
    }
}
