//! Products in floats of half width, for what need not be exact: second derivatives times a
//! direction, and an approximate inverse. Rows lie one after the other, filled with zeros to whole
//! strips; columns that they are multiplied with lie in chunks, of which registers hold one.

mod features;
mod kernels;
mod triangle;

pub(crate) use features::Narrow;
pub(crate) use triangle::Triangle;

use crate::kernels::lanes::LANES;

/// Features that are a strip: two registers.
const STRIP: usize = 2 * LANES;
/// Columns that registers hold at most.
const MOST: usize = 6;
/// Below this, values that are scaled to about 1 count as zero: they are not left to become
/// denormal, which is slow.
const NOTHING: f64 = 1e-30;

/// Features × columns: chunks of columns, in each of them for eight features after the other each
/// column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Columns.
    pub(crate) columns: usize,
    /// Columns in a chunk; those beyond `columns` are zero.
    pub(crate) apiece: usize,
    /// Features, with those that fill the last strip.
    pub(crate) padded: usize,
}

impl Layout {
    /// Chunks of nearly the same size.
    pub(crate) fn new(columns: usize, width: usize) -> Self {
        let chunks = columns.div_ceil(MOST).max(1);
        let apiece = columns.div_ceil(chunks).max(1);
        Self { columns, apiece, padded: width.next_multiple_of(STRIP) }
    }

    /// Chunks of columns.
    pub(crate) fn chunks(self) -> usize {
        self.columns.div_ceil(self.apiece).max(1)
    }

    /// Columns with the empty ones.
    fn all(self) -> usize {
        self.chunks() * self.apiece
    }

    /// Eights of values in a chunk.
    fn eights(self) -> usize {
        self.padded / LANES * self.apiece
    }

    /// All values, zero.
    pub(crate) fn zeros(self) -> Vec<[f32; LANES]> {
        vec![[0.0; LANES]; self.eights() * self.chunks()]
    }

    /// The eight that a value is in, and its place there.
    pub(crate) fn at(self, feature: usize, column: usize) -> (usize, usize) {
        let (chunk, column) = (column / self.apiece, column % self.apiece);
        (chunk * self.eights() + feature / LANES * self.apiece + column, feature % LANES)
    }
}

/// A value as a float of half width.
pub(crate) fn narrowed(value: f64) -> f32 {
    if value.abs() < NOTHING { 0.0 } else { value as f32 }
}

/// The power of two that brings the largest of some values to about 1.
pub(crate) fn scale_of(values: impl Iterator<Item = f64>) -> f64 {
    let largest = values.fold(0.0, |most: f64, value| most.max(value.abs()));
    if largest > f64::MIN_POSITIVE && largest.is_finite() {
        (-largest.log2().floor()).clamp(-1000.0, 1000.0).exp2()
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests;
