//! What training reads: rows of arrays that lie somewhere, with labels.

use crate::base::Target;

/// Rows of equal shape.
pub trait Rows: Send + Sync {
    /// Number of values in a row.
    fn length(&self) -> usize;

    /// Writes a row's values.
    fn copy(&self, row: usize, into: &mut [f32]);

    /// Writes a row's values as an epoch of training sees them; the same unless they are changed
    /// at random.
    fn copy_view(&self, row: usize, _epoch: usize, into: &mut [f32]) {
        self.copy(row, into);
    }
}

/// Values from which on several threads gather them.
const MANY: usize = 1 << 16;

/// What is right about each item.
#[derive(Clone, Copy, Debug)]
pub enum Answers<'a> {
    /// One class each.
    Classes {
        /// The class of each item.
        labels: &'a [usize],
        /// Weight of each class in the loss.
        weights: &'a [f64],
    },
    /// Labels or numbers.
    Cells(&'a Cells),
}

/// A number for each item and output.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells {
    /// What the numbers are.
    pub target: Target,
    /// Outputs.
    pub width: usize,
    /// Items × outputs: 0 and 1 of labels, or standardised numbers; 0 where not known.
    pub targets: Vec<f32>,
    /// Items × outputs: the weight of each in the loss; 0 where not known.
    pub weights: Vec<f32>,
}

impl Cells {
    /// Targets and weights of an item.
    pub(super) fn of(&self, item: usize) -> (&[f32], &[f32]) {
        let range = item * self.width..(item + 1) * self.width;
        (&self.targets[range.clone()], &self.weights[range])
    }
}

/// Labelled examples; item `i` is row `i` of each source.
pub struct Examples<'a> {
    /// One source for each input of the part that learns.
    pub sources: Vec<&'a dyn Rows>,
    /// What is right about each item.
    pub answers: Answers<'a>,
    /// Items trained on.
    pub train: &'a [usize],
    /// Items that choose.
    pub val: &'a [usize],
}

impl Examples<'_> {
    /// One source's values for these items, one after the other; missing rows of a batch repeat
    /// the last item.
    pub(super) fn gather(&self, source: usize, items: &[usize], batch: usize) -> Vec<f32> {
        let rows = self.sources[source];
        let length = rows.length();
        let mut values = vec![0.0; batch * length];
        for (slot, row) in values.chunks_exact_mut(length.max(1)).enumerate() {
            rows.copy(items[slot.min(items.len() - 1)], row);
        }
        values
    }

    /// The same as an epoch of training sees them.
    pub(super) fn gather_view(
        &self,
        source: usize,
        (items, batch): (&[usize], usize),
        epoch: usize,
        threads: usize,
    ) -> Vec<f32> {
        let rows = self.sources[source];
        let length = rows.length().max(1);
        let mut values = vec![0.0; batch * rows.length()];
        let threads = if values.len() < MANY { 1 } else { threads.clamp(1, batch) };
        let slots = batch.div_ceil(threads);
        let fill = |first: usize, piece: &mut [f32]| {
            for (slot, row) in piece.chunks_exact_mut(length).enumerate() {
                rows.copy_view(items[(first + slot).min(items.len() - 1)], epoch, row);
            }
        };
        std::thread::scope(|scope| {
            let mut pieces = values.chunks_mut(slots * length).enumerate();
            let own = pieces.next();
            for (number, piece) in pieces {
                let fill = &fill;
                scope.spawn(move || fill(number * slots, piece));
            }
            if let Some((_, piece)) = own {
                fill(0, piece);
            }
        });
        values
    }
}
