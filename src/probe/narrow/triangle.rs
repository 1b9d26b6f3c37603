//! Solutions by a triangular factor.

use ndarray::ArrayView2;

use crate::kernels::lanes::LANES;
use crate::probe::threads;

use super::kernels::{Product, Scores};
use super::{Layout, STRIP, narrowed, scale_of};

/// Rows that are solved one after the other; all before them are met at once.
const BLOCK: usize = STRIP;

/// L with L·L' = A, scaled by a power of two.
#[derive(Clone, Debug)]
pub(crate) struct Triangle {
    /// Blocks of rows, each as wide as it needs.
    rows: Vec<f32>,
    /// One over each value of the diagonal.
    inverses: Vec<f32>,
    scale: f64,
}

impl Triangle {
    /// Of a matrix whose lower triangle is L.
    pub(crate) fn new(lower: &ArrayView2<'_, f64>) -> Self {
        let size = lower.nrows();
        let padded = size.next_multiple_of(BLOCK);
        let scale = scale_of(lower.diag().iter().copied());
        let blocks = padded / BLOCK;
        let mut rows = Vec::with_capacity(blocks * (blocks + 1) / 2 * BLOCK * BLOCK);
        for row in 0..padded {
            let end = (row / BLOCK + 1) * BLOCK;
            let known = if row < size { row } else { 0 };
            rows.extend((0..known).map(|column| narrowed(scale * lower[[row, column]])));
            rows.resize(rows.len() + end - known, 0.0);
        }
        let inverse =
            |row| if row < size { (1.0 / (scale * lower[[row, row]])) as f32 } else { 1.0 };
        Self { rows, inverses: (0..padded).map(inverse).collect(), scale }
    }

    /// Makes columns A⁻¹ · columns times the scale's square, which is answered.
    pub(crate) fn solve(&self, layout: Layout, columns: &mut [[f32; LANES]], threads: usize) {
        threads::each_part(threads, columns.chunks_exact_mut(layout.eights()), |_, chunk| {
            self.forward(layout.apiece, chunk);
            self.backward(layout.apiece, chunk);
        });
    }

    /// What solutions must be multiplied by.
    pub(crate) fn factor(&self) -> f64 {
        self.scale * self.scale
    }

    /// The rows of a block.
    fn block(&self, block: usize) -> (usize, &[f32]) {
        let width = (block + 1) * BLOCK;
        let first = block * (block + 1) / 2 * BLOCK * BLOCK;
        (width, &self.rows[first..first + BLOCK * width])
    }

    fn forward(&self, apiece: usize, chunk: &mut [[f32; LANES]]) {
        let eights = BLOCK / LANES * apiece;
        let mut sums = [0.0; BLOCK * super::MOST];
        let sums = &mut sums[..BLOCK * apiece];
        for block in 0..self.inverses.len() / BLOCK {
            let (width, rows) = self.block(block);
            let (known, own) = chunk.split_at_mut(block * eights);
            Scores { width, rows, columns: known, apiece, into: sums, stride: apiece, first: 0 }
                .run();
            let mut solved = taken(apiece, &own[..eights]);
            for row in 0..BLOCK {
                let factors = &rows[row * width + block * BLOCK..][..row];
                let inverse = self.inverses[block * BLOCK + row];
                let (before, own) = solved.split_at_mut(row);
                for (at, value) in own[0][..apiece].iter_mut().enumerate() {
                    *value -= sums[row * apiece + at];
                }
                for (factor, before) in factors.iter().zip(&*before) {
                    own[0].iter_mut().zip(before).for_each(|(own, value)| *own -= factor * value);
                }
                own[0].iter_mut().for_each(|value| *value *= inverse);
            }
            given(apiece, &solved, &mut own[..eights]);
        }
    }

    fn backward(&self, apiece: usize, chunk: &mut [[f32; LANES]]) {
        let eights = BLOCK / LANES * apiece;
        for block in (0..self.inverses.len() / BLOCK).rev() {
            let (width, rows) = self.block(block);
            let (known, own) = chunk.split_at_mut(block * eights);
            let mut solved = taken(apiece, &own[..eights]);
            for row in (0..BLOCK).rev() {
                let factors = &rows[row * width + block * BLOCK..][..row];
                let inverse = self.inverses[block * BLOCK + row];
                let (before, own) = solved.split_at_mut(row);
                own[0].iter_mut().for_each(|value| *value *= inverse);
                for (factor, before) in factors.iter().zip(before) {
                    before.iter_mut().zip(&own[0]).for_each(|(to, value)| *to -= factor * value);
                }
            }
            given(apiece, &solved, &mut own[..eights]);
            let mut factors = [0.0; BLOCK * super::MOST];
            for (factors, solved) in factors.chunks_exact_mut(apiece).zip(&solved) {
                factors.iter_mut().zip(solved).for_each(|(factor, value)| *factor = -value);
            }
            let factors = &factors[..BLOCK * apiece];
            Product { width, rows, factors, stride: apiece, first: 0, into: known, apiece }.run();
        }
    }
}

/// A block's values, row by row.
fn taken(apiece: usize, own: &[[f32; LANES]]) -> [[f32; LANES]; BLOCK] {
    let mut rows = [[0.0; LANES]; BLOCK];
    for (row, values) in rows.iter_mut().enumerate() {
        for (at, value) in values[..apiece].iter_mut().enumerate() {
            *value = own[row / LANES * apiece + at][row % LANES];
        }
    }
    rows
}

/// Puts a block's values back.
fn given(apiece: usize, rows: &[[f32; LANES]; BLOCK], own: &mut [[f32; LANES]]) {
    for (row, values) in rows.iter().enumerate() {
        for (at, value) in values[..apiece].iter().enumerate() {
            own[row / LANES * apiece + at][row % LANES] = *value;
        }
    }
}
