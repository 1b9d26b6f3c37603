//! The innermost loops of every product: six rows times sixteen columns, kept in registers.
//!
//! 12 sums, 2 vectors of the right side and 1 value of the left fill the 16 registers of AVX2; at
//! two multiplications a cycle it takes 8 sums to cover their latency.

use super::lanes::{LANES, Lanes, Task, filled};

/// Rows of the left side that are taken at once.
pub(crate) const ROWS: usize = 6;
/// Columns of the right side that are taken at once.
pub(crate) const COLUMNS: usize = 16;

/// Sixteen columns of one row.
pub(crate) type Row = [f32; COLUMNS];

/// Sums of a block, in registers.
type Sums<L, const R: usize> = [[<L as Lanes>::V; 2]; R];

#[inline(always)]
fn halves(row: &Row) -> &[[f32; LANES]; 2] {
    bytemuck::cast_ref(row)
}

#[inline(always)]
fn halves_mut(row: &mut Row) -> &mut [[f32; LANES]; 2] {
    bytemuck::cast_mut(row)
}

/// Where a block of sums goes.
pub(crate) struct Target<'a> {
    /// Row-major values.
    pub(crate) values: &'a mut [f32],
    /// From one row to the next.
    pub(crate) stride: usize,
    /// The block's first value.
    pub(crate) first: usize,
    /// Columns of the block that are written; at most sixteen.
    pub(crate) columns: usize,
    /// Whether sums are added to what is there.
    pub(crate) add: bool,
    /// What is added to each row besides; nothing if empty.
    pub(crate) plus: &'a [f32],
}

impl Target<'_> {
    #[inline(always)]
    fn take<L: Lanes, const R: usize>(&mut self, lanes: L, sums: Sums<L, R>) {
        let mut row = 0;
        while row < R {
            let (mut sums, first) = (sums[row], self.first + row * self.stride);
            if let Some(&plus) = self.plus.get(row) {
                let plus = lanes.splat(plus);
                sums = [lanes.add(sums[0], plus), lanes.add(sums[1], plus)];
            }
            row += 1;
            if self.columns == COLUMNS {
                if let Some(into) = self.values[first..].first_chunk_mut::<COLUMNS>() {
                    put(lanes, sums, into, self.add);
                }
            } else {
                let into = &mut self.values[first..first + self.columns];
                let mut whole = [0.0; COLUMNS];
                whole[..into.len()].copy_from_slice(into);
                put(lanes, sums, &mut whole, self.add);
                into.copy_from_slice(&whole[..into.len()]);
            }
        }
    }
}

#[inline(always)]
fn put<L: Lanes>(lanes: L, sums: [L::V; 2], into: &mut Row, add: bool) {
    let [a, b] = halves_mut(into);
    let [mut first, mut last] = sums;
    if add {
        first = lanes.add(first, lanes.load(a));
        last = lanes.add(last, lanes.load(b));
    }
    lanes.store(first, a);
    lanes.store(last, b);
}

/// The rows of a left side.
pub(crate) trait Rows: Copy {
    /// Six rows.
    type Six: Copy;

    /// `present` rows from `first` on, `length` values of each.
    fn six(&self, first: usize, present: usize, length: usize) -> Self::Six;
    /// A value of one of six rows.
    fn value(six: &Self::Six, row: usize, index: usize) -> f32;
}

/// Rows that lie `1` values apart.
#[derive(Clone, Copy)]
pub(crate) struct Even<'a>(pub(crate) &'a [f32], pub(crate) usize);

impl<'a> Rows for Even<'a> {
    type Six = [&'a [f32]; ROWS];

    #[inline(always)]
    fn six(&self, first: usize, present: usize, length: usize) -> Self::Six {
        let row = |row: usize| &self.0[(first + row.min(present - 1)) * self.1..][..length];
        [row(0), row(1), row(2), row(3), row(4), row(5)]
    }

    #[inline(always)]
    fn value(six: &Self::Six, row: usize, index: usize) -> f32 {
        six[row][index]
    }
}

/// Rows that begin where a table says.
#[derive(Clone, Copy)]
pub(crate) struct Scattered<'a>(pub(crate) &'a [f32], pub(crate) &'a [usize]);

impl<'a> Rows for Scattered<'a> {
    type Six = [&'a [f32]; ROWS];

    #[inline(always)]
    fn six(&self, first: usize, present: usize, length: usize) -> Self::Six {
        let row = |row: usize| &self.0[self.1[first + row.min(present - 1)]..][..length];
        [row(0), row(1), row(2), row(3), row(4), row(5)]
    }

    #[inline(always)]
    fn value(six: &Self::Six, row: usize, index: usize) -> f32 {
        six[row][index]
    }
}

/// Rows of which six lie side by side; six after six lie `1` values apart.
#[derive(Clone, Copy)]
pub(crate) struct Sixes<'a>(pub(crate) &'a [[f32; ROWS]], pub(crate) usize);

impl<'a> Rows for Sixes<'a> {
    type Six = &'a [[f32; ROWS]];

