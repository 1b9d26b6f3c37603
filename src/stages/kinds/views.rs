//! What a pass reads: every item once, or changed views of those that are trained on.

use crate::base::Seed;
use crate::data::{Augment, InputRule, SampleSlice, View};

use super::super::job::Failure;
use super::{Pass, fitted};

/// Changed views of items: those of the first epochs, item by item.
#[derive(Clone, Debug)]
pub(in super::super) struct Views {
    /// How they are changed, and how many there are of an item.
    pub(in super::super) augment: Augment,
    /// Names the streams.
    pub(in super::super) seed: Seed,
    /// The items.
    pub(in super::super) items: Vec<usize>,
}

impl Pass {
    /// Rows that come out.
    pub(super) fn rows(&self) -> usize {
        match &self.views {
            None => self.data.dataset.items().len(),
            Some(views) => views.items.len() * views.augment.views.0,
        }
    }

    /// What the model reads for a row.
    pub(super) fn read(
        &self,
        row: usize,
        rule: &InputRule,
        into: &mut [f32],
    ) -> Result<(), Failure> {
        let Some(views) = &self.views else {
            let pixels = fitted(&self.data, row, rule)?;
            rule.normalise(pixels.samples.as_slice(), into);
            return Ok(());
        };
        let count = views.augment.views.0;
        let (item, epoch) = (views.items[row / count], row % count);
        let pixels = fitted(&self.data, item, rule)?;
        let view = View { seed: views.seed, epoch, item };
        let image = views.augment.apply(pixels.samples.as_slice(), rule, view);
        rule.normalise(SampleSlice::Floats(&image), into);
        Ok(())
    }
}
