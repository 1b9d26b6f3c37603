//! A = L Lᵀ of a positive definite matrix.

use ndarray::{Array2, Axis};

use crate::probe::products::dot;

/// The lower triangle L.
pub(crate) struct Cholesky(Array2<f64>);

impl Cholesky {
    /// `None` if the matrix is not positive definite in double precision. Reads the lower triangle.
    pub(crate) fn of(mut a: Array2<f64>) -> Option<Self> {
        let size = a.nrows();
        let all = a.as_slice_mut().expect("a matrix made here lies in one piece");
        for row in 0..size {
            let (above, below) = all.split_at_mut(row * size);
            let this = &mut below[..=row];
            for column in 0..row {
                let other = &above[column * size..=column * size + column];
                let left = this[column] - dot(&this[..column], &other[..column]);
                this[column] = left / other[column];
            }
            let left = this[row] - dot(&this[..row], &this[..row]);
            if left.is_nan() || left <= 0.0 {
                return None;
            }
            this[row] = left.sqrt();
        }
        Some(Self(a))
    }

    /// ln det A.
    pub(crate) fn log_det(&self) -> f64 {
        2.0 * self.0.diag().iter().map(|value| value.ln()).sum::<f64>()
    }

    /// A⁻¹ B.
    pub(crate) fn solve(&self, mut b: Array2<f64>) -> Array2<f64> {
        let size = self.0.nrows();
        let lower = |row: usize, column: usize| self.0[[row, column]];
        for row in 0..size {
            let (done, mut rest) = b.view_mut().split_at(Axis(0), row);
            let mut this = rest.row_mut(0);
            done.rows().into_iter().enumerate().for_each(|(k, x)| {
                this.scaled_add(-lower(row, k), &x);
            });
            this /= lower(row, row);
        }
        for row in (0..size).rev() {
            let (mut rest, done) = b.view_mut().split_at(Axis(0), row + 1);
            let mut this = rest.row_mut(row);
            done.rows().into_iter().enumerate().for_each(|(k, x)| {
                this.scaled_add(-lower(row + 1 + k, row), &x);
            });
            this /= lower(row, row);
        }
        b
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_system_is_solved() {
        let a = array![[4.0, 2.0, 0.6], [2.0, 3.0, 0.4], [0.6, 0.4, 2.0]];
        let x = array![[1.0, -2.0], [0.5, 3.0], [2.0, 0.0]];
        let cholesky = Cholesky::of(a.clone()).unwrap();
        let found = cholesky.solve(a.dot(&x));
        assert!((&found - &x).iter().all(|d| d.abs() < 1e-13));
        // Sarrus.
        let det: f64 = 24.0 + 2.0 * 0.48 - 0.36 * 3.0 - 0.16 * 4.0 - 4.0 * 2.0;
        assert!((cholesky.log_det() - det.ln()).abs() < 1e-13);
    }

    #[test]
    fn what_is_not_positive_definite_has_none() {
        assert!(Cholesky::of(array![[1.0, 2.0], [2.0, 1.0]]).is_none());
        assert!(Cholesky::of(array![[f64::NAN]]).is_none());
    }
}
