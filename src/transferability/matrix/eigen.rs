//! Eigenvalues and eigenvectors of a symmetric matrix: Householder reflections to a tridiagonal
//! one, then implicit QL (Golub and Van Loan, sections 8.3.1 and 8.3.3).
//!
//! Whoever needs Vᵀ B for a B of few columns gets it without V: each reflection and each rotation
//! is applied to B, which costs far less.

use ndarray::{Array2, ArrayViewMut2, Axis, s};

use super::{dot, each_part};

/// Columns of B that are turned at once: so few that they stay in the cache.
const BLOCK: usize = 32;

/// Sweeps for one eigenvalue at most.
const MOST_SWEEPS: usize = 60;

/// Eigenvalues, the largest first, and Vᵀ B: its row k is the k-th eigenvector times B. Reads the
/// lower triangle.
pub(in super::super) fn eigen(
    a: Array2<f64>,
    b: &Array2<f64>,
    threads: usize,
) -> (Vec<f64>, Array2<f64>) {
    let mut tridiagonal = Tridiagonal::of(a);
    let rotations = tridiagonal.diagonalise();
    let mut turned = b.clone();
    each_part(threads, turned.axis_chunks_iter_mut(Axis(1), BLOCK), |_, mut block| {
        let mut own = block.as_standard_layout().into_owned();
        tridiagonal.reflect(own.view_mut());
        rotate(&rotations, &mut own);
        block.assign(&own);
    });
    let values = tridiagonal.diagonal;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[j].total_cmp(&values[i]));
    (order.iter().map(|&k| values[k]).collect(), turned.select(Axis(0), &order))
}

/// Eigenvalues, the largest first. Reads the lower triangle.
pub(in super::super) fn eigenvalues(a: Array2<f64>) -> Vec<f64> {
    let mut tridiagonal = Tridiagonal::of(a);
    tridiagonal.diagonalise();
    let mut values = tridiagonal.diagonal;
    values.sort_by(|a, b| b.total_cmp(a));
    values
}

/// T = Qᵀ A Q.
struct Tridiagonal {
    diagonal: Vec<f64>,
    /// Beside the diagonal: entry k couples k and k + 1; the last one is 0.
    beside: Vec<f64>,
    /// Row k holds the vector of the reflection that cleared row k, left of the diagonal.
    vectors: Array2<f64>,
    /// I − τ v vᵀ is the reflection that cleared row k.
    scales: Vec<f64>,
}

impl Tridiagonal {
    fn of(mut a: Array2<f64>) -> Self {
        let size = a.nrows();
        let (mut beside, mut scales) = (vec![0.0; size], vec![0.0; size]);
        let mut along = vec![0.0; size];
        for k in (1..size).rev() {
            let (mut before, mut rest) = a.view_mut().split_at(Axis(0), k);
            let v = rest.slice_mut(s![0, ..k]).into_slice().expect("a row lies in one piece");
            (beside[k - 1], scales[k]) = reflection(v);
            if scales[k] != 0.0 {
                turn(&mut before, v, scales[k], &mut along[..k]);
            }
        }
        Self { diagonal: a.diag().to_vec(), beside, vectors: a, scales }
    }

    /// Qᵀ B.
    fn reflect(&self, mut b: ArrayViewMut2<'_, f64>) {
        let mut sums = vec![0.0; b.ncols()];
        for k in (1..b.nrows()).rev().filter(|&k| self.scales[k] != 0.0) {
            sums.fill(0.0);
            let v = self.vectors.row(k);
            for (i, row) in b.rows().into_iter().take(k).enumerate() {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += v[i] * value);
            }
            for (i, mut row) in b.rows_mut().into_iter().take(k).enumerate() {
                let by = self.scales[k] * v[i];
                row.iter_mut().zip(&sums).for_each(|(value, sum)| *value -= by * sum);
            }
        }
    }

    /// Makes it diagonal; the rotations that did, in order.
    fn diagonalise(&mut self) -> Vec<Rotation> {
        let size = self.diagonal.len();
        let mut rotations = vec![];
        for low in 0..size {
            for _ in 0..MOST_SWEEPS {
                let high = (low..size).find(|&k| self.is_split(k)).unwrap_or(size - 1);
                if high == low {
                    break;
                }
                self.sweep(low, high, &mut rotations);
            }
        }
        rotations
    }

    /// Whether k and k + 1 are not coupled, as far as numbers of this size tell.
    fn is_split(&self, k: usize) -> bool {
        let Some(next) = self.diagonal.get(k + 1) else { return true };
        self.beside[k].abs() <= f64::EPSILON * (self.diagonal[k].abs() + next.abs())
            || self.beside[k].abs() < f64::MIN_POSITIVE
    }

    /// One step of QL with Wilkinson's shift from `high` down to `low`.
    fn sweep(&mut self, low: usize, high: usize, rotations: &mut Vec<Rotation>) {
        let (d, e) = (&mut self.diagonal, &mut self.beside);
        let half = (d[low + 1] - d[low]) / (2.0 * e[low]);
        let shift = d[low] - e[low] / (half + half.hypot(1.0).copysign(half));
        let (mut cosine, mut sine, mut carried) = (1.0, 1.0, 0.0);
        let mut last = d[high] - shift;
        for k in (low..high).rev() {
            let (ahead, kept) = (sine * e[k], cosine * e[k]);
            let length = ahead.hypot(last);
            e[k + 1] = length;
            if length == 0.0 {
                d[k + 1] -= carried;
                e[high] = 0.0;
                return;
            }
            (sine, cosine) = (ahead / length, last / length);
            let left = d[k + 1] - carried;
            let twice = (d[k] - left) * sine + 2.0 * cosine * kept;
            carried = sine * twice;
            d[k + 1] = left + carried;
            last = cosine * twice - kept;
            rotations.push(Rotation { row: k, cosine, sine });
        }
        d[low] -= carried;
        e[low] = last;
        e[high] = 0.0;
    }
}

