//! What each tap meets at each position: the rows of the matrix that makes a convolution a product.

use crate::kernels::scratch::Scratch;

/// Images seen through taps. A row is a channel and a tap, a column is a position.
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

/// How images are laid so that every row of patches is one run: padded, and where positions are
/// several pixels apart, pixels that lie alike between them together. A line of positions is a
/// little longer than the grid is wide; what is beyond the grid means nothing.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Positions of a line, with those beyond the grid.
    pub(super) wide: usize,
    /// Floats of a channel.
    pub(super) channel: usize,
    /// Where each row of patches begins.
    pub(super) rows: Vec<usize>,
    /// Lines of a plane.
    high: usize,
    /// The first position that any tap reaches.
    first: [isize; 2],
    /// How pixels lie between positions: each is a plane.
    phases: Vec<[usize; 2]>,
}

impl Patches {
    /// Floats of an item.
    pub(super) fn values(&self) -> usize {
        self.channels * self.size[0] * self.size[1]
    }

    /// Whether rows are planes as they lie in memory.
    fn are_planes(&self) -> bool {
        self.size == self.grid && self.step == [1, 1] && self.taps == [[0, 0]]
    }

    pub(super) fn layout(&self) -> Layout {
        let step = self.step.map(|step| step as isize);
        let split = |tap: &[isize; 2]| {
            let at = [tap[0].div_euclid(step[0]), tap[1].div_euclid(step[1])];
            let phase = [tap[0].rem_euclid(step[0]) as usize, tap[1].rem_euclid(step[1]) as usize];
            (at, phase)
        };
        let reach = |axis: usize| {
            let places = || self.taps.iter().map(|tap| split(tap).0[axis]);
            let first = places().min().unwrap_or(0);
            (first, (places().max().unwrap_or(0) - first) as usize + self.grid[axis])
        };
        let ((top, high), (left, wide)) = (reach(0), reach(1));
        let mut phases: Vec<[usize; 2]> = self.taps.iter().map(|tap| split(tap).1).collect();
        phases.sort_unstable();
        phases.dedup();
        let channel = phases.len() * high * wide;
        let offset = |tap: &[isize; 2]| {
            let (at, phase) = split(tap);
            let plane = phases.iter().position(|other| *other == phase).unwrap_or(0);
            (plane * high + (at[0] - top) as usize) * wide + (at[1] - left) as usize
        };
        let offsets: Vec<usize> = self.taps.iter().map(offset).collect();
        let rows = (0..self.channels)
            .flat_map(|index| offsets.iter().map(move |offset| index * channel + offset));
        Layout { wide, channel, rows: rows.collect(), high, first: [top, left], phases }
    }
}

impl Layout {
    /// Positions of an item, with those beyond the grid.
    pub(super) fn columns(&self, patches: &Patches) -> usize {
        patches.grid[0] * self.wide
    }

    /// Floats that laid items take: a row may reach a little beyond the last of them.
    fn length(&self, patches: &Patches) -> usize {
        patches.channels * self.channel + self.wide
    }

    /// An item as it is laid; as it is, where that is the same.
    #[inline(always)]
    pub(super) fn lay<'a>(
        &self,
        patches: &Patches,
        item: &'a [f32],
        room: &'a mut Option<Scratch>,
    ) -> &'a [f32] {
        if patches.are_planes() {
            return item;
        }
        let length = self.length(patches);
        let into = room.get_or_insert_with(|| Scratch::zeroed(length));
        let [high, wide] = patches.size;
        let planes = into.chunks_exact_mut(self.high * self.wide);
        for (index, plane) in planes.take(patches.channels * self.phases.len()).enumerate() {
            let (channel, phase) =
                (index / self.phases.len(), self.phases[index % self.phases.len()]);
            let from = &item[channel * high * wide..][..high * wide];
            for (line, into) in plane.chunks_exact_mut(self.wide).enumerate() {
                let at = |axis: usize, place: isize| {
                    (place + self.first[axis]) * patches.step[axis] as isize + phase[axis] as isize
                };
                let row = at(0, line as isize);
                if row >= 0 && (row as usize) < high {
                    let from = &from[row as usize * wide..][..wide];
                    line_of(from, at(1, 0), patches.step[1], into);
                } else {
                    into.fill(0.0);
                }
            }
        }
        into
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
