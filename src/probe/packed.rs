//! Features laid out for products with few columns: four items side by side, so that one value of
//! the weights meets four items while it lies in a register.

#![allow(clippy::inline_always, reason = "what is not inlined is not compiled for wide registers")]

use ndarray::{ArrayView2, s};

use super::threads;
use crate::kernels::lanes::{DOUBLES, Lanes, Task, dispatch, filled};

/// Items that lie side by side.
const SIDE: usize = 4;
/// Items in a block, which stays in the nearer caches between its scores and its gradient.
const BLOCK: usize = 64;
/// Rows of the weights whose gradient stays in the nearest cache.
const SPAN: usize = 128;

/// Items × features, and a last feature that is one for all if asked for.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    sides: Vec<[f64; SIDE]>,
    items: usize,
    width: usize,
}

/// Columns of weights, cut into chunks of `lanes`; each chunk is a matrix of features × lanes.
/// Columns beyond `used` are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    /// Columns that mean something.
    pub(crate) used: usize,
    /// Columns in a chunk: 4, 8 or 12.
    pub(crate) lanes: usize,
    /// Chunks.
    pub(crate) chunks: usize,
}

impl Columns {
    /// As few empty columns as can be.
    pub(crate) fn new(columns: usize) -> Self {
        let padded = |lanes: &usize| columns.div_ceil(*lanes) * lanes;
        let lanes = [12, 8, 4].into_iter().min_by_key(padded).unwrap_or(12);
        Self { used: columns, lanes, chunks: columns.div_ceil(lanes).max(1) }
    }

    /// Columns with the empty ones.
    pub(crate) fn padded(self) -> usize {
        self.lanes * self.chunks
    }

    /// Values of weights for `width` features.
    pub(crate) fn length(self, width: usize) -> usize {
        self.padded() * width
    }

    /// Where the weight of a feature and a column lies.
    pub(crate) fn at(self, width: usize, feature: usize, column: usize) -> usize {
        let (chunk, lane) = (column / self.lanes, column % self.lanes);
        (chunk * width + feature) * self.lanes + lane
    }
}

impl Packed {
    /// Lays out features.
    pub(crate) fn new(features: &ArrayView2<'_, f64>, ones: bool, threads: usize) -> Self {
        let (items, columns) = features.dim();
        let width = columns + usize::from(ones);
        let mut sides = vec![[0.0; SIDE]; items.div_ceil(SIDE) * width];
        threads::each_part(threads, sides.chunks_mut(width.max(1)), |side, into| {
            let first = side * SIDE;
            let last = (first + SIDE).min(items);
            for (offset, row) in features.slice(s![first..last, ..]).rows().into_iter().enumerate()
            {
                for (into, value) in into.iter_mut().zip(row) {
                    into[offset] = *value;
                }
                if ones {
                    into[columns][offset] = 1.0;
                }
            }
        });
        Self { sides, items, width }
    }

    /// Items.
    pub(crate) fn items(&self) -> usize {
        self.items
    }

    /// Features, the one that is one for all among them.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// A value.
    pub(crate) fn value(&self, item: usize, feature: usize) -> f64 {
        self.sides[item / SIDE * self.width + feature][item % SIDE]
    }

    /// All values, and zeros.
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> {
        self.sides.iter().flatten().copied()
    }

    /// Items of a part of the work; a part has partial sums of its own, so there are few of them.
    fn part(&self, columns: Columns) -> usize {
        // Partial sums together take 64 MiB at most, and there are 16 of them at most.
        let size = columns.length(self.width).max(1) * 8;
        let parts = ((64 << 20) / size).clamp(1, 16);
        self.items.div_ceil(parts).div_ceil(BLOCK).max(1) * BLOCK
    }

    /// Scores = features · weights, then `link` makes each item's scores the factors of its
    /// features, then features' · factors, all in one go over the features. `link` gets an item's
    /// number, its scores (all columns, the empty ones too, which must stay zero), its row of
    /// `beside` (as many values for each item as `beside` has), and losses to add to, one for each
    /// column.
    ///
    /// Answers the losses; writes the product into `into`.
    pub(crate) fn round(
        &self,
        columns: Columns,
        weights: &[f64],
        beside: &mut [f64],
        threads: usize,
        into: &mut [f64],
        link: impl Fn(usize, &mut [f64], &mut [f64], &mut [f64]) + Sync,
    ) -> Vec<f64> {
        let part = self.part(columns);
        let apiece = beside.len().checked_div(self.items).unwrap_or(0);
        let parts = self.items.div_ceil(part);
        let mut besides: Vec<&mut [f64]> = beside.chunks_mut((part * apiece).max(1)).collect();
        besides.resize_with(parts, Default::default);
        let sums = threads::each_part(threads, besides, |index, beside| {
            let first = index * part;
            let items = first..(first + part).min(self.items);
            self.part_of_round(columns, weights, beside, apiece, items, &link)
        });
        into.fill(0.0);
        let mut losses = vec![0.0; columns.padded()];
        for (part, sum) in sums {
            losses.iter_mut().zip(&part).for_each(|(into, value)| *into += value);
            into.iter_mut().zip(&sum).for_each(|(into, value)| *into += value);
        }
        losses
    }

