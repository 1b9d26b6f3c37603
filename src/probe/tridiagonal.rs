//! Symmetric matrices as Q · T · Qᵀ with a tridiagonal T, by Householder's reflections. What a
//! matrix plus λ times the identity does to a vector is then cheap for every λ, exactly and without
//! the iterations that eigenvalues take.

use ndarray::{Array1, Array2, ArrayViewMut2, Axis, s};

use super::products::dot;
use super::threads::each_part;

/// The tridiagonal matrix and the reflections that lead to it.
#[derive(Clone, Debug)]
pub(super) struct Tridiagonal {
    diagonal: Vec<f64>,
    /// Beside the diagonal; one less.
    beside: Vec<f64>,
    /// Row i holds the reflection I − τ v vᵀ that acts on the values after i.
    reflections: Array2<f64>,
    factors: Vec<f64>,
}

/// Reflections that are applied together, as I − Vᵀ S V.
const TOGETHER: usize = 32;
/// Columns that a thread takes.
const COLUMNS: usize = 256;

impl Tridiagonal {
    /// Reduces a symmetric matrix.
    ///
    /// Each step takes one pass over what is left: it subtracts the reflection found before and
    /// multiplies by the one found now.
    pub(super) fn of(mut matrix: Array2<f64>) -> Self {
        let size = matrix.nrows();
        let mut reflections = Array2::<f64>::zeros((size.saturating_sub(1), size));
        let mut factors = vec![0.0; size.saturating_sub(1)];
        let (mut diagonal, mut beside) = (vec![], vec![]);
        let (mut v, mut w) = (vec![0.0; size], vec![0.0; size]);
        for step in 0..size {
            let mut row: Vec<f64> = matrix.slice(s![step, step..]).to_vec();
            subtract(&mut row, [v[step], w[step]], &v[step..], &w[step..]);
            diagonal.push(row[0]);
            if step + 1 == size {
                break;
            }
            let (value, factor) = reflect(&mut row[1..]);
            beside.push(value);
            factors[step] = factor;
            let next = &row[1..];
            let mut product = vec![0.0; size - step - 1];
            for (index, product) in product.iter_mut().enumerate() {
                let at = step + 1 + index;
                let mut left = matrix.slice_mut(s![at, step + 1..]);
                let left = left.as_slice_mut().unwrap_or(&mut []);
                subtract(left, [v[at], w[at]], &v[step + 1..], &w[step + 1..]);
                *product = factor * dot(left, next);
            }
            let half = 0.5 * factor * dot(&product, next);
            v[step + 1..].copy_from_slice(next);
            for ((w, product), next) in w[step + 1..].iter_mut().zip(product).zip(next) {
                *w = product - half * next;
            }
            reflections.slice_mut(s![step, step + 1..]).assign(&Array1::from(next.to_vec()));
        }
        Self { diagonal, beside, reflections, factors }
    }

    /// Qᵀ · columns.
    pub(super) fn turn(&self, columns: &mut Array2<f64>, threads: usize) {
        let blocks: Vec<Together> = self.blocks().collect();
        let parts = columns.axis_chunks_iter_mut(Axis(1), COLUMNS);
        each_part(threads, parts, |_, mut part| {
            for block in &blocks {
                block.apply(&mut part, true);
            }
        });
    }

    /// Q · columns.
    pub(super) fn turn_back(&self, columns: &mut Array2<f64>, threads: usize) {
        let blocks: Vec<Together> = self.blocks().collect();
        let parts = columns.axis_chunks_iter_mut(Axis(1), COLUMNS);
        each_part(threads, parts, |_, mut part| {
            for block in blocks.iter().rev() {
                block.apply(&mut part, false);
            }
        });
    }

    fn blocks(&self) -> impl Iterator<Item = Together> {
        let starts = (0..self.factors.len()).step_by(TOGETHER);
        starts.map(|first| {
            let last = (first + TOGETHER).min(self.factors.len());
            let vectors = self.reflections.slice(s![first..last, first + 1..]).to_owned();
            Together::new(first + 1, vectors, &self.factors[first..last])
        })
    }

    /// T + λ I, ready to be solved; nothing if it is not positive in 64 bits, or λ no more than what
    /// rounding does to T.
    pub(super) fn shifted(&self, lambda: f64) -> Option<Shifted> {
        let largest = |values: &[f64]| values.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
        let norm = largest(&self.diagonal) + 2.0 * largest(&self.beside);
        if lambda <= 4.0 * f64::EPSILON * norm {
            return None;
        }
        let mut pivots = Vec::with_capacity(self.diagonal.len());
        let mut below = Vec::with_capacity(self.beside.len());
        for (row, value) in self.diagonal.iter().enumerate() {
            let mut pivot = value + lambda;
            if row > 0 {
                let factor = self.beside[row - 1] / pivots[row - 1];
                pivot -= factor * self.beside[row - 1];
                below.push(factor);
            }
            if !(pivot.is_finite() && pivot > 0.0) {
                return None;
            }
            pivots.push(pivot);
        }
        Some(Shifted { pivots, below })
    }
}

/// `row -= first · w + second · v`
fn subtract(row: &mut [f64], [first, second]: [f64; 2], v: &[f64], w: &[f64]) {
    for ((value, v), w) in row.iter_mut().zip(v).zip(w) {
        *value -= first * w + second * v;
    }
}