    #[inline(always)]
    fn six(&self, first: usize, _: usize, length: usize) -> Self::Six {
        &self.0[first / ROWS * self.1..][..length]
    }

    #[inline(always)]
    fn value(six: &Self::Six, row: usize, index: usize) -> f32 {
        six[index][row]
    }
}

/// One row of the right side for each value of a row of the left.
#[inline(always)]
fn block<L: Lanes, T: Rows, const R: usize>(
    lanes: L,
    left: T,
    first: usize,
    right: &[Row],
) -> Sums<L, R> {
    let left = left.six(first, R, right.len());
    let mut sums = [[lanes.splat(0.0); 2]; R];
    for (index, columns) in right.iter().enumerate() {
        let [a, b] = halves(columns);
        let (a, b) = (lanes.load(a), lanes.load(b));
        sums = filled!([sums[0]; R], |row| {
            let value = lanes.splat(T::value(&left, row, index));
            [lanes.fma(value, a, sums[row][0]), lanes.fma(value, b, sums[row][1])]
        });
    }
    sums
}

/// The first `rows` rows of `left`, as far as `right` has rows, times `right`.
#[inline(always)]
pub(crate) fn multiply<L: Lanes>(
    lanes: L,
    left: impl Rows,
    rows: usize,
    right: &[Row],
    target: Target<'_>,
) {
    lanes.apart(Multiply { left, rows, right, target });
}

struct Multiply<'a, R> {
    left: R,
    rows: usize,
    right: &'a [Row],
    target: Target<'a>,
}

impl<R: Rows> Task for Multiply<'_, R> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { left, rows, right, mut target } = self;
        let (origin, plus) = (target.first, target.plus);
        let mut row = 0;
        while row < rows {
            target.plus = plus.get(row..).unwrap_or(&[]);
            target.first = origin + row * target.stride;
            match rows - row {
                1 => target.take(lanes, block::<L, R, 1>(lanes, left, row, right)),
                2 => target.take(lanes, block::<L, R, 2>(lanes, left, row, right)),
                3 => target.take(lanes, block::<L, R, 3>(lanes, left, row, right)),
                4 => target.take(lanes, block::<L, R, 4>(lanes, left, row, right)),
                5 => target.take(lanes, block::<L, R, 5>(lanes, left, row, right)),
                _ => target.take(lanes, block::<L, R, 6>(lanes, left, row, right)),
            }
            row += ROWS;
        }
    }
}

#[inline(always)]
fn outer<L: Lanes, const R: usize>(
    lanes: L,
    left: (&[f32], usize, usize),
    right: (&[f32], usize, usize),
) -> Sums<L, R> {
    let (left, left_width, left_first) = left;
    let (right, right_width, right_first) = right;
    let mut sums = [[lanes.splat(0.0); 2]; R];
    for (left, right) in left.chunks_exact(left_width).zip(right.chunks_exact(right_width)) {
        let Some(left) = left[left_first..].first_chunk::<R>() else { continue };
        let Some(right) = right[right_first..].first_chunk::<COLUMNS>() else { continue };
        let [a, b] = halves(right);
        let (a, b) = (lanes.load(a), lanes.load(b));
        sums = filled!([sums[0]; R], |row| {
            let value = lanes.splat(left[row]);
            [lanes.fma(value, a, sums[row][0]), lanes.fma(value, b, sums[row][1])]
        });
    }
    sums
}

/// Adds the first `rows` rows of `leftᵀ · right` to `target`. `left` and `right` are row-major with
/// as many rows and the given widths; `target` is as wide as `right`, a multiple of sixteen.
#[inline(always)]
pub(crate) fn add_outer<L: Lanes>(
    lanes: L,
    left: (&[f32], usize),
    rows: usize,
    right: (&[f32], usize),
    target: &mut [f32],
) {
    let width = right.1;
    for first in (0..width).step_by(COLUMNS) {
        let right = (right.0, width, first);
        for row in (0..rows).step_by(ROWS) {
            let left = (left.0, left.1, row);
            let values = &mut *target;
            let mut target = Target {
                values,
                stride: width,
                first: row * width + first,
                columns: COLUMNS,
                add: true,
                plus: &[],
            };
            match rows - row {
                1 => target.take(lanes, outer::<L, 1>(lanes, left, right)),
                2 => target.take(lanes, outer::<L, 2>(lanes, left, right)),
                3 => target.take(lanes, outer::<L, 3>(lanes, left, right)),
                4 => target.take(lanes, outer::<L, 4>(lanes, left, right)),
                5 => target.take(lanes, outer::<L, 5>(lanes, left, right)),
                _ => target.take(lanes, outer::<L, 6>(lanes, left, right)),
            }
        }
    }
}
