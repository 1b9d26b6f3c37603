//! J(W, b) = C Σᵢ lossᵢ(W xᵢ + b) + ½ ‖W‖² with its derivatives, and an approximate inverse of
//! the second ones.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, Axis, s};

use super::link::Link;
use crate::kernels::lanes::LANES;
use crate::probe::cholesky::Blocked;
use crate::probe::narrow::{Layout, Narrow, Triangle, narrowed, scale_of};
use crate::probe::packed::{Columns, Packed};
use crate::probe::threads;

/// The training set.
#[derive(Debug)]
pub(super) struct Problem {
    /// Items × features with the bias's ones as the last.
    pub(super) features: Packed,
    /// The same for what need not be exact.
    pub(super) narrow: Narrow,
    pub(super) columns: Columns,
    pub(super) link: Link,
    /// Whether the penalty is on the bias too.
    pub(super) penalised_bias: bool,
    pub(super) threads: usize,
}

/// Weights with what J is made of there. `values` are chunks of columns as [`Columns`] has them.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) values: Vec<f64>,
    /// Σ lossᵢ of each column; of columns that meet in one loss, the same for all.
    pub(super) losses: Vec<f64>,
    /// ‖W‖² of each column, or of all.
    pub(super) norms: Vec<f64>,
    /// Σ of the loss's derivatives by the weights.
    pub(super) slope: Vec<f64>,
    /// What the second derivatives are made of, for items × columns.
    shares: Vec<f64>,
}

impl Point {
    /// J of each column for a cost.
    pub(super) fn objectives(&self, cost: f64) -> Vec<f64> {
        let pairs = self.losses.iter().zip(&self.norms);
        pairs.map(|(loss, norm)| cost.mul_add(*loss, 0.5 * norm)).collect()
    }
}

impl Problem {
    /// Values of weights and biases.
    pub(super) fn length(&self) -> usize {
        self.columns.length(self.features.width())
    }

