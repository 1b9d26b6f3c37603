//! Copies of items of one data set among those of another.

use serde_json::json;

use crate::base::Digest;

use super::super::dataset::Dataset;
use super::sketch::{As, Sketch};
use super::{Copies, found};

/// Some items of a data set.
#[derive(Clone, Copy)]
pub struct Taken<'a> {
    /// The data set.
    pub dataset: &'a Dataset,
    /// Which of its items, by index.
    pub items: &'a [usize],
    /// Whether they are images.
    pub are_images: bool,
}

/// Finds copies of some items among those of another data set, numbered as [`Taken::copies_in`]
/// says. Given by whoever can remember what was found.
pub type FindAcross = Box<dyn Fn(Taken<'_>, Taken<'_>) -> Copies>;

impl Taken<'_> {
    /// Identity of what decides which copies are found; nothing if a file cannot even be opened.
    pub fn content(&self) -> Option<Digest> {
        let contents = self.dataset.contents().ok()?;
        let own: Vec<Digest> = self.items.iter().map(|&index| contents[index]).collect();
        Some(Digest::of_json(&json!([self.are_images, own])))
    }

    /// Copies of these items among those of another data set; all cores look. The copies' numbers
    /// are positions in `items`, those of the other data set following these. Items that are no
    /// images on both sides are compared to the last value, whatever shape they have.
    pub fn copies_in(&self, other: &Self) -> Copies {
        if self.items.is_empty() {
            return Copies::default();
        }
        let compared = if self.are_images && other.are_images { As::Images } else { As::Rows };
        let mut sketches = self.sketches(compared);
        sketches.extend(other.sketches(compared));
        found(&sketches, self.items.len())
    }

    fn sketches(&self, compared: As) -> Vec<Option<Sketch>> {
        self.dataset.each_of(self.items, |item| Sketch::of(self.dataset, item, compared))
    }
}
