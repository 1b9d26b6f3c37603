//! Factors of a large positive definite matrix, panel by panel.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};

use crate::probe::threads;

/// Columns that are factored before the rest is brought up to date.
const PANEL: usize = 64;
/// Rows of the rest that are a piece of work.
const STRIP: usize = 128;

/// L with L·L' = A, lower triangular; what lies above the diagonal means nothing.
#[derive(Clone, Debug)]
pub(in crate::probe) struct Blocked(Array2<f64>);

impl Blocked {
    /// Factors A, of which the lower triangle is read; nothing if it is not positive definite.
    pub(in crate::probe) fn new(mut matrix: Array2<f64>, threads: usize) -> Option<Self> {
        let size = matrix.nrows();
        for first in (0..size).step_by(PANEL) {
            let count = PANEL.min(size - first);
            let mut rest = matrix.slice_mut(s![first.., ..first + count]);
            let known = rest.slice(s![..count, ..first]).to_owned();
            let strips = rest.axis_chunks_iter_mut(Axis(0), STRIP);
            threads::each_part(threads, strips, |_, strip| {
                let (left, mut own) = strip.split_at(Axis(1), first);
                general_mat_mul(-1.0, &left, &known.t(), 1.0, &mut own);
            });
            let (mut corner, mut below) = rest.slice_mut(s![.., first..]).split_at(Axis(0), count);
            factor(&mut corner)?;
            let inverse = inverse(&corner.view());
            let strips = below.axis_chunks_iter_mut(Axis(0), STRIP);
            threads::each_part(threads, strips, |_, mut strip| {
                general_mat_mul(1.0, &strip.to_owned(), &inverse.t(), 0.0, &mut strip);
            });
        }
        Some(Self(matrix))
    }

    /// L, with values that mean nothing above the diagonal.
    pub(in crate::probe) fn lower(&self) -> ArrayView2<'_, f64> {
        self.0.view()
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

/// The inverse of a small lower triangle.
fn inverse(lower: &ArrayView2<'_, f64>) -> Array2<f64> {
    let size = lower.nrows();
    let mut inverse = Array2::<f64>::zeros((size, size));
    for i in 0..size {
        let (known, mut own) = inverse.view_mut().split_at(Axis(0), i);
        let mut own = own.row_mut(0);
        own[i] = 1.0;
        for (j, known) in known.rows().into_iter().enumerate() {
            own.scaled_add(-lower[[i, j]], &known);
        }
        own /= lower[[i, i]];
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_times_itself_is_its_matrix_on_any_number_of_threads() {
        let size = 150;
        let root = Array2::from_shape_fn((size, size), |(i, j)| ((i * 7 + j * 13) % 11) as f64);
        let matrix = root.dot(&root.t()) + Array2::<f64>::eye(size);
        let factors = [1, 3].map(|threads| {
            let mut lower = Blocked::new(matrix.clone(), threads).unwrap().lower().to_owned();
            for i in 0..size {
                lower.slice_mut(s![i, i + 1..]).fill(0.0);
            }
            lower
        });
        assert_eq!(factors[0], factors[1]);
        let told = factors[0].dot(&factors[0].t());
        assert!(told.iter().zip(&matrix).all(|(a, b)| (a - b).abs() < 1e-9 * matrix[[0, 0]]));
    }

    #[test]
    fn what_is_not_positive_definite_has_no_factor() {
        assert!(Blocked::new(Array2::from_elem((2, 2), 1.0), 1).is_none());
        assert!(Blocked::new(Array2::from_elem((1, 1), f64::NAN), 1).is_none());
    }
}
