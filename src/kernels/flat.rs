//! A plane laid out so that a window over it becomes one run over a flat buffer, for each tap.
//!
//! The padded plane is split by the remainder of row and column modulo the stride into phases, all
//! of one width, that lie one after the other. Output positions are numbered by that width too, so
//! that position i meets tap t at `offsets[t] + i`, whatever the row; the last columns of each row
//! are no output and are skipped when results are copied out.

/// A window over one plane: extents are rows, then columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flat {
    /// Extent of the plane.
    pub(super) input: [usize; 2],
    /// Extent of the output.
    pub(super) output: [usize; 2],
    strides: [usize; 2],
    before: [usize; 2],
    /// Columns of a phase.
    width: usize,
    /// Rows of a phase.
    rows: usize,
    /// Where each tap begins in the buffer.
    pub(super) offsets: Vec<usize>,
}

impl Flat {
    /// The layout for a kernel of these extents. `pads` are before rows, before columns; what lies
    /// beyond the plane otherwise is padding too.
    pub(super) fn new(
        input: [usize; 2],
        output: [usize; 2],
        kernel: [usize; 2],
        strides: [usize; 2],
        dilations: [usize; 2],
        before: [usize; 2],
    ) -> Self {
        let reach = |axis: usize| (kernel[axis] - 1) * dilations[axis];
        let extent = |axis: usize| {
            let covered = (output[axis] - 1) * strides[axis] + reach(axis) + 1;
            covered.max(input[axis] + before[axis]).div_ceil(strides[axis])
        };
        // Free columns at the end of a row keep a tap of one row from meeting the next.
        let width = extent(1).max(output[1] + reach(1).div_ceil(strides[1]));
        let rows = extent(0);
        let mut flat = Self { input, output, strides, before, width, rows, offsets: Vec::new() };
        for row in 0..kernel[0] {
            for column in 0..kernel[1] {
                let (row, column) = (row * dilations[0], column * dilations[1]);
                let phase = flat.phase(row % strides[0], column % strides[1]);
                flat.offsets.push(phase + (row / strides[0]) * width + column / strides[1]);
            }
        }
        flat
    }

    fn phase(&self, row: usize, column: usize) -> usize {
        (row * self.strides[1] + column) * self.rows * self.width
    }

    /// Positions that are computed: every output, and free columns.
    pub(super) fn positions(&self) -> usize {
        self.output[0] * self.width
    }

    /// Length of a buffer for the plane. Runs of whole blocks may reach beyond its end.
    pub(super) fn length(&self) -> usize {
        let last = self.offsets.iter().max().copied().unwrap_or_default();
        let phases = self.phase(self.strides[0], 0);
        phases.max(last + self.positions()) + SLACK
    }

    /// Copies a plane into a buffer, whose padding stays.
    #[inline(always)]
    pub(super) fn spread(&self, plane: &[f32], buffer: &mut [f32]) {
        for (row, values) in plane.chunks_exact(self.input[1]).enumerate() {
            let at = row + self.before[0];
            for column in 0..self.strides[1] {
                let (first, start) = self.run(column);
                let phase = self.phase(at % self.strides[0], column);
                let start = phase + (at / self.strides[0]) * self.width + start;
                let Some(values) = values.get(first..) else { continue };
                let count = values.len().div_ceil(self.strides[1]);
                let target = &mut buffer[start..start + count];
                match self.strides[1] {
                    1 => target.copy_from_slice(values),
                    2 => every_second(values, target),
                    stride => {
                        target
                            .iter_mut()
                            .zip(values.iter().step_by(stride))
                            .for_each(|(t, v)| *t = *v);
                    }
                }
            }
        }
    }

    /// Copies the plane out of a buffer.
    #[inline(always)]
    pub(super) fn collect(&self, buffer: &[f32], plane: &mut [f32]) {
        for (row, values) in plane.chunks_exact_mut(self.input[1]).enumerate() {
            let at = row + self.before[0];
            for column in 0..self.strides[1] {
                let (first, start) = self.run(column);
                let phase = self.phase(at % self.strides[0], column);
                let start = phase + (at / self.strides[0]) * self.width + start;
                let Some(values) = values.get_mut(first..) else { continue };
                let count = values.len().div_ceil(self.strides[1]);
                let source = &buffer[start..start + count];
                match self.strides[1] {
                    1 => values.copy_from_slice(source),
                    stride => {
                        values.iter_mut().step_by(stride).zip(source).for_each(|(v, s)| *v = *s);
                    }
                }
            }
        }
    }