    fn part_of_round(
        &self,
        columns: Columns,
        weights: &[f64],
        beside: &mut [f64],
        apiece: usize,
        items: std::ops::Range<usize>,
        link: &impl Fn(usize, &mut [f64], &mut [f64], &mut [f64]),
    ) -> (Vec<f64>, Vec<f64>) {
        let padded = columns.padded();
        let mut sums = vec![0.0; columns.length(self.width)];
        let mut scores = vec![0.0; BLOCK * padded];
        let mut losses = vec![0.0; padded];
        for first in items.clone().step_by(BLOCK) {
            let last = (first + BLOCK).min(items.end);
            let sides = &self.sides[first / SIDE * self.width..last.div_ceil(SIDE) * self.width];
            self.scores_of(columns, weights, sides, &mut scores);
            for item in first..last {
                let from = (item - items.start) * apiece;
                let row = &mut scores[(item - first) * padded..][..padded];
                link(item, row, &mut beside[from..from + apiece], &mut losses);
            }
            scores[(last - first) * padded..].fill(0.0);
            self.add_product(columns, sides, &scores, &mut sums);
        }
        (losses, sums)
    }

    fn scores_of(
        &self,
        columns: Columns,
        weights: &[f64],
        sides: &[[f64; SIDE]],
        into: &mut [f64],
    ) {
        let (width, padded) = (self.width, columns.padded());
        match columns.lanes {
            4 => dispatch(Scores::<1> { width, padded, weights, sides, into }),
            8 => dispatch(Scores::<2> { width, padded, weights, sides, into }),
            _ => dispatch(Scores::<3> { width, padded, weights, sides, into }),
        }
    }

    fn add_product(
        &self,
        columns: Columns,
        sides: &[[f64; SIDE]],
        scores: &[f64],
        into: &mut [f64],
    ) {
        let (width, padded) = (self.width, columns.padded());
        match columns.lanes {
            4 => dispatch(Product::<1> { width, padded, sides, scores, into }),
            8 => dispatch(Product::<2> { width, padded, sides, scores, into }),
            _ => dispatch(Product::<3> { width, padded, sides, scores, into }),
        }
    }
}

/// Features · weights; a chunk has `R` registers of columns.
struct Scores<'a, const R: usize> {
    width: usize,
    padded: usize,
    weights: &'a [f64],
    sides: &'a [[f64; SIDE]],
    into: &'a mut [f64],
}

impl<const R: usize> Task for Scores<'_, R> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let sides = self.sides.chunks_exact(self.width);
        for (side, into) in sides.zip(self.into.chunks_exact_mut(SIDE * self.padded)) {
            let chunks = self.weights.as_chunks::<DOUBLES>().0.chunks_exact(self.width * R);
            for (chunk, weights) in chunks.enumerate() {
                let sums = products::<L, R>(lanes, side, weights);
                let mut item = 0;
                while item < SIDE {
                    let first = item * self.padded + chunk * R * DOUBLES;
                    let into = &mut into[first..first + R * DOUBLES];
                    let into = into.as_chunks_mut::<DOUBLES>().0;
                    let mut register = 0;
                    while register < R {
                        lanes.store_doubles(sums[item][register], &mut into[register]);
                        register += 1;
                    }
                    item += 1;
                }
            }
        }
    }
}

/// Four items times one chunk of weights.
#[inline(always)]
fn products<L: Lanes, const R: usize>(
    lanes: L,
    side: &[[f64; SIDE]],
    weights: &[[f64; DOUBLES]],
) -> [[L::D; R]; SIDE] {
    let mut sums = [[lanes.splat_doubles(0.0); R]; SIDE];
    for (items, weights) in side.iter().zip(weights.as_chunks::<R>().0) {
        let weights = filled!([sums[0][0]; R], |at| lanes.load_doubles(&weights[at]));
        sums = filled!([sums[0]; SIDE], |item| {
            let value = lanes.splat_doubles(items[item]);
            filled!([value; R], |at| lanes.fma_doubles(value, weights[at], sums[item][at]))
        });
    }
    sums
}

/// Adds features' · factors.
struct Product<'a, const R: usize> {
    width: usize,
    padded: usize,
    sides: &'a [[f64; SIDE]],
    scores: &'a [f64],
    into: &'a mut [f64],
}

impl<const R: usize> Task for Product<'_, R> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (width, padded) = (self.width, self.padded);
        let into = self.into.as_chunks_mut::<DOUBLES>().0.as_chunks_mut::<R>().0;
        for (chunk, into) in into.chunks_exact_mut(width).enumerate() {
            for first in (0..width).step_by(SPAN) {
                let last = (first + SPAN).min(width);
                let scored = self.scores.chunks_exact(SIDE * padded);
                for (side, scores) in self.sides.chunks_exact(width).zip(scored) {
                    let mut factors = [[lanes.splat_doubles(0.0); R]; SIDE];
                    let mut item = 0;
                    while item < SIDE {
                        let row = &scores[item * padded + chunk * R * DOUBLES..][..R * DOUBLES];
                        let row = row.as_chunks::<DOUBLES>().0;
                        factors[item] =
                            filled!([factors[0][0]; R], |at| lanes.load_doubles(&row[at]));
                        item += 1;
                    }
                    add_outer::<L, R>(lanes, &side[first..last], &factors, &mut into[first..last]);
                }
            }
        }
    }
}

/// Adds features' · factors of four items.
#[inline(always)]
fn add_outer<L: Lanes, const R: usize>(
    lanes: L,
    side: &[[f64; SIDE]],
    factors: &[[L::D; R]; SIDE],
    into: &mut [[[f64; DOUBLES]; R]],
) {
    for (items, into) in side.iter().zip(into) {
        let mut sums = filled!([factors[0][0]; R], |at| lanes.load_doubles(&into[at]));
        let mut item = 0;
        while item < SIDE {
            let value = lanes.splat_doubles(items[item]);
            sums = filled!([value; R], |at| lanes.fma_doubles(value, factors[item][at], sums[at]));
            item += 1;
        }
        let mut at = 0;
        while at < R {
            lanes.store_doubles(sums[at], &mut into[at]);
            at += 1;
        }
    }
}
