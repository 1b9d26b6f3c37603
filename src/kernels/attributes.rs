//! What a node says about how its kernel computes.

use std::collections::BTreeMap;

/// Attributes of a node, by name.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    /// Lists of whole numbers.
    pub lists: BTreeMap<&'static str, Vec<i64>>,
    /// Numbers.
    pub numbers: BTreeMap<&'static str, f32>,
}

impl Attributes {
    /// A list of extents; empty if there is none, which [`super::Kernel::lists`] excludes.
    pub(super) fn extents(&self, name: &str) -> Vec<usize> {
        let values = self.lists.get(name).map(Vec::as_slice).unwrap_or_default();
        values.iter().map(|&value| value.max(0) as usize).collect()
    }

    /// The first two of a list of extents: those of planes.
    pub(super) fn pair(&self, name: &str) -> [usize; 2] {
        pair(&self.extents(name))
    }

    /// A number; 0 if there is none, which [`super::Kernel::numbers`] excludes.
    pub(super) fn number(&self, name: &str) -> f32 {
        self.numbers.get(name).copied().unwrap_or_default()
    }
}

/// The first two extents; 0 where there are fewer.
pub(super) fn pair(extents: &[usize]) -> [usize; 2] {
    [0, 1].map(|axis| extents.get(axis).copied().unwrap_or_default())
}
