//! Rows that training sees changed at random, while whoever looks at val or test sees them as they
//! are.

use std::collections::BTreeMap;

use crate::base::Seed;
use crate::data::{Augment, SampleSlice, View};
use crate::train::Rows;

use super::{ArrayRows, PixelRows};

/// Pixels that each epoch sees changed in another way.
pub struct ChangedRows {
    /// The pixels.
    pub pixels: PixelRows,
    /// How they are changed.
    pub augment: Augment,
    /// Names the streams.
    pub seed: Seed,
}

impl Rows for ChangedRows {
    fn length(&self) -> usize {
        self.pixels.length()
    }

    fn copy(&self, row: usize, into: &mut [f32]) {
        self.pixels.copy(row, into);
    }

    fn copy_view(&self, row: usize, epoch: usize, into: &mut [f32]) {
        let (rule, view) = (&self.pixels.rule, View { seed: self.seed, epoch, item: row });
        let image = self.augment.apply(self.pixels.rows.samples(row), rule, view);
        rule.normalise(SampleSlice::Floats(&image), into);
    }
}

/// Features of items, and of some changed views of those that are trained on; epochs take turns.
pub struct ViewRows {
    plain: ArrayRows,
    views: ArrayRows,
    /// Views of an item.
    count: usize,
    /// Position of each training item among those that have views.
    position: BTreeMap<usize, usize>,
}

impl ViewRows {
    /// `views` has equally many rows for each of `trained`, in that order.
    pub fn new(plain: ArrayRows, views: ArrayRows, trained: &[usize]) -> Self {
        let position = trained.iter().enumerate().map(|(at, &item)| (item, at)).collect();
        let count = views.rows() / trained.len().max(1);
        Self { plain, views, count, position }
    }
}

impl Rows for ViewRows {
    fn length(&self) -> usize {
        self.plain.length()
    }

    fn copy(&self, row: usize, into: &mut [f32]) {
        self.plain.copy(row, into);
    }

    fn copy_view(&self, row: usize, epoch: usize, into: &mut [f32]) {
        match self.position.get(&row) {
            Some(at) => self.views.copy(at * self.count + epoch % self.count, into),
            None => self.plain.copy(row, into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ArrayWriter, Element};
    use super::*;
    use crate::store::Store;

    #[test]
    #[expect(clippy::float_cmp, reason = "values are copied, not computed")]
    fn epochs_take_turns_and_val_sees_items_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let array = |values: &[f32]| {
            let mut writer = ArrayWriter::new(&store, Element::F32, values.len(), &[1]).unwrap();
            writer.floats(values).unwrap();
            ArrayRows::open(store.map(&writer.finish().unwrap()).unwrap()).unwrap()
        };
        // Items 2 and 0 are trained on, with two views each.
        let plain = array(&[0.0, 10.0, 20.0]);
        let rows = ViewRows::new(plain, array(&[21.0, 22.0, 1.0, 2.0]), &[2, 0]);
        let seen = |row, epoch| {
            let mut value = [0.0];
            rows.copy_view(row, epoch, &mut value);
            value[0]
        };
        assert_eq!([seen(2, 0), seen(2, 1), seen(2, 2)], [21.0, 22.0, 21.0]);
        assert_eq!([seen(0, 0), seen(0, 1), seen(1, 0)], [1.0, 2.0, 10.0]);
        let mut value = [0.0];
        rows.copy(2, &mut value);
        assert_eq!(value, [20.0]);
    }
}
