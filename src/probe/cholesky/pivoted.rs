//! Triangular factors of covariances, with what the other features say left out.

#![allow(clippy::needless_pass_by_value, reason = "views are copied, as slices are")]

use ndarray::{Array1, Array2, ArrayView1, Axis};

/// A covariance as S · P · L · Lᵀ · Pᵀ · S with scales S and an order P, over the features that are
/// not combinations of others.
#[derive(Clone, Debug)]
pub(in crate::probe) struct Pivoted {
    /// Features in the order in which they were taken.
    order: Vec<usize>,
    /// Lᵀ: rows are columns of L, so that all loops run along rows.
    upper: Array2<f64>,
    /// Standard deviations of the features.
    scales: Vec<f64>,
}

/// A feature is left out if the others explain all of its variance but this share.
const UNEXPLAINED: f64 = 1e-8;

impl Pivoted {
    /// Factors a symmetric matrix without negative eigenvalues, always taking the feature next of
    /// which the ones before explain least.
    pub(in crate::probe) fn of(mut matrix: Array2<f64>) -> Self {
        let size = matrix.nrows();
        let scales: Vec<f64> = matrix.diag().iter().map(|value| value.max(0.0).sqrt()).collect();
        let inverse: Array1<f64> =
            scales.iter().map(|s| if *s > 0.0 { 1.0 / s } else { 0.0 }).collect();
        matrix *= &inverse;
        matrix *= &inverse.view().insert_axis(Axis(1));
        let mut left: Array1<f64> = matrix.diag().to_owned();
        let mut order: Vec<usize> = vec![];
        let mut upper = Array2::<f64>::zeros((size, size));
        while let Some(next) = largest(left.view()).filter(|&next| left[next] > UNEXPLAINED) {
            let row = order.len();
            let mut values = matrix.row(next).to_owned();
            for before in 0..row {
                values.scaled_add(-upper[[before, next]], &upper.row(before));
            }
            values /= left[next].sqrt();
            left.zip_mut_with(&values, |left, value| *left -= value * value);
            // Taken features are never taken again, whatever rounding leaves of them.
            left[next] = f64::NEG_INFINITY;
            upper.row_mut(row).assign(&values);
            order.push(next);
        }
        Self { order, upper, scales }
    }

    /// Features that are combinations of others, or constant.
    pub(in crate::probe) fn left_out(&self) -> usize {
        self.scales.len() - self.order.len()
    }

    /// Solves for each column of `right` (features × columns); features left out get zeros.
    pub(in crate::probe) fn solve(&self, right: &Array2<f64>) -> Array2<f64> {
        let rank = self.order.len();
        let mut taken = Array2::<f64>::zeros((rank, right.ncols()));
        for row in 0..rank {
            let feature = self.order[row];
            let mut value = right.row(feature).mapv(|value| value / self.scales[feature]);
            for before in 0..row {
                value.scaled_add(-self.upper[[before, feature]], &taken.row(before));
            }
            value /= self.upper[[row, feature]];
            taken.row_mut(row).assign(&value);
        }
        let mut solved = Array2::zeros(right.dim());
        for row in (0..rank).rev() {
            let mut value = taken.row(row).to_owned();
            for after in row + 1..rank {
                value.scaled_add(-self.upper[[row, self.order[after]]], &taken.row(after));
            }
            value /= self.upper[[row, self.order[row]]];
            taken.row_mut(row).assign(&value);
            let feature = self.order[row];
            value /= self.scales[feature];
            solved.row_mut(feature).assign(&value);
        }
        solved
    }
}

/// Where the largest value is, the first of equals.
fn largest(values: ArrayView1<'_, f64>) -> Option<usize> {
    let better = |best: Option<usize>, index: usize| match best {
        Some(best) if values[best] >= values[index] => Some(best),
        _ => Some(index),
    };
    (0..values.len()).fold(None, better)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::probe::testing::normal;

    #[test]
    fn a_solution_fulfils_its_equations() {
        let half = normal(1, 40, 12) * 1e3;
        let matrix = half.t().dot(&half);
        let right = normal(2, 12, 3);
        let factors = Pivoted::of(matrix.clone());
        assert_eq!(factors.left_out(), 0);
        let back = matrix.dot(&factors.solve(&right));
        assert!((&back - &right).iter().all(|d| d.abs() < 1e-9));
    }

    #[test]
    fn combinations_and_constants_are_left_out() {
        let half = normal(3, 20, 3);
        let mut wide = Array2::zeros((20, 6));
        for (column, parts) in [[1.0, 0.0, 0.0], [0.0; 3], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]
            .iter()
            .chain(&[[0.0, 0.0, 1e-9], [1.0, 0.0, 0.0]])
            .enumerate()
        {
            wide.column_mut(column).assign(&half.dot(&array![parts[0], parts[1], parts[2]]));
        }
        let matrix = wide.t().dot(&wide);
        let factors = Pivoted::of(matrix.clone());
        assert_eq!(factors.left_out(), 3);
        // What the equations can say is said: a right side within their range comes back.
        let right = matrix.dot(&normal(4, 6, 2));
        let back = matrix.dot(&factors.solve(&right));
        let scale = |row: usize| matrix[[row, row]].sqrt().max(1e-12);
        for ((row, column), value) in back.indexed_iter() {
            assert!((value - right[[row, column]]).abs() < 1e-6 * scale(row), "{row} {column}");
        }
    }
}
