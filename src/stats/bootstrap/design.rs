//! What is drawn: items or groups of them, within classes or at large, with or without seeds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::Stream;

use super::Counts;

/// Where a class has fewer items than this, items are drawn within each class, so that no resample
/// loses one.
pub const STRATIFY_BELOW: usize = 20;

/// What a bootstrap speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// Other items, for these very models.
    Items,
    /// Other items and other seeds, drawn independently (the pigeonhole bootstrap of Owen 2007).
    /// Wider than it need be: what seeds and items leave is counted about three times.
    SeedsAndItems,
}

/// A sample to draw from: S seeds, and N items in units that are drawn whole.
#[derive(Clone, Debug)]
pub struct Design {
    seeds: usize,
    over: Over,
    /// The unit of each item.
    unit_of: Vec<usize>,
    /// Units that are drawn for each other.
    strata: Vec<Vec<usize>>,
}

impl Design {
    /// Each of `items` items is a unit, drawn at large.
    #[must_use]
    pub fn new(seeds: usize, items: usize, over: Over) -> Self {
        Self { seeds, over, unit_of: (0..items).collect(), strata: vec![(0..items).collect()] }
    }

    /// Items of a group are drawn together. Groups may hold several classes, so that they are drawn
    /// at large, and a resample may lose a class. No change where there is not one group for each
    /// item.
    #[must_use]
    pub fn grouped(self, groups: &[usize]) -> Self {
        if groups.len() != self.unit_of.len() {
            return self;
        }
        let mut numbers = BTreeMap::new();
        let mut unit_of = Vec::with_capacity(groups.len());
        for group in groups {
            let next = numbers.len();
            unit_of.push(*numbers.entry(*group).or_insert(next));
        }
        let strata = vec![(0..numbers.len()).collect()];
        Self { unit_of, strata, ..self }
    }

    /// Items are drawn within their class if any class has fewer than [`STRATIFY_BELOW`]. No change
    /// for groups, and where there is not one class for each item.
    #[must_use]
    pub fn stratified(self, classes: &[usize]) -> Self {
        let items_are_units = self.strata.iter().map(Vec::len).sum::<usize>() == self.unit_of.len();
        if classes.len() != self.unit_of.len() || !items_are_units {
            return self;
        }
        let mut strata: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (item, class) in classes.iter().enumerate() {
            strata.entry(*class).or_default().push(item);
        }
        if strata.values().all(|members| members.len() >= STRATIFY_BELOW) {
            return self;
        }
        let unit_of = (0..classes.len()).collect();
        Self { unit_of, strata: strata.into_values().collect(), ..self }
    }

    /// What it speaks of.
    #[must_use]
    pub fn over(&self) -> Over {
        self.over
    }

    /// How many seeds, and how many units of items.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.seeds, self.units())
    }

    /// The sample as it is.
    pub(super) fn whole(&self) -> Counts {
        let units = vec![1; self.units()];
        Counts { seeds: vec![1; self.seeds], units, items: vec![1; self.unit_of.len()] }
    }

    /// Draws as many seeds and units as there are.
    pub(super) fn draw(&self, stream: &mut Stream, counts: &mut Counts) {
        counts.seeds.clear();
        match self.over {
            Over::Items => counts.seeds.resize(self.seeds, 1),
            Over::SeedsAndItems => {
                counts.seeds.resize(self.seeds, 0);
                for _ in 0..self.seeds {
                    counts.seeds[stream.below(self.seeds)] += 1;
                }
            }
        }
        counts.units.clear();
        counts.units.resize(self.units(), 0);
        for members in &self.strata {
            for _ in 0..members.len() {
                counts.units[members[stream.below(members.len())]] += 1;
            }
        }
        self.spread(counts);
    }

    /// How many single seeds and units can be left out: those that are drawn.
    pub(super) fn parts(&self) -> usize {
        self.units() + if self.over == Over::Items { 0 } else { self.seeds }
    }

    /// The sample without one part: units first, then seeds.
    pub(super) fn leave_out(&self, part: usize, counts: &mut Counts) {
        counts.seeds.clear();
        counts.seeds.resize(self.seeds, 1);
        counts.units.clear();
        counts.units.resize(self.units(), 1);
        match part.checked_sub(self.units()) {
            None => counts.units[part] = 0,
            Some(seed) => counts.seeds[seed] = 0,
        }
        self.spread(counts);
    }

    /// The values of [`Design::leave_out`] that belong together: of units, and of seeds.
    pub(super) fn axes<'a>(&self, left_out: &'a [f64]) -> [&'a [f64]; 2] {
        let (units, seeds) = left_out.split_at(self.units());
        [units, seeds]
    }

    fn units(&self) -> usize {
        self.strata.iter().map(Vec::len).sum()
    }

    fn spread(&self, counts: &mut Counts) {
        counts.items.clear();
        counts.items.extend(self.unit_of.iter().map(|&unit| counts.units[unit]));
    }
}