/// Makes `values` the vector v with v₀ = 1 whose reflection I − τ v vᵀ leaves only the first value,
/// which is returned with τ.
fn reflect(values: &mut [f64]) -> (f64, f64) {
    let first = values[0];
    let largest = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
    let rest: f64 = values[1..].iter().map(|value| (value / largest).powi(2)).sum();
    if largest <= 0.0 || rest <= 0.0 {
        values.fill(0.0);
        return (first, 0.0);
    }
    let length = largest * ((first / largest).powi(2) + rest).sqrt();
    let left = if first > 0.0 { -length } else { length };
    let scale = first - left;
    values[1..].iter_mut().for_each(|value| *value /= scale);
    values[0] = 1.0;
    (left, (left - first) / left)
}

/// Several reflections as I − Vᵀ S V, acting on the rows from `first` on.
struct Together {
    first: usize,
    vectors: Array2<f64>,
    /// Upper triangular.
    s: Array2<f64>,
}

impl Together {
    fn new(first: usize, vectors: Array2<f64>, factors: &[f64]) -> Self {
        let count = factors.len();
        let overlaps = vectors.dot(&vectors.t());
        let mut s = Array2::<f64>::zeros((count, count));
        for (column, &factor) in factors.iter().enumerate() {
            for row in 0..column {
                let sum: f64 = (row..column).map(|k| s[[row, k]] * overlaps[[k, column]]).sum();
                s[[row, column]] = -factor * sum;
            }
            s[[column, column]] = factor;
        }
        Self { first, vectors, s }
    }

    /// Applies them, or their inverse.
    fn apply(&self, columns: &mut ArrayViewMut2<'_, f64>, inverse: bool) {
        let mut columns = columns.slice_mut(s![self.first.., ..]);
        let shares = self.vectors.dot(&columns);
        let shares = if inverse { self.s.t().dot(&shares) } else { self.s.dot(&shares) };
        ndarray::linalg::general_mat_mul(-1.0, &self.vectors.t(), &shares, 1.0, &mut columns);
    }
}

/// T + λ I as L · D · Lᵀ.
#[derive(Clone, Debug)]
pub(super) struct Shifted {
    pivots: Vec<f64>,
    /// Below the diagonal of L.
    below: Vec<f64>,
}

impl Shifted {
    /// Solves for each column.
    pub(super) fn solve(&self, columns: &mut Array2<f64>) {
        let size = self.pivots.len();
        for row in 1..size {
            let (before, mut rows) = columns.view_mut().split_at(Axis(0), row);
            rows.row_mut(0).scaled_add(-self.below[row - 1], &before.row(row - 1));
        }
        for (mut row, pivot) in columns.rows_mut().into_iter().zip(&self.pivots) {
            row /= *pivot;
        }
        for row in (1..size).rev() {
            let (mut rows, after) = columns.view_mut().split_at(Axis(0), row);
            rows.row_mut(row - 1).scaled_add(-self.below[row - 1], &after.row(0));
        }
    }

    /// zᵀ (T + λ I)⁻¹ z for each column z.
    pub(super) fn quadratic(&self, columns: &Array2<f64>) -> Array1<f64> {
        let mut sums = Array1::zeros(columns.ncols());
        let mut solved = Array1::<f64>::zeros(columns.ncols());
        for (row, pivot) in self.pivots.iter().enumerate() {
            if row > 0 {
                solved *= -self.below[row - 1];
            }
            solved += &columns.row(row);
            sums.zip_mut_with(&solved, |sum: &mut f64, value| *sum += value * value / pivot);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing::normal;

    fn symmetric(seed: u64, size: usize) -> Array2<f64> {
        let half = normal(seed, size + 3, size);
        half.t().dot(&half)
    }

    #[test]
    fn a_matrix_comes_back_from_its_parts() {
        for size in [1, 2, 3, 31, 33, 80] {
            let matrix = symmetric(1, size);
            let reduced = Tridiagonal::of(matrix.clone());
            let mut middle = Array2::from_diag(&Array1::from(reduced.diagonal.clone()));
            for (row, value) in reduced.beside.iter().enumerate() {
                middle[[row, row + 1]] = *value;
                middle[[row + 1, row]] = *value;
            }
            reduced.turn_back(&mut middle, 2);
            let mut back = middle.t().as_standard_layout().into_owned();
            reduced.turn_back(&mut back, 1);
            assert!((&back - &matrix).iter().all(|d| d.abs() < 1e-11 * size as f64), "{size}");
            reduced.turn(&mut back, 1);
            assert!((&back - &middle.t()).iter().all(|d| d.abs() < 1e-11 * size as f64));
        }
    }

    #[test]
    fn solutions_fulfil_their_equations_for_every_shift() {
        let size = 40;
        let (matrix, right) = (symmetric(2, size), normal(3, size, 4));
        let reduced = Tridiagonal::of(matrix.clone());
        for lambda in [1e-3, 1.0, 1e4] {
            let shifted = reduced.shifted(lambda).unwrap();
            let mut turned = right.clone();
            reduced.turn(&mut turned, 1);
            let forms = shifted.quadratic(&turned);
            shifted.solve(&mut turned);
            reduced.turn_back(&mut turned, 1);
            let back = matrix.dot(&turned) + &turned * lambda;
            assert!((&back - &right).iter().all(|d| d.abs() < 1e-9));
            for (column, form) in forms.iter().enumerate() {
                let expected = right.column(column).dot(&turned.column(column));
                assert!((form - expected).abs() < 1e-9 * expected.abs());
            }
        }
    }

    #[test]
    fn a_matrix_that_is_not_positive_is_not_solved() {
        let reduced = Tridiagonal::of(Array2::from_elem((4, 4), 1.0));
        assert!(reduced.shifted(-5.0).is_none());
        assert!(reduced.shifted(1e-3).is_some());
        assert!(Tridiagonal::of(Array2::zeros((3, 3))).shifted(1.0).is_some());
    }
}
