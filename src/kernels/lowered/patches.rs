//! What each tap meets at each position: the rows of the matrix that makes a convolution a product.

/// Images seen through taps. A row is a channel and a tap, a column is an item and a position.
#[derive(Clone, Debug)]
pub(super) struct Patches {
    pub(super) channels: usize,
    /// Height and width of a plane.
    pub(super) size: [usize; 2],
    /// Positions along height and width.
    pub(super) grid: [usize; 2],
    /// Pixels from one position to the next.
    pub(super) step: [usize; 2],
    /// Where each tap lies, from the pixel at the position on.
    pub(super) taps: Vec<[isize; 2]>,
}

impl Patches {
    /// Positions of an item.
    pub(super) fn positions(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// Channels times taps.
    pub(super) fn rows(&self) -> usize {
        self.channels * self.taps.len()
    }

    /// Values of an item.
    pub(super) fn values(&self) -> usize {
        self.channels * self.size[0] * self.size[1]
    }

    /// Whether rows are planes as they lie in memory.
    pub(super) fn are_planes(&self) -> bool {
        self.size == self.grid && self.step == [1, 1] && self.taps == [[0, 0]]
    }

    /// Columns from `first` on of a row, counted over all items.
    #[inline(always)]
    pub(super) fn fill(&self, images: &[f32], row: usize, first: usize, into: &mut [f32]) {
        let positions = self.positions();
        let mut rest = into;
        let mut column = first;
        while !rest.is_empty() {
            let (item, position) = (column / positions, column % positions);
            let count = rest.len().min(positions - position);
            let (now, later) = rest.split_at_mut(count);
            self.fill_item(&images[item * self.values()..], row, position, now);
            (rest, column) = (later, column + count);
        }
    }

    #[inline(always)]
    fn fill_item(&self, image: &[f32], row: usize, first: usize, into: &mut [f32]) {
        let taps = self.taps.len();
        let plane = self.size[0] * self.size[1];
        let plane = &image[row / taps * plane..][..plane];
        let tap = self.taps[row % taps];
        if self.step == [1, 1] && tap[1] == 0 && self.grid[1] == self.size[1] {
            let shift = first as isize + tap[0] * self.size[1] as isize;
            copy(plane, shift, into);
            return;
        }
        let (mut rest, mut position) = (into, first);
        while !rest.is_empty() {
            let (y, x) = (position / self.grid[1], position % self.grid[1]);
            let count = rest.len().min(self.grid[1] - x);
            let (now, later) = rest.split_at_mut(count);
            let row = (y * self.step[0]) as isize + tap[0];
            match usize::try_from(row).ok().filter(|&row| row < self.size[0]) {
                Some(row) => {
                    let line = &plane[row * self.size[1]..][..self.size[1]];
                    line_of(line, (x * self.step[1]) as isize + tap[1], self.step[1], now);
                }
                None => now.fill(0.0),
            }
            (rest, position) = (later, position + count);
        }
    }
}

/// `from`, beginning at `first`, with 0 beyond its ends.
#[inline(always)]
fn copy(from: &[f32], first: isize, into: &mut [f32]) {
    let before = (-first).clamp(0, into.len() as isize) as usize;
    let end = (from.len() as isize - first).clamp(before as isize, into.len() as isize) as usize;
    into[..before].fill(0.0);
    into[end..].fill(0.0);
    if before < end {
        let start = (first + before as isize) as usize;
        into[before..end].copy_from_slice(&from[start..start + end - before]);
    }
}

/// Every `step`-th value of `from`, beginning at `first`, with 0 beyond its ends.
#[inline(always)]
fn line_of(from: &[f32], first: isize, step: usize, into: &mut [f32]) {
    if step == 1 {
        return copy(from, first, into);
    }
    let length = into.len();
    let beyond = |reach: isize| (reach.max(0) as usize).div_ceil(step).min(length);
    let before = beyond(-first);
    let end = beyond(from.len() as isize - first).max(before);
    into[..before].fill(0.0);
    into[end..].fill(0.0);
    if before < end {
        let from = &from[(first + (before * step) as isize) as usize..];
        let into = &mut into[before..end];
        if step == 2 {
            every_second(from, into);
        } else {
            for (value, &from) in into.iter_mut().zip(from.iter().step_by(step)) {
                *value = from;
            }
        }
    }
}

#[inline(always)]
fn every_second(from: &[f32], into: &mut [f32]) {
    let (pairs, last) = from.as_chunks::<2>();
    let whole = pairs.len().min(into.len());
    for (value, pair) in into.iter_mut().zip(pairs) {
        *value = pair[0];
    }
    if let (Some(value), Some(&last)) = (into.get_mut(whole), last.first()) {
        *value = last;
    }
}
