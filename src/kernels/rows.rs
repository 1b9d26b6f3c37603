//! Rows of numbers, and sums over them.

use super::Threads;
use super::parts::Parts;
use super::scratch::Scratch;
use super::wide::wide;

/// Sums that are kept side by side.
const LANES: usize = 16;
/// Elements in a piece of work, if a row is no longer.
const PIECE: usize = 1 << 14;
/// Pieces at most, so that sums over them stay short.
const PIECES: usize = 16;

/// Rows in a piece of work, whatever the number of threads.
pub(super) fn rows_of_piece(rows: usize, width: usize) -> usize {
    (PIECE / width.max(1)).max(rows.div_ceil(PIECES)).max(1)
}

/// Σ a b
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (whole_a, whole_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = whole_a.remainder().iter().zip(whole_b.remainder());
    for (a, b) in whole_a.zip(whole_b) {
        for lane in 0..LANES {
            lanes[lane] = a[lane].mul_add(b[lane], lanes[lane]);
        }
    }
    for (lane, (a, b)) in rest.enumerate() {
        lanes[lane] = a.mul_add(*b, lanes[lane]);
    }
    total(lanes)
}

/// Neighbours first, then pairs of them, and so on.
#[inline(always)]
pub(super) fn total(lanes: [f32; LANES]) -> f32 {
    let mut lanes = lanes;
    let mut count = LANES / 2;
    while count > 0 {
        for lane in 0..count {
            lanes[lane] += lanes[lane + count];
        }
        count /= 2;
    }
    lanes[0]
}

/// Sums over rows, column by column: `add` adds the rows of a piece, by its number, to sums that
/// begin at 0; those of all pieces are added in their order, in double precision.
pub(super) fn column_sums(
    pieces: usize,
    columns: usize,
    threads: &dyn Threads,
    add: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut partial = Scratch::zeroed(pieces * columns);
    let parts = Parts::new(&mut partial, columns);
    threads.each(pieces, &|piece| add(piece, &mut parts.take(piece)));
    let mut sums = vec![0.0_f64; columns];
    wide(
        #[inline(always)]
        || {
            for partial in partial.chunks_exact(columns) {
                for (sum, value) in sums.iter_mut().zip(partial) {
                    *sum += f64::from(*value);
                }
            }
        },
    );
    sums.into_iter().map(|sum| sum as f32).collect()
}
