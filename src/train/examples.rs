//! What training reads: rows of arrays that lie somewhere, with labels.

use crate::base::Target;
use crate::data::Open;
use crate::onnx::runtime::{RuntimeError, Tensor};

/// Rows of equal shape, of floats or of whole numbers.
pub trait Rows: Send + Sync {
    /// Number of values in a row.
    fn length(&self) -> usize;

    /// Writes a row's values, if they are floats.
    fn copy(&self, row: usize, into: &mut [f32]);

    /// The element type by ONNX's number if the values are whole numbers, such as token ids and
    /// masks.
    fn whole(&self) -> Option<i32> {
        None
    }

    /// Writes a row's values, if they are whole numbers.
    fn copy_whole(&self, _row: usize, _into: &mut [i64]) {}

    /// Writes a row's values as an epoch of training sees them; the same unless they are changed
    /// at random.
    fn copy_view(&self, row: usize, _epoch: usize, into: &mut [f32]) {
        self.copy(row, into);
    }
}

/// Rows one after the other, as one input of a graph gets them.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Floats.
    Floats(Vec<f32>),
    /// Whole numbers of an element type, by ONNX's number.
    Whole(i32, Vec<i64>),
}

impl Values {
    /// Hands the values to the runtime; floats and integers of 64 bits are not copied.
    pub fn tensor(self, dims: &[usize]) -> Result<Tensor, RuntimeError> {
        match self {
            Self::Floats(values) => Tensor::f32(dims, values),
            Self::Whole(kind, values) => Tensor::whole(dims, kind, values),
        }
    }

    /// Some of `count` rows, in another order.
    pub(super) fn rows(&self, count: usize, picked: impl Iterator<Item = usize>) -> Self {
        fn of<T: Copy>(all: &[T], count: usize, picked: impl Iterator<Item = usize>) -> Vec<T> {
            let width = all.len() / count.max(1);
            picked.flat_map(|row| all[row * width..(row + 1) * width].iter().copied()).collect()
        }
        match self {
            Self::Floats(values) => Self::Floats(of(values, count, picked)),
            Self::Whole(kind, values) => Self::Whole(*kind, of(values, count, picked)),
        }
    }
}

/// The values of some items, one after the other; missing rows of a batch repeat the last item.
pub fn gather(rows: &dyn Rows, items: &[usize], batch: usize) -> Values {
    let length = rows.length();
    let item = |slot: usize| items[slot.min(items.len() - 1)];
    match rows.whole() {
        None => {
            let mut values = vec![0.0; batch * length];
            for (slot, row) in values.chunks_exact_mut(length.max(1)).enumerate() {
                rows.copy(item(slot), row);
            }
            Values::Floats(values)
        }
        Some(kind) => {
            let mut values = vec![0; batch * length];
            for (slot, row) in values.chunks_exact_mut(length.max(1)).enumerate() {
                rows.copy_whole(item(slot), row);
            }
            Values::Whole(kind, values)
        }
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
    /// Items trained on, and those that choose: never a test item.
    pub open: Open<'a>,
}

impl Examples<'_> {
    /// One source's values for these items, one after the other; missing rows of a batch repeat
    /// the last item.
    pub(super) fn gather(&self, source: usize, items: &[usize], batch: usize) -> Values {
        gather(self.sources[source], items, batch)
    }

    /// The same as an epoch of training sees them.
    pub(super) fn gather_view(
        &self,
        source: usize,
        (items, batch): (&[usize], usize),
        epoch: usize,
        threads: usize,
    ) -> Values {
        let rows = self.sources[source];
        if rows.whole().is_some() {
            return gather(rows, items, batch);
        }
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
        Values::Floats(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::graph::INT64;

    /// Rows of an item's number and its double, as floats or as whole numbers.
    struct Doubles(Option<i32>);

    impl Rows for Doubles {
        fn length(&self) -> usize {
            2
        }

        fn copy(&self, row: usize, into: &mut [f32]) {
            into.copy_from_slice(&[row as f32, 2.0 * row as f32]);
        }

        fn whole(&self) -> Option<i32> {
            self.0
        }

        fn copy_whole(&self, row: usize, into: &mut [i64]) {
            into.copy_from_slice(&[row as i64, 2 * row as i64]);
        }
    }

    #[test]
    fn whole_numbers_stay_whole_and_missing_rows_repeat_the_last() {
        let whole = gather(&Doubles(Some(INT64)), &[3, 1], 3);
        assert_eq!(whole, Values::Whole(INT64, vec![3, 6, 1, 2, 1, 2]));
        let floats = gather(&Doubles(None), &[3, 1], 2);
        assert_eq!(floats, Values::Floats(vec![3.0, 6.0, 1.0, 2.0]));
        let picked = whole.rows(3, [2, 0].into_iter());
        assert_eq!(picked, Values::Whole(INT64, vec![1, 2, 3, 6]));
    }

    #[test]
    fn an_epoch_sees_token_ids_as_they_are() {
        let (tokens, floats) = (Doubles(Some(INT64)), Doubles(None));
        let examples = Examples {
            sources: vec![&tokens, &floats],
            answers: Answers::Classes { labels: &[], weights: &[] },
            open: Open::made_up(&[], &[]),
        };
        let seen = |source| examples.gather_view(source, (&[4, 5], 2), 1, 2);
        assert_eq!(seen(0), Values::Whole(INT64, vec![4, 8, 5, 10]));
        assert_eq!(seen(1), Values::Floats(vec![4.0, 8.0, 5.0, 10.0]));
    }
}