/// Makes of a row's left part x the vector v whose reflection I − τ v vᵀ leaves only the last
/// entry of x; that entry and τ.
fn reflection(x: &mut [f64]) -> (f64, f64) {
    let last = x.len() - 1;
    let rest = dot(&x[..last], &x[..last]);
    if rest == 0.0 {
        return (x[last], 0.0);
    }
    let length = -(rest + x[last] * x[last]).sqrt().copysign(x[last]);
    x[last] -= length;
    (length, 2.0 / (rest + x[last] * x[last]))
}

/// A ← H A H with H = I − τ v vᵀ, on the lower triangle of the first rows.
fn turn(a: &mut ArrayViewMut2<'_, f64>, v: &[f64], scale: f64, along: &mut [f64]) {
    along.fill(0.0);
    for (i, row) in a.rows().into_iter().enumerate() {
        let row = row.to_slice().expect("a row lies in one piece");
        along[i] += dot(&row[..=i], &v[..=i]);
        along[..i].iter_mut().zip(row).for_each(|(sum, value)| *sum += v[i] * value);
    }
    for value in along.iter_mut() {
        *value *= scale;
    }
    let half = 0.5 * scale * dot(along, v);
    along.iter_mut().zip(v).for_each(|(w, v)| *w -= half * v);
    for (i, row) in a.rows_mut().into_iter().enumerate() {
        let row = row.into_slice().expect("a row lies in one piece");
        let (vi, wi) = (v[i], along[i]);
        for ((value, v), w) in row[..=i].iter_mut().zip(v).zip(&*along) {
            *value -= vi * w + wi * v;
        }
    }
}

/// Turns rows k and k + 1.
struct Rotation {
    row: usize,
    cosine: f64,
    sine: f64,
}

fn rotate(rotations: &[Rotation], b: &mut Array2<f64>) {
    let width = b.ncols();
    let all = b.as_slice_mut().expect("a copy lies in one piece");
    for Rotation { row, cosine, sine } in rotations {
        let (upper, lower) = all[row * width..(row + 2) * width].split_at_mut(width);
        for (x, y) in upper.iter_mut().zip(lower) {
            let (before, after) = (*x, *y);
            *y = sine * before + cosine * after;
            *x = cosine * before - sine * after;
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, array};

    use super::*;
    use crate::base::Seed;

    fn assert_decomposed(a: &Array2<f64>, size: f64) {
        let (values, transposed) = eigen(a.clone(), &Array2::eye(a.nrows()), 2);
        let scaled = Array2::from_diag(&Array1::from(values.clone())).dot(&transposed);
        let rebuilt = transposed.t().dot(&scaled);
        assert!((&rebuilt - a).iter().all(|d| d.abs() <= 1e-13 * size), "A = V Λ Vᵀ");
        let one = transposed.dot(&transposed.t()) - Array2::<f64>::eye(a.nrows());
        assert!(one.iter().all(|d| d.abs() < 1e-12), "Vᵀ V = I");
        assert!(values.is_sorted_by(|a, b| a >= b));
        let alone = eigenvalues(a.clone());
        assert!(values.iter().zip(&alone).all(|(a, b)| (a - b).abs() <= 1e-13 * size));
    }

    #[test]
    fn matrices_are_what_their_eigenvectors_make_of_them() {
        let mut stream = Seed(3).stream("test", "eigen");
        for size in [1, 2, 3, 10, 70] {
            let half = Array2::from_shape_simple_fn((size, size), || stream.normal());
            assert_decomposed(&(&half + &half.t()), 10.0 * size as f64);
        }
    }

    #[test]
    fn equal_and_vanishing_eigenvalues_are_found() {
        assert_decomposed(&Array2::eye(6), 1.0);
        assert_decomposed(&Array2::zeros((5, 5)), 1.0);
        assert_decomposed(&Array2::ones((7, 7)), 7.0);
        let graded = Array2::from_diag(&array![1e-200, 1.0, 1e150, 3.0, 0.0]);
        assert_decomposed(&graded, 1e150);
    }

    #[test]
    fn values_known_by_hand() {
        let values = eigenvalues(array![[2.0, 1.0], [1.0, 2.0]]);
        assert!((values[0] - 3.0).abs() < 1e-15 && (values[1] - 1.0).abs() < 1e-15);
    }

    #[test]
    fn numbers_beyond_all_bounds_end_it_all_the_same() {
        assert_eq!(eigenvalues(Array2::from_elem((4, 4), f64::NAN)).len(), 4);
        assert_eq!(eigenvalues(Array2::from_elem((4, 4), 1e300)).len(), 4);
    }

    #[test]
    fn the_bits_are_the_same_on_any_number_of_threads() {
        let mut stream = Seed(4).stream("test", "eigen");
        let half = Array2::from_shape_simple_fn((90, 90), || stream.normal());
        let one = eigen(half.dot(&half.t()), &half, 1);
        assert_eq!(one, eigen(half.dot(&half.t()), &half, 3));
    }
}