    /// The first column of the plane that falls into a phase, and where in the phase's rows.
    fn run(&self, column: usize) -> (usize, usize) {
        let stride = self.strides[1];
        let first = (column + stride - self.before[1] % stride) % stride;
        (first, (first + self.before[1]) / stride)
    }

    /// Copies an output plane into a buffer of [`Flat::positions`], whose free columns stay.
    #[inline(always)]
    pub(super) fn spread_output(&self, plane: &[f32], buffer: &mut [f32]) {
        let rows = plane.chunks_exact(self.output[1]).zip(buffer.chunks_mut(self.width));
        rows.for_each(|(values, row)| row[..values.len()].copy_from_slice(values));
    }

    /// Calls `meet` with the position and the number of each output.
    #[inline(always)]
    pub(super) fn each_output(&self, mut meet: impl FnMut(usize, usize)) {
        for row in 0..self.output[0] {
            for column in 0..self.output[1] {
                meet(row * self.width + column, row * self.output[1] + column);
            }
        }
    }

    /// Copies an output plane out of a buffer of positions.
    #[inline(always)]
    pub(super) fn collect_output<T: Copy>(&self, buffer: &[T], plane: &mut [T]) {
        let rows = plane.chunks_exact_mut(self.output[1]).zip(buffer.chunks(self.width));
        rows.for_each(|(values, row)| values.copy_from_slice(&row[..values.len()]));
    }

    /// Whether an output row has no free columns, so that positions are outputs.
    pub(super) fn is_dense(&self) -> bool {
        self.width == self.output[1]
    }

    /// Taps by phase of the input, with the length of a phase: where each phase begins, and its
    /// taps with how far before a position they reach.
    pub(super) fn by_phase(&self) -> Vec<Phase> {
        let length = self.rows * self.width;
        (0..self.strides[0] * self.strides[1])
            .map(|phase| {
                let start = phase * length;
                let own = self.offsets.iter().enumerate();
                let own = own.filter(|(_, offset)| **offset / length == phase);
                Phase { start, length, taps: own.map(|(tap, o)| (tap, o - start)).collect() }
            })
            .collect()
    }
}

/// The part of a plane that some taps alone meet.
pub(super) struct Phase {
    /// Where it begins in the buffer.
    pub(super) start: usize,
    /// Its length.
    pub(super) length: usize,
    /// Taps with their offsets in it.
    pub(super) taps: Vec<(usize, usize)>,
}

/// Entries beyond the end that whole blocks may read.
pub(super) const SLACK: usize = 64;

#[inline(always)]
fn every_second(values: &[f32], target: &mut [f32]) {
    let pairs = values.chunks_exact(2);
    let rest = pairs.remainder().first().copied();
    let whole = target.len() - usize::from(rest.is_some());
    target[..whole].iter_mut().zip(pairs).for_each(|(t, pair)| *t = pair[0]);
    if let Some(rest) = rest {
        target[whole] = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tap_of_each_position_is_where_the_layout_says() {
        for stride in 1..=3 {
            for dilation in 1..=2 {
                for pad in 0..=2 {
                    let (input, kernel) = ([9, 7], [3, 2]);
                    let output = [0, 1].map(|axis| {
                        let reach = (kernel[axis] - 1) * dilation + 1;
                        (input[axis] + 2 * pad - reach) / stride + 1
                    });
                    let flat =
                        Flat::new(input, output, kernel, [stride; 2], [dilation; 2], [pad; 2]);
                    check(&flat, kernel, stride, dilation, pad);
                }
            }
        }
    }

    fn check(flat: &Flat, kernel: [usize; 2], stride: usize, dilation: usize, pad: usize) {
        let plane: Vec<f32> = (1..=63_u8).map(f32::from).collect();
        let mut buffer = vec![0.0; flat.length()];
        flat.spread(&plane, &mut buffer);
        for row in 0..flat.output[0] {
            for column in 0..flat.output[1] {
                for (tap, offset) in flat.offsets.iter().enumerate() {
                    let y = row * stride + (tap / kernel[1]) * dilation;
                    let x = column * stride + (tap % kernel[1]) * dilation;
                    let inside = y >= pad && x >= pad && y - pad < 9 && x - pad < 7;
                    let value = if inside { plane[(y - pad) * 7 + x - pad] } else { 0.0 };
                    assert_eq!(
                        buffer[offset + row * flat.width + column].to_bits(),
                        value.to_bits()
                    );
                }
            }
        }
        let mut back = vec![0.0; plane.len()];
        flat.collect(&buffer, &mut back);
        assert_eq!(back, plane);
    }
}