    /// Each feature's lanes of each chunk, with the chunk's first column.
    fn lanes<'a>(&self, values: &'a [f64]) -> impl Iterator<Item = (usize, &'a [f64])> + use<'a> {
        let (width, lanes) = (self.features.width(), self.columns.lanes);
        let all = values.chunks_exact(lanes).enumerate();
        all.map(move |(at, values)| (at / width * lanes, values))
    }

    /// Σ aᵢ bᵢ of each column, or of all for columns that meet in one loss.
    pub(super) fn dots(&self, a: &[f64], b: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.columns.padded()];
        for ((first, a), (_, b)) in self.lanes(a).zip(self.lanes(b)) {
            for ((sum, a), b) in sums[first..].iter_mut().zip(a).zip(b) {
                *sum = a.mul_add(*b, *sum);
            }
        }
        self.unite(sums)
    }

    /// Largest absolute value of each column, or of all.
    pub(super) fn largest(&self, values: &[f64]) -> Vec<f64> {
        let mut most = vec![0.0_f64; self.columns.padded()];
        for (first, values) in self.lanes(values) {
            for (most, value) in most[first..].iter_mut().zip(values) {
                *most = most.max(value.abs());
            }
        }
        if self.link.is_joint() {
            let all = most.iter().copied().fold(0.0, f64::max);
            most.fill(all);
        }
        most
    }

    /// Adds values times their column's factor.
    pub(super) fn add(&self, factors: &[f64], values: &[f64], into: &mut [f64]) {
        let width = self.features.width() * self.columns.lanes;
        for (chunk, into) in into.chunks_mut(width).enumerate() {
            let factors = &factors[chunk * self.columns.lanes..][..self.columns.lanes];
            let values = values[chunk * width..].chunks_exact(factors.len());
            for (into, values) in into.chunks_exact_mut(factors.len()).zip(values) {
                for ((into, value), factor) in into.iter_mut().zip(values).zip(factors) {
                    *into = factor.mul_add(*value, *into);
                }
            }
        }
    }

    /// Multiplies values by their column's factor.
    pub(super) fn keep(&self, factors: &[f64], values: &mut [f64]) {
        let (width, lanes) = (self.features.width(), self.columns.lanes);
        for (at, values) in values.chunks_exact_mut(lanes).enumerate() {
            let factors = &factors[at / width * lanes..];
            values.iter_mut().zip(factors).for_each(|(value, factor)| *value *= factor);
        }
    }

    /// Columns that meet in one loss do not change it together: takes their mean away.
    pub(super) fn balance(&self, values: &mut [f64]) {
        if !self.link.is_joint() {
            return;
        }
        let (width, used) = (self.features.width(), self.columns.used);
        for feature in 0..width {
            let at = |column| self.columns.at(width, feature, column);
            let mean = (0..used).map(|column| values[at(column)]).sum::<f64>() / used as f64;
            for column in 0..used {
                values[at(column)] -= mean;
            }
        }
    }

    fn unite(&self, mut sums: Vec<f64>) -> Vec<f64> {
        if self.link.is_joint() {
            let all = sums.iter().sum();
            sums.fill(all);
        }
        sums
    }

    /// The values that the penalty is on; 0 for others.
    pub(super) fn penalised(&self, values: &[f64]) -> Vec<f64> {
        let mut weights = values.to_vec();
        if !self.penalised_bias {
            let width = self.features.width() * self.columns.lanes;
            for chunk in weights.chunks_mut(width) {
                let biases = chunk.len() - self.columns.lanes;
                chunk[biases..].fill(0.0);
            }
        }
        weights
    }

    /// What J is made of at some weights: one round over the features.
    pub(super) fn at(&self, values: Vec<f64>) -> Point {
        let mut slope = vec![0.0; values.len()];
        let mut shares = vec![0.0; self.features.items() * self.columns.used];
        let losses = self.features.round(
            self.columns,
            &values,
            &mut shares,
            self.threads,
            &mut slope,
            |item, scores, shares, losses| self.link.meet(item, scores, shares, losses),
        );
        let weights = self.penalised(&values);
        let norms = self.dots(&weights, &weights);
        Point { losses: self.unite(losses), norms, values, slope, shares }
    }

    /// ∇J
    pub(super) fn gradient(&self, point: &Point, cost: f64) -> Vec<f64> {
        let mut gradient = self.penalised(&point.values);
        for (gradient, slope) in gradient.iter_mut().zip(&point.slope) {
            *gradient = cost.mul_add(*slope, *gradient);
        }
        gradient
    }

    /// How columns lie for what need not be exact.
    pub(super) fn layout(&self) -> Layout {
        Layout::new(self.columns.used, self.features.width())
    }

    /// Values for what need not be exact, and what they were multiplied by.
    pub(super) fn narrowed(&self, values: &[f64]) -> (Vec<[f32; LANES]>, f64) {
        let (layout, width) = (self.layout(), self.features.width());
        let scale = scale_of(values.iter().copied());
        let mut narrow = layout.zeros();
        for column in 0..self.columns.used {
            for feature in 0..width {
                let (eight, lane) = layout.at(feature, column);
                let value = values[self.columns.at(width, feature, column)];
                narrow[eight][lane] = narrowed(scale * value);
            }
        }
        (narrow, scale)
    }

    /// Such values times a factor.
    pub(super) fn widened(&self, narrow: &[[f32; LANES]], factor: f64) -> Vec<f64> {
        let (layout, width) = (self.layout(), self.features.width());
        let mut values = vec![0.0; self.length()];
        for column in 0..self.columns.used {
            for feature in 0..width {
                let (eight, lane) = layout.at(feature, column);
                let value = f64::from(narrow[eight][lane]);
                values[self.columns.at(width, feature, column)] = factor * value;
            }
        }
        values
    }

    /// ∇²J · direction, about: one round over the features.
    pub(super) fn curve(&self, point: &Point, cost: f64, direction: &[f64]) -> Vec<f64> {
        let (columns, scale) = self.narrowed(direction);
        let product = self.narrow.round(self.layout(), &columns, self.threads, |item, scores| {
            let used = self.columns.used;
            self.link.curve(item, scores, &point.shares[item * used..][..used]);
        });
        let mut product = self.widened(&product, self.narrow.unit() / scale);
        let weights = self.penalised(direction);
        for (product, weight) in product.iter_mut().zip(&weights) {
            *product = cost.mul_add(*product, *weight);
        }
        product
    }

    /// Items with their mean curvature, or with that of one column; those of hardly any are left
    /// out.
    pub(super) fn curved_items(&self, point: &Point, column: Option<usize>) -> Vec<(usize, f64)> {
        let shares = point.shares.chunks_exact(self.columns.used).enumerate();
        let mut items: Vec<(usize, f64)> = shares
            .map(|(item, shares)| match column {
                Some(column) => (item, self.link.curvature_of(item, column, shares)),
                None => (item, self.link.curvature(item, shares)),
            })
            .collect();
        let least = NEGLIGIBLE * items.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
        items.retain(|(_, weight)| *weight > least);
        items
    }

    /// Σᵢ wᵢ xᵢ xᵢ' of items with their weights, about, in the narrow features' units; the lower
    /// triangle.
    pub(super) fn curvature(&self, items: &[(usize, f64)]) -> Array2<f32> {
        let width = self.features.width();
        let mut sum = Array2::zeros((width, width));
        let mut rows = Array2::zeros((ITEMS, width));
        for items in items.chunks(ITEMS) {
            threads::each_part(
                self.threads,
                rows.rows_mut().into_iter().zip(items),
                |_, (mut row, (item, weight))| {
                    let root = narrowed(weight.sqrt());
                    let values = row.iter_mut().zip(self.narrow.row(*item));
                    values.for_each(|(into, value)| *into = root * value);
                },
            );
            let rows = rows.slice(s![..items.len(), ..]);
            let strips = sum.axis_chunks_iter_mut(Axis(0), STRIP);
            threads::each_part(self.threads, strips, |index, strip| {
                let top = index * STRIP;
                let end = top + strip.nrows();
                let mut strip = strip.slice_move(s![.., ..end]);
                let left = rows.slice(s![.., top..end]);
                general_mat_mul(1.0, &left.t(), &rows.slice(s![.., ..end]), 1.0, &mut strip);
            });
        }
        sum
    }

    /// Factors `cost · curvature + 1` (the bias has no 1). Where that fails for rounding, the
    /// diagonal is raised until it does not.
    pub(super) fn inverse(&self, curvature: &Array2<f32>, cost: f64) -> Option<Triangle> {
        let size = curvature.nrows();
        let factor = cost * self.narrow.unit();
        let mean = curvature.diag().mapv(f64::from).sum() * factor / size as f64;
        let mut raised = f64::from(f32::EPSILON) * mean + f64::MIN_POSITIVE;
        for _ in 0..12 {
            let mut matrix = curvature.mapv(|value| factor * f64::from(value));
            matrix.diag_mut().map_inplace(|value| *value += 1.0 + raised);
            if !self.penalised_bias {
                matrix[[size - 1, size - 1]] -= 1.0;
            }
            if let Some(factor) = Blocked::new(matrix, self.threads) {
                return Some(Triangle::new(&factor.lower()));
            }
            raised *= 10.0;
        }
        None
    }
}

/// Items whose curvature is added at once.
const ITEMS: usize = 512;
/// Rows of the curvature that are a piece of work.
const STRIP: usize = 128;
/// Curvature, as a share of the largest, below which an item is left out of the approximate inverse.
const NEGLIGIBLE: f64 = 1e-4;
