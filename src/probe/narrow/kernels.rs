//! Rows times columns, and rows' times factors, for a chunk of columns.

#![allow(clippy::inline_always, reason = "what is not inlined is not compiled for wide registers")]

use crate::kernels::lanes::{LANES, Lanes, Task, dispatch, filled};

/// Rows whose products are asked for together are a multiple of this.
pub(super) const SIDE: usize = 8;

/// Scores of rows: each row's first eights times a chunk of columns.
pub(super) struct Scores<'a> {
    /// Values from one row to the next.
    pub(super) width: usize,
    /// A multiple of [`SIDE`] of them.
    pub(super) rows: &'a [f32],
    /// Eights × columns of the chunk.
    pub(super) columns: &'a [[f32; LANES]],
    pub(super) apiece: usize,
    /// Rows × `stride`, of which the chunk's columns begin at `first`.
    pub(super) into: &'a mut [f32],
    pub(super) stride: usize,
    pub(super) first: usize,
}

impl Scores<'_> {
    pub(super) fn run(self) {
        match self.apiece {
            1 => dispatch(ScoresOf::<8, 1>(self)),
            2 => dispatch(ScoresOf::<4, 2>(self)),
            3 => dispatch(ScoresOf::<4, 3>(self)),
            4 => dispatch(ScoresOf::<2, 4>(self)),
            5 => dispatch(ScoresOf::<2, 5>(self)),
            _ => dispatch(ScoresOf::<2, 6>(self)),
        }
    }
}

/// `I` rows at once, `C` columns.
struct ScoresOf<'a, const I: usize, const C: usize>(Scores<'a>);

impl<const I: usize, const C: usize> Task for ScoresOf<'_, I, C> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let task = self.0;
        let columns = task.columns.as_chunks::<C>().0;
        let sides = task.rows.chunks_exact(I * task.width);
        for (rows, into) in sides.zip(task.into.chunks_exact_mut(I * task.stride)) {
            let rows = filled!([&[[0.0; LANES]; 0][..]; I], |row| {
                &rows[row * task.width..][..task.width].as_chunks::<LANES>().0[..columns.len()]
            });
            let mut sums = [[lanes.splat(0.0); C]; I];
            for (eight, columns) in columns.iter().enumerate() {
                let columns = filled!([sums[0][0]; C], |at| lanes.load(&columns[at]));
                sums = filled!([sums[0]; I], |row| {
                    let row_values = lanes.load(&rows[row][eight]);
                    filled!([row_values; C], |at| lanes.fma(row_values, columns[at], sums[row][at]))
                });
            }
            let mut row = 0;
            while row < I {
                let mut at = 0;
                while at < C {
                    into[row * task.stride + task.first + at] = total(lanes, sums[row][at]);
                    at += 1;
                }
                row += 1;
            }
        }
    }
}

/// The sum of eight.
#[inline(always)]
fn total<L: Lanes>(lanes: L, values: L::V) -> f32 {
    let mut eight = [0.0; LANES];
    lanes.store(values, &mut eight);
    let half = filled!([0.0; LANES / 2], |at| eight[at] + eight[at + LANES / 2]);
    (half[0] + half[2]) + (half[1] + half[3])
}

/// Adds rows' · factors to the first eights of a chunk of columns.
pub(super) struct Product<'a> {
    /// Values from one row to the next.
    pub(super) width: usize,
    pub(super) rows: &'a [f32],
    /// Rows × `stride`, of which the chunk's columns begin at `first`.
    pub(super) factors: &'a [f32],
    pub(super) stride: usize,
    pub(super) first: usize,
    /// An even number of eights × columns of the chunk.
    pub(super) into: &'a mut [[f32; LANES]],
    pub(super) apiece: usize,
}

impl Product<'_> {
    pub(super) fn run(self) {
        match self.apiece {
            1 => dispatch(ProductOf::<8, 1>(self)),
            2 => dispatch(ProductOf::<4, 2>(self)),
            3 => dispatch(ProductOf::<4, 3>(self)),
            4 => dispatch(ProductOf::<2, 4>(self)),
            5 => dispatch(ProductOf::<2, 5>(self)),
            _ => dispatch(ProductOf::<2, 6>(self)),
        }
    }
}

/// `E` eights at once, `C` columns.
struct ProductOf<'a, const E: usize, const C: usize>(Product<'a>);

impl<const E: usize, const C: usize> Task for ProductOf<'_, E, C> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let mut task = self.0;
        let eights = task.into.len() / C;
        let whole = eights / E * E;
        for first in (0..whole).step_by(E) {
            add::<L, E, C>(lanes, &mut task, first);
        }
        for first in (whole..eights).step_by(2) {
            add::<L, 2, C>(lanes, &mut task, first);
        }
    }
}

/// Adds to the eights from one on.
#[inline(always)]
fn add<L: Lanes, const E: usize, const C: usize>(lanes: L, task: &mut Product<'_>, first: usize) {
    let mut sums = [[lanes.splat(0.0); C]; E];
    let rows = task.rows.chunks_exact(task.width).zip(task.factors.chunks_exact(task.stride));
    for (row, factors) in rows {
        let row = &row[first * LANES..][..E * LANES].as_chunks::<LANES>().0[..E];
        let factors = &factors[task.first..][..C];
        let row = filled!([sums[0][0]; E], |eight| lanes.load(&row[eight]));
        let mut at = 0;
        while at < C {
            let factor = lanes.splat(factors[at]);
            let mut eight = 0;
            while eight < E {
                sums[eight][at] = lanes.fma(row[eight], factor, sums[eight][at]);
                eight += 1;
            }
            at += 1;
        }
    }
    let into = &mut task.into[first * C..][..E * C];
    let mut eight = 0;
    while eight < E {
        let mut at = 0;
        while at < C {
            let into = &mut into[eight * C + at];
            let sum = lanes.add(lanes.load(into), sums[eight][at]);
            lanes.store(sum, into);
            at += 1;
        }
        eight += 1;
    }
}
