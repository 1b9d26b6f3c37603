//! What all items have in common with each other, once for all classes, costs and folds.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};

use super::threads;

/// What two items have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kernel {
    /// Their scalar product.
    Linear,
    /// exp(−γ distance²)
    Rbf {
        /// γ, above zero.
        gamma: f64,
    },
    /// (γ · scalar product + r)^degree
    Polynomial {
        /// What the scalar product is multiplied by.
        gamma: f64,
        /// What is added.
        offset: f64,
        /// The power, 1 or more.
        degree: u32,
    },
}

impl Kernel {
    /// The usual γ: `factor` / (features × variance of all values); of constant features, `factor`.
    pub fn gamma(factor: f64, features: &ArrayView2<'_, f64>) -> f64 {
        let variance = features.var(0.0);
        let usual = factor / (features.ncols() as f64 * variance);
        if variance > 0.0 && usual.is_finite() { usual } else { factor }
    }

    /// From the scalar product and both squared lengths.
    fn of(self, product: f64, a: f64, b: f64) -> f64 {
        match self {
            Self::Linear => product,
            Self::Rbf { gamma } => (-gamma * (a + b - 2.0 * product).max(0.0)).exp(),
            Self::Polynomial { gamma, offset, degree } => {
                gamma.mul_add(product, offset).powi(degree.cast_signed())
            }
        }
    }

    /// Kernel values of two sets of items, in f64: rows of `a` × rows of `b`.
    pub fn between(
        self,
        a: &ArrayView2<'_, f64>,
        b: &ArrayView2<'_, f64>,
        threads: usize,
    ) -> Array2<f64> {
        let squares = |rows: &ArrayView2<'_, f64>| rows.map_axis(Axis(1), |row| row.dot(&row));
        let (of_a, of_b) = (squares(a), squares(b));
        let mut values = Array2::zeros((a.nrows(), b.nrows()));
        let strips = values.axis_chunks_iter_mut(Axis(0), STRIP);
        threads::each_part(threads, strips, |index, mut strip| {
            let first = index * STRIP;
            let rows = a.slice(s![first..first + strip.nrows(), ..]);
            general_mat_mul(1.0, &rows, &b.t(), 0.0, &mut strip);
            for (mut row, a) in strip.rows_mut().into_iter().zip(of_a.slice(s![first..])) {
                row.iter_mut().zip(&of_b).for_each(|(value, b)| *value = self.of(*value, *a, *b));
            }
        });
        values
    }
}

/// Rows that are a piece of work.
const STRIP: usize = 256;
/// Side of the squares that are mirrored.
const TILE: usize = 64;

/// Kernel values of all items with each other, in f32: 4 n² bytes.
#[derive(Clone, Debug)]
pub struct Gram {
    values: Array2<f32>,
    diagonal: Array1<f64>,
    kernel: Kernel,
}

impl Gram {
    /// Kernel values of the rows of `features`. While it is made, the features are there once more
    /// in f32.
    pub fn new(features: &ArrayView2<'_, f64>, kernel: Kernel, threads: usize) -> Self {
        let centred = centred(features, kernel);
        let squares: Vec<f64> = centred
            .rows()
            .into_iter()
            .map(|row| row.iter().map(|value| f64::from(*value).powi(2)).sum())
            .collect();
        let items = features.nrows();
        let mut values = Array2::zeros((items, items));
        let strips = values.axis_chunks_iter_mut(Axis(0), STRIP);
        threads::each_part(threads, strips, |index, strip: ArrayViewMut2<'_, f32>| {
            let (first, last) = (index * STRIP, index * STRIP + strip.nrows());
            let mut lower = strip.slice_move(s![.., ..last]);
            let rows = centred.slice(s![first..last, ..]);
            general_mat_mul(1.0, &rows, &centred.slice(s![..last, ..]).t(), 0.0, &mut lower);
            for (mut row, a) in lower.rows_mut().into_iter().zip(&squares[first..]) {
                for (value, b) in row.iter_mut().zip(&squares) {
                    *value = kernel.of(f64::from(*value), *a, *b) as f32;
                }
            }
        });
        let diagonal = squares.iter().map(|square| kernel.of(*square, *square, *square)).collect();
        mirror(&mut values);
        Self { values, diagonal, kernel }
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.values.nrows()
    }

    /// The kernel.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// An item's kernel values with all items.
    pub fn row(&self, item: usize) -> ArrayView1<'_, f32> {
        self.values.row(item)
    }

    /// An item's kernel value with itself.
    pub fn own(&self, item: usize) -> f64 {
        self.diagonal[item]
    }

    /// An item's kernel values as a slice.
    pub(super) fn values(&self, item: usize) -> &[f32] {
        let items = self.items();
        self.values.as_slice().map_or(&[], |values| &values[item * items..][..items])
    }
}

/// Features in f32; less their mean if only distances matter, which keeps digits.
fn centred(features: &ArrayView2<'_, f64>, kernel: Kernel) -> Array2<f32> {
    let none = Array1::zeros(features.ncols());
    let mean = match kernel {
        Kernel::Rbf { .. } => features.mean_axis(Axis(0)).unwrap_or(none),
        Kernel::Linear | Kernel::Polynomial { .. } => none,
    };
    let mut centred = Array2::zeros(features.dim());
    for (mut into, row) in centred.rows_mut().into_iter().zip(features.rows()) {
        for ((into, value), mean) in into.iter_mut().zip(row).zip(&mean) {
            *into = (value - mean) as f32;
        }
    }
    centred
}

/// Copies what lies below the diagonal above it, and within the strips makes it the same bits.
fn mirror(values: &mut Array2<f32>) {
    let items = values.nrows();
    for top in (0..items).step_by(TILE) {
        let bottom = (top + TILE).min(items);
        for left in (0..=top).step_by(TILE) {
            for row in top..bottom {
                for column in left..(left + TILE).min(row) {
                    values[[column, row]] = values[[row, column]];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features() -> Array2<f64> {
        Array2::from_shape_fn((300, 7), |(i, j)| ((i * 37 + j * 11) % 23) as f64 / 7.0 - 1.0)
    }

    #[test]
    fn a_gram_matrix_is_symmetric_and_what_the_kernel_says_on_any_number_of_threads() {
        let features = features();
        let polynomial = Kernel::Polynomial { gamma: 0.5, offset: 1.0, degree: 3 };
        for kernel in [Kernel::Linear, Kernel::Rbf { gamma: 0.3 }, polynomial] {
            let gram = Gram::new(&features.view(), kernel, 1);
            assert_eq!(gram.values, gram.values.t());
            assert_eq!(gram.values, Gram::new(&features.view(), kernel, 3).values);
            let known = kernel.between(&features.view(), &features.view(), 2);
            for (value, known) in gram.values.iter().zip(&known) {
                assert!((f64::from(*value) - known).abs() < 1e-5 * known.abs().max(1.0));
            }
        }
    }

    #[test]
    fn the_usual_gamma_of_constant_features_is_its_factor() {
        let constant = Array2::from_elem((3, 2), 4.0);
        assert!((Kernel::gamma(0.1, &constant.view()) - 0.1).abs() < 1e-15);
    }
}
