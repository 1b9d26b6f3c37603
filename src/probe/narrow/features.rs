//! Second derivatives times a direction.

use crate::kernels::lanes::LANES;
use crate::probe::packed::Packed;
use crate::probe::threads;

use super::kernels::{Product, SIDE, Scores};
use super::{Layout, STRIP, narrowed, scale_of};

/// Items in a block, which stays in the nearer caches between its scores and its product.
const BLOCK: usize = 32;

/// Items × features, scaled by a power of two.
#[derive(Clone, Debug)]
pub(crate) struct Narrow {
    rows: Vec<f32>,
    items: usize,
    padded: usize,
    scale: f64,
}

impl Narrow {
    /// The same features in half the memory.
    pub(crate) fn new(features: &Packed, threads: usize) -> Self {
        let (items, width) = (features.items(), features.width());
        let padded = width.next_multiple_of(STRIP);
        let scale = scale_of(features.values());
        let mut rows = vec![0.0; items.next_multiple_of(SIDE) * padded];
        threads::each_part(threads, rows.chunks_mut(BLOCK * padded), |block, rows| {
            let first = block * BLOCK;
            for (item, row) in (first..items).zip(rows.chunks_exact_mut(padded)) {
                for (feature, value) in row[..width].iter_mut().enumerate() {
                    *value = narrowed(scale * features.value(item, feature));
                }
            }
        });
        Self { rows, items, padded, scale }
    }

    /// An item's features.
    pub(crate) fn row(&self, item: usize) -> &[f32] {
        &self.rows[item * self.padded..][..self.padded]
    }

    /// What products of two values must be multiplied by.
    pub(crate) fn unit(&self) -> f64 {
        1.0 / (self.scale * self.scale)
    }

    /// Items of a part of the work; a part has partial sums of its own, so there are few of them.
    fn part(&self, layout: Layout) -> usize {
        // Partial sums together take 32 MiB at most, and there are 16 of them at most.
        let size = layout.all() * self.padded * 4;
        let parts = ((32 << 20) / size.max(1)).clamp(1, 16);
        self.items.div_ceil(parts).div_ceil(BLOCK).max(1) * BLOCK
    }

    /// features' · link(features · columns), to be multiplied by the unit. `link` gets an item's
    /// number and its scores, and makes them factors, in which it must be linear.
    pub(crate) fn round(
        &self,
        layout: Layout,
        columns: &[[f32; LANES]],
        threads: usize,
        link: impl Fn(usize, &mut [f64]) + Sync,
    ) -> Vec<[f32; LANES]> {
        let part = self.part(layout);
        let parts = self.rows.chunks(part * self.padded);
        let mut sums = threads::each_part(threads, parts, |index, rows| {
            self.part_of_round(layout, columns, index * part, rows, &link)
        })
        .into_iter();
        let mut sum = sums.next().unwrap_or_else(|| layout.zeros());
        for part in sums {
            let pairs = sum.as_flattened_mut().iter_mut().zip(part.as_flattened());
            pairs.for_each(|(into, value)| *into += value);
        }
        sum
    }

    fn part_of_round(
        &self,
        layout: Layout,
        columns: &[[f32; LANES]],
        first: usize,
        rows: &[f32],
        link: &impl Fn(usize, &mut [f64]),
    ) -> Vec<[f32; LANES]> {
        let (width, stride, apiece) = (self.padded, layout.all(), layout.apiece);
        let mut sums = layout.zeros();
        let mut scores = vec![0.0; BLOCK * stride];
        let mut exact = vec![0.0; layout.columns];
        for (block, rows) in rows.chunks(BLOCK * width).enumerate() {
            let first = first + block * BLOCK;
            let scores = &mut scores[..rows.len() / width * stride];
            for (chunk, columns) in columns.chunks_exact(layout.eights()).enumerate() {
                let first = chunk * apiece;
                Scores { width, rows, columns, apiece, into: scores, stride, first }.run();
            }
            for (item, scores) in (first..self.items).zip(scores.chunks_exact_mut(stride)) {
                let scores = &mut scores[..layout.columns];
                exact.iter_mut().zip(&*scores).for_each(|(e, score)| *e = f64::from(*score));
                link(item, &mut exact);
                scores.iter_mut().zip(&exact).for_each(|(score, e)| *score = narrowed(*e));
            }
            for (chunk, into) in sums.chunks_exact_mut(layout.eights()).enumerate() {
                let first = chunk * apiece;
                Product { width, rows, factors: scores, stride, first, into, apiece }.run();
            }
        }
        sums
    }
}
